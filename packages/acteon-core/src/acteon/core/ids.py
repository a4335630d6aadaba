"""Identifiers of actions, records and lock owners."""

from uuid import uuid4


def new_id() -> str:
    """Return a fresh random UUID (version 4) as lower-case text."""
    return str(uuid4())
