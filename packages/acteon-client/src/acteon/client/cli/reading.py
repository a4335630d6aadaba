"""Actions as a command is given them: by options, in files, as JSON lines."""

import json
import sys
from argparse import Namespace
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO, cast

from acteon.client.cli.usage import UsageError
from acteon.client.operations import action_of
from acteon.core import ActeonError, Action, encode_json


def action_from(given: Namespace) -> Action:
    """Return the action that the options describe, or the file that they name.

    Raises:
        UsageError: It is none.
    """
    members: dict[str, Any] = {}
    if given.file is not None:
        members = _members(read_json(given.file), given.file)
    for name in ("namespace", "tenant", "provider", "action_type", "dedup_key", "id"):
        value = getattr(given, name)
        if value is not None:
            members[name] = value
    if given.payload is not None:
        members["payload"] = _payload(given.payload)
    if given.metadata:
        members["metadata"] = {**members.get("metadata", {}), **dict(map(_label, given.metadata))}
    if "payload" not in members and given.file is None:
        members["payload"] = {}
    return made(members, given.file or "the options")


def made(members: Any, where: str) -> Action:
    """Return the action of these members, which are checked as a server would.

    Raises:
        UsageError: They make none; `where` says where they stand.
    """
    try:
        action = action_of(_members(members, where))
        for name in ("namespace", "tenant", "provider", "action_type", "id"):
            if not isinstance(getattr(action, name), str):
                raise TypeError(f"action: `{name}` is no text")
        encode_json(action.as_json())
    except (TypeError, ValueError, ActeonError) as error:
        raise UsageError(f"{where}: {_options(str(error), where)}") from None
    return action


def _options(text: str, where: str) -> str:
    if where != "the options":
        return text
    return text.replace("`action_type`", "--type").replace("`namespace`", "--namespace").replace(
        "`tenant`", "--tenant"
    ).replace("`provider`", "--provider")  # fmt: skip


def read_json(path: str) -> Any:
    """Return what the JSON file at `path` says; `-` is what comes in.

    Raises:
        UsageError: It cannot be read, or is no JSON.
    """
    with opened(path) as file:
        try:
            return json.load(file)
        except ValueError as error:
            raise UsageError(f"{path}: no JSON: {error}") from None


def read_lines(path: str, refuse: Callable[[int, str, str], None]) -> Iterator[Action]:
    """Yield the actions of a file of JSON lines; `-` is what comes in.

    Args:
        path: The file.
        refuse: Is told the number of a line that holds no action, the line, and why.

    Raises:
        UsageError: The file cannot be read.
    """
    with opened(path) as file:
        for number, line in enumerate(file, start=1):
            if not line.strip():
                continue
            try:
                yield made(_loaded(line), f"line {number}")
            except UsageError as error:
                refuse(number, line, str(error))


def _loaded(line: str) -> Any:
    try:
        return json.loads(line)
    except ValueError:
        return line


@contextmanager
def opened(path: str) -> Generator[TextIO]:
    """Give the file at `path`; `-` is what comes in.

    Raises:
        UsageError: It cannot be read.
    """
    if path == "-":
        yield sys.stdin
        return
    try:
        with Path(path).open(encoding="utf-8") as file:
            yield file
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise UsageError(f"{path}: {reason}") from None


def _members(value: Any, where: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise UsageError(f'{where}: an action is a JSON object: {{"namespace": …}}')
    return cast("dict[str, Any]", value)


def _payload(text: str) -> Any:
    if text == "-" or text.startswith("@"):
        return read_json(text.removeprefix("@"))
    try:
        return json.loads(text)
    except ValueError as error:
        raise UsageError(
            f'--payload: no JSON: {error}; write it like \'{{"to": "ann@example.com"}}\', or '
            "@FILE for a file, - for what comes in"
        ) from None


def _label(text: str) -> tuple[str, str]:
    name, sign, value = text.partition("=")
    if not sign:
        raise UsageError(f"--metadata: {text!r}: write it like team=core")
    return name, value
