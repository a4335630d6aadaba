"""A server for the frameworks to talk to; the tests of those that are not installed are left out.

The session `integrations` names the files one by one, so that none of them is left out there.
"""

import asyncio
import threading
from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from anyio.from_thread import start_blocking_portal
from attrs import define, field

from acteon.audit import AuditSettings
from acteon.client import ActeonClient, AuditRecord
from acteon.core import Action
from acteon.executor import ExecutorSettings
from acteon.gateway import Gateway, parse_rules
from acteon.provider import ExecutionFailedError, Provider
from acteon.server.http import create_app
from acteon.server.pagetests import blocks, shell, write_files
from acteon.server.testing import RunningServer

collect_ignore = [
    f"test_{name}.py" for name in ("django", "celery", "airflow") if find_spec(name) is None
]


@define(eq=False)
class Desk:
    """A server in a thread of its own, whose provider `desk` keeps what is delivered.

    Attributes:
        url: Where it is.
        failing: Whether the provider fails.
        delivered: What was delivered.
    """

    url: str = ""
    failing: bool = False
    delivered: list[Action] = field(factory=list[Action])
    _came: threading.Condition = field(factory=threading.Condition)

    async def deliver(self, action: Action) -> None:
        """Deliver one action."""
        if self.failing:
            raise ExecutionFailedError("nobody is at the desk")
        with self._came:
            self.delivered.append(action)
            self._came.notify_all()

    def wait_for(self, count: int) -> list[Action]:
        """Return what was delivered, once there are so many."""
        with self._came:
            assert self._came.wait_for(lambda: len(self.delivered) >= count, 8), self.delivered
        return self.delivered

    def records(self) -> list[AuditRecord]:
        """Return the records of all actions, the oldest first."""
        with ActeonClient(self.url) as client:
            return list(client.iter_audit())[::-1]


OpenDesk = Callable[..., AbstractContextManager[Desk]]


@pytest.fixture
def open_desk() -> OpenDesk:
    """Give what opens such a server, with rules and more providers."""
    return _open


@contextmanager
def _open(rules: str = "", **providers: Provider) -> Generator[Desk]:
    desk = Desk()

    async def run(started: threading.Event, ending: asyncio.Event) -> None:
        everybody: dict[str, Any] = {"desk": desk.deliver, **providers}
        async with (
            Gateway.open(
                rules=parse_rules(rules or "rules: []"),
                providers=everybody,
                executor=ExecutorSettings(max_retries=0),
                audit_settings=AuditSettings(mode="sync"),
            ) as gateway,
            RunningServer() as server,
        ):
            server.app = create_app(gateway)
            desk.url = server.url
            started.set()
            await ending.wait()

    with start_blocking_portal("asyncio") as portal:
        started, ending = threading.Event(), portal.call(asyncio.Event)
        running = portal.start_task_soon(run, started, ending)
        running.add_done_callback(lambda _: started.set())
        try:
            assert started.wait(30)
            yield desk
        finally:
            portal.call(ending.set)
            running.result()


@pytest.fixture
def desk(open_desk: OpenDesk) -> Generator[Desk]:
    """Give such a server without rules."""
    with open_desk() as opened:
        yield opened


PAGE = Path(__file__).parents[4] / "docs" / "integrations.md"
TypeSection = Callable[[str], None]


@pytest.fixture
def type_section(tmp_path: Path) -> TypeSection:
    """Give what types a section of the page into a shell; what is shown has to come out."""
    page = PAGE.read_text(encoding="utf-8")
    sections = {text.partition("\n")[0]: text for text in page.split("\n## ")[1:]}

    def type_it(name: str) -> None:
        text = sections["A server to try it with"] + sections[name]
        write_files(text, tmp_path)
        with shell(tmp_path) as typing:
            typing.type_page(blocks(text))

    return type_it
