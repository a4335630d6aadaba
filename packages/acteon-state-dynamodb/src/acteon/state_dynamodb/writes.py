"""Conditional writes: what is asked of the table, alone or together with others."""

import re
from collections.abc import Mapping
from datetime import timedelta
from functools import lru_cache
from typing import Any, Final, Literal

from attrs import evolve, frozen

from acteon.state_dynamodb.items import Item, expiring, number, text

EXPIRED: Final = (
    "(expires_ms <= :now OR (attribute_not_exists(expires_ms) AND expires_at <= :second))"
)
"""Comparing with what is not there gives false: what has no expiry time never expires. DynamoDB
removes expired items within days, so every condition has to compare."""
FREE: Final = f"(attribute_not_exists(pk) OR {EXPIRED})"
LIVE: Final = f"(attribute_exists(pk) AND NOT {EXPIRED})"
NUMERIC: Final = "attribute_type(#value, :numeric)"

_NUMERIC: Final = text("N")
_PLACEHOLDER: Final = re.compile(r"[#:]\w+")


@frozen(kw_only=True)
class Write:
    """One write of one item.

    Attributes:
        kind: What it does.
        request: Its parameters, those of the operation and of a transaction's element alike.
        returns: What the answer of a write that stands alone holds.
        repeatable: Whether it may be made again when its answer was lost.
    """

    kind: Literal["Put", "Update", "Delete"]
    request: Mapping[str, Any]
    returns: Literal["ALL_OLD", "UPDATED_NEW"]
    repeatable: bool = False


def put(item: Item, condition: str, now: int, values: Item | None = None) -> Write:
    """Return a write that puts `item` in the place of what is there if `condition` holds."""
    request = {"Item": item, **_expressions(now, values, condition)}
    return Write(kind="Put", request=request, returns="ALL_OLD")


def update(address: Item, change: str, condition: str, now: int, values: Item) -> Write:
    """Return a write that changes what is at `address` if `condition` holds."""
    request = {"Key": address, **_expressions(now, values, condition, change)}
    return Write(kind="Update", request=request, returns="UPDATED_NEW")


def delete(address: Item, condition: str, now: int, values: Item | None = None) -> Write:
    """Return a write that removes what is at `address` if `condition` holds."""
    request = {"Key": address, **_expressions(now, values, condition)}
    return Write(kind="Delete", request=request, returns="ALL_OLD")


def lease(address: Item, name: str, holder: str, length: timedelta, now: int) -> Write:
    """Return the write of a lock or a claim that is free, or held by `holder` already.

    Args:
        address: Where it is.
        name: The attribute that says who holds it.
        holder: Who shall hold it.
        length: How long.
        now: The present time.
    """
    leased = {**address, name: text(holder), **expiring(now, length)}
    write = put(leased, f"{FREE} OR #{name} = :holder", now, {":holder": text(holder)})
    return evolve(write, repeatable=True)


def is_unchanged(item: Item) -> tuple[str, Item]:
    """Return the condition that value and expiry are still those of `item`, and its values."""
    terms: list[str] = []
    values: dict[str, Mapping[str, Any]] = {}
    for name in ("value", "expires_ms", "expires_at"):
        if name in item:
            terms.append(f"#{name} = :old_{name}")
            values[f":old_{name}"] = item[name]
        else:
            terms.append(f"attribute_not_exists(#{name})")
    return " AND ".join(terms), values


def _expressions(
    now: int, values: Item | None, condition: str, change: str = ""
) -> Mapping[str, Any]:
    """Return the parameters for these expressions.

    Names are aliased with `#`, as `value` and `owner` are reserved words. An alias or a value that
    no expression has is refused, so that only those there are go along.
    """
    all_values = {
        ":now": number(now),
        ":second": number(now // 1000),
        ":numeric": _NUMERIC,
        **(values or {}),
    }
    found: dict[str, Any] = {}
    if condition:
        found["ConditionExpression"] = condition
        found["ReturnValuesOnConditionCheckFailure"] = "ALL_OLD"
    if change:
        found["UpdateExpression"] = change
    names, slots = _placeholders(f"{condition} {change}")
    if names:
        found["ExpressionAttributeNames"] = {name: name[1:] for name in names}
    if slots:
        found["ExpressionAttributeValues"] = {slot: all_values[slot] for slot in slots}
    return found


@lru_cache(maxsize=256)
def _placeholders(expressions: str) -> tuple[frozenset[str], frozenset[str]]:
    found = frozenset(_PLACEHOLDER.findall(expressions))
    names = frozenset(one for one in found if one.startswith("#"))
    return names, found - names
