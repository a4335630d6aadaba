"""Deciding about actions."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from enum import Enum
from typing import Any, Final, assert_never

from attrs import define, evolve, field, frozen

from acteon.core import Action
from acteon.rules.closures import Constant, Evaluate
from acteon.rules.compiler import Compiler
from acteon.rules.context import Context
from acteon.rules.decision import (
    Decision,
    MatchedRule,
    StateRead,
    StateValues,
    WantedClaim,
    WantedQuota,
    WantedRoute,
)
from acteon.rules.errors import EvaluationError, Problem, RuleError, RuleParseError
from acteon.rules.expression import StateCounter, StateGet, StateTimeSince
from acteon.rules.findings import expressions_of, find_problems
from acteon.rules.index import RuleIndex
from acteon.rules.merge import merge_patch
from acteon.rules.rule import (
    Allow,
    Deduplicate,
    Deny,
    Modify,
    Reroute,
    Rule,
    Suppress,
    Throttle,
)
from acteon.rules.stored import COUNTER, STATE
from acteon.rules.values import display
from acteon.rules.walking import parts

_MAX_PLANS: Final = 1024
_NOTHING_READ: Final[StateValues] = {}
_ALLOWED: Final = Decision()
_TOO_DEEP: Final = "values are nested too deeply"


class OnRuleError(Enum):
    """What follows when a rule cannot be evaluated."""

    FAIL = "fail"
    """The dispatch fails."""
    SKIP = "skip"
    """The rule is passed over as if it did not match."""
    DENY = "deny"
    """The action is refused."""


@frozen(eq=False)
class _CompiledRule:
    """A rule and what it takes to ask it.

    Attributes:
        rule: The rule, as it was written.
        condition: Tells whether it matches.
        key: Gives the key of its effect, if that has one.
        matched: What a decision says about it.
        alone: The decision if it is the one rule that matches; None if that depends on the action.
    """

    rule: Rule
    condition: Evaluate
    key: Evaluate | None
    matched: MatchedRule
    alone: Decision | None


@define(eq=False)
class _Gathered:
    """What the rules that matched so far have contributed."""

    payload: Any
    modified: bool = False
    refused: bool = False
    matched: tuple[MatchedRule, ...] = ()
    claim: WantedClaim | None = None
    quota: WantedQuota | None = None
    route: WantedRoute | None = None
    errors: tuple[tuple[str, str], ...] = ()


@frozen(eq=False, kw_only=True)
class RuleSet:
    """Rules, compiled and in order; made once, never changed, shared by all tasks.

    Attributes:
        rules: The rules in the order of evaluation, `enabled` as it is in effect.
        reads: The state entries that enabled rules read.
        warnings: What is odd about the rules.
    """

    rules: tuple[Rule, ...]
    reads: tuple[StateRead, ...]
    warnings: tuple[Problem, ...]
    _compiled: tuple[_CompiledRule, ...] = field(alias="compiled", repr=False)
    _index: RuleIndex = field(alias="index", repr=False)
    _enabled: int = field(alias="enabled", repr=False)
    _on_error: OnRuleError = field(alias="on_error")
    _plans: dict[int, tuple[_CompiledRule, ...]] = field(
        factory=dict[int, tuple[_CompiledRule, ...]], init=False, repr=False
    )

    @classmethod
    def compile(
        cls,
        rules: Iterable[Rule],
        *,
        on_error: OnRuleError = OnRuleError.FAIL,
        environment: Mapping[str, str] | None = None,
    ) -> "RuleSet":
        """Return the set of these rules.

        Args:
            rules: In the order of loading; those of equal priority keep it.
            on_error: What follows when one of them cannot be evaluated.
            environment: The variables that conditions can see.

        Raises:
            RuleParseError: Rules are nested too deeply; with a problem for each.
        """
        ordered = tuple(sorted(rules, key=lambda rule: rule.priority))
        variables = dict(environment or {})
        compiled: list[_CompiledRule] = []
        problems: list[Problem] = []
        for rule in ordered:
            try:
                compiled.append(_compile(rule, variables))
            except RuleError as error:
                problems.append(
                    Problem(message=str(error), file=rule.source, rule=rule.name, line=rule.line)
                )
        if problems:
            raise RuleParseError(tuple(problems), language="rule")
        conditions = [rule.condition for rule in compiled]
        warnings = find_problems(
            ordered, variables=variables, always=lambda number: _is_always_true(conditions[number])
        )
        return cls(
            rules=ordered,
            reads=_reads(ordered),
            warnings=tuple(warnings),
            compiled=tuple(compiled),
            index=RuleIndex.of([rule.condition for rule in ordered]),
            enabled=_enabled_bits(ordered),
            on_error=on_error,
        )

    def toggled(self, overrides: Mapping[str, bool]) -> "RuleSet":
        """Return the set with some rules switched on or off; nothing is compiled again.

        Args:
            overrides: Whether a rule is enabled, by name. Of several with one name the first in
                evaluation order is meant; names that no rule has are ignored.
        """
        pending = dict(overrides)
        rules = tuple(_switched(rule, pending.pop(rule.name, rule.enabled)) for rule in self.rules)
        return RuleSet(
            rules=rules,
            reads=_reads(rules),
            warnings=self.warnings,
            compiled=self._compiled,
            index=self._index,
            enabled=_enabled_bits(rules),
            on_error=self._on_error,
        )

    def decide(
        self, action: Action, *, now: datetime, state: StateValues | None = None
    ) -> Decision:
        """Return what the rules decide about `action`.

        Args:
            action: What is to be done.
            now: The instant that conditions see; aware.
            state: The entries that were read; None if none were.

        Raises:
            StateNotReadError: A rule that is asked needs an entry that `state` lacks.
            EvaluationError: A rule that is asked cannot be evaluated, and the set is to fail then.
        """
        payload = action.payload
        plan = self._plan(action) if self._enabled else ()
        if not plan:
            return _ALLOWED
        context = Context(
            action, payload, now, _NOTHING_READ if state is None else state, self.reads
        )
        gathered: _Gathered | None = None
        for asked in plan:
            try:
                if not asked.condition(context):
                    continue
                if gathered is None:
                    if asked.alone is not None:
                        return asked.alone
                    gathered = _Gathered(payload)
                _apply(asked, context, gathered)
            except (EvaluationError, RecursionError) as error:
                if self._on_error is OnRuleError.FAIL:
                    # Raised in this frame, which does not keep it: no cycle holds the payload.
                    if isinstance(error, EvaluationError):
                        error.rule = asked.rule.name
                        raise
                    raise _too_deep(asked.rule) from None
                text = _TOO_DEEP if isinstance(error, RecursionError) else str(error)
                if gathered is None:
                    gathered = _Gathered(payload)
                gathered.errors += ((asked.rule.name, text),)
                if self._on_error is OnRuleError.SKIP:
                    continue
                gathered.refused = True
                return _decision(gathered, "deny", asked.rule.name)
            if not asked.rule.continues:
                return _decision(gathered, asked.matched.verdict, asked.rule.name)
        if gathered is None:
            return _ALLOWED
        if not gathered.matched:
            return Decision(errors=gathered.errors)
        return _decision(gathered, gathered.matched[0].verdict, gathered.matched[0].rule)

    def _plan(self, action: Action) -> Sequence[_CompiledRule]:
        """Return the rules to ask about `action`, in order."""
        possible = self._index.possible(action) & self._enabled
        plan = self._plans.get(possible)
        if plan is None:
            if len(self._plans) >= _MAX_PLANS:
                self._plans.clear()
            plan = tuple(
                rule for number, rule in enumerate(self._compiled) if possible >> number & 1
            )
            self._plans[possible] = plan
        return plan


def _too_deep(rule: Rule) -> EvaluationError:
    error = EvaluationError(_TOO_DEEP)
    error.rule = rule.name
    return error


def _compile(rule: Rule, variables: Mapping[str, str]) -> _CompiledRule:
    compiler = Compiler(variables, rule.timezone)
    condition, *keys = [compiler.compile(expression) for expression in expressions_of(rule)]
    key = keys[0] if keys else None
    matched = MatchedRule(rule.name, rule.effect.verdict)
    alone = None
    if key is None and not rule.continues and not isinstance(rule.effect, Modify):
        gathered = _Gathered(None)
        _contribute(rule, None, gathered)
        gathered.matched = (matched,)
        alone = _decision(gathered, matched.verdict, rule.name)
    return _CompiledRule(rule, condition, key, matched, alone)


def _is_always_true(condition: Evaluate) -> bool:
    return isinstance(condition, Constant) and bool(condition.value)


def _enabled_bits(rules: Iterable[Rule]) -> int:
    return sum(1 << number for number, rule in enumerate(rules) if rule.enabled)


def _switched(rule: Rule, enabled: bool) -> Rule:
    return rule if rule.enabled is enabled else evolve(rule, enabled=enabled)


def _reads(rules: Iterable[Rule]) -> tuple[StateRead, ...]:
    """Return what enabled rules read, each entry once, in the order of the rules."""
    found: dict[StateRead, None] = {}
    for rule in rules:
        if rule.enabled:
            for expression in expressions_of(rule):
                for part in parts(expression):
                    match part:
                        case StateGet(id) | StateTimeSince(id):
                            found[StateRead(STATE, id)] = None
                        case StateCounter(id):
                            found[StateRead(COUNTER, id)] = None
                        case _:
                            pass
    return tuple(found)


def _apply(asked: _CompiledRule, context: Context, gathered: _Gathered) -> None:
    """Add what follows from a rule that matched; of every kind but modify the first counts."""
    effect = asked.rule.effect
    # All that may fail comes first, so that a rule contributes wholly or not at all.
    key = None if asked.key is None else display(asked.key(context))
    if isinstance(effect, Modify):
        gathered.payload = context.payload = merge_patch(context.payload, effect.changes)
        gathered.modified = True
    else:
        _contribute(asked.rule, key, gathered)
    gathered.matched += (asked.matched,)


def _contribute(rule: Rule, key: str | None, gathered: _Gathered) -> None:
    """Add what follows from `rule` whatever the action is."""
    effect = rule.effect
    match effect:
        case Allow() | Modify():
            pass
        case Deny() | Suppress():
            gathered.refused = True
        case Deduplicate():
            if gathered.claim is None:
                gathered.claim = WantedClaim(rule.name, key, effect.ttl)
        case Throttle():
            if gathered.quota is None:
                gathered.quota = WantedQuota(rule.name, key, effect.max_count, effect.window)
        case Reroute():
            if gathered.route is None:
                gathered.route = WantedRoute(rule.name, effect.target, effect.changes)
        case _:
            assert_never(effect)


def _decision(gathered: _Gathered, verdict: str, rule: str) -> Decision:
    """Return the decision; nothing is taken for an action that is refused."""
    taken = not gathered.refused
    return Decision(
        verdict=verdict,
        rule=rule,
        matched=gathered.matched,
        refused=gathered.refused,
        modified=gathered.modified,
        payload=gathered.payload if gathered.modified else None,
        claim=gathered.claim if taken else None,
        quota=gathered.quota if taken else None,
        route=gathered.route if taken else None,
        errors=gathered.errors,
    )
