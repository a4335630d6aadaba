"""A gateway inside a program with an event loop."""

import asyncio
from pathlib import Path

from acteon.audit import AuditQuery
from acteon.core import Action
from acteon.gateway import Gateway

RULES = Path(__file__).with_name("rules")


async def send_email(action: Action) -> str:
    return f"sent to {action.payload['to']}"


def welcome(name: str) -> Action:
    return Action(
        namespace="shop",
        tenant="acme",
        provider="send_email",
        action_type="welcome",
        payload={"to": f"{name}@example.com"},
        dedup_key=f"welcome-{name}",
    )


async def main() -> None:
    async with Gateway.open(rules=RULES, providers=[send_email]) as gateway:
        for action in (welcome("ann"), welcome("ann")):
            print(await gateway.dispatch(action))
        page = await gateway.trail.query(AuditQuery(tenant="acme"))
        for record in page.records:
            print(record.outcome, record.matched_rule)


asyncio.run(main())
