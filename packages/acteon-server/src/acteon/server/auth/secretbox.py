"""Values that only holders of the master key can read: `ENC[AES256-GCM,data:…,iv:…,tag:…]`.

Each part is in base64; the initialisation vector has 12 bytes, the tag 16, and nothing else is
authenticated (NIST SP 800-38D).
"""

import base64
import binascii
import os
import re
from collections.abc import Mapping
from typing import Final

from acteon.core import ConfigError

KEY_VARIABLE: Final = "ACTEON_AUTH_KEY"

_BEGINNING: Final = "ENC[AES256-GCM,"
_HEX_KEY: Final = re.compile(r"[0-9A-Fa-f]{64}")
_KEY_BYTES: Final = 32
_IV_BYTES: Final = 12
_TAG_BYTES: Final = 16
_NEW_KEY: Final = "openssl rand -hex 32 makes one"


class SecretBoxError(Exception):
    """An encrypted value cannot be read; the text says why, and shows nothing of it."""


def master_key(environ: Mapping[str, str], *, needed: str) -> bytes:
    """Return the master key in `environ`.

    Args:
        environ: The environment.
        needed: What the key is required for, as in "when auth is enabled".

    Raises:
        ConfigError: There is none, or it is malformed.
    """
    text = environ.get(KEY_VARIABLE, "").strip()
    if not text:
        raise ConfigError(f"{KEY_VARIABLE} environment variable is required {needed}; {_NEW_KEY}")
    key = _key_of(text)
    if key is None:
        raise ConfigError(
            f"invalid {KEY_VARIABLE}: {KEY_VARIABLE} must be 32 bytes encoded as 64 hex chars or "
            f"base64; {_NEW_KEY}"
        )
    return key


def _key_of(text: str) -> bytes | None:
    if _HEX_KEY.fullmatch(text):
        return bytes.fromhex(text)
    try:
        key = base64.b64decode(text, validate=True)
    except ValueError:
        return None
    return key if len(key) == _KEY_BYTES else None


def is_encrypted(text: str) -> bool:
    """Return whether `text` is an encrypted value, or was meant to be one."""
    return text.lstrip().startswith("ENC[")


def encrypt(text: str, key: bytes) -> str:
    """Return `text` as an encrypted value, another one each time."""
    # Importing it takes longer than all else here, and most servers have no such value.
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    iv = os.urandom(_IV_BYTES)
    sealed = AESGCM(key).encrypt(iv, text.encode(), None)
    data, tag = sealed[:-_TAG_BYTES], sealed[-_TAG_BYTES:]
    return f"{_BEGINNING}data:{_base64(data)},iv:{_base64(iv)},tag:{_base64(tag)}]"


def decrypt(value: str, key: bytes) -> str:
    """Return the text in the encrypted `value`.

    Parts may be in any order, and have blanks around them; unknown ones are passed over.

    Raises:
        SecretBoxError: It cannot be read.
    """
    from cryptography.exceptions import InvalidTag
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    whole = value.strip()
    if not (whole.startswith(_BEGINNING) and whole.endswith("]")):
        raise SecretBoxError(
            "begins with ENC[ and is no encrypted value; acteon-server encrypt writes "
            f"{_BEGINNING}data:…,iv:…,tag:…]"
        )
    pairs = (part.strip().partition(":") for part in whole[len(_BEGINNING) : -1].split(","))
    parts = {name: text for name, _, text in pairs}
    data, iv, tag = (_part(parts, name) for name in ("data", "iv", "tag"))
    if len(iv) != _IV_BYTES:
        raise SecretBoxError(f"IV must be {_IV_BYTES} bytes, got {len(iv)}")
    if len(tag) != _TAG_BYTES:
        raise SecretBoxError(f"tag must be {_TAG_BYTES} bytes, got {len(tag)}")
    try:
        return AESGCM(key).decrypt(iv, data + tag, None).decode()
    except InvalidTag:
        raise SecretBoxError("decryption failed (wrong key or corrupted data)") from None
    except UnicodeDecodeError as error:
        raise SecretBoxError(
            f"decrypted value is not UTF-8: {error.reason} at byte {error.start}"
        ) from None


def _part(parts: Mapping[str, str], name: str) -> bytes:
    if name not in parts:
        raise SecretBoxError(f"missing {name} field in ENC[...]")
    try:
        return base64.b64decode(parts[name], validate=True)
    except (binascii.Error, ValueError) as error:
        raise SecretBoxError(f"invalid base64 in {name}: {error}") from None


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")
