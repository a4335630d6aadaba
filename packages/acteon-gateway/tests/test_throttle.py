"""At most so many in a window."""

import asyncio
import json
from datetime import timedelta

import pytest
from attrs import evolve

from acteon.core import Deduplicated, Executed, ManualClock, Throttled
from acteon.gateway import Gateway, GatewaySettings, OnStoreError, StateFailedError
from acteon.gateway.testing import OpenGateway, ScriptedProvider, make_action
from acteon.provider import ExecutionFailedError
from acteon.rules import Deduplicate, Rule, Throttle
from acteon.rules.expression import All, Field, Name
from acteon.state import StateBackend, StateKey

SECOND = timedelta(seconds=1)
THREE = (
    "rules:\n  - {name: three, condition: {all: []},"
    " action: {type: throttle, max_count: 3, window_seconds: 60}}\n"
)


async def tags(gateway: Gateway, count: int) -> list[str]:
    return [(await gateway.dispatch(make_action())).tag for _ in range(count)]


async def test_the_window_opens_with_the_first_and_closes_after_its_time(
    open_gateway: OpenGateway, clock: ManualClock
) -> None:
    async with open_gateway(THREE) as gateway:
        assert await tags(gateway, 2) == ["executed"] * 2
        await clock.advance(50.5 * SECOND)
        assert await tags(gateway, 1) == ["executed"]
        assert await gateway.dispatch(make_action()) == Throttled(10 * SECOND)
        await clock.advance(9.5 * SECOND)
        assert await tags(gateway, 4) == ["executed"] * 3 + ["throttled"]


async def test_failed_ones_count_and_refused_ones_do_not(
    open_gateway: OpenGateway, email: ScriptedProvider, clock: ManualClock
) -> None:
    email.answers.extend([ExecutionFailedError("no")] * 2)
    async with open_gateway(THREE) as gateway:
        assert await tags(gateway, 6) == ["failed"] * 2 + ["executed"] + ["throttled"] * 3
        await clock.advance(60 * SECOND)
        assert await tags(gateway, 1) == ["executed"]


async def test_a_limit_of_nothing_refuses_all_for_a_whole_window(
    open_gateway: OpenGateway, email: ScriptedProvider
) -> None:
    async with open_gateway(THREE.replace("max_count: 3", "max_count: 0")) as gateway:
        assert await gateway.dispatch(make_action()) == Throttled(60 * SECOND)
    assert email.calls == []


async def test_of_many_at_once_exactly_the_limit_runs(
    open_gateway: OpenGateway, email: ScriptedProvider
) -> None:
    email.gate.clear()
    async with open_gateway(THREE) as gateway, asyncio.TaskGroup() as group:
        tasks = [group.create_task(gateway.dispatch(make_action())) for _ in range(50)]
        await email.called(3)
        email.gate.set()

    assert [task.result().tag for task in tasks].count("throttled") == 47


async def test_tenants_are_counted_apart(open_gateway: OpenGateway) -> None:
    async with open_gateway(THREE) as gateway:
        await tags(gateway, 3)
        assert isinstance(await gateway.dispatch(make_action(tenant="t2")), Executed)


async def test_gateways_that_share_a_store_count_together(open_gateway: OpenGateway) -> None:
    async with open_gateway(THREE) as one, open_gateway(THREE) as other:
        assert await tags(one, 2) == ["executed"] * 2
        assert await tags(other, 2) == ["executed", "throttled"]


KEYED = (
    Rule(
        name="once",
        condition=All(()),
        effect=Deduplicate(
            ttl=timedelta(hours=1), key=Field(Field(Name("action"), "payload"), "n")
        ),
        continues=True,
    ),
    Rule(
        name="two",
        condition=All(()),
        effect=Throttle(
            max_count=2, window=60 * SECOND, key=Field(Field(Name("action"), "payload"), "to")
        ),
    ),
)


async def test_rules_that_continue_deduplicate_and_throttle_one_action(
    open_gateway: OpenGateway,
) -> None:
    async with open_gateway(initial_rules=KEYED) as gateway:

        async def send(number: int, to: str) -> object:
            return await gateway.dispatch(make_action(payload={"n": f"{number}", "to": to}))

        assert isinstance(await send(1, "ann"), Executed)
        assert await send(1, "ann") == Deduplicated()
        assert isinstance(await send(2, "ann"), Executed)
        assert await send(3, "ann") == Throttled(60 * SECOND)
        assert isinstance(await send(3, "bob"), Executed), "a refused quota leaves no claim"


async def test_the_rule_that_held_an_action_back_is_the_one_that_is_told(
    open_gateway: OpenGateway,
) -> None:
    all_continue = [evolve(rule, continues=True) for rule in KEYED]
    async with open_gateway(initial_rules=all_continue) as gateway:
        assert gateway.audit is not None
        told: list[tuple[str, str | None]] = []
        for number, key in enumerate((1, 1, 2, 3)):
            action = make_action(id=f"a{number}", payload={"n": f"{key}", "to": "ann"})
            preview = await gateway.preview(action)
            await gateway.dispatch(action)
            record = await gateway.audit.latest(f"a{number}")
            assert record is not None
            assert (preview.verdict, preview.matched_rule) == (record.verdict, record.matched_rule)
            assert json.loads(record.verdict_details)["verdict"] == record.verdict
            told.append((record.verdict, record.matched_rule))
    assert told == [
        ("deduplicate", "once"),
        ("deduplicate", "once"),
        ("deduplicate", "once"),
        ("throttle", "two"),
    ]


@pytest.mark.parametrize("policy", OnStoreError)
async def test_a_store_that_cannot_count_lets_through_unless_told_otherwise(
    open_gateway: OpenGateway,
    state: StateBackend,
    policy: OnStoreError,
    caplog: pytest.LogCaptureFixture,
) -> None:
    await state.store.set(
        StateKey("notifications", "t1", "rate_limit", "three"), "no number", ttl=None
    )
    async with open_gateway(THREE, settings=GatewaySettings(on_store_error=policy)) as gateway:
        if policy is OnStoreError.DENY:
            with pytest.raises(StateFailedError, match="serialization error"):
                await gateway.dispatch(make_action(id="a1"))
            assert gateway.held == 0
        else:
            for name in ("a0", "a1"):
                assert isinstance(await gateway.dispatch(make_action(id=name)), Executed)
            (told,) = [record for record in caplog.records if "cannot count" in record.message]
            assert vars(told)["acteon.key"] == "notifications:t1:rate_limit:three"
        assert gateway.audit is not None
        record = await gateway.audit.latest("a1")

    assert record is not None
    if policy is OnStoreError.ALLOW:
        assert "serialization error" in json.loads(record.verdict_details)["throttle_error"]
