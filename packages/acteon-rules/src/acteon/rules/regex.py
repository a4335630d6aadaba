r"""Regular expressions: RE2, which takes linear time whatever the pattern.

`\d`, `\w` and `\s` mean the Unicode classes, also inside brackets; `\uXXXX` and `\UXXXXXXXX` name
characters. `\b` is RE2's and knows ASCII letters only. What RE2 would take for something else
than authors of patterns mean is refused: set operations and nested classes in brackets, octal
escapes, `\C` and `\Q`. There are no look-around, no back-references, no `(?x)`, no repetitions
above 1000, and no quantifiers after quantifiers.
"""

import re
from collections.abc import Callable
from functools import lru_cache
from typing import Any, Final

import re2  # pyright: ignore[reportMissingTypeStubs]

from acteon.rules.errors import EvaluationError, InvalidRegexError

_re2: Any = re2
_MAX_MEMORY: Final = 32 * 1_048_576

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
    \\ (?: u(?P<u4>[0-9A-Fa-f]{4}) | U(?P<u8>[0-9A-Fa-f]{8})
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

    Raises:
        InvalidRegexError: `pattern` is no regular expression.
    """
    options = _re2.Options()
    options.log_errors = False
    options.max_mem = _MAX_MEMORY
    options.never_capture = True
    translated = translate(pattern)
    try:
        search: Callable[[str], Any] = _re2.compile(translated, options).search
    except _re2.error as error:
        reason: object = error.args[0] if error.args else "not understood"
        text = reason.decode(errors="replace") if isinstance(reason, bytes) else str(reason)
        raise InvalidRegexError(text) from None
    except UnicodeEncodeError:
        raise InvalidRegexError("the pattern is no valid Unicode") from None

    def matches(text: str) -> bool:
        try:
            return search(text) is not None
        except UnicodeEncodeError:
            raise EvaluationError("matches: the text is no valid Unicode") from None

    return matches


cached_regex = lru_cache(maxsize=128)(compile_regex)
"""`compile_regex` for patterns that come from data: the last ones used are kept."""


def translate(pattern: str) -> str:
    """Return `pattern` in RE2's dialect, with the same meaning.

    Raises:
        InvalidRegexError: RE2 would give a part of it another meaning.
    """
    pieces: list[str] = []
    in_brackets = False
    opened = -1
    for token in _TOKEN.finditer(pattern):
        code = token["u4"] or token["u8"] or token["braced"]
        if code:
            pieces.append(rf"\x{{{code}}}")
        elif (escape := token["escape"]) is not None:
            if escape in _REFUSED_ESCAPES:
                raise InvalidRegexError(f"{_REFUSED_ESCAPES[escape]}: {token[0]}")
            classes = _CLASSES.get(escape)
            pieces.append(classes[in_brackets] if classes else token[0])
        elif not in_brackets:
            text = token[0]
            if text[0] == "[":
                # What looks like `[:alpha:]` outside brackets is a plain class of characters.
                in_brackets = not token["posix"]
                opened = token.end()
            pieces.append(text)
        else:
            text = token[0]
            if text in {"[", "&&", "--", "~~"}:
                raise InvalidRegexError(f"{text} is not supported inside brackets; escape it")
            if text == "^" and token.start() == opened:
                opened += 1
            elif text == "]" and token.start() != opened:
                in_brackets = False
            pieces.append(text)
    return "".join(pieces)
