"""What decisions ask of the state store, in its terms."""

import hashlib
from datetime import timedelta
from typing import Final

from acteon.core import Action
from acteon.rules import Decision, StateRead
from acteon.state import Quota, StateKey, escape

DEDUP: Final = "dedup"
RATE_LIMIT: Final = "rate_limit"

MAX_ID_BYTES: Final = 900
"""Ids beyond this are replaced by their digest: some stores refuse longer keys."""


def bounded(text: str) -> str:
    """Return `text`, or its SHA-256 in its place if it is too long for a key."""
    if len(text) * 4 <= MAX_ID_BYTES or len(text.encode()) <= MAX_ID_BYTES:
        return text
    return "sha256:" + hashlib.sha256(text.encode()).hexdigest()


def claim_key(action: Action, decision: Decision) -> StateKey | None:
    """Return the key that `action` must claim, if any."""
    claim = decision.claim
    if claim is None:
        return None
    key = claim.key
    if key is None:
        key = action.id if action.dedup_key is None else action.dedup_key
    return StateKey(action.namespace, action.tenant, DEDUP, bounded(key))


def quota_of(action: Action, decision: Decision) -> Quota | None:
    """Return the quota that must have room for `action`, if any."""
    wanted = decision.quota
    if wanted is None:
        return None
    # Without its colons no rule's name can look like another's with a key.
    name = escape(wanted.rule)
    counted = bounded(name if wanted.key is None else f"{name}:{wanted.key}")
    key = StateKey(action.namespace, action.tenant, RATE_LIMIT, counted)
    return Quota(key, wanted.max_count, wanted.window)


def state_keys(action: Action, reads: tuple[StateRead, ...]) -> tuple[StateKey, ...]:
    """Return the entries that rules read, for `action`'s tenant."""
    return tuple(StateKey(action.namespace, action.tenant, read.kind, read.id) for read in reads)


def whole_seconds(time: timedelta) -> timedelta:
    """Return `time` rounded up to whole seconds."""
    return timedelta(seconds=-(-time // timedelta(seconds=1)))
