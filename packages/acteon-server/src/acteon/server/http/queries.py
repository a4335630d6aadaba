"""Query strings: strict about the parameters that are known and their like, blind to others."""

import difflib
import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final
from urllib.parse import parse_qsl

from starlette.types import Scope

from acteon.core import parse_instant
from acteon.server.http.errors import RequestError

_DIGITS: Final = re.compile(r"\+?[0-9]+", re.ASCII)
_MAX: Final = 2**32 - 1


def read_query(scope: Scope, known: Sequence[str]) -> Mapping[str, str]:
    """Return the parameters of a request whose names are `known`.

    Escapes that are no UTF-8 become U+FFFD, and a plus is a blank.

    Raises:
        RequestError: One of them is given twice, or misspelt: a `dryrun` that is ignored delivers.
    """
    query: bytes = scope["query_string"]
    found: dict[str, str] = {}
    if not query:
        return found
    text = query.decode(errors="replace")
    for name, value in parse_qsl(text, keep_blank_values=True, errors="replace"):
        if name not in known:
            _check_spelling(name, known)
            continue
        if name in found:
            raise _refused(f"duplicate field `{name}`")
        found[name] = value
    return found


def _check_spelling(name: str, known: Sequence[str]) -> None:
    close = difflib.get_close_matches(name[:40].lower(), known, n=1, cutoff=0.8)
    if close:
        raise _refused(f"unknown field `{name[:40]}`; did you mean `{close[0]}`?")


def integer(query: Mapping[str, str], name: str, default: int) -> int:
    """Return the parameter `name` as a number from 0 to 2³²-1."""
    value = query.get(name)
    if value is None:
        return default
    if not value:
        raise _refused(f"{name}: cannot parse integer from empty string")
    if not _DIGITS.fullmatch(value):
        raise _refused(f"{name}: invalid digit found in string")
    digits = value.lstrip("+0") or "0"
    if len(digits) > len(str(_MAX)) or int(digits) > _MAX:
        raise _refused(f"{name}: number too large to fit in target type")
    return int(digits)


def instant(query: Mapping[str, str], name: str) -> datetime | None:
    """Return the parameter `name` as an instant."""
    value = query.get(name)
    if value is None:
        return None
    try:
        return parse_instant(value)
    except ValueError as error:
        raise _refused(f"{name}: {error}") from None


def flag(query: Mapping[str, str], name: str) -> bool:
    """Return the parameter `name` as a truth value; false if it is not given."""
    value = query.get(name, "false")
    if value not in ("true", "false"):
        raise _refused(f"{name}: expected `true` or `false`")
    return value == "true"


def _refused(detail: str) -> RequestError:
    return RequestError(400, f"Failed to deserialize query string: {detail}")
