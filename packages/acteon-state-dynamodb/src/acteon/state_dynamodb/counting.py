"""Counting in entries: sums without end, and windows that close."""

from datetime import timedelta

from acteon.state import Quota, StateSerializationError, Taken
from acteon.state_dynamodb.items import (
    LEAST,
    MOST,
    Item,
    count_of,
    expiring,
    expiry,
    live,
    number,
    remaining,
)
from acteon.state_dynamodb.writes import FREE, LIVE, NUMERIC, Write, is_unchanged, put, update


def add(
    address: Item, delta: int, ttl: timedelta | None, found: Item | None, now: int
) -> tuple[Write, int | None]:
    """Return what adds `delta` to a counter, and the sum if that is known before.

    Args:
        address: Where the counter is.
        delta: What to add.
        ttl: Time until it expires; `None` leaves the expiry as it is.
        found: What an earlier write has found there instead of what it expected; None at first.
        now: The present time.

    Raises:
        StateSerializationError: It holds no integer, or the sum would exceed 64 bits.
    """
    if found is None:
        expires = expiring(now, ttl)
        change = "SET #value = if_not_exists(#value, :zero) + :delta"
        if expires:
            change += ", expires_ms = :expires_ms, expires_at = :expires_at"
        return update(
            address,
            change,
            f"attribute_not_exists(pk) OR "
            f"({LIVE} AND {NUMERIC} AND #value BETWEEN :least AND :most)",
            now,
            {
                ":zero": number(0),
                ":delta": number(delta),
                ":least": number(max(LEAST, LEAST - delta)),
                ":most": number(min(MOST, MOST - delta)),
                **{f":{name}": expires[name] for name in expires},
            },
        ), None
    old = live(found, now)
    total = delta if old is None else count_of(old) + delta
    if not LEAST <= total <= MOST:
        raise StateSerializationError("expected a sum of at most 64 bits, found a greater one")
    expires = expiring(now, ttl) if old is None or ttl is not None else expiry(old)
    return _in_place_of(old, {**address, "value": number(total), **expires}, now), total


def count(
    address: Item, quota: Quota, found: Item | None, now: int, amount: int = 1
) -> tuple[Write, int | None]:
    """Return what counts `amount` more in the window of `quota` if they have room.

    Args:
        address: Where the counter is.
        quota: What must have room.
        found: What an earlier write has found there instead, which has room; None at first.
        now: The present time.
        amount: How many.

    Returns:
        The write, and how many are counted after it if that is known before.
    """
    old = live(found, now)
    if found is None or (old is not None and "N" in old.get("value", {}) and "expires_ms" in old):
        room = f"({LIVE} AND {NUMERIC} AND attribute_exists(expires_ms) AND #value <= :room)"
        if quota.limit >= amount:
            room = f"attribute_not_exists(pk) OR {room}"
        expires = expiring(now, quota.window)
        return update(
            address,
            "SET #value = if_not_exists(#value, :zero) + :amount, "
            "expires_ms = if_not_exists(expires_ms, :expires_ms), "
            "expires_at = if_not_exists(expires_at, :expires_at)",
            room,
            now,
            {
                ":zero": number(0),
                ":amount": number(amount),
                ":room": number(quota.limit - amount),
                **{f":{name}": expires[name] for name in expires},
            },
        ), None
    total = amount if old is None else count_of(old) + amount
    expires = expiring(now, quota.window) if old is None else expiry(old)
    return _in_place_of(old, {**address, "value": number(total), **expires}, now), total


def asked(quota: Quota, item: Item | None, now: int, amount: int = 1) -> Taken:
    """Return whether the window in `item` has room for `amount` more, and its count as it is.

    Raises:
        StateSerializationError: It holds no integer.
    """
    old = live(item, now)
    if old is None:
        return Taken(quota.limit >= amount, quota.window, 0)
    left, counted = remaining(old, now), count_of(old)
    room = counted + amount <= quota.limit
    return Taken(room, quota.window if left is None else left, counted)


def _in_place_of(old: Item | None, item: Item, now: int) -> Write:
    if old is None:
        return put(item, FREE, now)
    condition, values = is_unchanged(old)
    return put(item, condition, now, values)
