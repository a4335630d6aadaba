"""The client against a server that runs, whatever its rules and providers are."""

from collections import Counter
from typing import Any

from acteon.client import AsyncActeonClient, AuditDisabledError
from acteon.simulation.errors import BackendUnavailableError
from acteon.simulation.examples.parts import action
from acteon.simulation.examples.report import Report, Stopwatch

TENANT = "tenant-http-test"
REQUESTS = 100


async def run(report: Report, url: str) -> None:
    """Run the example against the server at `url`."""
    async with AsyncActeonClient(url) as client:
        report.step("1. Is it alive?")
        if not await client.health():
            raise BackendUnavailableError(
                f"no Acteon server answers at {url}: start one with `acteon-server`, or say where "
                "it is by ACTEON_URL"
            )
        report.check("it is", True)
        report.step("2. Its rules")
        for rule in await client.list_rules():
            report.say(f"{rule.priority} {rule.name}{'' if rule.enabled else ' (off)'}")
        report.step("3. Dispatches")
        first = _action("send_email")
        report.say(f"one: {(await client.dispatch(first)).tag}")
        results = await client.dispatch_batch([_action("send_email") for _ in range(5)])
        report.check("a batch of five has five results", len(results), 5)
        report.say(f"spam: {(await client.dispatch(_action('spam'))).tag}")
        twice = [_action("notify", dedup_key="order-7") for _ in range(2)]
        report.say(f"one key twice: {[(await client.dispatch(each)).tag for each in twice]}")
        await _audit(client, report, first.id)
        report.step(f"5. {REQUESTS} requests, one after the other")
        with Stopwatch() as watch:
            tags = Counter([(await client.dispatch(_action("bulk"))).tag for _ in range(REQUESTS)])
        report.measure("requests", REQUESTS, watch.took)
        report.check("each has an outcome", tags.total(), REQUESTS)


def _action(action_type: str, **members: Any) -> Any:
    return action(action_type, tenant=TENANT, **members)


async def _audit(client: AsyncActeonClient, report: Report, action_id: str) -> None:
    report.step("4. Its audit trail")
    try:
        record = await client.wait_for_audit(action_id)
    except AuditDisabledError:
        report.say("it keeps none")
        return
    report.check("the first dispatch is recorded", record.tenant, TENANT)
    page = await client.query_audit(tenant=TENANT, limit=10)
    report.check("ten records of a page", 0 < len(page.records) <= 10)
