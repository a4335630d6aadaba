"""The one way of an action: decide, admit, execute, settle, record."""

import asyncio
from datetime import timedelta
from typing import Final

from attrs import define, evolve

from acteon.audit import AuditTrail
from acteon.core import (
    Action,
    ActionOutcome,
    Caller,
    Clock,
    Deduplicated,
    Executed,
    Failed,
    ProviderResponse,
    Rerouted,
    Suppressed,
    Throttled,
    format_instant,
)
from acteon.executor import Certainty, Execution, Executor
from acteon.gateway.admission import Admission, Lease
from acteon.gateway.asking import (
    bounded,
    claim_key,
    quota_of,
    state_keys,
    whole_seconds,
)
from acteon.gateway.errors import (
    GatewayError,
    InProgressError,
    LockError,
    RouteNotFoundError,
    RuleFailedError,
    StateFailedError,
)
from acteon.gateway.metrics import GatewayMetrics
from acteon.gateway.records import Story, make_record
from acteon.gateway.settings import GatewaySettings, OnStoreError, OnUnknown
from acteon.provider import ProviderRegistry, RegisteredProvider
from acteon.rules import (
    Decision,
    EvaluationError,
    RuleSet,
    StateNotReadError,
    StateRead,
    merge_patch,
)
from acteon.state import Began, Claimed, Ending, StateError, StateTimeoutError, lock_name

MAX_READS: Final = 8
"""How often the rules may ask for more state before a decision is given up."""


@define(eq=False)
class Pipeline:
    """Takes actions through rules, admission, delivery and record, one `dispatch` for each."""

    admission: Admission
    providers: ProviderRegistry
    executor: Executor
    trail: AuditTrail | None
    settings: GatewaySettings
    metrics: GatewayMetrics
    clock: Clock

    async def dispatch(self, action: Action, caller: Caller, rules: RuleSet) -> ActionOutcome:
        """Return what became of `action`.

        Raises:
            GatewayError: It reached no outcome; nothing was delivered.
        """
        metrics = self.metrics
        metrics.dispatched += 1
        story = Story(action, caller, self.clock.now(), self.clock.monotonic())
        try:
            outcome = await self._through(story, rules)
        except GatewayError as error:
            metrics.errors[error.code] += 1
            await self._record(story, _failure(error, story.attempts))
            raise
        except asyncio.CancelledError:
            metrics.errors["CANCELLED"] += 1
            await self._record(story, _CANCELLED)
            raise
        else:
            metrics.ended(outcome)
            await self._record(story, outcome)
            return outcome
        finally:
            metrics.durations.observe(self.clock.monotonic() - story.started)

    async def _record(self, story: Story, outcome: ActionOutcome) -> None:
        trail = self.trail
        if trail is not None:
            await trail.record(make_record(story, outcome, trail, self.clock))

    async def _through(self, story: Story, rules: RuleSet) -> ActionOutcome:
        """Decide without any trip if the rules can; go on under the lock only if there is need."""
        try:
            decision = self._decide(story, rules, None)
        except StateNotReadError as needed:
            return await self._under_lock(story, rules, needed.reads)
        story.decision = decision
        return _held_back(decision) or await self._under_lock(story, rules, ())

    async def _under_lock(
        self, story: Story, rules: RuleSet, reads: tuple[StateRead, ...]
    ) -> ActionOutcome:
        action = story.action
        deadline = story.started + self.settings.patience.total_seconds()
        provider: RegisteredProvider | Failed | None = None
        if story.decision is not None:
            provider = self._provider(action, story.decision)
            if isinstance(provider, Failed):
                return provider
        name = lock_name(action.namespace, action.tenant, bounded(action.id))
        try:
            lease = await self.admission.enter(name, deadline)
        except StateTimeoutError as error:
            raise LockError(error) from None
        stay = _Stay()
        try:
            if story.decision is None:
                story.decision = await self._decide_on_state(story, rules, lease, deadline, reads)
                refusal = _held_back(story.decision)
                if refusal is not None:
                    return refusal
                provider = self._provider(action, story.decision)
                if isinstance(provider, Failed):
                    return provider
            assert isinstance(provider, RegisteredProvider)
            refusal = await self._admit(story, story.decision, lease, deadline)
            if refusal is not None:
                return refusal
            return await self._deliver(story, story.decision, provider, stay)
        finally:
            claim = story.decision.claim if story.decision is not None else None
            await self.admission.leave(
                lease,
                stay.ending,
                ttl=claim.ttl if claim is not None else None,
                instant=format_instant(self.clock.now()) if stay.ending is Ending.UNKNOWN else "",
            )

    def _decide(
        self, story: Story, rules: RuleSet, values: dict[StateRead, str | None] | None
    ) -> Decision:
        try:
            decision = rules.decide(story.action, now=story.dispatched_at, state=values)
        except EvaluationError as error:
            if error.rule:
                self.metrics.rule_errors[error.rule] += 1
                story.notes["rule_errors"] = [{"rule": error.rule, "error": str(error)}]
            raise RuleFailedError(error) from None
        for rule, _ in decision.errors:
            self.metrics.rule_errors[rule] += 1
        return decision

    async def _decide_on_state(
        self,
        story: Story,
        rules: RuleSet,
        lease: Lease,
        deadline: float,
        reads: tuple[StateRead, ...],
    ) -> Decision:
        """Take the lock together with what the rules read, and decide."""
        values: dict[StateRead, str | None] = {}
        for _ in range(MAX_READS):
            keys = state_keys(story.action, reads)
            try:
                began = await self.admission.begin(lease, deadline, reads=keys)
            except StateError as error:
                raise LockError(error) from None
            self._check_lock(began)
            values.update(zip(reads, began.values, strict=True))
            try:
                return self._decide(story, rules, values)
            except StateNotReadError as needed:
                reads = tuple(read for read in needed.reads if read not in values)
        raise RuleFailedError("state access error: the rules ask for ever more entries")

    def _provider(self, action: Action, decision: Decision) -> RegisteredProvider | Failed:
        route = decision.route
        name = action.provider if route is None else route.target
        provider = self.providers.get(name)
        if provider is not None:
            return provider
        if route is not None:
            raise RouteNotFoundError(name)
        return Failed(
            code="PROVIDER_NOT_FOUND",
            message=f"provider not found: {name}",
            retryable=False,
            attempts=0,
        )

    async def _admit(
        self, story: Story, decision: Decision, lease: Lease, deadline: float
    ) -> ActionOutcome | None:
        """Take lock, claim and quota; return what became of the action if it may not run."""
        claim = claim_key(story.action, decision)
        quota = quota_of(story.action, decision)
        quotas = () if quota is None else (quota,)
        if lease.locked and claim is None and quota is None:
            return None
        locked_before = lease.locked
        try:
            began = await self.admission.begin(lease, deadline, claim=claim, quotas=quotas)
        except StateError as error:
            raise (StateFailedError(error) if locked_before else LockError(error)) from None
        self._check_lock(began)
        if began.claim is Claimed.PENDING:
            raise InProgressError(_time_left(began, self.settings.lease))
        if began.claim is Claimed.DONE:
            return Deduplicated()
        if began.claim is Claimed.UNKNOWN:
            return _delivery_unknown(began.detail)
        if began.refused is not None:
            return Throttled(whole_seconds(began.refused[1]))
        if began.quota_error is not None:
            if self.settings.on_store_error is OnStoreError.DENY:
                raise StateFailedError(began.quota_error)
            story.notes["throttle_error"] = str(began.quota_error)
        return None

    def _check_lock(self, began: Began) -> None:
        if began.busy is not None:
            raise LockError(StateTimeoutError(self.settings.patience))

    async def _deliver(
        self,
        story: Story,
        decision: Decision,
        provider: RegisteredProvider,
        stay: "_Stay",
    ) -> ActionOutcome:
        route = decision.route
        payload = decision.payload
        if route is not None and route.changes:
            payload = merge_patch(payload, route.changes)
        action = story.action
        if payload is not action.payload:
            action = evolve(action, payload=payload)
        # Until the provider has answered, nobody knows: so it is, too, if this is cancelled.
        stay.ending = self._unknown_ending(provider)
        execution = await self.executor.execute(provider, action)
        story.attempts = execution.attempts
        stay.ending = self._ending(provider, execution)
        result = execution.result
        if not isinstance(result, ProviderResponse):
            return result
        if route is None:
            return Executed(result)
        return Rerouted(story.action.provider, provider.name, result)

    def _ending(self, provider: RegisteredProvider, execution: Execution) -> Ending:
        match execution.certainty:
            case Certainty.DELIVERED:
                return Ending.DONE
            case Certainty.NOT_DELIVERED:
                return Ending.RELEASE
            case Certainty.UNKNOWN:
                return self._unknown_ending(provider)

    def _unknown_ending(self, provider: RegisteredProvider) -> Ending:
        match self.settings.on_unknown:
            case OnUnknown.RELEASE:
                return Ending.RELEASE
            case OnUnknown.KEEP:
                return Ending.UNKNOWN
            case OnUnknown.AUTO:
                return Ending.RELEASE if provider.idempotent else Ending.UNKNOWN


@define(eq=False)
class _Stay:
    """How the claim of a dispatch will end."""

    ending: Ending = Ending.RELEASE


_CANCELLED: Final = Failed(
    code="CANCELLED",
    message="the caller went away before the outcome was known",
    retryable=False,
    attempts=0,
)


def _held_back(decision: Decision) -> ActionOutcome | None:
    """Return the outcome of an action that needs neither lock nor store to be held back."""
    if decision.refused:
        return Suppressed(decision.rule or "")
    quota = decision.quota
    if quota is not None and quota.max_count == 0 and decision.claim is None:
        return Throttled(whole_seconds(quota.window))
    return None


def _failure(error: GatewayError, attempts: int) -> Failed:
    return Failed(code=error.code, message=str(error), retryable=error.retryable, attempts=attempts)


def _delivery_unknown(instant: str) -> Failed:
    return Failed(
        code="DELIVERY_UNKNOWN",
        message=f"an earlier action with this key may have been delivered: it ended {instant} "
        "without an answer",
        retryable=False,
        attempts=0,
    )


def _time_left(began: Began, lease: timedelta) -> timedelta:
    """Return when it is worth asking again: not before the holder's lease could be over."""
    left = timedelta(milliseconds=int(began.detail)) if began.detail.isdecimal() else lease
    return max(timedelta(seconds=1), min(whole_seconds(left), timedelta(seconds=5)))
