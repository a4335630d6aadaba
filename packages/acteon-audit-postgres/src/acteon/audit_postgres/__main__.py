"""`python -m acteon.audit_postgres [PREFIX [SCHEMA [MONTHS]]]` prints the SQL that makes it all."""

import sys
from collections.abc import Iterator

from acteon.audit_postgres.config import PostgresAuditConfig
from acteon.audit_postgres.layout import Layout, Month
from acteon.core import SYSTEM_CLOCK

_USAGE = "usage: python -m acteon.audit_postgres [PREFIX [SCHEMA [MONTHS]]]"
_DEFAULTS = ("acteon", "public", "0")


def main(arguments: list[str]) -> None:
    """Print the SQL for the prefix, the schema and so many months that `arguments` name."""
    if len(arguments) > len(_DEFAULTS) or any(one.startswith("-") for one in arguments):
        raise SystemExit(_USAGE)
    prefix, schema, months = (*arguments, *_DEFAULTS[len(arguments) :])
    try:
        config = PostgresAuditConfig(url="postgres://", prefix=prefix, schema=schema)
        ahead = list(_months(int(months)))
    except ValueError as error:
        raise SystemExit(f"{_USAGE}\n{error}") from None
    layout = Layout.of(config)
    sys.stdout.write(layout.script())
    for month in ahead:
        sys.stdout.write(layout.month_definition(month))


def _months(count: int) -> Iterator[Month]:
    """Yield so many months, from the current one on."""
    month = Month.of(SYSTEM_CLOCK.now())
    for _ in range(count):
        yield month
        month = month.next


if __name__ == "__main__":
    main(sys.argv[1:])
