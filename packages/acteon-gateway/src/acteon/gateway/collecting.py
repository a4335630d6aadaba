"""Keeping the garbage collector from holding everybody up while a great deal is made."""

import gc
import threading
from collections.abc import Generator
from contextlib import contextmanager
from typing import Final

from attrs import define, field

_NEVER: Final = 2**31 - 1


@define(eq=False)
class _Pauses:
    """Who wants no full collections now, and how often there were some before."""

    lock: threading.Lock = field(factory=threading.Lock)
    wanted_by: int = 0
    before: int = 0


_pauses: Final = _Pauses()


@contextmanager
def no_full_collections() -> Generator[None]:
    """Let the collector leave old objects alone while the block runs, in all threads.

    Looking at all of them stops all threads for as long as it takes, and the more objects are made
    that stay, the more often it does so. Young garbage is collected as ever.
    """
    with _pauses.lock:
        _pauses.wanted_by += 1
        if _pauses.wanted_by == 1:
            young, middle, _pauses.before = gc.get_threshold()
            gc.set_threshold(young, middle, _NEVER)
    try:
        yield
    finally:
        with _pauses.lock:
            _pauses.wanted_by -= 1
            if not _pauses.wanted_by:
                young, middle, _ = gc.get_threshold()
                gc.set_threshold(young, middle, _pauses.before)
