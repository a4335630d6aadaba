"""The certificate that the server shows, and its exchange while the server runs."""

import logging
import ssl
from collections.abc import AsyncGenerator
from contextlib import aclosing, asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Final

import anyio.to_thread
from attrs import define, field

from acteon.core import SYSTEM_CLOCK, Clock, ConfigError, Tasks, UnreadableFileError, read_file
from acteon.gateway import watch
from acteon.server.config import TlsSection

log = logging.getLogger(__name__)

LOOK: Final = timedelta(seconds=1)
"""So often the files are looked at that nobody reports a change of."""
_LARGEST: Final = 1024 * 1024
_PROTOCOLS: Final = ("http/1.1",)


@asynccontextmanager
async def certified(
    section: TlsSection, *, directory: Path = Path(), clock: Clock = SYSTEM_CLOCK
) -> AsyncGenerator[ssl.SSLContext | None]:
    """Give the context of encrypted connections that `section` asks for; None: it asks for none.

    While it is open the certificate is exchanged whenever the files change, for connections that
    begin then. A pair that cannot be used changes nothing.

    Args:
        section: Names the files.
        directory: What their paths are relative to.
        clock: Paces the looks at the files.

    Raises:
        ConfigError: They cannot be used.
    """
    if section.certificate is None or section.key is None:
        yield None
        return
    shown = Certificate(
        directory / section.certificate, directory / section.key, section.key_password, clock
    )
    await anyio.to_thread.run_sync(shown.load)
    async with Tasks() as background:
        background.start(shown.follow_forever(), endless=True)
        yield shown.context


@define(eq=False)
class Certificate:
    """A certificate with its key, as two files of PEM have them.

    Attributes:
        chain: The file of the certificate, and those that it was signed by.
        key: The file of its private key.
        password: Of the key, if it is encrypted.
        clock: Paces the looks at the files.
        context: What connections are made with; the same one for ever.
    """

    chain: Path
    key: Path
    password: str | None = field(repr=False)
    clock: Clock = SYSTEM_CLOCK
    context: ssl.SSLContext = field(init=False, repr=False)
    _tried: tuple[bytes, bytes] | str = field(default="", init=False, repr=False)

    def __attrs_post_init__(self) -> None:
        self.context = _context()

    def load(self) -> None:
        """Take up what the files hold now.

        Raises:
            ConfigError: They cannot be used; what was shown before still is.
        """
        self._tried = self._content()
        # A failure in the middle would leave the certificate of one pair with the key of another.
        self._load_into(_context())
        self._load_into(self.context)

    async def follow_forever(self) -> None:
        """Take up whatever the files hold, as long as this runs."""
        async with aclosing(watch(self.chain, self.clock, at_least_every=LOOK)) as looks:
            async for _ in looks:
                await anyio.to_thread.run_sync(self.look)

    def look(self) -> None:
        """Take up the files if they have changed; if they cannot be used, log that once."""
        before = self._tried
        try:
            if self._content() == before:
                return
            self.load()
        except ConfigError as error:
            if not isinstance(self._tried, tuple) or self._tried == before:
                self._tried = str(error)  # They could not even be read.
            if self._tried != before:
                log.error(
                    "the changed certificate cannot be used; the one before is shown on",
                    extra={"acteon.error": str(error)},
                )
        else:
            log.info("the certificate was read again", extra={"acteon.path": str(self.chain)})

    def _content(self) -> tuple[bytes, bytes]:
        return self._read("certificate", self.chain), self._read("key", self.key)

    def _read(self, name: str, path: Path) -> bytes:
        try:
            return read_file(path, max_bytes=_LARGEST)
        except UnreadableFileError as error:
            raise ConfigError(f"[server.tls] {name}: {path}: {error}") from None

    def _load_into(self, context: ssl.SSLContext) -> None:
        try:
            # With a password OpenSSL does not ask for one at the terminal.
            context.load_cert_chain(self.chain, self.key, self.password or "")
        except ssl.SSLError as error:
            raise ConfigError(f"[server.tls]: {self._why(error)}") from None
        except OSError as error:
            raise ConfigError(f"[server.tls]: {error.filename}: {error.strerror}") from None

    def _why(self, error: ssl.SSLError) -> str:
        if error.reason != "KEY_VALUES_MISMATCH" and b"ENCRYPTED" in self._read("key", self.key):
            wrong = "is another one" if self.password else "is missing"
            return f"the key in {self.key} is encrypted, and 'key_password' {wrong}"
        match str(error.reason):  # It may be None.
            case "KEY_VALUES_MISMATCH":
                return f"the key in {self.key} is not that of the certificate in {self.chain}"
            case "None" | "NO_START_LINE":
                return f"{self.chain} or {self.key} is no PEM file: -----BEGIN is missing"
            case reason:
                said = reason.lower().replace("_", " ")
                return f"{self.chain} and {self.key} cannot be used: {said}"


def _context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(_PROTOCOLS)
    return context
