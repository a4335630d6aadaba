"""Calls: what is asked of a server, and how its answer is read. Nothing here does I/O."""

from collections.abc import Callable, Mapping
from enum import Enum
from typing import Any, Generic, TypeVar
from urllib.parse import quote, urlencode

import msgspec
from attrs import field, frozen

from acteon.client.answers import Answer, error_of
from acteon.client.errors import ClientError, DeserializationError

T = TypeVar("T")


class Repeat(Enum):
    """When a call that failed may be made again, if a policy says so."""

    ALWAYS = "always"
    """It does the same however often it is made."""
    UNPROCESSED = "unprocessed"
    """When it is certain that it has not been carried out."""
    NEVER = "never"
    """Its answer is the only one of its kind: what it told is lost."""


@frozen(kw_only=True)
class Call(Generic[T]):
    """One request, and what its answer means.

    Attributes:
        method: The method.
        path: The path below the base URL, escaped.
        query: Parameters.
        body: The body, which is JSON; None: there is none.
        what: What is asked for, as in `Failed to …`.
        read: Reads the body of a success.
        refusals: What is returned for statuses that are no success, where they mean something.
        repeat: When it may be made again.
        request_id: The `id` of the action that it dispatches, if it is one.
    """

    method: str
    path: str
    query: Mapping[str, str] = field(factory=dict[str, str])
    body: bytes | None = field(default=None, repr=False)
    what: str
    read: Callable[[Answer], T]
    refusals: Mapping[int, Callable[[Answer], T]] = field(factory=dict[int, Callable[[Answer], T]])
    repeat: Repeat = Repeat.ALWAYS
    request_id: str | None = None

    @property
    def target(self) -> str:
        """Path and query."""
        return f"{self.path}?{urlencode(self.query, quote_via=quote)}" if self.query else self.path

    def result(self, answer: Answer) -> T:
        """Return what `answer` means.

        Raises:
            ClientError: It is no success, or cannot be read.
        """
        read = self.read if answer.is_success else self.refusals.get(answer.status)
        if read is None:
            raise error_of(answer, self.what, self.request_id)
        try:
            return read(answer)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, ValueError) as error:
            raise self._unreadable(answer, str(error)) from error

    def _unreadable(self, answer: Answer, why: str) -> ClientError:
        kind = answer.headers.get("content-type", "")
        hint = "" if "json" in kind else "; is base_url that of an Acteon server?"
        return DeserializationError(
            f"{self.method} {self.path}: {why}{hint}",
            status=answer.status,
            request_id=self.request_id,
            body=answer.body,
        )


def segment(text: str) -> str:
    """Return `text` as one segment of a path."""
    return quote(text, safe="")


def json_of(answer: Answer) -> Any:
    """Return what the body of `answer` says."""
    return msgspec.json.decode(answer.body)
