"""No operation takes long, whatever an action holds."""

from collections.abc import Callable
from typing import Any

import pytest

from acteon.rules import EvaluationError
from acteon.rules import values as v
from acteon.rules.values import MAX_ITEMS

TOO_MANY = r"^evaluation error: a list or map holds too many items"
ROOM = list(range(MAX_ITEMS))
HALVES = [ROOM[: MAX_ITEMS // 2 - 1], ROOM[: MAX_ITEMS // 2 - 1]]
MEMBERS = {str(number): number for number in ROOM}


OPERATIONS: list[Callable[[list[int]], Any]] = [
    lambda more: v.is_in(-1, [*ROOM, *more]),
    lambda more: v.contains([*ROOM, *more], -1.5),
    lambda more: v.is_in("x", ROOM * 20 + more),
    lambda more: v.equal([*ROOM, *more], [*ROOM, *more]),
    lambda more: v.equal([*HALVES, *more], [*HALVES, *more]),
    lambda more: v.equal(
        MEMBERS | dict.fromkeys(map(str, more), 1), MEMBERS | dict.fromkeys(map(str, more), 1)
    ),
    lambda more: v.display([*ROOM, *more]),
    lambda more: v.display([[*ROOM[1:], *more]]),
    lambda more: v.display(
        {"a": HALVES[0], "b": ROOM[: MAX_ITEMS // 2 - 1], **dict.fromkeys(map(str, more), 1)}
    ),
]


@pytest.mark.parametrize("operation", OPERATIONS)
def test_only_so_many_items_are_looked_at(operation: Callable[[list[int]], Any]) -> None:
    operation([])
    with pytest.raises(EvaluationError, match=TOO_MANY):
        operation([-7, -8])


def test_what_differs_in_length_is_not_looked_at() -> None:
    assert not v.equal(ROOM * 30, ROOM * 40)
    assert not v.equal(ROOM * 30, 5)
