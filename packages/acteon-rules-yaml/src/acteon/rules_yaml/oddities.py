"""What is allowed, and is hardly what was meant: habits from other languages and systems."""

import re
from typing import Final

from acteon.rules_yaml.nodes import Node, Scalar, Sequence
from acteon.rules_yaml.reading import text_of
from acteon.rules_yaml.report import Place

_NULLS: Final = frozenset({"None", "nil", "Nil", "undefined", "NULL()"})
_QUOTES: Final = "\u201c\u201d\u201e\u2018\u2019\u201a\u00ab\u00bb"
_SPACED: Final = re.compile(r"[+-]?[0-9]{1,3}(?:[_,' ][0-9]{3})+")
_SLASHES: Final = re.compile(r"/(.*)/([a-z]*)", re.DOTALL)
_GLOB: Final = re.compile(r"\*+([\w@.-]+)")

_ROOTS: Final = "action|payload|metadata|env|environment|time"
_ATTEMPT: Final = re.compile(
    rf"\$\{{\s*([\w.]+)\s*\}}|(?<!\{{)\{{\s*([\w.]+)\s*\}}(?!\}})|^\$?((?:{_ROOTS})\.[\w.]+)$"
)
"""How fields are put into texts elsewhere: `${a.b}`, `{a.b}`, or the bare path."""


def warn_of_odd_texts(node: Node, place: Place) -> None:
    """Warn of texts, a list's items included, that are compared with as they stand."""
    for each in node.items if isinstance(node, Sequence) else (node,):
        if isinstance(each, Scalar) and (text := text_of(each)):
            message = _odd(text, plain=each.plain)
            if message:
                place.warning(message, each)


def _odd(text: str, *, plain: bool) -> str:
    if text[0] in _QUOTES or text[-1] in _QUOTES:
        return 'curly quotes are a part of the text; write straight ones: "…"'
    if plain and text in _NULLS:
        return f"`{text}` is a text; null is found with `is_null: true`"
    if plain and _SPACED.fullmatch(text):
        digits = re.sub(r"[^0-9+-]", "", text)
        return f"`{text[:40]}` is a text; write the number {digits[:40]}"
    return ""


def warn_of_odd_pattern(text: str, node: Node, place: Place) -> None:
    """Warn of a pattern that is written as other systems have them."""
    slashes = _SLASHES.fullmatch(text)
    glob = _GLOB.fullmatch(text)
    if slashes is not None:
        flags = "(?i)" if "i" in slashes[2] else ""
        place.warning(
            f"the slashes are a part of the pattern; write `{flags}{slashes[1][:100]}`", node
        )
    elif glob is not None:
        place.warning(
            f"this is no regular expression; write `ends_with: {_quoted(glob[1][:100])}`", node
        )


def _quoted(text: str) -> str:
    return f'"{text}"' if text[0] == "@" else text


def check_constant_key(text: str, node: Node, place: Place) -> None:
    """Tell that a `key` without fields is the same for all actions."""
    attempt = _ATTEMPT.search(text)
    if attempt is None:
        place.warning(
            "the key has no field in it, so that all actions share it; write it like "
            '"{{ action.payload.to }}"',
            node,
        )
        return
    path = next(group for group in attempt.groups() if group)
    root = path.partition(".")[0]
    if root in {"payload", "metadata"} or "." not in path:
        path = f"action.{path}" if root in {"payload", "metadata"} else f"action.payload.{path}"
    wanted = f"{text[: attempt.start()]}{{{{ {path} }}}}{text[attempt.end() :]}"
    place.error(
        f'the key has no field in it, so that all actions would share it; write "{wanted[:200]}"',
        node,
    )
