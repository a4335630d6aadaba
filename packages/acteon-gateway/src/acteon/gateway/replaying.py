"""Past actions, sent again: from what the audit trail kept of them."""

from collections.abc import Collection, Sequence
from typing import Final

from attrs import frozen

from acteon.audit import UNENCODABLE, AuditRecord, atoms, is_administrative
from acteon.core import Action, ActionOutcome, Failed, Reader, WireError
from acteon.gateway.errors import GatewayError
from acteon.gateway.preview import Preview
from acteon.gateway.records import REDACTED

REPLAYED_FROM: Final = "replayed_from"
"""The label of a replayed action that names the one it repeats."""

_ANYTHING: Final = Reader(object, ())
_LABELS: Final = Reader(dict[str, str], ())


class NotReplayableError(GatewayError):
    """What a record tells cannot be sent again."""

    code = "NOT_REPLAYABLE"


class PayloadMissingError(NotReplayableError):
    """The record has no payload: it was not kept, could not be written down, or was erased."""

    code = "PAYLOAD_MISSING"


class PayloadRedactedError(NotReplayableError):
    """Something in the record's payload or labels was blotted out."""

    code = "PAYLOAD_REDACTED"


@frozen(kw_only=True)
class Replayed:
    """What became of one record that was to be sent again.

    Attributes:
        action_id: The action's id, as the record has it.
        new_action_id: The id under which it was sent; None if it was not.
        result: What became of that, or would; an error if there is no outcome, or if it was not
            sent.
    """

    action_id: str
    new_action_id: str | None = None
    result: ActionOutcome | Preview | GatewayError

    @property
    def sent(self) -> bool:
        """Whether it was sent, or would be: whether the record could be."""
        return not isinstance(self.result, NotReplayableError)

    @property
    def success(self) -> bool:
        """Whether it was sent and did not fail: it may have been held back by a rule."""
        match self.result:
            case Failed() | GatewayError():
                return False
            case Preview(outcome=outcome):
                return outcome != Failed.tag
            case _:
                return True

    @property
    def outcome(self) -> str | None:
        """The name of the outcome, if there is one."""
        match self.result:
            case GatewayError():
                return None
            case Preview(outcome=outcome):
                return outcome
            case outcome:
                return outcome.tag

    @property
    def error(self) -> tuple[str, str] | None:
        """The code and the text of what went wrong, if anything did."""
        match self.result:
            case GatewayError() as error:
                return error.code, str(error)
            case Failed(code=code, message=message):
                return code, message
            case _:
                return None


@frozen
class Repetition:
    """What is to be sent again, in this order, and what is not.

    Attributes:
        items: The record's action id, with the new action, or why there is none; oldest first.
    """

    items: tuple[tuple[str, Action | NotReplayableError], ...]

    @property
    def actions(self) -> tuple[Action, ...]:
        """What is to be sent."""
        return tuple(item for _, item in self.items if isinstance(item, Action))

    @classmethod
    def of(cls, records: Sequence[AuditRecord], placeholders: Collection[str]) -> "Repetition":
        """Return what repeats `records`; of several of one action, the newest alone is sent.

        Args:
            records: In any order.
            placeholders: The texts that stand for what was blotted out.
        """
        in_order = sorted(records, key=lambda record: (record.dispatched_at, record.id))
        newest = {_name(record): record.id for record in in_order}
        items: list[tuple[str, Action | NotReplayableError]] = []
        for record in in_order:
            item: Action | NotReplayableError
            try:
                if newest[_name(record)] != record.id:
                    raise NotReplayableError("a newer record of the same action is sent instead")
                item = repeated(record, placeholders)
            except NotReplayableError as error:
                item = error
            items.append((record.action_id, item))
        return cls(tuple(items))

    def told(
        self, results: Sequence[ActionOutcome | Preview | GatewayError], *, sent: bool
    ) -> tuple[Replayed, ...]:
        """Return what became of each item, given the results of `actions` in their order."""
        left = iter(results)
        return tuple(
            Replayed(
                action_id=action_id,
                new_action_id=item.id if sent else None,
                result=next(left),
            )
            if isinstance(item, Action)
            else Replayed(action_id=action_id, result=item)
            for action_id, item in self.items
        )


def repeated(record: AuditRecord, placeholders: Collection[str]) -> Action:
    """Return the action of `record` under a new id, with a label that says what it repeats.

    What the record does not have, such as its deduplication key, the new action does not have.

    Raises:
        NotReplayableError: The record does not tell enough of it.
    """
    if is_administrative(record):
        raise NotReplayableError("the record tells of no dispatch")
    payload = record.action_payload
    if payload is None:
        raise PayloadMissingError("the record has no payload: it was not kept, or was erased")
    if payload == UNENCODABLE:
        raise PayloadMissingError("the record has no payload: it could not be written as JSON")
    try:
        content, labels = _ANYTHING.read(payload), _LABELS.read(record.metadata)
    except WireError as error:
        raise NotReplayableError(f"the record cannot be read: {error}") from None
    if _tells_of_redaction(record) or any(
        atom in placeholders for whole in (content, labels) for atom in atoms(whole)
    ):
        raise PayloadRedactedError("the record is redacted: what was blotted out is not known")
    return Action(
        namespace=record.namespace,
        tenant=record.tenant,
        provider=record.provider,
        action_type=record.action_type,
        payload=content,
        metadata={**labels, REPLAYED_FROM: record.action_id},
    )


def _tells_of_redaction(record: AuditRecord) -> bool:
    try:
        details: object = _ANYTHING.read(record.verdict_details)
    except WireError:
        return False
    return isinstance(details, dict) and REDACTED in details


def _name(record: AuditRecord) -> tuple[str, str, str]:
    return record.namespace, record.tenant, record.action_id
