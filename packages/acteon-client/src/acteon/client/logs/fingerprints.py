"""What makes two log records the same one."""

import logging
from hashlib import sha256
from types import TracebackType
from typing import Any, Final

_LENGTH: Final = 32


def fingerprint_of(record: logging.LogRecord) -> str:
    """Return what is equal for equal records: of one kind, from one place.

    That is the type of the exception, the line that raised it, and the message before its
    arguments are put in. Without an exception it is the line that logged, and the level.
    """
    message: object = record.msg  # Such as an exception: `log.error(error)`.
    template = message if isinstance(message, str) else type_name(type(message))
    _, error, traceback = record.exc_info or (None, None, None)
    if error is None or traceback is None:
        kind = "" if error is None else type_name(type(error))
        place = f"{record.name}:{record.levelname}:{record.module}:{record.lineno}"
        return fingerprint(kind, place, template)
    return fingerprint(type_name(type(error)), raising_place(traceback), template)


def fingerprint(*parts: str) -> str:
    """Return a short text that is equal for equal `parts`, in all processes."""
    text = "\0".join(parts).encode("utf-8", "surrogatepass")
    return sha256(text).hexdigest()[:_LENGTH]


def raising_place(traceback: TracebackType) -> str:
    """Return the line that raised, by names that are the same wherever the program is installed."""
    while traceback.tb_next is not None:
        traceback = traceback.tb_next
    frame = traceback.tb_frame
    module = frame.f_globals.get("__name__", "?")
    return f"{module}:{frame.f_code.co_qualname}:{traceback.tb_lineno}"


def type_name(kind: type[Any]) -> str:
    """Return the name of a class as people write it."""
    if kind.__module__ in ("builtins", "__main__"):
        return kind.__qualname__
    return f"{kind.__module__}.{kind.__qualname__}"
