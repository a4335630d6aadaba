"""Reading what operators write, whatever stands in its place: it never hangs, nor fills memory."""

import os
import selectors
import stat
from pathlib import Path
from time import monotonic
from typing import Final

from acteon.core.errors import UnreadableFileError

PATIENCE: Final = 10.0
"""Seconds that a pipe has to say everything: `-c <(decrypt acteon.toml)` is one."""
_TRIES: Final = 5
_PIECE: Final = 65_536


def read_file(path: Path, *, max_bytes: int) -> bytes:
    """Return the whole content of `path`; of a file that changes meanwhile, what it changed to.

    Changes are known by size and time, which has its grain: who replaces a file while it may be
    read renames another one over it.

    Raises:
        UnreadableFileError: It cannot be read, changes all the time, or has more than `max_bytes`;
            the text does not name it.
    """
    try:
        for _ in range(_TRIES):
            content = _read(path, max_bytes)
            if content is not None:
                return content
    except FileNotFoundError:
        if path.is_symlink():
            raise UnreadableFileError("is a link to a file that is not there") from None
        raise UnreadableFileError("there is no such file") from None
    except PermissionError:
        raise UnreadableFileError(
            "cannot be read: permission denied; let the user of this process read it"
        ) from None
    except OSError as error:
        raise UnreadableFileError(f"cannot be read: {error.strerror}") from None
    except ValueError:
        raise UnreadableFileError("is no name of a file") from None
    raise UnreadableFileError("changes while it is read; try again")


def _read(path: Path, max_bytes: int) -> bytes | None:
    """Return the content of `path`, or None if it changed meanwhile."""
    # Opening a pipe would wait for somebody to write into it.
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        before = os.fstat(descriptor)
        if stat.S_ISDIR(before.st_mode):
            raise UnreadableFileError("is a directory, not a file")
        content = _all_of(descriptor, max_bytes)
        after = os.fstat(descriptor)
    finally:
        os.close(descriptor)
    if stat.S_ISFIFO(before.st_mode) and not content:
        raise UnreadableFileError("is a pipe that nothing comes out of")
    same = (before.st_size, before.st_mtime_ns) == (after.st_size, after.st_mtime_ns)
    return content if same or not stat.S_ISREG(before.st_mode) else None


def _all_of(descriptor: int, max_bytes: int) -> bytes:
    content = bytearray()
    end = monotonic() + PATIENCE
    while True:
        try:
            piece = os.read(descriptor, _PIECE)
        except BlockingIOError:
            with selectors.DefaultSelector() as selector:
                selector.register(descriptor, selectors.EVENT_READ)
                selector.select(max(0.0, end - monotonic()))
            if monotonic() >= end:
                raise UnreadableFileError(
                    f"is a pipe that did not end within {PATIENCE:g} seconds"
                ) from None
            continue
        if not piece:
            return bytes(content)
        content += piece
        if len(content) > max_bytes:
            raise UnreadableFileError(f"has more than {max_bytes} bytes")
