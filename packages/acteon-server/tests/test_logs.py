"""What log lines look like, and which of them there are."""

import io
import json
import logging
import re
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from acteon.server.logs import (
    OFF,
    TRACE,
    JsonFormatter,
    LogLevels,
    TextFormatter,
    configure_logging,
)


class Terminal(io.StringIO):
    """A stream that people look at."""

    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def _restored() -> Iterator[None]:
    """Leave logging as it was found."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    for name in ("acteon", "acteon.gateway", "acteon.state_redis", "watchfiles"):
        logging.getLogger(name).setLevel(logging.NOTSET)


def logged(environ: dict[str, str], stream: io.StringIO | None = None) -> str:
    stream = stream or io.StringIO()
    configure_logging(environ, stream)
    log = logging.getLogger("acteon.gateway.rulebook")
    log.debug("a detail")
    log.info("rules loaded", extra={"acteon.rules": 3, "acteon.directory": "my rules"})
    log.error("it broke")
    return stream.getvalue()


def record(message: str, **extras: object) -> logging.LogRecord:
    made = logging.LogRecord("acteon.x", logging.INFO, "x.py", 1, message, None, None)
    made.created = 1_735_689_600.25
    made.__dict__.update({f"acteon.{name}": value for name, value in extras.items()})
    return made


def test_a_line_has_instant_level_logger_message_and_what_goes_with_it() -> None:
    first, second = logged({}).splitlines()
    assert re.fullmatch(
        r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z INFO  acteon\.gateway\.rulebook: "
        r'rules loaded rules=3 directory="my rules"',
        first,
    )
    assert second.endswith("ERROR acteon.gateway.rulebook: it broke")


def test_instants_are_in_utc() -> None:
    assert TextFormatter().format(record("hi")) == ("2025-01-01T00:00:00.250Z INFO  acteon.x: hi")


def test_levels_are_coloured_on_a_terminal_alone_unless_colours_are_unwanted() -> None:
    assert "\x1b[32mINFO \x1b[0m" in logged({}, Terminal())
    assert "\x1b" not in logged({"NO_COLOR": "1"}, Terminal())
    assert "\x1b" not in logged({})


def test_json_lines_have_the_same() -> None:
    lines = logged({"ACTEON_LOG_FORMAT": "json"}).splitlines()
    found = [json.loads(line) for line in lines]
    assert [entry["message"] for entry in found] == ["rules loaded", "it broke"]
    assert found[0] == {
        "timestamp": found[0]["timestamp"],
        "level": "info",
        "logger": "acteon.gateway.rulebook",
        "message": "rules loaded",
        "acteon.rules": 3,
        "acteon.directory": "my rules",
    }


def test_an_exception_comes_with_its_traceback() -> None:
    stream = io.StringIO()
    configure_logging({"ACTEON_LOG_FORMAT": "json"}, stream)
    try:
        raise KeyError("x")
    except KeyError:
        logging.getLogger("acteon").exception("failed")
    assert json.loads(stream.getvalue())["exception"].endswith("KeyError: 'x'")
    stream = io.StringIO()
    configure_logging({}, stream)
    try:
        raise KeyError("x")
    except KeyError:
        logging.getLogger("acteon").exception("failed")
    assert stream.getvalue().splitlines()[-1] == "  KeyError: 'x'"


def test_an_exceptions_text_forges_no_line_and_no_colour() -> None:
    forged = "2025-01-01T00:00:00.000Z INFO  acteon.server: all is well"
    stream = io.StringIO()
    configure_logging({}, stream)
    try:
        raise ValueError(f"x\n{forged}\r{forged}\x1b[2J\u202e")
    except ValueError:
        logging.getLogger("acteon").exception("failed")
    first, *rest = stream.getvalue().splitlines()
    assert first.endswith("failed")
    assert all(line.startswith("  ") for line in rest)
    assert not set(stream.getvalue()) & {"\x1b", "\r", "\u202e"}


@pytest.mark.parametrize("character", "\x1b\u2028\u202a\u202e\u2066\u2069")
def test_nothing_turns_a_line_round(character: str) -> None:
    text = TextFormatter().format(record(f"a{character}b", value=f"c{character}d"))
    assert character not in text


def test_json_lines_take_whatever_goes_with_them() -> None:
    circle: list[object] = []
    circle.append(circle)
    made = record("hi", keys={("a", 1): 2}, number=float("nan"), circle=circle, fine={"a": [1]})
    found = json.loads(JsonFormatter().format(made))
    assert found["acteon.keys"] == "{('a', 1): 2}"
    assert found["acteon.number"] == "nan"
    assert found["acteon.circle"] == "[[...]]"
    assert found["acteon.fine"] == {"a": [1]}


@given(message=st.text(), value=st.text())
def test_a_record_is_one_line_whatever_is_in_it(message: str, value: str) -> None:
    made = record("%s", value=value)
    made.args = (message,)
    assert len(TextFormatter().format(made).splitlines()) == 1
    assert json.loads(JsonFormatter().format(made))["acteon.value"] == value


@pytest.mark.parametrize(
    ("text", "levels"),
    [
        (None, LogLevels(logging.INFO)),
        ("", LogLevels(logging.ERROR)),
        ("debug", LogLevels(logging.DEBUG)),
        ("TRACE", LogLevels(TRACE)),
        ("off", LogLevels(OFF)),
        ("warn", LogLevels(logging.WARNING)),
        (
            "info, acteon.gateway=debug",
            LogLevels(logging.INFO, {"acteon.gateway": logging.DEBUG}),
        ),
        (
            "error,acteon_gateway=debug,acteon_state_redis=trace",
            LogLevels(
                logging.ERROR, {"acteon.gateway": logging.DEBUG, "acteon.state_redis": TRACE}
            ),
        ),
        (
            "info,tower_http=debug,acteon_gateway::pipeline=off",
            LogLevels(logging.INFO, {"tower_http": logging.DEBUG, "acteon.gateway.pipeline": OFF}),
        ),
        ("acteon=debug", LogLevels(logging.INFO, {"acteon": logging.DEBUG})),
        ("loud", None),
        ("acteon=loud", None),
        ("=debug", None),
        ("info,", LogLevels(logging.INFO)),
        (",", LogLevels(logging.ERROR)),
        ("info,,acteon=debug", LogLevels(logging.INFO, {"acteon": logging.DEBUG})),
        ("my-app.x=off", LogLevels(logging.INFO, {"my-app.x": OFF})),
        ("info;acteon=debug", None),
        ("info acteon=debug", None),
    ],
)
def test_filters_are_levels_and_levels_of_loggers(
    text: str | None, levels: LogLevels | None
) -> None:
    assert LogLevels.parse(text) == levels


def test_what_is_not_asked_for_is_not_logged() -> None:
    assert "a detail" not in logged({})
    assert "a detail" in logged({"ACTEON_LOG": "acteon.gateway=debug"})
    assert "rules loaded" not in logged({"ACTEON_LOG": "error,acteon.gateway=warn"})


def test_what_others_tell_is_logged_from_warn_on_unless_they_are_named() -> None:
    for asked, told in (
        ({}, False),
        ({"ACTEON_LOG": "debug"}, False),
        ({"ACTEON_LOG": "error,watchfiles=info"}, True),
    ):
        stream = io.StringIO()
        configure_logging(asked, stream)
        logging.getLogger("watchfiles.main").info("1 change detected")
        assert bool(stream.getvalue()) is told


def test_nothing_is_logged_when_logs_are_off() -> None:
    assert logged({"ACTEON_LOG": "off", "RUST_LOG": "debug"}) == ""


def test_the_own_variable_goes_before_the_common_one() -> None:
    assert "a detail" in logged({"RUST_LOG": "debug"})
    assert "a detail" not in logged({"ACTEON_LOG": "info", "RUST_LOG": "debug"})


def test_what_cannot_be_understood_is_told_and_means_info() -> None:
    text = logged({"ACTEON_LOG": "loud", "ACTEON_LOG_FORMAT": "xml"})
    assert "info,acteon.gateway=debug filter=loud" in text
    assert "the log format is neither text nor json: text it is format=xml" in text
    assert "rules loaded" in text
