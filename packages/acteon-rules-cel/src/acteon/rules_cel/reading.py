"""From the text of a condition to its tree: cel-python's parser, and what it leaves open.

The parser takes reserved words for names, and knows of strings only where they end; both is settled
here. Texts are limited in length and in how deeply they nest, so that no text costs much.
"""

import re
from collections.abc import Callable, Mapping
from threading import Lock
from typing import Any, Final

from attrs import define, field
from celpy.celparser import CELParseError, CELParser

from acteon.rules import ConditionError
from acteon.rules_cel.literals import LiteralError, literal_value
from acteon.rules_cel.refusals import refusal
from acteon.rules_cel.syntax import (
    Call,
    Chain,
    Choice,
    Constant,
    Has,
    Identifier,
    Item,
    ListOf,
    Logic,
    Macro,
    MapOf,
    Node,
    Place,
    Select,
    StateCall,
    Unary,
)

MAX_CHARACTERS: Final = 4_000
MAX_DEPTH: Final = 50
"""So many brackets, calls and members stand inside of each other."""

_parsing: Final = Lock()  # The parser is one for the process, and keeps the text it works on.

_CHAINS: Final[Mapping[str, str]] = {
    "addition_add": "+",
    "addition_sub": "-",
    "multiplication_mul": "*",
    "multiplication_div": "/",
    "multiplication_mod": "%",
    "relation_lt": "<",
    "relation_le": "<=",
    "relation_gt": ">",
    "relation_ge": ">=",
    "relation_eq": "==",
    "relation_ne": "!=",
    "relation_in": "in",
}
_KEYWORDS: Final = frozenset({"false", "in", "null", "true"})
"""What no member can be called; names of variables and functions are more limited."""
_RESERVED: Final = frozenset(
    {
        *("as", "break", "const", "continue", "else", "false", "for", "function", "if", "import"),
        *("in", "let", "loop", "namespace", "null", "package", "return", "true", "var", "void"),
        "while",
    }
)
_MACROS: Final = {"all": (2,), "exists": (2,), "exists_one": (2,), "map": (2, 3), "filter": (2,)}
_STATE: Final = frozenset({"get", "counter", "since"})


def read_condition(text: str) -> Node:
    """Return the tree of the condition in `text`.

    Raises:
        ConditionError: It is no CEL, or too much of it.
    """
    if len(text) > MAX_CHARACTERS:
        raise ConditionError(
            f"too long: {len(text)} characters, at most {MAX_CHARACTERS}; make several rules of it"
        )
    if not _COMMENT.sub("", text).strip():
        raise ConditionError("the condition is empty; write true for one that always holds")
    if any("\ud800" <= character <= "\udfff" for character in text):
        raise ConditionError("surrogate characters are not allowed")
    plain, quoted = _without_quoted(text)
    return _Reading(text, quoted).node(_parse(plain), 1)


_QUOTED: Final = re.compile(
    r"""
    \"{3}.*?\"{3} | '{3}.*?'{3} | "(?:\\.|[^"\\\n])*" | '(?:\\.|[^'\\\n])*' | //[^\n]*
    | (?P<dot>\.\s*) `(?P<name>[A-Za-z0-9_.\-/ ]+)`
    """,
    re.VERBOSE | re.DOTALL,
)


def _without_quoted(text: str) -> tuple[str, dict[Place, str]]:
    """Return `text` with plain names for members in backquotes, which the parser does not know.

    They are as long as what they stand for, so that all places stay the same. What they stand for
    comes with them, by place.
    """
    quoted: dict[Place, str] = {}

    def plain(match: re.Match[str]) -> str:
        name = match["name"]
        if name is None:
            return match[0]
        start = match.start() + len(match["dot"])
        line = text.count("\n", 0, start) + 1
        quoted[line, start - text.rfind("\n", 0, start)] = name
        return f"{match['dot']}q{'_' * (len(name) + 1)}"

    return _QUOTED.sub(plain, text), quoted


def _parse(text: str) -> Any:
    try:
        with _parsing:
            parser: Any = CELParser()
            return parser.parse(text)
    except CELParseError as error:
        raise refusal(text, error.line or 0, error.column or 0) from None


_COMMENT: Final = re.compile(r"//[^\n]*")


@define(eq=False)
class _Reading:
    """Makes nodes of the parser's tree, whose levels of operators that do nothing are left out."""

    text: str
    quoted: Mapping[Place, str]
    locals: list[str] = field(factory=list[str], init=False)

    def node(self, tree: Any, depth: int) -> Node:
        tree = _unwrapped(tree)
        place = _place(tree)
        if depth > MAX_DEPTH:
            raise ConditionError(
                f"nested more than {MAX_DEPTH} levels deep; make several rules of it", *place
            )
        return _MAKERS[tree.data](self, tree, place, depth + 1)

    def nodes(self, tree: Any, depth: int) -> tuple[Node, ...]:
        return tuple([self.node(child, depth) for child in tree.children])

    def choice(self, tree: Any, place: Place, depth: int) -> Node:
        condition, then, otherwise = self.nodes(tree, depth)
        return Choice(condition, then, otherwise, place)

    def logic(self, tree: Any, place: Place, depth: int) -> Node:
        kind = tree.data
        operands: list[Any] = []
        while tree.data == kind and len(tree.children) == 2:
            left, right = tree.children
            operands.append(right)
            tree = _unwrapped(left)
        operands.append(tree)
        return Logic(
            kind == "conditionalor",
            tuple([self.node(operand, depth) for operand in reversed(operands)]),
            place,
        )

    def chain(self, tree: Any, place: Place, depth: int) -> Node:
        kind = tree.data
        steps: list[tuple[str, Any]] = []
        while tree.data == kind and len(tree.children) == 2:
            operator, right = tree.children
            steps.append((_CHAINS[operator.data], right))
            tree = _unwrapped(operator.children[0])
        first = self.node(tree, depth)
        read = [(operator, self.node(right, depth)) for operator, right in reversed(steps)]
        return Chain(first, tuple(read), place)

    def unary(self, tree: Any, place: Place, depth: int) -> Node:
        operators: list[str] = []
        while tree.data == "unary":
            operator, operand = tree.children
            operators.append("!" if operator.data == "unary_not" else "-")
            tree = _unwrapped(operand)
        kept = _simplified(operators)
        node = self.node(tree, depth + len(kept))
        for operator in reversed(kept):
            node = Unary(operator, node, place)
        return node

    def literal(self, tree: Any, place: Place, _depth: int) -> Node:
        token = tree.children[0]
        try:
            return Constant(literal_value(token.type, str(token)), place)
        except LiteralError as error:
            raise ConditionError(str(error), *place) from None

    def identifier(self, tree: Any, place: Place, _depth: int) -> Node:
        name = str(tree.children[0])
        if name in _RESERVED:
            raise ConditionError(f"`{name}` is a reserved word and cannot be a name", *place)
        return Identifier(name, place)

    def select(self, tree: Any, place: Place, depth: int) -> Node:
        operand, member = tree.children
        return Select(self.node(operand, depth), self._member(member), _place_of(member, place))

    def _member(self, token: Any) -> str:
        name = self.quoted.get((token.line, token.column)) or str(token)
        if name in _KEYWORDS and (token.line, token.column) not in self.quoted:
            message = f'`{name}` is a reserved word; write ["{name}"] for a member of that name'
            raise ConditionError(message, token.line, token.column)
        return name

    def item(self, tree: Any, place: Place, depth: int) -> Node:
        operand, index = self.nodes(tree, depth)
        return Item(operand, index, place)

    def list_of(self, tree: Any, place: Place, depth: int) -> Node:
        return ListOf(self.nodes(tree.children[0], depth) if tree.children else (), place)

    def map_of(self, tree: Any, place: Place, depth: int) -> Node:
        parts = self.nodes(tree.children[0], depth) if tree.children else ()
        return MapOf(tuple(zip(parts[::2], parts[1::2], strict=True)), place)

    def message(self, _tree: Any, place: Place, _depth: int) -> Node:
        raise ConditionError("there are no messages, so that none can be made", *place)

    def call(self, tree: Any, place: Place, depth: int) -> Node:
        name, *lists = tree.children
        function = str(name)
        arguments: list[Any] = lists[0].children if lists else []
        if function == "has":
            return self._has(arguments, place, depth)
        return Call(function, tuple([self.node(each, depth) for each in arguments]), False, place)

    def _has(self, arguments: list[Any], place: Place, depth: int) -> Node:
        selected = self.node(arguments[0], depth) if len(arguments) == 1 else None
        if not isinstance(selected, Select):
            raise ConditionError("has() takes one member, as in has(action.payload.to)", *place)
        return Has(selected.operand, selected.member, place)

    def method(self, tree: Any, place: Place, depth: int) -> Node:
        target, name, *lists = tree.children
        function = str(name)
        place = _place_of(name, place)
        arguments: list[Any] = lists[0].children if lists else []
        if function in _MACROS:
            return self._macro(function, target, arguments, place, depth)
        operand = self.node(target, depth)
        if operand == Identifier("state") and "state" not in self.locals:
            return self._state(function, arguments, place, depth)
        read = [self.node(each, depth) for each in arguments]
        return Call(function, (operand, *read), True, place)

    def _state(self, function: str, arguments: list[Any], place: Place, depth: int) -> Node:
        if function not in _STATE or len(arguments) != 1:
            raise ConditionError('state has get("key"), counter("key") and since("key")', *place)
        return StateCall(function, self.node(arguments[0], depth), place)

    def _macro(
        self, kind: str, target: Any, arguments: list[Any], place: Place, depth: int
    ) -> Node:
        variable = self.node(arguments[0], depth) if arguments else None
        if len(arguments) not in _MACROS[kind] or not isinstance(variable, Identifier):
            shown = "x, x > 1" if kind != "map" else "x, x + 1"
            raise ConditionError(f"{kind}() takes a name and what to do: {kind}({shown})", *place)
        over = self.node(target, depth)
        self.locals.append(variable.name)
        try:
            *conditions, last = [self.node(each, depth) for each in arguments[1:]]
        finally:
            self.locals.pop()
        if kind == "map":
            return Macro(kind, over, variable.name, next(iter(conditions), None), last, place)
        return Macro(kind, over, variable.name, last, None, place)


_Make = Callable[[_Reading, Any, Place, int], Node]
_MAKERS: Final[Mapping[str, _Make]] = {
    "expr": _Reading.choice,
    "conditionalor": _Reading.logic,
    "conditionaland": _Reading.logic,
    "relation": _Reading.chain,
    "addition": _Reading.chain,
    "multiplication": _Reading.chain,
    "unary": _Reading.unary,
    "literal": _Reading.literal,
    "ident": _Reading.identifier,
    "dot_ident": _Reading.identifier,
    "ident_arg": _Reading.call,
    "dot_ident_arg": _Reading.call,
    "member_dot": _Reading.select,
    "member_dot_arg": _Reading.method,
    "member_index": _Reading.item,
    "member_object": _Reading.message,
    "list_lit": _Reading.list_of,
    "map_lit": _Reading.map_of,
}
_TRANSPARENT: Final = frozenset({"primary", "paren_expr", "member"})


def _unwrapped(tree: Any) -> Any:
    """Return the first tree at or below `tree` that means something."""
    while tree.data not in _ENDS and len(tree.children) == 1:
        tree = tree.children[0]
    return tree


_ENDS: Final = _MAKERS.keys() - {
    *("expr", "conditionalor", "conditionaland", "relation", "addition"),
    *("multiplication", "unary"),
}


def _simplified(operators: list[str]) -> list[str]:
    """Return `operators` without pairs of `!`: what they apply to must be a bool all the same."""
    if set(operators) != {"!"} or len(operators) < 3:
        return operators
    return operators[: 2 - len(operators) % 2]


def _place(tree: Any) -> Place:
    meta = tree.meta
    return (getattr(meta, "line", None) or 0, getattr(meta, "column", None) or 0)


def _place_of(token: Any, otherwise: Place) -> Place:
    return (token.line or otherwise[0], token.column or otherwise[1])
