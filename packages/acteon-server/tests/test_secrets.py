"""References to values elsewhere, and that no text shows what they stand for."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from acteon.core import STATE, ConfigError, plugin_names
from acteon.server.config import Config, Secrets, parse_config

SECRET = "s3cr3t-Hunter2"
TOKEN = "ab" * 32


@pytest.fixture(autouse=True)
def acme() -> Iterator[None]:
    """Somebody else's plugins, installed."""
    place = str(Path(__file__).parent / "acme")
    sys.path.insert(0, place)
    try:
        yield
    finally:
        sys.path.remove(place)


def provider(keys: str, environ: dict[str, str] | None = None, directory: Path = Path()) -> Config:
    text = f'[[providers]]\nname = "x"\ntype = "acme"\n{keys}'
    return parse_config(text, environ=environ or {}, directory=directory)


def refusal(keys: str, environ: dict[str, str] | None = None, directory: Path = Path()) -> str:
    with pytest.raises(ConfigError) as caught:
        provider(keys, environ, directory)
    return str(caught.value)


def test_a_variable_stands_for_a_whole_value() -> None:
    settings: Any = provider('token = "${TOKEN}"', {"TOKEN": SECRET}).providers[0].settings
    assert settings.token == SECRET
    assert type(settings.token) is str


def test_a_file_stands_for_a_whole_value_without_its_last_line_end(tmp_path: Path) -> None:
    (tmp_path / "token").write_bytes(f"{SECRET}\r\n".encode())
    for path in ("token", str(tmp_path / "token")):
        settings: Any = provider(f'token = "${{file:{path}}}"', {}, tmp_path).providers[0].settings
        assert settings.token == SECRET


def test_references_are_typed_by_their_keys() -> None:
    environ = {"PORT": "9000", "ORIGINS": "https://a.example,https://b.example", "ON": "true"}
    text = """
        [server]
        port = "${PORT}"
        cors_allowed_origins = "${ORIGINS}"
        [audit]
        enabled = "${ON}"
        [audit.redact]
        fields = ["${ON}"]
    """
    found = parse_config(text, environ=environ)
    assert found.server.port == 9000
    assert found.server.cors_allowed_origins == ("https://a.example", "https://b.example")
    assert found.audit.enabled
    assert found.audit.redact.fields == ("true",)


def test_a_backend_may_be_a_reference() -> None:
    text = '[state]\nbackend = "${WHICH}"\nurl = "acme://x"'
    assert parse_config(text, environ={"WHICH": "acme"}).state.backend == "acme"


def test_a_variable_may_hold_a_reference() -> None:
    environ = {"ACTEON_SERVER_HOST": "${HOST}", "HOST": "::1"}
    assert parse_config("", environ=environ).server.host == "::1"


def test_a_key_that_the_environment_sets_needs_no_reference() -> None:
    text = '[server]\nhost = "${HOST}"'
    assert parse_config(text, environ={"ACTEON_SERVER_HOST": "::1"}).server.host == "::1"


def test_part_of_a_value_is_no_reference_and_is_warned_about(
    caplog: pytest.LogCaptureFixture,
) -> None:
    found = parse_config('[state]\nurl = "redis://:${PASSWORD}@h"', environ={"PASSWORD": SECRET})
    assert found.state.backend == "memory"
    assert "only where it is the whole value" in caplog.text
    assert SECRET not in caplog.text


EXPORT = "set it where the server starts: export"


@pytest.mark.parametrize(
    ("reference", "text"),
    [
        (
            "${TOKEN}",
            f"the environment variable TOKEN is not set; {EXPORT} TOKEN=…",
        ),
        (
            "${EMPTY}",
            f"the environment variable EMPTY is empty; {EXPORT} EMPTY=…",
        ),
        ("${}", "a reference is written ${NAME} or ${file:PATH}"),
        ("${file:}", "a reference is written ${NAME} or ${file:PATH}"),
        ("${env:TOKEN}", "a reference is written ${NAME} or ${file:PATH}"),
        ("${file:/none/token}", "the file /none/token is not there"),
        ("${file:/}", "the file / is a directory, not a file"),
    ],
)
def test_a_reference_to_nothing_is_refused_with_its_place(reference: str, text: str) -> None:
    assert refusal(f'token = "{reference}"', {"EMPTY": ""}) == (
        f"acteon.toml: provider 'x': token: {text}"
    )


def test_a_file_must_be_a_text_of_some_size(tmp_path: Path) -> None:
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    (tmp_path / "empty").write_bytes(b"\n")
    (tmp_path / "huge").write_bytes(b"x" * (1024 * 1024 + 1))
    told = [
        refusal(f'token = "${{file:{name}}}"', {}, tmp_path) for name in ("binary", "empty", "huge")
    ]
    assert told == [
        f"acteon.toml: provider 'x': token: the file {tmp_path}/binary is no UTF-8 text; "
        "save it as UTF-8",
        f"acteon.toml: provider 'x': token: the file {tmp_path}/empty is empty",
        f"acteon.toml: provider 'x': token: the file {tmp_path}/huge has more than 1048576 bytes",
    ]


def test_one_reference_to_nothing_is_one_line_whatever_is_wanted_there() -> None:
    with pytest.raises(ConfigError) as caught:
        parse_config('[server]\nport = "${PORT}"\nhost = "${HOST}"')
    assert str(caught.value).splitlines() == [
        f"acteon.toml: [server] port: the environment variable PORT is not set; {EXPORT} PORT=…",
        f"acteon.toml: [server] host: the environment variable HOST is not set; {EXPORT} HOST=…",
    ]


def test_a_value_of_the_wrong_kind_is_not_shown_if_it_comes_from_a_reference() -> None:
    with pytest.raises(ConfigError) as caught:
        parse_config('[server]\nport = "${PORT}"', environ={"PORT": SECRET})
    assert str(caught.value) == "acteon.toml: [server] port: wanted a whole number, found a text"


def test_a_value_of_the_wrong_kind_is_not_shown_if_its_key_is_named_like_a_secrets() -> None:
    assert refusal("token = 771177") == (
        "acteon.toml: provider 'x': token: wanted a text, found a number"
    )


@pytest.mark.parametrize(
    "text",
    [
        '[executor]\ntimeout_seconds = "${TOKEN}"',
        '[server]\nport = "${TOKEN}"',
        '[server]\nasgi = "${TOKEN}"',
        '[server]\nhost = "${SPACED}"',
        '[server]\ncors_allowed_origins = "${TOKEN}"',
        '[state]\nbackend = "${TOKEN}"',
        '[state]\nbackend = "acme"\nurl = "acme://x"\nports = "${TOKEN}"',
        '[audit]\nenabled = true\nbackend = "${LINES}"',
        '[rules]\ndirectory = "${FILE}"',
        '[[providers]]\nname = "x"\ntype = "${TOKEN}"',
        '[[providers]]\nname = "${TOKEN}"\ntype = "nope"',
        '[[providers]]\nname = "${LINES}"\ntype = "acme"',
        f'[[providers]]\nname = "x"\ntype = "webhook"\nurl = "http://h"\nheaders = "{TOKEN}"',
        f'[[providers]]\nname = "x"\ntype = "acme"\ntoken = "bad{TOKEN}"',
    ],
)
def test_no_mistake_shows_a_piece_of_a_long_secret(text: str, tmp_path: Path) -> None:
    file = tmp_path / TOKEN[:40]
    file.touch()
    environ = {
        "TOKEN": TOKEN,
        "SPACED": f" {TOKEN}",
        "LINES": f"{TOKEN}\n'{TOKEN}'",
        "FILE": str(file),
    }
    with pytest.raises(ConfigError) as caught:
        parse_config(text, environ=environ)
    assert TOKEN[:8] not in str(caught.value)


def test_a_name_that_comes_from_a_reference_is_not_told() -> None:
    with pytest.raises(ConfigError) as caught:
        parse_config('[state]\nbackend = "${WHICH}"', environ={"WHICH": SECRET})
    assert str(caught.value) == (
        "configuration error: unsupported state backend: [hidden] (is the feature enabled?): "
        f"there is no acteon.state plugin [hidden]; installed: {', '.join(plugin_names(STATE))}"
    )


@pytest.mark.parametrize("secret", ['"quoted"', "'x'", "a\\tb", '"a\\tb"', "true", '["a"]'])
def test_a_referenced_text_is_what_it_is_to_the_letter(secret: str, tmp_path: Path) -> None:
    (tmp_path / "token").write_text(secret)
    for reference in ("${TOKEN}", "${file:token}"):
        found: Any = provider(f'token = "{reference}"', {"TOKEN": secret}, tmp_path)
        assert found.providers[0].settings.token == secret


def test_a_secret_in_a_variable_is_hidden_as_it_is_read() -> None:
    environ = {"ACTEON_STATE_BACKEND": "acme", "ACTEON_STATE_URL": '"acme://h/t\\u0030ken"'}
    found = parse_config("", environ=environ)
    assert found.secrets.hide("no answer from acme://h/t0ken") == "no answer from [hidden]"


def test_a_validators_text_is_kept_unless_it_shows_a_piece_of_a_secret() -> None:
    hidden = "acteon.toml: [state] url: its value (not shown here) is not accepted"
    with pytest.raises(ConfigError) as caught:
        parse_config(f'[state]\nbackend = "acme"\nurl = "redis://:{SECRET}@h"')
    assert str(caught.value) == hidden
    assert refusal(f'token = "bad-{SECRET}"') == (
        "acteon.toml: provider 'x': its value (not shown here) is not accepted"
    )
    assert refusal('token = "none"\nretries = 1') == (
        "acteon.toml: provider 'x': 'retries' need a token"
    )


def test_nothing_that_is_configured_shows_in_a_representation() -> None:
    text = f"""
        [state]
        backend = "acme"
        url = "acme://user:{SECRET}@host"
        [[providers]]
        name = "a"
        type = "acme"
        token = "{SECRET}"
        [[providers]]
        name = "b"
        type = "webhook"
        url = "https://example.com/{SECRET}"
        headers = {{ Authorization = "Bearer {SECRET}" }}
    """
    found = parse_config(text)
    assert SECRET not in repr(found)
    assert SECRET not in str(attrs_of(found))
    assert (
        found.secrets.hide(f"no answer from acme://user:{SECRET}@host") == "no answer from [hidden]"
    )
    assert found.secrets.hide(f"password {SECRET} refused") == "password [hidden] refused"


def test_a_password_that_is_the_user_too_hides_no_open_part_of_a_url() -> None:
    secrets = Secrets.of(["postgres://acteon:acteon@db/acteon", "postgres://acteon:pw123456@db/x"])
    told = "postgres at db/acteon: password authentication failed for user acteon"
    assert secrets.hide(told) == told
    assert secrets.hide("pw123456 is wrong") == "[hidden] is wrong"


def attrs_of(found: Config) -> list[object]:
    return [found.state, found.state.settings, found.providers, found.secrets]


@given(values=st.lists(st.text("abc123 /:@", min_size=4)), text=st.text("abc123 /:@"))
def test_hidden_texts_hold_no_secret(values: list[str], text: str) -> None:
    hidden = Secrets.of(values).hide(text + "".join(values))
    assert not [value for value in values if value in hidden]


def test_a_short_secret_is_hidden_where_it_stands_alone() -> None:
    assert Secrets.of(["it"]).hide("it bit 'it'") == "[hidden] bit '[hidden]'"
