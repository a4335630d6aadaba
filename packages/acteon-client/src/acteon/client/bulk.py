"""Many actions in many requests: what becomes of each."""

from collections.abc import Iterator, Sequence

from acteon.client.errors import ClientError
from acteon.client.outcomes import BatchResult, ItemError
from acteon.core import Action


def failed_chunk(chunk: Sequence[Action], error: ClientError) -> list[BatchResult]:
    """Return what became of each action of a request that failed with `error`."""
    failure = ItemError(str(error), error.code, error.retryable, error)
    return [BatchResult(error=failure)] * len(chunk)


def paired(
    chunk: Sequence[Action], results: Sequence[BatchResult]
) -> Iterator[tuple[Action, BatchResult]]:
    """Yield each action with what became of it."""
    return zip(chunk, results, strict=True)
