"""What is sent to have past actions replayed, or payloads erased."""

import difflib
from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Final, TypeVar

import msgspec
from msgspec import UNSET, UnsetType

from acteon.audit import MAX_LIMIT, AuditQuery, given_filters
from acteon.audit.query import EQUAL
from acteon.core import InvalidError, Reader, decode_json, parse_instant

MOST_REPLAYED: Final = MAX_LIMIT
REPLAYED: Final = 100

# Not of attrs: `from` is no name of Python's, and msgspec renames members of its own classes only.


class Filters(msgspec.Struct, kw_only=True, frozen=True, rename={"from_": "from"}):
    """Which records are meant: those that fit all that is given, exactly; something must be."""

    namespace: str | None = None
    tenant: str | None = None
    provider: str | None = None
    action_type: str | None = None
    outcome: str | None = None
    verdict: str | None = None
    matched_rule: str | None = None
    caller_id: str | None = None
    from_: str | None = None
    to: str | None = None

    def as_query(self, *, limit: int = MAX_LIMIT) -> AuditQuery:
        """Return the query for these records.

        Raises:
            InvalidError: `from` or `to` is no instant.
        """
        texts: dict[str, Any] = {name: getattr(self, name) for name in EQUAL}
        return AuditQuery(
            **texts, since=_instant("from", self.from_), until=_instant("to", self.to), limit=limit
        )

    @property
    def means_all(self) -> bool:
        """Whether there is no filter; raises as `as_query` does."""
        return not given_filters(self.as_query())


class ReplayRequest(Filters, kw_only=True, frozen=True, rename={"from_": "from"}):
    """Which past actions are to be sent again.

    Attributes:
        from_: Only records dispatched then or later.
        to: Only records dispatched then or earlier.
        limit: At most so many, the newest that fit.
        cursor: `next_cursor` of an answer, for those that follow.
        dry_run: Whether to tell what would happen, and do nothing.
    """

    limit: Annotated[int, msgspec.Meta(ge=1, le=MOST_REPLAYED)] = REPLAYED
    cursor: str | None = None
    dry_run: bool = False


class EraseRequest(Filters, kw_only=True, frozen=True, rename={"from_": "from"}):
    """Which payloads are to be removed for good.

    Attributes:
        from_: Only records dispatched then or later.
        to: Only records dispatched then or earlier.
        path: Of the payloads, only those with `value` in a member of that name, at any depth, or
            of that dotted path from the root; lists count for nothing, nor does case.
        value: What that member is, or has in a list; wanted with `path`.
        dry_run: Whether to count only.
    """

    path: Annotated[str, msgspec.Meta(min_length=1)] | None = None
    value: Any | UnsetType = UNSET
    dry_run: bool = False


class DryRunRequest(msgspec.Struct, frozen=True):
    """Whether to tell what would happen, and do nothing."""

    dry_run: bool = False


F = TypeVar("F", bound=msgspec.Struct)


def read_replay_request(body: bytes) -> ReplayRequest:
    """Return what the JSON text `body` asks for.

    Raises:
        WireError: It is no JSON, of another shape, or has no filter.
    """
    wanted = _read(body, _REPLAY, _names(ReplayRequest))
    if wanted.means_all:
        raise InvalidError("wanted a filter, such as `outcome`, or `from` and `to`")
    return wanted


def read_erase_request(body: bytes) -> EraseRequest:
    """Return what the JSON text `body` asks for; raises as `read_replay_request` does."""
    wanted = _read(body, _ERASE, _names(EraseRequest))
    if (wanted.path is None) != (wanted.value is UNSET):
        raise InvalidError("`path` and `value` belong together")
    if wanted.means_all and wanted.path is None:
        raise InvalidError("wanted a filter, such as `tenant`, or `path` and `value`")
    return wanted


def read_dry_run_request(body: bytes) -> DryRunRequest:
    """Return what the JSON text `body` asks for; raises as `read_replay_request` does."""
    return _read(body, _DRY_RUN, _names(DryRunRequest))


def _read(body: bytes, reader: Reader[F], names: tuple[str, ...]) -> F:
    wanted = reader.read(body)
    members: Mapping[str, object] = decode_json(body)
    for name in members:
        # A filter that is misspelt, and ignored, would have others erased or sent.
        if name not in names:
            close = difflib.get_close_matches(name[:40], names, n=1)
            hint = f"; did you mean `{close[0]}`?" if close else ""
            raise InvalidError(f"unknown field `{name[:40]}`{hint}")
    return wanted


def _names(shape: type[msgspec.Struct]) -> tuple[str, ...]:
    return shape.__struct_encode_fields__


def _instant(name: str, text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        return parse_instant(text)
    except ValueError as error:
        raise InvalidError(f"{name}: {error}") from None


_REPLAY: Final = Reader(ReplayRequest, _names(ReplayRequest))
_ERASE: Final = Reader(EraseRequest, _names(EraseRequest))
_DRY_RUN: Final = Reader(DryRunRequest, _names(DryRunRequest))
