"""`python -m acteon.audit_elasticsearch [PREFIX]` prints the request that makes the index."""

import json
import sys

from acteon.audit_elasticsearch.config import ElasticsearchAuditConfig
from acteon.audit_elasticsearch.layout import Layout

_USAGE = "usage: python -m acteon.audit_elasticsearch [PREFIX]"


def main(arguments: list[str]) -> None:
    """Print the request, as Kibana's console and `curl` take it, for the prefix in `arguments`."""
    if len(arguments) > 1 or any(one.startswith("-") for one in arguments):
        raise SystemExit(_USAGE)
    try:
        config = ElasticsearchAuditConfig(url="http://localhost", prefix=(*arguments, "acteon")[0])
    except ValueError as error:
        raise SystemExit(f"{_USAGE}\n{error}") from None
    layout = Layout.of(config.prefix)
    sys.stdout.write(f"PUT /{layout.index}\n{json.dumps(layout.definition, indent=2)}\n")


if __name__ == "__main__":
    main(sys.argv[1:])
