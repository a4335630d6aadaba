"""What the writers of rules are told, once, about actions that their rules were not written for."""

import logging
from typing import Final

from attrs import define, field

from acteon.gateway.records import Story
from acteon.rules import RuleSet
from acteon.state import Quota, StateError

log = logging.getLogger(__name__)

_MOST: Final = 1_000
"""How many entries are told of that cannot be counted in."""


@define(eq=False)
class Advice:
    """Tells about each rule once, and again when there are other rules."""

    _rules: RuleSet | None = field(default=None, init=False)
    _told: set[str] = field(factory=set[str], init=False)
    _uncountable: set[str] = field(factory=set[str], init=False)

    def let_through(self, story: Story, quota: Quota, error: StateError) -> None:
        """Note that `quota` cannot be counted in: its throttle lets everything through."""
        story.note("throttle_error", str(error))
        key = quota.key.text
        if key in self._uncountable or len(self._uncountable) == _MOST:
            return
        self._uncountable.add(key)
        log.warning(
            "a throttle cannot count and lets everything through: "
            "correct or delete the entry of the state store",
            extra={"acteon.key": key, "acteon.error": str(error)},
        )

    def without_key(self, story: Story, rule: str, rules: RuleSet) -> None:
        """Note that `rule` of `rules` deduplicates an action that has no key for that.

        Its id stands for the key, so that only the very same action is a duplicate: seldom what
        was meant, and with ids that the gateway makes, never.
        """
        story.note("deduplicated_by", "id")
        if rules is not self._rules:
            self._rules = rules
            self._told.clear()
        if rule in self._told:
            return
        self._told.add(rule)
        log.warning(
            "an action without dedup_key met a rule that deduplicates: its id counts as the key; "
            "send a dedup_key that is the same for all that are to go out once",
            extra={"acteon.rule": rule, "acteon.action_id": story.action.id},
        )
