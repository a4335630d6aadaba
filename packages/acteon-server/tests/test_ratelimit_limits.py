"""The file of limits: what it says, what holds where it says nothing, and what it may not say."""

from datetime import timedelta
from pathlib import Path

import pytest
from attrs import evolve

from acteon.core import ConfigError
from acteon.server.ratelimit import (
    CallerLimits,
    Limits,
    TenantLimits,
    Tier,
    parse_limits,
    read_limits,
)

WHOLE = """
[callers.default]
requests_per_window = 500
window_seconds = 30

[callers.anonymous]
requests_per_window = 5

[callers.overrides.billing]
requests_per_window = 0

[callers.overrides."a b"]
window_seconds = 10

[tenants]
enabled = true

[tenants.default]
requests_per_window = 7
window_seconds = 3600

[tenants.overrides.acme]
requests_per_window = 70
"""


def tier(requests: int, seconds: int) -> Tier:
    return Tier(requests_per_window=requests, window=timedelta(seconds=seconds))


def test_a_file_says_all_that_can_be_said() -> None:
    assert parse_limits(WHOLE) == Limits(
        callers=CallerLimits(
            default=tier(500, 30),
            anonymous=tier(5, 60),
            overrides={"billing": tier(0, 60), "a b": tier(1000, 10)},
        ),
        tenants=TenantLimits(enabled=True, default=tier(7, 3600), overrides={"acme": tier(70, 60)}),
    )


@pytest.mark.parametrize("text", ["", "[callers]", "[tenants]", "[callers.default]"])
def test_what_is_not_said_is_as_documented(text: str) -> None:
    limits = parse_limits(text)
    assert limits.callers.default == tier(1000, 60)
    assert limits.callers.anonymous == tier(100, 60)
    assert limits.tenants.default == tier(10_000, 60)
    assert not limits.tenants.enabled


def test_each_key_of_a_tier_has_a_default_of_its_own() -> None:
    limits = parse_limits("[callers.anonymous]\nwindow_seconds = 10")
    assert limits.callers.anonymous == tier(1000, 10)


@pytest.mark.parametrize(
    ("caller", "requests"),
    [("", 5), ("_anonymous", 5), ("billing", 0), ("a b", 1000), ("alice", 500)],
)
def test_callers_have_their_own_tier_or_the_default(caller: str, requests: int) -> None:
    assert parse_limits(WHOLE).callers.of(caller).requests_per_window == requests


@pytest.mark.parametrize(("tenant", "requests"), [("acme", 70), ("", 7), ("other", 7)])
def test_tenants_have_their_own_tier_or_the_default(tenant: str, requests: int) -> None:
    assert parse_limits(WHOLE).tenants.of(tenant).requests_per_window == requests


MISTAKES = [
    (
        "[callers.default]\nwindow_seconds = 0",
        "[callers] default.window_seconds: must be between 1 and 31536000 seconds, not 0",
    ),
    (
        "[tenants.overrides.acme]\nwindow_seconds = 0",
        "[tenants] overrides.acme.window_seconds: must be between 1 and 31536000 seconds, not 0",
    ),
    (
        "[callers.default]\nwindow_seconds = 1.5",
        "[callers] default.window_seconds: must be a whole number of seconds, not 1.5",
    ),
    (
        "[callers.default]\nrequests_per_window = -1",
        "[callers] default.requests_per_window: must be between 0 and 9223372036854775807, not -1",
    ),
    (
        "[callers.default]\nrequests_per_window = 1e3",
        "[callers] default.requests_per_window: wanted a whole number, found the number 1000.0",
    ),
    (
        "[callers.default]\nrequests_per_windows = 1",
        "[callers] default.requests_per_windows: unknown key; did you mean 'requests_per_window'?",
    ),
    (
        "[callers.default]\nwindow = 1",
        "[callers] default.window: unknown key; did you mean 'window_seconds'?",
    ),
    ("[caller]", "[caller]: unknown key; did you mean 'callers'?"),
    ("[tenants]\nenable = true", "[tenants] enable: unknown key; did you mean 'enabled'?"),
    (
        '[tenants]\nenabled = "yes"',
        '[tenants] enabled: wanted true or false, found the text "yes"',
    ),
    (
        "[callers.overrides._anonymous]",
        "[callers] overrides: are for callers with a name, which '_anonymous' is not; "
        "write [callers.anonymous]",
    ),
    ("[callers]\noverrides = 3", "[callers] overrides: wanted a table, found the number 3"),
]


@pytest.mark.parametrize(("text", "told"), MISTAKES)
def test_mistakes_are_told_with_their_place(text: str, told: str) -> None:
    with pytest.raises(ConfigError) as raised:
        parse_limits(text)
    assert str(raised.value) == f"ratelimit.toml: {told}"


def test_all_mistakes_of_a_file_are_told_at_once(tmp_path: Path) -> None:
    path = tmp_path / "limits.toml"
    path.write_text(
        "[callers.default]\nwindow_seconds = 0\nrequests_per_window = true\n[tenant]\nx = 1\n"
    )
    with pytest.raises(ConfigError) as raised:
        read_limits(path)
    head = f"failed to parse rate limit config: {path}: "
    assert str(raised.value).splitlines() == [
        f"{head}[callers] default.requests_per_window: wanted a whole number, found true",
        f"{head}[callers] default.window_seconds: must be between 1 and 31536000 seconds, not 0",
        f"{head}[tenant]: unknown key; did you mean 'tenants'?",
    ]


def test_a_file_that_is_no_toml_is_told_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "ratelimit.toml"
    path.write_text("[callers.default]\nwindow_seconds: 3\n")
    with pytest.raises(ConfigError) as raised:
        read_limits(path)
    assert str(raised.value).startswith(f"failed to parse rate limit config: {path}:2:")


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    path = tmp_path / "none.toml"
    with pytest.raises(ConfigError) as raised:
        read_limits(path)
    assert str(raised.value) == (
        f"failed to read rate limit config at {path}: there is no such file"
    )


def test_what_a_file_cannot_say_code_cannot_either() -> None:
    with pytest.raises(ValueError, match="'window' must be between 1 and 31536000 seconds"):
        evolve(Tier(), window=timedelta(0))
