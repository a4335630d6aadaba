"""Reading a TOML file, and saying in one line what is wrong with it."""

import re
import tomllib
from pathlib import Path
from typing import Any, Final

from acteon.core import ConfigError, UnreadableFileError, read_file
from acteon.server.lines import shortened

MAX_BYTES: Final = 1024 * 1024
MAX_PATH: Final = 300
"""So much of a path is told."""

_CURLY_QUOTES = "\u201c\u201d\u201e\u2018\u2019\u00ab\u00bb"
_AT = re.compile(r" \(at (?:line (\d+), column (\d+)|end of document)\)$")
_DOTTED = re.compile(r"\((?:'[^']*',? ?)+\)")
_QUOTED = re.compile(r"'([^']*)'")
_LONG_NUMBER = re.compile(r"\d[\d_]{4300,}")
_VALUE = re.compile(r"\s*(?P<key>[\w.\"'-]+)\s*=\s*(?P<value>.*?)\s*(?:#.*)?$")


def read_document(path: Path) -> dict[str, Any]:
    """Return the tree of the TOML file `path`.

    Raises:
        ConfigError: It cannot be read, or it is no TOML; in one line.
    """
    return parse_document(read_text(path), source=shown_path(path))


def read_text(path: Path) -> str:
    """Return the text of the file `path`.

    Raises:
        ConfigError: It cannot be read; in one line, which begins with the path.
    """
    name = shown_path(path)
    try:
        content = read_file(path, max_bytes=MAX_BYTES)
    except UnreadableFileError as error:
        raise ConfigError(f"{name}: {error}") from None
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise ConfigError(f"{name}:{line}: is no UTF-8 text; save it as UTF-8") from None


def shown_path(path: Path) -> str:
    """Return `path` as messages call it."""
    return shortened(str(path), MAX_PATH)


def parse_document(text: str, *, source: str) -> dict[str, Any]:
    """Return the tree of the TOML document `text`, which comes from `source`.

    Raises:
        ConfigError: It is no TOML. The text names line and column, and never quotes the line: it
            may hold a secret.
    """
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(_explained(str(error), text, source)) from None
    except ValueError:
        # The one thing that tomllib does not say itself; int() does.
        long = _LONG_NUMBER.search(text)
        place = f":{text.count(chr(10), 0, long.start()) + 1}" if long else ""
        raise ConfigError(f"{source}{place}: a number has too many digits") from None
    except RecursionError:
        raise ConfigError(f"{source}: is nested too deeply") from None


def _explained(message: str, text: str, source: str) -> str:
    lines = text.splitlines() or [""]
    place = _AT.search(message)
    number, column = len(lines), len(lines[-1]) + 1
    if place is not None and place[1]:
        number, column = int(place[1]), int(place[2])
    what = _AT.sub("", message)
    what = _DOTTED.sub(lambda names: f"[{'.'.join(_QUOTED.findall(names[0]))}]", what)
    what = f"{what[:1].lower()}{what[1:]}"
    line = lines[number - 1] if number <= len(lines) else ""
    hint = _hint(what, line, text)
    return f"{source}:{number}:{column}: {what}{f'; {hint}' if hint else ''}"


def _hint(what: str, line: str, text: str) -> str:
    """Return what the author of `line` most likely wants to hear, or an empty text."""
    if "\0" in line:
        return "there is a NUL character on this line; take it out"
    if any(quote in line for quote in _CURLY_QUOTES):
        return 'write straight quotes: "'
    if "declare" in what and "twice" in what:
        return "put all keys of a section below one heading"
    if "overwrite" in what:
        return "the key is there twice"
    if line.lstrip().startswith(("//", ";")):
        return "comments begin with #"
    if text.lstrip().startswith("{"):
        return "this looks like JSON; write TOML, such as [server] and port = 8080"
    if line.lstrip().startswith("[") and "]" not in line:
        return "a section's heading ends in ]"
    pair = _VALUE.match(line)
    if pair is None:
        return _hint_without_value(line)
    return _hint_on_value(pair["key"], pair["value"])


def _hint_without_value(line: str) -> str:
    if re.match(r"\s*[\w-]+\s*:", line):
        return "write key = value, with = instead of :"
    if re.match(r"\s*[\w.-]+\s*(?:#.*)?$", line):
        return "write key = value"
    return ""


def _hint_on_value(key: str, value: str) -> str:
    if not value:
        return f"{key} has no value; leave it out, or put # before it"
    if value.lower() in {"true", "yes", "on"}:
        return f"write {key} = true"
    if value.lower() in {"false", "no", "off"}:
        return f"write {key} = false"
    if value.lower() in {"none", "null", "nil"}:
        return f"leave {key} out instead"
    if re.fullmatch(r"0\d+", value):
        return "numbers have no leading zeros"
    if re.fullmatch(r"\d+\s*(?:ms|s|sec|m|min|h|d)", value):
        return "write a number without its unit; durations are in seconds"
    if value.endswith((",", ";")):
        return f"there is nothing behind the value of {key}"
    if value.startswith('"') and "\\" in value:
        return f"write {key} = '…' with single quotes, or \\\\ for each \\"
    if value[0] in "\"'" and (len(value) == 1 or not value.endswith(value[0])):
        return "a text ends, on its line, with the quote that it begins with"
    if re.match(r"[\w./~$-]", value):
        return f'texts need quotes: {key} = "…"'
    return ""
