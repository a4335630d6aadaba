"""Where the integrations send actions to: a server, or a gateway in the same process."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from attrs import define, field

from acteon.client.errors import ConfigurationError
from acteon.client.outcomes import BatchResult, ItemError, UnknownOutcome
from acteon.client.synchronous import ActeonClient
from acteon.client.talking import CHUNK
from acteon.core import (
    ActeonError,
    Action,
    Deduplicated,
    Executed,
    Failed,
    Rerouted,
    ResponseStatus,
    Suppressed,
    Throttled,
)

_OUTCOMES = Executed | Deduplicated | Suppressed | Rerouted | Throttled | Failed | UnknownOutcome


class SupportsBatches(Protocol):
    """Something that dispatches: an `ActeonClient`, or an open `acteon.gateway.SyncGateway`."""

    def dispatch_batch(self, actions: Sequence[Action], /) -> Sequence[object]:
        """Return what became of each of `actions`, in their order."""
        ...


@define(eq=False)
class Target:
    """Where actions go; a client that is made here is made when it is first needed.

    Attributes:
        given: A client or gateway that is somebody else's to close.
        options: What a client is made of if nothing is given: arguments of
            `ActeonClient.from_env`.
    """

    given: SupportsBatches | None = None
    options: Mapping[str, Any] = field(factory=dict[str, Any], repr=False)
    _forked: bool = False
    _client: ActeonClient | None = field(default=None, init=False)

    @classmethod
    def of(
        cls,
        *,
        client: ActeonClient | None = None,
        gateway: SupportsBatches | None = None,
        url: str | None = None,
        api_key: str | None = None,
        token: str | None = None,
        timeout: float | None = None,
    ) -> "Target":
        """Return the target that the arguments of an integration name.

        Raises:
            ConfigurationError: They name several, or cannot be used.
        """
        named = {"base_url": url, "api_key": api_key, "token": token, "timeout": timeout}
        options = {name: value for name, value in named.items() if value is not None}
        if (client is not None) + (gateway is not None) + bool(options) > 1:
            raise ConfigurationError(
                "give one of: a client, a gateway, or where a server is (url, api_key, …)"
            )
        target = cls(gateway if client is None else client, options)
        if target.given is None:
            ActeonClient.from_env(**options).close()  # A mistake shows here, and not in a thread.
        return target

    def dispatch(self, actions: Sequence[Action]) -> list[BatchResult]:
        """Dispatch `actions` in one batch, and return what became of each, in their order.

        Raises:
            ActeonError: There was no answer.
        """
        target = self.given
        if self._forked and isinstance(target, ActeonClient):
            # A connection that two processes write to ends in nonsense.
            target.close()
        self._forked = False
        if target is None:
            if self._client is None:
                self._client = ActeonClient.from_env(**self.options)
            target = self._client
        return [_result(told) for told in target.dispatch_batch(actions)]

    def dispatch_all(self, actions: Sequence[Action]) -> list[BatchResult]:
        """Dispatch as many `actions` as there are; of a batch that fails, each has the error."""
        results: list[BatchResult] = []
        for start in range(0, len(actions), CHUNK):
            chunk = actions[start : start + CHUNK]
            try:
                results += self.dispatch(chunk)
            except ActeonError as error:
                results += [BatchResult(error=_item_error(error))] * len(chunk)
        return results

    def forked(self) -> "Target":
        """Return the same target for a process that was forked, with connections of its own."""
        return Target(self.given, self.options, True)

    def close(self) -> None:
        """Close what was made here; it can still be used."""
        if self._client is not None:
            self._client.close()


def failure_of(result: BatchResult) -> str | None:
    """Return why an action was not delivered; None if it was, or a rule did not want it to be."""
    match result.outcome:
        case Executed(response) | Rerouted(response=response):
            if response.status is ResponseStatus.FAILURE:
                return f"the provider answered: {response.body}"
            return None
        case Deduplicated() | Suppressed():
            return None
        case Throttled(retry_after):
            return f"a quota is used up for {retry_after.total_seconds():g} s"
        case Failed(code=code, message=message):
            return f"{message} [{code}]"
        case UnknownOutcome(name):
            return f"the server answered {name}, which this client does not know"
        case None:
            assert result.error is not None
            return result.error.message


def _result(told: object) -> BatchResult:
    """Return what a client or a gateway says of one action of a batch."""
    if isinstance(told, BatchResult):
        return told
    if isinstance(told, ActeonError):
        return BatchResult(error=_item_error(told))
    assert isinstance(told, _OUTCOMES), told
    return BatchResult(told)


def _item_error(error: ActeonError) -> ItemError:
    return ItemError(str(error), error.code, error.retryable, error)
