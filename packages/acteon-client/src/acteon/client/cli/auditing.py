"""The commands on the audit trail."""

import time
from argparse import Namespace
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from attrs import evolve

from acteon.client.cli.output import Output
from acteon.client.models import AuditRecord
from acteon.client.queries import AuditQuery
from acteon.client.synchronous import ActeonClient

FILTERS = (
    "namespace",
    "tenant",
    "provider",
    "action_type",
    "outcome",
    "verdict",
    "matched_rule",
    "caller_id",
)
_HEADS = ("DISPATCHED", "OUTCOME", "PROVIDER", "TYPE", "TENANT", "RULE", "MS", "ACTION")
_OVERLAP = 1000


def query_of(given: Namespace) -> AuditQuery:
    """Return the query that the options describe."""
    filters: dict[str, Any] = {name: getattr(given, name) for name in FILTERS}
    return AuditQuery(
        **filters, since=given.since, until=given.until, limit=getattr(given, "limit", None)
    )


def query(client: ActeonClient, given: Namespace, output: Output) -> int:
    """Show a page of records, the newest first."""
    page = client.query_audit(query_of(given))
    if output.as_json:
        output.json(page.to_dict())
        return 0
    _table(output, page.records)
    if page.total is not None and page.total > len(page.records):
        output.note(f"{len(page.records)} of {page.total}; --limit for more, `export` for all")
    return 0


def export(client: ActeonClient, given: Namespace, output: Output) -> int:
    """Tell all records that fit as JSON lines, the newest first."""
    for record in client.iter_audit(query_of(given), page_size=1000):
        output.json_line(record.to_dict())
    return 0


def get(client: ActeonClient, given: Namespace, output: Output) -> int:
    """Show the latest record of an action."""
    record = client.get_audit_record(given.action_id)
    if record is None:
        output.note(f"error: no audit record of action {given.action_id!r}")
        return 1
    if output.as_json:
        output.json(record.to_dict())
    else:
        output.table(("MEMBER", "VALUE"), record.to_dict().items())
    return 0


def replay(client: ActeonClient, given: Namespace, output: Output) -> int:
    """Send the action of a record again."""
    item = client.replay(given.action_id, dry_run=given.dry_run)
    if output.as_json:
        output.json(item.to_dict())
    else:
        output.table(
            ("OUTCOME", "NEW ACTION", "DETAILS"),
            [(item.outcome or "error", item.new_action_id, item.error)],
        )
    return int(not item.success)


def tail(client: ActeonClient, given: Namespace, output: Output) -> int:
    """Show records as they are written, until Ctrl-C."""
    for record in _followed(client, given):
        if output.as_json:
            output.json_line(record.to_dict())
        else:
            output.line("  ".join(_row(record)))
            output.out.flush()
    return 0


def _followed(client: ActeonClient, given: Namespace) -> Iterator[AuditRecord]:
    """Yield records as they come, the oldest first: those of the last seconds are asked for again.

    A record may be written a little later than one that was dispatched after it.
    """
    wanted = query_of(given)
    since = wanted.since or datetime.now(UTC)
    seen: dict[str, datetime] = {}
    while True:
        found = list(client.iter_audit(evolve(wanted, since=since, limit=None)))
        for record in reversed(found):
            if record.id not in seen:
                seen[record.id] = record.dispatched_at
                yield record
        if len(seen) > _OVERLAP:
            newest = sorted(seen, key=lambda each: seen[each])[-_OVERLAP:]
            seen = {each: seen[each] for each in newest}
            since = min(seen.values())
        time.sleep(given.interval)


def _table(output: Output, records: tuple[AuditRecord, ...]) -> None:
    output.table(_HEADS, [_row(record) for record in records])


def _row(record: AuditRecord) -> tuple[str, ...]:
    return (
        record.dispatched_at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S"),
        record.outcome,
        record.provider or "-",
        record.action_type,
        record.tenant,
        record.matched_rule or "-",
        str(record.duration_ms),
        record.action_id,
    )
