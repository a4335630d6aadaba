"""The same for code without an event loop: a script, Flask, Django, threads."""

from pathlib import Path

from acteon.audit import AuditQuery
from acteon.core import Action
from acteon.gateway import SyncGateway

RULES = Path(__file__).with_name("rules")


def send_email(action: Action) -> str:
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


with SyncGateway.open(rules=RULES, providers=[send_email]) as gateway:
    for action in (welcome("ann"), welcome("ann")):
        print(gateway.dispatch(action))
    page = gateway.trail.query(AuditQuery(tenant="acme"))
    for record in page.records:
        print(record.outcome, record.matched_rule)
