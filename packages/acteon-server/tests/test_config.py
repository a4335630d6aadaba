"""What configurations mean; what is wrong with bad ones is in test_config_mistakes."""

import logging
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from acteon.core import ConfigError
from acteon.gateway import OnStoreError, OnUnknown
from acteon.rules import OnRuleError
from acteon.server.config import (
    Asgi,
    AuditSection,
    Config,
    RedactSection,
    ServerSection,
    load_config,
    parse_config,
    warn_about,
)
from acteon.server.config.kinds import is_list, is_table

SAMPLE = """
[server]
host = "127.0.0.1"
port = 8080
# shutdown_timeout_seconds = 30  # Max time to wait for pending tasks during shutdown

[state]
backend = "memory"   # "memory", "redis", "postgres", "dynamodb", or "clickhouse"
# url = "redis://localhost:6379"
# prefix = "acteon"
# region = "us-east-1"       # DynamoDB only
# table_name = "acteon"      # DynamoDB only

[audit]
# enabled = false
# backend = "memory"         # "memory", "postgres", "clickhouse", or "elasticsearch"
# url = "postgres://acteon:acteon@localhost:5432/acteon"
# prefix = "acteon_"
# ttl_seconds = 2592000      # 30 days
# cleanup_interval_seconds = 3600
# store_payload = true

[rules]
# directory = "./rules"      # Path to YAML rule files

[executor]
# max_retries = 3
# timeout_seconds = 30
# max_concurrent = 100

[auth]
# enabled = false
# config_path = "auth.toml"   # Path to auth config file
# watch = true                # Hot-reload on file changes

[audit.redact]
# enabled = false
# fields = ["password", "token", "api_key", "secret"]
# placeholder = "[REDACTED]"
"""

EVERY_KEY = """
[server]
host = "localhost"
port = 0
shutdown_timeout_seconds = 1.5
asgi = "hypercorn"
read_timeout_seconds = 10
allow_anonymous = true
cors_allowed_origins = ["https://app.example.com", "http://localhost:3000"]
max_batch = 500
max_body_bytes = 1024

[state]
backend = "acme"
url = "acme://store"
pool_size = 3
ratio = 2
tls = true
nodes = ["a", "b"]
ports = [1, 2]
labels = { team = "blue" }
mode = "fast"
limit = "none"
patience_seconds = 0.25
lifetime_seconds = 0
comment = "ours"

[audit]
enabled = true
backend = "memory"
max_records = 7
ttl_seconds = 0
cleanup_interval_seconds = 60
store_payload = false
mode = "sync"
max_queue = 5
on_overflow = "drop"

[audit.redact]
enabled = true
fields = ["card.number"]
placeholder = "-"

[rules]
directory = "rules"
strict = true
on_error = "deny"
on_store_error = "deny"

[executor]
max_retries = 0
timeout_seconds = 0.5
max_concurrent = 1
dlq_enabled = true
dlq_max = 10
lock_wait_seconds = 0
lock_lease_seconds = 5
on_unknown = "keep"

[auth]
enabled = false
config_path = "a.toml"
watch = false

[rate_limit]
enabled = false
config_path = "r.toml"
on_error = "deny"
batch_cost = "actions"

[[providers]]
name = "hook"
type = "webhook"
url = "https://example.com/in"
idempotent = false

[[providers]]
name = "log"
type = "log"
"""


def uncommented(text: str) -> str:
    return "\n".join(
        line.removeprefix("# ") if line.startswith("# ") else line for line in text.splitlines()
    )


@pytest.fixture
def acme() -> Iterator[None]:
    """Somebody else's plugins, installed."""
    place = str(Path(__file__).parent / "acme")
    sys.path.insert(0, place)
    try:
        yield
    finally:
        sys.path.remove(place)


@pytest.fixture(autouse=True)
def _logs(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    with caplog.at_level(logging.INFO, "acteon"):
        yield


def test_the_sample_says_what_holds_anyway() -> None:
    assert parse_config(SAMPLE) == parse_config("")


def test_the_sample_with_all_keys_says_what_holds_anyway_but_for_the_rules() -> None:
    found = parse_config(uncommented(SAMPLE))
    plain = parse_config("")
    assert found.rules.directory == Path("rules")
    assert (found.server, found.state, found.audit, found.executor, found.auth) == (
        plain.server,
        plain.state,
        plain.audit,
        plain.executor,
        plain.auth,
    )


def test_keys_that_the_backend_does_not_use_are_told_once_each(
    caplog: pytest.LogCaptureFixture,
) -> None:
    parse_config('[state]\nurl = "redis://localhost"\nregion = "eu-west-1"')
    told = [record.__dict__.get("acteon.key") for record in caplog.records]
    assert [key for key in told if key] == ["[state] url", "[state] region"]


def test_the_defaults_are_the_documented_ones() -> None:
    found = parse_config("")
    assert (found.server.host, found.server.port) == ("127.0.0.1", 8080)
    assert found.server.shutdown_timeout == timedelta(seconds=30)
    assert found.server.max_body_bytes == 2_097_152
    assert found.server.cors_allowed_origins is None
    assert found.audit.ttl == timedelta(seconds=2_592_000)
    assert found.audit.redact.fields == ("password", "token", "api_key", "secret")
    assert (found.executor.max_retries, found.executor.max_concurrent) == (3, 100)
    assert found.executor.lock_wait == timedelta(seconds=5)


@pytest.mark.usefixtures("acme")
def test_every_key_arrives() -> None:
    found = parse_config(EVERY_KEY)
    assert found.server == ServerSection(
        host="localhost",
        port=0,
        shutdown_timeout=timedelta(seconds=1.5),
        asgi=Asgi.HYPERCORN,
        read_timeout=timedelta(seconds=10),
        allow_anonymous=True,
        cors_allowed_origins=("https://app.example.com", "http://localhost:3000"),
        max_batch=500,
        max_body_bytes=1024,
    )
    state: Any = found.state.settings
    assert (state.url, state.pool_size, state.ratio, state.tls) == ("acme://store", 3, 2.0, True)
    assert (state.nodes, state.ports, state.labels) == (("a", "b"), (1, 2), {"team": "blue"})
    assert (state.mode, state.limit, state.comment) == ("fast", "none", "ours")
    assert (state.patience, state.lifetime) == (timedelta(milliseconds=250), None)
    audit: Any = found.audit.settings
    assert audit.max_records == 7
    assert found.audit == AuditSection(
        enabled=True,
        ttl=None,
        cleanup_interval=timedelta(minutes=1),
        store_payload=False,
        mode="sync",
        max_queue=5,
        on_overflow="drop",
        redact=RedactSection(enabled=True, fields=("card.number",), placeholder="-"),
        settings=audit,
    )
    assert found.rules.on_error is OnRuleError.DENY
    assert found.rules.on_store_error is OnStoreError.DENY
    assert found.executor.on_unknown is OnUnknown.KEEP
    assert [(p.name, p.type, p.idempotent) for p in found.providers] == [
        ("hook", "webhook", False),
        ("log", "log", None),
    ]


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.0.1", "::1", "[::1]", "localhost"])
def test_loopback_needs_no_leave(host: str) -> None:
    assert not parse_config(f'[server]\nhost = "{host}"').server.beyond_loopback


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.1", "gateway.example.com"])
def test_beyond_loopback_needs_leave(host: str) -> None:
    with pytest.raises(ConfigError, match="allow_anonymous = true"):
        parse_config(f'[server]\nhost = "{host}"')
    assert parse_config(f'[server]\nhost = "{host}"\nallow_anonymous = true').server.host == host


def test_open_cors_is_warned_about_and_a_list_is_not(caplog: pytest.LogCaptureFixture) -> None:
    warn_about(parse_config("[server]\ncors_allowed_origins = []"))
    assert not [record for record in caplog.records if "web page" in record.message]
    warn_about(parse_config(""))
    assert [record.levelname for record in caplog.records if "web page" in record.message] == [
        "WARNING"
    ]


def test_redaction_of_nothing_is_warned_about(caplog: pytest.LogCaptureFixture) -> None:
    warn_about(parse_config("[audit.redact]\nenabled = true\nfields = []"))
    assert "nothing is redacted" in caplog.text


def test_audit_that_is_off_needs_no_backend() -> None:
    assert parse_config('[audit]\nbackend = "elasticsearch"').audit.backend == "elasticsearch"


@pytest.mark.usefixtures("acme")
def test_audit_that_is_off_needs_no_keys_and_refuses_unknown_ones() -> None:
    text = '[audit]\nbackend = "acme"\nprefix = "x"\n'
    assert not parse_config(text).audit.enabled
    with pytest.raises(ConfigError, match=r"\[audit\] enbled: unknown key; did you mean 'enabled'"):
        parse_config(f"{text}enbled = true")


def test_no_file_means_the_defaults(tmp_path: Path) -> None:
    empty = tmp_path / "empty.toml"
    empty.touch()
    assert load_config(empty, environ={}).server == ServerSection()


def test_the_command_line_goes_before_the_environment_and_that_before_the_file(
    tmp_path: Path,
) -> None:
    file = tmp_path / "acteon.toml"
    file.write_text('[server]\nhost = "::1"\nport = 1\nmax_batch = 1\n[state]\nprefix = "x"')
    environ = {"ACTEON_SERVER_PORT": "2", "ACTEON_SERVER_MAX_BATCH": "2"}
    found = load_config(file, environ=environ, port=3)
    assert (found.server.host, found.server.port, found.server.max_batch) == ("::1", 3, 2)
    assert found.path == file


def test_rules_are_looked_for_beside_the_file_unless_they_are_where_it_was_started(
    tmp_path: Path,
) -> None:
    (tmp_path / "my-rules").mkdir()
    text = '[rules]\ndirectory = "my-rules"'
    assert parse_config(text, directory=tmp_path).rules.directory == tmp_path / "my-rules"
    (tmp_path / "my-rules").rmdir()
    assert parse_config(text, directory=tmp_path).rules.directory == Path("my-rules")


def test_a_byte_order_mark_does_no_harm(tmp_path: Path) -> None:
    file = tmp_path / "notepad.toml"
    file.write_bytes(b"\xef\xbb\xbf[server]\r\nport = 1\r\n")
    assert load_config(file, environ={}).server.port == 1


values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=10)
    | st.dates()
    | st.datetimes(),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=6,
)


def written(value: object) -> str:
    """Return `value` as TOML, roughly: what is no TOML is part of the property."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return '"' + "".join(f"\\U{ord(character):08x}" for character in value) + '"'
    if is_list(value):
        return f"[{', '.join(written(each) for each in value)}]"
    if is_table(value):
        members = (f"{written(key)} = {written(each)}" for key, each in value.items())
        return f"{{{', '.join(members)}}}"
    return str(value)


@given(
    section=st.sampled_from(["server", "state", "audit", "rules", "executor", "auth", "x"]),
    key=st.sampled_from(["host", "port", "backend", "enabled", "redact", "ttl_seconds", "fields"]),
    value=values,
)
def test_whatever_is_written_is_taken_or_refused_in_lines_that_name_the_place(
    section: str, key: str, value: object
) -> None:
    try:
        found = parse_config(f"[{section}]\n{key} = {written(value)}")
    except ConfigError as error:
        for line in str(error).splitlines():
            assert line.startswith(("acteon.toml", "configuration error: "))
    else:
        assert isinstance(found, Config)
