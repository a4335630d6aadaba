"""Comparisons with constants that can never be true, or always are."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from operator import ge, gt, le, lt
from typing import Final, TypeGuard

from attrs import frozen

from acteon.rules import describe
from acteon.rules.domains import domain_of
from acteon.rules.expression import (
    AnyOf,
    Binary,
    BinaryOperator,
    Expression,
    ListOf,
    Literal,
)
from acteon.rules.values import equal
from acteon.rules.walking import operands, parts
from acteon.server.ruletools.clauses import clauses

_LOWER: Final = (BinaryOperator.GREATER, BinaryOperator.GREATER_OR_EQUAL)
_UPPER: Final = (BinaryOperator.LESS, BinaryOperator.LESS_OR_EQUAL)
_STRICT: Final = (BinaryOperator.GREATER, BinaryOperator.LESS)


@frozen(eq=False)
class _Comparison:
    """A comparison of something with constants."""

    clause: Binary
    values: tuple[object, ...]

    @property
    def operator(self) -> BinaryOperator:
        return self.clause.operator

    def excludes(self, other: "_Comparison") -> bool:
        """Return whether no value makes both true; to be asked in both directions."""
        if self.operator in (BinaryOperator.EQUAL, BinaryOperator.IN):
            return not any(other.allows(value) for value in self.values)
        if self.operator in _LOWER and other.operator in _UPPER:
            low, high = self.values[0], other.values[0]
            if not (_is_number(low) and _is_number(high)):
                return False
            strict = self.operator in _STRICT or other.operator in _STRICT
            return low > high or (low == high and strict)
        return False

    def allows(self, value: object) -> bool:
        """Return whether `value` may make it true; in doubt, it may."""
        match self.operator:
            case BinaryOperator.EQUAL | BinaryOperator.IN:
                return any(equal(value, each) for each in self.values)
            case BinaryOperator.NOT_EQUAL:
                return not equal(value, self.values[0])
            case _:
                bound = self.values[0]
                if not (_is_number(value) and _is_number(bound)):
                    return True
                return _HOLDS[self.operator](value, bound)


def contradictions(condition: Expression) -> Iterator[tuple[str, str]]:
    """Yield the code and the message for each group of clauses that decides nothing."""
    for group in _groups(condition, BinaryOperator.AND):
        for found in _by_subject(group):
            for one, other in _pairs(found):
                if one.excludes(other) or other.excludes(one):
                    yield "never-true", _never_both(one, other)
                    break
    for group in _groups(condition, BinaryOperator.OR):
        for found in _by_subject(group):
            unequal = [each for each in found if each.operator is BinaryOperator.NOT_EQUAL]
            for one, other in _pairs(unequal):
                if not equal(one.values[0], other.values[0]):
                    yield "always-true", _always_one(one, other)
                    break
    for part in parts(condition):
        comparison = _comparison(part)
        if comparison is not None:
            yield from _outside(comparison)


def _never_both(one: _Comparison, other: _Comparison) -> str:
    both = f"{describe(one.clause)} and {describe(other.clause)}"
    return f"{both} are never both true; for one or the other, write them under `any`"


def _always_one(one: _Comparison, other: _Comparison) -> str:
    both = f"{describe(one.clause)} or {describe(other.clause)}"
    return f"{both} is always true; for neither of the two, write them under `all`"


def _groups(condition: Expression, operator: BinaryOperator) -> Iterator[Sequence[Expression]]:
    """Yield the clauses of each `all`, or of each `any`, of a condition, the outermost first."""
    if operator is BinaryOperator.AND:
        yield tuple(clauses(condition))
    for part in parts(condition):
        match part:
            case AnyOf(items):
                if operator is BinaryOperator.OR:
                    yield items
                else:
                    yield from (tuple(clauses(item)) for item in items)
            case Binary(BinaryOperator.OR) if operator is BinaryOperator.OR:
                yield operands(part, BinaryOperator.OR)
            case _:
                pass


def _by_subject(group: Sequence[Expression]) -> Iterator[list[_Comparison]]:
    found: dict[str, list[_Comparison]] = {}
    for clause in group:
        comparison = _comparison(clause)
        if comparison is not None:
            found.setdefault(repr(comparison.clause.left), []).append(comparison)
    yield from found.values()


def _pairs(found: Sequence[_Comparison]) -> Iterator[tuple[_Comparison, _Comparison]]:
    for number, one in enumerate(found):
        for other in found[number + 1 :]:
            yield one, other


_COMPARING: Final = frozenset(
    {*_LOWER, *_UPPER, BinaryOperator.EQUAL, BinaryOperator.NOT_EQUAL, BinaryOperator.IN}
)


def _comparison(clause: Expression) -> _Comparison | None:
    if not isinstance(clause, Binary) or clause.operator not in _COMPARING:
        return None
    match clause:
        case Binary(_, Literal(), _):
            return None
        case Binary(BinaryOperator.IN, _, ListOf(items)):
            values = tuple(item.value for item in items if isinstance(item, Literal))
            return _Comparison(clause, values) if len(values) == len(items) else None
        case Binary(operator, _, Literal(value)) if operator is not BinaryOperator.IN:
            return _Comparison(clause, (value,))
        case _:
            return None


def _outside(comparison: _Comparison) -> Iterator[tuple[str, str]]:
    """Yield what is odd about a comparison with what its field can never be."""
    field, operator = comparison.clause.left, comparison.operator
    domain = domain_of(field)
    if operator is BinaryOperator.IN and not comparison.values:
        yield "never-true", f"{describe(comparison.clause)} is never true: the list is empty"
    if domain is None:
        return
    if operator in _HOLDS:
        bound = comparison.values[0]
        if domain.values is not None and _is_number(bound):
            holds = {_HOLDS[operator](each, bound) for each in domain.values if _is_number(each)}
            if len(holds) == 1:
                code, word = ("always-true", "always") if True in holds else ("never-true", "never")
                text = f"{describe(comparison.clause)} is {word} true"
                yield code, f"{text}: {describe(field)} is {domain.said}"
        return
    code = "always-true" if operator is BinaryOperator.NOT_EQUAL else "never-true"
    for value in comparison.values:
        if not domain.holds(value):
            shown = json.dumps(value, ensure_ascii=False)
            text = f"{describe(field)} is never {shown}: it is {domain.said}"
            yield code, text + domain.hint(value)


_HOLDS: Final[Mapping[BinaryOperator, Callable[[float, float], bool]]] = {
    BinaryOperator.LESS: lt,
    BinaryOperator.LESS_OR_EQUAL: le,
    BinaryOperator.GREATER: gt,
    BinaryOperator.GREATER_OR_EQUAL: ge,
}


def _is_number(value: object) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool)
