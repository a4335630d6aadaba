"""`python -m acteon.audit_clickhouse [PREFIX [VERSION]]` prints the SQL that makes the table."""

import sys

from acteon.audit_clickhouse.config import ClickHouseAuditConfig
from acteon.audit_clickhouse.layout import Layout

_USAGE = "usage: python -m acteon.audit_clickhouse [PREFIX [VERSION OF THE SERVER]]"
_DEFAULTS = ("acteon", "24.8")


def main(arguments: list[str]) -> None:
    """Print the SQL for the prefix and the version of the server that `arguments` name."""
    if len(arguments) > len(_DEFAULTS) or any(one.startswith("-") for one in arguments):
        raise SystemExit(_USAGE)
    prefix, version = (*arguments, *_DEFAULTS[len(arguments) :])
    major, _, rest = version.partition(".")
    try:
        config = ClickHouseAuditConfig(url="clickhouse://localhost", prefix=prefix)
        layout = Layout.of(config, (int(major), int(rest.partition(".")[0] or 0)))
    except ValueError as error:
        raise SystemExit(f"{_USAGE}\n{error}") from None
    sys.stdout.write(f"{layout.definition()};\n")


if __name__ == "__main__":
    main(sys.argv[1:])
