"""The statement for a page of records and their total."""

from typing import Final

from acteon.audit import AuditQuery
from acteon.audit_postgres.filters import Conditions
from acteon.audit_postgres.rows import SELECTED

# With the table's name before it: `dispatched_at` alone would be what is selected under that name,
# which no index has.
FROM: Final = "FROM {audit} AS audit"
ORDER: Final = "ORDER BY audit.dispatched_at DESC, audit.id DESC"


def page_statement(query: AuditQuery, *, count: bool) -> tuple[str, dict[str, object]]:
    """Return the statement for what `query` asks for, and its parameters.

    Each row has the total first, or NULL if it is not to be counted.
    """
    fits = Conditions()
    fits.add_filters(query)
    total = f"(SELECT count(*) {FROM} WHERE {fits})"
    here = Conditions(dict(fits.parameters), [str(fits)])
    if query.after is not None:
        here.add_position(query.after)
    elif not query.offset:
        # A page that is not full has them all.
        counted = "(SELECT count(*) FROM page)"
        total = f"CASE WHEN {counted} < {query.limit} THEN {counted} ELSE {total} END"
    statement = f"""
        WITH page AS MATERIALIZED (
            SELECT {SELECTED} {FROM} WHERE {here}
            {ORDER} LIMIT {query.limit} OFFSET {query.offset}
        )
        SELECT {total if count else "NULL"} AS total, page.*
        FROM (VALUES (1)) AS one LEFT JOIN page ON true
        ORDER BY page.dispatched_at DESC, page.id DESC
    """
    return statement, here.parameters
