"""Finding the rules that can match an action without asking each of them.

Most conditions begin with comparisons such as `action.action_type == "email"`. They cannot fail,
so a rule whose first ones are false need not be looked at: it would neither match nor raise.

Rules that compare the same fields form a group, in which those with the same values form a bucket:
one look-up in a table finds all rules of a group that are possible for an action. So the cost
follows the groups and the rules that are possible, not the rules that exist.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import product
from operator import attrgetter
from typing import Any, Final

from attrs import define, field, frozen

from acteon.core import Action
from acteon.rules.expression import (
    All,
    Binary,
    BinaryOperator,
    Exists,
    Expression,
    Field,
    Foreign,
    ListOf,
    Literal,
    Name,
    Unary,
    UnaryOperator,
)
from acteon.rules.values import MAX_ITEMS

_SMALL: Final = 3
"""Smaller groups are asked one by one: that takes no longer than looking them up."""
_MAX_BUCKETS: Final = 32
"""A rule may be in so many buckets of its group, as `in` gives a field several values."""
_MAX_CACHED: Final = 200_000
"""So many places in plans are kept; beyond that they are worked out again."""

Path = tuple[str, ...]
"""What a comparison looks at: `("tenant",)`, `("payload", "kind")`, `("metadata", "team")`."""

_MEMBERS: Final = ("action_type", "provider", "namespace", "tenant")
_MAPS: Final = ("payload", "metadata")


class _Unsure:
    """Stands for a value about which a look-up says nothing: the whole group must be asked."""


_UNSURE: Final = _Unsure()
_PLAIN: Final = frozenset({type(None), bool, int, float, list, dict})

_Read = Callable[[Action, Any], Any]


@frozen
class _Group:
    """Rules that compare the same fields with texts.

    Attributes:
        read: Gives the key of an action's bucket, or `_UNSURE`.
        buckets: For each key the number of the bucket; they differ from those of other groups.
        whole: The number of the bucket of all rules of the group.
    """

    read: _Read
    buckets: Mapping[Any, int]
    whole: int


@define(eq=False)
class RuleIndex:
    """Which of many rules can match an action; rules are known by their numbers, from 0.

    Attributes:
        sees_payload: Whether an action with another payload may meet other rules.
    """

    sees_payload: bool
    _groups: tuple[_Group, ...]
    _buckets: tuple[tuple[int, ...], ...]
    _always: tuple[int, ...]
    _all: tuple[int, ...]
    _plans: dict[tuple[int, ...], tuple[int, ...]] = field(
        factory=dict[tuple[int, ...], tuple[int, ...]], init=False
    )
    _cached: int = field(default=0, init=False)

    @classmethod
    def of(cls, needed: Mapping[int, Mapping[Path, frozenset[str]]]) -> "RuleIndex":
        """Return the index of some rules.

        Args:
            needed: For the number of each, in order, what `needed_values` says.
        """
        by_fields: dict[tuple[Path, ...], list[int]] = {}
        for number, values in needed.items():
            by_fields.setdefault(_fields(values), []).append(number)
        always: list[int] = []
        groups: list[_Group] = []
        buckets: list[tuple[int, ...]] = [()]
        for fields, numbers in by_fields.items():
            if not fields or len(numbers) < _SMALL:
                always += numbers
                continue
            found: dict[Any, list[int]] = {}
            for number in numbers:
                for key in product(*(sorted(needed[number][path]) for path in fields)):
                    found.setdefault(key[0] if len(key) == 1 else key, []).append(number)
            keys = {key: len(buckets) + place for place, key in enumerate(found)}
            buckets += [tuple(bucket) for bucket in found.values()]
            groups.append(_Group(_reader(fields), keys, len(buckets)))
            buckets.append(tuple(numbers))
        sees_payload = any(path[0] == "payload" for fields in by_fields for path in fields)
        return cls(
            sees_payload, tuple(groups), tuple(buckets), tuple(sorted(always)), tuple(needed)
        )

    def possible(self, action: Action, payload: Any) -> tuple[int, ...]:
        """Return the rules that can match `action` with that payload, or fail on it, in order."""
        if payload.__class__ is not dict:
            return self._all  # Reading a member of it fails, so that every rule may matter.
        hits: list[int] = []
        for group in self._groups:
            key = group.read(action, payload)
            hits.append(group.whole if key is _UNSURE else group.buckets.get(key, 0))
        which = tuple(hits)
        plan = self._plans.get(which)
        return self._planned(which) if plan is None else plan

    def _planned(self, which: tuple[int, ...]) -> tuple[int, ...]:
        plan = tuple(
            sorted([*self._always, *(rule for hit in which for rule in self._buckets[hit])])
        )
        if self._cached > _MAX_CACHED:
            self._plans.clear()
            self._cached = 0
        self._plans[which] = plan
        self._cached += len(plan) + 1
        return plan


def _fields(values: Mapping[Path, frozenset[str]]) -> tuple[Path, ...]:
    """Return the fields by which a rule is found: all, unless that would be too many buckets."""
    chosen: list[Path] = []
    buckets = 1
    for path in sorted(values, key=lambda path: (len(values[path]), path)):
        buckets *= max(1, len(values[path]))
        if buckets > _MAX_BUCKETS:
            break
        chosen.append(path)
    return tuple(sorted(chosen))


def _reader(fields: Sequence[Path]) -> _Read:
    """Return a function that gives the key of an action: a text, or one for each of the fields."""
    readers = [_field_reader(path) for path in fields]
    if len(readers) == 1:
        return readers[0]

    def read(action: Action, payload: Any) -> Any:
        key = tuple([reader(action, payload) for reader in readers])
        return _UNSURE if _UNSURE in key else key

    return read


def _field_reader(path: Path) -> _Read:
    match path:
        case ("payload", name):

            def read_payload(_: Action, payload: Any) -> Any:
                value = payload.get(name)
                if value.__class__ is str:
                    return value
                return None if value.__class__ in _PLAIN else _UNSURE

            return read_payload
        case ("metadata", name):
            return lambda action, _: action.metadata.get(name)
        case _:
            get = attrgetter(path[0])
            return lambda action, _: get(action)


def needed_values(condition: Expression) -> dict[Path, frozenset[str]]:
    """Return the values that fields of the action must have for `condition` to matter.

    While a field has another value, the condition is false and, with a map for a payload, cannot
    fail.
    """
    needed: dict[Path, frozenset[str]] = {}
    for item in _leading(condition):
        comparisons = item.program.requires if isinstance(item, Foreign) else (item,)
        for comparison in comparisons:
            compared = _comparison(comparison)
            if compared is not None:
                path, values = compared
                needed[path] = needed[path] & values if path in needed else values
        if not _never_fails(item):
            break  # What comes after something that may fail must not be relied on.
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


def _comparison(item: Expression) -> tuple[Path, frozenset[str]] | None:
    """Return the field that `item` compares with texts, and these."""
    match item:
        case Binary(BinaryOperator.EQUAL, left, Literal() as constant) | Binary(
            BinaryOperator.EQUAL, Literal() as constant, left
        ):
            items: Sequence[Expression] = (constant,)
        case Binary(BinaryOperator.IN, left, ListOf(items)):
            pass
        case _:
            return None
    path = _path(left)
    if path is None:
        return None
    texts: list[str] = []
    for each in items:
        if isinstance(each, Literal) and isinstance(each.value, str):
            texts.append(each.value)
        elif not isinstance(each, Literal) or path[0] in _MAPS:
            return None  # It may be something else than a text; the other members never are.
    return path, frozenset(texts)


def _path(expression: Expression) -> Path | None:
    """Return the field that `expression` is, if reading it cannot fail."""
    match expression:
        case Field(Name("action"), name) if name in _MEMBERS:
            return (name,)
        case Field(Field(Name("action"), owner), name) if owner in _MAPS:
            return (owner, name)
        case _:
            return None


_HARMLESS: Final = (BinaryOperator.EQUAL, BinaryOperator.NOT_EQUAL, BinaryOperator.IN)


def _never_fails(item: Expression) -> bool:
    """Return whether `item` has a value for every action whose payload is a map."""
    match item:
        case Literal():
            return True
        case Binary(operator, left, right) if operator in _HARMLESS:
            constant = (
                isinstance(right, ListOf)
                and len(right.items) <= MAX_ITEMS
                and all(isinstance(each, Literal) for each in right.items)
            )
            if operator is BinaryOperator.IN:
                return constant and _is_safe(left)
            # Two values of the action may hold too much to be compared.
            return _is_safe(left) and (constant or isinstance(right, Literal))
        case Unary(UnaryOperator.NOT, operand):
            return _never_fails(operand)
        case Exists(operand):
            return _path(operand) is not None
        case _:
            return _is_safe(item)


def _is_safe(expression: Expression) -> bool:
    return isinstance(expression, Literal) or _path(expression) is not None
