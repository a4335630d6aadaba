"""Values that stand elsewhere, or for something else.

`${NAME}` stands for a variable of the environment, `${file:PATH}` for the content of a file, and
`ENC[AES256-GCM,…]` for what was encrypted.
"""

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from attrs import frozen

from acteon.core import ConfigError, UnreadableFileError, read_file
from acteon.server.auth.secretbox import SecretBoxError, decrypt, is_encrypted, master_key

MAX_FILE_BYTES: Final = 1024 * 1024
HIDDEN: Final = "[hidden]"
HOW: Final = "a reference is written ${NAME} or ${file:PATH}"

_UNLIKELY: Final = 4
"""Texts of that length are not met by chance."""

_REFERENCE = re.compile(r"\$\{(.*)\}", re.DOTALL)
_INSIDE = re.compile(r"\$\{(?:file:[^}]*|[A-Za-z_][A-Za-z0-9_]*)\}|ENC\[AES256-GCM,")
_FOREIGN = re.compile(r"\$([A-Za-z_]\w*)|\{([A-Za-z_]\w*)\}|\$\(([A-Za-z_]\w*)\)", re.ASCII)
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_SECRET_NAME = re.compile(
    r"passw(?:or)?d|passphrase|secret|token|credential|authorization|headers|dsn"
    r"|(?:^|_)(?:key|url)$|api_?key",
    re.IGNORECASE,
)


class TextValue(str):
    """A text that is typed by what it is for: `"8080"` serves as a number where one is wanted."""

    __slots__ = ()


class Referenced(TextValue):
    """What a reference stands for; never shown."""

    __slots__ = ()

    def __repr__(self) -> str:
        return HIDDEN


class UnresolvedError(Exception):
    """A reference stands for nothing; the text says why and never shows a value."""


@frozen(repr=False)
class Secrets:
    """The values that no text may show."""

    _values: frozenset[str] = frozenset()

    @classmethod
    def of(cls, values: Iterable[str]) -> "Secrets":
        """Return the secrets in `values`: they, and the passwords of those that are URLs."""
        found: set[str] = set()
        for value in values:
            found.add(str(value))
            password = url_password(value)
            # Hiding a word that the URL's open parts hold as well would hide those.
            if password and password not in url_open_parts(value):
                found.add(password)
        # Messages quote names, and with them what these hold.
        quoted = {repr(value)[1:-1] for value in found}
        return cls(frozenset((found | quoted) - {""}))

    def hide(self, text: str) -> str:
        """Return `text` with every secret in it replaced by `[hidden]`."""
        for value in sorted(self._values, key=len, reverse=True):
            if len(value) >= _UNLIKELY:
                text = text.replace(value, HIDDEN)
            else:
                # It stands in many a word; only where it stands alone it is the secret.
                text = re.sub(rf"(?<!\w){re.escape(value)}(?!\w)", HIDDEN, text)
        return text

    def __repr__(self) -> str:
        return f"Secrets({len(self._values)} {HIDDEN})"


def named_like_a_secret(name: str) -> bool:
    """Return whether a key of that name tends to hold a secret, or a URL with a password."""
    return _SECRET_NAME.search(name) is not None


def url_password(text: str) -> str | None:
    """Return the password in `text`, if it is a URL that has one."""
    try:
        return urlsplit(text).password
    except ValueError:
        return None


def url_open_parts(text: str) -> frozenset[str]:
    """Return the user, the host, and the steps of the path in `text`, which is a URL."""
    parts = urlsplit(text)
    return frozenset({parts.username or "", parts.hostname or "", *parts.path.split("/")})


def url_has_more(text: str) -> bool:
    """Return whether `text` is more than scheme, host and port: an address alone may be told."""
    try:
        parts = urlsplit(text)
    except ValueError:
        return True
    return "@" in parts.netloc or parts.path.strip("/") != "" or parts.query != ""


def has_reference_inside(text: str) -> bool:
    """Return whether `text` holds, beside other things, what looks like a reference."""
    is_one = _REFERENCE.fullmatch(text) is not None or is_encrypted(text)
    return not is_one and _INSIDE.search(text) is not None


def looks_like_a_reference(text: str, environ: Mapping[str, str]) -> bool:
    """Return whether `text` is what other programs take for a reference: `$NAME`, `{NAME}`."""
    match = _FOREIGN.fullmatch(text)
    name = "" if match is None else match[1] or match[2] or match[3]
    return bool(name) and (name in environ or name.isupper())


def resolve(value: str, environ: Mapping[str, str], directory: Path) -> str:
    """Return what `value` stands for if the whole of it is a reference, else `value`.

    What a reference stands for may be encrypted.

    Args:
        value: A text of the configuration.
        environ: What `${NAME}` looks into; it has the master key, too.
        directory: What the path of `${file:PATH}` is relative to.

    Raises:
        UnresolvedError: It stands for nothing.
    """
    found = _referenced(value, environ, directory)
    return _decrypted(found, environ) if is_encrypted(found) else found


def _decrypted(value: str, environ: Mapping[str, str]) -> Referenced:
    try:
        text = decrypt(value, master_key(environ, needed="to read ENC[…] values"))
    except (ConfigError, SecretBoxError) as error:
        raise UnresolvedError(str(error)) from None
    if not text:
        raise UnresolvedError("what was encrypted is an empty text")
    return Referenced(text)


def _referenced(value: str, environ: Mapping[str, str], directory: Path) -> str:
    match = _REFERENCE.fullmatch(value)
    if match is None:
        if value.startswith("${") and "}" not in value:
            raise UnresolvedError(f"a reference is not closed with }}; {HOW}")
        return value
    inside = match[1]
    if inside.startswith("file:"):
        return _from_file(inside.removeprefix("file:"), directory)
    if not _NAME.fullmatch(inside):
        raise UnresolvedError(HOW)
    if inside not in environ:
        raise UnresolvedError(f"the environment variable {inside} is not set; {_export(inside)}")
    if not environ[inside]:
        raise UnresolvedError(f"the environment variable {inside} is empty; {_export(inside)}")
    return Referenced(environ[inside])


def file_behind(value: str, directory: Path) -> Path | None:
    """Return the file whose content `value` stands for, if it is such a reference."""
    match = _REFERENCE.fullmatch(value)
    if match is None or not match[1].startswith("file:"):
        return None
    return directory / match[1].removeprefix("file:")


def _export(name: str) -> str:
    return f"set it where the server starts: export {name}=…"


def _from_file(name: str, directory: Path) -> Referenced:
    path = directory / name
    if not name:
        raise UnresolvedError(HOW)
    try:
        text = read_file(path, max_bytes=MAX_FILE_BYTES).decode("utf-8-sig")
    except UnreadableFileError as error:
        raise UnresolvedError(f"the file {path} {_said(str(error))}") from None
    except UnicodeDecodeError:
        raise UnresolvedError(f"the file {path} is no UTF-8 text; save it as UTF-8") from None
    # Editors and `echo` end a file with a line end that is no part of the secret.
    text = text.removesuffix("\n").removesuffix("\r")
    if not text:
        raise UnresolvedError(f"the file {path} is empty")
    return Referenced(text)


def _said(text: str) -> str:
    return "is not there" if text == "there is no such file" else text
