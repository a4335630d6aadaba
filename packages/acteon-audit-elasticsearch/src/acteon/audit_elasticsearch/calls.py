"""Requests to the cluster, each within its time."""

import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from io import BytesIO
from ssl import SSLError
from time import monotonic
from types import TracebackType
from typing import Any, Final, Self, cast

import msgspec
from attrs import define, field, frozen
from elastic_transport import AiohttpHttpNode
from elasticsearch import AsyncElasticsearch, JsonSerializer

from acteon.audit import AuditSerializationError, AuditStorageError
from acteon.audit_elasticsearch.config import ElasticsearchAuditConfig
from acteon.audit_elasticsearch.errors import (
    CALL_ERRORS,
    MissingIndexError,
    TooLargeError,
    is_outage,
    line,
    translated,
)
from acteon.core import ConfigError, Outage

log = logging.getLogger(__name__)

MAX_BULK: Final = 10 * 1024 * 1024
"""At most so many bytes go in one request, unless a single record has more."""

_BULK_MEMBERS: Final = ("items.*.status", "items.*.result", "items.*.error.type")
_RETRIES: Final = 2
"""For a connection that the server had closed, and for one node that is away."""

_LARGE: Final = 1024 * 1024
"""From so many bytes on aiohttp warns of a body that is sent in one go."""

Request = Callable[[AsyncElasticsearch], Awaitable[Any]]


class _Serializer(JsonSerializer):
    """JSON by the library that the rest of us uses, several times as fast."""

    def json_dumps(self, data: Any) -> bytes:
        return msgspec.json.encode(data)

    def json_loads(self, data: bytes) -> Any:
        return msgspec.json.decode(data)


class _Node(AiohttpHttpNode):
    """Sends large bodies a piece at a time, so that others get their turn."""

    async def perform_request(  # type: ignore[override]  # the base of its base is synchronous
        self, method: str, target: str, body: bytes | None = None, *rest: Any, **more: Any
    ) -> Any:
        if body is not None and len(body) > _LARGE:
            body = cast("bytes", BytesIO(body))  # which aiohttp takes as well
        return await super().perform_request(method, target, body, *rest, **more)

    def _log_request(self, *_: Any, **__: Any) -> None:
        """Do not put records into logs, nor take the time to make texts of them."""


@frozen
class Item:
    """What became of one operation of a bulk.

    Attributes:
        status: As HTTP has it.
        result: `created`, `updated`, `deleted`, `noop` or `not_found`; empty if it failed.
        error: The type of the error; empty if there was none.
    """

    status: int
    result: str
    error: str


@define(eq=False)
class Calls:
    """A client of the cluster: entering it makes it, leaving it closes its connections."""

    config: ElasticsearchAuditConfig
    where: str = field(init=False)
    _outage: Outage = field(init=False)
    _client: AsyncElasticsearch | None = field(default=None, init=False)

    def __attrs_post_init__(self) -> None:
        self.where = self.config.address.where
        self._outage = Outage(log, "audit store", self.where)

    async def __aenter__(self) -> Self:
        # What they tell of every request, and of each that fails, we tell once.
        quiet = logging.getLogger("elastic_transport")
        if quiet.level == logging.NOTSET:
            quiet.setLevel(logging.CRITICAL)
        try:
            self._client = _client(self.config)
        except SSLError:
            raise ConfigError(
                f"elasticsearch: 'tls_ca_file' names {self.config.tls_ca_file}, which has no "
                "certificates"
            ) from None
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._client is not None:
            await self._client.close()

    async def run(self, request: Request, *, writing: bool = False) -> Any:
        """Return the body of the answer to what `request` asks of the client.

        Raises:
            TooLargeError: The answer would be too large; less may be asked for.
            AuditStorageError: There is no answer, or it refuses.
            AuditSerializationError: The server cannot take what was sent, if `writing`.
        """
        assert self._client is not None, "it is not entered"
        begun = monotonic()
        try:
            answer = await request(self._client)
        except CALL_ERRORS as error:
            ours = translated(error, self.where, writing=writing)
            if is_outage(error) and not isinstance(ours, TooLargeError):
                self._outage.failed(ours, begun)
            else:
                self._outage.answered(begun)
            raise ours from None
        self._outage.answered(begun)
        return answer.body

    async def bulk(
        self, lines: Sequence[bytes], index: str, *, refresh: bool = False
    ) -> list[Item]:
        """Return what became of the operations that `lines` are, in their order.

        Nothing is written to an index that is no longer there, which would make another one.
        """
        limit = self.config.command_timeout_seconds
        body = await self.run(
            lambda client: client.bulk(
                # Bytes go as they are, which the annotation does not know.
                operations=cast("Any", lines),
                index=index,
                refresh=refresh,
                require_alias=True,
                # Before we give up: it tells which are not done, for want of a shard, say.
                timeout=f"{limit * 900:.0f}ms",
                filter_path=_BULK_MEMBERS,
            ),
            writing=True,
        )
        try:
            # Each is an object of one member, which is called as the operation is.
            return [_item(*each.values()) for each in body["items"]]
        except (KeyError, TypeError, AttributeError) as error:
            raise AuditStorageError(
                f"elasticsearch at {self.where}: its answer is not to be understood"
            ) from error

    def check(self, items: Sequence[Item], *, fine: Mapping[int, str] = {}) -> None:
        """Raise an error if one of `items` has failed.

        Args:
            items: What became of the operations of a bulk.
            fine: Errors that are none: by status, the type.
        """
        failed = [one for one in items if one.error and fine.get(one.status) != one.error]
        if not failed:
            return
        # What may pass is told first: then all of them are tried again.
        failed.sort(key=lambda one: one.status == 400)
        first = failed[0]
        text = line(
            f"elasticsearch at {self.where}: {len(failed)} of {len(items)} not done, "
            f"{first.error} ({first.status})"
        )
        if first.error == "index_not_found_exception":
            raise MissingIndexError(text)
        raise (AuditSerializationError if first.status == 400 else AuditStorageError)(text)


def _item(body: Mapping[str, Any]) -> Item:
    error = body.get("error", {}).get("type", "")
    return Item(body["status"], body.get("result", ""), error)


def _client(config: ElasticsearchAuditConfig) -> AsyncElasticsearch:
    address = config.address
    more: dict[str, Any] = {}
    if address.secure:
        more = {"verify_certs": config.tls_verify, "ssl_show_warn": False}
        if config.tls_ca_file is not None:
            if not config.tls_ca_file.is_file():
                raise ConfigError(
                    f"elasticsearch: 'tls_ca_file' names {config.tls_ca_file}, which is no file"
                )
            more["ca_certs"] = str(config.tls_ca_file)
    if config.user is not None:
        more["basic_auth"] = config.user
    if config.api_key is not None:
        more["api_key"] = config.api_key
    return AsyncElasticsearch(
        list(address.nodes),
        node_class=_Node,
        request_timeout=config.command_timeout_seconds,
        connections_per_node=config.pool_size,
        max_retries=_RETRIES,
        retry_on_status=(),
        retry_on_timeout=False,
        serializer=_Serializer(),
        meta_header=False,
        **more,
    )
