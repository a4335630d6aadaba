"""Sends a handful of actions to a running gateway, and shows what becomes of each, and why.

`python walkthrough.py --url http://127.0.0.1:8080` needs the server of the quickstart; every run
is a tenant of its own, so that the next one sees the same.
"""

import argparse
import asyncio
import json
import secrets
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from aiohttp import ClientError, ClientSession, ClientTimeout
from attrs import frozen
from tables import GrowingTable, Output, OutputClosedError

NAMESPACE = "shop"
DEFAULT_URL = "http://127.0.0.1:8080"
PATIENCE = 10
"""Seconds for the audit trail to show what has happened: it is written a moment later."""


class WalkthroughError(Exception):
    """The walk-through cannot go on; the text is one line that says what to do."""


@frozen(kw_only=True)
class Step:
    """One action that is sent.

    Attributes:
        title: What it is, in words.
        action: Its members, but for those that all steps share.
        expected: The outcome that the rules of the quickstart give it.
    """

    title: str
    action: Mapping[str, Any]
    expected: str


CONFIRMATION = {
    "action_type": "send_email",
    "payload": {"to": "ada@example.com"},
    "dedup_key": "order-17",
}
ALERT = {"action_type": "alert", "payload": {"disk": "91 %"}}

STEPS = (
    Step(title="an order confirmation", action=CONFIRMATION, expected="Executed"),
    Step(title="the same again", action=CONFIRMATION, expected="Deduplicated"),
    Step(
        title="advertising",
        action={"action_type": "spam", "payload": {"to": "ada@example.com"}},
        expected="Suppressed",
    ),
    Step(title="an alert", action=ALERT, expected="Executed"),
    Step(title="a second alert", action=ALERT, expected="Executed"),
    Step(title="a third one", action=ALERT, expected="Throttled"),
    Step(
        title="an urgent email",
        action={
            "action_type": "outage",
            "payload": {"app": "shop"},
            "metadata": {"priority": "urgent"},
        },
        expected="Rerouted",
    ),
    Step(
        title="a letter, with a note",
        action={"action_type": "letter", "payload": {"text": "Dear Ada", "note": "draft 2"}},
        expected="Executed",
    ),
)


@frozen
class Api:
    """The part of the HTTP API that is needed here.

    Attributes:
        session: What speaks HTTP.
    """

    session: ClientSession

    async def get(self, path: str, **query: str) -> Any:
        """Return the answer to a GET."""
        async with self.session.get(path, params=query) as answer:
            if answer.status != 200:
                raise WalkthroughError(f"GET {path} was answered with status {answer.status}")
            return await answer.json()

    async def dispatch(self, action: Mapping[str, Any]) -> Any:
        """Return the outcome of `action`, or the error that ended it."""
        async with self.session.post("/v1/dispatch", json=action) as answer:
            return await answer.json()


async def walk(url: str, console: Output) -> int:
    """Send all steps, show their outcomes and what the audit trail says of them.

    Returns:
        How many outcomes are not those that the rules of the quickstart give.

    Raises:
        WalkthroughError: There is no such server.
    """
    try:
        async with ClientSession(url, timeout=ClientTimeout(total=30)) as session:
            return await _walk(Api(session), console)
    except (ClientError, TimeoutError, ValueError):
        raise WalkthroughError(
            f"no Acteon server answers at {url}: start one with `nox -s serve`, "
            "or name it with --url"
        ) from None


async def _walk(api: Api, console: Output) -> int:
    why = {rule["name"]: rule["description"] or "" for rule in await api.get("/v1/rules")}
    tenant = f"demo-{secrets.token_hex(3)}"
    console.print(f"Eight actions of tenant {tenant}, all for provider email:\n")
    unexpected = await _send(api, tenant, console)
    console.print("\nWhat GET /v1/audit says of them, and which rule did it:\n")
    await _show_audit(api, tenant, why, console)
    return unexpected


async def _send(api: Api, tenant: str, console: Output) -> int:
    table = GrowingTable(console, {"sent": 21, "outcome": 12, "what became of it": 43})
    unexpected = 0
    for number, step in enumerate(STEPS, 1):
        common = {"namespace": NAMESPACE, "tenant": tenant, "provider": "email"}
        outcome = await api.dispatch({"id": f"{tenant}-{number}", **common, **step.action})
        kind, told = told_of(outcome)
        unexpected += kind != step.expected
        table.add(step.title, kind, told)
    return unexpected


async def _show_audit(api: Api, tenant: str, why: Mapping[str, str], console: Output) -> None:
    table = GrowingTable(console, {"action": 10, "outcome": 12, "rule": 19, "why": 33})
    for record in await _records(api, tenant):
        rule = record["matched_rule"]
        reason = why.get(rule, "") if rule else "No rule matched"
        table.add(record["action_type"], record["outcome"], rule or "-", reason)


async def _records(api: Api, tenant: str) -> Sequence[Any]:
    """Return the records of all steps, the oldest first."""
    try:
        async with asyncio.timeout(PATIENCE):
            while True:
                page = await api.get("/v1/audit", namespace=NAMESPACE, tenant=tenant)
                if page["total"] >= len(STEPS):
                    records: list[Any] = page["records"]
                    return records[::-1]
                await asyncio.sleep(0.02)
    except TimeoutError:
        raise WalkthroughError(f"the audit trail of {tenant} is not complete") from None


def told_of(outcome: Any) -> tuple[str, str]:
    """Return the kind of an outcome, and what is worth telling of it."""
    match outcome:
        case "Deduplicated":
            return "Deduplicated", "nothing: its key was delivered already"
        case {"Executed": {"status": "success", "body": body}}:
            return "Executed", f"the receiver got {_shown(body)}"
        case {"Rerouted": {"new_provider": new, "response": {"body": body}}}:
            return "Rerouted", f"by {new}: the receiver got {_shown(body)}"
        case {"Suppressed": {"rule": rule}}:
            return "Suppressed", f"nothing: rule {rule} holds it back"
        case {"Throttled": {"retry_after": {"secs": seconds}}}:
            return "Throttled", f"nothing: it may come again in {seconds} s"
        case {"error": error}:
            return "Error", str(error)
        case {**members} if members:
            kind, told = next(iter(members.items()))
            return str(kind), json.dumps(told)
        case _:
            return "Error", f"not an outcome: {outcome!r}"


def _shown(body: Any) -> str:
    match body:
        case {"received": payload}:
            return json.dumps(payload)
        case _:
            return json.dumps(body)


def main() -> int:
    """Run the walk-through; return the exit status."""
    parser = argparse.ArgumentParser(description="Send actions, and see what becomes of them.")
    parser.add_argument("--url", default=DEFAULT_URL, help="the server  [default: %(default)s]")
    options = parser.parse_args()
    try:
        unexpected = asyncio.run(walk(options.url, Output()))
    except (WalkthroughError, OutputClosedError) as error:
        sys.stderr.write(f"error: {error}\n")
        return 1
    except KeyboardInterrupt:
        return 130
    return complain(unexpected)


def complain(unexpected: int) -> int:
    """Say if outcomes are not as expected; return the exit status."""
    if unexpected:
        sys.stderr.write(
            f"error: {unexpected} of {len(STEPS)} outcomes are not those that the rules of "
            "examples/quickstart give\n"
        )
    return 1 if unexpected else 0


if __name__ == "__main__":
    sys.exit(main())
