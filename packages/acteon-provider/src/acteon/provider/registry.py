"""The providers of one gateway, by name."""

from collections.abc import Iterator, Mapping

from attrs import field, frozen

from acteon.provider.provider import Provider


@frozen
class RegisteredProvider:
    """A provider under its name.

    Attributes:
        name: What actions and rules call it.
        provider: It.
        idempotent: Whether a call without an answer may be repeated; the configuration has the
            last word, then the provider itself.
    """

    name: str
    provider: Provider
    idempotent: bool


@frozen
class ProviderRegistry(Mapping[str, RegisteredProvider]):
    """The providers of one gateway, by name; iterates in the order of the names."""

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
        return cls(
            {
                name: RegisteredProvider(
                    name, providers[name], overruled.get(name, providers[name].idempotent)
                )
                for name in sorted(providers)
            }
        )

    def __getitem__(self, name: str) -> RegisteredProvider:
        return self._providers[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._providers)

    def __len__(self) -> int:
        return len(self._providers)
