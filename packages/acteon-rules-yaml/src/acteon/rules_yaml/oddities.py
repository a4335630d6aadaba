"""What is allowed, and is hardly what was meant: habits from other languages and systems."""

import json
import re
from typing import Final

from acteon.rules_yaml.nodes import Mapping, Node, Scalar, Sequence
from acteon.rules_yaml.reading import text_of
from acteon.rules_yaml.report import Place
from acteon.rules_yaml.scalars import resolved

_NULLS: Final = frozenset({"None", "nil", "Nil", "undefined"})
_BOOLS: Final = {"yes": "true", "on": "true", "no": "false", "off": "false"}
_CURLY: Final = "\u201c\u201d\u201e\u2018\u2019\u201a\u00ab\u00bb"
_STRAIGHT: Final = 'curly quotes are a part of the text; write straight ones: "…"'
_SPACED: Final = re.compile(r"[+-]?[0-9]{1,3}(?:[_,' ][0-9]{3})+")
_CLOCK: Final = re.compile(r"([01]?[0-9]|2[0-4]):[0-5][0-9]")
_COMPARED: Final = re.compile(r"([<>]=?|[=!]=)\s*([\w.+-]+)")
_SLASHES: Final = re.compile(r"/(.*)/([a-z]*)", re.DOTALL)
_GLOB: Final = re.compile(r"(\*?)([\w@. -]+)(\*?)")
_OPERATORS: Final = {">": "gt", ">=": "gte", "<": "lt", "<=": "lte", "==": "eq", "!=": "ne"}

_FIELD: Final = re.compile(
    r"\$\{[\w.]+\}|action\.(?:(?:payload|metadata)(?:\.\w+)+|namespace|tenant|provider|action_type)"
)
_MEMBERS: Final = "id|namespace|tenant|provider|action_type|payload|metadata|dedup_key|created_at"
_PAYLOAD: Final = re.compile(r"(?:action\.)?payload\.\w")
_ROOTS: Final = "action|payload|metadata|env|environment|time"
_CONTROL: Final = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f]")
_ATTEMPT: Final = re.compile(
    rf"""
    \$\{{\s*([\w.]+)\s*\}}                                     # ${{a.b}}
    | (?<!\{{)\{{\s*((?:{_ROOTS})(?:\.\w+)+)\s*\}}(?!\}})        # {{a.b}}
    | (?<![\w.-])\$((?:{_ROOTS})(?:\.\w+)+)                     # $a.b
    | (?<![\w.-])(action\.(?:{_MEMBERS})\b(?:\.\w+)*)           # a.b
    """,
    re.VERBOSE,
)
"""How fields are put into texts elsewhere: `${a.b}`, `{a.b}`, or the bare path."""


def tell_odd_texts(node: Node, place: Place, *, ordered: bool = False) -> None:
    """Tell of texts, a list's items included, that are compared with as they stand.

    Args:
        node: What is compared with.
        place: Where it is.
        ordered: Whether it is asked which comes first, which is odd to ask of a number as a text.
    """
    for each in node.items if isinstance(node, Sequence) else (node,):
        if isinstance(each, Scalar) and (text := text_of(each)):
            message = _odd(text, plain=each.plain, ordered=ordered) or _no_field(text, place)
            if message:
                place.advice(message, each)


def in_curly_quotes(text: str) -> bool:
    """Return whether `text` has quotes of a word processor around it, which mean nothing here."""
    return text[:1] in _CURLY and text[-1:] in _CURLY and text != ""


def _odd(text: str, *, plain: bool, ordered: bool) -> str:
    shown = text[:40]
    if plain and in_curly_quotes(text):
        return _STRAIGHT
    if plain and text in _NULLS:
        return f"`{shown}` is a text; null is found with `is_null: true`"
    if plain and text.lower() in _BOOLS:
        return f"`{shown}` is a text; put it in quotes, or write {_BOOLS[text.lower()]}"
    if (plain or ordered) and _SPACED.fullmatch(text):
        digits = re.sub(r"[^0-9+-]", "", text)
        return f"`{shown}` is a text; write the number {digits[:40]}"
    if compared := _COMPARED.fullmatch(text):
        return f"the operator is the key: write `{_OPERATORS[compared[1]]}: {compared[2][:40]}`"
    if ordered and type(resolved(text)) in {int, float}:
        return f"in quotes {shown} is a text, which is no number; write it without quotes"
    if ordered and (clock := _CLOCK.fullmatch(text)):
        return f"`{shown}` is a text; compare `time.hour` with a number: {int(clock[1])}"
    glob = _as_operator(text)
    return f"`*` stands for itself here; write {glob}" if glob else ""


def _no_field(text: str, place: Place) -> str:
    if not _FIELD.fullmatch(text):
        return ""
    version = "" if place.report.version >= 2 else "`version: 2` at the top of the file, and "
    wanted = _ATTEMPT.sub(_placeholder, text[:100])
    return f'this is a text and no field; write {version}"{wanted}"'


def tell_odd_pattern(text: str, node: Node, place: Place) -> None:
    """Tell of a pattern that is written as other systems have them."""
    slashes = _SLASHES.fullmatch(text)
    glob = _as_operator(text) if text.startswith("*") else ""
    if slashes is not None:
        flags = "(?i)" if "i" in slashes[2] else ""
        message = f"the slashes are a part of the pattern; write `{flags}{slashes[1][:100]}`"
        place.advice(message, node)
    elif _CONTROL.search(text):
        place.advice(
            "the pattern has a control character in it, as \\b between double quotes is one; "
            "put patterns between single quotes",
            node,
        )
    elif glob:
        place.warning(f"no regular expression: nothing is before the *; write {glob}", node)


def _as_operator(text: str) -> str:
    """Return the comparison that says what `text` means as file names are written, if it is one."""
    glob = _GLOB.fullmatch(text)
    if glob is None or not (glob[1] or glob[3]):
        return ""
    operator = "contains" if glob[1] and glob[3] else "ends_with" if glob[1] else "starts_with"
    part = glob[2][:100]
    return f"`{operator}: {part if part.isalnum() else json.dumps(part, ensure_ascii=False)}`"


def tell_odd_changes(node: Node, place: Place) -> None:
    """Tell of changes that are not to what they seem to be."""
    if not isinstance(node, Mapping):
        return
    for key, value in node.entries:
        name, text = text_of(key) or "", text_of(value) or ""
        if isinstance(value, Scalar) and value.plain:
            if text in _NULLS:
                place.advice(f"`{text}` is a text; write null to take the member out", value)
            elif in_curly_quotes(text):
                place.advice(_STRAIGHT, value)
        if name in {"payload", "action"} and isinstance(value, Mapping):
            message = f"this sets a member `{name}` of the payload; write what is to be set"
            place.advice(f"{message} right under `changes`", key)
        elif _PAYLOAD.match(name):
            *_, last = name.split(".")
            message = f"`{name[:100]}` is taken for one name; write `{last[:100]}: …`, and"
            place.advice(f"{message} members of members as maps in maps", key)


def check_constant_key(text: str, node: Node, place: Place) -> None:
    """Tell that a `key` without fields is the same for all actions."""
    wanted = _ATTEMPT.sub(_placeholder, text)
    if wanted == text:
        place.advice(
            "the key has no field in it, so that all actions share it; write it like "
            '"{{ action.payload.to }}"',
            node,
        )
        return
    place.error(
        f'the key has no field in it, so that all actions would share it; write "{wanted[:200]}"',
        node,
    )


def _placeholder(attempt: re.Match[str]) -> str:
    path = next(group for group in attempt.groups() if group)
    root = path.partition(".")[0]
    if root in {"payload", "metadata"}:
        path = f"action.{path}"
    elif "." not in path:
        path = f"action.payload.{path}"
    return f"{{{{ {path} }}}}"
