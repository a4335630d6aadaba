"""The index and its mapping, made when it is missing."""

import logging
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Final, Self

from attrs import frozen

from acteon.audit_elasticsearch.calls import Calls
from acteon.audit_elasticsearch.documents import JSON, LONGEST, WHOLE
from acteon.audit_elasticsearch.errors import MissingIndexError, RefusedError
from acteon.core import ConfigError

log = logging.getLogger(__name__)

_FILTERED: Final = (
    "action_id",
    "namespace",
    "tenant",
    "provider",
    "action_type",
    "verdict",
    "matched_rule",
    "outcome",
    "caller_id",
)
# Characters here are those of UTF-16: what `term` gives is never left out.
_TEXT: Final = {"type": "keyword", "ignore_above": 2 * LONGEST}
_SHOWN: Final = {"type": "date", "format": "strict_date_optional_time", "index": False}
_KEPT: Final = {"type": "object", "enabled": False}
_PROPERTIES: Final[Mapping[str, Mapping[str, Any]]] = {
    **dict.fromkeys(_FILTERED, _TEXT),
    "id": {**_TEXT, "index": False},
    "auth_method": {**_TEXT, "index": False},
    # For people and their tools, to the millisecond; …
    "dispatched_at": {"type": "date", "format": "strict_date_optional_time"},
    "completed_at": _SHOWN,
    "expires_at": _SHOWN,
    # … and for us, exactly: microseconds since 1970.
    "dispatched_us": {"type": "long"},
    "expires_us": {"type": "long"},
    "duration_ms": {"type": "long", "index": False},
    **dict.fromkeys((*JSON, WHOLE), _KEPT),
}
_FIRST: Final = "000001"


@frozen
class Layout:
    """What everything is called.

    Attributes:
        prefix: What the names begin with.
    """

    prefix: str = "acteon_"

    @classmethod
    def of(cls, prefix: str) -> Self:
        """Return the layout for the configured `prefix`."""
        return cls(prefix if prefix.endswith("_") else f"{prefix}_")

    @property
    def alias(self) -> str:
        """What the index is asked for by."""
        return f"{self.prefix}audit"

    @property
    def index(self) -> str:
        """The index itself, as we make it."""
        return f"{self.alias}-{_FIRST}"

    @property
    def definition(self) -> dict[str, Any]:
        """What is sent to make the index."""
        return {
            "aliases": {self.alias: {"is_write_index": True}},
            "settings": {
                # In the order of pages: a search takes the first that fit, and has done. In the
                # order of writing each would be better than all before it, until the last one.
                "index.sort.field": ["dispatched_us", "id"],
                "index.sort.order": ["desc", "desc"],
                # Otherwise a merge that is asked for leaves erased payloads where they are few.
                "index.merge.policy.expunge_deletes_allowed": 0,
            },
            "mappings": {"dynamic": False, "properties": dict(_PROPERTIES)},
        }

    async def prepare(self, calls: Calls) -> None:
        """Make the index, and the members that it lacks.

        Raises:
            ConfigError: It is missing or lacks something, and may not be made; or it is another
                one.
        """
        try:
            found = await self._found(calls)
        except MissingIndexError:
            await self._make(calls)
            found = await self._found(calls)
        missing: dict[str, Any] = {}
        for name, wanted in _PROPERTIES.items():
            kind = found.get(name, {}).get("type", "object" if name in found else None)
            if kind is None:
                missing[name] = wanted
            elif kind != wanted["type"]:
                raise ConfigError(
                    f"elasticsearch at {calls.where}: the index {self.alias} is none of ours, its "
                    f"member {name} is {kind!r} instead of {wanted['type']!r}: use another 'prefix'"
                )
        if missing:
            await self._add(calls, missing)
        await self._until_started(calls)

    async def _until_started(self, calls: Calls) -> None:
        """Return when searches can be answered: an index that somebody just made is not yet there.

        Whoever may not ask how it is goes on.
        """
        limit = f"{calls.config.command_timeout_seconds * 900:.0f}ms"
        with suppress(RefusedError):
            await calls.run(
                lambda client: client.cluster.health(
                    index=self.alias, wait_for_status="yellow", timeout=limit
                )
            )

    async def _found(self, calls: Calls) -> Mapping[str, Mapping[str, Any]]:
        """Return the members that the index has."""
        body = await calls.run(lambda client: client.indices.get_mapping(index=self.alias))
        if set(body) == {self.alias} or len(body) != 1:
            raise ConfigError(
                f"elasticsearch at {calls.where}: {self.alias} must be the alias of one index, not "
                f"an index itself: use another 'prefix', or reindex it into {self.index}"
            )
        (index,) = body.values()
        properties: Mapping[str, Mapping[str, Any]] = index["mappings"].get("properties", {})
        return properties

    async def _make(self, calls: Calls) -> None:
        definition = self.definition
        try:
            await calls.run(lambda client: client.indices.create(index=self.index, **definition))
        except RefusedError as error:
            if "resource_already_exists_exception" not in str(error):
                raise ConfigError(
                    f"{error}; the index {self.index} is missing: have it made by one who may, "
                    "with what `python -m acteon.audit_elasticsearch` prints"
                ) from None
        else:
            log.info("the index was made", extra={"acteon.index": self.index})

    async def _add(self, calls: Calls, missing: Mapping[str, Any]) -> None:
        try:
            await calls.run(
                lambda client: client.indices.put_mapping(index=self.alias, properties=missing)
            )
        except RefusedError as error:
            raise ConfigError(
                f"{error}; the index {self.alias} lacks {', '.join(missing)}: have them added by "
                "one who may, as `python -m acteon.audit_elasticsearch` prints them"
            ) from None
