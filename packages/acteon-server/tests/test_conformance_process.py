"""The server as a process: how it starts, and how it ends. Ids are case numbers."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from attrs import define, field

from acteon.provider.testing import Receiver, answer
from acteon.server.testing import Answer, request

LIMIT = 30.0
"""Seconds after which whatever a process should do counts as not done."""

A: dict[str, Any] = {
    "id": "a1",
    "namespace": "notifications",
    "tenant": "t1",
    "provider": "slow",
    "action_type": "send_email",
    "payload": {"to": "u@example.com"},
}


@define(eq=False)
class Server:
    """A server in a process of its own.

    Attributes:
        process: It.
        url: Where it listens.
        logged: What it has logged so far.
    """

    process: asyncio.subprocess.Process
    url: str = ""
    logged: list[dict[str, Any]] = field(factory=list[dict[str, Any]])

    async def says(self, message: str) -> dict[str, Any]:
        """Return the next log record with that message."""
        stderr = self.process.stderr
        assert stderr is not None
        async with asyncio.timeout(LIMIT):
            while line := await stderr.readline():
                record: dict[str, Any] = json.loads(line)
                self.logged.append(record)
                if record["message"] == message:
                    return record
        raise AssertionError(f"it ended without {message!r}: {self.logged}")

    async def dispatch(self) -> Answer:
        headers = {"content-type": "application/json"}
        return await request(
            self.url, "POST", "/v1/dispatch", json.dumps(A).encode(), headers=headers
        )

    async def ended(self) -> int:
        """Return how it ended."""
        async with asyncio.timeout(LIMIT):
            await self.process.communicate()
        assert self.process.returncode is not None
        return self.process.returncode


Starting = Callable[[str], AbstractAsyncContextManager[Server]]


@pytest.fixture(params=["uvicorn", "hypercorn"])
def start(request: pytest.FixtureRequest, tmp_path: Path) -> Starting:
    """Give what starts a server in an empty folder with a configuration, on any port."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("ACTEON_")}
    environ = {
        **kept,
        "ACTEON_SERVER_ASGI": request.param,
        "ACTEON_LOG_FORMAT": "json",
        "PYTHONPATH": str(Path(__file__).parent / "journal"),
    }

    @asynccontextmanager
    async def started(text: str) -> AsyncGenerator[Server]:
        options = ["--port", "0"]
        if text:
            (tmp_path / "my.toml").write_text(text)
            options += ["-c", "my.toml"]
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "acteon.server", *options),
            cwd=tmp_path,
            env=environ,
            stderr=asyncio.subprocess.PIPE,
        )
        server = Server(process)
        try:
            server.url = (await server.says("listening"))["acteon.url"]
            yield server
        finally:
            if process.returncode is None:
                process.kill()
                await process.communicate()

    return started


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with Receiver() as receiver:
        yield receiver


def slow(receiver: Receiver, *, limit: float) -> str:
    """Return a configuration with provider `slow`, an audit journal and that much time to end."""
    return f"""
[server]
shutdown_timeout_seconds = {limit}
[audit]
enabled = true
backend = "journal"
path = "journal.jsonl"
[[providers]]
name = "slow"
type = "webhook"
url = "{receiver.url}"
allow_networks = ["127.0.0.0/8"]
"""


def journal(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "journal.jsonl").read_text().splitlines()]


async def no_longer_listens(url: str) -> None:
    """Return when nobody listens there any more."""
    _, _, place = url.partition("://")
    host, _, port = place.partition(":")
    async with asyncio.timeout(LIMIT):
        while True:
            try:
                _, writer = await asyncio.open_connection(host, int(port))
            except ConnectionError:
                return
            writer.close()


async def test_without_a_configuration_the_defaults_hold(start: Starting) -> None:  # 129
    async with start("") as server:
        found = await request(server.url, "GET", "/health")
        assert found.json()["status"] == "ok"
        server.process.send_signal(signal.SIGINT)
        assert await server.ended() == 0


async def test_a_missing_directory_of_rules_is_a_warning(start: Starting) -> None:  # 133
    async with start('[rules]\ndirectory = "missing"') as server:
        assert (await request(server.url, "GET", "/v1/rules")).json() == []
        (warning,) = [record for record in server.logged if "acteon.directory" in record]
        assert warning["level"] == "warn"
        assert warning["acteon.directory"].endswith("missing")


async def test_limits_hold_that_are_configured(start: Starting, tmp_path: Path) -> None:
    (tmp_path / "ratelimit.toml").write_text(
        "[callers.anonymous]\nrequests_per_window = 5\nwindow_seconds = 31536000\n"
        "[tenants]\nenabled = true\n"
        "[tenants.default]\nrequests_per_window = 1\nwindow_seconds = 31536000\n"
    )
    async with start("[rate_limit]\nenabled = true") as server:
        assert [(await server.dispatch()).status for _ in range(2)] == [200, 429]
        left = [
            (await request(server.url, "GET", "/v1/rules")).header("x-ratelimit-remaining")
            for _ in range(4)
        ]
        assert left == ["2", "1", "0", "0"]
        (read,) = [one for one in server.logged if one["message"] == "rate limits read"]
        assert (read["acteon.path"], read["acteon.tenants"]) == ("ratelimit.toml", True)


async def test_rule_files_that_change_are_put_in_force_if_they_are_watched(
    start: Starting, tmp_path: Path
) -> None:
    file = tmp_path / "rules" / "a.yaml"
    file.parent.mkdir()
    rule = "{name: no, condition: {all: []}, action: {type: deny}}"
    file.write_text("rules: []")
    async with start('[rules]\ndirectory = "rules"\nwatch = true\n') as server:
        (tmp_path / "new").write_text("rules: [{name: no}]")
        (tmp_path / "new").rename(file)
        refused = await server.says("changed rule files cannot be used: the rules stay as they are")
        assert refused["acteon.problem"].startswith("rules/a.yaml:1:9: rule 'no': missing field")
        assert "Executed" not in (await server.dispatch()).json()
        (tmp_path / "new").write_text(f"rules: [{rule}]")
        (tmp_path / "new").rename(file)
        await server.says("rules loaded")
        assert (await server.dispatch()).json() == {"Suppressed": {"rule": "no"}}
        server.process.send_signal(signal.SIGTERM)
        assert await server.ended() == 0
    assert not [record for record in server.logged if record["logger"].startswith("watchfiles")]


async def test_what_is_under_way_ends_and_is_recorded(  # 139
    start: Starting, receiver: Receiver, tmp_path: Path
) -> None:
    gate = asyncio.Event()
    receiver.replies.append(answer(after=gate))
    async with start(slow(receiver, limit=30)) as server, asyncio.TaskGroup() as group:
        asking = group.create_task(server.dispatch())
        await receiver.wait_for(1)
        server.process.send_signal(signal.SIGTERM)
        await server.says("stopping")
        await no_longer_listens(server.url)
        gate.set()
        answered = await asking
        assert answered.status == 200
        assert "Executed" in answered.json()
        assert await server.ended() == 0
    (record,) = journal(tmp_path)
    assert (record["action_id"], record["outcome"]) == ("a1", "executed")


async def test_what_takes_too_long_is_cut_off_and_recorded(  # B15
    start: Starting, receiver: Receiver, tmp_path: Path
) -> None:
    gate = asyncio.Event()
    receiver.replies.append(answer(after=gate))
    async with start(slow(receiver, limit=0.5)) as server, asyncio.TaskGroup() as group:
        asking = group.create_task(server.dispatch())
        await receiver.wait_for(1)
        server.process.send_signal(signal.SIGTERM)
        assert (await server.says("requests were cut off at shutdown"))["acteon.requests"] == 1
        answered = await asking
        assert (answered.status, answered.json()["code"]) == (503, "SHUTTING_DOWN")
        assert await server.ended() == 0
        gate.set()
    (record,) = journal(tmp_path)
    assert (record["action_id"], record["outcome"]) == ("a1", "failed")


async def test_a_second_signal_ends_it_at_once(start: Starting, receiver: Receiver) -> None:
    gate = asyncio.Event()
    receiver.replies.append(answer(after=gate))
    async with start(slow(receiver, limit=600)) as server, asyncio.TaskGroup() as group:
        group.create_task(hangs_up_on(server))
        await receiver.wait_for(1)
        server.process.send_signal(signal.SIGTERM)
        await server.says("stopping")
        server.process.send_signal(signal.SIGTERM)
        assert await server.ended() == -signal.SIGTERM
        gate.set()


async def hangs_up_on(server: Server) -> None:
    with pytest.raises(ConnectionError):
        await server.dispatch()
