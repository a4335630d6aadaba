"""Telling why an action would become what it would become, rule by rule, without doing it."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from functools import partial
from typing import Any

import anyio
import anyio.to_thread
from attrs import define, field, frozen

from acteon.core import Action, Clock, format_instant
from acteon.gateway.asking import claim_key
from acteon.gateway.compiling import RuleCompiler
from acteon.gateway.errors import GatewayError, RouteNotFoundError, RuleFailedError
from acteon.gateway.pipeline import shaped
from acteon.gateway.preview import Preview, Previewer
from acteon.rules import Decision, Explanation, Rule, RuleSet, StateValues, explain


@frozen(kw_only=True)
class Evaluation:
    """What the rules decide about an action, why, and what would become of it.

    Attributes:
        explanation: The decision, and what each rule had to do with it.
        now: The instant at which conditions were evaluated.
        rules_version: Tells the rules from others.
        preview: What would become of the action; None if the dispatch would raise `error`.
        error: What the dispatch would raise, if it would.
        claim_key: The key of the claim that it would have to hold, if any.
        payload: What its provider would get; None if nobody would be called.
        warnings: What is odd about the rules, if they were given for this.
    """

    explanation: Explanation
    now: datetime
    rules_version: str
    preview: Preview | None = None
    error: GatewayError | None = None
    claim_key: str | None = None
    payload: Any = field(default=None, repr=False)
    warnings: tuple[str, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """Return the evaluation as JSON has it."""
        told = self.explanation.as_json()
        return {
            "rules_version": self.rules_version,
            "now": format_instant(self.now),
            "decision": told["decision"],
            "would_be": self._would_be(),
            "rules": told["rules"],
            "warnings": list(self.warnings),
        }

    def _would_be(self) -> dict[str, Any]:
        preview, error = self.preview, self.error
        wait = None if preview is None else preview.retry_after
        return {
            "outcome": "error" if preview is None else preview.outcome,
            "provider": None if preview is None else preview.would_be_provider,
            "payload": self.payload,
            "claim_key": self.claim_key,
            "retry_after_seconds": None if wait is None else int(wait.total_seconds()),
            "error": None if error is None else str(error),
            "code": None if error is None else error.code,
        }


@define(eq=False)
class Explainer:
    """Explains one action at a time, in a thread: with many rules that takes its time."""

    previewer: Previewer
    compiler: RuleCompiler
    clock: Clock
    _limiter: anyio.CapacityLimiter = field(factory=lambda: anyio.CapacityLimiter(1), init=False)

    async def explain(
        self,
        action: Action,
        rules: RuleSet,
        *,
        instead: Iterable[Rule] | None,
        now: datetime | None,
        state: StateValues | None,
        environment: Mapping[str, str | None] | None,
    ) -> Evaluation:
        """Return why `rules`, or others `instead`, decide what they decide about `action`.

        Args:
            action: What would be dispatched.
            rules: Those in force.
            instead: Rules that are compiled for this.
            now: The instant that conditions see; None: the present one.
            state: Entries that count in place of those in the store.
            environment: Variables that count in place of those configured; None: not there.

        Raises:
            RuleParseError: The rules `instead` cannot be compiled.
            GatewayError: The state store failed.
        """
        moment = now or self.clock.now()
        warnings: tuple[str, ...] = ()
        if instead is not None or environment:
            chosen = rules.rules if instead is None else tuple(instead)
            compile_them = partial(self.compiler.having(environment or {}).compile, chosen)
            rules, odd = await anyio.to_thread.run_sync(compile_them, limiter=self._limiter)
            warnings = () if instead is None else tuple(problem.located for problem in odd)

        async def ask(values: StateValues) -> tuple[Explanation, str]:
            return await anyio.to_thread.run_sync(
                partial(_explained, rules, action, moment, values), limiter=self._limiter
            )

        explanation, version = await self.previewer.with_state(action, ask, state)
        preview: Preview | None = None
        error: GatewayError | None = None
        key: str | None = None
        payload: Any = None
        decision = explanation.decision
        if decision is None:
            error = RuleFailedError(explanation.error)
        else:
            key = _key(action, decision)
            try:
                preview = await self.previewer.of_decision(action, decision)
            except RouteNotFoundError as failure:
                error = failure
            else:
                if preview.would_be_provider is not None:
                    payload = shaped(action, decision).payload
        return Evaluation(
            explanation=explanation,
            now=moment,
            rules_version=version,
            preview=preview,
            error=error,
            claim_key=key,
            payload=payload,
            warnings=warnings,
        )


def _explained(
    rules: RuleSet, action: Action, now: datetime, state: StateValues
) -> tuple[Explanation, str]:
    return explain(rules, action, now=now, state=state), rules.version


def _key(action: Action, decision: Decision) -> str | None:
    key = claim_key(action, decision)
    return None if key is None else key.id
