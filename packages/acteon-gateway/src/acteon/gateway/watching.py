"""Noticing that the files of a directory may have changed."""

import logging
import stat
from collections.abc import AsyncGenerator
from contextlib import aclosing
from datetime import timedelta
from pathlib import Path
from typing import Final

import anyio.to_thread
from attrs import frozen

from acteon.core import Clock

log = logging.getLogger(__name__)

QUIET: Final = timedelta(milliseconds=200)
"""So long nothing must happen before a change counts as complete: editors write several times."""
AT_MOST: Final = timedelta(seconds=1.6)
"""So long a change is waited for that never seems complete."""


async def watch(path: Path, clock: Clock, *, at_least_every: timedelta) -> AsyncGenerator[None]:
    """Yield when something in `path` may have changed, and once in a while all the same.

    What the file system does not report, as over a network or behind links, is found in that way,
    and so it is where nothing can be watched at all. The path may vanish, and be made again.

    Args:
        path: A directory, or a file.
        clock: Paces the looks where nothing can be watched.
        at_least_every: How far two looks are apart.
    """
    # Types of the other async library that it serves are unknown here.
    from watchfiles import awatch  # pyright: ignore[reportUnknownVariableType]

    told = False
    while True:
        place = await anyio.to_thread.run_sync(_Place.nearest, path)
        yield  # Nobody has watched until now.
        events = awatch(
            place.path,
            watch_filter=None,
            recursive=False,
            step=_milliseconds(QUIET),
            debounce=_milliseconds(AT_MOST),
            rust_timeout=_milliseconds(at_least_every),
            yield_on_timeout=True,
        )
        try:
            async with aclosing(events):
                async for _ in events:
                    yield
                    if await anyio.to_thread.run_sync(_Place.nearest, path) != place:
                        break
        except (OSError, RuntimeError, ExceptionGroup) as error:
            # It vanished just now, or the system watches nothing more for this user, or not there.
            if not told:
                log.warning(
                    "a directory cannot be watched; it is looked at now and then",
                    extra={"acteon.directory": str(place.path), "acteon.error": str(error)},
                )
            told = True
            await clock.sleep(at_least_every)


def _milliseconds(time: timedelta) -> int:
    return time // timedelta(milliseconds=1)


@frozen
class _Place:
    """A directory, and which one it is of those that had its name."""

    path: Path
    device: int
    inode: int

    @classmethod
    def nearest(cls, path: Path) -> "_Place":
        """Return the directory at `path`, or the nearest one above it that there is."""
        whole = path.absolute()
        for candidate in (whole, *whole.parents):
            try:
                found = candidate.stat()
            except OSError:
                continue
            if stat.S_ISDIR(found.st_mode):
                return cls(candidate, found.st_dev, found.st_ino)
        raise FileNotFoundError(path)  # Not even the root can be looked at.
