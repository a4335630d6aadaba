"""Comparing what happened with what was expected."""

from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Any

from acteon.rules.kinds import is_list, is_map
from acteon.server.ruletools.cases import Expected
from acteon.server.ruletools.durations import show_duration
from acteon.server.ruletools.results import NOTHING, Difference


def compared(expected: Expected, got: Mapping[str, Any]) -> Iterator[Difference]:
    """Yield in what `expected` is not what happened.

    Args:
        expected: What is expected.
        got: What happened, by the keys of expectations; what did not happen is left out.
    """
    key, wanted = expected.key, expected.value
    match key:
        case "payload":
            yield from _differences(key, wanted, got.get("payload", NOTHING), exact=True)
        case "payload_has":
            yield from _differences("payload", wanted, got.get("payload", NOTHING), exact=False)
        case "error":
            text = got.get(key, NOTHING)
            if not (isinstance(text, str) and wanted in text):
                yield Difference(key, wanted, text)
        case _:
            found = got.get(key)
            if found != wanted:
                yield Difference(key, _plain(wanted), _plain(found))


def _plain(value: Any) -> Any:
    return show_duration(value) if isinstance(value, timedelta) else value


def _differences(path: str, wanted: Any, found: Any, *, exact: bool) -> Iterator[Difference]:
    if is_map(wanted) and is_map(found):
        for name, value in wanted.items():
            there = found.get(name, NOTHING)
            yield from _differences(f"{path}.{name}", value, there, exact=exact)
        if exact:
            for name, value in found.items():
                if name not in wanted:
                    yield Difference(f"{path}.{name}", NOTHING, value)
    elif not _same(wanted, found):
        yield Difference(path, wanted, found)


def _same(wanted: Any, found: Any) -> bool:
    """Return whether two values are the same in JSON, where true is not 1."""
    if isinstance(wanted, bool) or isinstance(found, bool):
        return wanted is found
    if is_list(wanted) and is_list(found):
        return len(wanted) == len(found) and all(map(_same, wanted, found))
    if is_map(wanted) and is_map(found):
        return not any(_differences("", wanted, found, exact=True))
    return bool(wanted == found)
