"""What would become of an action, without doing it."""

from datetime import timedelta
from typing import Any, Literal

from attrs import define, field, frozen

from acteon.core import Action, Clock, Throttled, new_id
from acteon.gateway.asking import claim_key, quota_of, state_keys, whole_seconds
from acteon.gateway.errors import RouteNotFoundError, RuleFailedError, StateFailedError
from acteon.gateway.pipeline import MAX_READS
from acteon.gateway.settings import GatewaySettings
from acteon.provider import ProviderRegistry
from acteon.rules import Decision, EvaluationError, RuleSet, StateNotReadError, StateRead
from acteon.state import Began, Begin, Claimed, Quota, StateError, StateKey, Trips

ExpectedOutcome = Literal[
    "executed", "deduplicated", "suppressed", "rerouted", "throttled", "failed", "in_progress"
]


@frozen(kw_only=True)
class Preview:
    """What would become of an action that was dispatched now.

    Attributes:
        verdict: What the rules decide.
        matched_rule: The rule that decides, if one does.
        would_be_provider: Who would be called; None if nobody would.
        outcome: How it would end, if the provider took the call; `in_progress` while another
            one with its key is being delivered.
        retry_after: With `throttled`: when the quota opens again.
    """

    verdict: str
    matched_rule: str | None
    would_be_provider: str | None
    outcome: ExpectedOutcome
    retry_after: timedelta | None = None

    def as_json(self) -> dict[str, Any]:
        """Return the preview as JSON has it."""
        wait = self.retry_after
        members = {
            "matched_rule": self.matched_rule,
            "outcome": self.outcome,
            "retry_after": None if wait is None else _wait_json(wait),
            "verdict": self.verdict,
            "would_be_provider": self.would_be_provider,
        }
        return {"DryRun": members}


def _wait_json(wait: timedelta) -> Any:
    return Throttled(wait).as_json()["Throttled"]["retry_after"]


@define(eq=False)
class Previewer:
    """Looks without touching: takes no lock, writes, counts and records nothing."""

    trips: Trips
    providers: ProviderRegistry
    settings: GatewaySettings
    clock: Clock
    _token: str = field(factory=new_id, init=False)

    async def preview(self, action: Action, rules: RuleSet) -> Preview:
        """Return what would become of `action`.

        Raises:
            GatewayError: What a dispatch would raise.
        """
        decision = await self._decide(action, rules)
        route = decision.route
        provider = action.provider if route is None else route.target
        outcome: ExpectedOutcome
        if decision.refused:
            return self._say(decision, None, "suppressed")
        if route is not None and provider not in self.providers:
            raise RouteNotFoundError(provider)
        outcome = "executed" if route is None else "rerouted"
        if provider not in self.providers:
            outcome = "failed"
        claim = claim_key(action, decision)
        quota = quota_of(action, decision)
        if claim is None and quota is None:
            return self._say(decision, provider, outcome)
        began = await self._peek(claim=claim, quotas=() if quota is None else (quota,))
        if began.claim is Claimed.DONE:
            return self._say(decision, None, "deduplicated")
        if began.claim is Claimed.PENDING:
            return self._say(decision, None, "in_progress")
        if began.claim is Claimed.UNKNOWN:
            return self._say(decision, None, "failed")
        if began.refused is not None:
            return self._say(decision, None, "throttled", whole_seconds(began.refused[1]))
        return self._say(decision, provider, outcome)

    def _say(
        self,
        decision: Decision,
        provider: str | None,
        outcome: ExpectedOutcome,
        retry_after: timedelta | None = None,
    ) -> Preview:
        return Preview(
            verdict=decision.verdict,
            matched_rule=decision.rule,
            would_be_provider=provider,
            outcome=outcome,
            retry_after=retry_after,
        )

    async def _decide(self, action: Action, rules: RuleSet) -> Decision:
        values: dict[StateRead, str | None] = {}
        for _ in range(MAX_READS):
            try:
                return rules.decide(action, now=self.clock.now(), state=values)
            except StateNotReadError as needed:
                reads = tuple(read for read in needed.reads if read not in values)
                began = await self._peek(reads=state_keys(action, reads))
                values.update(zip(reads, began.values, strict=True))
            except EvaluationError as error:
                raise RuleFailedError(error) from None
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
