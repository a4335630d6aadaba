"""Remembering which members of a group have an action, for its further dispatches."""

import logging
from collections.abc import Mapping
from typing import Final

from attrs import frozen

from acteon.core import Action, MalformedError, Tasks, decode_json, encode_json
from acteon.executor import Progress
from acteon.gateway.asking import bounded
from acteon.gateway.settings import OnUnknown
from acteon.provider import GroupProvider, MemberEnd, Settled
from acteon.state import StateError, StateKey, StateStore, escape

log = logging.getLogger(__name__)

GROUP: Final = "group"


@frozen
class GroupMemory:
    """Keeps, by the action's id, what is settled for the members of a group.

    It is written when an action did not reach all of them, so that whoever sends the action again
    does not send it twice to those who have it.

    Attributes:
        store: Where.
        tasks: Run what must not be cut off.
        on_unknown: Whether a member counts as settled when nobody knows how its call ended.
    """

    store: StateStore
    tasks: Tasks
    on_unknown: OnUnknown

    async def recall(self, group: GroupProvider, action: Action) -> Mapping[str, Settled]:
        """Return what is settled for members of `group`, by their names.

        Raises:
            StateError: It cannot be read.
        """
        value = await self.store.get(_key(group, action))
        if value is None:
            return {}
        try:
            return {str(name): Settled(how) for name, how in decode_json(value.encode()).items()}
        except (AttributeError, MalformedError, ValueError):
            log.error(
                "what was kept of a group's members cannot be read: all of them are called",
                extra={"acteon.provider": group.name, "acteon.action_id": action.id},
            )
            return {}

    async def keep(self, group: GroupProvider, action: Action, progress: Progress) -> None:
        """Note what is settled by now, if that is not everything; never fails.

        It goes on if the caller is cancelled.
        """
        # What is settled stays so: of a fallback's unknown end, nothing else is known by now.
        settled = {
            **progress.settled,
            **{end.member: how for end in progress.known if (how := self._settled(group, end))},
        }
        whole = sum(how is Settled.DELIVERED for how in settled.values()) == len(group.members)
        if settled == progress.settled or (whole and not progress.settled):
            return
        await self.tasks.complete(self._write(group, action, {} if whole else settled))

    async def _write(
        self, group: GroupProvider, action: Action, settled: Mapping[str, Settled]
    ) -> None:
        key = _key(group, action)
        try:
            if settled:
                value = encode_json(dict(settled)).decode()
                await self.store.set(key, value, ttl=group.config.remember)
            else:
                await self.store.delete(key)
        except StateError as error:
            # What became of the action is known already, and stays.
            log.error(
                "which members of a group have an action could not be kept",
                extra={
                    "acteon.provider": group.name,
                    "acteon.action_id": action.id,
                    "acteon.error": str(error),
                },
            )

    def _settled(self, group: GroupProvider, end: MemberEnd) -> Settled | None:
        if end.delivered:
            return Settled.DELIVERED
        if not end.doubtful or self.on_unknown is OnUnknown.RELEASE:
            return None
        member = group.member(end.by or end.member)
        repeatable = self.on_unknown is OnUnknown.AUTO and member is not None and member.idempotent
        return None if repeatable else Settled.UNKNOWN


def _key(group: GroupProvider, action: Action) -> StateKey:
    name = bounded(f"{escape(group.name)}:{action.id}")
    return StateKey(action.namespace, action.tenant, GROUP, name)
