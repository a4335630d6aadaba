"""Handing mails to a mail server."""

import asyncio
import logging
import ssl
from collections.abc import Iterable, Mapping
from contextlib import AbstractAsyncContextManager
from types import TracebackType
from typing import Any, Final, Self, cast

from attrs import define, field

from acteon.core import (
    SYSTEM_CLOCK,
    Action,
    Clock,
    ConfigError,
    ProviderResponse,
    ResponseStatus,
)
from acteon.email.addresses import parse_mailbox
from acteon.email.config import EmailConfig, allowed_sender
from acteon.email.connection import Attempt, Connection, Receipt
from acteon.email.message import Composer, Message
from acteon.email.pool import ConnectionPool
from acteon.provider import (
    Provider,
    ProviderConnectionError,
    ProviderError,
    ProviderPlugin,
    ProviderTimeoutError,
)

log = logging.getLogger(__name__)

_LARGE: Final = 262_144
"""Payloads of more characters are put together in a thread, not to hold up everybody else."""


@define(eq=False)
class EmailProvider:
    """Sends each action as one mail through one mail server; enter it before use.

    Everything that can be wrong with a payload is found before there is a connection. No mail is
    ever sent twice by this: what failed before the end of the message was written was certainly
    not delivered, and what the server accepted is a success whatever comes after. In between,
    nobody knows (`delivery="unknown"`), and since mail is not idempotent such an attempt is the
    last one. All attempts of an action have one `Message-ID`.

    Attributes:
        config: Where to, and how.
        clock: Dates mails.
    """

    config: EmailConfig
    clock: Clock = field(default=SYSTEM_CLOCK, kw_only=True)
    _composer: Composer = field(init=False, repr=False)
    _context: ssl.SSLContext | None = field(default=None, init=False, repr=False)
    _pool: ConnectionPool = field(init=False, repr=False)

    def __attrs_post_init__(self) -> None:
        self._composer = Composer(
            sender=parse_mailbox(self.config.from_address),
            allowed_senders=frozenset(map(allowed_sender, self.config.allowed_senders)),
            max_recipients=self.config.max_recipients,
            max_bytes=self.config.max_message_bytes,
        )

    @property
    def idempotent(self) -> bool:
        """Whether a mail may be sent again when nobody knows: no, it would arrive twice."""
        return False

    async def __aenter__(self) -> Self:
        if self.config.security != "none":
            self._context = await asyncio.to_thread(_tls_context, self.config)
        self._pool = ConnectionPool(self._open, self.config.max_connections, self.config.idle_time)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._pool.close()

    async def execute(self, action: Action) -> ProviderResponse:
        attempt = Attempt()
        scope = asyncio.timeout(self.config.timeout_seconds)
        try:
            async with scope:
                message = await self._composed(action)
                async with self._pool.connection() as connection:
                    receipt = await connection.send(message, attempt)
        except TimeoutError:
            if not scope.expired():
                raise
            raise ProviderTimeoutError(self.config.timeout, delivery=attempt.delivery) from None
        log.debug(
            "a mail was taken",
            extra={
                "acteon.message_id": message.message_id,
                "acteon.accepted": list(receipt.accepted),
                "acteon.rejected": list(receipt.rejected),
            },
        )
        return _response(message, receipt)

    async def health_check(self) -> None:
        """Return if the server takes a new connection with all that belongs to it, and a NOOP."""
        scope = asyncio.timeout(self.config.timeout_seconds)
        try:
            async with scope:
                connection = await self._open()
                try:
                    await connection.check()
                    await connection.quit()
                finally:
                    connection.abort()
        except ProviderError as error:
            text = str(error).removeprefix(_plain_prefix(error))
            raise ProviderConnectionError(f"SMTP health check failed: {text}") from None
        except TimeoutError:
            if not scope.expired():
                raise
            raise ProviderTimeoutError(self.config.timeout, delivery="none") from None

    async def _open(self) -> Connection:
        return await Connection.open(self.config, self._context)

    async def _composed(self, action: Action) -> Message:
        now = self.clock.now()
        if _length(action.payload) < _LARGE:
            return self._composer.compose(action, now)
        return await asyncio.to_thread(self._composer.compose, action, now)


def _length(value: Any) -> int:
    """Return how many characters the texts in `value` have."""
    if isinstance(value, str):
        return len(value)
    if isinstance(value, Mapping):
        return sum(map(_length, cast("Mapping[str, Any]", value).values()))
    if isinstance(value, list):
        return sum(map(_length, cast("Iterable[Any]", value)))
    return 0


def _plain_prefix(error: ProviderError) -> str:
    return "" if isinstance(error, ProviderTimeoutError) else error.prefix


def _response(message: Message, receipt: Receipt) -> ProviderResponse:
    rejected = {address: str(reply) for address, reply in receipt.rejected.items()}
    return ProviderResponse(
        ResponseStatus.PARTIAL if rejected else ResponseStatus.SUCCESS,
        {
            "to": message.to,
            "subject": message.subject,
            "status": "partial" if rejected else "sent",
            "message_id": message.message_id,
            "accepted": list(receipt.accepted),
            "rejected": rejected,
            "smtp_response": str(receipt.reply),
        },
    )


def _tls_context(config: EmailConfig) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=config.ca_cert_path)
        if config.client_cert_path is not None:
            context.load_cert_chain(config.client_cert_path, config.client_key_path, _no_password)
    except (OSError, ValueError) as error:
        raise ConfigError(f"SMTP TLS relay error: {error}") from None
    if not config.verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def _no_password() -> str:
    """Stand for the password of a key: without it, the library would ask the terminal."""
    raise ValueError("the key is encrypted")


class EmailPlugin(ProviderPlugin):
    """Opens connections to mail servers."""

    Config = EmailConfig
    kit = "1"

    @classmethod
    def open(cls, name: str, config: EmailConfig) -> AbstractAsyncContextManager[Provider]:
        return EmailProvider(config)
