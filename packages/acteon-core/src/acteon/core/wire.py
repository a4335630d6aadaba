"""The wire format: JSON in, JSON out.

Reading is strict where leniency would lose or change something: it refuses `NaN`, lone
surrogates, invalid UTF-8, numbers beyond what a double or 300 digits can hold, a field given
twice, and nesting deeper than 127 levels. Unknown fields are ignored.
"""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, Generic, TypeVar, cast

import msgspec

from acteon.core.action import Action
from acteon.core.errors import InvalidError, MalformedError
from acteon.core.outcome import ActionOutcome

T = TypeVar("T")

MAX_DEPTH = 127

UNENCODABLE = "[UNENCODABLE]"
"""Stands for what JSON cannot say."""

# A string that never ends counts as one, too: tried again at each of its quotes, one small body
# would take hours.
_STRINGS = re.compile(rb'"(?:[^"\\]|\\.)*+(?:"|\\?\Z)', re.DOTALL)
_UNBRACKETED = re.compile(rb"[^\[\]{}]+")
_ESCAPED_ASCII = re.compile(rb"\\u00[2-7]")
_TOO_LARGE = ("Integer value out of range", "Number out of range")
_encode_sorted = msgspec.json.Encoder(order="sorted").encode


def encode_json(value: Any) -> bytes:
    """Return `value` as compact JSON with sorted keys, as UTF-8.

    Raises:
        InvalidError: `value` holds what JSON cannot say.
    """
    try:
        return _encode_sorted(value)
    except (TypeError, ValueError, UnicodeEncodeError, OverflowError, RecursionError) as error:
        raise InvalidError(f"cannot be written as JSON: {error}") from None


def decode_json(body: bytes) -> Any:
    """Return what the JSON text `body` says.

    Raises:
        MalformedError: It is no JSON.
    """
    return Reader(object, ()).read(body)


class Reader(Generic[T]):
    """Reads JSON texts of one shape.

    Args:
        shape: What a text is to be: an attrs class, a list of one, ….
        fields: The names of the members that may be given once only.
        max_depth: How deep a text may be nested.
    """

    def __init__(
        self, shape: type[T], fields: Sequence[str], *, max_depth: int = MAX_DEPTH
    ) -> None:
        self._decoder: msgspec.json.Decoder[T] = (
            msgspec.json.Decoder() if shape is object else msgspec.json.Decoder(shape)
        )
        self._fields = frozenset(fields)
        self._max_depth = max_depth
        self._quoted = tuple(f'"{name}"'.encode() for name in fields)

    def read(self, body: bytes) -> T:
        """Return what `body` says.

        Raises:
            MalformedError: It is no JSON.
            InvalidError: It is JSON of another shape.
        """
        if body.count(b"[") + body.count(b"{") > self._max_depth:
            _check_depth(body, self._max_depth)
        try:
            # What the decoder skips it does not look at, so that bad UTF-8 would pass there.
            if not body.isascii():
                body.decode()
            value = self._decoder.decode(body)
        except UnicodeDecodeError as error:
            raise MalformedError(f"invalid UTF-8 at byte {error.start}") from None
        except msgspec.ValidationError as error:
            kind = MalformedError if str(error).startswith(_TOO_LARGE) else InvalidError
            raise kind(_place(str(error))) from None
        except (msgspec.DecodeError, RecursionError) as error:
            raise MalformedError(_place(str(error))) from None
        if self._quoted and self._may_repeat(body):
            self._check_duplicates(body)
        return value

    def _may_repeat(self, body: bytes) -> bool:
        """Return whether a field may be given twice; cheap, and wrong on the safe side only."""
        if b"\\u00" in body and _ESCAPED_ASCII.search(body):
            return True
        count = body.count
        for quoted in self._quoted:  # noqa: SIM110 - every action pays for a generator
            if count(quoted) > 1:
                return True
        return False

    def _check_duplicates(self, body: bytes) -> None:
        """Raise if a field is given twice in the outermost object or in one directly in a list."""
        # Only the keys matter; numbers may be longer than Python's own limit.
        document: object = json.loads(
            body, object_pairs_hook=_Pairs, parse_int=str, parse_float=str
        )
        items = cast("list[object]", document) if type(document) is list else [document]
        for item in items:
            if isinstance(item, _Pairs):
                seen: set[str] = set()
                for name, _ in item:
                    if name in self._fields and name in seen:
                        raise InvalidError(f"duplicate field `{name}`")
                    seen.add(name)


class _Pairs(list[tuple[str, Any]]):
    """The members of a JSON object, each as often as it was given."""


def _check_depth(body: bytes, limit: int) -> None:
    depth = 0
    for bracket in _UNBRACKETED.sub(b"", _STRINGS.sub(b"", body)):
        if bracket in b"[{":
            depth += 1
            if depth > limit:
                raise MalformedError(f"nested more than {limit} levels deep")
        else:
            depth -= 1


def _place(text: str) -> str:
    """Return a decoder's text with its path as clients expect it."""
    return text.replace(" - at `$.", " at `").replace(" - at `$", " at `")


_FIELDS = (
    "id",
    "namespace",
    "tenant",
    "provider",
    "action_type",
    "payload",
    "metadata",
    "dedup_key",
    "created_at",
)
_action_reader = Reader(Action, _FIELDS)
_actions_reader = Reader(list[Action], _FIELDS)
_item_reader = Reader(Action, _FIELDS, max_depth=MAX_DEPTH - 1)
_split = msgspec.json.Decoder(list[msgspec.Raw]).decode


def read_action(body: bytes) -> Action:
    """Return the action that the JSON text `body` describes; raises as `Reader.read` does."""
    return _action_reader.read(body)


def read_actions(body: bytes) -> list[Action]:
    """Return the actions that the JSON list `body` describes; one bad one refuses them all."""
    # Read one by one, good ones need none of the slower checks that a list as a whole does: their
    # members' names are found once in each, and few brackets. The whole tells where a bad one is.
    try:
        return [_item_reader.read(bytes(item)) for item in _split(body)]
    except (MalformedError, InvalidError, msgspec.DecodeError, RecursionError):
        return _actions_reader.read(body)


def write_outcome(outcome: ActionOutcome) -> bytes:
    """Return `outcome` as JSON; never fails, see `encode_told`."""
    return encode_told(outcome.as_json())


def encode_told(value: Any) -> bytes:
    """Return `value` as `encode_json` does; what JSON cannot say is replaced instead of refused.

    For what others have made and must be told all the same, such as providers' answers and
    errors: a delivery that took place must not look failed because of a text in its answer.
    """
    try:
        return encode_json(value)
    except InvalidError:
        try:
            return encode_json(_sayable(value))
        except (InvalidError, RecursionError):
            return encode_json(UNENCODABLE)


def _sayable(value: Any) -> Any:
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, str):
        return value.encode(errors="replace").decode()
    if isinstance(value, Mapping):
        members = cast("Mapping[object, object]", value)
        return {_sayable(str(name)): _sayable(member) for name, member in members.items()}
    if isinstance(value, list | tuple):
        return [_sayable(item) for item in cast("Sequence[object]", value)]
    return UNENCODABLE
