"""What a condition is made of: the clauses that must all be true."""

from collections.abc import Iterator

from acteon.rules import Rule
from acteon.rules.expression import All, Binary, BinaryOperator, Expression, Foreign, Name
from acteon.rules.walking import parts


def clauses(condition: Expression) -> Iterator[Expression]:
    """Yield the clauses that `condition` is true with, all of them, from left to right."""
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


def implied(condition: Expression) -> Iterator[Expression]:
    """Yield the clauses of `condition`, and what else is known to hold whenever it is true."""
    for clause in clauses(condition):
        yield clause
        if isinstance(clause, Foreign):
            yield from clause.program.requires


def identity(clause: Expression, rule: Rule) -> str:
    """Return what two clauses have in common that always give the same.

    Not equality, for which true is 1.
    """
    told = any(part == Name("time") or isinstance(part, Foreign) for part in parts(clause))
    return f"{clause!r}@{rule.timezone}" if told else repr(clause)
