"""Several providers as one, each with its own attempts, limits and circuit."""

import asyncio
from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from acteon.core import Action, Failed, ManualClock, ProviderResponse, ResponseStatus
from acteon.executor import (
    Backoff,
    Certainty,
    Execution,
    Executor,
    ExecutorSettings,
    MemoryDeadLetters,
    Progress,
)
from acteon.provider import (
    CallLimits,
    CircuitBreaker,
    ExecutionFailedError,
    GroupConfig,
    GroupProvider,
    ProviderConnectionError,
    ProviderRegistry,
    RegisteredProvider,
    Settled,
)

SECOND = timedelta(seconds=1)
ONCE = ExecutorSettings(max_retries=0)
OK = ProviderResponse()
PARTIAL = ProviderResponse(ResponseStatus.PARTIAL)
REFUSED = ProviderResponse(ResponseStatus.FAILURE)


class Service:
    """Answers what it is told to, the last answer over and over; keeps what it was given."""

    def __init__(self, *answers: ProviderResponse | Exception, idempotent: bool = False) -> None:
        self.answers = list(answers) or [OK]
        self.given: list[Action] = []
        self.idempotent = idempotent
        self.gate = asyncio.Event()
        self.gate.set()

    async def execute(self, action: Action) -> ProviderResponse:
        self.given.append(action)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        await self.gate.wait()
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def health_check(self) -> None:
        return


def away() -> ProviderConnectionError:
    return ProviderConnectionError("refused")


def lost() -> ProviderConnectionError:
    return ProviderConnectionError("reset", delivery="unknown")


class Team:
    """A group `team` of services, and the executor that calls it."""

    def __init__(
        self,
        services: Mapping[str, Service],
        clock: ManualClock,
        *,
        settings: ExecutorSettings = ONCE,
        others: Mapping[str, RegisteredProvider] | None = None,
        **keys: Any,
    ) -> None:
        self.clock = clock
        self.letters = MemoryDeadLetters()
        keys.setdefault("members", tuple(services))
        config = GroupConfig(**keys)
        self.registry = ProviderRegistry.listing(
            [
                *(RegisteredProvider(name, service) for name, service in services.items()),
                *(others or {}).values(),
                RegisteredProvider("team", GroupProvider("team", config)),
            ]
        )
        self.executor = Executor(
            settings, providers=self.registry, dead_letters=self.letters, clock=clock
        )

    async def __call__(self, action: Action, progress: Progress | None = None) -> Execution:
        """Execute `action` while the clock runs as fast as it can."""
        call = self.executor.execute(self.registry["team"], action, progress)
        async with asyncio.timeout(10), asyncio.TaskGroup() as group:
            task = group.create_task(call)
            while not task.done():
                await self.clock.advance(60 * SECOND)
        return task.result()


def failure(execution: Execution) -> Failed:
    assert isinstance(execution.result, Failed)
    return execution.result


def told_of(execution: Execution) -> dict[str, dict[str, Any]]:
    """Return what the outcome tells of each member."""
    result = execution.result
    details = result.details if isinstance(result, Failed) else result.body
    assert details is not None
    return {each["provider"]: each for each in details["members"]}


async def test_all_get_the_action_and_one_outcome_tells_of_each(
    action: Action, clock: ManualClock
) -> None:
    services = {"a": Service(ProviderResponse(body=1)), "b": Service(ProviderResponse(body=2))}
    execution = await Team(services, clock)(action)
    assert execution.result == ProviderResponse(
        body={
            "members": [
                {
                    "provider": name,
                    "attempts": 1,
                    "status": "success",
                    "response": {"body": body, "headers": {}, "status": "success"},
                }
                for name, body in (("a", 1), ("b", 2))
            ]
        }
    )
    assert (execution.certainty, execution.attempts) == (Certainty.DELIVERED, 2)
    assert (execution.provider, [end.member for end in execution.members]) == ("team", ["a", "b"])
    assert [service.given for service in services.values()] == [[action], [action]]


async def test_they_are_called_at_the_same_time(action: Action, clock: ManualClock) -> None:
    services = {name: Service() for name in "abc"}
    team = Team(services, clock)
    for service in services.values():
        service.gate.clear()
    async with asyncio.timeout(10), asyncio.TaskGroup() as group:
        call = group.create_task(team(action))
        await clock.advance(timedelta(0))
        assert [len(service.given) for service in services.values()] == [1, 1, 1]
        for service in reversed(services.values()):
            assert not call.done()
            service.gate.set()
    # Told of in the order of the configuration, whoever ended first.
    assert list(told_of(call.result())) == ["a", "b", "c"]


async def test_one_that_fails_fails_the_action_if_all_are_required(
    action: Action, clock: ManualClock
) -> None:
    team = Team({"a": Service(), "b": Service(ExecutionFailedError("no"))}, clock)
    execution = await team(action)
    assert (failure(execution).code, failure(execution).message) == (
        "MEMBERS_FAILED",
        "execution failed: 1 of 2 members: b: execution failed: no",
    )
    assert told_of(execution)["a"]["status"] == "success"
    assert told_of(execution)["b"] == {
        "provider": "b",
        "attempts": 1,
        "status": "failed",
        "code": "EXECUTION_FAILED",
        "error": "execution failed: no",
        "retryable": False,
    }


async def test_one_that_delivers_is_enough_if_any_is_required(
    action: Action, clock: ManualClock
) -> None:
    services = {"a": Service(), "b": Service(away())}
    execution = await Team(services, clock, require="any")(action)
    assert isinstance(execution.result, ProviderResponse)
    assert execution.result.status is ResponseStatus.PARTIAL
    assert execution.certainty is Certainty.DELIVERED
    assert told_of(execution)["b"]["code"] == "CONNECTION"


async def test_each_is_tried_as_often_as_its_own_limits_or_the_group_say(
    action: Action, clock: ManualClock
) -> None:
    services = {name: Service(away()) for name in "abcd"}
    own = CallLimits(max_retries=4)
    limited = {
        name: RegisteredProvider(name, services.pop(name), limits=own) for name in ("c", "d")
    }
    team = Team(
        services,
        clock,
        settings=ExecutorSettings(max_retries=2),
        others=limited,
        members=("a", "b", "c", "d"),
        max_retries={"b": 0, "d": 1},
    )
    execution = await team(action)
    assert {name: told["attempts"] for name, told in told_of(execution).items()} == {
        "a": 3,
        "b": 1,
        "c": 5,
        "d": 2,
    }
    assert execution.attempts == failure(execution).attempts == 11


async def test_a_retry_calls_only_the_member_that_failed(
    action: Action, clock: ManualClock
) -> None:
    services = {"a": Service(), "b": Service(away(), away(), OK)}
    execution = await Team(services, clock, settings=ExecutorSettings())(action)
    assert execution.certainty is Certainty.DELIVERED
    assert [len(service.given) for service in services.values()] == [1, 3]


async def test_each_has_its_own_template(action: Action, clock: ManualClock) -> None:
    services = {name: Service() for name in "abc"}
    templates = {"a": {"text": "{{ payload.secret }}!"}, "c": {"text": "{{ payload.nothing }}"}}
    execution = await Team(services, clock, templates=templates)(action)
    assert [service.given[0].payload for service in services.values() if service.given] == [
        {"text": "hush!"},
        {"secret": "hush"},
    ]
    assert services["c"].given == []
    assert (told_of(execution)["c"]["code"], told_of(execution)["c"]["attempts"]) == (
        "SERIALIZATION",
        0,
    )
    assert execution.certainty is Certainty.NOT_DELIVERED


async def test_whatever_one_raises_the_others_go_on(action: Action, clock: ManualClock) -> None:
    services = {
        "a": Service(KeyError("x")),
        "b": Service(TimeoutError()),
        "c": Service(ExceptionGroup("many", [OSError()])),
        "d": Service(),
    }
    services["d"].gate.clear()
    team = Team(services, clock)
    async with asyncio.timeout(10), asyncio.TaskGroup() as group:
        call = group.create_task(team(action))
        await clock.advance(timedelta(0))
        services["d"].gate.set()
    told = told_of(call.result())
    assert told["a"]["error"] == "execution failed: KeyError: 'x'"
    assert told["b"]["code"] == "EXECUTION_FAILED"
    assert told["d"]["status"] == "success"
    assert call.result().certainty is Certainty.UNKNOWN


async def test_a_member_that_there_is_not_or_is_a_group_is_told_as_missing(
    action: Action, clock: ManualClock
) -> None:
    service = Service()
    group = RegisteredProvider("g", GroupProvider("g", GroupConfig(members=("a",))), type="group")
    team = Team({"a": service}, clock, others={"g": group})
    bad = GroupProvider("bad", GroupConfig(members=("a", "g", "gone", "bad")))
    team.registry.exchange([*team.registry.values(), RegisteredProvider("bad", bad)])
    execution = await team.executor.execute(team.registry["bad"], action)
    told = told_of(execution)
    assert {name: each.get("code") for name, each in told.items()} == {
        "a": None,
        "g": "PROVIDER_NOT_FOUND",
        "gone": "PROVIDER_NOT_FOUND",
        "bad": "PROVIDER_NOT_FOUND",
    }
    assert len(service.given) == 1
    assert not failure(execution).retryable


async def test_a_members_fallback_delivers_for_it(action: Action, clock: ManualClock) -> None:
    substitute = Service()
    breaker = CircuitBreaker(failure_threshold=1, fallback="c", template={"to": "{{ tenant }}"})
    failing = RegisteredProvider("b", Service(away()), circuit_breaker=breaker)
    team = Team(
        {"a": Service()},
        clock,
        others={"b": failing, "c": RegisteredProvider("c", substitute)},
        members=("a", "b"),
    )
    execution = await team(action)
    assert execution.certainty is Certainty.DELIVERED
    assert execution.fallback is None  # The group itself delivered.
    told = told_of(execution)["b"]
    assert (told["status"], told["fallback"], told["attempts"]) == ("success", "c", 2)
    assert [given.payload for given in substitute.given] == [{"to": "tenant-1"}]
    assert "fallback" not in told_of(execution)["a"]


async def test_those_that_an_earlier_dispatch_settled_are_not_called(
    action: Action, clock: ManualClock
) -> None:
    services = {name: Service() for name in "abc"}
    progress = Progress(
        settled={"a": Settled.DELIVERED, "b": Settled.UNKNOWN, "z": Settled.UNKNOWN}
    )
    execution = await Team(services, clock)(action, progress)
    assert [len(service.given) for service in services.values()] == [0, 0, 1]
    told = told_of(execution)
    assert told["a"]["response"]["body"] == {"delivered": "earlier"}
    assert (told["b"]["code"], told["b"]["retryable"]) == ("DELIVERY_UNKNOWN", False)
    assert (execution.attempts, execution.certainty) == (1, Certainty.UNKNOWN)


async def test_cancelled_midway_it_is_known_who_has_it_and_who_may_have_it(
    action: Action, clock: ManualClock
) -> None:
    services = {
        "has": Service(),
        "may": Service(),
        "failed": Service(ExecutionFailedError("no")),
        "will": Service(away()),
    }
    services["may"].gate.clear()
    team = Team(services, clock, settings=ExecutorSettings(max_retries=1))
    progress = Progress()
    async with asyncio.timeout(10), asyncio.TaskGroup() as group:
        call = group.create_task(team.executor.execute(team.registry["team"], action, progress))
        await clock.advance(timedelta(0))
        call.cancel()
    assert call.cancelled()
    assert progress.in_doubt
    known = {end.member: (end.delivered, end.doubtful, end.attempts) for end in progress.known}
    # That which waits for its second attempt has had its first one, which delivered nothing.
    assert known == {
        "has": (True, False, 1),
        "failed": (False, False, 1),
        "may": (False, True, 1),
    }
    assert team.executor.in_flight == 0
    assert clock.sleepers == 0


async def test_who_must_not_go_on_makes_no_further_call_of_any_member(
    action: Action, clock: ManualClock
) -> None:
    services = {name: Service(away()) for name in "ab"}
    settings = ExecutorSettings(max_retries=9, backoff=Backoff(jitter=0))
    team = Team(services, clock, settings=settings)
    given = [service.given for service in services.values()]
    await team(action, Progress(give_up=lambda: sum(map(len, given)) >= 4))
    assert [len(each) for each in given] == [2, 2]


Story = Literal["delivers", "half", "refuses", "fails", "is away", "is lost"]
ANSWERS: dict[Story, ProviderResponse | Exception] = {
    "delivers": OK,
    "half": PARTIAL,
    "refuses": REFUSED,
    "fails": ExecutionFailedError("no"),
    "is away": away(),
    "is lost": lost(),
}
STORIES: st.SearchStrategy[Story] = st.sampled_from([*ANSWERS])


@given(
    st.lists(st.tuples(STORIES, st.booleans()), min_size=1, max_size=6),
    st.sampled_from(["all", "any"]),
)
async def test_what_is_claimed_of_all_follows_from_what_became_of_each(
    stories: list[tuple[Story, bool]], require: str
) -> None:
    services = {
        f"m{number}": Service(ANSWERS[story], idempotent=idempotent)
        for number, (story, idempotent) in enumerate(stories)
    }
    team = Team(services, ManualClock(), require=require)
    execution = await team(
        Action(namespace="n", tenant="t", provider="team", action_type="a", payload=None)
    )
    each = [story for story, _ in stories]
    has = [story in {"delivers", "half"} for story in each]
    again = [
        story == "is away" or (story == "is lost" and idempotent) for story, idempotent in stories
    ]
    lacking = [may for got, may in zip(has, again, strict=True) if not got]
    if all(has) if require == "all" else any(has):
        assert execution.certainty is Certainty.DELIVERED
        assert isinstance(execution.result, ProviderResponse)
        whole = set(each) == {"delivers"}
        assert execution.result.status is (
            ResponseStatus.SUCCESS if whole else ResponseStatus.PARTIAL
        )
    else:
        assert failure(execution).retryable is (all if require == "all" else any)(lacking)
        assert execution.certainty is (
            Certainty.UNKNOWN if "is lost" in each else Certainty.NOT_DELIVERED
        )
    told = told_of(execution)
    assert list(told) == list(services)
    statuses = {
        "delivers": "success",
        "half": "partial",
        "refuses": "failure",
        "fails": "failed",
        "is away": "failed",
        "is lost": "failed",
    }
    assert [member["status"] for member in told.values()] == [statuses[story] for story in each]
    assert execution.attempts == len(stories)
    assert all(len(service.given) == 1 for service in services.values())


@pytest.mark.parametrize("count", [1, 2, 8, 30])
async def test_a_failure_names_each_member_that_failed_in_one_short_line(
    action: Action, clock: ManualClock, count: int
) -> None:
    names = [f"m{number:02}" for number in range(count)]
    services = {name: Service(ExecutionFailedError("because " * 40)) for name in names}
    message = failure(await Team(services | {"well": Service()}, clock)(action)).message
    assert len(message) <= 256
    assert f"{count} of {count + 1} members" in message
    assert all(name in message for name in names)
    assert "well" not in message


async def test_each_member_that_is_given_up_leaves_a_letter(
    action: Action, clock: ManualClock
) -> None:
    services = {
        "a": Service(),
        "b": Service(away()),
        "c": Service(ExecutionFailedError("no")),
        "d": Service(lost()),
    }
    team = Team(services, clock)
    await team(action)
    letters = await team.letters.drain()
    assert sorted((letter.target, letter.error) for letter in letters) == [
        ("b", "connection error: refused"),
        ("d", "connection error: reset"),
    ]


async def test_the_circuit_of_a_member_is_that_of_the_provider_everywhere(
    action: Action, clock: ManualClock
) -> None:
    failing = RegisteredProvider(
        "b",
        Service(away()),
        circuit_breaker=CircuitBreaker(failure_threshold=2, recovery_timeout=timedelta(days=1)),
    )
    team = Team({"a": Service()}, clock, others={"b": failing}, members=("a", "b"))
    await team.executor.execute(failing, action)
    assert told_of(await team(action))["b"]["code"] == "CONNECTION"
    assert told_of(await team(action))["b"]["code"] == "CIRCUIT_OPEN"
