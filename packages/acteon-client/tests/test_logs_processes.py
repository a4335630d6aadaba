"""Four processes raise 7,700 identical exceptions: one delivery, and a count of the rest."""

import asyncio
import json
import sys
from asyncio.subprocess import PIPE
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import pytest
from attrs import define, field

from acteon.audit import AuditSettings
from acteon.client import ActeonClient
from acteon.core import Action
from acteon.gateway import Gateway, parse_rules
from acteon.server.http import create_app
from acteon.server.testing import RunningServer

WORKER = Path(__file__).parent / "logs_worker.py"
PROCESSES = 4
ORDERS = 1925
TOTAL = 7700

RULES = """
rules:
  - name: once
    priority: 1
    condition: {field: action.action_type, eq: log}
    action: {type: deduplicate, ttl_seconds: 300}
"""


@define(eq=False)
class Desk:
    """A server whose provider `desk` keeps what is delivered."""

    url: str
    gateway: Gateway
    delivered: list[Action] = field(factory=list[Action])

    def failures(self) -> list[Action]:
        """Return what was delivered of what the processes had to tell."""
        return [action for action in self.delivered if action.payload["exception"]]

    async def told(self) -> list[Any]:
        """Return the payloads of all actions of the processes, from the audit trail."""
        with ActeonClient(self.url) as client:
            records = await asyncio.to_thread(lambda: list(client.iter_audit()))
        payloads = [record.action_payload for record in records]
        return [payload for payload in payloads if payload["exception"]]


@pytest.fixture
async def desk() -> AsyncGenerator[Desk]:
    delivered: list[Action] = []

    async def deliver(action: Action) -> None:
        delivered.append(action)

    async with (
        Gateway.open(
            rules=parse_rules(RULES),
            providers={"desk": deliver},
            audit_settings=AuditSettings(mode="sync"),
        ) as gateway,
        RunningServer() as server,
    ):
        server.app = create_app(gateway)
        yield Desk(server.url, gateway, delivered)


async def run(desk: Desk, kind: str, interval: float, processes: int) -> bytes:
    """Run the program to its end, and return what it prints."""
    arguments = (desk.url, kind, str(interval), str(processes), str(ORDERS))
    process = await asyncio.create_subprocess_exec(
        sys.executable, str(WORKER), *arguments, stdout=PIPE, stderr=PIPE
    )
    printed, complained = await process.communicate()
    assert (process.returncode, complained) == (0, b"")
    return printed


@pytest.mark.parametrize("interval", [60.0, 0.0], ids=["counted here", "counted by the server"])
async def test_four_programs(desk: Desk, interval: float) -> None:
    async with asyncio.TaskGroup() as group:
        running = [group.create_task(run(desk, "alone", interval, 1)) for _ in range(PROCESSES)]
    counts = [json.loads(each.result()) for each in running]

    assert len(desk.failures()) == 1
    executed, left_out, submitted = map(sum, zip(*counts, strict=True))
    assert (executed, submitted) == (1, TOTAL)
    assert executed + left_out == TOTAL
    # The server counts those that came to it, and each of these tells how many it stands for.
    told = await desk.told()
    assert desk.gateway.counters["deduplicated"] == len(told) - 1
    assert sum(1 + payload["repeated"] for payload in told) == TOTAL
    if interval == 0:
        assert len(told) == TOTAL


@pytest.mark.parametrize("kind", ["fork", "pool", "spawn"])
async def test_the_processes_of_one_program(desk: Desk, kind: str) -> None:
    await run(desk, kind, 60.0, PROCESSES)

    assert len(desk.failures()) == 1
    told = await desk.told()
    assert desk.gateway.counters["deduplicated"] == len(told) - 1
    assert {payload["process"]["name"] for payload in told} != {"MainProcess"}
    assert sum(1 + payload["repeated"] for payload in told) == TOTAL


ENDING = """
import logging
import time

from acteon.client.logs import ActeonHandler
from acteon.gateway import SyncGateway


def desk(action):
    time.sleep(0.2)
    print(action.payload["message"], action.payload["repeated"], flush=True)


gateway = SyncGateway.open(providers=[desk]).__enter__()
handler = ActeonHandler(namespace="shop", tenant="acme", provider="desk", gateway=gateway)
logging.getLogger().addHandler(handler)
for _ in range(3):
    logging.error("disk full")
"""


async def test_a_program_ends_when_all_is_told_by_its_own_gateway() -> None:
    assert await run_text(ENDING) == ["disk full 0", "disk full 1"]


HANGING = """
import logging
import socket

from acteon.client.logs import ActeonHandler

server = socket.create_server(("127.0.0.1", 0))  # It takes connections, and never answers.
handler = ActeonHandler(
    namespace="shop",
    tenant="acme",
    provider="desk",
    url=f"http://127.0.0.1:{server.getsockname()[1]}",
    flush_timeout=0.1,
)
logging.getLogger().addHandler(handler)
logging.error("disk full")
"""


async def test_a_program_does_not_wait_longer_for_a_server_that_hangs() -> None:
    async with asyncio.timeout(15):  # The client itself would wait for 30 s.
        assert await run_text(HANGING) == []


async def run_text(program: str) -> list[str]:
    """Run `program` to its end, and return the lines that it prints."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", program, stdout=PIPE, stderr=PIPE
    )
    try:
        printed, complained = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert (process.returncode, complained) == (0, b"")
    return printed.decode().splitlines()
