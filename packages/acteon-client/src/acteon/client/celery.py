"""Tasks of Celery that fail become actions."""

import os
import socket
from collections import deque
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Final

from celery import Celery, Task, signals

from acteon.client.background import Counts, Outlet
from acteon.client.counting import Draft
from acteon.client.logs.fingerprints import fingerprint, raising_place, type_name
from acteon.client.plain import message_of, plain, text
from acteon.client.synchronous import ActeonClient
from acteon.client.talking import CHUNK
from acteon.client.targets import SupportsBatches, Target
from acteon.core import Action, format_instant

_STACK: Final = 30_000
_TOLD: Final = 100
"""Failures that are known, so that none is told of twice."""
_FAILED: Final = "FAILURE"
_RETRIED: Final = "RETRY"


def notify_failures(
    app: Celery | None = None, *, retries: bool = False, **options: Any
) -> "TaskFailures":
    """Make an action of each task that fails from now on, in all workers of this program.

    ```python
    app = Celery("shop")
    notify_failures(app, namespace="shop", tenant="acme", provider="slack")
    ```

    Args:
        app: Whose tasks; None: those of all.
        retries: Whether a task that fails and is tried again makes one as well.
        options: Those of `TaskFailures`.

    Raises:
        ConfigurationError: What is given cannot be used.
    """
    failures = TaskFailures(**options)
    failures.connect(app, retries=retries)
    return failures


class TaskFailures:
    """Makes actions of tasks that fail; a thread of its own sends them.

    No task waits for it or fails by it. Failures of one task by the same exception from the same
    line are counted for `interval` seconds, and the count goes along with the next one as
    `repeated`. Exceptions that a task declares by `throws` are expected, and left out.

    Args:
        namespace: Of the actions.
        tenant: Of the actions.
        provider: Who delivers them.
        action_type: What rules know them by.
        metadata: Labels of the actions, beside `task` and `state`.
        url: Where the server is; without it, what `ACTEON_URL` says.
        api_key: Who asks; without it, what `ACTEON_API_KEY` says.
        token: The same by a token.
        timeout: Seconds for a request and its answer.
        client: A client to send with instead; it is not closed.
        gateway: An open `SyncGateway` to dispatch with instead; it is not closed.
        arguments: Whether to tell the arguments of tasks, which may hold anything.
        payload: Makes the payload of what there is to say; without it, that is the payload.
        interval: Seconds in which identical failures are counted; 0: all are sent.
        capacity: How many actions may wait; what comes while that many do is dropped.
        flush_timeout: Seconds that the end of a worker waits for the last ones at most.
    """

    def __init__(
        self,
        *,
        namespace: str,
        tenant: str,
        provider: str,
        action_type: str = "task_failed",
        metadata: Mapping[str, str] | None = None,
        url: str | None = None,
        api_key: str | None = None,
        token: str | None = None,
        timeout: float | None = None,
        client: ActeonClient | None = None,
        gateway: SupportsBatches | None = None,
        arguments: bool = False,
        payload: Callable[[dict[str, Any]], Any] | None = None,
        interval: float = 60.0,
        capacity: int = 1000,
        flush_timeout: float = 5.0,
    ) -> None:
        self._namespace = namespace
        self._tenant = tenant
        self._provider = provider
        self._action_type = action_type
        self._metadata = dict(metadata or {})
        self._arguments = arguments
        self._payload = payload
        self._app: Celery | None = None
        self._told = deque[tuple[str, str, int]](maxlen=_TOLD)
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
            batch_size=CHUNK,
            exit_timeout=flush_timeout,
        )
        # Processes of a pool end without their `atexit`. Nobody else may keep this object.
        signals.worker_process_shutdown.connect(self._on_shutdown, weak=False)

    @property
    def counts(self) -> Counts:
        """What became of the failures of this process so far."""
        return self._outlet.here.counts

    def connect(self, app: Celery | None = None, *, retries: bool = False) -> None:
        """Hear of all failures of the tasks of `app` (None: of all) from now on."""
        self._app = app
        signals.task_failure.connect(self._on_failure, weak=False)
        if retries:
            signals.task_retry.connect(self._on_retry, weak=False)

    def disconnect(self) -> None:
        """Hear of no more failures, and send those that are left."""
        signals.task_failure.disconnect(self._on_failure)
        signals.task_retry.disconnect(self._on_retry)
        signals.worker_process_shutdown.disconnect(self._on_shutdown)
        self._outlet.here.close()

    @property
    def task_class(self) -> type[Task[Any, Any]]:
        """A base for tasks that are to be told of, if not all are: `@app.task(base=…)`."""
        failures = self

        class NotifyingTask(Task[Any, Any]):
            abstract = True

            def on_failure(
                self, exc: Exception, task_id: str, args: Any, kwargs: Any, einfo: Any
            ) -> None:
                failures.failed(self, task_id, exc, args, kwargs, einfo)
                super().on_failure(exc, task_id, args, kwargs, einfo)

        return NotifyingTask

    def failed(
        self,
        task: Task[Any, Any],
        task_id: str,
        error: BaseException,
        args: Any,
        kwargs: Any,
        einfo: Any,
        state: str = _FAILED,
    ) -> None:
        """Tell of one failure; the arguments are those of `Task.on_failure`, with the task."""
        if state == _FAILED and isinstance(error, tuple(task.throws or ())):
            return
        this = (task_id, state, task.request.retries)
        if this in self._told:  # Celery tells twice of a task that it has killed.
            return
        self._told.append(this)
        traceback = error.__traceback__
        place = "" if traceback is None else raising_place(traceback)
        key = fingerprint(task.name, state, type_name(type(error)), place)

        def draft() -> Draft:
            said = _fields(task, task_id, error, einfo, state)
            if self._arguments:
                said |= {"args": plain(args), "kwargs": plain(kwargs)}
            return self._draft(key, said)

        self._outlet.here.submit(key, datetime.now(UTC), draft)

    def _draft(self, key: str, fields: dict[str, Any]) -> Draft:
        metadata = {"task": fields["task"], "state": fields["state"], **self._metadata}

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

    def _on_failure(
        self,
        sender: Task[Any, Any],
        task_id: str,
        exception: BaseException,
        args: Any,
        kwargs: Any,
        einfo: Any,
        **_: Any,
    ) -> None:
        if self._app is None or sender.app is self._app:
            self.failed(sender, task_id, exception, args, kwargs, einfo)

    def _on_retry(
        self, sender: Task[Any, Any], request: Any, reason: Any, einfo: Any, **_: Any
    ) -> None:
        if self._app is None or sender.app is self._app:
            error = reason.exc if isinstance(reason.exc, BaseException) else reason
            self.failed(sender, request.id, error, request.args, request.kwargs, einfo, _RETRIED)

    def _on_shutdown(self, **_: Any) -> None:
        self._outlet.here.close()


def _fields(
    task: Task[Any, Any], task_id: str, error: BaseException, einfo: Any, state: str
) -> dict[str, Any]:
    """Return all there is to say of a failure, in plain values."""
    request = task.request
    delivery = request.delivery_info or {}
    stack = getattr(einfo, "traceback", None)
    return {
        "task": task.name,
        "task_id": task_id,
        "state": state,
        "exception": {"type": type_name(type(error)), "message": message_of(error)},
        "stack": None if stack is None else text(str(stack), _STACK, end=True),
        "retries": request.retries,
        "queue": delivery.get("routing_key"),
        "root_id": request.root_id,
        "parent_id": request.parent_id,
        "worker": request.hostname,
        "process": {"id": os.getpid(), "host": socket.gethostname()},
    }
