"""redis-py, as the calls see it: what carries them to one server, or to those of a Cluster."""

import asyncio
import builtins
import ssl
from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import hiredis
from attrs import define
from redis.asyncio import Redis, RedisCluster, Sentinel
from redis.asyncio.cluster import ClusterNode
from redis.asyncio.retry import Retry
from redis.asyncio.sentinel import MasterNotFoundError
from redis.backoff import NoBackoff
from redis.exceptions import ReadOnlyError, ResponseError, TimeoutError

from acteon.core import ConfigError
from acteon.state_redis.config import RedisStateConfig
from acteon.state_redis.errors import DRIVER_ERRORS, lost
from acteon.state_redis.urls import Mode

Arguments = tuple[str | bytes | int, ...]
"""A command and its arguments."""


class Client(ABC):
    """Carries calls; connects when it is first used, and again after a failure."""

    @abstractmethod
    async def send(self, calls: Sequence[Arguments]) -> Sequence[Any]:
        """Make `calls` in one trip and return the answers, an error in the place of one.

        Raises:
            DRIVER_ERRORS: The trip failed.
        """

    @abstractmethod
    async def aclose(self) -> None:
        """Close the connections; may raise what `send` does."""

    def server_of(self, key: bytes) -> str:
        """Return which server has `key`; empty if there is one only, or it is not known yet."""
        return ""

    async def look_around(self, failed: str) -> Collection[str]:
        """Find out which servers there are after the server `failed` did, and return them."""
        return ("",)


@define(eq=False)
class OneServer(Client):
    """One server, or the primary that Sentinels name."""

    client: Any
    patience: timedelta
    sentinels: Any = None

    async def send(self, calls: Sequence[Arguments]) -> Sequence[Any]:
        # What a pipeline of redis-py does, in half the time: hiredis packs the arguments.
        pool = self.client.connection_pool
        connection = await self._connection()
        try:
            try:
                # The driver's limit is one for each answer.
                async with asyncio.timeout(self.patience.total_seconds()):
                    await connection.send_packed_command(b"".join(map(_packed, calls)))
                    answers = [await _answer(connection) for _ in calls]
            except builtins.TimeoutError as error:
                await connection.disconnect(nowait=True)
                raise TimeoutError("the answers took too long together") from error
            if any(isinstance(answer, ReadOnlyError) for answer in answers):
                # What was the primary is a replica now; its name may lead to another one.
                await connection.disconnect()
            return answers
        finally:
            # Where an answer failed to come redis-py has closed it, so that what comes late does
            # not go to whoever has it next.
            await pool.release(connection)

    async def _connection(self) -> Any:
        try:
            return await self.client.connection_pool.get_connection()
        except MasterNotFoundError as error:
            why = await self._why_not_found(error)
        raise why  # Out here it keeps its own cause, from which the reason is told.

    async def _why_not_found(self, error: MasterNotFoundError) -> Exception:
        """Return why no Sentinel could be asked, which `error` does not tell; if one was, that."""
        why: Exception = error
        for sentinel in self.sentinels.sentinels:
            try:
                await sentinel.ping()
            except DRIVER_ERRORS as reason:
                if lost(reason):
                    why = reason
            else:
                return error
        return why

    async def aclose(self) -> None:
        await self.client.aclose()
        if self.sentinels is not None:
            await self.sentinels.aclose()


def _packed(arguments: Arguments) -> bytes:
    packer: Any = hiredis  # whose annotations allow one argument
    packed: bytes = packer.pack_command(arguments)
    return packed


async def _answer(connection: Any) -> Any:
    try:
        return await connection.read_response()
    except ResponseError as error:
        return error


@define(eq=False)
class ClusterServers(Client):
    """The servers of a Cluster; redis-py knows its layout and follows redirections."""

    client: Any

    async def send(self, calls: Sequence[Arguments]) -> Sequence[Any]:
        pipeline = self.client.pipeline(transaction=False)
        for arguments in calls:
            pipeline.execute_command(*arguments)
        answers: list[Any] = await pipeline.execute(raise_on_error=False)
        if any(isinstance(answer, Exception) and lost(answer) for answer in answers):
            # Idle connections may be as dead, and would fail one call each.
            for node in self.client.get_nodes():
                await node.disconnect_free_connections()
        return answers

    async def aclose(self) -> None:
        await self.client.aclose()
        # It does nothing where the layout could never be learnt, though connections were made.
        for nodes in ("nodes_cache", "startup_nodes"):
            await self.client.nodes_manager.aclose(nodes)

    def server_of(self, key: bytes) -> str:
        with suppress(*DRIVER_ERRORS):  # The layout is not known yet, or has a hole.
            return str(self.client.get_node_from_key(key).name)
        return ""

    async def look_around(self, failed: str) -> Collection[str]:
        await self.client.nodes_manager.initialize(last_failed_node_name=failed)
        return [node.name for node in self.client.get_primaries()]


def make_client(config: RedisStateConfig) -> Client:
    """Return a client for the servers that `config` names.

    Raises:
        ConfigError: A certificate cannot be read.
    """
    place = config.place
    common: dict[str, Any] = {
        "socket_timeout": config.command_timeout.total_seconds(),
        "socket_connect_timeout": config.connect_timeout.total_seconds(),
        # Whoever calls knows whether a call may be made twice.
        "retry": Retry(NoBackoff(), 0),
        # Nothing but the calls themselves is asked of the server: any version will do, and no
        # right beyond those that the commands need.
        "protocol": 2,
        "driver_info": None,
        **_tls(config),
    }
    ours: dict[str, Any] = {
        **common,
        "username": config.username or place.username,
        "password": config.password or place.password,
    }
    match place.mode:
        case Mode.SINGLE:
            ((host, port),) = place.hosts
            client = Redis(host=host, port=port, db=place.database, **ours)
            return OneServer(client, config.command_timeout)
        case Mode.SOCKET:
            client = Redis(unix_socket_path=place.path, db=place.database, **ours)
            return OneServer(client, config.command_timeout)
        case Mode.SENTINEL:
            theirs: dict[str, Any] = {
                **common,
                "username": config.sentinel_username,
                "password": config.sentinel_password,
            }
            sentinel: Any = Sentinel  # has no annotations
            sentinels = sentinel(place.hosts, sentinel_kwargs=theirs)
            client = sentinels.master_for(place.service, db=place.database, **ours)
            return OneServer(client, config.command_timeout, sentinels)
        case Mode.CLUSTER:
            nodes = [ClusterNode(host, port) for host, port in place.hosts]
            return ClusterServers(RedisCluster(startup_nodes=nodes, **ours))


def _tls(config: RedisStateConfig) -> Mapping[str, Any]:
    if not config.place.tls:
        return {}
    _check_files(config)
    return {
        "ssl": True,
        "ssl_ca_certs": _text(config.tls_ca_file),
        "ssl_certfile": _text(config.tls_cert_file),
        "ssl_keyfile": _text(config.tls_key_file),
        "ssl_cert_reqs": "required" if config.tls_verify else "none",
        "ssl_check_hostname": config.tls_verify,
    }


def _check_files(config: RedisStateConfig) -> None:
    """Read the certificates once: a connection would say less about what is wrong with them."""
    context = ssl.create_default_context()
    try:
        if config.tls_ca_file is not None:
            context.load_verify_locations(config.tls_ca_file)
    except OSError as error:
        raise ConfigError(f"'tls_ca_file' cannot be used: {error.strerror or error}") from error
    try:
        if config.tls_cert_file is not None:
            context.load_cert_chain(config.tls_cert_file, config.tls_key_file)
    except OSError as error:
        raise ConfigError(
            f"'tls_cert_file' and 'tls_key_file' cannot be used: {error.strerror or error}"
        ) from error


def _text(path: Path | None) -> str | None:
    return None if path is None else str(path)
