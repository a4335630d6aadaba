"""One gateway of a fleet, in a process of its own: what it is told to dispatch, it does at once.

It is started with a JSON object: `backend`, `settings` of the state plugin, `rules`, and the file
`deliveries`, to which each delivery adds a line. For each line of its input, an object with
`round`, `count` and `key`, it dispatches `count` actions at the same time and writes how they
ended, as an object of counts.
"""

import asyncio
import json
import os
import sys
from collections import Counter
from typing import Any

from acteon.core import Action
from acteon.gateway import Gateway, GatewayError, Plugin, parse_rules


async def main() -> None:
    """Do one round after the other until the input ends."""
    told: dict[str, Any] = json.loads(sys.argv[1])
    deliveries = os.open(told["deliveries"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)

    async def deliver(action: Action) -> None:
        # One write of a short line is one piece, whoever else writes.
        os.write(deliveries, f"{action.dedup_key}\n".encode())

    opening = Gateway.open(
        rules=parse_rules(told["rules"]),
        providers=[deliver],
        state=Plugin(told["backend"], told["settings"]),
        audit=None,
    )
    async with opening as gateway:
        say("ready")
        while line := await asyncio.to_thread(sys.stdin.readline):
            wanted: dict[str, Any] = json.loads(line)
            ended = await asyncio.gather(
                *(one(gateway, wanted["round"], wanted["key"]) for _ in range(wanted["count"]))
            )
            say(json.dumps(Counter(ended)))


def say(line: str) -> None:
    """Write a line to whoever waits for it."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


async def one(gateway: Gateway, number: int, key: str) -> str:
    """Return how one action of that round ended."""
    action = Action(
        namespace="fleet",
        tenant=f"round-{number}",
        provider="deliver",
        action_type="race",
        payload={},
        dedup_key=key,
    )
    try:
        return (await gateway.dispatch(action)).tag
    except GatewayError as error:
        return f"{error.code}: {error}"


asyncio.run(main())
