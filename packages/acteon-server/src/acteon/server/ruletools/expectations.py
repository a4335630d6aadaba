"""Reading what is expected of a step."""

from collections.abc import Callable, Collection, Mapping
from typing import Any, Final

from acteon.rules_yaml import Node, Report, Scalar, is_null
from acteon.server.ruletools.cases import Expected
from acteon.server.ruletools.nodes import (
    did_you_mean,
    read_duration,
    read_members,
    read_text,
    read_texts,
    read_value,
)

OUTCOMES: Final = (
    "executed",
    "suppressed",
    "deduplicated",
    "rerouted",
    "throttled",
    "failed",
    "error",
)
VERDICTS: Final = (
    "allow",
    "deny",
    "suppress",
    "deduplicate",
    "reroute",
    "throttle",
    "modify",
)
_WANTED: Final = "an outcome, such as `executed`, or a map of what is expected"


def read_expected(
    node: Node, path: str, report: Report, rules: Collection[str]
) -> tuple[Expected, ...]:
    """Return what is expected; an outcome alone stands for a map with `outcome`.

    Args:
        node: What is written.
        path: Where.
        report: Takes what is wrong.
        rules: The names of the rules that there are.
    """
    if isinstance(node, Scalar) and not is_null(node):
        return (Expected("outcome", _choice(node, path, report, OUTCOMES, "outcome")),)
    found = read_members(node, tuple(READERS), path, report, _WANTED)
    expected = [
        Expected(key, READERS[key](value, f"{path}.{key}", report)) for key, value in found.items()
    ]
    for each in expected:
        if each.key in {"rule", "matched", "shadowed"}:
            names = [each.value] if isinstance(each.value, str) else each.value or ()
            for name in names:
                if name and name not in rules:
                    text = f"there is no rule {name!r}{did_you_mean(name, rules)}"
                    report.error(text, f"{path}.{each.key}", found[each.key])
    return tuple(expected)


def _choice(node: Node, path: str, report: Report, known: Collection[str], kind: str) -> str:
    text = read_text(node, path, report)
    if text and text not in known:
        hint = did_you_mean(text, known) or f"; write one of {', '.join(known)}"
        report.error(f"there is no {kind} `{text[:100]}`{hint}", path, node)
    return text


def _name_or_null(node: Node, path: str, report: Report) -> str | None:
    if isinstance(node, Scalar) and is_null(node):
        return None
    return read_text(node, path, report, "a name, or null for none")


def _names(node: Node, path: str, report: Report) -> list[str]:
    if isinstance(node, Scalar) and is_null(node):
        return []
    return list(read_texts(node, path, report, "a list of names"))


READERS: Final[Mapping[str, Callable[[Node, str, Report], Any]]] = {
    "outcome": lambda node, path, report: _choice(node, path, report, OUTCOMES, "outcome"),
    "verdict": lambda node, path, report: _choice(node, path, report, VERDICTS, "verdict"),
    "rule": _name_or_null,
    "matched": _names,
    "shadowed": _names,
    "provider": _name_or_null,
    "payload": read_value,
    "payload_has": read_value,
    "retry_after": read_duration,
    "error": read_text,
    "code": read_text,
}
"""What can be expected, and how it is written."""
