"""Actions that people wrote down: as JSON, or as YAML."""

import difflib
import json
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
    if name.endswith(".toml"):
        raise ConfigError(f"{name}: is TOML by its name; write the action in JSON or in YAML")
    if not text.strip():
        raise ConfigError(f"{name}: is empty; {_WANTED}")
    value = _value(text, name)
    if not isinstance(value, dict):
        raise ConfigError(f"{name}: {_WANTED}, found {_kind(value)}")
    members = cast("dict[str, Any]", value)
    missing = [f"`{each}`" for each in MEMBERS[:5] if each not in members]
    if missing:
        raise ConfigError(f"{name}: is no action: missing {', '.join(missing)}{_other(members)}")
    odd = [f"{name}: ignored: {text}" for text in unknown_members(members)]
    try:
        return action_of(members), odd
    except WireError as error:
        raise ConfigError(f"{name}: is no action: {error}") from None


_WANTED: Final = "wanted one action, a map such as {tenant: acme, …}"


def _other(members: Mapping[str, Any]) -> str:
    """Return a hint if what has these members looks like a file of another kind."""
    if "cases" in members:
        return "; run test cases with acteon-server rules test"
    if "rules" in members or "condition" in members:
        return "; these are rules: name the file of an action here, and them behind --rules"
    texts = unknown_members(members)
    return f"; {texts[0]}" if texts else ""


def _kind(value: object) -> str:
    if isinstance(value, list):
        return "a list; take one of its items"
    return "a text" if isinstance(value, str) else json.dumps(value)


def _value(text: str, name: str) -> object:
    """Return the value that `text` writes down: by the name of its file, or else by its looks."""
    if name.endswith(".json"):
        return _json(text, name)
    looks = text.lstrip().startswith("{") and not name.endswith((".yaml", ".yml"))
    try:
        return _json(text, name) if looks and _is_json(text) else value_in(text, file=name)
    except RuleParseError as error:
        raise ConfigError("\n".join(problem.located for problem in error.problems)) from None


def _is_json(text: str) -> bool:
    """Return whether `text`, which begins like JSON, is meant to be: its names are in quotes."""
    return text.lstrip()[1:].lstrip()[:1] in {'"', "}", ""}


def _json(text: str, name: str) -> object:
    try:
        return decode_json(text.encode())
    except WireError as error:
        reason = "the JSON ends too early" if "truncated" in str(error) else str(error)
        raise ConfigError(f"{name}{_place(text)}: {reason}") from None


def _place(text: str) -> str:
    """Return where `text` is no JSON, as `:2:5`; empty if that cannot be told."""
    try:
        json.loads(text)
    except json.JSONDecodeError as error:
        return f":{error.lineno}:{error.colno}"
    except (RecursionError, ValueError):
        pass
    return ""


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
            close = close or [each for each in MEMBERS if each.endswith(f"_{name}")]
            hint = f"; did you mean `{close[0]}`?" if close else ""
            texts.append(f"actions have no member `{name[:100]}`{hint}")
    return texts
