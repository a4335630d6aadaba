"""Somebody else's provider, whose errors tell all that it was given."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any, ClassVar

from attrs import field, frozen

from acteon.core import Action, ProviderResponse
from acteon.provider import Provider, ProviderConnectionError, ProviderPlugin


@frozen(kw_only=True)
class QuotingConfig:
    """A receiver that wants a token."""

    token: str = field(repr=False)


@frozen
class QuotingProvider:
    """Delivers nothing; it says so in its own error, and in one that nobody foresaw."""

    name: str
    idempotent: bool = False

    async def execute(self, action: Action) -> ProviderResponse:
        told = f"cannot send {action.payload!r} with {dict(action.metadata)!r}"
        if action.action_type == "unforeseen":
            raise RuntimeError(told)
        raise ProviderConnectionError(told)

    async def health_check(self) -> None:
        return


class QuotingPlugin(ProviderPlugin):
    """Opens one."""

    Config: ClassVar[type[Any]] = QuotingConfig

    @classmethod
    @asynccontextmanager
    async def open(cls, name: str, config: Any) -> AsyncGenerator[Provider]:
        yield QuotingProvider(name)
