"""Identifiers of actions, records and lock owners."""

from os import urandom


def new_id() -> str:
    """Return a fresh random UUID (version 4) as lower-case text."""
    # As `str(uuid4())`, at a third of its price: every dispatch needs a few.
    text = urandom(16).hex()
    variant = "89ab"[int(text[16], 16) & 3]
    return f"{text[:8]}-{text[8:12]}-4{text[13:16]}-{variant}{text[17:20]}-{text[20:]}"
