"""Several providers as one: each gets the action, and one outcome tells of all."""

import asyncio
from collections.abc import AsyncGenerator, Iterable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import timedelta
from enum import StrEnum
from functools import cached_property
from typing import Any, Final, Literal

from attrs import Attribute, define, field, frozen
from attrs.validators import deep_mapping, ge, gt, instance_of, le

from acteon.core import Action, Failed, ProviderResponse, ResponseStatus
from acteon.provider.errors import MAX_MESSAGE, ExecutionFailedError, ProviderError
from acteon.provider.provider import Provider, ProviderPlugin
from acteon.provider.registry import Grouping, RegisteredProvider
from acteon.provider.shaping import shaped
from acteon.provider.templates import PayloadTemplate

_LEAST: Final = 12
"""The letters of a member's problem that are worth telling in a line; fewer say nothing."""


class MembersFailedError(ProviderError):
    """Too few of the members of a group delivered."""

    code = "MEMBERS_FAILED"

    def __init__(self, failed: Failed, *, doubtful: bool) -> None:
        super().__init__(
            failed.message.removeprefix(self.prefix), delivery="unknown" if doubtful else "none"
        )
        self.retryable = failed.retryable


class Settled(StrEnum):
    """What an earlier dispatch of an action settled for a member of its group."""

    DELIVERED = "delivered"
    """It delivered."""

    UNKNOWN = "unknown"
    """Nobody knows, and a call must not be repeated."""

    def end(self, member: str) -> "MemberEnd":
        """Return that as what came of `member`, without any call."""
        if self is Settled.DELIVERED:
            return MemberEnd(member, ProviderResponse(body={"delivered": "earlier"}))
        unknown = Failed(
            code="DELIVERY_UNKNOWN",
            message="an earlier dispatch may have delivered it",
            retryable=False,
            attempts=0,
        )
        return MemberEnd(member, unknown, doubtful=True)


@frozen
class MemberEnd:
    """What came of one member of a group.

    Attributes:
        member: Its name.
        result: Its answer, or why there is none.
        attempts: How many calls were made.
        doubtful: Whether it failed, and may have delivered all the same.
        by: Who delivered in its place, if it is not itself.
    """

    member: str
    result: ProviderResponse | Failed
    attempts: int = field(default=0, kw_only=True)
    doubtful: bool = field(default=False, kw_only=True)
    by: str = field(default="", kw_only=True)

    @classmethod
    def missing(cls, member: str) -> "MemberEnd":
        """Return what came of a member that there is not."""
        return cls(
            member,
            Failed(
                code="PROVIDER_NOT_FOUND",
                message=f"provider not found: {member}",
                retryable=False,
                attempts=0,
            ),
        )

    @property
    def delivered(self) -> bool:
        """Whether the action, or a part of it, was delivered for certain."""
        result = self.result
        return isinstance(result, ProviderResponse) and result.status is not ResponseStatus.FAILURE

    @property
    def problem(self) -> str | None:
        """Why it was not; None if it was."""
        if isinstance(self.result, Failed):
            return self.result.message
        return None if self.delivered else "the receiver refused it"

    def as_json(self) -> dict[str, Any]:
        """Return all of it, as responses have it."""
        told: dict[str, Any] = {"provider": self.member, "attempts": self.attempts}
        if self.by not in {"", self.member}:
            told["fallback"] = self.by
        if isinstance(self.result, Failed):
            failed = self.result
            told |= {
                "status": "failed",
                "code": failed.code,
                "error": failed.message,
                "retryable": failed.retryable,
            }
        else:
            told |= {"status": self.result.status.value, "response": self.result.as_json()}
        return told


def _are_members(
    _: object, attribute: "Attribute[tuple[str, ...]]", value: tuple[str, ...]
) -> None:
    if len(set(value)) < len(value):
        raise ValueError(f"'{attribute.name}' names one of them twice")
    if not value:
        raise ValueError(f"'{attribute.name}' names nobody")


def _are_templates(
    _: object, attribute: "Attribute[Any]", value: Mapping[str, Mapping[str, Any]]
) -> None:
    for name, template in value.items():
        try:
            PayloadTemplate.of(template)
        except ValueError as error:
            raise ValueError(f"'{attribute.name}' {name}.{error}") from None


@frozen(kw_only=True)
class GroupConfig:
    """The keys of a `[[providers]]` of type `group`.

    Attributes:
        members: The providers that get the action, all at the same time.
        require: Whether `all` of them must deliver, or `any`.
        templates: The payload that a member gets, its texts being templates; the same payload for
            those that are not named here.
        max_retries: Attempts of a member after the first one; for those that are not named here,
            as their own limits say.
        remember: For how long a further dispatch of an action that did not reach all its members
            leaves out those that it reached.
    """

    members: tuple[str, ...] = field(validator=_are_members)
    require: Literal["all", "any"] = "all"
    templates: Mapping[str, Mapping[str, Any]] = field(
        factory=dict[str, Mapping[str, Any]],
        validator=_are_templates,
    )
    max_retries: Mapping[str, int] = field(
        factory=dict[str, int],
        validator=deep_mapping(key_validator=instance_of(str), value_validator=[ge(0), le(100)]),
    )
    remember: timedelta = field(
        default=timedelta(days=1), validator=[gt(timedelta(0)), le(timedelta(days=366))]
    )

    def __attrs_post_init__(self) -> None:
        for key, named in (("templates", self.templates), ("max_retries", self.max_retries)):
            for name in named:
                if name not in self.members:
                    raise ValueError(f"'{key}' names {name!r}, which is no member")

    @cached_property
    def shapes(self) -> Mapping[str, PayloadTemplate]:
        """The templates, compiled."""
        return {name: PayloadTemplate.of(value) for name, value in self.templates.items()}


@define(eq=False)
class GroupProvider(Grouping):
    """Hands an action to several providers at the same time.

    An executor calls the members itself, so that each has its attempts, limits and circuit. Called
    by `execute` each is asked once.

    Attributes:
        name: What the configuration calls it.
        config: Whom it consists of, and what is required of them.
    """

    name: str
    config: GroupConfig

    @property
    def members(self) -> tuple[str, ...]:
        """The names of those it consists of."""
        return self.config.members

    @property
    def idempotent(self) -> bool:
        """Whether all of them are."""
        found = [self.member(name) for name in self.members]
        return all(each is not None and each.idempotent for each in found)

    def member(self, name: str) -> RegisteredProvider | None:
        """Return the member of that name; None if there is none, or it is a group itself."""
        found = self.providers.get(name)
        return None if found is None or isinstance(found.provider, Grouping) else found

    def shaped(self, member: str, action: Action) -> Action:
        """Return `action` as `member` gets it.

        Raises:
            ProviderSerializationError: Its template cannot be filled in.
        """
        return shaped(action, self.config.shapes.get(member))

    async def execute(self, action: Action) -> ProviderResponse:
        async with asyncio.TaskGroup() as tasks:
            calls = [tasks.create_task(self._once(name, action)) for name in self.members]
        ends = tuple(each.result() for each in calls)
        result = self.judge(ends, len(ends))
        if isinstance(result, ProviderResponse):
            return result
        raise MembersFailedError(result, doubtful=any(end.doubtful for end in ends))

    async def _once(self, name: str, action: Action) -> MemberEnd:
        member = self.member(name)
        if member is None:
            return MemberEnd.missing(name)
        try:
            response = await member.provider.execute(self.shaped(name, action))
        except (Exception, asyncio.CancelledError) as raised:  # noqa: BLE001 - it may raise anything
            error = _meant(raised)
            failed = Failed(
                code=error.code,
                message=str(error),
                retryable=error.retryable and (error.delivery == "none" or member.idempotent),
                attempts=1,
            )
            return MemberEnd(name, failed, attempts=1, doubtful=error.delivery == "unknown")
        return MemberEnd(name, response, attempts=1)

    def judge(self, ends: tuple[MemberEnd, ...], attempts: int) -> ProviderResponse | Failed:
        """Return what it is altogether that `ends` came of the members.

        Args:
            ends: One for each member.
            attempts: How many calls that took.
        """
        failed = [end for end in ends if not end.delivered]
        members = [end.as_json() for end in ends]
        enough = not failed if self.config.require == "all" else len(failed) < len(ends)
        if enough:
            whole = all(_is_success(end.result) for end in ends)
            status = ResponseStatus.SUCCESS if whole else ResponseStatus.PARTIAL
            return ProviderResponse(status, {"members": members})
        return Failed(
            code=MembersFailedError.code,
            message=_summary(failed, len(ends)),
            retryable=all(isinstance(end.result, Failed) and end.result.retryable for end in failed)
            if self.config.require == "all"
            else any(isinstance(end.result, Failed) and end.result.retryable for end in failed),
            attempts=attempts,
            details={"members": members},
        )

    async def health_check(self) -> None:
        """Return if as many members are well as are required.

        Raises:
            ProviderError: They are not.
        """
        async with asyncio.TaskGroup() as tasks:
            checks = {name: tasks.create_task(self._health(name)) for name in self.members}
        problems = {name: check.result() for name, check in checks.items() if check.result()}
        if len(problems) < (1 if self.config.require == "all" else len(checks)):
            return
        told = "; ".join(f"{name}: {problem}" for name, problem in problems.items())
        raise ExecutionFailedError(told)

    async def _health(self, name: str) -> str | None:
        member = self.member(name)
        if member is None:
            return "there is no such provider"
        try:
            await member.provider.health_check()
        except ProviderError as error:
            return str(error)
        except (Exception, asyncio.CancelledError) as raised:  # noqa: BLE001 - it may raise anything
            return str(_meant(raised))
        return None


def _meant(raised: BaseException) -> ProviderError:
    """Return the error that `raised` stands for; raise it if it is a cancellation of the caller."""
    if isinstance(raised, ProviderError):
        return raised
    task = asyncio.current_task()
    if isinstance(raised, asyncio.CancelledError) and task is not None and task.cancelling():
        raise raised
    text = f"{type(raised).__name__}: {raised}".removesuffix(": ")
    return ExecutionFailedError(text, delivery="unknown")


def _is_success(result: ProviderResponse | Failed) -> bool:
    return isinstance(result, ProviderResponse) and result.status is ResponseStatus.SUCCESS


def _summary(failed: Iterable[MemberEnd], count: int) -> str:
    """Return one line that names each of `failed`, each with its share of the room."""
    ends = list(failed)
    start = f"execution failed: {len(ends)} of {count} members: "
    share = (MAX_MESSAGE - len(start)) // len(ends) - 2
    if share < max(len(end.member) for end in ends) + _LEAST:
        return _cut(start + ", ".join(end.member for end in ends), MAX_MESSAGE)
    return start + "; ".join(_cut(f"{end.member}: {end.problem}", share) for end in ends)


def _cut(text: str, length: int) -> str:
    return text if len(text) <= length else f"{text[: length - 1]}…"


class GroupPlugin(ProviderPlugin):
    """Opens groups."""

    Config = GroupConfig
    kit = "1"

    @classmethod
    def open(cls, name: str, config: GroupConfig) -> AbstractAsyncContextManager[Provider]:
        return _open(name, config)


@asynccontextmanager
async def _open(name: str, config: GroupConfig) -> AsyncGenerator[Provider]:
    yield GroupProvider(name, config)
