"""Settings from environment variables."""

import logging
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from acteon.core import STATE, ConfigError, plugin_names
from acteon.server.config import Config, parse_config
from acteon.server.config.environment import RESERVED


@pytest.fixture
def acme() -> Iterator[None]:
    """Somebody else's plugins, installed."""
    place = str(Path(__file__).parent / "acme")
    sys.path.insert(0, place)
    try:
        yield
    finally:
        sys.path.remove(place)


def configured(environ: dict[str, str], text: str = "") -> Config:
    return parse_config(text, environ={f"ACTEON_{key}": value for key, value in environ.items()})


def warnings(caplog: pytest.LogCaptureFixture) -> list[tuple[str, str | None]]:
    """Return the variables that were warned about, and what was suggested instead."""
    return [
        (record.__dict__["acteon.variable"], record.__dict__.get("acteon.did_you_mean"))
        for record in caplog.records
        if record.levelno == logging.WARNING and "acteon.variable" in record.__dict__
    ]


def test_variables_go_before_the_file() -> None:
    found = configured({"SERVER_PORT": "9000"}, "[server]\nport = 1\nmax_batch = 2")
    assert (found.server.port, found.server.max_batch) == (9000, 2)


def test_values_are_typed_by_their_keys() -> None:
    found = configured(
        {
            "SERVER_HOST": "localhost",
            "SERVER_ALLOW_ANONYMOUS": "true",
            "SERVER_READ_TIMEOUT_SECONDS": "2.5",
            "SERVER_CORS_ALLOWED_ORIGINS": "https://a.example, https://b.example",
            "SERVER_ASGI": "uvicorn",
            "AUDIT_TTL_SECONDS": "0",
            "AUDIT_REDACT_FIELDS": "pin,card.number",
            "AUDIT_REDACT_PLACEHOLDER": "12",
            "RULES_DIRECTORY": "my rules",
            "EXECUTOR_MAX_RETRIES": "1_0",
        }
    )
    assert found.server.allow_anonymous
    assert found.server.read_timeout == timedelta(seconds=2.5)
    assert found.server.cors_allowed_origins == ("https://a.example", "https://b.example")
    assert found.server.asgi.value == "uvicorn"
    assert found.audit.ttl is None
    assert found.audit.redact.fields == ("pin", "card.number")
    assert found.audit.redact.placeholder == "12"
    assert found.rules.directory == Path("my rules")
    assert found.executor.max_retries == 10


def test_values_may_be_written_as_toml() -> None:
    found = configured({"SERVER_HOST": '"localhost"', "AUDIT_REDACT_FIELDS": '["a,b", "c"]'})
    assert found.server.host == "localhost"
    assert found.audit.redact.fields == ("a,b", "c")


def test_a_list_may_be_empty() -> None:
    assert configured({"SERVER_CORS_ALLOWED_ORIGINS": "[]"}).server.cors_allowed_origins == ()


def test_a_value_stays_a_value_though_it_looks_like_more_of_a_document() -> None:
    assert configured({"AUDIT_REDACT_PLACEHOLDER": '"x"\n[server]\nport = 1'}).server.port == 8080


def test_an_empty_variable_says_nothing() -> None:
    assert configured({"SERVER_PORT": "", "STATE_BACKEND": ""}).server.port == 8080


@pytest.mark.usefixtures("acme")
def test_keys_of_plugins_have_variables_too() -> None:
    found = configured(
        {
            "STATE_BACKEND": "acme",
            "STATE_URL": "acme://here",
            "STATE_NODES": "a,b",
            "STATE_PORTS": "1, 2",
            "STATE_LABELS": '{ team = "blue" }',
            "STATE_TLS": "true",
            "STATE_LIMIT": "7",
            "STATE_PATIENCE_SECONDS": "1",
            "STATE_COMMENT": "true",
            "AUDIT_ENABLED": "true",
            "AUDIT_MAX_RECORDS": "9",
        }
    )
    state: Any = found.state.settings
    assert (state.url, state.nodes, state.ports) == ("acme://here", ("a", "b"), (1, 2))
    assert (state.labels, state.tls, state.limit) == ({"team": "blue"}, True, 7)
    assert (state.patience, state.comment) == (timedelta(seconds=1), "true")
    audit: Any = found.audit.settings
    assert audit.max_records == 9


@pytest.mark.parametrize(
    ("name", "value", "line"),
    [
        (
            "SERVER_PORT",
            "eighty",
            'ACTEON_SERVER_PORT: wanted a whole number, found the text "eighty"',
        ),
        ("SERVER_PORT", "70000", "ACTEON_SERVER_PORT: must be between 0 and 65535, not 70000"),
        (
            "AUDIT_ENABLED",
            "yes",
            'ACTEON_AUDIT_ENABLED: wanted true or false, found the text "yes"',
        ),
        (
            "SERVER_PORT",
            "[" * 100_000,
            f'ACTEON_SERVER_PORT: wanted a whole number, found the text "{"[" * 60}…"',
        ),
        (
            "SERVER_PORT",
            "7" * 5000,
            f'ACTEON_SERVER_PORT: wanted a whole number, found the text "{"7" * 60}…"',
        ),
        (
            "SERVER_PORT",
            "7" * 400,
            "ACTEON_SERVER_PORT: wanted a whole number of at most 64 bits, "
            f'found the text "{"7" * 60}…"',
        ),
        ("AUDIT_MAX_RECORDS", "0", "ACTEON_AUDIT_MAX_RECORDS: must be >= 1: 0"),
        (
            "STATE_BACKEND",
            "nope",
            "configuration error: unsupported state backend: nope (is the feature enabled?): "
            f"there is no acteon.state plugin 'nope'; installed: {', '.join(plugin_names(STATE))}",
        ),
    ],
)
def test_a_bad_value_is_told_by_the_name_of_the_variable(name: str, value: str, line: str) -> None:
    with pytest.raises(ConfigError) as caught:
        configured({name: value})
    assert str(caught.value) == line


def test_a_variable_that_means_nothing_is_warned_about(caplog: pytest.LogCaptureFixture) -> None:
    configured({"SERVR_PORT": "1", "WHATEVER": "x", "PROVIDERS_0_NAME": "x"})
    assert warnings(caplog) == [
        ("ACTEON_PROVIDERS_0_NAME", None),
        ("ACTEON_SERVR_PORT", "ACTEON_SERVER_PORT"),
        ("ACTEON_WHATEVER", None),
    ]


def test_reserved_names_are_not_warned_about(caplog: pytest.LogCaptureFixture) -> None:
    parse_config("", environ=dict.fromkeys(RESERVED, "x"))
    assert warnings(caplog) == []


def test_a_port_from_kubernetes_is_ignored_with_a_warning(
    caplog: pytest.LogCaptureFixture,
) -> None:
    found = configured(
        {
            "SERVER_PORT": "tcp://10.3.240.1:8080",
            "SERVER_PORT_8080_TCP": "tcp://10.3.240.1:8080",
            "SERVER_PORT_8080_TCP_ADDR": "10.3.240.1",
            "SERVER_PORT_8080_TCP_PORT": "8080",
            "SERVER_PORT_8080_TCP_PROTO": "tcp",
            "SERVER_SERVICE_HOST": "10.3.240.1",
            "SERVER_SERVICE_PORT": "8080",
            "SERVER_SERVICE_PORT_HTTP": "8080",
        }
    )
    assert found.server.port == 8080
    assert warnings(caplog) == [("ACTEON_SERVER_PORT", None)]


def test_a_section_that_is_none_is_told_whatever_the_environment_says() -> None:
    with pytest.raises(ConfigError, match=r"^acteon.toml: server: is a section"):
        configured({"SERVER_PORT": "1"}, "server = 5")


@pytest.mark.parametrize(
    ("environ", "text", "warned"),
    [
        ({"AUDIT_REDACT_FIELDS": "pin"}, "", True),
        ({}, '[audit.redact]\nfields = ["pin"]', True),
        ({"AUDIT_REDACT_ENABLED": "true"}, '[audit.redact]\nfields = ["pin"]', False),
        ({}, '[audit.redact]\nenabled = false\nfields = ["pin"]', False),
        ({}, "[audit]\nenabled = true", False),
    ],
)
def test_fields_to_redact_without_the_switch_are_warned_about(
    environ: dict[str, str], text: str, warned: bool, caplog: pytest.LogCaptureFixture
) -> None:
    configured(environ, text)
    assert ("nothing is redacted" in caplog.text) is warned
