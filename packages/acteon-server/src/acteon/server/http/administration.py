"""Telling who changed what on the server, rather than sent something through it."""

import logging
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

from acteon.audit import Act, AuditTrail
from acteon.core import Caller

log = logging.getLogger(__name__)


@asynccontextmanager
async def telling(
    trail: AuditTrail | None, act: Act, caller: Caller, *, tenant: str = ""
) -> AsyncGenerator[dict[str, Any]]:
    """Have it logged, and recorded if there is a `trail`, that the block does `act`.

    What it puts into the dictionary that it is given is recorded, too: no secrets. The people of
    `tenant` may see it, if it is about one alone.
    """
    log.info(
        "administrative act",
        extra={
            "acteon.act": act.value,
            "acteon.caller": caller.id,
            "acteon.auth_method": caller.auth_method,
            "acteon.address": caller.address,
        },
    )
    if trail is None:
        yield {}
        return
    async with trail.telling(act, caller, tenant=tenant) as details:
        yield details
