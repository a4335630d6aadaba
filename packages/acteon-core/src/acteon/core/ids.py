"""Identifiers of actions, records and lock owners."""

import random
import uuid


# Identifiers name things, they protect nothing: no need to ask the kernel for each.
_source = random.SystemRandom().getrandbits(64)
_random = random.Random(_source)


def new_id() -> str:
    """Return a fresh random UUID (version 4) as lower-case text."""
    return str(uuid.UUID(int=_random.getrandbits(128), version=4))
