"""Whole journeys over real sockets: client, server, gateway, webhook, receiver, audit trail."""

import asyncio
import json
from collections.abc import AsyncGenerator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from attrs import frozen

from acteon.audit import AuditTrail
from acteon.audit_memory import MemoryAuditStore
from acteon.executor import Backoff, ExecutorSettings, MemoryDeadLetters
from acteon.gateway import Gateway, GatewaySettings
from acteon.gateway.testing import until
from acteon.provider import Provider, ProviderRegistry
from acteon.provider.testing import Receiver, answer, reset
from acteon.provider.webhook import WebhookConfig, WebhookPlugin
from acteon.server.config import Asgi
from acteon.server.http import create_app
from acteon.server.testing import Answer, RunningServer, request
from acteon.state_memory import memory_backend

JSON = {"content-type": "application/json"}
DEDUP = (
    "rules:\n  - {name: once, condition: {all: []},"
    " action: {type: deduplicate, ttl_seconds: 300}}\n"
)
ACTION = {
    "id": "a1",
    "namespace": "ops",
    "tenant": "acme",
    "provider": "hook",
    "action_type": "page",
    "payload": {"who": "oncall"},
}


@frozen
class Journey:
    """A gateway with a webhook, served."""

    gateway: Gateway
    url: str

    async def dispatch(self, **changes: Any) -> Answer:
        body = json.dumps(ACTION | changes).encode()
        return await request(self.url, "POST", "/v1/dispatch", body, JSON)

    async def get(self, path: str) -> Any:
        return (await request(self.url, "GET", path)).json()

    async def settled(self) -> None:
        """Return when nothing is under way or held any more."""
        gateway = self.gateway
        await until(lambda: not (gateway.in_flight or gateway.held))


@pytest.fixture
async def receiver() -> AsyncGenerator[Receiver]:
    async with Receiver() as receiver:
        yield receiver


@pytest.fixture(params=[Asgi.HYPERCORN, Asgi.UVICORN], ids=lambda asgi: asgi.value)
def asgi(request: pytest.FixtureRequest) -> Asgi:
    chosen: Asgi = request.param
    return chosen


Setting = Callable[..., Any]


@pytest.fixture
def journey(tmp_path: Path, asgi: Asgi) -> Setting:
    """Give what serves a gateway whose provider `hook` calls a URL."""

    @asynccontextmanager
    async def open_one(
        url: str, rules: str = "", *, idempotent: bool = True, patience: float = 5
    ) -> AsyncGenerator[Journey]:
        (tmp_path / "rules.yaml").write_text(rules or "rules: []")
        config = WebhookConfig(url=url, allow_networks=("127.0.0.0/8",), timeout_seconds=10)
        async with AsyncExitStack() as stack:
            hook: Provider = await stack.enter_async_context(WebhookPlugin.open("hook", config))
            gateway = await stack.enter_async_context(
                Gateway(
                    state=memory_backend(),
                    providers=ProviderRegistry.of({"hook": hook}, {"hook": idempotent}),
                    audit=await stack.enter_async_context(AuditTrail(MemoryAuditStore())),
                    dead_letters=MemoryDeadLetters(),
                    executor=ExecutorSettings(
                        max_retries=2, backoff=Backoff(first_delay=timedelta(milliseconds=1))
                    ),
                    rules_directory=tmp_path,
                    settings=GatewaySettings(patience=timedelta(seconds=patience)),
                )
            )
            server = RunningServer(asgi=asgi, app=create_app(gateway))
            yield Journey(gateway, (await stack.enter_async_context(server)).url)

    return open_one


async def test_an_action_is_delivered_and_recorded(journey: Setting, receiver: Receiver) -> None:
    receiver.script(answer(body=b'{"ticket": 17}'))
    async with journey(receiver.url) as way:
        said = await way.dispatch()
        record = await way.get("/v1/audit/a1")

    assert said.json()["Executed"]["body"] == {"ticket": 17}
    (received,) = receiver.requests
    assert received.json["payload"] == {"who": "oncall"}
    assert set(received.json) == {*ACTION, "created_at", "dedup_key", "metadata"}
    assert (record["verdict"], record["outcome"]) == ("allow", "executed")
    assert record["auth_method"] == "anonymous"


async def test_of_fifty_at_once_with_one_key_one_reaches_the_receiver(
    journey: Setting, receiver: Receiver
) -> None:
    gate = asyncio.Event()
    receiver.default = answer(after=gate)
    async with journey(receiver.url, DEDUP) as way, asyncio.TaskGroup() as group:
        calls = [
            group.create_task(way.dispatch(id=f"a{number}", dedup_key="k")) for number in range(50)
        ]
        await receiver.wait_for(1)
        gate.set()
    said = [call.result().json() for call in calls]

    assert len(receiver.requests) == 1
    assert said.count("Deduplicated") == 49
    assert len([one for one in said if "Executed" in one]) == 1


async def test_a_slow_delivery_is_in_progress_for_its_duplicate(
    journey: Setting, receiver: Receiver
) -> None:
    gate = asyncio.Event()
    receiver.default = answer(after=gate)
    async with journey(receiver.url, DEDUP, patience=0.2) as way, asyncio.TaskGroup() as group:
        slow = group.create_task(way.dispatch(id="a1", dedup_key="k"))
        await receiver.wait_for(1)
        early = await way.dispatch(id="a2", dedup_key="k")
        gate.set()
        await slow
        late = await way.dispatch(id="a3", dedup_key="k")

    assert early.status == 503
    assert (early.json()["code"], early.json()["retryable"]) == ("IN_PROGRESS", True)
    assert 1 <= int(early.header("retry-after") or 0) <= 30
    assert "Executed" in slow.result().json()
    assert late.json() == "Deduplicated"
    assert len(receiver.requests) == 1


async def test_what_was_reset_after_it_was_read_is_not_sent_twice(
    journey: Setting, receiver: Receiver
) -> None:
    receiver.script(reset())
    async with journey(receiver.url, DEDUP, idempotent=False) as way:
        first = (await way.dispatch(dedup_key="k")).json()["Failed"]
        again = (await way.dispatch(id="a2", dedup_key="k")).json()["Failed"]
        stats = await way.get("/v1/dlq/stats")

    assert len(receiver.requests) == 1
    assert (first["code"], first["retryable"], first["attempts"]) == ("CONNECTION", False, 1)
    assert (again["code"], again["retryable"], again["attempts"]) == ("DELIVERY_UNKNOWN", False, 0)
    assert stats == {"enabled": True, "count": 1}


async def test_what_was_reset_is_sent_again_where_that_does_no_harm(
    journey: Setting, receiver: Receiver
) -> None:
    receiver.script(reset(), reset())
    async with journey(receiver.url, DEDUP) as way:
        said = (await way.dispatch(dedup_key="k")).json()

    assert "Executed" in said
    keys = {received.headers["Idempotency-Key"] for received in receiver.requests}
    assert (len(receiver.requests), len(keys)) == (3, 1)


async def test_a_receiver_that_is_killed_ends_in_a_dead_letter_and_leaks_nothing(
    journey: Setting,
) -> None:
    async with Receiver() as receiver:
        url = receiver.url
        async with journey(url, DEDUP) as way:
            assert "Executed" in (await way.dispatch(id="a0", dedup_key="k0")).json()
            tasks = len(asyncio.all_tasks())
            stuck = asyncio.Event()
            receiver.default = answer(after=stuck)
            under_way = [
                asyncio.create_task(way.dispatch(id=f"b{number}", dedup_key=f"b{number}"))
                for number in range(5)
            ]
            await receiver.wait_for(6)
            await receiver.__aexit__(None, None, None)
            said = [(await call).json() for call in under_way]
            said.append((await way.dispatch(id="c", dedup_key="c")).json())
            await way.settled()

            assert {one["Failed"]["code"] for one in said} == {"CONNECTION"}
            assert {one["Failed"]["attempts"] for one in said} == {3}
            drained = (await request(way.url, "POST", "/v1/dlq/drain")).json()
            assert {entry["action_id"] for entry in drained["entries"]} == {
                "b0", "b1", "b2", "b3", "b4", "c",
            }  # fmt: skip
            assert drained["entries"][0]["payload"] == {"who": "oncall"}
            await until(lambda: len(asyncio.all_tasks()) <= tasks)
            again = (await way.dispatch(id="b0", dedup_key="b0")).json()
            assert again["Failed"]["code"] == "CONNECTION", "a failed one can be sent again"


async def test_a_client_that_goes_away_leaves_nothing_behind(
    journey: Setting, receiver: Receiver
) -> None:
    gate = asyncio.Event()
    async with journey(receiver.url, DEDUP) as way:
        # The connection that this opens to the receiver is kept, and used again.
        await way.dispatch(id="a0")
        receiver.default = answer(after=gate)
        tasks = len(asyncio.all_tasks())
        body = json.dumps(ACTION | {"dedup_key": "k"}).encode()
        host, _, port = way.url.removeprefix("http://").partition(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        head = (
            f"POST /v1/dispatch HTTP/1.1\r\nhost: {host}\r\n"
            f"content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
        )
        writer.write(head.encode() + body)
        await receiver.wait_for(2)
        writer.transport.abort()
        gate.set()
        await way.settled()
        await until(lambda: len(asyncio.all_tasks()) <= tasks)
        record = await way.get("/v1/audit/a1")
        again = (await way.dispatch(id="a2", dedup_key="k")).json()
        assert reader.at_eof() or reader.exception() is not None

    # The delivery went on without its client, and its end is known.
    assert record["outcome"] == "executed"
    assert again == "Deduplicated"
    assert len(receiver.requests) == 2
    assert receiver.connections == 1
