"""Gateways in several processes over one store: each thing happens once, whoever is killed."""

import asyncio
import json
import os
import random
import sys
import sysconfig
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Generator, Iterator, Sequence
from contextlib import (
    AbstractAsyncContextManager,
    AbstractContextManager,
    AsyncExitStack,
    asynccontextmanager,
    contextmanager,
)
from pathlib import Path
from time import monotonic
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from attrs import define, field, frozen

from acteon.provider.testing import Receiver
from servers import clickhouse, dynamodb, postgres, redis

pytestmark = pytest.mark.server

WORKER = Path(__file__).with_name("fleet_worker.py")
SERVER = Path(sysconfig.get_path("scripts"), "acteon-server")
PROCESSES = 4
LEASE = 2
"""Seconds; what a server that was killed held is free again then."""
MANY = 500
"""Of so many actions some are under way whenever a server is killed."""
IN_PROGRESS = "IN_PROGRESS: another action with the same deduplication key is still being delivered"

ONCE = """
rules:
  - name: once
    condition: {all: []}
    action: {type: deduplicate, ttl_seconds: 600}
"""
TEN = """
rules:
  - name: ten
    condition: {all: []}
    action: {type: throttle, max_count: 10, window_seconds: 600}
"""


class Fleet:
    """Processes that do what they are told at the same time."""

    def __init__(self, processes: Sequence[Process], deliveries: Path) -> None:
        self._processes = processes
        self._deliveries = deliveries

    async def race(self, number: int, count: int, key: str) -> Counter[str]:
        """Let each process dispatch `count` actions with one key; return how they ended."""
        line = json.dumps({"round": number, "count": count, "key": key}).encode() + b"\n"
        for process in self._processes:
            assert process.stdin is not None
            process.stdin.write(line)
        ended: Counter[str] = Counter()
        for process in self._processes:
            ended.update(json.loads(await told(process)))
        return ended

    def delivered(self) -> Counter[str]:
        """Return how often each key was delivered."""
        return Counter(self._deliveries.read_text().split())


async def told(process: Process) -> str:
    assert process.stdout is not None
    line = await asyncio.wait_for(process.stdout.readline(), 50)
    assert line, "a process of the fleet has ended"
    return line.decode().strip()


StartFleet = Callable[[str], AbstractAsyncContextManager[Fleet]]


@frozen
class Scale:
    """How much a store can take in the time that tests have.

    Attributes:
        rounds: How often many meet on one key.
        all_rounds: How often where there is time.
        at_once: How many dispatches of each process do.
        counted: How many of each process meet on one quota, and how many are sent at a time
            while servers are killed.
        killed: How many actions are dispatched while servers are killed; 0: that is not done.
        all_killed: How many where there is time.
        slow: How many seconds taking over may take beyond the lease, on a machine that does
            other things as well; where there is time, it is one.
        in_time: Whether all who wait for the one who delivers are told in the time they have.
    """

    rounds: int
    all_rounds: int
    at_once: int
    counted: int
    killed: int
    all_killed: int
    in_time: bool = True
    slow: int = 1


@contextmanager
def on_redis(folder: Path) -> Generator[dict[str, Any]]:
    with redis.running() as server:
        yield {"backend": "redis", "url": server.url}


@contextmanager
def on_postgres(folder: Path) -> Generator[dict[str, Any]]:
    with postgres.running() as server:
        yield {"backend": "postgres", "url": server.url, "prefix": "acteon"}


@contextmanager
def on_dynamodb(folder: Path) -> Generator[dict[str, Any]]:
    with dynamodb.running() as server:
        yield {"backend": "dynamodb", "url": server.url}


@contextmanager
def on_clickhouse(folder: Path) -> Generator[dict[str, Any]]:
    with clickhouse.running() as server:
        yield {"backend": "clickhouse", "url": server.url, "allow_weak_locks": True}


@contextmanager
def on_sqlite(folder: Path) -> Generator[dict[str, Any]]:
    yield {"backend": "sqlite", "path": str(folder / "state.db")}


Store = Callable[[Path], AbstractContextManager[dict[str, Any]]]

STORES: dict[str, tuple[Store, Scale]] = {
    "redis": (on_redis, Scale(50, 1_000, 64, 64, killed=500, all_killed=5_000)),
    "postgres": (on_postgres, Scale(50, 1_000, 64, 64, killed=500, all_killed=5_000)),
    "dynamodb": (on_dynamodb, Scale(2, 20, 64, 16, killed=100, all_killed=500, slow=5)),
    "clickhouse": (on_clickhouse, Scale(2, 5, 8, 8, killed=0, all_killed=0, in_time=False)),
    "sqlite": (on_sqlite, Scale(2, 10, 32, 32, killed=200, all_killed=1_000, slow=5)),
}


@pytest.fixture(scope="module", params=STORES)
def store(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[dict[str, Any], Scale]]:
    """Give what `[state]` says of a real store, and its scale."""
    opened, scale = STORES[request.param]
    with opened(tmp_path_factory.mktemp(request.param)) as settings:
        yield settings, scale


@pytest.fixture
def state(store: tuple[dict[str, Any], Scale]) -> dict[str, Any]:
    return store[0]


@pytest.fixture
def scale(store: tuple[dict[str, Any], Scale]) -> Scale:
    return store[1]


@pytest.fixture
def start(state: dict[str, Any], tmp_path: Path) -> StartFleet:
    """Give what starts processes that share the store of the test, with the rules given."""

    @asynccontextmanager
    async def start_fleet(rules: str) -> AsyncGenerator[Fleet]:
        deliveries = tmp_path / "deliveries"
        deliveries.touch()
        settings = dict(state)
        argument = json.dumps(
            {
                "backend": settings.pop("backend"),
                "settings": settings,
                "rules": rules,
                "deliveries": str(deliveries),
            }
        )
        async with AsyncExitStack() as stack:
            processes: list[Process] = []
            for _ in range(PROCESSES):
                process = await asyncio.create_subprocess_exec(
                    sys.executable, str(WORKER), argument, stdin=PIPE, stdout=PIPE
                )
                stack.push_async_callback(ended, process)
                processes.append(process)
            for process in processes:
                assert await told(process) == "ready"
            yield Fleet(processes, deliveries)

    return start_fleet


async def ended(process: Process) -> None:
    if process.returncode is None:
        process.kill()
    await process.communicate()


def chosen(few: int, all_of_them: int) -> int:
    """Return `few`, unless `ACTEON_TEST_FULL` is set."""
    return all_of_them if os.environ.get("ACTEON_TEST_FULL") else few


@pytest.mark.timeout(1800)
async def test_of_many_with_one_key_one_is_delivered(start: StartFleet, scale: Scale) -> None:
    async with start(ONCE) as fleet:
        number = chosen(scale.rounds, scale.all_rounds)
        for each in range(number):
            found = await fleet.race(each, scale.at_once, f"key-{each}")
            whole = PROCESSES * scale.at_once
            if scale.in_time:
                assert found == {"executed": 1, "deduplicated": whole - 1}, f"round {each}"
            else:
                sys.stdout.write(f"{dict(found)}\n")
                assert found["executed"] <= 1, f"round {each}"
                assert found.keys() <= {"executed", "deduplicated", IN_PROGRESS}
        delivered = fleet.delivered()
        assert delivered.keys() <= {f"key-{each}" for each in range(number)}
        assert set(delivered.values()) == {1}
        assert not scale.in_time or len(delivered) == number


async def test_a_throttle_lets_through_as_many_as_it_says(start: StartFleet, scale: Scale) -> None:
    async with start(TEN) as fleet:
        found = await fleet.race(0, scale.counted, "ten")
        assert found == {"executed": 10, "throttled": PROCESSES * scale.counted - 10}
        assert fleet.delivered() == {"ten": 10}


CONFIG = """
[server]
port = 0

[executor]
lock_lease_seconds = {lease}

[rules]
directory = "{rules}"

[state]
{state}

[[providers]]
name = "hook"
type = "webhook"
url = "{url}"
allow_networks = ["127.0.0.0/8"]
"""


@define(eq=False)
class Servers:
    """Three servers that are killed, each in its turn, and started again.

    Attributes:
        config: The configuration of all.
        kills: How many were killed.
    """

    config: Path
    kills: int = 0
    _running: dict[int, tuple[Process, str]] = field(factory=dict[int, tuple[Process, str]])
    _news: asyncio.Condition = field(factory=asyncio.Condition)

    async def start(self, number: int) -> None:
        """Start one, and return when it listens."""
        process = await asyncio.create_subprocess_exec(
            SERVER, "-c", str(self.config), stdout=DEVNULL, stderr=PIPE
        )
        assert process.stderr is not None
        async for line in process.stderr:
            _, found, url = line.decode().partition("listening url=")
            if found:
                break
        else:
            raise AssertionError("a server has ended")
        async with self._news:
            self._running[number] = process, url.split()[0]
            self._news.notify_all()

    async def kill_one(self) -> None:
        """Kill one that is running, and start another one in its place."""
        number = random.choice(sorted(self._running))
        process, _ = self._running.pop(number)
        process.kill()
        self.kills += 1
        await process.communicate()
        await self.start(number)

    async def one(self) -> str:
        """Return the address of one that is running, as soon as there is one."""
        async with self._news:
            await self._news.wait_for(lambda: bool(self._running))
        return random.choice([url for _, url in self._running.values()])

    async def end(self) -> None:
        for process, _ in self._running.values():
            await ended(process)


@define(eq=False)
class Deliveries:
    """What the receiver does: it takes its time, so that servers are killed in the midst of it.

    Attributes:
        under_way: How many deliveries have begun that have not been answered.
        finished: The keys of those that have been.
    """

    under_way: int = 0
    finished: set[str] = field(factory=set[str])

    async def take(self, request: web.BaseRequest) -> web.Response:
        """Take one delivery."""
        key: str = json.loads(await request.read())["payload"]["key"]
        self.under_way += 1
        try:
            await asyncio.sleep(0.05)
        finally:
            self.under_way -= 1
        self.finished.add(key)
        return web.Response()


@define(eq=False)
class Client:
    """Sends actions until each has got an answer that is its last.

    Attributes:
        deliveries: What has come of them.
        outcomes: How many ended how.
        told_too_early: The keys that were called duplicates before anything was delivered.
        longest: The most seconds from a broken connection to the answer.
    """

    servers: Servers
    deliveries: Deliveries
    session: aiohttp.ClientSession
    outcomes: Counter[str] = field(factory=Counter[str])
    told_too_early: list[str] = field(factory=list[str])
    longest: float = 0.0

    async def send(self, key: str) -> None:
        """Dispatch the action `key` until it is known what became of it."""
        action = {
            "id": key,
            "namespace": "fleet",
            "tenant": "t",
            "provider": "hook",
            "action_type": "race",
            "payload": {"key": key},
            "dedup_key": key,
        }
        broke: float | None = None
        while True:
            try:
                url = await self.servers.one()
                async with self.session.post(f"{url}/v1/dispatch", json=action) as answer:
                    outcome: Any = await answer.json()
            except (aiohttp.ClientError, OSError):
                broke = monotonic()
                continue
            if "error" in outcome:
                assert outcome["retryable"], outcome
                continue
            break
        if broke is not None:
            self.longest = max(self.longest, monotonic() - broke)
        (name,) = [outcome] if isinstance(outcome, str) else outcome
        self.outcomes[name] += 1
        if name == "Deduplicated" and key not in self.deliveries.finished:
            self.told_too_early.append(key)


@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    "store", [name for name, (_, scale) in STORES.items() if scale.killed], indirect=True
)
async def test_nothing_is_lost_when_servers_are_killed(
    state: dict[str, Any], scale: Scale, tmp_path: Path
) -> None:
    (tmp_path / "rules").mkdir()
    (tmp_path / "rules" / "rules.yaml").write_text(ONCE)
    config = tmp_path / "acteon.toml"
    deliveries = Deliveries()
    async with Receiver(default=deliveries.take) as receiver, aiohttp.ClientSession() as session:
        config.write_text(
            CONFIG.format(
                lease=LEASE,
                rules=tmp_path / "rules",
                state="\n".join(f"{key} = {json.dumps(value)}" for key, value in state.items()),
                url=receiver.url,
            )
        )
        servers = Servers(config)
        client = Client(servers, deliveries, session)
        keys = [f"kill-{each}" for each in range(chosen(scale.killed, scale.all_killed))]
        try:
            await asyncio.gather(*(servers.start(number) for number in range(3)))
            cut_off = await send_all(client, receiver, keys, scale.counted)
        finally:
            await servers.end()
        counts = Counter(each.json["payload"]["key"] for each in receiver.requests)
    twice = sum(count - 1 for count in counts.values())
    sys.stdout.write(
        f"{len(keys)} actions, {servers.kills} servers killed: {dict(client.outcomes)}, "
        f"{twice} delivered again, {client.longest:.1f} s at most to take over\n"
    )
    assert servers.kills >= 3
    assert set(counts) == set(keys), "each was delivered"
    assert client.outcomes.keys() <= {"Executed", "Deduplicated"}
    assert client.outcomes.total() == 2 * len(keys)
    assert client.told_too_early == []
    # What was under way in a server that was killed, or had not been settled, may be delivered
    # again. Without deduplication it would be all of them.
    assert cut_off > 0
    assert twice <= min(servers.kills * scale.counted, len(keys) // 2)
    assert client.outcomes["Deduplicated"] >= len(keys) - twice
    assert client.longest <= LEASE + chosen(scale.slow, 1)
    if scale.killed >= MANY:
        # Somebody had to wait for the lease of a server that was killed.
        assert client.longest > LEASE / 2


async def send_all(client: Client, receiver: Receiver, keys: Sequence[str], at_once: int) -> int:
    """Send each of `keys` twice, so many at a time; kill a server after each tenth of them.

    Returns:
        How many deliveries were under way at these moments, of all servers together.
    """
    waiting = [key for key in keys for _ in "12"]
    cut_off = 0

    async def work() -> None:
        while waiting:
            await client.send(waiting.pop())

    async def kill() -> None:
        nonlocal cut_off
        for count in range(len(keys) // 10, len(keys), len(keys) // 10):
            await receiver.wait_for(count)
            cut_off += client.deliveries.under_way
            await client.servers.kill_one()

    async with asyncio.TaskGroup() as group:
        for _ in range(at_once):
            group.create_task(work())
        group.create_task(kill())
    return cut_off
