"""What an operator says about the server."""

from attrs import frozen

from acteon.state_clickhouse import ClickHouseConfig
from acteon.state_clickhouse.config import name, seconds


@frozen(kw_only=True)
class ClickHouseAuditConfig(ClickHouseConfig):
    """The keys of `[audit]` with `backend = "clickhouse"` that are the backend's own.

    They are those of `ClickHouseConfig`, some with other defaults.

    Attributes:
        prefix: What the name of the table begins with; `_` is added unless it ends with one.
            `acteon` gives the table `acteon_audit`.
        command_timeout_seconds: The time until a statement is answered. The server gives up
            queries that take longer, too.
        clean_up_timeout_seconds: How long a clean-up waits for the server to rewrite what held
            expired records. It goes on without being waited for.
    """

    prefix: str = name("acteon_")
    command_timeout_seconds: float = seconds(10.0)
    clean_up_timeout_seconds: float = seconds(60.0)
