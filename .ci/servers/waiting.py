"""Waiting for what a server does in its own time."""

import time
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta

from servers.errors import ServerError


def wait_until(what: str, holds: Callable[[], bool], limit: timedelta) -> None:
    """Return as soon as `holds` does; raise `ServerError` after `limit`. An `OSError` means no."""
    deadline = time.monotonic() + limit.total_seconds()
    while True:
        with suppress(OSError):
            if holds():
                return
        if time.monotonic() > deadline:
            raise ServerError(f"waited {limit} in vain until {what}")
        time.sleep(0.02)
