"""Payloads are removed for good: somebody asks to be forgotten."""

import asyncio
from collections.abc import Mapping
from contextlib import aclosing
from datetime import datetime
from typing import Any, Final, cast

import msgspec
from attrs import define, field, frozen

from acteon.audit.errors import AuditStorageError
from acteon.audit.naming import named_values
from acteon.audit.query import FILTERS, AuditQuery
from acteon.audit.record import AuditRecord
from acteon.audit.store import AuditStore
from acteon.audit.walking import walk_pages
from acteon.core import format_instant

_LAST: Final = 1.0
"""So many seconds an erasure that is cut off waits for what it has begun."""
_AT_ONCE: Final = 256 * 1024
"""After so many bytes of payloads others get their turn; a millisecond or two."""


@frozen
class Erased:
    """What an erasure found and did.

    Attributes:
        matched: How many records that fit had a payload.
        erased: How many payloads were removed.
    """

    matched: int
    erased: int


@define(eq=False)
class Erasure:
    """Which payloads are to be removed, and how many have been so far.

    Records that tell of erasures have no payload, so none fits.

    Attributes:
        query: The filters of the records.
        path: A name or a dotted path, as redaction has them; None: the filters alone decide.
        value: What the payload has there, by itself or in a list: anything that JSON can say.
        matched: How many records that fit had a payload.
        erased: How many payloads were removed.
    """

    query: AuditQuery
    path: str | None
    value: Any = field(repr=False)
    matched: int = 0
    erased: int = 0

    def __attrs_post_init__(self) -> None:
        if self.path is None and self.value is not None:
            raise ValueError("a value is looked for at a path: give one")
        if self.path is None and not given_filters(self.query):
            raise ValueError("everything would be erased: give a filter or a path")

    async def run(self, store: AuditStore, *, dry_run: bool) -> None:
        """Remove them in `store`, a page at a time; in a dry run, only count them."""
        await store.refresh()
        async with aclosing(walk_pages(store, self.query)) as pages:
            async for page in pages:
                found = await self._found(page.records)
                self.matched += len(found)
                if found and not dry_run:
                    await self._remove(store, found)

    async def _remove(self, store: AuditStore, found: list[str]) -> None:
        removing = asyncio.ensure_future(store.erase(found))
        try:
            self.erased += await asyncio.shield(removing)
        except asyncio.CancelledError:
            # What is being removed is counted, too: it will be told how many there were.
            await asyncio.wait({removing}, timeout=_LAST)
            if not removing.done():
                removing.cancel()
            elif not removing.cancelled() and removing.exception() is None:
                self.erased += removing.result()
            raise
        except AuditStorageError as error:
            self.erased += error.done
            raise

    async def _found(self, records: tuple[AuditRecord, ...]) -> list[str]:
        found: list[str] = []
        looked_at = 0
        for record in records:
            payload = record.action_payload
            if payload is None:
                continue
            if self.path is None or _holds(payload, self.path.lower(), self.value):
                found.append(record.id)
            looked_at += len(payload)
            if looked_at > _AT_ONCE:
                looked_at = 0
                await asyncio.sleep(0)
        return found

    def told(self) -> dict[str, Any]:
        """Return what a record tells of it: never the value."""
        return {
            "filters": given_filters(self.query),
            "path": self.path,
            "matched": self.matched,
            "erased": self.erased,
        }


def given_filters(query: AuditQuery) -> dict[str, str]:
    """Return the filters of `query` that are not None, as texts, by their names."""
    given: dict[str, str | datetime | None] = {name: getattr(query, name) for name in FILTERS}
    return {
        name: value if isinstance(value, str) else format_instant(value)
        for name, value in given.items()
        if value is not None
    }


def _holds(payload: bytes, path: str, value: Any) -> bool:
    try:
        document = msgspec.json.decode(payload)
    except msgspec.DecodeError:
        return False
    return any(_is_in(value, found) for found in named_values(document, (path,)))


def _is_in(value: Any, found: Any) -> bool:
    """Return whether `found` is `value`, or a list with it somewhere in it."""
    if same_json(value, found):
        return True
    return isinstance(found, list) and any(
        _is_in(value, item) for item in cast("list[object]", found)
    )


def same_json(one: Any, other: Any) -> bool:
    """Return whether both say the same as JSON: 1 is 1.0, and is not true."""
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        mine = cast("Mapping[object, object]", one)
        theirs = cast("Mapping[object, object]", other)
        return mine.keys() == theirs.keys() and all(
            same_json(mine[key], theirs[key]) for key in mine
        )
    if isinstance(one, list | tuple) and isinstance(other, list | tuple):
        first, second = cast("tuple[object, ...]", one), cast("tuple[object, ...]", other)
        return len(first) == len(second) and all(map(same_json, first, second))
    return bool(one == other)
