"""What the tests of several servers share."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from servers.waiting import wait_until

Gone = Callable[[int, Path], None]


@pytest.fixture
def assert_gone() -> Gone:
    """Wait until neither the process nor the folder is there, failing after some seconds."""

    def gone(pid: int, folder: Path) -> None:
        wait_until(
            f"process {pid} and {folder} are gone",
            lambda: not Path(f"/proc/{pid}").exists() and not folder.exists(),
            timedelta(seconds=10),
        )

    return gone
