"""The commands that make what `auth.toml` holds: `encrypt`, `hash-password` and `hash-key`.

What they are given comes from stdin, never from the command line: others on the machine see that,
and shells keep it. What they do is imported when they are called.
"""

import hashlib
import os
import re
import secrets
import sys
from getpass import getpass
from typing import Final

import click

from acteon.core import ConfigError
from acteon.server.usage import OneLineCommand, run_quietly

_EXITS: Final = "Exit status: 0 if all is well, 1 if {}, 2 for wrong use."
_LINE_ENDS: Final = re.compile(r"(?:\r?\n)+\Z")
_MAX_BYTES: Final = 1024 * 1024


@click.command(
    cls=OneLineCommand,
    epilog=_EXITS.format("the key is missing or malformed, or stdin is no UTF-8 text"),
)
@click.pass_context
def encrypt(context: click.Context) -> None:
    """Encrypt what stdin has, without line ends behind it, into an ENC[…] value.

    ACTEON_AUTH_KEY is the key: 32 bytes in hex digits or base64, as openssl rand -hex 32 makes.
    The value can stand in auth.toml, and for any text in acteon.toml.
    """

    def work() -> int:
        from acteon.server.auth.secretbox import encrypt, master_key

        key = master_key(os.environ, needed="for the encrypt command")
        click.echo(encrypt(_stdin(), key))
        return 0

    context.exit(run_quietly(work, failed=1))


@click.command(
    "hash-password",
    cls=OneLineCommand,
    epilog=_EXITS.format("there is no password, or the two differ"),
)
@click.pass_context
def hash_password(context: click.Context) -> None:
    """Hash a password for password_hash in auth.toml, with argon2id.

    It is asked for twice on a terminal, and read from stdin otherwise, where line ends behind it
    are no part of it.
    """

    def work() -> int:
        from acteon.server.auth.passwords import hash_password

        click.echo(hash_password(_asked("password")))
        return 0

    context.exit(run_quietly(work, failed=1))


@click.command(
    "hash-key",
    cls=OneLineCommand,
    epilog=_EXITS.format("there is no key that could be sent, or the two differ"),
)
@click.option("--new", is_flag=True, help="Make a random key, and print it above its hash.")
@click.pass_context
def hash_key(context: click.Context, *, new: bool) -> None:
    """Print the SHA-256 of an API key, for key_hash in auth.toml.

    The key is read like the password of hash-password. A key of your own should be random, and
    have 32 characters or more: its hash is a fast one.
    """

    def work() -> int:
        key = secrets.token_urlsafe(32) if new else _asked("API key")
        if not _sendable(key):
            raise ConfigError(
                "an API key is sent in a header: it must be of visible ASCII characters, with no "
                "blanks around it"
            )
        if new:
            click.echo(key)
        click.echo(hashlib.sha256(key.encode()).hexdigest())
        return 0

    context.exit(run_quietly(work, failed=1))


def _sendable(key: str) -> bool:
    return key.isascii() and key.isprintable() and key == key.strip()


def _asked(what: str) -> str:
    if sys.stdin is not None and sys.stdin.isatty():
        # What is typed is not shown, and so is asked for twice.
        found = _typed(what)
        if found != _typed(f"{what}, once more"):
            raise ConfigError(f"the two {what}s differ; nothing was hashed")
    else:
        found = _stdin()
    if not found:
        raise ConfigError(f"there is no {what}; type it, or give it on stdin")
    return found


def _typed(label: str) -> str:
    try:
        return getpass(f"{label}: ", sys.stderr)
    except EOFError:
        return ""


def _stdin() -> str:
    """Return what stdin has, without the line ends behind it."""
    if sys.stdin is None:
        raise ConfigError("stdin is closed; give the text on it")
    octets = sys.stdin.buffer.read(_MAX_BYTES + 1)
    if len(octets) > _MAX_BYTES:
        raise ConfigError(f"stdin has more than {_MAX_BYTES} bytes")
    try:
        return _LINE_ENDS.sub("", octets.decode())
    except UnicodeDecodeError:
        raise ConfigError("stdin has no UTF-8 text") from None
