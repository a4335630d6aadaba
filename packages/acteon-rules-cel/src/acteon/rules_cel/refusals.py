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
    | (?P<operator>===|!==|<>|\*\*|\?\?|->
        |\?\.|\.\?|&&|\|\||[=<>!]=|=>|=~|[-+*/%<>!?:.,()\[\]{}=&|])
    | (?P<other>\$\{|.)
    """,
    re.VERBOSE | re.DOTALL,
)
_CLOSING: Final = {"(": ")", "[": "]", "{": "}"}
_BINARY: Final = frozenset({"+", "-", "*", "/", "%", "<", ">", "<=", ">=", "==", "!=", "&&", "||"})
_DEPTHS: Final = {"(": 1, "[": 1, "{": 1, ")": -1, "]": -1, "}": -1}
_FOREIGN: Final = frozenset(
    {"=", "=>", "=~", "&", "|", "?.", ".?", "===", "!==", "<>", "**", "??", "->"}
)
"""Signs that CEL never has."""
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
    "like": "write x.contains('…'), x.startsWith('…') or x.matches(r'…')",
    "contains": "write x.contains('…')",
    "startswith": "write x.startsWith('…')",
    "endswith": "write x.endsWith('…')",
    "matches": "write x.matches(r'…')",
    "exists": "write has(action.payload.to)",
    "lambda": "write items.exists(i, i.price > 3)",
    "for": "write items.exists(i, i.price > 3)",
    "=": "write == to compare",
    "===": "write == to compare",
    "!==": "write != to compare",
    "<>": "write != for what is not equal",
    "**": "there is no power; write x * x",
    "??": "ask has(…) for what may be missing",
    "->": "write items.exists(i, i.price > 3)",
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
    start, message = (
        _comprehension(text, tokens, stopped)
        or _odd(tokens, stopped)
        or _unbalanced(tokens, stopped)
        or _unexpected(tokens, stopped)
    )
    before = text[:start]
    return ConditionError(message, before.count("\n") + 1, len(before) - before.rfind("\n"))


def _tokens(text: str) -> Iterator[_Token]:
    for found in _TOKEN.finditer(text):
        yield _Token(found.lastgroup or "", found[0], found.start())


def _offset(text: str, line: int, column: int) -> int:
    lines = text.split("\n")
    return sum(len(each) + 1 for each in lines[: line - 1]) + max(0, column - 1)


_Found = tuple[int, str]


_LOOPS: Final = {
    **dict.fromkeys(("any", "some", "exists"), "exists"),
    **dict.fromkeys(("all", "every"), "all"),
    **dict.fromkeys(("filter", "map", "exists_one"), ""),
}
"""Functions that go over lists, here or elsewhere, and what that is here, if it is not the same."""


def _comprehension(text: str, tokens: list[_Token], stopped: int) -> _Found | None:
    """Return where a list is gone over as in other languages, and how to do it here."""
    opened: list[int] = []
    for at, token in enumerate(tokens):
        if token.start > stopped:
            break
        if token.text in _CLOSING:
            opened.append(at)
        elif token.text in _CLOSING.values():
            opened = opened[:-1]
        elif (
            opened
            and token.text == "for"
            and [each.text for each in tokens[at + 2 : at + 3]] == ["in"]
        ):
            told = _loop_meant(text, tokens, opened[-1], at)
            return token.start, f"not understood from `for` on; write {told}"
        elif opened and token.text in {"=>", ":", "->"} and tokens[at - 1].kind == "word":
            function = tokens[opened[-1] - 1].text if opened[-1] else ""
            if function in _LOOPS and at - opened[-1] in {2, 3}:
                is_method = opened[-1] > 1 and tokens[opened[-1] - 2].text == "."
                target = "" if is_method else "items."
                told = f"{target}{_LOOPS[function] or function}({tokens[at - 1].text}, …)"
                return token.start, f"not understood from `{token.text}` on; write {told}"
    return None


def _loop_meant(text: str, tokens: list[_Token], opening: int, at: int) -> str:
    """Return the macro for `any(x > 1 for x in xs)` or `[x for x in xs if x > 1]`.

    Args:
        text: The condition.
        tokens: It in parts.
        opening: Where the bracket before the loop is among them.
        at: Where its `for` is.
    """
    end = len(text)
    filters: list[int] = []
    depth = 0
    for token in tokens[at:]:
        depth += _DEPTHS.get(token.text, 0) if token.kind == "operator" else 0
        if depth < 0:
            end = token.start
            break
        if not depth and token.text == "if":
            filters.append(token.start)
    name = tokens[at + 1].text
    start = tokens[opening].start + 1
    result = text[start : tokens[at].start].strip()
    items = text[tokens[at + 2].start + 2 : filters[0] if filters else end].strip()
    if filters:
        items += f".filter({name}, {text[filters[0] + 2 : end].strip()})"
    function = tokens[opening - 1].text if opening else ""
    if macro := _LOOPS.get(function):
        told = f"{items}.{macro}({name}, {result})"
    else:
        told = items if result == name else f"{items}.map({name}, {result})"
    told = " ".join(told.split())
    is_whole = items and result and len(told) <= 3 * _SHORTEST
    return told if is_whole else f"items.exists({name}, {name}.price > 3)"


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
            case _Token("word", "is") if following.lower() == "not":
                return token.start, "not understood from `is not` on; write !="
            case _Token("word", word) if word.lower() == "not" and following.lower() == "in":
                return token.start, "not understood from `not in` on; write !(x in [1, 2])"
            case _Token("other"):
                return token.start, _not_understood(token)
            case _Token("operator", sign) if sign in _FOREIGN:
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
        told = _not_understood(token)
        return (
            told if "; " in told else f"{told}; write an operator between, such as &&, or a comma"
        )
    return _not_understood(token)


def _not_understood(token: _Token) -> str:
    shown = token.text if len(token.text) <= _SHORTEST else f"{token.text[:_SHORTEST]}…"
    shown = shown if shown.isprintable() else ascii(shown)[1:-1]
    hint = _MEANT.get(token.text.lower(), "")
    return f"not understood from `{shown}` on{'; ' if hint else ''}{hint}"
