"""The accounts in force, read again whenever their file changes."""

import logging
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing, asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Final

import anyio.to_thread
from attrs import define, field

from acteon.core import SYSTEM_CLOCK, Clock, ConfigError, Tasks
from acteon.gateway import watch
from acteon.server.auth.accounts import Accounts
from acteon.server.auth.authfile import parse_accounts, read_auth_file
from acteon.server.auth.secretbox import master_key
from acteon.server.config import AuthSection

log = logging.getLogger(__name__)

LOOK: Final = timedelta(seconds=1)
"""How often the file is looked at though no change of it was reported."""


@asynccontextmanager
async def open_accounts(
    section: AuthSection,
    environ: Mapping[str, str],
    *,
    directory: Path = Path(),
    clock: Clock = SYSTEM_CLOCK,
) -> AsyncGenerator["AccountBook"]:
    """Give the accounts in the file that `section` names; while open, they follow that file.

    Args:
        section: Names the file, and says whether it is followed.
        environ: Has the master key.
        directory: What the path of the file is relative to.
        clock: Says which keys have expired, and paces the looks at the file.

    Raises:
        ConfigError: There is no master key, or the file cannot be used; one line for each problem.
    """
    key = master_key(environ, needed="when auth is enabled")
    book = await AccountBook.open(directory / section.config_path, key, clock)
    log.info("accounts read", extra=book.extent)
    async with Tasks() as background:
        if section.watch:
            background.start(book.follow_forever(), endless=True)
        yield book


@define(eq=False)
class AccountBook:
    """Who is known now.

    Attributes:
        path: The file that says so.
        key: Decrypts what is encrypted in it.
        clock: Says which keys have expired, and paces the looks at the file.
        current: What the file says; exchanged as a whole.
        problem: Why what the file says now cannot be used; None: it can, and is.
    """

    path: Path
    key: bytes = field(repr=False)
    clock: Clock
    current: Accounts
    problem: str | None = field(default=None, init=False)
    _tried: str = field(repr=False)

    @classmethod
    async def open(cls, path: Path, key: bytes, clock: Clock = SYSTEM_CLOCK) -> "AccountBook":
        """Return what the file `path` says.

        Raises:
            ConfigError: It cannot be read, or used; one line for each problem.
        """

        def read() -> AccountBook:
            text = read_auth_file(path)
            accounts = parse_accounts(text, key, path=path, clock=clock)
            return cls(path, key, clock, accounts, text)

        return await anyio.to_thread.run_sync(read)

    @property
    def extent(self) -> dict[str, object]:
        """How many there are, for the log."""
        return {
            "acteon.path": str(self.path),
            "acteon.users": len(self.current.users),
            "acteon.api_keys": len(self.current.keys),
        }

    async def follow_forever(self) -> None:
        """Put the file in force whenever it has changed, as long as this runs."""
        async with aclosing(watch(self.path, self.clock, at_least_every=LOOK)) as looks:
            async for _ in looks:
                try:
                    await self.look()
                except Exception:
                    # Whatever it was: a later change must not be missed.
                    log.exception("changed accounts could not be read")

    async def look(self) -> bool:
        """Put the file in force if its content has changed; return whether it had.

        If it cannot be used, the accounts stay as they are, and why is logged once.
        """
        try:
            found = await anyio.to_thread.run_sync(read_auth_file, self.path)
        except ConfigError as error:
            if self._tried == str(error):
                return False
            self._tried = str(error)
            self._keep(error)
            return True
        if found == self._tried:
            return False
        self._tried = found
        try:
            self.current = await anyio.to_thread.run_sync(self._parse, found)
        except ConfigError as error:
            self._keep(error)
        else:
            self.problem = None
            log.info("accounts read again", extra=self.extent)
        return True

    def _parse(self, text: str) -> Accounts:
        return parse_accounts(text, self.key, path=self.path, clock=self.clock)

    def _keep(self, error: ConfigError) -> None:
        self.problem = str(error)
        for line in self.problem.splitlines():
            log.error(
                "the file of users and keys cannot be used; the accounts stay as they were",
                extra={"acteon.error": line},
            )
