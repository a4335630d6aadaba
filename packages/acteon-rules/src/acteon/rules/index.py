"""Finding the rules that can match an action without asking each of them.

Most conditions begin with comparisons such as `action.action_type == "email"`. They cannot fail,
so a rule whose first ones are false need not be looked at: it would neither match nor raise.
Rules are bits of an integer; for every value that some rule asks for there is the set of rules
that are still possible with it, and the intersection over four members of the action is what is
left to evaluate, in order.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from attrs import frozen

from acteon.core import Action
from acteon.rules.expression import (
    All,
    Binary,
    BinaryOperator,
    Expression,
    Field,
    ListOf,
    Literal,
    Name,
)

_MEMBERS: Final = ("action_type", "provider", "namespace", "tenant")


@frozen
class _Choice:
    """The rules that are possible for each value of one member of the action.

    Attributes:
        by_value: For the values that rules ask for.
        otherwise: For all other values.
    """

    by_value: Mapping[str, int]
    otherwise: int


@frozen
class RuleIndex:
    """Which of many rules can match an action; rule number n is the bit `1 << n`."""

    _action_type: _Choice
    _provider: _Choice
    _namespace: _Choice
    _tenant: _Choice

    @classmethod
    def of(cls, conditions: Sequence[Expression]) -> "RuleIndex":
        """Return the index of the rules with these conditions, numbered from 0."""
        needed = [_needed_values(condition) for condition in conditions]
        return cls(*(_choice([rule.get(member) for rule in needed]) for member in _MEMBERS))

    def possible(self, action: Action) -> int:
        """Return the rules that can match `action`, or fail on it."""
        kind, provider = self._action_type, self._provider
        namespace, tenant = self._namespace, self._tenant
        return (
            kind.by_value.get(action.action_type, kind.otherwise)
            & provider.by_value.get(action.provider, provider.otherwise)
            & namespace.by_value.get(action.namespace, namespace.otherwise)
            & tenant.by_value.get(action.tenant, tenant.otherwise)
        )


def _choice(needed: Sequence[frozenset[str] | None]) -> _Choice:
    otherwise = 0
    asked: dict[str, int] = {}
    for number, values in enumerate(needed):
        if values is None:
            otherwise |= 1 << number
        else:
            for value in values:
                asked[value] = asked.get(value, 0) | 1 << number
    return _Choice({value: rules | otherwise for value, rules in asked.items()}, otherwise)


def _needed_values(condition: Expression) -> dict[str, frozenset[str]]:
    """Return the values that members of the action must have for `condition` to matter."""
    needed: dict[str, frozenset[str]] = {}
    for item in _leading(condition):
        comparison = _comparison(item)
        if comparison is None:
            break  # What comes after something that may fail must not be relied on.
        member, values = comparison
        needed[member] = needed[member] & values if member in needed else values
    return needed


def _leading(condition: Expression) -> Iterator[Expression]:
    """Yield what must be true for `condition` to be true, in the order of evaluation."""
    pending = [condition]
    while pending:
        current = pending.pop()
        match current:
            case All(items):
                pending.extend(reversed(items))
            case Binary(BinaryOperator.AND, left, right):
                pending += (right, left)
            case _:
                yield current


def _comparison(item: Expression) -> tuple[str, frozenset[str]] | None:
    """Return the member of the action that `item` compares with constants, and these."""
    match item:
        case Binary(
            BinaryOperator.EQUAL, Field(Name("action"), member), Literal() as constant
        ) | Binary(BinaryOperator.EQUAL, Literal() as constant, Field(Name("action"), member)) if (
            member in _MEMBERS
        ):
            return member, _texts((constant,))
        case Binary(BinaryOperator.IN, Field(Name("action"), member), ListOf(items)) if (
            member in _MEMBERS and all(isinstance(choice, Literal) for choice in items)
        ):
            return member, _texts(items)
        case _:
            return None


def _texts(items: Sequence[Expression]) -> frozenset[str]:
    """Return the texts among constants; the members are texts and equal nothing else."""
    return frozenset(
        item.value for item in items if isinstance(item, Literal) and isinstance(item.value, str)
    )
