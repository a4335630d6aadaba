"""Actions that people wrote down: as JSON, or as YAML."""

import difflib
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final, cast

from acteon.core import (
    Action,
    ConfigError,
    UnreadableFileError,
    WireError,
    decode_json,
    encode_json,
    read_action,
    read_file,
)
from acteon.rules import RuleParseError
from acteon.server.ruletools.nodes import value_in

MAX_BYTES: Final = 2 * 1024 * 1024
MEMBERS: Final = (
    "namespace",
    "tenant",
    "provider",
    "action_type",
    "payload",
    "metadata",
    "dedup_key",
    "id",
    "created_at",
)
"""What an action can say of itself."""


def read_action_file(path: str) -> tuple[Action, list[str]]:
    """Return the action in the file `path`, or in what comes in if that is `-`; and what is odd.

    Raises:
        ConfigError: It holds no action.
    """
    name = "<stdin>" if path == "-" else path
    try:
        if path == "-":
            content = sys.stdin.buffer.read(MAX_BYTES + 1)
            if len(content) > MAX_BYTES:
                raise UnreadableFileError(f"has more than {MAX_BYTES} bytes")
        else:
            content = read_file(Path(path), max_bytes=MAX_BYTES)
        text = content.decode("utf-8-sig")
    except UnreadableFileError as error:
        raise ConfigError(f"{name}: {error}") from None
    except UnicodeDecodeError:
        raise ConfigError(f"{name}: is no UTF-8 text; save it as UTF-8") from None
    value = _value(text, name)
    if not isinstance(value, dict):
        raise ConfigError(f"{name}: wanted one action, a map such as {{tenant: acme, …}}")
    members = cast("dict[str, Any]", value)
    odd = [f"{name}: ignored: {text}" for text in unknown_members(members)]
    try:
        return action_of(members), odd
    except WireError as error:
        raise ConfigError(f"{name}: is no action: {error}") from None


def _value(text: str, name: str) -> object:
    if text.lstrip().startswith("{") and not name.endswith((".yaml", ".yml")):
        try:
            return decode_json(text.encode())
        except WireError as error:
            raise ConfigError(f"{name}: {error}") from None
    try:
        return value_in(text, file=name)
    except RuleParseError as error:
        raise ConfigError("\n".join(problem.located for problem in error.problems)) from None


def action_of(members: Mapping[str, Any]) -> Action:
    """Return the action with these members, read as a gateway reads it.

    Raises:
        WireError: It is none.
    """
    return read_action(encode_json(dict(members)))


def unknown_members(members: Iterable[str]) -> list[str]:
    """Return a text for each name that no member of actions has."""
    texts: list[str] = []
    for name in members:
        if name not in MEMBERS:
            close = difflib.get_close_matches(name[:100], MEMBERS, n=1)
            hint = f"; did you mean `{close[0]}`?" if close else ""
            texts.append(f"actions have no member `{name[:100]}`{hint}")
    return texts
