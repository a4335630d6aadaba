"""The operations on the table that everything else is made of."""

from collections.abc import Generator, Iterable, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final
from uuid import uuid4

from attrs import frozen
from botocore.exceptions import BotoCoreError, ClientError

from acteon.core import Clock
from acteon.state import StateBackendError, StateKey
from acteon.state_dynamodb.calls import Calls
from acteon.state_dynamodb.errors import UNMET, is_unmet, reasons_of, translated
from acteon.state_dynamodb.items import Item, Layout, live, milliseconds
from acteon.state_dynamodb.writes import Write

AT_ONCE: Final = 100
"""How many items DynamoDB reads in one call."""


@frozen
class Written:
    """How a conditional write went.

    Attributes:
        done: Whether the condition held.
        item: What the write returns if it did; otherwise what was found instead, if anything.
    """

    done: bool
    item: Item


@frozen
class Table:
    """The table, seen as items.

    Attributes:
        calls: How it is reached; open, and its owner's.
        layout: Where things are in it.
        clock: Decides what has expired: DynamoDB's conditions know no time of their own.
    """

    calls: Calls
    layout: Layout
    clock: Clock

    @property
    def name(self) -> str:
        """What DynamoDB calls it."""
        return self.calls.config.table_name

    def now(self) -> int:
        """Return the milliseconds since 1970."""
        return milliseconds(self.clock.now())

    def crowded(self, address: Item) -> StateBackendError:
        """Return the error of who did not get at the item at `address` for all the others."""
        return StateBackendError(
            f"{self.calls.config.where}: the item {address['pk']['S']!r} {address['sk']['S']!r}"
            " changes all the time"
        )

    async def get(self, address: Item) -> Item | None:
        """Return the item at `address` unless there is none, or it has expired."""
        request = {"TableName": self.name, "Key": address, "ConsistentRead": True}
        with self._translating():
            answer = await self.calls.call("get_item", request, repeatable=True)
        return live(answer.get("Item"), self.now())

    async def get_many(self, keys: Iterable[StateKey]) -> dict[StateKey, Item]:
        """Return those entries of `keys` that there are."""
        wanted = {_place(address): key for key in keys for address in [self.layout.entry(key)]}
        places = list(wanted)
        found: dict[StateKey, Item] = {}
        while places:
            asked, places = places[:AT_ONCE], places[AT_ONCE:]
            addresses = [{"pk": {"S": pk}, "sk": {"S": sk}} for pk, sk in asked]
            request = {"RequestItems": {self.name: {"Keys": addresses, "ConsistentRead": True}}}
            with self._translating():
                answer = await self.calls.call("batch_get_item", request, repeatable=True)
            now = self.now()
            for item in answer["Responses"].get(self.name, ()):
                if live(item, now):
                    found[wanted[_place(item)]] = item
            left = answer.get("UnprocessedKeys", {}).get(self.name, {}).get("Keys", ())
            if len(left) == len(asked):
                raise StateBackendError(f"{self.calls.config.where}: it is too busy to read")
            places += [_place(address) for address in left]
        return found

    async def write(self, write: Write) -> Written:
        """Make `write`; atomic."""
        operation = f"{write.kind.lower()}_item"
        request = {"TableName": self.name, **write.request, "ReturnValues": write.returns}
        with self._translating():
            try:
                answer = await self.calls.call(operation, request, repeatable=write.repeatable)
            except ClientError as error:
                if not is_unmet(error):
                    raise
                found: Mapping[str, Any] = error.response
                return Written(False, found.get("Item", {}))
        return Written(True, answer.get("Attributes", {}))

    async def write_all(self, writes: Sequence[Write]) -> list[Written]:
        """Make all of `writes`, or none if a condition does not hold; atomic.

        Returns:
            How each went. None was made unless all are done; those conditions that held are told
            as done all the same.
        """
        if len(writes) == 1:
            return [await self.write(writes[0])]
        request = {
            "TransactItems": [
                {one.kind: {"TableName": self.name, **one.request}} for one in writes
            ],
            # So that it is carried out once only, though its answer may be lost.
            "ClientRequestToken": str(uuid4()),
        }
        with self._translating():
            try:
                await self.calls.call("transact_write_items", request, repeatable=True)
            except ClientError as error:
                if not is_unmet(error):
                    raise
                return [
                    Written(reason.get("Code") != UNMET, reason.get("Item", {}))
                    for reason in reasons_of(error)
                ]
        return [Written(True, {})] * len(writes)

    @contextmanager
    def _translating(self) -> Generator[None]:
        try:
            yield
        except (ClientError, BotoCoreError, TimeoutError) as error:
            raise translated(error, self.calls.config.where) from error


def _place(address: Item) -> tuple[str, str]:
    return address["pk"]["S"], address["sk"]["S"]
