"""A mail server that keeps what it gets."""

import asyncio
import ssl
from collections.abc import Callable, Mapping
from email import message_from_string
from email.message import EmailMessage
from email.policy import SMTPUTF8
from types import TracebackType
from typing import Any, Literal, Self

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session
from attrs import define, field, frozen

LIMIT = 10.0
"""Seconds that waiting for mails may take."""


@frozen(kw_only=True)
class Received:
    """A mail as it came.

    Attributes:
        sender: Of the envelope.
        recipients: Of the envelope, those that were accepted.
        options: What came with the sender, such as `SMTPUTF8`.
        content: Header and body.
        encrypted: Whether it came over TLS.
        user: Who had logged in.
    """

    sender: str
    recipients: tuple[str, ...]
    options: tuple[str, ...]
    content: bytes = field(repr=False)
    encrypted: bool
    user: str | None

    @property
    def message(self) -> EmailMessage:
        """What the content says."""
        # From a text: of bytes, the library takes nothing but ASCII in a header.
        found = message_from_string(
            self.content.decode("utf-8", "surrogateescape"), policy=SMTPUTF8
        )
        assert isinstance(found, EmailMessage)
        return found


@define(eq=False)
class MailServer:
    """Listens on 127.0.0.1, at a free port, while it is entered.

    Attributes:
        context: The server's side of TLS, for STARTTLS unless `implicit`.
        implicit: Whether connections are encrypted from the start.
        users: Who may log in, and with which password; nobody has to if there are none.
        methods: The ways to log in that it offers.
        refused: Recipients, and the replies that refuse them.
        utf8: Whether it offers SMTPUTF8.
        max_bytes: How long a message may be.
        mails: What came, in order.
        connections: How many connections were made.
        most: How many of them were open at one time.
    """

    context: ssl.SSLContext | None = None
    implicit: bool = False
    users: Mapping[str, str] = field(factory=dict[str, str])
    methods: tuple[Literal["PLAIN", "LOGIN"], ...] = ("PLAIN", "LOGIN")
    refused: dict[str, str] = field(factory=dict[str, str])
    utf8: bool = True
    max_bytes: int = 33_554_432
    mails: list[Received] = field(factory=list[Received], init=False)
    connections: int = field(default=0, init=False)
    most: int = field(default=0, init=False)
    _news: asyncio.Event = field(factory=asyncio.Event, init=False)
    _open: "set[_Conversation]" = field(factory=lambda: set[_Conversation](), init=False)
    _listener: asyncio.Server = field(init=False)

    async def __aenter__(self) -> Self:
        self._listener = await asyncio.get_running_loop().create_server(
            self._accept, "127.0.0.1", 0, ssl=self.context if self.implicit else None
        )
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._listener.close()
        self.hang_up()
        await self._until(lambda: not self._open)
        await self._listener.wait_closed()

    @property
    def port(self) -> int:
        """Where it listens."""
        port: int = self._listener.sockets[0].getsockname()[1]
        return port

    def hang_up(self) -> None:
        """Close all connections at once."""
        for conversation in tuple(self._open):
            conversation.hang_up()

    async def wait_for(self, count: int) -> list[Received]:
        """Return the mails once there are `count` of them.

        Raises:
            TimeoutError: That took more than ten seconds.
        """
        await self._until(lambda: len(self.mails) >= count)
        return self.mails

    async def wait_until_all_left(self) -> None:
        """Return once no connection is open.

        Raises:
            TimeoutError: That took more than ten seconds.
        """
        await self._until(lambda: not self._open)

    async def _until(self, holds: Callable[[], bool]) -> None:
        async with asyncio.timeout(LIMIT):
            while not holds():
                self._news.clear()
                await self._news.wait()

    def _accept(self) -> SMTP:
        return _Conversation(self)

    def came(self, conversation: "_Conversation") -> None:
        """Note that a connection was made."""
        if conversation not in self._open:  # STARTTLS makes it once more.
            self.connections += 1
            self._open.add(conversation)
            self.most = max(self.most, len(self._open))

    def went(self, conversation: "_Conversation") -> None:
        """Note that a connection has ended."""
        self._open.discard(conversation)
        self._news.set()

    async def handle_RCPT(  # noqa: N802 - aiosmtpd wants that name
        self,
        _server: SMTP,
        _session: Session,
        envelope: Envelope,
        address: str,
        _options: list[str],
    ) -> str:
        if address in self.refused:
            return self.refused[address]
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(  # noqa: N802 - aiosmtpd wants that name
        self, _server: SMTP, session: Session, envelope: Envelope
    ) -> str:
        content = envelope.original_content or b""
        identity: Any = session.auth_data
        self.mails.append(
            Received(
                sender=envelope.mail_from or "",
                recipients=tuple(address or "" for address in envelope.rcpt_tos),
                options=tuple(envelope.mail_options),
                content=content,
                encrypted=session.ssl is not None or self.implicit,
                user=identity,
            )
        )
        self._news.set()
        return f"250 2.0.0 OK: queued as {len(self.mails)}"

    def authenticate(
        self, _server: SMTP, _session: Session, _envelope: Envelope, _method: str, data: Any
    ) -> AuthResult:
        if isinstance(data, LoginPassword):
            user = data.login.decode()
            if self.users.get(user) == data.password.decode():
                return AuthResult(success=True, auth_data=user)
        return AuthResult(success=False, handled=False)


class _Conversation(SMTP):
    """aiosmtpd's part of one connection."""

    def __init__(self, server: MailServer) -> None:
        super().__init__(
            server,
            hostname="mail.test",
            data_size_limit=server.max_bytes,
            enable_SMTPUTF8=server.utf8,
            tls_context=None if server.implicit else server.context,
            auth_require_tls=False,
            authenticator=server.authenticate if server.users else None,
            auth_exclude_mechanism={"PLAIN", "LOGIN"} - set(server.methods if server.users else ()),
            loop=asyncio.get_running_loop(),
        )
        self._mail_server = server

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._mail_server.came(self)

    def connection_lost(self, error: Exception | None) -> None:
        super().connection_lost(error)
        self._mail_server.went(self)

    def hang_up(self) -> None:
        transport = self.transport
        if isinstance(transport, asyncio.WriteTransport):
            transport.abort()
            self.connection_lost(None)  # In the middle of a TLS handshake nobody would tell.
