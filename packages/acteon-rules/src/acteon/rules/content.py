"""What rules say, piece by piece, so that equal rules can be told from others."""

from collections.abc import Iterator
from typing import Any

from attrs import evolve, fields

from acteon.rules.expression import Expression, Foreign, ListOf, MapOf
from acteon.rules.rule import Allow, Rule
from acteon.rules.walking import parts

_NOTHING = ListOf(())


def content_of(rule: Rule) -> Iterator[str]:
    """Yield all that `rule` says, but not where it was read; however deep its conditions are."""
    plain = evolve(rule, condition=_NOTHING, effect=Allow(), continues=False, source="", line=0)
    yield f"{plain!r} {rule.continues}"
    yield from _expression(rule.condition)
    yield type(rule.effect).__name__
    for attribute in fields(type(rule.effect)):
        value: object = getattr(rule.effect, attribute.name)
        if isinstance(value, Expression):
            yield from _expression(value)
        else:
            yield repr(value)


def _expression(expression: Expression) -> Iterator[str]:
    """Yield the parts in the order in which they stand, each with what it says itself."""
    for part in parts(expression):
        yield f"{type(part).__name__}{_own(part)!r}"


def _own(part: Expression) -> list[object]:
    """Return what `part` says besides the parts that it is made of; of several, how many."""
    if isinstance(part, Foreign):
        return [part.program]
    if isinstance(part, MapOf):
        return [name for name, _ in part.entries]
    values: list[Any] = [getattr(part, each.name) for each in fields(type(part))]
    return [
        len(value) if value.__class__ is tuple else value
        for value in values
        if not isinstance(value, Expression)
    ]
