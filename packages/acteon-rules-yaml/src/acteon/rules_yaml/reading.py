"""Taking maps apart, and scalars for what they should be."""

import re
from collections.abc import Callable, Collection, Iterable
from collections.abc import Mapping as Map
from typing import Final

from acteon.rules_yaml.hints import did_you_mean
from acteon.rules_yaml.nodes import Mapping, Node, Scalar, Sequence
from acteon.rules_yaml.report import Report
from acteon.rules_yaml.scalars import ScalarError, is_null, resolved, value_of

NO_TAG: Final = "without a tag of its own; take out the word that begins with !"


def members(
    node: Node,
    known: Collection[str],
    path: str,
    report: Report,
    *,
    wanted: str = "a map",
    hint: str = "",
    unknown: Callable[[str, Node], str] | None = None,
    strict_keys: bool = False,
) -> dict[str, Node] | None:
    """Return the members of a map by their names; those that are not known are noted.

    Args:
        node: What should be a map; if it is none, that is noted, and the result is None.
        known: The names that count.
        path: Where the map is.
        report: Where to note what is wrong.
        wanted: What the map describes.
        hint: How to mend it if it is no map.
        unknown: Gives a hint for a name that is not known, and what stands there; None: a name
            that is spelt alike.
        strict_keys: Whether keys must be texts or non-negative integers, even unknown ones.
    """
    if not isinstance(node, Mapping):
        report.error(wrong_kind(node, wanted, hint), path, node)
        return None
    found: dict[str, Node] = {}
    for key, value in node.entries:
        name = _key_name(key, known)
        if name is None:
            report.error(wrong_kind(key, "a name as a key"), path, key)
        elif not isinstance(name, str):
            if strict_keys and (type(name) is not int or name < 0):
                report.error(wrong_kind(key, "a name as a key"), path, key)
            else:
                report.warning(
                    f"ignored key: {described(key)}{_lonely(str(name), value)}", path, key
                )
        elif name not in known:
            meant = ""
            if name.partition(":")[0] in known:
                meant = _without_blank(name)
            elif name == "<<":
                meant = " (maps are not merged)"
            elif not report.full:
                meant = unknown(name, value) if unknown else did_you_mean(name, known)
            meant = meant or _lonely(name, value)
            report.warning(f"ignored key: `{name[:100]}`{meant}", path, key)
        elif name in found:
            report.error(f"duplicate field `{name}`; keep one of them", path, key)
        else:
            found[name] = value
    return found


def _without_blank(name: str) -> str:
    key, _, value = name[:100].partition(":")
    return f"; a blank is missing behind the colon: `{key}: {value}`"


def _lonely(name: str, value: Node) -> str:
    """Return a hint if nothing is behind a key, as if it were a part of what is before it."""
    if not (isinstance(value, Scalar) and value.plain and not value.text and value.tag is None):
        return ""
    if name.isdigit():
        return "; write numbers without commas"
    return "; nothing is behind it: a text with a comma stands in quotes, and a list in brackets"


def _key_name(key: Node, known: Collection[str]) -> "str | bool | float | _Null | None":
    """Return the value of a scalar key; None if it cannot be one."""
    if not isinstance(key, Scalar):
        return None
    if key.tag is None and key.text in known:
        return key.text
    try:
        value = value_of(key)
    except ScalarError:
        return None
    return NULL if value is None else value


class _Null:
    """A key that is null."""


NULL: Final = _Null()


def keys_of(node: Node) -> set[str]:
    """Return the keys of a map as they are written, without those that are no scalars."""
    entries = node.entries if isinstance(node, Mapping) else []
    return {key.text for key, _ in entries if isinstance(key, Scalar)}


def given(found: Map[str, Node], name: str) -> Node | None:
    """Return the member `name` unless it is missing or null, which is the same."""
    node = found.get(name)
    return None if isinstance(node, Scalar) and is_null(node) else node


def text_of(node: Node) -> str | None:
    """Return the text of `node` if it is a scalar that is a text, by its type; else None."""
    value = scalar_of(node)
    return value if isinstance(value, str) else None


def scalar_of(node: Node) -> object:
    """Return the value of `node` if it is a scalar; None for what has none, as for null."""
    if not isinstance(node, Scalar):
        return None
    try:
        return value_of(node)
    except ScalarError:
        return None


def read_text(node: Node, path: str, report: Report) -> str | None:
    """Return the text of a scalar, whatever its type would be elsewhere."""
    if isinstance(node, Scalar):
        return node.text
    report.error(wrong_kind(node, "a text"), path, node)
    return None


def read_bool(node: Node, path: str, report: Report) -> bool | None:
    """Return the bool that `node` is; if it is none, note that."""
    value = scalar_of(node)
    if isinstance(value, bool):
        return value
    word = value.lower() if isinstance(value, str) else ""
    report.error(wrong_kind(node, "true or false", _SWITCHES.get(word, "")), path, node)
    return None


_SWITCHES: Final = {
    **dict.fromkeys(("yes", "on", "y", "true"), "write true"),
    **dict.fromkeys(("no", "off", "n", "false"), "write false"),
}


def read_int(node: Node, path: str, report: Report, allowed: range, wanted: str) -> int | None:
    """Return the integer that `node` is; if it is none of the `allowed`, note that."""
    value = scalar_of(node)
    if type(value) is int and value in allowed:
        return value
    hint = _as_number(value, path) if isinstance(value, str) else ""
    if isinstance(value, float) and value.is_integer():
        hint = f"write {int(value)}" if int(value) in allowed else ""
    report.error(wrong_kind(node, wanted, hint), path, node)
    return None


def _as_number(text: str, path: str) -> str:
    """Return a hint if `text` is a number in quotes, or a duration with its unit."""
    if type(resolved(text)) is int:
        return "write it without quotes"
    if _GROUPED.fullmatch(text):
        return f"write {re.sub('[^0-9]', '', text)}"
    if path.endswith("_seconds"):
        seconds = seconds_in(text)
        return "" if seconds is None else f"write {seconds}"
    rate = _RATE.fullmatch(text)
    if rate is None:
        return ""
    return f"write {rate[1]}, and as `window_seconds` {_SECONDS[rate[2].lower()]}"


def seconds_in(text: str) -> int | None:
    """Return how many seconds a duration with units is, such as `1h 30m` or `day`."""
    text = text.strip().lower()
    if text in _SECONDS and len(text) > 1:
        return _SECONDS[text]
    if not _DURATION.fullmatch(text):
        return None
    return sum(int(count) * _SECONDS[unit] for count, unit in _PART.findall(text))


_SECONDS: Final = {
    **dict.fromkeys(("s", "sec", "secs", "second", "seconds"), 1),
    **dict.fromkeys(("m", "min", "mins", "minute", "minutes"), 60),
    **dict.fromkeys(("h", "hr", "hrs", "hour", "hours"), 3600),
    **dict.fromkeys(("d", "day", "days"), 86400),
    **dict.fromkeys(("w", "week", "weeks"), 604800),
}
_UNIT: Final = "|".join(sorted(_SECONDS, key=len, reverse=True))
_PART: Final = re.compile(rf"([0-9]{{1,9}}) ?({_UNIT})")
_DURATION: Final = re.compile(rf"(?:[0-9]{{1,9}} ?(?:{_UNIT})(?: |$|(?=[0-9]))){{1,4}}")
_GROUPED: Final = re.compile(r"[0-9]{1,3}(?:[_,' .][0-9]{3}){1,5}")
_RATE: Final = re.compile(rf"([0-9]{{1,9}}) ?(?:/|per) ?({_UNIT})", re.IGNORECASE)


def described(node: Node) -> str:
    """Return what `node` is, as messages say it."""
    match node:
        case Sequence():
            return "a list"
        case Mapping():
            return "a map"
        case Scalar():
            try:
                value = value_of(node)
            except ScalarError:
                return "a value with a tag of its own"
            match value:
                case None:
                    return "null"
                case bool():
                    return str(value).lower()
                case int():
                    return f"the number {value}"
                case float():
                    return f"the number {value}"
                case str():
                    shown = value if len(value) <= 100 else f"{value[:100]}…"
                    return f'the text "{shown}"'


def wrong_kind(node: Node, wanted: str, hint: str = "") -> str:
    """Return the text for a `node` that is not what is `wanted`, and how to mend it."""
    hint = hint or (_QUOTES if is_bare_template(node) else "")
    return f"wanted {wanted}, found {described(node)}{'; ' if hint else ''}{hint}"


def in_quotes(node: Node) -> str:
    """Return a hint if `node` would be a text if it stood in quotes."""
    if isinstance(node, Scalar):
        return "" if is_null(node) else "put it in quotes"
    return _QUOTES if is_bare_template(node) else ""


def is_bare_template(node: Node) -> bool:
    """Return whether `node` is a template that lost its quotes: YAML takes it for a map."""
    return (
        isinstance(node, Mapping) and bool(node.entries) and isinstance(node.entries[0][0], Mapping)
    )


_QUOTES: Final = "put quotes around a text that begins with {{"


def named(names: Iterable[str]) -> str:
    """Return `names` as messages list them."""
    return ", ".join(f"`{name}`" for name in names)
