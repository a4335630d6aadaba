"""Somebody else's plugins, found through entry points as any installed package's are."""

from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any, ClassVar, Literal

from attrs import Attribute, field, frozen
from attrs.validators import ge

from acteon.audit import AuditPlugin, AuditStore
from acteon.core import Action, ConfigError, ProviderResponse
from acteon.provider import Provider, ProviderPlugin
from acteon.state import StateBackend, StateConnectionError, StatePlugin
from acteon.state_memory import MemoryStatePlugin


def _is_ours(_instance: object, _attribute: "Attribute[str]", value: str) -> None:
    if not value.startswith("acme://"):
        raise ValueError(f"'url' must begin with acme://, not {value!r}")


@frozen(kw_only=True)
class AcmeConfig:
    """Every kind of key that a plugin may have."""

    url: str = field(repr=False, validator=_is_ours)
    pool_size: int = field(default=10, validator=ge(1))
    ratio: float = 1.0
    tls: bool = False
    nodes: tuple[str, ...] = ()
    ports: tuple[int, ...] = ()
    labels: Mapping[str, str] = field(factory=dict[str, str])
    mode: Literal["fast", "safe"] = "safe"
    limit: int | str = 0
    patience: timedelta = timedelta(seconds=5)
    lifetime: timedelta | None = None
    comment: str | None = None


class AcmeStatePlugin(StatePlugin):
    """A store that opens unless its address says otherwise."""

    Config: ClassVar[type[Any]] = AcmeConfig

    @classmethod
    @asynccontextmanager
    async def open(cls, config: Any) -> AsyncGenerator[StateBackend]:
        if "down" in config.url:
            raise StateConnectionError(f"no answer from\n{config.url}")
        if "odd" in config.url:
            raise KeyError("odd")
        memory = MemoryStatePlugin
        async with memory.open(memory.Config()) as backend:
            yield backend


@frozen(kw_only=True)
class AcmeAuditConfig:
    """An audit store at an address."""

    url: str


class AcmeAuditPlugin(AuditPlugin):
    """An audit store that never opens."""

    Config: ClassVar[type[Any]] = AcmeAuditConfig

    @classmethod
    @asynccontextmanager
    async def open(cls, config: Any) -> AsyncGenerator[AuditStore]:
        raise ConfigError(f"the index of {config.url} is missing")
        yield


class FormlessAuditPlugin(AcmeAuditPlugin):
    """A plugin whose author forgot what a Config is."""

    Config: ClassVar[type[Any]] = dict


@frozen(kw_only=True)
class AcmeProviderConfig:
    """A receiver that wants a token."""

    token: str = field(repr=False)
    retries: int = 0

    def __attrs_post_init__(self) -> None:
        if self.retries and self.token == "none":
            raise ValueError("'retries' need a token")
        if self.token.startswith("bad"):
            raise ValueError(f"token {self.token} is none of ours")


@frozen
class AcmeProvider:
    """Takes everything; notes when it is closed."""

    name: str
    token: str = field(repr=False)
    idempotent: bool = False
    closed: list[str] = field(factory=list[str])

    async def execute(self, action: Action) -> ProviderResponse:
        return ProviderResponse(body={"provider": self.name, "id": action.id})

    async def health_check(self) -> None:
        return


class AcmeProviderPlugin(ProviderPlugin):
    """Opens a provider, unless the token is of the wrong sort."""

    Config: ClassVar[type[Any]] = AcmeProviderConfig

    @classmethod
    @asynccontextmanager
    async def open(cls, name: str, config: Any) -> AsyncGenerator[Provider]:
        if config.token.startswith("expired"):
            raise ConfigError(f"the receiver refused {config.token}")
        provider = AcmeProvider(name, config.token)
        yield provider
        provider.closed.append(name)
        if config.token.startswith("unclosable"):
            raise OSError("the receiver does not let go")
