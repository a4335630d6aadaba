"""One connection to a mail server: opened, used for a mail after the other, and closed."""

import asyncio
import base64
import re
import ssl
from collections.abc import AsyncGenerator, Iterable, Mapping
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from typing import Final, Self, cast

from aiosmtplib import (
    SMTP,
    SMTPException,
    SMTPHeloError,
    SMTPResponseException,
    SMTPServerDisconnected,
)
from attrs import define, field, frozen

from acteon.email.addresses import Mailbox
from acteon.email.config import EmailConfig, own_name
from acteon.email.message import Message
from acteon.email.replies import CLOSING, START_INPUT, Reader, Reply, failure
from acteon.email.writing import write_content
from acteon.provider import (
    Delivery,
    ExecutionFailedError,
    ProviderConfigurationError,
    ProviderConnectionError,
    ProviderError,
    ProviderTimeoutError,
)

_CHECK: Final = timedelta(seconds=3)
"""How long an idle connection may take to show that it still works; a new one takes no longer."""
_GOODBYE: Final = timedelta(seconds=2)
_OTHER_METHOD: Final = frozenset({500, 501, 502, 503, 504, 534, 538})
"""Refusals of a way to authenticate, not of the credentials: those are not tried twice, as that
may lock an account."""


@frozen(kw_only=True)
class Receipt:
    """What became of a message that the server took.

    Attributes:
        accepted: Whom it goes to.
        rejected: Whom the server refused, and how.
        reply: The server's answer to the message.
    """

    accepted: tuple[str, ...]
    rejected: Mapping[str, Reply]
    reply: Reply


@define
class Attempt:
    """How far the attempt to deliver a message has come.

    Attributes:
        is_complete: Whether the end of the message may have been sent, and no reply has come: the
            server may or may not deliver it.
    """

    is_complete: bool = False

    @property
    def delivery(self) -> Delivery:
        """What is known of the message."""
        return "unknown" if self.is_complete else "none"


@define(eq=False)
class Connection:
    """A connection that is open, encrypted and authenticated as the configuration says.

    It is at rest between two methods; one that was left by an exception may have left it in the
    middle of a command, and then it is only good for `abort`.

    Attributes:
        config: How it was opened.
        client: What speaks the protocol.
    """

    config: EmailConfig
    client: SMTP
    _reader: Reader
    _transport: asyncio.WriteTransport | None = field(default=None, init=False)
    _at_rest: bool = field(default=False, init=False)

    @classmethod
    async def open(cls, config: EmailConfig, context: ssl.SSLContext | None) -> Self:
        """Connect, encrypt and authenticate.

        Args:
            config: Where to, and how.
            context: For TLS; None if there is to be none.

        Raises:
            ProviderError: It did not come about.
        """
        client = SMTP(
            hostname=config.smtp_host,
            port=config.smtp_port,
            use_tls=config.security == "implicit",
            start_tls=False,
            tls_context=context,
            local_hostname=config.local_hostname or "localhost",  # or it would ask the DNS
            timeout=None,  # The limits are ours.
        )
        connection = cls(config, client, Reader(_secrets(config)))
        try:
            async with connection._limited(config.connect_timeout, Attempt()):
                await connection._open(context)
        except BaseException:
            connection.abort()
            raise
        connection._at_rest = True
        return connection

    @property
    def is_reusable(self) -> bool:
        """Whether another mail may go over it, as far as one can tell from here."""
        return self._at_rest and self.client.is_connected

    def rest(self) -> None:
        """Read nothing more until it is used again: what comes unasked is nobody's business."""
        if self._transport is not None:
            cast("asyncio.ReadTransport", self._transport).pause_reading()

    async def is_alive(self) -> bool:
        """Return whether the server still answers, and make it forget the mail before."""
        self._wake()
        try:
            reply = await self._command(b"RSET", limit=_CHECK)
        except ProviderError:
            return False
        return reply.code == 250

    async def check(self) -> None:
        """Ask the server for nothing.

        Raises:
            ProviderError: It does not answer as it should.
        """
        reply = await self._command(b"NOOP")
        if not reply.is_positive:
            raise reply.as_error()

    async def send(self, message: Message, attempt: Attempt) -> Receipt:
        """Hand `message` to the server.

        Args:
            message: What is sent.
            attempt: Is kept up to date.

        Raises:
            ProviderError: The server did not take it, or (`delivery`) nobody knows.
        """
        reply = await self._command(b"MAIL", *self._mail_arguments(message))
        if not reply.is_positive:
            raise reply.as_error()
        accepted: list[str] = []
        rejected: dict[str, Reply] = {}
        for mailbox in message.recipients:
            reply = await self._command(b"RCPT", b"TO:" + _path(mailbox))
            if reply.is_positive:
                accepted.append(mailbox.address)
            elif reply.code == CLOSING or not self.config.allow_partial:
                raise reply.as_error()  # Whoever uses the connection next resets it first.
            else:
                rejected[mailbox.address] = reply
        if not accepted:
            raise _worth_another_try(rejected.values()).as_error()
        reply = await self._data(message.content, attempt)
        return Receipt(accepted=tuple(accepted), rejected=rejected, reply=reply)

    async def quit(self) -> None:
        """Take leave of the server, and close the connection however that ends."""
        try:
            if self.is_reusable:
                self._wake()
                with suppress(ProviderError):
                    await self._command(b"QUIT", limit=_GOODBYE)
        finally:
            self.abort()

    def leave(self) -> None:
        """Take leave of the server without waiting for its answer."""
        protocol = self.client.protocol
        if protocol is not None and self.is_reusable:
            with suppress(SMTPException):
                protocol.write(b"QUIT\r\n")
        self.client.close()

    def abort(self) -> None:
        """Close the connection at once; what was not sent yet is not sent any more."""
        self._note_transport()
        if self._transport is not None:
            self._transport.abort()
        self.client.close()

    def _wake(self) -> None:
        if self._transport is not None:
            cast("asyncio.ReadTransport", self._transport).resume_reading()

    def _note_transport(self) -> None:
        # The library lets go of it as soon as it closes it, with data that may never be taken.
        if self.client.transport is not None:
            self._transport = cast("asyncio.WriteTransport", self.client.transport)

    async def _open(self, context: ssl.SSLContext | None) -> None:
        await self.client.connect()
        self._note_transport()
        if self.config.local_hostname is None:
            address, *_ = self.client.get_transport_info("sockname")
            self.client.local_hostname = own_name(address)
        await self._greet()
        security = self.config.security
        if security == "starttls" and not self.client.supports_extension("starttls"):
            raise ProviderConfigurationError(
                f"{self.config.server} offers no STARTTLS, and tls_mode wants it"
            )
        if security != "implicit" and context and self.client.supports_extension("starttls"):
            await self.client.starttls()
            self._note_transport()
            await self._greet()
        if self.config.username is not None and self.config.secret is not None:
            await self._log_in(self.config.username, self.config.secret)

    async def _greet(self) -> None:
        try:
            await self.client.ehlo()
        except SMTPHeloError as error:
            if error.code // 100 != 5 or not self.client.is_connected:
                raise
            await self.client.helo()  # It knows no extensions then, which is for others to judge.

    async def _log_in(self, username: str, password: str) -> None:
        encrypted = self.client.get_transport_info("ssl_object") is not None
        peer, *_ = self.client.get_transport_info("peername")
        if not self.config.may_log_in(peer, encrypted=encrypted):
            raise ProviderConfigurationError(
                f"credentials would go to {self.config.server} unencrypted: see allow_insecure_auth"
            )
        offered = [each for each in ("plain", "login") if each in self.client.server_auth_methods]
        if not offered:
            raise ProviderConfigurationError(
                f"{self.config.server} offers no authentication by PLAIN or LOGIN"
            )
        for method in offered:
            log_in = self.client.auth_plain if method == "plain" else self.client.auth_login
            try:
                await log_in(username, password)
            except SMTPResponseException as error:
                if error.code not in _OTHER_METHOD or method == offered[-1]:
                    raise
            else:
                return

    def _mail_arguments(self, message: Message) -> Iterable[bytes]:
        size, limit = len(message.content), self._size_limit()
        if limit and size > limit:
            raise ExecutionFailedError(
                f"permanent SMTP error: the message has {size} bytes, and {self.config.server} "
                f"takes {limit} at most"
            )
        yield b"FROM:" + _path(message.sender)
        if self.client.supports_extension("size"):
            yield b"SIZE=%d" % size
        if message.needs_utf8:
            if not self.client.supports_extension("smtputf8"):
                raise ExecutionFailedError(
                    f"permanent SMTP error: {self.config.server} offers no SMTPUTF8, which "
                    "an address needs that is not ASCII before its @"
                )
            yield b"SMTPUTF8"

    def _size_limit(self) -> int:
        told = self.client.esmtp_extensions.get("size", "")
        return int(told) if re.fullmatch(r"[0-9]{1,18}", told) else 0

    async def _data(self, content: bytes, attempt: Attempt) -> Reply:
        reply = await self._command(b"DATA")
        if reply.code != START_INPUT:
            # A yes is the answer to something else: the server is out of step.
            self._at_rest = not reply.is_positive
            raise reply.as_error()
        protocol, transport = self.client.protocol, self._transport
        if protocol is None or transport is None:
            raise failure(SMTPServerDisconnected(""), self.config.server, attempt.delivery)
        self._at_rest = False
        async with self._limited(None, attempt):
            early = await write_content(content, protocol, transport)
            if early is not None:
                raise self._reader.read(*early).as_error()  # It does not want the rest.
            # From here on the server may have the whole message.
            attempt.is_complete = True
            code, text = await self.client.execute_command(b".")
        reply = self._reader.read(code, text)
        if code // 100 not in {2, 4, 5}:
            raise ProviderConnectionError(
                f"SMTP error: unexpected reply to the message: {reply}", delivery="unknown"
            )
        self._at_rest = True
        if not reply.is_positive:
            raise reply.as_error()
        return reply

    async def _command(self, *words: bytes, limit: timedelta | None = None) -> Reply:
        self._at_rest = False
        async with self._limited(limit or self.config.command_timeout, Attempt()):
            code, text = await self.client.execute_command(*words)
        reply = self._reader.read(code, text)
        self._at_rest = code // 100 in {2, 4, 5}
        return reply

    @asynccontextmanager
    async def _limited(self, limit: timedelta | None, attempt: Attempt) -> AsyncGenerator[None]:
        """Give the block so much time, and let none of the library's errors out of it."""
        scope = asyncio.timeout(None if limit is None else limit.total_seconds())
        try:
            async with scope:
                yield
        except SMTPResponseException as error:
            found = self._reader.refusal(error)
            found.delivery = attempt.delivery
            raise found from None
        except (SMTPException, OSError) as error:
            if scope.expired() and limit is not None:
                raise ProviderTimeoutError(limit, delivery=attempt.delivery) from None
            raise failure(error, self.config.server, attempt.delivery) from None


def _path(mailbox: Mailbox) -> bytes:
    return f"<{mailbox.address}>".encode()


def _worth_another_try(replies: Iterable[Reply]) -> Reply:
    """Return the refusal that decides if there are only refusals: a transient one if there is."""
    return min(replies, key=lambda reply: reply.code // 100)


def _secrets(config: EmailConfig) -> tuple[str, ...]:
    """Return all forms in which a server learns the password."""
    if config.username is None or config.secret is None:
        return ()
    plain = f"\0{config.username}\0{config.secret}"
    encoded = (base64.b64encode(text.encode()).decode() for text in (plain, config.secret))
    return (*encoded, config.secret)
