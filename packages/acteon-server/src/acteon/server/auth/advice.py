"""Telling what is allowed in `auth.toml`, and hardly meant."""

import logging
import stat
from collections import Counter
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from typing import Final

from acteon.server.auth.grants import ANY
from acteon.server.auth.tables import AuthTables, GrantTable

log = logging.getLogger(__name__)

LONG_ENOUGH: Final = 32
"""A key of HS256 has as many bytes as its hash, at least (RFC 7518, section 3.2)."""


def advise(tables: AuthTables, now: datetime) -> None:
    """Log what is odd about `tables`.

    Args:
        tables: What the file says.
        now: Says which keys have expired.
    """
    secrets = (tables.settings.jwt_secret, *tables.settings.jwt_verify_secrets)
    if any(len(secret.encode()) < LONG_ENOUGH for secret in secrets):
        log.warning(
            "a secret that signs tokens is short, and can be guessed: take at least 32 bytes, "
            "such as `openssl rand -base64 48` makes"
        )
    names = [table.username for table in tables.users]
    for name in _twice(names):
        log.warning(
            "there are two users of one name; the last one counts", extra={"acteon.user": name}
        )
    hashes = {key.key_hash: key.name for table in tables.api_keys for key in table.keys}
    for found in _twice(key.key_hash for table in tables.api_keys for key in table.keys):
        log.warning(
            "the same API key is there twice; the last one counts",
            extra={"acteon.api_key": hashes[found]},
        )
    for table in tables.api_keys:
        if table.expires_at is not None and table.expires_at <= now:
            log.warning(
                "an API key has expired; take it out of the file",
                extra={"acteon.api_key": table.name, "acteon.expired": str(table.expires_at)},
            )
    for user in tables.users:
        _advise_on_grants(user.grants, {"acteon.user": user.username})
    for table in tables.api_keys:
        _advise_on_grants(table.grants, {"acteon.api_key": table.name})


def advise_on_plain_secret(key: str) -> None:
    """Log that the secret under `key` can be read by whoever can read the file."""
    log.warning(
        "a secret stands in the file as it is; `acteon-server encrypt` makes an ENC[…] of it",
        extra={"acteon.key": key},
    )


def advise_on_access(path: Path) -> None:
    """Log if the file `path` lets everybody on the machine read it."""
    try:
        mode = path.stat().st_mode
    except OSError:
        return  # It is about to be replaced; what was read is in force.
    if mode & stat.S_IROTH:
        log.warning(
            "every user of this machine can read the file of users and keys; chmod o-r takes "
            "that away",
            extra={"acteon.path": str(path)},
        )


def _advise_on_grants(grants: Iterable[GrantTable], holder: dict[str, str]) -> None:
    grants = tuple(grants)
    if not any(grant.tenants and grant.namespaces and grant.actions for grant in grants):
        log.warning("somebody without grants may do nothing; give them grants", extra=holder)
    elif any(map(_has_pattern, grants)):
        log.warning(
            "a grant has a name with a * in it, which stands for nothing else; only a * alone does",
            extra=holder,
        )


def _has_pattern(grant: GrantTable) -> bool:
    names = (*grant.tenants, *grant.namespaces, *grant.actions)
    return any(ANY in name and name != ANY for name in names)


def _twice(names: Iterable[str]) -> list[str]:
    return [name for name, times in Counter(names).items() if times > 1]
