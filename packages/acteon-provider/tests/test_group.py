"""Several providers as one."""

import asyncio
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from acteon.core import Action, Failed, ProviderResponse, ResponseStatus
from acteon.provider import (
    ExecutionFailedError,
    GroupConfig,
    GroupPlugin,
    GroupProvider,
    MemberEnd,
    Provider,
    ProviderConnectionError,
    ProviderError,
    ProviderPlugin,
    ProviderRegistry,
    RegisteredProvider,
    Settled,
)
from acteon.provider.testing import ProviderConformance, Receiver, answer, reset
from acteon.provider.webhook import WebhookConfig, WebhookPlugin

OK = ProviderResponse()


class Service:
    """Does with every action what it is told to."""

    def __init__(
        self, does: ProviderResponse | BaseException = OK, *, idempotent: bool = False
    ) -> None:
        self.does = does
        self.idempotent = idempotent
        self.given: list[Action] = []
        self.gate = asyncio.Event()
        self.gate.set()

    async def execute(self, action: Action) -> ProviderResponse:
        self.given.append(action)
        await self.gate.wait()
        if isinstance(self.does, BaseException):
            raise self.does
        return self.does

    async def health_check(self) -> None:
        await self.gate.wait()
        if isinstance(self.does, BaseException):
            raise self.does


def team(services: Mapping[str, Provider], **keys: Any) -> GroupProvider:
    keys.setdefault("members", tuple(services))
    group = GroupProvider("team", GroupConfig(**keys))
    ProviderRegistry.of({**services, "team": group})
    return group


async def failure_of(group: GroupProvider, action: Action) -> ProviderError:
    with pytest.raises(ProviderError) as failure:
        await group.execute(action)
    return failure.value


class TestGroupOfTwoWebhooks(ProviderConformance):
    @pytest.fixture
    def plugin(self) -> type[ProviderPlugin]:
        return GroupPlugin

    @pytest.fixture
    async def provider(self) -> AsyncIterator[Provider]:
        async with AsyncExitStack() as stack:
            urls = [(await stack.enter_async_context(Receiver())).url for _ in range(2)]
            yield await _of_webhooks(stack, urls)

    @pytest.fixture
    async def failing_provider(self) -> AsyncIterator[Provider]:
        async with AsyncExitStack() as stack:
            async with Receiver() as gone:
                nobody = gone.url
            well = await stack.enter_async_context(Receiver())
            yield await _of_webhooks(stack, [well.url, nobody])


async def _of_webhooks(stack: AsyncExitStack, urls: list[str]) -> Provider:
    hooks: dict[str, Provider] = {}
    for number, url in enumerate(urls):
        config = WebhookConfig(url=url, allow_networks=("127.0.0.0/8",))
        name = f"hook-{number}"
        hooks[name] = await stack.enter_async_context(WebhookPlugin.open(name, config))
    group = await stack.enter_async_context(
        GroupPlugin.open("team", GroupConfig(members=tuple(hooks)))
    )
    ProviderRegistry.of({**hooks, "team": group})
    return group


async def test_every_receiver_gets_the_action_and_a_lost_answer_leaves_a_doubt(
    action: Action,
) -> None:
    async with AsyncExitStack() as stack:
        receivers = [await stack.enter_async_context(Receiver()) for _ in range(3)]
        receivers[1].script(reset())
        receivers[2].script(answer(500))
        group = await _of_webhooks(stack, [receiver.url for receiver in receivers])
        with pytest.raises(ProviderError) as failure:
            await group.execute(action)
    assert [len(receiver.requests) for receiver in receivers] == [1, 1, 1]
    assert {receiver.requests[0].json["id"] for receiver in receivers} == {action.id}
    assert (failure.value.code, failure.value.delivery) == ("MEMBERS_FAILED", "unknown")
    assert "2 of 3 members: hook-1: " in str(failure.value)


@pytest.mark.parametrize(
    ("keys", "problem"),
    [
        ({"members": ()}, "'members' names nobody"),
        ({"members": ("a", "b", "a")}, "'members' names one of them twice"),
        ({"members": ("a",), "templates": {"b": {}}}, "'templates' names 'b', which is no member"),
        (
            {"members": ("a",), "max_retries": {"b": 1}},
            "'max_retries' names 'b', which is no member",
        ),
        (
            {"members": ("a",), "templates": {"a": {"x": ["{{ "]}}},
            "'templates' a.x[0]: is no template",
        ),
        ({"members": ("a",), "max_retries": {"a": -1}}, "'max_retries' must be >= 0: -1"),
        ({"members": ("a",), "max_retries": {"a": 101}}, "'max_retries' must be <= 100: 101"),
        ({"members": ("a",), "remember": timedelta(0)}, "'remember' must be > 0:00:00"),
        ({"members": ("a",), "remember": timedelta(days=367)}, "'remember' must be <= 366 days"),
    ],
)
def test_a_configuration_that_makes_no_sense_is_refused(
    keys: Mapping[str, Any], problem: str
) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(problem)}"):
        GroupConfig(**keys)


def test_it_is_idempotent_if_all_its_members_are() -> None:
    well, other = Service(idempotent=True), Service()
    assert team({"a": well}).idempotent
    assert not team({"a": well, "b": other}).idempotent
    assert not team({"a": well}, members=("a", "gone")).idempotent


async def test_the_configuration_has_the_last_word_on_members_too() -> None:
    group = GroupProvider("team", GroupConfig(members=("a",)))
    overruled = RegisteredProvider("a", Service(), True)
    ProviderRegistry.listing([overruled, RegisteredProvider("team", group)])
    assert group.idempotent


async def test_members_are_those_that_are_there_by_now(action: Action) -> None:
    old, new = Service(), Service()
    group = GroupProvider("team", GroupConfig(members=("a",)))
    registry = ProviderRegistry.of({"a": old, "team": group})
    await group.execute(action)
    registry.exchange([RegisteredProvider("a", new), RegisteredProvider("team", group)])
    await group.execute(action)
    assert (len(old.given), len(new.given)) == (1, 1)


@pytest.mark.parametrize(
    ("raised", "told"),
    [
        (KeyError("x"), "a: execution failed: KeyError: 'x'"),
        (TimeoutError(), "a: execution failed: TimeoutError"),
        (ExceptionGroup("many", [OSError()]), "a: execution failed: ExceptionGroup: many"),
        (asyncio.CancelledError(), "a: execution failed: CancelledError"),
    ],
    ids=repr,
)
async def test_whatever_one_raises_the_others_get_to_their_end(
    action: Action, raised: BaseException, told: str
) -> None:
    other = Service()
    other.gate.clear()
    group = team({"a": Service(raised), "b": other})
    async with asyncio.timeout(10), asyncio.TaskGroup() as tasks:
        call = tasks.create_task(failure_of(group, action))
        for _ in range(20):
            await asyncio.sleep(0)
        assert not call.done()
        other.gate.set()
    assert (call.result().code, call.result().delivery) == ("MEMBERS_FAILED", "unknown")
    assert told in str(call.result())


async def test_who_cancels_it_cancels_every_call(action: Action) -> None:
    services = {name: Service() for name in "ab"}
    ended: list[str] = []

    class Noting(Service):
        async def execute(self, action: Action) -> ProviderResponse:
            try:
                return await super().execute(action)
            except asyncio.CancelledError:
                ended.append("c")
                raise

    noting = Noting()
    for service in (*services.values(), noting):
        service.gate.clear()
    group = team({**services, "c": noting})
    async with asyncio.timeout(10), asyncio.TaskGroup() as tasks:
        call = tasks.create_task(group.execute(action))
        for _ in range(20):
            await asyncio.sleep(0)
        call.cancel()
    assert call.cancelled()
    assert ended == ["c"]


async def test_as_many_must_be_healthy_as_must_deliver() -> None:
    well, ill = Service(), Service(ProviderConnectionError("refused"))
    await team({"a": well, "b": well}).health_check()
    await team({"a": well, "b": ill}, require="any").health_check()
    for group, problem in [
        (team({"a": well, "b": ill}), "b: connection error: refused"),
        (
            team({"a": ill, "b": ill}, require="any"),
            "a: connection error: refused; b: connection error: refused",
        ),
        (team({"a": well}, members=("a", "gone")), "gone: there is no such provider"),
        (team({"a": well, "b": Service(KeyError("x"))}), "b: execution failed: KeyError: 'x'"),
    ]:
        with pytest.raises(ExecutionFailedError) as failure:
            await group.health_check()
        assert str(failure.value) == f"execution failed: {problem}"


async def test_all_are_asked_for_their_health_at_the_same_time() -> None:
    asked: list[str] = []
    everybody = asyncio.Event()

    class Meeting(Service):
        async def health_check(self) -> None:
            asked.append("")
            if len(asked) == 3:
                everybody.set()
            await everybody.wait()

    async with asyncio.timeout(10):
        await team({name: Meeting() for name in "abc"}).health_check()


FAILED = [
    Failed(code="CONNECTION", message="connection error: x", retryable=True, attempts=1),
    Failed(
        code="EXECUTION_FAILED", message="execution failed: x" * 30, retryable=False, attempts=2
    ),
]
NAMES = st.text("abcdefghijklmnopqrstuvwxyz-é", min_size=1, max_size=30)
RESULTS: st.SearchStrategy[ProviderResponse | Failed] = st.sampled_from(
    [*(ProviderResponse(status) for status in ResponseStatus), *FAILED]
)


@given(
    st.lists(NAMES, min_size=1, max_size=12, unique=True).flatmap(
        lambda names: st.tuples(
            st.just(names), st.lists(RESULTS, min_size=len(names), max_size=len(names))
        )
    ),
    st.sampled_from(["all", "any"]),
)
def test_the_judgement_follows_from_the_ends(
    story: tuple[list[str], list[ProviderResponse | Failed]], require: Any
) -> None:
    names, results = story
    group = GroupProvider("team", GroupConfig(members=tuple(names), require=require))
    ends = tuple(MemberEnd(*pair) for pair in zip(names, results, strict=True))
    judgement = group.judge(ends, 9)

    statuses = [each.status.value if isinstance(each, ProviderResponse) else "" for each in results]
    delivered = [status in {"success", "partial"} for status in statuses]
    told = [end.as_json() for end in ends]
    if (all if require == "all" else any)(delivered):
        assert isinstance(judgement, ProviderResponse)
        assert judgement.body == {"members": told}
        assert judgement.status.value == ("success" if set(statuses) == {"success"} else "partial")
        return
    assert isinstance(judgement, Failed)
    lacking = [name for name, got in zip(names, delivered, strict=True) if not got]
    assert (judgement.code, judgement.attempts) == ("MEMBERS_FAILED", 9)
    assert judgement.details == {"members": told}
    assert len(judgement.message) <= 256
    start = f"execution failed: {len(lacking)} of {len(names)} members: "
    assert judgement.message.startswith(start)
    if len(start) + len(", ".join(lacking)) <= 256:
        assert all(name in judgement.message for name in lacking)
    else:
        assert judgement.message.endswith("…")


def test_what_was_settled_earlier_is_told_as_an_end() -> None:
    delivered, unknown = (how.end("a") for how in (Settled.DELIVERED, Settled.UNKNOWN))
    assert (delivered.delivered, delivered.doubtful, delivered.attempts) == (True, False, 0)
    assert (unknown.delivered, unknown.doubtful, unknown.attempts) == (False, True, 0)
    assert unknown.problem == "an earlier dispatch may have delivered it"


def test_a_refusal_by_the_receiver_is_a_problem_too() -> None:
    refused = MemberEnd("a", ProviderResponse(ResponseStatus.FAILURE))
    assert (refused.delivered, refused.problem) == (False, "the receiver refused it")
