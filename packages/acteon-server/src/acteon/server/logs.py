"""Logs of the server: lines for people or for machines, on stderr.

`ACTEON_LOG` (or else `RUST_LOG`) says what is logged: a level, and levels of single loggers, as in
`info,acteon.gateway=debug`. `ACTEON_LOG_FORMAT=json` makes each record one JSON object.
"""

import json
import logging
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Final, TextIO

from attrs import field, frozen

from acteon.server.lines import one_line

log = logging.getLogger(__name__)

TRACE: Final = 5
OFF: Final = logging.CRITICAL + 1

_LEVELS: Final = {
    "trace": TRACE,
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warn": logging.WARNING,
    "warning": logging.WARNING,
    "error": logging.ERROR,
    "off": OFF,
}
_TALKATIVE: Final = ("clickhouse_driver", "watchfiles")
"""Loggers that tell below `warn` what nobody wants to know who does not name them: each change of a
file, and statements with the values that are asked for."""
_COLOURS: Final = {"TRACE": "35", "DEBUG": "34", "INFO": "32", "WARN": "33", "ERROR": "31"}
_OWN: Final = "acteon."
_PLAIN: Final = re.compile(r"[^\s\"=\\\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]+")
_LOGGER: Final = re.compile(r"[\w-]+(?:(?:\.|::)[\w-]+)*")


def configure_logging(environ: Mapping[str, str], stream: TextIO | None) -> None:
    """Let all logs of the process go to `stream`, as `environ` asks; once, at the start.

    A stream that is closed, or that nobody reads any more, costs the logs and nothing else.
    """
    logging.raiseExceptions = False
    if stream is None:
        logging.getLogger().addHandler(logging.NullHandler())
        return
    handler = logging.StreamHandler(stream)
    wanted_format = environ.get("ACTEON_LOG_FORMAT", "") or "text"
    if wanted_format.lower() == "json":
        handler.setFormatter(JsonFormatter())
    else:
        coloured = stream.isatty() and not environ.get("NO_COLOR")
        handler.setFormatter(TextFormatter(coloured=coloured))
    text = environ.get("ACTEON_LOG", environ.get("RUST_LOG"))
    levels = LogLevels.parse(text)
    root = logging.getLogger()
    root.handlers[:] = [handler]
    (levels or LogLevels()).apply()
    if levels is None:
        log.warning(
            "the log filter is not understood: info holds; write ACTEON_LOG=debug, or "
            "info,acteon.gateway=debug",
            extra={"acteon.filter": text},
        )
    if wanted_format.lower() not in ("json", "text"):
        log.warning(
            "the log format is neither text nor json: text it is",
            extra={"acteon.format": wanted_format},
        )


@frozen
class LogLevels:
    """From which level on records are logged.

    Attributes:
        default: For all loggers that are not named.
        by_logger: For the named ones, and those below them.
    """

    default: int = logging.INFO
    by_logger: Mapping[str, int] = field(factory=dict[str, int])

    @classmethod
    def parse(cls, text: str | None) -> "LogLevels | None":
        """Return what `text` asks for; None if it cannot be understood.

        No text asks for `info`, an empty one for `error`. Names may be written as modules
        (`acteon.gateway`), with underscores (`acteon_gateway`) or with `::`.
        """
        if text is None:
            return cls()
        directives = [part for part in text.split(",") if part.strip()]
        if not directives:
            return cls(logging.ERROR)
        default = logging.INFO
        by_logger: dict[str, int] = {}
        for directive in directives:
            name, equals, level = (part.strip() for part in directive.partition("="))
            if not equals:
                name, level = "", name
            if level.lower() not in _LEVELS or (equals and not _LOGGER.fullmatch(name)):
                return None
            if name:
                by_logger[_logger_name(name)] = _LEVELS[level.lower()]
            else:
                default = _LEVELS[level.lower()]
        return cls(default, by_logger)

    def apply(self) -> None:
        """Set the levels of the process' loggers."""
        logging.addLevelName(TRACE, "TRACE")
        logging.getLogger().setLevel(self.default)
        for name in _TALKATIVE:
            logging.getLogger(name).setLevel(max(self.default, logging.WARNING))
        for name, level in self.by_logger.items():
            logging.getLogger(name).setLevel(level)


def _logger_name(name: str) -> str:
    dotted = name.replace("::", ".")
    return f"{_OWN}{dotted.removeprefix('acteon_')}" if dotted.startswith("acteon_") else dotted


class TextFormatter(logging.Formatter):
    """Lines for people: instant, level, logger, message, and `key=value` of what goes with it."""

    def __init__(self, *, coloured: bool = False) -> None:
        super().__init__()
        self._coloured = coloured

    def format(self, record: logging.LogRecord) -> str:
        level = _level_name(record)
        shown = f"{level:<5}"
        if self._coloured and level in _COLOURS:
            shown = f"\x1b[{_COLOURS[level]}m{shown}\x1b[0m"
        parts = [_instant(record), shown, f"{record.name}:", one_line(record.getMessage())]
        parts.extend(f"{name}={_shown(value)}" for name, value in _extras(record))
        line = " ".join(parts)
        # Indented, as the text of an exception may look like a line of ours.
        trace = [f"  {one_line(inner)}" for inner in _trace(self, record).split("\n") if inner]
        return "\n".join((line, *trace))


class JsonFormatter(logging.Formatter):
    """Lines for machines: one JSON object a record; what goes with it keeps its name."""

    def format(self, record: logging.LogRecord) -> str:
        members: dict[str, object] = {
            "timestamp": _instant(record),
            "level": _level_name(record).lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        members.update((f"{_OWN}{name}", _encodable(value)) for name, value in _extras(record))
        trace = _trace(self, record)
        if trace:
            members["exception"] = trace
        return json.dumps(members, default=str)


def _encodable(value: object) -> object:
    """Return `value`, or how it is written if JSON has no form for something in it."""
    try:
        json.dumps(value, default=str, allow_nan=False)
    except (TypeError, ValueError, RecursionError):  # Keys that are no texts, NaN, circles.
        return str(value)
    return value


def _level_name(record: logging.LogRecord) -> str:
    return "WARN" if record.levelno == logging.WARNING else record.levelname


def _instant(record: logging.LogRecord) -> str:
    instant = datetime.fromtimestamp(record.created, UTC)
    return f"{instant:%Y-%m-%dT%H:%M:%S}.{instant.microsecond // 1000:03}Z"


def _extras(record: logging.LogRecord) -> Iterator[tuple[str, object]]:
    for name, value in record.__dict__.items():
        if name.startswith(_OWN):
            yield name.removeprefix(_OWN), value


def _shown(value: object) -> str:
    text = str(value)
    return text if _PLAIN.fullmatch(text) else one_line(json.dumps(text, ensure_ascii=False))


def _trace(formatter: logging.Formatter, record: logging.LogRecord) -> str:
    parts = [record.exc_text or ""]
    if record.exc_info:
        parts = [formatter.formatException(record.exc_info)]
    if record.stack_info:
        parts.append(formatter.formatStack(record.stack_info))
    return "\n".join(part for part in parts if part)
