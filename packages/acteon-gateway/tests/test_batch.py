"""Several actions at once."""

import asyncio
from contextvars import ContextVar
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from acteon.audit import AuditQuery
from acteon.core import Action, Deduplicated, Executed, ManualClock, ProviderResponse
from acteon.executor import ExecutorSettings
from acteon.gateway import Gateway, RouteNotFoundError
from acteon.gateway.batch import run_in_order
from acteon.gateway.testing import OpenGateway, ScriptedProvider, make_action, until
from acteon.provider import ExecutionFailedError
from acteon.rules import Deduplicate, Rule, Suppress, Throttle
from acteon.rules.expression import (
    All,
    Binary,
    BinaryOperator,
    Field,
    Literal,
    Name,
    StateCounter,
)

OK = Executed(ProviderResponse(body={"ok": True}))
RULES = """\
rules:
  - {name: ghost, condition: {field: action.action_type, eq: x},
     action: {type: reroute, target_provider: ghost}}
  - {name: once, condition: {field: action.action_type, eq: d}, action: {type: deduplicate}}
  - {name: two, condition: {field: action.action_type, eq: t},
     action: {type: throttle, max_count: 2, window_seconds: 60}}
"""


async def test_nothing_gives_nothing(open_gateway: OpenGateway) -> None:
    async with open_gateway() as gateway:
        assert await gateway.dispatch_batch([]) == []


async def test_results_and_errors_are_in_order(open_gateway: OpenGateway) -> None:
    actions = [make_action(), make_action(action_type="x"), make_action()]
    async with open_gateway(RULES) as gateway:
        results = await gateway.dispatch_batch(actions)

    assert (results[0], results[2]) == (OK, OK)
    assert isinstance(results[1], RouteNotFoundError)
    assert gateway.counters["dispatched"] == 3


async def test_deliveries_run_side_by_side_within_the_limit(
    open_gateway: OpenGateway, email: ScriptedProvider
) -> None:
    email.gate.clear()
    settings = ExecutorSettings(max_concurrent=7)
    async with open_gateway(executor=settings) as gateway, asyncio.TaskGroup() as group:
        group.create_task(gateway.dispatch_batch([make_action() for _ in range(20)]))
        await email.called(7)
        email.gate.set()

    assert len(email.calls) == 20
    assert email.most_at_once == 7


async def test_of_equal_keys_the_first_runs_and_the_others_wait_for_it(
    open_gateway: OpenGateway, email: ScriptedProvider
) -> None:
    actions = [make_action(id=f"a{n}", action_type="d", dedup_key="k") for n in range(4)]
    async with open_gateway(RULES) as gateway:
        assert await gateway.dispatch_batch(actions) == [OK] + [Deduplicated()] * 3
    assert [call.id for call in email.calls] == ["a0"]


async def test_when_the_first_of_equal_keys_fails_the_second_runs(
    open_gateway: OpenGateway, email: ScriptedProvider
) -> None:
    email.answers.append(ExecutionFailedError("no"))
    actions = [make_action(id=f"a{n}", action_type="d", dedup_key="k") for n in range(3)]
    async with open_gateway(RULES) as gateway:
        results = await gateway.dispatch_batch(actions)

    assert [getattr(result, "tag", None) for result in results] == [
        "failed",
        "executed",
        "deduplicated",
    ]


async def test_equal_ids_run_in_order(open_gateway: OpenGateway, email: ScriptedProvider) -> None:
    actions = [make_action(id="a", payload=n) for n in range(5)]
    async with open_gateway() as gateway:
        assert await gateway.dispatch_batch(actions) == [OK] * 5

    assert [call.payload for call in email.calls] == [0, 1, 2, 3, 4]
    assert email.most_at_once == 1


async def test_a_quota_is_taken_in_order(open_gateway: OpenGateway) -> None:
    actions = [make_action(action_type="t") for _ in range(4)]
    async with open_gateway(RULES) as gateway:
        results = await gateway.dispatch_batch(actions)

    assert [getattr(result, "tag", None) for result in results] == ["executed"] * 2 + [
        "throttled"
    ] * 2


async def test_what_waits_for_an_earlier_one_takes_no_place_of_others(
    open_gateway: OpenGateway, email: ScriptedProvider
) -> None:
    email.gate.clear()
    actions = [make_action(id="same") for _ in range(4)] + [make_action() for _ in range(6)]
    settings = ExecutorSettings(max_concurrent=4)
    async with open_gateway(executor=settings) as gateway, asyncio.TaskGroup() as group:
        group.create_task(gateway.dispatch_batch(actions))
        await email.called(4)
        email.gate.set()

    assert email.most_at_once == 4


KEYED = (
    Rule(
        name="counted first",
        condition=All(
            (
                Binary(
                    BinaryOperator.EQUAL, Field(Name("action"), "action_type"), Literal("reads")
                ),
                Binary(BinaryOperator.GREATER, StateCounter("daily"), Literal(5)),
            )
        ),
        effect=Suppress(),
    ),
    Rule(
        name="one for each",
        condition=Binary(
            BinaryOperator.EQUAL, Field(Name("action"), "action_type"), Literal("keyed")
        ),
        effect=Deduplicate(key=Field(Field(Name("action"), "payload"), "to")),
    ),
    Rule(
        name="one",
        condition=All(()),
        effect=Throttle(max_count=1, window=timedelta(seconds=60)),
    ),
)


async def test_a_key_that_a_rule_makes_holds_siblings_back_for_as_long_as_it_takes(
    open_gateway: OpenGateway, email: ScriptedProvider, clock: ManualClock
) -> None:
    email.gate.clear()
    actions = [make_action(action_type="keyed") for _ in range(3)]
    async with open_gateway(initial_rules=KEYED) as gateway, asyncio.TaskGroup() as group:
        batch = group.create_task(gateway.dispatch_batch(actions))
        await email.called()
        await clock.advance(timedelta(seconds=20))
        email.gate.set()

    assert batch.result() == [OK, Deduplicated(), Deduplicated()]


async def test_quotas_are_taken_in_order_even_if_the_first_asks_the_store_before(
    open_gateway: OpenGateway, email: ScriptedProvider
) -> None:
    actions = [make_action(action_type="reads"), make_action(action_type="other")]
    async with open_gateway(initial_rules=KEYED) as gateway:
        results = await gateway.dispatch_batch(actions)

    assert [getattr(result, "tag", None) for result in results] == ["executed", "throttled"]


async def test_an_answer_that_cannot_be_written_harms_nobody(
    open_gateway: OpenGateway, email: ScriptedProvider
) -> None:
    email.answers.append(ExecutionFailedError("half a \ud800 character"))
    actions = [make_action(id=f"a{number}") for number in range(3)]
    async with open_gateway() as gateway:
        results = await gateway.dispatch_batch(actions)
        assert gateway.audit is not None
        record = await gateway.audit.latest("a0")

    assert [getattr(result, "tag", None) for result in results] == [
        "failed",
        "executed",
        "executed",
    ]
    assert record is not None
    assert b"half a ? character" in record.outcome_details


async def test_a_cancelled_batch_leaves_nothing_held(
    open_gateway: OpenGateway, email: ScriptedProvider
) -> None:
    email.gate.clear()
    async with open_gateway(executor=ExecutorSettings(max_concurrent=9)) as gateway:
        actions = [make_action() for _ in range(20)]
        running = asyncio.create_task(gateway.dispatch_batch(actions))
        await email.called(9)
        running.cancel()
        await asyncio.wait({running})
        assert running.cancelled()
        await until(lambda: gateway.held == 0)
        assert gateway.in_flight == 0
    assert len(email.calls) == 9


async def test_a_large_batch_needs_no_depth_even_where_tasks_are_eager() -> None:
    async def deliver(_: Action) -> str:
        return "sent"

    loop = asyncio.get_running_loop()
    before = loop.get_task_factory()
    # Before Python 3.12 tasks cannot be eager.
    loop.set_task_factory(getattr(asyncio, "eager_task_factory", None))
    try:
        async with Gateway.open(providers=[deliver]) as gateway:
            actions = [make_action(provider="deliver") for _ in range(2000)]
            results = await gateway.dispatch_batch(actions)
    finally:
        loop.set_task_factory(before)

    assert results == [Executed(ProviderResponse(body="sent"))] * 2000


async def test_one_that_shares_something_with_two_earlier_ones_waits_for_both(
    open_gateway: OpenGateway, email: ScriptedProvider
) -> None:
    email.gate.clear()
    actions = [
        make_action(id="x", dedup_key="k1"),
        make_action(id="y", dedup_key="k2"),
        make_action(id="x", dedup_key="k2"),
        make_action(id="z"),
    ]
    async with open_gateway() as gateway, asyncio.TaskGroup() as group:
        batch = group.create_task(gateway.dispatch_batch(actions))
        await email.called(3)
        email.gate.set()

    assert batch.result() == [OK] * 4
    assert [call.id for call in email.calls] == ["x", "y", "z", "x"]


async def test_a_batch_that_never_waits_lets_others_have_their_turn(
    open_gateway: OpenGateway,
) -> None:
    turns = 0

    async def count_turns() -> None:
        nonlocal turns
        while True:
            await asyncio.sleep(0)
            turns += 1

    settings = ExecutorSettings(max_concurrent=20)
    async with open_gateway(executor=settings) as gateway, asyncio.TaskGroup() as group:
        counting = group.create_task(count_turns())
        await gateway.dispatch_batch([make_action() for _ in range(200)])
        counting.cancel()

    assert turns >= 9


SEEN: ContextVar[str] = ContextVar("seen", default="nothing")


async def test_what_one_leaves_in_its_context_is_not_for_the_next() -> None:
    async def deliver(action: Action) -> str:
        before = SEEN.get()
        SEEN.set(action.id)
        return before

    settings = ExecutorSettings(max_concurrent=2)
    async with Gateway.open(providers=[deliver], executor=settings) as gateway:
        actions = [make_action(provider="deliver") for _ in range(6)]
        results = await gateway.dispatch_batch(actions)

    assert results == [Executed(ProviderResponse(body="nothing"))] * 6


@pytest.mark.parametrize("at_once", [1, 3])
@pytest.mark.parametrize("when", ["now", "later"])
async def test_one_whose_provider_cancels_it_harms_no_other(when: str, at_once: int) -> None:
    async def deliver(action: Action) -> str:
        task = asyncio.current_task()
        assert task is not None
        if action.payload == "now":
            task.cancel()
        elif action.payload == "later":
            asyncio.get_running_loop().call_soon(task.cancel)
            return "sent"
        await asyncio.sleep(0)
        return "sent"

    settings = ExecutorSettings(max_concurrent=at_once)
    async with Gateway.open(providers=[deliver], executor=settings) as gateway:
        actions = [
            make_action(provider="deliver", payload=when if number == 2 else "")
            for number in range(6)
        ]
        results = await gateway.dispatch_batch(actions)
        page = await gateway.trail.query(AuditQuery())

    sent = Executed(ProviderResponse(body="sent"))
    assert results[:2] + results[3:] == [sent] * 5
    assert getattr(results[2], "tag", None) == ("failed" if when == "now" else "executed")
    assert page.total == 6


async def test_as_many_tasks_run_as_deliveries_wait(
    open_gateway: OpenGateway, email: ScriptedProvider
) -> None:
    email.gate.clear()
    settings = ExecutorSettings(max_concurrent=4)
    async with open_gateway(executor=settings) as gateway, asyncio.TaskGroup() as group:
        before = len(asyncio.all_tasks())
        group.create_task(gateway.dispatch_batch([make_action() for _ in range(100)]))
        await email.called(4)
        # The one of the batch, and those of its actions.
        assert len(asyncio.all_tasks()) - before <= 1 + settings.max_concurrent
        email.gate.set()


@given(
    names=st.lists(st.tuples(st.integers(0, 4), st.none() | st.integers(0, 3)), max_size=30),
    waiting=st.lists(st.booleans(), min_size=30, max_size=30),
    at_once=st.integers(1, 5),
)
async def test_whatever_is_equal_each_runs_once_and_never_beside_its_like(
    names: list[tuple[int, int | None]], waiting: list[bool], at_once: int
) -> None:
    actions = [
        make_action(id=f"id{id}", payload=place, dedup_key=None if key is None else f"key{key}")
        for place, (id, key) in enumerate(names)
    ]
    started: list[int] = []
    running: list[Action] = []

    async def run(action: Action, _: object) -> int:
        for other in running:
            assert other.id != action.id
            assert (other.dedup_key or other.id) != (action.dedup_key or action.id)
        running.append(action)
        assert len(running) <= at_once
        started.append(action.payload)
        if waiting[action.payload]:
            await asyncio.sleep(0)
        running.remove(action)
        return int(action.payload)

    results = await run_in_order(actions, run, at_once=at_once, ordered=False)

    assert sorted(started) == [*range(len(actions))]
    assert results == [*range(len(actions))]
    for id in range(5):  # Equal ids run in their order.
        assert [place for place in started if names[place][0] == id] == [
            place for place, (other, _) in enumerate(names) if other == id
        ]
