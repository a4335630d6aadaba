"""Whether the server may drop locks and claims before their time."""

import logging

from acteon.state import StateError
from acteon.state_redis.calls import Calls
from acteon.state_redis.scripts import script

log = logging.getLogger(__name__)

KEEPS_ALL = "noeviction"


async def warn_of_eviction(calls: Calls, key: bytes) -> None:
    """Say so in the log if the server that has `key` drops entries when its memory is full.

    A server that does not tell, or a user who may not ask, is left alone.
    """
    try:
        answer: bytes = await calls.run(script("memory"), [key], [], harmless=True)
    except StateError as error:
        log.debug("redis does not tell its eviction", extra={"acteon.error": str(error)})
        return
    told: dict[str, str] = {}
    for line in answer.decode(errors="replace").splitlines():
        name, _, value = line.partition(":")
        told[name] = value
    policy = told.get("maxmemory_policy", KEEPS_ALL)
    if policy != KEEPS_ALL and told.get("maxmemory") != "0":
        log.warning(
            "redis drops locks and claims when its memory is full;"
            " its setting 'maxmemory-policy' should be 'noeviction'",
            extra={"acteon.where": calls.place, "acteon.policy": policy},
        )
