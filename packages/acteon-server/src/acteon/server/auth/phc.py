"""Hashes of argon2 as texts, in the PHC string format: `$argon2id$v=19$m=65536,t=3,p=1$…$…`."""

import base64
import os
import re
from typing import Final, Self

from attrs import frozen

MAX_MEMORY: Final = 1024 * 1024
"""The most KiB that a hash may cost: whoever tries to sign in makes the server spend them."""
MAX_PASSES: Final = 100
MAX_LANES: Final = 16

_MIN_LANE: Final = 8
_MIN_SALT: Final = 8
_MIN_DIGEST: Final = 4
_FORM: Final = re.compile(
    r"\$(?P<kind>argon2(?:id|i|d))(?:\$v=(?P<version>16|19))?"
    r"\$m=(?P<memory>[1-9][0-9]{0,9}),t=(?P<passes>[1-9][0-9]{0,9}),p=(?P<lanes>[1-9][0-9]{0,9})"
    r"\$(?P<salt>[A-Za-z0-9+/]+)\$(?P<digest>[A-Za-z0-9+/]+)"
)


@frozen(kw_only=True)
class Cost:
    """What a hash takes.

    Attributes:
        kind: `argon2id`, `argon2i` or `argon2d`.
        version: 16 or 19.
        memory: In KiB.
        passes: Over that memory.
        lanes: Threads at work on it.
        salt_bytes: How long the salt is.
        digest_bytes: How long the digest is.
    """

    kind: str
    version: int
    memory: int
    passes: int
    lanes: int
    salt_bytes: int
    digest_bytes: int

    @classmethod
    def of(cls, phc: str) -> Self:
        """Return what the hash `phc` takes.

        Raises:
            ValueError: It is no hash of argon2 that could ever be verified here; the text says
                what is wrong, and shows nothing of it.
        """
        found = _FORM.fullmatch(phc)
        if found is None:
            raise ValueError("is no hash of argon2")
        cost = cls(
            kind=found["kind"],
            version=int(found["version"] or 16),
            memory=int(found["memory"]),
            passes=int(found["passes"]),
            lanes=int(found["lanes"]),
            salt_bytes=len(_octets(found["salt"])),
            digest_bytes=len(_octets(found["digest"])),
        )
        cost._check()
        return cost

    def _check(self) -> None:
        if self.memory > MAX_MEMORY or self.passes > MAX_PASSES or self.lanes > MAX_LANES:
            raise ValueError(
                f"takes too much to verify: at most m={MAX_MEMORY}, t={MAX_PASSES}, p={MAX_LANES}"
            )
        if self.memory < _MIN_LANE * self.lanes:
            raise ValueError(f"has too little memory: at least m={_MIN_LANE} for each lane")
        if self.salt_bytes < _MIN_SALT:
            raise ValueError(f"has a salt of less than {_MIN_SALT} bytes")
        if self.digest_bytes < _MIN_DIGEST:
            raise ValueError(f"has a digest of less than {_MIN_DIGEST} bytes")

    def decoy(self) -> str:
        """Return a hash that takes just as much to verify, and is that of no password."""
        return (
            f"${self.kind}$v={self.version}$m={self.memory},t={self.passes},p={self.lanes}"
            f"${_letters(os.urandom(self.salt_bytes))}${_letters(os.urandom(self.digest_bytes))}"
        )


def _octets(letters: str) -> bytes:
    try:
        octets = base64.b64decode(letters + "=" * (-len(letters) % 4), validate=True)
    except ValueError:
        octets = b""
    if _letters(octets) != letters:  # Bits are set that belong to no byte.
        raise ValueError("is no hash of argon2: it has parts that are no base64")
    return octets


def _letters(octets: bytes) -> str:
    return base64.b64encode(octets).decode("ascii").rstrip("=")
