"""Dispatches begun and settled in batches: one call of a function in the database for each."""

from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any, Final, TypeVar

from attrs import define, field

from acteon.state import (
    Began,
    Begin,
    Claimed,
    DispatchState,
    Settle,
    StateError,
    StateKey,
    StateSerializationError,
    read_claim,
)
from acteon.state_postgres.connections import Connections
from acteon.state_postgres.layout import Layout
from acteon.state_postgres.texts import (
    array,
    is_storable,
    microseconds,
    name_of,
    number,
    text_array,
)

T = TypeVar("T")

_BEGIN: Final = "SELECT * FROM {begin}" + f"({', '.join(['%s'] * 11)})"
_SETTLE: Final = "SELECT * FROM {settle}" + f"({', '.join(['%s'] * 5)})"
_HELD: Final = Began()
_CLAIMED: Final = Began(claim=Claimed.OURS)


@define(eq=False)
class PostgresDispatch(DispatchState):
    """Dispatches in the tables of store and locks.

    Attributes:
        connections: Where statements run; they stay their owner's.
        layout: The names of the functions.
    """

    connections: Connections
    layout: Layout
    _begin: bytes = field(init=False, repr=False)
    _settle: bytes = field(init=False, repr=False)

    def __attrs_post_init__(self) -> None:
        self._begin = self.layout.statement(_BEGIN)
        self._settle = self.layout.statement(_SETTLE)

    async def begin(self, batch: Sequence[Begin]) -> list[Began]:
        sound = [wanted for wanted in batch if is_storable(wanted.token)]
        if len(sound) < len(batch):
            answers = iter(await self.begin(sound) if sound else ())
            broken = Began(error=_not_storable("token"))
            return [next(answers) if is_storable(one.token) else broken for one in batch]
        asked = _Asked(batch)
        (row,) = await self.connections.run(self._begin, asked.parameters())
        return asked.answers(*row)

    async def settle(self, batch: Sequence[Settle]) -> Sequence[bool | StateError]:
        sound = [wanted for wanted in batch if _is_sound(wanted)]
        if len(sound) < len(batch):
            answers = iter(await self.settle(sound) if sound else ())
            broken = _not_storable("token or instant")
            return [next(answers) if _is_sound(one) else broken for one in batch]
        parameters = (
            text_array([one.token for one in batch]),
            text_array([None if one.lock is None else name_of(one.lock) for one in batch]),
            text_array([None if one.claim is None else name_of(one.claim.text) for one in batch]),
            text_array([one.text for one in batch]),
            array([microseconds(one.ttl) for one in batch]),
        )
        ((settled,),) = await self.connections.run(self._settle, parameters)
        return [True] * len(batch) if settled is None else settled


class _Asked:
    """A batch of begins as the function takes it, and its answers as they are wanted."""

    def __init__(self, batch: Sequence[Begin]) -> None:
        self._batch = batch
        self._reads: dict[StateKey, int] = {}
        self._quotas: dict[StateKey, int] = {}
        self._windows: list[timedelta] = []
        self._uses: list[tuple[int, int, int]] = []
        for place, wanted in enumerate(batch, 1):
            for key in wanted.reads:
                self._reads.setdefault(key, len(self._reads))
            for quota in wanted.quotas:
                if quota.key not in self._quotas:
                    self._quotas[quota.key] = len(self._quotas) + 1
                    self._windows.append(quota.window)
                self._uses.append((place, self._quotas[quota.key], number(quota.limit)))

    def parameters(self) -> tuple[str, ...]:
        batch, uses = self._batch, self._uses
        return (
            text_array([one.token for one in batch]),
            array([microseconds(one.lease) for one in batch]),
            text_array([None if one.lock is None else name_of(one.lock) for one in batch]),
            text_array([None if one.claim is None else name_of(one.claim.text) for one in batch]),
            "{" + ",".join(["t" if one.peek else "f" for one in batch]) + "}",
            text_array([name_of(key.text) for key in self._quotas]),
            array([microseconds(window) for window in self._windows]),
            array([place for place, _, _ in uses]),
            array([quota for _, quota, _ in uses]),
            array([limit for _, _, limit in uses]),
            text_array([name_of(key.text) for key in self._reads]),
        )

    def answers(
        self,
        busy: Sequence[int | None] | None,
        standing: Sequence[str | None] | None,
        standing_left: Sequence[int | None] | None,
        refused: Sequence[int | None] | None,
        refused_left: Sequence[int | None] | None,
        uncountable: Sequence[bool] | None,
        values: Sequence[str | None] | None,
    ) -> list[Began]:
        """Return the answers that the function's row means; see its definition."""
        if not (busy or standing or uncountable or values):
            return [_HELD if wanted.claim is None else _CLAIMED for wanted in self._batch]
        of = _picker(len(self._batch))
        columns = zip(
            self._batch,
            of(busy),
            of(standing),
            of(standing_left),
            of(refused),
            of(refused_left),
            of(uncountable),
            strict=True,
        )
        return [self._answer(values or (), *column) for column in columns]

    def _answer(
        self,
        read: Sequence[str | None],
        wanted: Begin,
        busy: int | None,
        standing: str | None,
        standing_left: int | None,
        refused: int | None,
        refused_left: int | None,
        uncountable: bool | None,
    ) -> Began:
        if busy is not None:
            return Began(busy=timedelta(microseconds=busy))
        values = tuple([read[self._reads[key]] for key in wanted.reads])
        if standing is not None:
            return _standing(standing, standing_left, wanted.token, values)
        error = _uncountable() if uncountable else None
        if refused is not None:
            left = timedelta(microseconds=refused_left or 0)
            return Began(refused=(refused, left), quota_error=error, values=values)
        claim = Claimed.NONE if wanted.claim is None else Claimed.OURS
        return Began(claim=claim, quota_error=error, values=values)


def _standing(
    text: str, microseconds_left: int | None, token: str, values: tuple[str | None, ...]
) -> Began:
    """Return the answer to who wants the claim that another one has, or had."""
    try:
        claim, detail = read_claim(text, token)
    except StateSerializationError as error:
        return Began(error=error)
    if claim is Claimed.PENDING and microseconds_left is not None:
        detail = str(microseconds_left // 1000 + 1)
    return Began(claim=claim, detail=detail, values=values)


def _picker(count: int) -> Callable[[Sequence[Any] | None], Sequence[Any]]:
    """Return what gives `count` answers where there is none as a whole."""
    nothing = (None,) * count
    return lambda column: nothing if column is None else column


def _is_sound(settle: Settle) -> bool:
    return is_storable(settle.token) and is_storable(settle.instant)


def _not_storable(what: str) -> StateSerializationError:
    return StateSerializationError(
        f"expected a {what} of UTF-8 without NUL characters, found something else"
    )


def _uncountable() -> StateSerializationError:
    return StateSerializationError("expected a count, found something else")
