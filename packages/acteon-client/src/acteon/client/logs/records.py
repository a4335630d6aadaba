"""What a log record says, as the payload of an action."""

import logging
import os
import socket
import traceback
from datetime import UTC, datetime
from functools import cache
from typing import Any, Final

from acteon.client.logs.fingerprints import type_name
from acteon.client.plain import message_of, plain, text
from acteon.core import format_instant

_STACK: Final = 30_000
_USUAL: Final = frozenset(
    {*vars(logging.makeLogRecord({})), "message", "asctime", "taskName", "exc_text", "stack_info"}
)
_hostname = cache(socket.gethostname)


def fields_of(record: logging.LogRecord, formatter: logging.Formatter | None) -> dict[str, Any]:
    """Return all that `record` says, in plain values.

    Args:
        record: It; nothing of it is kept.
        formatter: Makes the message, if there is one.
    """
    _, error, _ = record.exc_info or (None, None, None)
    return {
        "timestamp": format_instant(instant_of(record)),
        "level": record.levelname,
        "logger": text(record.name),
        "message": text(record.getMessage() if formatter is None else formatter.format(record)),
        "exception": None
        if error is None
        else {"type": type_name(type(error)), "message": message_of(error)},
        "stack": _stack(record),
        "location": f"{record.module}.{record.funcName}:{record.lineno}",
        "process": {
            "id": record.process or os.getpid(),
            "name": record.processName,
            "host": _hostname(),
        },
        "thread": record.threadName,
        "extra": {name: plain(value) for name, value in vars(record).items() if name not in _USUAL},
        "repeated": 0,
    }


def instant_of(record: logging.LogRecord) -> datetime:
    """Return when `record` was made."""
    return datetime.fromtimestamp(record.created, UTC)


def _stack(record: logging.LogRecord) -> str | None:
    _, error, _ = record.exc_info or (None, None, None)
    if error is not None:
        return text("".join(traceback.format_exception(error)), _STACK, end=True)
    return text(record.exc_text or record.stack_info or "", _STACK, end=True) or None
