"""Callbacks of Airflow that become actions."""

from collections.abc import Mapping
from copy import copy
from datetime import datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from airflow.sdk import BaseNotifier, Connection
from airflow.sdk.exceptions import AirflowNotFoundException

from acteon.client.asynchronous import AsyncActeonClient
from acteon.client.logs.fingerprints import type_name
from acteon.client.outcomes import BatchResult, Outcome
from acteon.client.plain import message_of, plain
from acteon.client.synchronous import ActeonClient
from acteon.client.targets import failure_of
from acteon.core import ActeonError, Action

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence

    from airflow.sdk import Context


class NotDeliveredError(ActeonError):
    """A notification was not delivered; Airflow logs that and goes on."""

    code = "NOT_DELIVERED"


class ActeonNotifier(BaseNotifier):
    """Makes an action of a callback: `on_failure_callback=ActeonNotifier(…)`.

    All texts of an action are templates. One that a rule holds back, or that was delivered
    before, is no error.

    Args:
        namespace: Of the action.
        tenant: Of the action.
        provider: Who delivers it.
        action_type: What rules know it by.
        payload: Of the action; without it, what there is to say about the task.
        metadata: Labels of the action, beside `dag_id` and `task_id`.
        dedup_key: What makes two actions the same one; without it, the attempt of the task.
        acteon_conn_id: The connection with the server: host and port, or a URL as the host, and
            an API key as the password. If there is none of that name, what `ACTEON_URL` and
            `ACTEON_API_KEY` say.
        timeout: Seconds for the request and its answer.
        context: What templates see, where a notifier is awaited.
    """

    template_fields: "Sequence[str]" = (
        *("namespace", "tenant", "provider", "action_type"),
        *("payload", "metadata", "dedup_key", "acteon_conn_id"),
    )

    def __init__(
        self,
        *,
        namespace: str,
        tenant: str,
        provider: str,
        action_type: str = "airflow",
        payload: Any = None,
        metadata: Mapping[str, str] | None = None,
        dedup_key: str | None = None,
        acteon_conn_id: str = "acteon_default",
        timeout: float = 10.0,
        context: "Context | None" = None,
    ) -> None:
        self.namespace = namespace
        self.tenant = tenant
        self.provider = provider
        self.action_type = action_type
        self.payload = payload
        self.metadata = dict(metadata or {})
        self.dedup_key = dedup_key
        self.acteon_conn_id = acteon_conn_id
        self._timeout = timeout
        super().__init__(context)

    def __call__(self, *args: Any) -> None:
        # Rendering replaces the templates; one notifier may serve many tasks.
        super(ActeonNotifier, copy(self)).__call__(*args)

    def __await__(self) -> "Generator[Any, Any, None]":
        return super(ActeonNotifier, copy(self)).__await__()

    def notify(self, context: "Context") -> None:
        """Dispatch the action.

        Raises:
            NotDeliveredError: It was not delivered.
            ClientError: There was no answer.
        """
        try:
            connection = Connection.get(self.acteon_conn_id)
        except AirflowNotFoundException:
            connection = None
        with ActeonClient.from_env(**self._options(connection)) as client:
            _check(client.dispatch(self._action(context)))

    async def async_notify(self, context: "Context") -> None:
        """Dispatch the action; raises as `notify` does."""
        try:
            connection = await Connection.async_get(self.acteon_conn_id)
        except AirflowNotFoundException:
            connection = None
        async with AsyncActeonClient.from_env(**self._options(connection)) as client:
            _check(await client.dispatch(self._action(context)))

    def _options(self, connection: Connection | None) -> dict[str, Any]:
        options: dict[str, Any] = {"timeout": self._timeout}
        if connection is None:
            return options
        url = connection.host or "localhost"
        if "://" not in url:
            url = f"{connection.schema or 'http'}://{url}"
        if connection.port is not None and urlsplit(url).port is None:
            url = f"{url.rstrip('/')}:{connection.port}"
        options["base_url"] = url
        if connection.password:
            options["api_key"] = connection.password
        return options

    def _action(self, context: "Context") -> Action:
        said = _fields(context)
        names = {name: said[name] for name in ("dag_id", "task_id") if said[name]}
        attempt = ("dag_id", "run_id", "task_id", "map_index", "try_number", "state")
        return Action(
            self.namespace,
            self.tenant,
            self.provider,
            self.action_type,
            said if self.payload is None else plain(self.payload),
            metadata={**names, **{name: str(value) for name, value in self.metadata.items()}},
            dedup_key=self.dedup_key or "/".join(str(said[name] or "") for name in attempt),
        )


def _fields(context: "Context") -> dict[str, Any]:
    """Return all there is to say about a task, or a run, in plain values."""
    dag, instance = context.get("dag"), context.get("ti")
    error = context.get("exception")
    logical_date = context.get("logical_date")
    state = getattr(instance, "state", None)
    return {
        "dag_id": getattr(dag, "dag_id", None) or getattr(instance, "dag_id", None),
        "task_id": getattr(instance, "task_id", None),
        "run_id": context.get("run_id") or getattr(instance, "run_id", None),
        "map_index": plain(getattr(instance, "map_index", None)),
        "try_number": plain(getattr(instance, "try_number", None)),
        "state": None if state is None else str(getattr(state, "value", state)),
        "logical_date": logical_date.isoformat() if isinstance(logical_date, datetime) else None,
        "reason": plain(context.get("reason")),
        "exception": {"type": type_name(type(error)), "message": message_of(error)}
        if isinstance(error, BaseException)
        else plain(error),
        "log_url": plain(getattr(instance, "log_url", None)),
    }


def _check(outcome: Outcome) -> None:
    why = None if outcome.is_throttled() else failure_of(BatchResult(outcome))
    if why is not None:
        raise NotDeliveredError(f"the notification was not delivered: {why}")
