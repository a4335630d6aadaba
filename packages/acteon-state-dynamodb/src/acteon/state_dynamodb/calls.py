"""Calls of DynamoDB: in threads, bounded in time, made again where that is safe."""

import asyncio
import logging
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from functools import partial
from random import uniform
from types import TracebackType
from typing import Any, Final, Self

from attrs import define, field
from boto3.session import Session
from botocore.client import BaseClient
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from botocore.session import get_session

from acteon.core import ConfigError, Outage
from acteon.state import StateConnectionError
from acteon.state_dynamodb.config import DynamoDBStateConfig
from acteon.state_dynamodb.errors import (
    is_crowded,
    is_lost,
    is_outage,
    is_unsent,
    line,
)

log = logging.getLogger(__name__)

PAUSES: Final = tuple(
    timedelta(milliseconds=pause) for pause in (25, 50, 100, 200, 400, 400, 400, 400, 400, 400)
)
"""Before a call is made again; each is cut short at random, so that those who met once part."""
FEW: Final = 4
"""How many of these there are when DynamoDB is not crowded, but away or failing."""
_NOBODY: Final = "acteon"
"""The access key, and the secret, where none are found: DynamoDB Local asks for some."""
_METADATA: Final = ("container-role", "iam-role")
"""Providers of credentials that ask services which only machines in the cloud have."""


@define(eq=False)
class Calls:
    """The client of one table, and the threads that wait for its answers. Enter it before use."""

    config: DynamoDBStateConfig
    _client: BaseClient | None = field(default=None, init=False, repr=False)
    _threads: ThreadPoolExecutor | None = field(default=None, init=False, repr=False)
    _outage: Outage = field(init=False, repr=False)

    def __attrs_post_init__(self) -> None:
        self._outage = Outage(log, "state store", self.config.where)

    async def __aenter__(self) -> Self:
        try:
            # Reads the description of the service, and the files of the credentials.
            self._client = await asyncio.to_thread(_client, self.config)
        except BotoCoreError as error:
            raise ConfigError(f"{self.config.where}: {error}") from error
        self._threads = ThreadPoolExecutor(self.config.pool_size, "acteon-dynamodb")
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        client, threads = self._client, self._threads
        self._client = self._threads = None
        if client is not None and threads is not None:
            # Calls under way end by their own time limits.
            threads.shutdown(wait=False)
            client.close()

    async def call(
        self, operation: str, request: Mapping[str, Any], *, repeatable: bool
    ) -> Mapping[str, Any]:
        """Return DynamoDB's answer to `operation`.

        Args:
            operation: The client's method.
            request: Its parameters.
            repeatable: Whether the call may be made again though it may have been carried out.

        Raises:
            ClientError: DynamoDB refused the call.
            BotoCoreError: DynamoDB was not reached.
            TimeoutError: Likewise.
        """
        begun = time.monotonic()
        try:
            # The driver's own limits end what is under way. This one is for those that wait for a
            # thread, or are made again and again.
            async with asyncio.timeout(self.config.patience.total_seconds()):
                return await self._patiently(operation, request, repeatable=repeatable)
        except TimeoutError as error:
            self._outage.failed(line(error), begun)
            raise

    async def _patiently(
        self, operation: str, request: Mapping[str, Any], *, repeatable: bool
    ) -> Mapping[str, Any]:
        for number, pause in enumerate(PAUSES):
            try:
                return await self._once(operation, request)
            except (ClientError, BotoCoreError) as error:
                harmless = is_unsent(error) or (repeatable and is_lost(error))
                if not (is_crowded(error) or (harmless and number < FEW)):
                    raise
            await asyncio.sleep(uniform(0.25, 1.0) * pause.total_seconds())
        return await self._once(operation, request)

    async def _once(self, operation: str, request: Mapping[str, Any]) -> Mapping[str, Any]:
        if self._threads is None:
            raise StateConnectionError("the connection to DynamoDB has been closed")
        call = partial(getattr(self._client, operation), **request)
        begun = time.monotonic()
        loop = asyncio.get_running_loop()
        try:
            answer: Mapping[str, Any] = await loop.run_in_executor(self._threads, call)
            _check(answer, self.config.where)
        except (ClientError, BotoCoreError) as error:
            if is_outage(error):
                self._outage.failed(line(error), begun)
            elif isinstance(error, ClientError):
                self._outage.answered(begun)
            raise
        except Exception as error:
            # Whatever the driver stumbles over in what is no answer of DynamoDB's.
            failure = (
                error if isinstance(error, StateConnectionError) else _stranger(self.config.where)
            )
            self._outage.failed(failure, begun)
            raise failure from error
        self._outage.answered(begun)
        return answer


def _check(answer: Mapping[str, Any], where: str) -> None:
    """Raise if something else than DynamoDB has given `answer`, such as a proxy's page."""
    headers: Mapping[str, str] = answer["ResponseMetadata"]["HTTPHeaders"]
    if not headers.keys() & {"x-amzn-requestid", "x-amz-crc32"}:
        raise _stranger(where)


def _stranger(where: str) -> StateConnectionError:
    return StateConnectionError(f"{where}: what answers there is not DynamoDB; correct the url")


def _client(config: DynamoDBStateConfig) -> BaseClient:
    """Return a client for `config`; it may be shared by threads, a session may not."""
    source = get_session()
    nobody = None
    if config.url is not None:
        if config.url.startswith("http:"):
            # No service of the cloud is reached without encryption, so none is asked for a role.
            for name in _METADATA:
                source.get_component("credential_provider").remove(name)
        if source.get_credentials() is None:
            nobody = _NOBODY
    client: BaseClient = Session(botocore_session=source).client(
        "dynamodb",
        region_name=config.region,
        endpoint_url=config.url,
        aws_access_key_id=nobody,
        aws_secret_access_key=nobody,
        config=Config(
            connect_timeout=config.connect_timeout_seconds,
            read_timeout=config.command_timeout_seconds,
            max_pool_connections=config.pool_size,
            parameter_validation=False,
            retries={"total_max_attempts": 1},
            tcp_keepalive=True,
            user_agent="acteon-state-dynamodb",  # the usual one takes a tenth of a call
        ),
    )
    return client
