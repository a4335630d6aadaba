"""Groups: whoever sends an action again does not send it twice to those who have it."""

import asyncio
import json
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest
from attrs import define, evolve, field, frozen

from acteon.core import ActionOutcome, Executed, Failed, ManualClock
from acteon.executor import ExecutorSettings
from acteon.gateway import GatewaySettings, OnUnknown, StateFailedError
from acteon.gateway.testing import OpenGateway, ScriptedProvider, make_action
from acteon.provider import (
    CircuitBreaker,
    ExecutionFailedError,
    GroupConfig,
    GroupProvider,
    ProviderConnectionError,
    ProviderRegistry,
    RegisteredProvider,
)
from acteon.state import StateBackend, StateConnectionError, StateKey
from acteon.state_memory import MemoryStateStore, memory_backend

DAY = timedelta(days=1)
ACTION = make_action(provider="team", id="a1")
KEY = StateKey("notifications", "t1", "group", "team:a1")
DEDUP = """\
rules:
  - {name: once, condition: {all: []}, action: {type: deduplicate, ttl_seconds: 300}}
"""


def lost() -> ProviderConnectionError:
    return ProviderConnectionError("reset", delivery="unknown")


def no() -> ExecutionFailedError:
    return ExecutionFailedError("no")


def team(
    members: Mapping[str, ScriptedProvider], *others: RegisteredProvider, **keys: Any
) -> ProviderRegistry:
    """Return a registry of `members`, of the group `team` that they are, and of `others`."""
    group = GroupProvider("team", GroupConfig(members=tuple(members), **keys))
    named = (RegisteredProvider(name, member) for name, member in members.items())
    return ProviderRegistry.listing([*named, RegisteredProvider("team", group), *others])


@pytest.fixture
def push() -> ScriptedProvider:
    return ScriptedProvider()


@pytest.fixture
def members(
    email: ScriptedProvider, sms: ScriptedProvider, push: ScriptedProvider
) -> dict[str, ScriptedProvider]:
    return {"email": email, "sms": sms, "push": push}


def called(members: Mapping[str, ScriptedProvider]) -> list[int]:
    return [len(member.calls) for member in members.values()]


def told_of(outcome: ActionOutcome) -> dict[str, dict[str, Any]]:
    """Return what the outcome tells of each member."""
    details = outcome.details if isinstance(outcome, Failed) else None
    if isinstance(outcome, Executed):
        details = outcome.response.body
    assert details is not None
    return {each["provider"]: each for each in details["members"]}


async def test_the_second_dispatch_calls_only_those_that_failed(
    open_gateway: OpenGateway, members: dict[str, ScriptedProvider]
) -> None:
    members["sms"].answers.append(no())
    async with open_gateway(providers=team(members)) as gateway:
        first = await gateway.dispatch(ACTION)
        second = await gateway.dispatch(ACTION)
    assert (isinstance(first, Failed), isinstance(second, Executed)) == (True, True)
    assert called(members) == [1, 2, 1]
    told = told_of(second)
    assert told["email"]["response"]["body"] == {"delivered": "earlier"}
    assert (told["sms"]["response"]["body"], told["sms"]["attempts"]) == ({"ok": True}, 1)


async def test_another_gateway_on_the_same_state_knows_too(
    open_gateway: OpenGateway, members: dict[str, ScriptedProvider]
) -> None:
    members["sms"].answers.append(no())
    async with open_gateway(providers=team(members)) as gateway:
        await gateway.dispatch(ACTION)
    async with open_gateway(providers=team(members)) as other:
        assert isinstance(await other.dispatch(ACTION), Executed)
    assert called(members) == [1, 2, 1]


async def test_other_actions_tenants_and_groups_are_not_meant(
    open_gateway: OpenGateway, members: dict[str, ScriptedProvider]
) -> None:
    registry = team(members)
    crew = GroupProvider("crew", GroupConfig(members=("email", "sms", "push")))
    registry.exchange([*registry.values(), RegisteredProvider("crew", crew)])
    members["sms"].answers.append(no())
    async with open_gateway(providers=registry) as gateway:
        await gateway.dispatch(ACTION)
        for other in (
            evolve(ACTION, id="a2"),
            evolve(ACTION, tenant="t2"),
            evolve(ACTION, namespace="n"),
            evolve(ACTION, provider="crew"),
        ):
            await gateway.dispatch(other)
    assert called(members) == [5, 5, 5]


async def test_what_reached_everybody_leaves_nothing_in_the_state(
    open_gateway: OpenGateway, members: dict[str, ScriptedProvider], state: StateBackend
) -> None:
    members["sms"].answers.append(no())
    async with open_gateway(providers=team(members)) as gateway:
        await gateway.dispatch(ACTION)
        kept = await state.store.get(KEY)
        assert kept is not None
        assert json.loads(kept) == {"email": "delivered", "push": "delivered"}
        await gateway.dispatch(ACTION)
        assert await state.store.get(KEY) is None
        # It is whole: whoever sends it once more, means it.
        await gateway.dispatch(ACTION)
        assert await state.store.get(KEY) is None
    assert called(members) == [2, 3, 2]


async def test_it_is_remembered_for_as_long_as_the_group_says(
    open_gateway: OpenGateway, members: dict[str, ScriptedProvider], clock: ManualClock
) -> None:
    members["sms"].answers.extend([no(), no(), no()])
    async with open_gateway(providers=team(members, remember=DAY)) as gateway:
        await gateway.dispatch(ACTION)
        await clock.advance(DAY - timedelta(seconds=1))
        await gateway.dispatch(ACTION)
        assert called(members) == [1, 2, 1]
        await clock.advance(timedelta(seconds=1))
        await gateway.dispatch(ACTION)
    assert called(members) == [2, 3, 2]


async def test_who_delivered_is_remembered_though_any_is_enough(
    open_gateway: OpenGateway, members: dict[str, ScriptedProvider]
) -> None:
    for name in ("sms", "push"):
        members[name].answers.append(no())
    async with open_gateway(providers=team(members, require="any")) as gateway:
        assert isinstance(await gateway.dispatch(ACTION), Executed)
        assert isinstance(await gateway.dispatch(ACTION), Executed)
    assert called(members) == [1, 2, 2]


@pytest.mark.parametrize(
    ("idempotent", "on_unknown", "calls"),
    [
        (False, OnUnknown.AUTO, 1),
        (True, OnUnknown.AUTO, 3),
        (True, OnUnknown.KEEP, 1),
        (False, OnUnknown.RELEASE, 3),
    ],
)
async def test_a_member_that_may_have_it_is_called_again_only_if_that_does_no_harm(
    open_gateway: OpenGateway,
    members: dict[str, ScriptedProvider],
    idempotent: bool,
    on_unknown: OnUnknown,
    calls: int,
) -> None:
    sms = members["sms"]
    sms.idempotent = idempotent
    sms.answers.extend([lost(), lost()])
    settings = GatewaySettings(on_unknown=on_unknown)
    async with open_gateway(providers=team(members), settings=settings) as gateway:
        outcomes = [await gateway.dispatch(ACTION) for _ in range(3)]
    assert called(members) == [1, calls, 1]
    assert isinstance(outcomes[2], Executed) is (calls == 3)
    if calls == 1:
        assert [told_of(each)["sms"]["code"] for each in outcomes] == [
            "CONNECTION",
            "DELIVERY_UNKNOWN",
            "DELIVERY_UNKNOWN",
        ]


async def test_a_fallback_of_a_member_that_may_have_delivered_is_not_called_again_ever(
    open_gateway: OpenGateway, members: dict[str, ScriptedProvider]
) -> None:
    sms, push = members["sms"], members.pop("push")
    sms.idempotent = True
    sms.answers.append(ProviderConnectionError("refused"))
    push.answers.append(lost())
    breaker = CircuitBreaker(failure_threshold=1, fallback="push")
    registry = team(
        members,
        RegisteredProvider("sms", sms, circuit_breaker=breaker),
        RegisteredProvider("push", push),
    )
    async with open_gateway(providers=registry) as gateway:
        for _ in range(4):
            assert isinstance(await gateway.dispatch(ACTION), Failed)
    assert (called(members), len(push.calls)) == ([1, 1], 1)


async def test_cancelled_midway_those_that_have_it_or_may_have_it_are_remembered(
    open_gateway: OpenGateway, members: dict[str, ScriptedProvider], clock: ManualClock
) -> None:
    email, sms, push = members.values()
    sms.gate.clear()
    push.answers.append(no())
    async with open_gateway(providers=team(members)) as gateway:
        call = asyncio.create_task(gateway.dispatch(ACTION))
        await sms.called()
        await clock.advance(timedelta(0))
        call.cancel()
        await asyncio.wait([call])
        sms.gate.set()
        second = await gateway.dispatch(ACTION)
    assert call.cancelled()
    assert (len(email.calls), len(sms.calls), len(push.calls)) == (1, 1, 2)
    assert told_of(second)["sms"]["code"] == "DELIVERY_UNKNOWN"


async def test_cancelled_while_a_fallback_delivers_it_is_the_fallback_that_is_judged(
    open_gateway: OpenGateway, members: dict[str, ScriptedProvider], clock: ManualClock
) -> None:
    sms, push = members["sms"], members.pop("push")
    sms.idempotent = True
    sms.answers.append(ProviderConnectionError("refused"))
    push.gate.clear()
    breaker = CircuitBreaker(failure_threshold=1, fallback="push")
    registry = team(
        members,
        RegisteredProvider("sms", sms, circuit_breaker=breaker),
        RegisteredProvider("push", push),
    )
    async with open_gateway(providers=registry) as gateway:
        call = asyncio.create_task(gateway.dispatch(ACTION))
        await push.called()
        call.cancel()
        await asyncio.wait([call])
        push.gate.set()
        await gateway.dispatch(ACTION)
    assert len(push.calls) == 1


async def test_its_claim_is_given_back_when_it_is_certain_who_lacks_it(
    open_gateway: OpenGateway, members: dict[str, ScriptedProvider]
) -> None:
    members["sms"].answers.append(no())
    async with open_gateway(DEDUP, providers=team(members)) as gateway:
        outcomes = [await gateway.dispatch(ACTION) for _ in range(3)]
    assert [outcome.tag for outcome in outcomes] == ["failed", "executed", "deduplicated"]
    assert called(members) == [1, 2, 1]


async def test_the_record_tells_of_each_member_without_what_it_answered(
    open_gateway: OpenGateway, members: dict[str, ScriptedProvider]
) -> None:
    members["sms"].answers.append(no())
    async with open_gateway(providers=team(members)) as gateway:
        await gateway.dispatch(ACTION)
        record = await gateway.trail.latest("a1")
    assert record is not None
    assert json.loads(record.verdict_details)["members"] == [
        {"provider": "email", "attempts": 1, "status": "success"},
        {
            "provider": "sms",
            "attempts": 1,
            "status": "failed",
            "code": "EXECUTION_FAILED",
            "error": "execution failed: no",
            "retryable": False,
        },
        {"provider": "push", "attempts": 1, "status": "success"},
    ]


async def test_who_is_sent_to_a_group_by_a_rule_is_remembered_by_that_group(
    open_gateway: OpenGateway, members: dict[str, ScriptedProvider]
) -> None:
    rule = (
        "rules:\n  - {name: r, condition: {all: []},"
        " action: {type: reroute, target_provider: team}}\n"
    )
    members["sms"].answers.append(no())
    async with open_gateway(rule, providers=team(members)) as gateway:
        outcomes = [await gateway.dispatch(evolve(ACTION, provider="email")) for _ in range(2)]
    assert [outcome.tag for outcome in outcomes] == ["failed", "rerouted"]
    assert called(members) == [1, 2, 1]


@define(eq=False)
class Failures:
    """What the state store fails with, by the name of the operation."""

    of: dict[str, StateConnectionError] = field(factory=dict[str, StateConnectionError])


@frozen(eq=False, slots=False)
class FailingStore(MemoryStateStore):
    failures: Failures

    async def get(self, key: StateKey) -> str | None:
        self._check("get", key)
        return await super().get(key)

    async def set(self, key: StateKey, value: str, *, ttl: timedelta | None) -> None:
        self._check("set", key)
        await super().set(key, value, ttl=ttl)

    async def delete(self, key: StateKey) -> bool:
        self._check("delete", key)
        return await super().delete(key)

    def _check(self, operation: str, key: StateKey) -> None:
        if key.kind == "group" and operation in self.failures.of:
            raise self.failures.of[operation]


@pytest.fixture
def failures() -> Failures:
    return Failures()


@pytest.fixture
def failing(clock: ManualClock, failures: Failures) -> StateBackend:
    near = memory_backend(clock)
    assert isinstance(near.store, MemoryStateStore)
    return evolve(near, store=FailingStore(near.store.table, failures))


async def test_nobody_is_called_when_it_cannot_be_told_who_has_it(
    open_gateway: OpenGateway,
    members: dict[str, ScriptedProvider],
    failing: StateBackend,
    failures: Failures,
) -> None:
    failures.of["get"] = StateConnectionError("cut")
    async with open_gateway(providers=team(members), state=failing) as gateway:
        with pytest.raises(StateFailedError, match="cut") as error:
            await gateway.dispatch(ACTION)
        assert (gateway.held, gateway.in_flight) == (0, 0)
        # Who is no group needs no memory.
        assert isinstance(await gateway.dispatch(make_action()), Executed)
    assert error.value.retryable
    assert called(members) == [1, 0, 0]


@pytest.mark.parametrize("operation", ["set", "delete"])
async def test_what_became_of_it_stays_when_that_cannot_be_kept(
    open_gateway: OpenGateway,
    members: dict[str, ScriptedProvider],
    failing: StateBackend,
    failures: Failures,
    caplog: pytest.LogCaptureFixture,
    operation: str,
) -> None:
    failures.of[operation] = StateConnectionError("cut")
    members["sms"].answers.append(no())
    async with open_gateway(providers=team(members), state=failing) as gateway:
        outcomes = [await gateway.dispatch(ACTION) for _ in range(2)]
    assert [outcome.tag for outcome in outcomes] == ["failed", "executed"]
    assert caplog.messages.count("which members of a group have an action could not be kept") == 1


@pytest.mark.parametrize("value", ["", "[]", '{"email": "perhaps"}', "{", '{"email": 1}'])
async def test_what_cannot_be_read_counts_as_nothing_known(
    open_gateway: OpenGateway,
    members: dict[str, ScriptedProvider],
    state: StateBackend,
    caplog: pytest.LogCaptureFixture,
    value: str,
) -> None:
    await state.store.set(KEY, value, ttl=None)
    async with open_gateway(providers=team(members)) as gateway:
        assert isinstance(await gateway.dispatch(ACTION), Executed)
    assert called(members) == [1, 1, 1]
    assert any("cannot be read: all of them are called" in text for text in caplog.messages)


async def test_two_at_once_with_one_id_do_not_call_a_member_twice(
    open_gateway: OpenGateway, members: dict[str, ScriptedProvider], clock: ManualClock
) -> None:
    members["sms"].answers.append(no())
    async with (
        open_gateway(providers=team(members)) as one,
        open_gateway(providers=team(members)) as other,
        asyncio.timeout(10),
        asyncio.TaskGroup() as group,
    ):
        calls = [group.create_task(gateway.dispatch(ACTION)) for gateway in (one, other)]
        while not all(call.done() for call in calls):
            await clock.advance(timedelta(milliseconds=10))
    assert sorted(call.result().tag for call in calls) == ["executed", "failed"]
    assert called(members) == [1, 2, 1]


async def test_a_retry_within_a_dispatch_calls_only_the_one_that_failed(
    open_gateway: OpenGateway, members: dict[str, ScriptedProvider], clock: ManualClock
) -> None:
    members["sms"].answers.append(ProviderConnectionError("refused"))
    async with (
        open_gateway(providers=team(members), executor=ExecutorSettings()) as gateway,
        asyncio.timeout(10),
        asyncio.TaskGroup() as group,
    ):
        call = group.create_task(gateway.dispatch(ACTION))
        while not call.done():
            await clock.advance(timedelta(seconds=1))
    assert isinstance(call.result(), Executed)
    assert called(members) == [1, 2, 1]
