"""How the providers of a gateway are, and switching them by hand."""

from attrs import frozen

from acteon.executor import CallSummary, Executor, Line
from acteon.gateway.errors import ProviderUnknownError
from acteon.provider import GroupProvider, ProviderRegistry, RegisteredProvider


@frozen(kw_only=True)
class ProviderStatus:
    """How one provider is, as far as this process knows.

    Attributes:
        provider: It.
        line: Its limits, its circuit and its calls; None for a group, whose members have them.
    """

    provider: RegisteredProvider
    line: Line | None

    @property
    def calls(self) -> CallSummary | None:
        """How its calls went; None for a group."""
        return None if self.line is None else self.line.calls.summary()


@frozen
class ProviderControl:
    """Tells how providers are, and switches their circuits."""

    providers: ProviderRegistry
    executor: Executor

    def statuses(self) -> list[ProviderStatus]:
        """Return how each provider is, in the order of their names."""
        return [
            ProviderStatus(provider=each, line=self._line(each)) for each in self.providers.values()
        ]

    def set_circuit(self, name: str, *, open: bool) -> ProviderStatus:
        """Open or close the circuit of a provider, for this process; return how that is then.

        Opened by hand it stays open until it is closed by hand.

        Raises:
            ProviderUnknownError: There is no such provider, or it is a group.
        """
        provider = self.providers.get(name)
        line = None if provider is None else self._line(provider)
        if provider is None:
            raise ProviderUnknownError(f"provider not found: {name}")
        if line is None:
            raise ProviderUnknownError(
                f"provider {name} is a group: its members have circuits, it has none"
            )
        if open:
            line.circuit.open_by_hand()
        else:
            line.circuit.close_by_hand()
        return ProviderStatus(provider=provider, line=line)

    def _line(self, provider: RegisteredProvider) -> Line | None:
        return (
            None if isinstance(provider.provider, GroupProvider) else self.executor.line(provider)
        )
