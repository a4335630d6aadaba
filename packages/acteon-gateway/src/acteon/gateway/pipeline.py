"""The one way of an action: decide, admit, execute, settle, record."""

import asyncio
import logging
from collections.abc import Mapping
from typing import Any, Final

from attrs import define, evolve, field

from acteon.audit import AuditTrail
from acteon.core import (
    Action,
    ActionOutcome,
    Caller,
    Clock,
    Executed,
    Failed,
    ProviderResponse,
    Rerouted,
    format_instant,
)
from acteon.executor import Certainty, Execution, Executor, Progress
from acteon.gateway.admission import Admission, Lease
from acteon.gateway.advice import Advice
from acteon.gateway.asking import bounded, claim_key, quota_of, state_keys
from acteon.gateway.errors import GatewayError, LockError, RuleFailedError, StateFailedError
from acteon.gateway.groups import GroupMemory
from acteon.gateway.metrics import GatewayMetrics
from acteon.gateway.outage import Outage
from acteon.gateway.places import Place
from acteon.gateway.records import Story, hiding_of, make_record
from acteon.gateway.refusals import held_back, provider_of, refused_by
from acteon.gateway.settings import GatewaySettings, OnStoreError, OnUnknown
from acteon.provider import (
    GroupProvider,
    MemberEnd,
    ProviderRegistry,
    RegisteredProvider,
    Settled,
)
from acteon.rules import (
    Decision,
    EvaluationError,
    RuleSet,
    StateNotReadError,
    StateRead,
    merge_patch,
)
from acteon.state import (
    Began,
    Ending,
    StateError,
    StateSerializationError,
    StateTimeoutError,
    lock_name,
)

log = logging.getLogger(__name__)

MAX_READS: Final = 100
"""How often the rules may ask for more state before a decision is given up."""


@define(eq=False)
class Pipeline:
    """Takes actions through rules, admission, delivery and record, one `dispatch` for each."""

    admission: Admission
    providers: ProviderRegistry
    executor: Executor
    groups: GroupMemory
    trail: AuditTrail | None
    settings: GatewaySettings
    metrics: GatewayMetrics
    clock: Clock
    _advice: Advice = field(factory=Advice, init=False)

    async def dispatch(
        self, action: Action, caller: Caller, rules: RuleSet, place: Place | None = None
    ) -> ActionOutcome:
        """Return what became of `action`, which stands at `place` if it is one of a batch.

        Raises:
            GatewayError: It reached no outcome; nothing was delivered.
        """
        metrics = self.metrics
        metrics.dispatched += 1
        story = Story(action, caller, self.clock.now(), self.clock.monotonic(), place)
        try:
            outcome = await self._through(story, rules)
        except GatewayError as error:
            metrics.errors[error.code] += 1
            # Of an outage the store's failure is told once, not that of each dispatch.
            level = logging.DEBUG if _told(error, self.admission.outage) else logging.WARNING
            log.log(
                level,
                "a dispatch reached no outcome",
                extra={
                    "acteon.action_id": action.id,
                    "acteon.code": error.code,
                    "acteon.error": self._hidden(story, str(error)),
                },
            )
            await self._record(story, _failure(error))
            raise
        except asyncio.CancelledError:
            metrics.errors["CANCELLED"] += 1
            await self._record(story, _cancelled(story.progress))
            raise
        else:
            metrics.ended(outcome)
            trail = self.trail
            if trail is not None:
                record = make_record(story, outcome, trail, self.clock)
                if not trail.take(record):
                    await trail.record(record)
            return outcome
        finally:
            metrics.durations.observe(self.clock.monotonic() - story.started)

    def _hidden(self, story: Story, text: str) -> str:
        """Return `text` as logs may have it: without what the audit trail blots out."""
        return text if self.trail is None else hiding_of(story, self.trail)(text)

    async def _record(self, story: Story, outcome: Failed) -> None:
        if self.trail is not None:
            await self.trail.record(make_record(story, outcome, self.trail, self.clock))

    async def _through(self, story: Story, rules: RuleSet) -> ActionOutcome:
        """Decide without any trip if the rules can; go on under the lock only if there is need."""
        action = story.action
        deadline = story.started + self.settings.patience.total_seconds()
        provider: RegisteredProvider | Failed | None = None
        reads: tuple[StateRead, ...] = ()
        try:
            story.decision = self._decide(story, rules, None)
        except StateNotReadError as needed:
            reads = needed.reads
        else:
            refusal = held_back(story.decision)
            if refusal is not None:
                return refusal
            provider = provider_of(self.providers, action, story.decision)
            if isinstance(provider, Failed):
                return provider
        name = lock_name(action.namespace, action.tenant, bounded(action.id))
        try:
            lease = self.admission.try_enter(name, story.place) or await self.admission.enter(
                name, deadline, story.place
            )
        except StateTimeoutError as error:
            raise LockError(error) from None
        ending = Ending.RELEASE
        try:
            if story.decision is None:
                story.decision = await self._decide_on_state(story, rules, lease, deadline, reads)
                refusal = held_back(story.decision)
                if refusal is not None:
                    return refusal
                provider = provider_of(self.providers, action, story.decision)
                if isinstance(provider, Failed):
                    return provider
            assert isinstance(provider, RegisteredProvider)
            claim = story.decision.claim
            if claim is not None and claim.key is None and action.dedup_key is None:
                self._advice.without_key(story, claim.rule, rules)
            refusal = await self._admit(story, story.decision, lease, deadline)
            if refusal is not None:
                return refusal
            as_wanted = shaped(action, story.decision)
            story.progress = Progress(give_up=lambda: lease.lost)
            group = provider.provider if isinstance(provider.provider, GroupProvider) else None
            if group is not None:
                story.progress.settled = await self._recalled(group, action)
            try:
                execution = await self.executor.execute(provider, as_wanted, story.progress)
            except BaseException:
                # Cancelled, or worse: how the claim ends depends on how far the delivery had come.
                if story.progress.in_doubt:
                    # It may be the fallback that was being called.
                    called = self.providers.get(story.progress.called, provider)
                    ending = self._unknown_ending(called)
                if group is not None:
                    await self.groups.keep(group, action, story.progress)
                raise
            ending = self._ending(provider, execution)
            if group is not None:
                await self.groups.keep(group, action, story.progress)
            return _outcome(story, provider, execution)
        finally:
            claim = story.decision.claim if story.decision is not None else None
            self.admission.leave(
                lease,
                ending,
                ttl=claim.ttl if claim is not None else None,
                instant=format_instant(self.clock.now()) if ending is Ending.UNKNOWN else "",
            )

    def _decide(
        self, story: Story, rules: RuleSet, values: dict[StateRead, str | None] | None
    ) -> Decision:
        try:
            decision = rules.decide(story.action, now=story.dispatched_at, state=values)
        except EvaluationError as error:
            if error.rule:
                self.metrics.rule_errors[error.rule] += 1
                story.note("rule_errors", [{"rule": error.rule, "error": str(error)}])
            raise RuleFailedError(error) from None
        self.metrics.decided(decision)
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
        except StateSerializationError as error:
            raise StateFailedError(error) from None
        except StateError as error:
            raise (StateFailedError(error) if locked_before else LockError(error)) from None
        self._check_lock(began)
        refusal = refused_by(began, self.settings.lease)
        if refusal is not None:
            return refusal
        if began.quota_error is not None and quota is not None:
            if self.settings.on_store_error is OnStoreError.DENY:
                raise StateFailedError(began.quota_error)
            self._advice.let_through(story, quota, began.quota_error)
        return None

    async def _recalled(self, group: GroupProvider, action: Action) -> Mapping[str, Settled]:
        try:
            return await self.groups.recall(group, action)
        except StateError as error:
            raise StateFailedError(error) from None

    def _check_lock(self, began: Began) -> None:
        if began.busy is not None:
            raise LockError(StateTimeoutError(self.settings.patience))

    def _ending(self, provider: RegisteredProvider, execution: Execution) -> Ending:
        match execution.certainty:
            case Certainty.DELIVERED:
                return Ending.DONE
            case Certainty.NOT_DELIVERED:
                return Ending.RELEASE
            case Certainty.UNKNOWN:
                # It may be the fallback's.
                return self._unknown_ending(self.providers.get(execution.provider, provider))

    def _unknown_ending(self, provider: RegisteredProvider) -> Ending:
        match self.settings.on_unknown:
            case OnUnknown.RELEASE:
                return Ending.RELEASE
            case OnUnknown.KEEP:
                return Ending.UNKNOWN
            case OnUnknown.AUTO:
                return Ending.RELEASE if provider.idempotent else Ending.UNKNOWN


def shaped(action: Action, decision: Decision) -> Action:
    """Return `action` as its provider gets it."""
    route = decision.route
    payload = decision.payload if decision.modified else action.payload
    if route is not None and route.changes:
        payload = merge_patch(payload, route.changes)
    return action if payload is action.payload else evolve(action, payload=payload)


def _outcome(story: Story, provider: RegisteredProvider, execution: Execution) -> ActionOutcome:
    result = execution.result
    if execution.fallback is not None:
        story.note(
            "fallback",
            {"from": provider.name, "to": execution.provider, "error": execution.fallback},
        )
    if execution.members:
        story.note("members", [_member(end) for end in execution.members])
    if not isinstance(result, ProviderResponse):
        return result
    routed = story.decision is not None and story.decision.route is not None
    if execution.fallback is None and not routed:
        return Executed(result)
    return Rerouted(story.action.provider, execution.provider, result)


def _member(end: MemberEnd) -> dict[str, Any]:
    """Return what the audit trail tells of one member of a group."""
    return {name: value for name, value in end.as_json().items() if name != "response"}


def _failure(error: GatewayError) -> Failed:
    return Failed(code=error.code, message=str(error), retryable=error.retryable, attempts=0)


def _cancelled(progress: Progress | None) -> Failed:
    return Failed(
        code="CANCELLED",
        message="the caller went away before the outcome was known",
        retryable=False,
        attempts=0 if progress is None else progress.attempts,
    )


def _told(error: GatewayError, outage: Outage) -> bool:
    """Return whether `error` is a part of an outage, which was told."""
    if outage.failing is None or not isinstance(error, StateFailedError | LockError):
        return False
    # That others hold the lock for long is no failure of the store.
    return error.reason.retryable and not isinstance(error.reason, StateTimeoutError)
