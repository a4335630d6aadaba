"""The handler that makes actions of log records."""

import logging
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Final

from acteon.client.background import SENDING, Counts, Outlet
from acteon.client.counting import Draft
from acteon.client.logs.fingerprints import fingerprint_of
from acteon.client.logs.records import fields_of, instant_of
from acteon.client.synchronous import ActeonClient
from acteon.client.talking import CHUNK
from acteon.client.targets import SupportsBatches, Target
from acteon.core import Action, format_instant

_OWN: Final = ("acteon", "urllib3")
"""Loggers of what sends: a record of theirs would make another one, without end."""


class ActeonHandler(logging.Handler):
    """Makes an action of each log record; a thread of its own sends them, in batches.

    ```python
    logging.getLogger().addHandler(ActeonHandler(namespace="shop", tenant="acme", provider="slack"))
    ```

    Logging never waits for the network and never fails. A record that is the same as one within
    the last `interval` seconds is counted, and the count goes along with the next one as
    `repeated`: an action stands for `1 + repeated` records. Records of the loggers `acteon` and
    `urllib3`, and of all below them, are left out, or sending would lead to more sending.

    A process that is forked goes on by itself. At the end of the program, and of a process of
    `multiprocessing`, what is left is sent, for `flush_timeout` seconds at most.

    Args:
        level: The lowest level of records that are taken.
        namespace: Of the actions.
        tenant: Of the actions.
        provider: Who delivers them.
        action_type: What rules know them by.
        metadata: Labels of the actions, beside `level` and `logger`.
        url: Where the server is; without it, what `ACTEON_URL` says.
        api_key: Who asks; without it, what `ACTEON_API_KEY` says.
        token: The same by a token.
        timeout: Seconds for a request and its answer.
        client: A client to send with instead; it is not closed.
        gateway: An open `SyncGateway` to dispatch with instead; it is not closed.
        fingerprint: Returns what is equal for records that are the same; it is the `dedup_key`.
        payload: Makes the payload of what a record says; without it, that is the payload.
        interval: Seconds in which identical records are counted; 0: all are sent.
        capacity: How many actions may wait; what comes while that many do is dropped.
        batch_size: How many go in one request.
        flush_timeout: Seconds that `flush` and `close` wait at most.

    Raises:
        ConfigurationError: What is given cannot be used.
    """

    def __init__(
        self,
        level: int | str = logging.ERROR,
        *,
        namespace: str,
        tenant: str,
        provider: str,
        action_type: str = "log",
        metadata: Mapping[str, str] | None = None,
        url: str | None = None,
        api_key: str | None = None,
        token: str | None = None,
        timeout: float | None = None,
        client: ActeonClient | None = None,
        gateway: SupportsBatches | None = None,
        fingerprint: Callable[[logging.LogRecord], str] = fingerprint_of,
        payload: Callable[[dict[str, Any]], Any] | None = None,
        interval: float = 60.0,
        capacity: int = 1000,
        batch_size: int = CHUNK,
        flush_timeout: float = 5.0,
    ) -> None:
        super().__init__(level)
        self._namespace = namespace
        self._tenant = tenant
        self._provider = provider
        self._action_type = action_type
        self._metadata = dict(metadata or {})
        self._fingerprint = fingerprint
        self._payload = payload
        self._outlet = Outlet(
            target=Target.of(
                client=client,
                gateway=gateway,
                url=url,
                api_key=api_key,
                token=token,
                timeout=timeout,
            ),
            interval=interval,
            capacity=capacity,
            batch_size=batch_size,
            exit_timeout=flush_timeout,
        )

    @property
    def counts(self) -> Counts:
        """What became of the records of this process so far."""
        return self._outlet.here.counts

    def emit(self, record: logging.LogRecord) -> None:
        """Take `record`, and return at once."""
        try:
            if SENDING.get() or record.name.partition(".")[0] in _OWN:
                return
            key = self._fingerprint(record)
            self._outlet.here.submit(key, instant_of(record), lambda: self._draft(key, record))
        except Exception:  # noqa: BLE001 - what logs must not fail because it cannot be told
            self.handleError(record)

    def flush(self) -> None:
        """Wait until what was taken is sent, for `flush_timeout` seconds at most.

        What was counted goes when its interval is over, or when the handler is closed.
        """
        self._outlet.here.flush(self._outlet.exit_timeout)

    def close(self) -> None:
        """Send what is left, counts included, for `flush_timeout` seconds at most; take no more."""
        self._outlet.here.close()
        super().close()

    def _draft(self, key: str, record: logging.LogRecord) -> Draft:
        fields = fields_of(record, self.formatter)
        metadata = {"level": record.levelname, "logger": record.name, **self._metadata}

        def action(repeated: int, instant: datetime) -> Action:
            said = {**fields, "repeated": repeated, "timestamp": format_instant(instant)}
            return Action(
                self._namespace,
                self._tenant,
                self._provider,
                self._action_type,
                said if self._payload is None else self._payload(said),
                metadata=metadata,
                dedup_key=key,
            )

        return action
