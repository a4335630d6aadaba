"""`python -m acteon.state_postgres [PREFIX [SCHEMA]]` prints the SQL that makes everything."""

import sys

from acteon.state_postgres.config import PostgresStateConfig
from acteon.state_postgres.layout import Layout

_USAGE = "usage: python -m acteon.state_postgres [PREFIX [SCHEMA]]"


def main(arguments: list[str]) -> None:
    """Print the SQL for the prefix and the schema that `arguments` name."""
    if len(arguments) > 2 or any(one.startswith("-") for one in arguments):
        raise SystemExit(_USAGE)
    prefix, schema = (*arguments, *("acteon", "public")[len(arguments) :])
    try:
        config = PostgresStateConfig(url="postgres://", prefix=prefix, schema=schema)
    except ValueError as error:
        raise SystemExit(f"{_USAGE}\n{error}") from None
    sys.stdout.write(Layout.of(config).script())


if __name__ == "__main__":
    main(sys.argv[1:])
