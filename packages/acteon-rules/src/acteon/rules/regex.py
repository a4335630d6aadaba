r"""Regular expressions: RE2, which takes time linear in the text whatever the pattern.

`\d`, `\w` and `\s` mean the Unicode classes, also inside brackets; `\uXXXX` and `\UXXXXXXXX` name
characters. `\b` is RE2's and knows ASCII letters only. What RE2 would take for something else
than authors of patterns mean is refused: set operations and nested classes in brackets, octal
escapes, `\C` and `\Q`. There are no look-around, no back-references, no `(?x)`, no repetitions
above 1000, and no quantifiers after quantifiers.

How long a match may take, and what texts are refused for that, is `acteon.rules.searching`'s
business.
"""

import re
from collections.abc import Callable
from functools import lru_cache
from typing import Any, Final

import re2  # pyright: ignore[reportMissingTypeStubs]

from acteon.rules.errors import InvalidRegexError
from acteon.rules.searching import Search

_re2: Any = re2
_MAX_MEMORY: Final = 2 * 1_048_576
MAX_SIZE: Final = 8_000
"""Instructions of the largest pattern, a class being three."""
MAX_CLASSES: Final = 400
_SMALLER: Final = (
    "use shorter repetitions, and [A-Za-z0-9_] for \\w where that is enough, as \\w is large"
)
_UNICODE: Final = re.compile(r"\\[wWsSdDpP]")

MAX_PATTERN: Final = 16_384
"""The longest pattern, in characters."""

_ONE_OF: Final = "([ab])"
"""Any class, for counting; the group keeps RE2 from joining what are different classes."""

_WORD: Final = r"\p{L}\p{M}\p{Nd}\p{Nl}\p{Pc}\x{200c}\x{200d}\x{24b6}-\x{24e9}"
# RE2 cannot subtract classes, so the opposites are spelt out. It has no class of the unassigned
# code points either, which `[\W]` therefore leaves out, while `\W` alone has them.
_NO_WORD: Final = r"\p{Pd}\p{Ps}\p{Pe}\p{Pi}\p{Pf}\p{Po}\p{Sc}\p{Sk}\p{Sm}\p{Z}\p{Cc}\p{Co}\p{No}"
_SPACE: Final = (
    r"\t-\r \x{85}\x{a0}\x{1680}\x{2000}-\x{200a}\x{2028}\x{2029}\x{202f}\x{205f}\x{3000}"
)
_NO_SPACE: Final = (
    r"\x{0}-\x{8}\x{e}-\x{1f}!-\x{84}\x{86}-\x{9f}\x{a1}-\x{167f}\x{1681}-\x{1fff}"
    r"\x{200b}-\x{2027}\x{202a}-\x{202e}\x{2030}-\x{205e}\x{2060}-\x{2fff}\x{3001}-\x{10ffff}"
)
_CLASSES: Final = {
    "d": (r"\p{Nd}", r"\p{Nd}"),
    "D": (r"\P{Nd}", r"\P{Nd}"),
    "w": (f"[{_WORD}]", _WORD),
    "W": (f"[^{_WORD}]", _NO_WORD),
    "s": (f"[{_SPACE}]", _SPACE),
    "S": (f"[^{_SPACE}]", _NO_SPACE),
}
"""What a class is outside brackets, and inside."""

_TOKEN: Final = re.compile(
    r"""
    \\ (?: (?P<property>[pP](?:\{[^}]*\}|.))
         | u(?P<u4>[0-9A-Fa-f]{4}) | U(?P<u8>[0-9A-Fa-f]{8})
         | [uU]\{(?P<braced>[0-9A-Fa-f]{1,8})\}
         | (?P<escape>.) )
    | (?P<posix>\[:\^?[a-z]+:\])
    | (?P<other>&&|--|~~|.)
    """,
    re.VERBOSE | re.DOTALL,
)
_REFUSED_ESCAPES: Final = {
    **dict.fromkeys("0123456789", "back-references and octal escapes are not supported"),
    "C": "matching single bytes is not supported",
    "Q": "quoting with \\Q is not supported",
    "E": "quoting with \\Q is not supported",
}


def compile_regex(pattern: str) -> Callable[[str], bool]:
    """Return a function that tells whether `pattern` matches somewhere in a text.

    It raises an `EvaluationError` for a text that would take too long.

    Raises:
        InvalidRegexError: `pattern` is no regular expression, or too large.
    """
    return _made(_of_rules(pattern))


def cached_regex(pattern: str) -> Callable[[str], bool]:
    """Return what `compile_regex` does, for a pattern that comes with an action.

    It must be smaller, so that compiling it takes no longer than a match may.

    Raises:
        InvalidRegexError: `pattern` is no regular expression, or too large.
    """
    return _made(_of_data(pattern))


def _made(found: Search | str) -> Callable[[str], bool]:
    if isinstance(found, str):
        raise InvalidRegexError(found)
    return found.found_in


@lru_cache(maxsize=4096)
def _of_rules(pattern: str) -> Search | str:
    return _search(pattern, MAX_PATTERN, MAX_CLASSES, _MAX_MEMORY)


@lru_cache(maxsize=256)
def _of_data(pattern: str) -> Search | str:
    return _search(pattern, MAX_PATTERN // 20, MAX_CLASSES // 20, _MAX_MEMORY // 8)


def _search(pattern: str, max_length: int, max_classes: int, max_memory: int) -> Search | str:
    """Return what searches for `pattern`, or why nothing does.

    While RE2 compiles, nothing else runs. What that takes depends on how many classes of all of
    Unicode there are, and on the size of the program.
    """
    if len(pattern) > max_length:
        return f"the pattern is too long: at most {max_length} characters"
    if len(_UNICODE.findall(pattern)) > max_classes:
        return f"the pattern has too many classes such as \\w and \\pL: at most {max_classes}"
    try:
        translated, outline = _translate(pattern)
        program = _compile(translated, max_memory, never_capture=True)
        # It has a program for the way back, too, and would make that when it is first needed.
        _ = program.reverseprogramsize
        # A class has three instructions in the outline, and one or more in the program.
        size: int = _compile(outline, 3 * max_memory, never_capture=False).programsize
    except InvalidRegexError as error:
        return str(error).removeprefix(InvalidRegexError.prefix)
    except _re2.error as error:
        reason: object = error.args[0] if error.args else "not understood"
        text = reason.decode(errors="replace") if isinstance(reason, bytes) else str(reason)
        return f"{text}; {_SMALLER}" if "too large" in text else text
    except UnicodeEncodeError:
        return "the pattern is no valid Unicode"
    if size > MAX_SIZE:
        return f"pattern too large; {_SMALLER}"
    return Search(program.search, size)


def _compile(pattern: str, max_memory: int, *, never_capture: bool) -> Any:
    options = _re2.Options()
    options.log_errors = False
    options.max_mem = max_memory
    options.never_capture = never_capture
    return _re2.compile(pattern, options)


def _translate(pattern: str) -> tuple[str, str]:
    """Return `pattern` in RE2's dialect, with the same meaning, and its outline.

    The outline has the same structure, with `_ONE_OF` for every class of characters. The size of
    its program is what a byte of text costs at most; that of `pattern` is not, as the hundreds of
    ranges of a Unicode class exclude each other.

    Raises:
        InvalidRegexError: RE2 would give a part of it another meaning.
    """
    pieces: list[str] = []
    outline: list[str] = []
    in_brackets = False
    opened = -1
    for token in _TOKEN.finditer(pattern):
        text = token[0]
        piece = text
        is_class = False
        code = token["u4"] or token["u8"] or token["braced"]
        escape = token["escape"]
        if code:
            piece = rf"\x{{{code}}}"
        elif token["property"]:
            is_class = True
        elif escape is not None:
            if escape in _REFUSED_ESCAPES:
                raise InvalidRegexError(f"{_REFUSED_ESCAPES[escape]}: {text}")
            if escape in _CLASSES:
                is_class = True
                piece = _CLASSES[escape][in_brackets]
        elif not in_brackets:
            is_class = text[0] in "[."
            if text[0] == "[":
                # What looks like `[:alpha:]` outside brackets is a plain class of characters.
                in_brackets = not token["posix"]
                opened = token.end()
                pieces.append(text)
                outline.append(_ONE_OF)
                continue
        else:
            if text in {"[", "&&", "--", "~~"}:
                raise InvalidRegexError(f"{text} is not supported inside brackets; escape it")
            if text == "^" and token.start() == opened:
                opened += 1
            elif text == "]" and token.start() != opened:
                in_brackets = False
                pieces.append(text)
                continue
        pieces.append(piece)
        if not in_brackets:
            outline.append(_ONE_OF if is_class else piece)
    return "".join(pieces), "".join(outline)
