"""Of several actions with one key, one runs: in two phases, with three kinds of ending."""

import asyncio
import json
from collections.abc import Coroutine
from datetime import timedelta

import pytest

from acteon.core import (
    Action,
    ActionOutcome,
    Deduplicated,
    Executed,
    Failed,
    ManualClock,
    ProviderResponse,
    ResponseStatus,
)
from acteon.executor import ExecutorSettings
from acteon.gateway import (
    GatewayError,
    GatewaySettings,
    InProgressError,
    OnUnknown,
    StateFailedError,
)
from acteon.gateway.testing import OpenGateway, ScriptedProvider, make_action, until
from acteon.provider import ExecutionFailedError, ProviderConnectionError, ProviderTimeoutError
from acteon.state import StateBackend, StateKey

DEDUP = (
    "rules:\n  - {name: once, condition: {all: []},"
    " action: {type: deduplicate, ttl_seconds: 300}}\n"
)
SECOND = timedelta(seconds=1)


def keyed(number: int = 0, key: str = "k") -> Action:
    return make_action(id=f"a{number}", dedup_key=key)


async def test_the_second_is_a_duplicate_until_the_time_is_over(
    open_gateway: OpenGateway, email: ScriptedProvider, clock: ManualClock
) -> None:
    async with open_gateway(DEDUP) as gateway:
        assert isinstance(await gateway.dispatch(keyed(1)), Executed)
        await clock.advance(299 * SECOND)
        assert await gateway.dispatch(keyed(2)) == Deduplicated()
        await clock.advance(SECOND)
        assert isinstance(await gateway.dispatch(keyed(3)), Executed)

    assert len(email.calls) == 2


async def test_without_a_key_the_id_is_the_key(
    open_gateway: OpenGateway, email: ScriptedProvider
) -> None:
    async with open_gateway(DEDUP) as gateway:
        await gateway.dispatch(make_action(id="a1"))
        assert await gateway.dispatch(make_action(id="a1")) == Deduplicated()
        assert isinstance(await gateway.dispatch(make_action(id="a2")), Executed)


async def test_an_empty_key_is_a_key(open_gateway: OpenGateway) -> None:
    async with open_gateway(DEDUP) as gateway:
        await gateway.dispatch(keyed(1, ""))
        assert await gateway.dispatch(keyed(2, "")) == Deduplicated()


async def test_tenants_and_namespaces_do_not_share_keys(open_gateway: OpenGateway) -> None:
    async with open_gateway(DEDUP) as gateway:
        for namespace, tenant in [("a:b", "c"), ("a", "b:c"), ("a%3Ab", "c"), ("a", "b")]:
            action = make_action(namespace=namespace, tenant=tenant, dedup_key="k")
            assert isinstance(await gateway.dispatch(action), Executed)


async def test_of_fifty_at_once_one_runs_and_the_rest_are_duplicates(
    open_gateway: OpenGateway, email: ScriptedProvider, clock: ManualClock
) -> None:
    email.gate.clear()
    async with open_gateway(DEDUP) as gateway, asyncio.TaskGroup() as group:
        tasks = [group.create_task(gateway.dispatch(keyed(number))) for number in range(50)]
        await email.called()
        email.gate.set()
        await until(lambda: not gateway.in_flight, clock, timedelta(milliseconds=1))
    outcomes = [task.result() for task in tasks]

    assert len(email.calls) == 1
    assert sum(isinstance(outcome, Executed) for outcome in outcomes) == 1
    assert outcomes.count(Deduplicated()) == 49


async def test_a_duplicate_of_a_slow_one_waits_and_is_then_told_to_come_again(
    open_gateway: OpenGateway, email: ScriptedProvider, clock: ManualClock
) -> None:
    email.gate.clear()
    async with open_gateway(DEDUP) as gateway, asyncio.TaskGroup() as group:
        slow = group.create_task(gateway.dispatch(keyed(1)))
        await email.called()
        second = group.create_task(_error_of(gateway.dispatch(keyed(2))))
        await clock.advance(4.9 * SECOND)
        assert not second.done()
        await clock.advance(0.2 * SECOND)
        error = await second
        # The slow one goes on for longer than its lease, and is still the one.
        await clock.advance(60 * SECOND)
        third = group.create_task(_error_of(gateway.dispatch(keyed(3))))
        await clock.advance(6 * SECOND)
        assert isinstance(await third, InProgressError)
        email.gate.set()
        assert isinstance(await slow, Executed)
        assert await gateway.dispatch(keyed(4)) == Deduplicated()

    assert isinstance(error, InProgressError)
    assert (error.code, error.retryable) == ("IN_PROGRESS", True)
    assert SECOND <= error.retry_after <= 30 * SECOND
    assert len(email.calls) == 1


async def _error_of(dispatch: Coroutine[None, None, ActionOutcome]) -> GatewayError | None:
    try:
        await dispatch
    except GatewayError as error:
        return error
    return None


async def test_who_waits_takes_over_when_the_first_fails(
    open_gateway: OpenGateway, email: ScriptedProvider, clock: ManualClock
) -> None:
    email.gate.clear()
    email.answers.append(ExecutionFailedError("no such user"))
    async with open_gateway(DEDUP) as gateway, asyncio.TaskGroup() as group:
        first = group.create_task(gateway.dispatch(keyed(1)))
        await email.called()
        second = group.create_task(gateway.dispatch(keyed(2)))
        email.gate.set()
        await until(lambda: not gateway.in_flight, clock, timedelta(milliseconds=1))

    assert isinstance(first.result(), Failed)
    assert isinstance(second.result(), Executed)


@pytest.mark.parametrize(
    "answer",
    [
        ExecutionFailedError("no"),
        ProviderConnectionError("refused"),
        ProviderResponse(ResponseStatus.FAILURE),
    ],
)
async def test_what_certainly_failed_can_be_sent_again(
    open_gateway: OpenGateway, email: ScriptedProvider, answer: ProviderResponse | Exception
) -> None:
    email.answers.append(answer)
    async with open_gateway(DEDUP) as gateway:
        await gateway.dispatch(keyed(1))
        assert await gateway.dispatch(keyed(1)) == Executed(ProviderResponse(body={"ok": True}))
        assert await gateway.dispatch(keyed(1)) == Deduplicated()


async def test_an_unknown_provider_leaves_no_claim(open_gateway: OpenGateway) -> None:
    async with open_gateway(DEDUP) as gateway:
        for _ in range(2):
            outcome = await gateway.dispatch(make_action(provider="fax", dedup_key="k"))
            assert isinstance(outcome, Failed)
        assert isinstance(await gateway.dispatch(keyed(1)), Executed)


UNKNOWN_ENDS = [
    ProviderConnectionError("reset", delivery="unknown"),
    ProviderTimeoutError(30 * SECOND),
    ZeroDivisionError("after the send"),
]


@pytest.mark.parametrize("answer", UNKNOWN_ENDS)
async def test_after_an_unknown_end_nothing_is_sent_twice(
    open_gateway: OpenGateway, email: ScriptedProvider, clock: ManualClock, answer: Exception
) -> None:
    email.answers.append(answer)
    async with open_gateway(DEDUP) as gateway:
        first = await gateway.dispatch(keyed(1))
        await clock.advance(10 * SECOND)
        again = await gateway.dispatch(keyed(2))
        assert len(email.calls) == 1
        await clock.advance(300 * SECOND)
        assert isinstance(await gateway.dispatch(keyed(3)), Executed)

    assert isinstance(first, Failed)
    assert not first.retryable
    assert again == Failed(
        code="DELIVERY_UNKNOWN",
        message="an earlier action with this key may have been delivered: "
        "it ended 2025-01-01T00:00:00Z without an answer",
        retryable=False,
        attempts=0,
    )


@pytest.mark.parametrize(
    ("idempotent", "on_unknown", "runs_again"),
    [
        (True, OnUnknown.AUTO, True),
        (False, OnUnknown.AUTO, False),
        (False, OnUnknown.RELEASE, True),
        (True, OnUnknown.KEEP, False),
    ],
)
async def test_what_an_unknown_end_means_can_be_chosen(
    open_gateway: OpenGateway,
    email: ScriptedProvider,
    idempotent: bool,
    on_unknown: OnUnknown,
    runs_again: bool,
) -> None:
    email.idempotent = idempotent
    email.answers.append(ProviderConnectionError("reset", delivery="unknown"))
    async with open_gateway(DEDUP, settings=GatewaySettings(on_unknown=on_unknown)) as gateway:
        await gateway.dispatch(keyed(1))
        outcome = await gateway.dispatch(keyed(2))

    assert isinstance(outcome, Executed) is runs_again


async def test_a_cancelled_delivery_ends_unknown_and_holds_nothing(
    open_gateway: OpenGateway, email: ScriptedProvider
) -> None:
    email.gate.clear()
    async with open_gateway(DEDUP) as gateway:
        task = asyncio.create_task(gateway.dispatch(keyed(1)))
        await email.called()
        task.cancel()
        await asyncio.wait([task])
        assert (gateway.held, gateway.in_flight, email.waiting) == (0, 0, 0)
        email.gate.set()
        outcome = await gateway.dispatch(keyed(1))
        assert gateway.audit is not None
        record = await gateway.audit.latest("a1")

    assert task.cancelled()
    assert isinstance(outcome, Failed)
    assert outcome.code == "DELIVERY_UNKNOWN"
    assert record is not None


async def test_one_that_is_cancelled_before_it_was_delivered_leaves_its_key_free(
    open_gateway: OpenGateway, email: ScriptedProvider, clock: ManualClock
) -> None:
    email.gate.clear()
    settings = ExecutorSettings(max_concurrent=1)
    async with open_gateway(DEDUP, executor=settings) as gateway, asyncio.TaskGroup() as group:
        group.create_task(gateway.dispatch(keyed(1, "other")))
        await email.called()
        queued = asyncio.create_task(gateway.dispatch(keyed(2)))
        await until(lambda: gateway.held == 2)
        queued.cancel()
        await asyncio.wait([queued])
        email.gate.set()
        assert isinstance(await gateway.dispatch(keyed(3)), Executed)


async def test_one_that_is_cancelled_between_certain_failures_leaves_its_key_free(
    open_gateway: OpenGateway, email: ScriptedProvider, clock: ManualClock
) -> None:
    email.answers.append(ProviderConnectionError("refused"))
    async with open_gateway(DEDUP, executor=ExecutorSettings()) as gateway:
        task = asyncio.create_task(gateway.dispatch(keyed(1)))
        await email.called()
        await clock.advance(timedelta(0))
        task.cancel()
        await asyncio.wait([task])
        assert isinstance(await gateway.dispatch(keyed(2)), Executed)
        assert gateway.audit is not None
        record = await gateway.audit.latest("a1")

    assert record is not None
    assert json.loads(record.outcome_details)["attempts"] == 1


async def test_a_key_that_holds_something_else_is_an_error_of_the_state(
    open_gateway: OpenGateway, state: StateBackend
) -> None:
    await state.store.set(StateKey("notifications", "t1", "dedup", "k"), "1", ttl=None)
    async with open_gateway(DEDUP) as gateway:
        with pytest.raises(StateFailedError, match=r"^state error: serialization error") as caught:
            await gateway.dispatch(keyed(1))
        assert gateway.held == 0

    assert not caught.value.retryable


async def test_thousands_that_wait_for_one_key_cost_no_more_than_their_turn(
    open_gateway: OpenGateway, email: ScriptedProvider, clock: ManualClock
) -> None:
    email.gate.clear()
    async with open_gateway(DEDUP) as gateway, asyncio.TaskGroup() as group:
        tasks = [group.create_task(gateway.dispatch(keyed(number))) for number in range(3000)]
        await email.called()
        await until(lambda: gateway.in_flight == 3000)
        email.gate.set()
        await until(lambda: not gateway.in_flight, clock, timedelta(milliseconds=1))

    assert [task.result().tag for task in tasks].count("deduplicated") == 2999


async def test_a_dead_holder_is_taken_over_when_its_lease_is_over(
    open_gateway: OpenGateway, email: ScriptedProvider, clock: ManualClock
) -> None:
    email.gate.clear()
    # A gateway whose own clock stands still renews nothing: to others it is dead.
    async with (
        open_gateway(DEDUP) as survivor,
        open_gateway(DEDUP, clock=ManualClock()) as dead,
        asyncio.TaskGroup() as group,
    ):
        stuck = group.create_task(dead.dispatch(keyed(1)))
        await email.called()
        early = group.create_task(_error_of(survivor.dispatch(keyed(2))))
        await clock.advance(26 * SECOND)
        assert isinstance(await early, InProgressError)
        taking_over = group.create_task(survivor.dispatch(keyed(3)))
        await clock.advance(3.9 * SECOND)
        assert len(email.calls) == 1
        await clock.advance(0.2 * SECOND)
        await email.called(2)
        email.gate.set()

    assert isinstance(taking_over.result(), Executed)
    assert isinstance(stuck.result(), Executed)
    assert len(email.calls) == 2
