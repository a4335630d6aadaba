"""Tokens of those who have signed in, in a file that only its owner may read."""

import json
import os
from pathlib import Path
from typing import Any, cast

from acteon.client.cli.usage import UsageError


def token_of(url: str) -> str | None:
    """Return the token for the server at `url`, if somebody has signed in there.

    Raises:
        UsageError: The file cannot be read.
    """
    return _read().get(url)


def keep(url: str, token: str | None) -> Path:
    """Keep `token` for the server at `url`, or forget it if it is None; return the file.

    Raises:
        UsageError: The file cannot be written.
    """
    path = _path()
    kept = {**_read(), url: token}
    text = json.dumps({each: value for each, value in kept.items() if value is not None})
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        new = path.with_suffix(".new")
        with open(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            file.write(text)
        new.replace(path)
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}") from None
    return path


def _path() -> Path:
    folder = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(folder) / "acteon" / "tokens.json"


def _read() -> dict[str, str]:
    path = _path()
    try:
        found: Any = json.loads(path.read_text())
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise UsageError(f"{path}: {error}; remove it and sign in again") from None
    return cast("dict[str, str]", found) if isinstance(found, dict) else {}
