"""What an operator says about the database."""

from attrs import field, frozen
from attrs.validators import ge

from acteon.state_postgres.config import PostgresConfig, seconds


@frozen(kw_only=True)
class PostgresAuditConfig(PostgresConfig):
    """The keys of `[audit]` with `backend = "postgres"` that are the backend's own.

    Attributes:
        url: Where the database is: `postgres://user:password@host:5432/database`, with libpq's
            parameters after a `?`, such as `sslmode=verify-full`; several hosts by commas.
        prefix: What the names of our tables begin with; `_` is added unless it ends with one.
            `acteon` gives the table `acteon_audit`.
        schema: The schema that they are in; it must exist.
        pool_size: Connections at the most, per process; they are opened as they are needed.
        connect_timeout_seconds: The time for connecting to one host, and for waiting until a
            connection is free.
        command_timeout_seconds: The time for one statement. Then its connection is closed; what
            became of the statement is unknown.
    """

    pool_size: int = field(default=5, validator=ge(1))
    command_timeout_seconds: float = seconds(10.0)
