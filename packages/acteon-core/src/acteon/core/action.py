"""What callers want done."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from attrs import Attribute, evolve, field, frozen

from acteon.core.ids import new_id
from acteon.core.timestamps import canonical_timestamp, parse_instant

_made: str | None = None
"""The last timestamp that was made here, which need not be checked."""


def _now_text() -> str:
    global _made
    _made = text = datetime.now(UTC).isoformat()[:-6] + "Z"
    return text


def _is_timestamp(_: object, attribute: "Attribute[str]", value: str) -> None:
    if value is _made:
        return
    try:
        canonical_timestamp(value)
    except ValueError as error:
        raise ValueError(f"{attribute.name}: {error}") from None


@frozen
class Action:
    """One thing to be done for a tenant: "send this email", "call this webhook".

    Attributes:
        namespace: Which application or area asks; any text.
        tenant: On whose account; any text.
        provider: The name of the provider that is to deliver it.
        action_type: What kind of thing it is; rules tell actions apart by it.
        payload: What the provider needs: anything that JSON can say.
        metadata: Labels for rules and the audit trail, text to text.
        dedup_key: What makes two actions the same one for a rule that deduplicates;
            without it, `id` does.
        id: Names this action; two dispatches with one id never run at the same time.
        created_at: When the caller made it: RFC 3339 text with a zone, kept as it came.
    """

    namespace: str
    tenant: str
    provider: str
    action_type: str
    payload: Any
    metadata: Mapping[str, str] = field(factory=lambda: {}, kw_only=True)
    dedup_key: str | None = field(default=None, kw_only=True)
    id: str = field(factory=new_id, kw_only=True)
    created_at: str = field(factory=_now_text, validator=_is_timestamp, kw_only=True)

    def with_dedup_key(self, dedup_key: str | None) -> "Action":
        """Return the same action, id and all, with another `dedup_key`."""
        return evolve(self, dedup_key=dedup_key)

    def with_metadata(self, metadata: Mapping[str, str]) -> "Action":
        """Return the same action, id and all, with other labels."""
        return evolve(self, metadata=metadata)

    @property
    def created_instant(self) -> datetime:
        """When the caller made it, cut to whole microseconds.

        Raises:
            ValueError: `created_at` lies outside the years 1 to 9999.
        """
        return parse_instant(self.created_at)

    @property
    def created_text(self) -> str:
        """`created_at` in UTC, ending in `Z`: what rules and receivers see."""
        return canonical_timestamp(self.created_at)

    def as_json(self) -> dict[str, Any]:
        """Return all nine members as JSON has them, by name, in alphabetical order."""
        return {
            "action_type": self.action_type,
            "created_at": self.created_text,
            "dedup_key": self.dedup_key,
            "id": self.id,
            "metadata": dict(self.metadata),
            "namespace": self.namespace,
            "payload": self.payload,
            "provider": self.provider,
            "tenant": self.tenant,
        }
