"""The providers of one gateway, by name."""

from asyncio import Event
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from attrs import define, field, frozen

from acteon.provider.limits import CallLimits, CircuitBreaker
from acteon.provider.provider import Provider

MEMBERS: Final = ("idempotent", "execute", "health_check")
"""What every provider has."""


def lacking(provider: object) -> list[str]:
    """Return which members of a provider `provider` lacks."""
    return [name for name in MEMBERS if not hasattr(provider, name)]


@define(eq=False)
class Uses:
    """How many calls of a provider are under way.

    Attributes:
        count: So many.
        ended: Whether no more are to begin: it is being closed.
    """

    count: int = 0
    ended: bool = False
    _none: Event | None = field(default=None, init=False)

    def begin(self) -> None:
        """Count a call that begins."""
        self.count += 1

    def end(self) -> None:
        """Count a call that has ended."""
        self.count -= 1
        if not self.count and self._none is not None:
            self._none.set()

    async def over(self) -> None:
        """Return when there are none."""
        while self.count:
            self._none = Event()
            await self._none.wait()


@frozen
class RegisteredProvider:
    """A provider under its name, and how it is to be called.

    Attributes:
        name: What actions and rules call it.
        provider: It.
        type: What the configuration calls its type; empty for one that a program brings.
        limits: How much it may be asked to do.
        circuit_breaker: When it is left alone; None: never.
        uses: The calls that are under way.
    """

    name: str
    provider: Provider
    _idempotent: bool | None = field(default=None, alias="idempotent")
    type: str = field(default="", kw_only=True)
    limits: CallLimits = field(factory=CallLimits, kw_only=True)
    circuit_breaker: CircuitBreaker | None = field(default=None, kw_only=True)
    uses: Uses = field(factory=Uses, kw_only=True, eq=False, repr=False)

    @property
    def idempotent(self) -> bool:
        """Whether a call without an answer may be repeated.

        The configuration has the last word, then the provider itself.
        """
        given = self._idempotent
        return self.provider.idempotent if given is None else given


@define(eq=False)
class Grouping:
    """A provider that consists of others.

    Attributes:
        providers: Where they are found; given by the registry that it is put into.
    """

    providers: Mapping[str, RegisteredProvider] = field(
        factory=dict[str, RegisteredProvider], kw_only=True, repr=False
    )


@define(eq=False)
class ProviderRegistry(Mapping[str, RegisteredProvider]):
    """The providers of one gateway, by name; iterates in the order of the names.

    Whoever holds it sees the new ones when they are exchanged.
    """

    _providers: Mapping[str, RegisteredProvider] = field(factory=dict[str, RegisteredProvider])

    @classmethod
    def of(
        cls,
        providers: Mapping[str, Provider],
        idempotent: Mapping[str, bool] | None = None,
    ) -> "ProviderRegistry":
        """Return the registry of `providers`.

        Args:
            providers: They, by name.
            idempotent: Names whose own word on idempotence is overruled.
        """
        overruled = idempotent or {}
        return cls.listing(
            RegisteredProvider(name, provider, overruled.get(name))
            for name, provider in providers.items()
        )

    @classmethod
    def listing(cls, providers: Iterable[RegisteredProvider]) -> "ProviderRegistry":
        """Return the registry of `providers`; of two with one name, the later one counts."""
        registry = cls()
        registry.exchange(providers)
        return registry

    def exchange(self, providers: Iterable[RegisteredProvider]) -> None:
        """Put `providers` in the place of all that are here, at once."""
        named = {each.name: each for each in providers}
        for each in named.values():
            if isinstance(each.provider, Grouping):
                each.provider.providers = self
        self._providers = {name: named[name] for name in sorted(named)}

    def current(self, provider: RegisteredProvider) -> RegisteredProvider:
        """Return the provider that has the name of `provider` now; it, if there is none."""
        return self._providers.get(provider.name, provider)

    def __getitem__(self, name: str) -> RegisteredProvider:
        return self._providers[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._providers)

    def __len__(self) -> int:
        return len(self._providers)
