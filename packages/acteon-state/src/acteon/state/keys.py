"""The names of entries."""

from typing import Final, NamedTuple

DEDUP: Final = "dedup"
COUNTER: Final = "counter"
STATE: Final = "state"
RATE_LIMIT: Final = "rate_limit"


class StateKey(NamedTuple):  # whose hash is cheap: one key is looked up many times in a dispatch
    """The name of one entry, of one tenant.

    Attributes:
        namespace: The action's namespace.
        tenant: The action's tenant.
        kind: What sort of entry: `"dedup"`, `"counter"`, `"state"`, `"rate_limit"`, or one's own.
        id: Which one of that sort.
    """

    namespace: str
    tenant: str
    kind: str
    id: str

    @property
    def text(self) -> str:
        """The canonical text `namespace:tenant:kind:id`.

        `%` and `:` are escaped in all parts but the last one, so that no two keys have one text.
        """
        return f"{escape(self.namespace)}:{escape(self.tenant)}:{escape(self.kind)}:{self.id}"

    def __str__(self) -> str:
        return self.text


def escape(part: str) -> str:
    """Return `part` with `%` and `:` percent-encoded, so that parts can be joined with `:`."""
    if ":" in part or "%" in part:
        return part.replace("%", "%25").replace(":", "%3A")
    return part


def lock_name(namespace: str, tenant: str, action_id: str) -> str:
    """Return the name of the lock that serialises the dispatches of one action id."""
    return f"dispatch:{escape(namespace)}:{escape(tenant)}:{action_id}"
