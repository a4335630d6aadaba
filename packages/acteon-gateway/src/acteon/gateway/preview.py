"""What would become of an action, without doing it."""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any, Literal, TypeVar

from attrs import define, field, frozen

from acteon.core import Action, ActionOutcome, Clock, Failed, Throttled, new_id
from acteon.executor import Executor
from acteon.gateway.asking import claim_key, quota_of, state_keys
from acteon.gateway.errors import InProgressError, RuleFailedError, StateFailedError
from acteon.gateway.pipeline import MAX_READS
from acteon.gateway.refusals import decided_by, held_back, provider_of, refused_by
from acteon.gateway.settings import GatewaySettings, OnStoreError
from acteon.provider import ProviderRegistry
from acteon.rules import (
    Decision,
    EvaluationError,
    MatchedRule,
    RuleSet,
    StateNotReadError,
    StateRead,
    StateValues,
)
from acteon.state import Began, Begin, Quota, StateError, StateKey, Trips

T = TypeVar("T")


@frozen(kw_only=True)
class Preview:
    """What would become of an action that was dispatched now.

    Attributes:
        verdict: What the rules decide.
        matched_rule: The rule that decides, if one does.
        would_be_provider: Who would be called; None if nobody would.
        outcome: The name of the outcome, if the provider took the call; `in_progress` while
            another action with its key is being delivered, `failed` while its circuit is open and
            it has no fallback.
        retry_after: With `throttled`: when the quota opens again.
        shadowed: Rules that are only tried and would have matched.
    """

    verdict: str
    matched_rule: str | None
    would_be_provider: str | None
    outcome: str
    retry_after: timedelta | None = None
    shadowed: tuple[MatchedRule, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """Return the preview as JSON has it."""
        wait = self.retry_after
        members: dict[str, Any] = {
            "matched_rule": self.matched_rule,
            "outcome": self.outcome,
            "retry_after": None if wait is None else _wait_json(wait),
            "verdict": self.verdict,
            "would_be_provider": self.would_be_provider,
        }
        if self.shadowed:
            members["shadowed"] = [
                {"rule": rule, "verdict": verdict} for rule, verdict in self.shadowed
            ]
        return {"DryRun": members}


def _wait_json(wait: timedelta) -> Any:
    return Throttled(wait).as_json()["Throttled"]["retry_after"]


@define(eq=False)
class Previewer:
    """Looks without touching: takes no lock, writes, counts and records nothing."""

    trips: Trips
    providers: ProviderRegistry
    executor: Executor
    settings: GatewaySettings
    clock: Clock
    _token: str = field(factory=new_id, init=False)

    async def preview(self, action: Action, rules: RuleSet) -> Preview:
        """Return what would become of `action`.

        Raises:
            GatewayError: What a dispatch would raise.
        """
        return await self.of_decision(action, await self._decide(action, rules))

    async def of_decision(self, action: Action, decision: Decision) -> Preview:
        """Return what would become of `action` after `decision`.

        Raises:
            GatewayError: What a dispatch would raise.
        """
        outcome = held_back(decision)
        if outcome is not None:
            return self._say(decision, None, outcome)
        provider = provider_of(self.providers, action, decision)
        if isinstance(provider, Failed):
            return self._say(decision, action.provider, provider)
        claim = claim_key(action, decision)
        quota = quota_of(action, decision)
        if claim is not None or quota is not None:
            began = await self._peek(claim=claim, quotas=() if quota is None else (quota,))
            try:
                outcome = refused_by(began, self.settings.lease)
            except InProgressError:
                return self._say(decision, None, "in_progress")
            if outcome is not None:
                return self._say(decision, None, outcome)
            if began.quota_error and self.settings.on_store_error is OnStoreError.DENY:
                raise StateFailedError(began.quota_error)
        called = self.executor.would_call(provider)
        if called is None:
            return self._say(decision, provider.name, "failed")
        as_asked = decision.route is None and called is provider
        return self._say(decision, called.name, "executed" if as_asked else "rerouted")

    def _say(
        self,
        decision: Decision,
        provider: str | None,
        outcome: ActionOutcome | Literal["executed", "rerouted", "failed", "in_progress"],
    ) -> Preview:
        verdict, rule = decided_by(decision, outcome)
        return Preview(
            verdict=verdict,
            matched_rule=rule,
            would_be_provider=provider,
            outcome=outcome if isinstance(outcome, str) else outcome.tag,
            retry_after=outcome.retry_after if isinstance(outcome, Throttled) else None,
            shadowed=decision.shadowed,
        )

    async def _decide(self, action: Action, rules: RuleSet) -> Decision:
        now = self.clock.now()

        async def ask(values: StateValues) -> Decision:
            return rules.decide(action, now=now, state=values)

        try:
            return await self.with_state(action, ask)
        except EvaluationError as error:
            raise RuleFailedError(error) from None

    async def with_state(
        self,
        action: Action,
        ask: Callable[[StateValues], Awaitable[T]],
        given: StateValues | None = None,
    ) -> T:
        """Return what `ask` gives, with all entries that it wants to know of `action`'s tenant.

        Args:
            action: What is decided about.
            ask: Asks for entries that it lacks with `StateNotReadError`.
            given: Entries that count in place of those in the store.

        Raises:
            GatewayError: They cannot be read.
        """
        values: dict[StateRead, str | None] = dict(given or {})
        for _ in range(MAX_READS):
            try:
                return await ask(values)
            except StateNotReadError as needed:
                reads = tuple(read for read in needed.reads if read not in values)
                began = await self._peek(reads=state_keys(action, reads))
                values.update(zip(reads, began.values, strict=True))
        raise RuleFailedError("state access error: the rules ask for ever more entries")

    async def _peek(
        self,
        *,
        claim: StateKey | None = None,
        quotas: tuple[Quota, ...] = (),
        reads: tuple[StateKey, ...] = (),
    ) -> Began:
        wanted = Begin(
            token=self._token,
            lease=self.settings.lease,
            claim=claim,
            quotas=quotas,
            reads=reads,
            peek=True,
        )
        try:
            return await self.trips.begin(wanted)
        except StateError as error:
            raise StateFailedError(error) from None
