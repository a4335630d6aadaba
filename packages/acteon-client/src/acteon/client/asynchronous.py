"""The client for programs with an event loop, on aiohttp; tasks of one loop may share it."""

import asyncio
import os
from collections import deque
from collections.abc import AsyncGenerator, Iterable, Mapping
from datetime import datetime
from itertools import islice
from types import TracebackType
from typing import Any, Self, TypeVar

import aiohttp

from acteon.client import operations, talking
from acteon.client.aiohttp_transport import AiohttpTransport
from acteon.client.bulk import failed_chunk, paired
from acteon.client.calls import Call
from acteon.client.errors import ClientError, ConfigurationError
from acteon.client.models import (
    AuditPage,
    AuditRecord,
    DeadLetter,
    DeadLetterStats,
    EraseResult,
    Health,
    Login,
    Metrics,
    ProviderHealth,
    ProviderInfo,
    ProvidersReloaded,
    Ready,
    ReloadResult,
    ReplayItem,
    ReplayResult,
    RuleInfo,
    RuleState,
)
from acteon.client.operations import AnyAction, action_of
from acteon.client.options import Observer, Options, from_environment
from acteon.client.outcomes import BatchResult, DryRun, Outcome, PreviewResult
from acteon.client.queries import AuditQuery, merged
from acteon.client.retries import RetryPolicy
from acteon.client.talking import CHUNK, PAGE, AuditWalk, Came, Pause, Talk
from acteon.core import Action

T = TypeVar("T")


class AsyncActeonClient:
    """A client of an Acteon server.

    ```python
    async with AsyncActeonClient("http://localhost:8080") as client:
        outcome = await client.dispatch(Action("shop", "acme", "log", "hello", {}))
    ```

    Args:
        base_url: The server's; a path in it is a prefix of all paths.
        timeout: Seconds for a request and its answer.
        api_key: Who asks, by an API key.
        token: Who asks, by a token.
        ca_cert_path: A PEM file with the authorities that are believed, in place of the system's.
        client_cert_path: A PEM file with the certificate that the client shows.
        client_key_path: A PEM file with its key.
        verify_ssl: Whether the server has to show a certificate that is believed.
        headers: What every request carries as well.
        retry: How requests that fail are repeated; None: they are not.
        http_client: Makes the connections, instead of what the certificates say; it is not closed.
        observe: Is told of each request; for metrics and traces.

    Raises:
        ConfigurationError: What is given cannot be used.
    """

    def __init__(
        self,
        base_url: str,
        *,
        timeout: float = 30.0,
        api_key: str | None = None,
        token: str | None = None,
        ca_cert_path: str | os.PathLike[str] | None = None,
        client_cert_path: str | os.PathLike[str] | None = None,
        client_key_path: str | os.PathLike[str] | None = None,
        verify_ssl: bool = True,
        headers: Mapping[str, str] | None = None,
        retry: RetryPolicy | None = None,
        http_client: aiohttp.ClientSession | None = None,
        observe: Observer | None = None,
    ) -> None:
        if http_client is not None and (ca_cert_path or client_cert_path or not verify_ssl):
            raise ConfigurationError("http_client has certificates of its own: leave ours out")
        self._options = Options.of(
            base_url,
            timeout=timeout,
            api_key=api_key,
            token=token,
            ca_cert_path=ca_cert_path,
            client_cert_path=client_cert_path,
            client_key_path=client_key_path,
            verify_ssl=verify_ssl,
            headers=headers,
            retry=retry,
            observe=observe,
        )
        self._transport = AiohttpTransport(self._options, http_client)

    @classmethod
    def from_env(cls, **given: Any) -> Self:
        """Return a client for what `ACTEON_URL`, `ACTEON_API_KEY`, `ACTEON_TOKEN` and
        `ACTEON_TIMEOUT` say, and for what is given, which goes first.

        Raises:
            ConfigurationError: It cannot be used.
        """  # noqa: D205 - the list is too long for one line
        return cls(**from_environment(given))

    @property
    def base_url(self) -> str:
        """Where the server is."""
        return self._options.base_url

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.base_url!r})"

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close all connections; the client can still be used, and makes new ones."""
        await self._transport.close()

    async def aclose(self) -> None:
        """Close all connections, as `close` does."""
        await self.close()

    async def health(self) -> bool:
        """Return whether the server answers that it is alive; never raises."""
        return await self._run(talking.is_healthy(self._options))

    async def health_details(self) -> Health:
        """Return what the server says about itself."""
        return await self._call(operations.health_details())

    async def ready(self) -> Ready:
        """Return whether all is there that dispatches need, and what is not."""
        return await self._call(operations.ready())

    async def metrics(self) -> Metrics:
        """Return what the gateway has counted since its process started."""
        return await self._call(operations.metrics())

    async def prometheus(self) -> str:
        """Return all metrics of the server, in the text format of Prometheus."""
        return await self._call(operations.prometheus())

    async def dispatch(self, action: AnyAction) -> Outcome:
        """Dispatch `action`, and return what became of it.

        Raises:
            ClientError: It reached no outcome, or nobody knows.
        """
        return await self._call(operations.dispatch(action_of(action)))

    async def dispatch_with_backoff(self, action: AnyAction, *, patience: float = 60.0) -> Outcome:
        """Dispatch `action` again while a quota holds it back, for `patience` seconds at most."""
        return await self._run(
            talking.dispatched_with_backoff(action_of(action), self._options, patience)
        )

    async def dispatch_batch(self, actions: Iterable[AnyAction]) -> list[BatchResult]:
        """Dispatch `actions` in one request, and return what became of each, in their order."""
        return await self._call(operations.dispatch_batch([action_of(each) for each in actions]))

    async def dispatch_many(
        self, actions: Iterable[AnyAction], *, chunk_size: int = CHUNK, concurrency: int = 4
    ) -> AsyncGenerator[tuple[Action, BatchResult]]:
        """Dispatch as many actions as there are, and yield each with what became of it, in order.

        Of a request that fails, each action has the error.

        Args:
            actions: They; no more are taken than are under way.
            chunk_size: How many go in one request.
            concurrency: How many requests are under way at one time.
        """
        iterator = iter(actions)
        under_way: deque[tuple[list[Action], asyncio.Task[list[BatchResult]]]] = deque()
        try:
            while True:
                chunk = [action_of(each) for each in islice(iterator, chunk_size)]
                if chunk:
                    task = asyncio.create_task(self._dispatch_chunk(chunk))
                    under_way.append((chunk, task))
                if under_way and (not chunk or len(under_way) == concurrency):
                    sent, results = under_way.popleft()
                    for pair in paired(sent, await results):
                        yield pair
                elif not chunk:
                    return
        finally:
            for _, results in under_way:
                results.cancel()
            await asyncio.gather(*(each for _, each in under_way), return_exceptions=True)

    async def _dispatch_chunk(self, chunk: list[Action]) -> list[BatchResult]:
        try:
            return await self._call(operations.dispatch_batch(chunk))
        except ClientError as error:
            return failed_chunk(chunk, error)

    async def preview(self, action: AnyAction) -> DryRun:
        """Return what would become of `action` if it was dispatched now; nothing is done."""
        return await self._call(operations.preview(action_of(action)))

    async def preview_batch(self, actions: Iterable[AnyAction]) -> list[PreviewResult]:
        """Return what would become of each of `actions` if it was dispatched now."""
        return await self._call(operations.preview_batch([action_of(each) for each in actions]))

    async def list_rules(self) -> list[RuleInfo]:
        """Return the rules in force, in the order in which they are asked."""
        return await self._call(operations.list_rules())

    async def rule_details(self) -> list[dict[str, Any]]:
        """Return all that the server tells about each rule."""
        return await self._call(operations.rule_details())

    async def reload_rules(self, directory: str | None = None) -> ReloadResult:
        """Have the server read its rules again, or those of one of its directories."""
        return await self._call(operations.reload_rules(directory))

    async def set_rule_enabled(self, name: str, enabled: bool) -> RuleState:
        """Switch the rule `name` on or off."""
        return await self._call(operations.set_rule_enabled(name, enabled))

    async def explain(
        self,
        action: AnyAction,
        *,
        now: datetime | None = None,
        state: Mapping[str, str | None] | None = None,
        counters: Mapping[str, int | None] | None = None,
        environment: Mapping[str, str | None] | None = None,
        rules: str | None = None,
    ) -> dict[str, Any]:
        """Return what the rules decide about `action` and why, without doing it.

        Args:
            action: The action.
            now: The instant that conditions see; without it, the present one.
            state: Texts of state entries by id, in place of those in the store; None: not there.
            counters: The same of counters.
            environment: Variables in place of those configured; None: not there.
            rules: A YAML text of rules, in place of those in force.
        """
        return await self._call(
            operations.explain(
                action_of(action),
                now=now,
                state=state,
                counters=counters,
                environment=environment,
                rules=rules,
            )
        )

    async def list_providers(self) -> list[ProviderInfo]:
        """Return the providers, with their limits, circuits and calls."""
        return await self._call(operations.list_providers())

    async def provider_health(self) -> list[ProviderHealth]:
        """Ask all providers how they are."""
        return await self._call(operations.provider_health())

    async def reload_providers(self) -> ProvidersReloaded:
        """Put the providers of the server's configuration in force."""
        return await self._call(operations.reload_providers())

    async def set_circuit(self, name: str, state: str) -> ProviderInfo:
        """Make the circuit of the provider `name` `open` or `closed`."""
        return await self._call(operations.set_circuit(name, state))

    async def query_audit(self, query: AuditQuery | None = None, **filters: Any) -> AuditPage:
        """Return a page of the audit records that fit `query` and `filters`, its members."""
        return await self._call(operations.query_audit(merged(query, filters)))

    async def iter_audit(
        self, query: AuditQuery | None = None, *, page_size: int = PAGE, **filters: Any
    ) -> AsyncGenerator[AuditRecord]:
        """Yield all audit records that fit, the newest first; `limit` is the most of them."""
        walk = AuditWalk.of(merged(query, filters), page_size)
        while walk.query is not None:
            for record in walk.take(await self._call(operations.query_audit(walk.query))):
                yield record

    async def get_audit_record(self, action_id: str) -> AuditRecord | None:
        """Return the newest record of the action `action_id`, or None if there is none.

        Raises:
            AuditDisabledError: The server keeps no audit trail.
        """
        return await self._call(operations.get_audit_record(action_id))

    async def wait_for_audit(
        self,
        action_id: str,
        *,
        timeout: float = 5.0,  # noqa: ASYNC109 - as in the sync client
        interval: float = 0.05,
    ) -> AuditRecord:
        """Return the record of an action, which may be written a moment after its answer.

        Raises:
            ActeonTimeoutError: It does not come within `timeout` seconds.
        """
        return await self._run(
            talking.record_waited_for(action_id, self._options, timeout, interval)
        )

    async def replay(self, action_id: str, *, dry_run: bool = False) -> ReplayItem:
        """Send the action of a record again."""
        return await self._call(operations.replay(action_id, dry_run=dry_run))

    async def replay_audit(
        self, query: AuditQuery | None = None, *, dry_run: bool = False, **filters: Any
    ) -> ReplayResult:
        """Send the actions of all records that fit again: up to a page of them."""
        return await self._call(operations.replay_audit(merged(query, filters), dry_run=dry_run))

    async def erase_audit(
        self,
        query: AuditQuery | None = None,
        *,
        path: str | None = None,
        value: Any = None,
        dry_run: bool = False,
        **filters: Any,
    ) -> EraseResult:
        """Remove the payloads of records for good.

        Args:
            query: Which records.
            path: Only payloads with `value` in a member of that name or dotted path.
            value: What that member is, or has in a list.
            dry_run: Whether to count only.
            filters: Members of the query.
        """
        call = operations.erase_audit(
            merged(query, filters), path=path, value=value, dry_run=dry_run
        )
        return await self._call(call)

    async def dlq_stats(self) -> DeadLetterStats:
        """Return how many dead letters there are."""
        return await self._call(operations.dlq_stats())

    async def dlq_drain(self) -> list[DeadLetter]:
        """Take all dead letters out; nobody else gets them. This is never repeated by itself."""
        return await self._call(operations.dlq_drain())

    async def login(self, username: str, password: str) -> Login:
        """Sign in, and ask as that user from now on."""
        return await self._run(talking.log_in(username, password, self._options))

    async def logout(self) -> None:
        """Make the token good for nothing, and ask as nobody from now on."""
        await self._run(talking.log_out(self._options))

    async def _call(self, call: Call[T]) -> T:
        return await self._run(talking.ask(call, self._options))

    async def _run(self, talk: Talk[T]) -> T:
        came: Came = None
        while True:
            try:
                step = talk.send(came)
            except StopIteration as done:
                return done.value  # type: ignore[no-any-return]
            if isinstance(step, Pause):
                await asyncio.sleep(step.seconds)
                came = None
            else:
                came = await self._transport.send(step)
