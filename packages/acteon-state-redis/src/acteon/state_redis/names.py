"""What entries and locks are called in Redis, and how texts and durations are written there."""

from datetime import timedelta
from typing import Final

from attrs import frozen

from acteon.state import StateKey, StateSerializationError, escape

_MILLISECOND: Final = timedelta(milliseconds=1)
EXACT: Final = 2**53 - 1
"""The largest number up to which Lua is exact: 285,000 years, in milliseconds."""


@frozen
class Names:
    """The names of one deployment.

    | what | name |
    |---|---|
    | an entry | `<prefix>:<namespace>:<tenant>:<kind>:<id>` |
    | a lock | `<prefix>:lock:<name>` |

    On a Cluster namespace and tenant stand in braces, also in the names of the gateway's locks:
    all that one dispatch needs is then in one slot, `<prefix>:{<namespace>:<tenant>}:<kind>:<id>`
    and `<prefix>:lock:dispatch:{<namespace>:<tenant>}:<action id>`.

    Attributes:
        prefix: What all names begin with, before a colon.
        tagged: Whether the braces are set.
    """

    prefix: str
    tagged: bool = False

    def entry(self, key: StateKey) -> bytes:
        """Return the name of the entry `key`."""
        namespace, tenant, kind = escape(key.namespace), escape(key.tenant), escape(key.kind)
        if self.tagged:
            return encoded(f"{self.prefix}:{{{namespace}:{tenant}}}:{kind}:{key.id}")
        if namespace == "lock":
            namespace = "%6Cock"  # or it would meet the locks
        return encoded(f"{self.prefix}:{namespace}:{tenant}:{kind}:{key.id}")

    def lock(self, name: str) -> bytes:
        """Return the name of the lock `name`."""
        if self.tagged:
            sort, *parts = name.split(":", 3)
            if sort == "dispatch" and len(parts) == 3:
                name = f"{sort}:{{{parts[0]}:{parts[1]}}}:{parts[2]}"
        return encoded(f"{self.prefix}:lock:{name}")


def encoded(text: str) -> bytes:
    """Return `text` as UTF-8; lone surrogates, which are not, survive it all the same."""
    return text.encode("utf-8", "surrogatepass")


def decoded(value: bytes) -> str:
    """Return the text that `value` holds.

    Raises:
        StateSerializationError: It holds none.
    """
    try:
        return value.decode("utf-8", "surrogatepass")
    except UnicodeDecodeError:
        raise StateSerializationError("expected UTF-8, found something else") from None


def milliseconds(ttl: timedelta | None) -> bytes:
    """Return `ttl` in whole milliseconds, rounded up; at least 0, at most `EXACT`; empty: None."""
    if ttl is None:
        return b""
    whole, rest = divmod(ttl, _MILLISECOND)
    return b"%d" % min(max(whole + bool(rest), 0), EXACT)
