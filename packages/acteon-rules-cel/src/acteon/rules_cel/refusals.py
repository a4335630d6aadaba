"""Why a text is no CEL, and how to mend it: the parser itself only says where it stopped."""

import re
from collections.abc import Iterator
from typing import Final

from attrs import frozen

from acteon.rules import ConditionError

_TOKEN: Final = re.compile(
    r"""
    (?P<blank>\s+|//[^\n]*)
    | (?P<text>[bBrR]{0,2}(?:\"\"\".*?\"\"\"|'''.*?'''
        |"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'))
    | (?P<open_text>[bBrR]{0,2}["'])
    | (?P<number>[0-9][0-9.]*(?:[eE][+-]?[0-9]+)?[uU]?)
    | (?P<word>[A-Za-z_][A-Za-z0-9_]*)
    | (?P<operator>\?\.|\.\?|&&|\|\||[=<>!]=|=>|=~|[-+*/%<>!?:.,()\[\]{}=&|])
    | (?P<other>\$\{|.)
    """,
    re.VERBOSE | re.DOTALL,
)
_CLOSING: Final = {"(": ")", "[": "]", "{": "}"}
_BINARY: Final = frozenset({"+", "-", "*", "/", "%", "<", ">", "<=", ">=", "==", "!=", "&&", "||"})
_DEPTHS: Final = {"(": 1, "[": 1, "{": 1, ")": -1, "]": -1, "}": -1}
_SHORTEST: Final = 40

_MEANT: Final = {
    "and": "write && for and",
    "or": "write || for or",
    "not": "write ! for not",
    "is": "write == to compare",
    "between": "write x >= 1 && x <= 5",
    "if": "a condition needs no if; write condition ? then : otherwise to choose",
    "let": "there are no variables of your own; write out what it stands for",
    "in": "write x in [1, 2]",
    "=": "write == to compare",
    "=>": "write >= for at least",
    "=~": "write x.matches(r'…')",
    "&": "write && for and",
    "|": "write || for or",
    "#": "comments begin with //",
    "$": "names begin with a letter, and numbers with a digit",
    "${": "write the field itself, as in action.payload.to",
    "?.": "ask has(…) for what may be missing",
    ".?": "ask has(…) for what may be missing",
    **dict.fromkeys("\u2018\u2019\u201c\u201d", "write plain quotes, ' or \""),
    ";": "write one condition",
    "^": "write matches(r'…') for patterns",
    "@": "write texts in quotes",
    "\\": "write texts in quotes",
}
"""What to write instead of words and signs of other languages."""


@frozen
class _Token:
    kind: str
    text: str
    start: int


def refusal(text: str, line: int, column: int) -> ConditionError:
    """Return why `text` is no CEL.

    Args:
        text: The condition.
        line: Where the parser stopped, at or after what is wrong; 0 if it does not say.
        column: Where it stopped.
    """
    stopped = _offset(text, line, column) if line > 0 else len(text)
    tokens = [token for token in _tokens(text) if token.kind != "blank"]
    found = _odd(tokens, stopped) or _unbalanced(tokens, stopped) or _unexpected(tokens, stopped)
    start, message = found
    before = text[:start]
    return ConditionError(message, before.count("\n") + 1, len(before) - before.rfind("\n"))


def _tokens(text: str) -> Iterator[_Token]:
    for found in _TOKEN.finditer(text):
        yield _Token(found.lastgroup or "", found[0], found.start())


def _offset(text: str, line: int, column: int) -> int:
    lines = text.split("\n")
    return sum(len(each) + 1 for each in lines[: line - 1]) + max(0, column - 1)


_Found = tuple[int, str]


def _odd(tokens: list[_Token], stopped: int) -> _Found | None:
    """Return the first thing up to where the parser stopped that CEL never has."""
    for number, token in enumerate(tokens):
        if token.start > stopped and token.kind != "open_text":
            continue
        if token.kind == "word" and number and tokens[number - 1].text == ".":
            continue
        after = tokens[number + 1] if number + 1 < len(tokens) else None
        following = after.text if after else ""
        match token:
            case _Token("open_text"):
                return token.start, "the quote is not closed"
            case _Token("other") | _Token("operator", "=" | "=>" | "=~" | "&" | "|" | "?." | ".?"):
                return token.start, _not_understood(token)
            case _Token("operator", "?") if following == ".":
                return token.start, f"not understood from `?.` on; {_MEANT['?.']}"
            case _Token("operator", "{") if following == "{":
                return token.start, f"not understood from `{{{{` on; {_MEANT['${']}"
            case _Token("operator", ".") if following in {"true", "false"}:
                start = after.start if after else token.start
                message = f'`{following}` is a reserved word; write ["{following}"] for a member'
                return start, f"{message} of that name"
            case _Token("word", word) if word.lower() in {"and", "or", "not", "between", "is"}:
                if following not in {".", ",", ")", "(", ""}:
                    return token.start, _not_understood(token)
            case _Token("word", "if" | "let"):
                return token.start, _not_understood(token)
            case _:
                pass
    return None


def _unbalanced(tokens: list[_Token], stopped: int) -> _Found | None:
    """Return the bracket that has no other, unless something is wrong before."""
    opened: list[_Token] = []
    for token in tokens:
        if token.kind != "operator":
            continue
        if token.text in _CLOSING:
            opened.append(token)
        elif token.text in _CLOSING.values():
            if not opened:
                return token.start, f"`{token.text}` closes nothing; take it out"
            wanted = _CLOSING[opened[-1].text]
            if token.text != wanted:
                return (
                    token.start,
                    f"`{opened[-1].text}` is closed by `{token.text}`; write {wanted}",
                )
            opened.pop()
    if opened and tokens[-1].start <= stopped and tokens[-1].text not in _BINARY:
        bracket = opened[-1]
        return bracket.start, f"`{bracket.text}` is not closed; write {_CLOSING[bracket.text]}"
    return None


def _unexpected(tokens: list[_Token], stopped: int) -> _Found:
    """Return what the parser did not expect where it stopped."""
    questions = [each for each in tokens if each.text == "?"]
    if len(questions) > sum(each.text == ":" for each in tokens) and tokens[-1].start <= stopped:
        return questions[-1].start, "`?` has no `:`; write condition ? then : otherwise"
    number = next((at for at, token in enumerate(tokens) if token.start >= stopped), len(tokens))
    last = tokens[-1]
    if number == len(tokens) or (number == len(tokens) - 1 and last.kind == "operator"):
        if last.text not in _CLOSING.values() and last.text != ",":
            return last.start, f"the condition ends too early; something follows `{last.text}`"
        number = min(number, len(tokens) - 1)
    token = tokens[number]
    before = tokens[number - 1] if number else None
    after = tokens[number + 1] if number + 1 < len(tokens) else None
    is_separator = before and after and before.kind == after.kind == "number"
    if (
        token.text == ","
        and not is_separator
        and sum(_DEPTHS.get(each.text, 0) for each in tokens[:number]) == 0
    ):
        return token.start, "not understood from `,` on; write && for and"
    return token.start, _described(token, before, after)


def _described(token: _Token, before: _Token | None, after: _Token | None) -> str:
    previous = before.text if before else ""
    if token.text in {"]", ")", "}"}:
        if previous == ",":
            return f"a comma before `{token.text}`; take it out"
        if previous == "[":
            return "what is inside of [ ] is missing"
    if previous in _BINARY and (token.text in _BINARY or token.text in _DEPTHS):
        return f"something is missing between `{previous}` and `{token.text}`"
    if token.text == ",":
        if before and after and before.kind == after.kind == "number":
            return "not understood from `,` on; write numbers without separators"
        return "not understood from `,` on; write [1, 2] for a list"
    if token.text == ":":
        return "not understood from `:` on; write condition ? then : otherwise"
    is_operand = token.kind in {"text", "number", "word"}
    if is_operand and before and (before.kind in {"text", "number", "word"} or previous in ")]}"):
        if previous.lower() in _MEANT:
            return f"not understood from `{previous}` on; {_MEANT[previous.lower()]}"
        return f"{_not_understood(token)}; write an operator between, such as &&, or a comma"
    return _not_understood(token)


def _not_understood(token: _Token) -> str:
    shown = token.text if len(token.text) <= _SHORTEST else f"{token.text[:_SHORTEST]}…"
    shown = shown if shown.isprintable() else ascii(shown)[1:-1]
    hint = _MEANT.get(token.text.lower(), "")
    return f"not understood from `{shown}` on{'; ' if hint else ''}{hint}"
