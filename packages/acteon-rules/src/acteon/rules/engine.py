"""Deciding about actions."""

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any, Final, assert_never

from attrs import define, evolve, field, frozen

from acteon.core import Action
from acteon.rules.closures import Constant
from acteon.rules.compiler import Compiler
from acteon.rules.content import content_of
from acteon.rules.context import Context, Evaluate
from acteon.rules.decision import (
    Decision,
    MatchedRule,
    StateNotReadError,
    StateRead,
    StateValues,
    WantedClaim,
    WantedQuota,
    WantedRoute,
)
from acteon.rules.errors import EvaluationError, Problem, RuleError, RuleParseError
from acteon.rules.expression import (
    Expression,
    Foreign,
    StateCounter,
    StateGet,
    StateTimeSince,
)
from acteon.rules.findings import computed_by, expressions_of, find_problems
from acteon.rules.index import Path, RuleIndex, needed_values
from acteon.rules.merge import merge_patch
from acteon.rules.rule import (
    Allow,
    Deduplicate,
    Deny,
    Modify,
    OnRuleError,
    Reroute,
    Rule,
    Suppress,
    Throttle,
)
from acteon.rules.stored import COUNTER, STATE
from acteon.rules.values import display
from acteon.rules.walking import parts

_NOTHING_READ: Final[StateValues] = {}
_ALLOWED: Final = Decision()
_TOO_DEEP: Final = "values are nested too deeply"


@frozen(eq=False)
class _CompiledRule:
    """A rule and what it takes to ask it.

    Attributes:
        number: Its place among all rules.
        rule: The rule, as it was written.
        condition: Tells whether it matches.
        computed: Gives the key of its effect, or its changes, if they depend on the action.
        needed: What the fields of an action must be for it to matter.
        reads: The state entries that it reads, as far as they can be told beforehand.
        on_error: What follows when it cannot be evaluated.
        matched: What a decision says about it.
        alone: The decision if it is the one rule that matches; None if that depends on the action.
    """

    number: int
    rule: Rule
    condition: Evaluate
    computed: Evaluate | None
    needed: Mapping[Path, frozenset[str]]
    reads: tuple[StateRead, ...]
    on_error: OnRuleError
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
    shadowed: tuple[MatchedRule, ...] = ()


@frozen(eq=False, kw_only=True)
class RuleSet:
    """Rules, compiled and in order; made once, never changed, shared by all tasks.

    Attributes:
        rules: The rules in the order of evaluation, `enabled` as it is in effect.
        reads: The state entries that enabled rules read.
        warnings: What is odd about the rules.
        environment: The variables that conditions can see.
        on_error: What follows when a rule that does not say so itself cannot be evaluated.
    """

    rules: tuple[Rule, ...]
    reads: tuple[StateRead, ...]
    warnings: tuple[Problem, ...]
    environment: Mapping[str, str]
    on_error: OnRuleError
    _compiled: tuple[_CompiledRule, ...] = field(alias="compiled", repr=False)
    _index: RuleIndex = field(alias="index", repr=False)
    _versions: list[str] = field(factory=list[str], init=False, repr=False)

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
            environment: The variables that conditions can see; None: there are none, and that some
                are asked for is not odd.

        Raises:
            RuleParseError: Rules are nested too deeply; with a problem for each.
        """
        ordered = tuple(sorted(rules, key=lambda rule: rule.priority))
        variables = dict(environment or {})
        compiled: list[_CompiledRule] = []
        problems: list[Problem] = []
        for number, rule in enumerate(ordered):
            try:
                compiled.append(_compile(number, rule, variables, on_error))
            except RuleError as error:
                problems.append(
                    Problem(message=str(error), file=rule.source, rule=rule.name, line=rule.line)
                )
        if problems:
            raise RuleParseError(tuple(problems), language="rule")
        conditions = [rule.condition for rule in compiled]
        warnings = find_problems(
            ordered,
            variables=None if environment is None else variables,
            always=lambda number: _is_always_true(conditions[number]),
        )
        enabled = _enabled(ordered, compiled)
        return cls(
            rules=ordered,
            reads=_reads(enabled),
            warnings=tuple(warnings),
            environment=variables,
            on_error=on_error,
            compiled=tuple(compiled),
            index=_index(enabled),
        )

    def toggled(self, overrides: Mapping[str, bool]) -> "RuleSet":
        """Return the set with some rules switched on or off; nothing is compiled again.

        Args:
            overrides: Whether a rule is enabled, by name. Of several with one name the first in
                evaluation order is meant; names that no rule has are ignored.
        """
        pending = dict(overrides)
        rules = tuple(_switched(rule, pending.pop(rule.name, rule.enabled)) for rule in self.rules)
        enabled = _enabled(rules, self._compiled)
        return RuleSet(
            rules=rules,
            reads=_reads(enabled),
            warnings=self.warnings,
            environment=self.environment,
            on_error=self.on_error,
            compiled=self._compiled,
            index=_index(enabled),
        )

    @property
    def all_reads(self) -> tuple[StateRead, ...]:
        """The state entries that any rule reads, whether it is enabled or not."""
        return _reads(self._compiled)

    @property
    def version(self) -> str:
        """What tells this set from others: the same for the same rules, wherever they were read.

        Sixteen hexadecimal digits of the SHA-256 over all that the rules say, in order.
        """
        if not self._versions:
            digest = hashlib.sha256()
            for rule in self.rules:
                for piece in content_of(rule):
                    digest.update(piece.encode(errors="surrogatepass"))
                    digest.update(b"\0")
            self._versions.append(digest.hexdigest()[:16])
        return self._versions[0]

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
        plan = self._index.possible(action, payload)
        if not plan:
            return _ALLOWED
        compiled = self._compiled
        context = Context(
            action, payload, now, _NOTHING_READ if state is None else state, self.reads
        )
        gathered: _Gathered | None = None
        while plan:
            rest: tuple[int, ...] = ()
            for number in plan:
                asked = compiled[number]
                try:
                    if not asked.condition(context):
                        continue
                    if gathered is None:
                        if asked.alone is not None:
                            return asked.alone
                        gathered = _Gathered(payload)
                    _apply(asked, context, gathered)
                except StateNotReadError as needed:
                    if needed.reads[-1] in self.reads:
                        raise
                    # Its key depends on the action: what later rules need is asked for with it.
                    later = [compiled[each] for each in plan if each > number]
                    raise StateNotReadError(_needed(needed.reads, later, context)) from None
                except (EvaluationError, RecursionError) as error:
                    if asked.on_error is OnRuleError.FAIL:
                        # Raised in this frame, which does not keep it: no cycle holds the payload.
                        if isinstance(error, EvaluationError):
                            error.rule = asked.rule.name
                            raise
                        raise _too_deep(asked.rule) from None
                    text = _TOO_DEEP if isinstance(error, RecursionError) else str(error)
                    if gathered is None:
                        gathered = _Gathered(payload)
                    gathered.errors += ((asked.rule.name, text),)
                    if asked.on_error is OnRuleError.SKIP:
                        continue
                    gathered.refused = True
                    return _decision(gathered, "deny", asked.rule.name)
                if asked.rule.shadow:
                    continue
                if not asked.rule.continues:
                    return _decision(gathered, asked.matched.verdict, asked.rule.name)
                if self._index.sees_payload and isinstance(asked.rule.effect, Modify):
                    # With the changed payload other rules may be possible than before.
                    possible = self._index.possible(action, context.payload)
                    rest = tuple(each for each in possible if each > number)
                    break
            plan = rest
        if gathered is None:
            return _ALLOWED
        if not gathered.matched:
            return Decision(errors=gathered.errors, shadowed=gathered.shadowed)
        return _decision(gathered, gathered.matched[0].verdict, gathered.matched[0].rule)


def _needed(
    reads: tuple[StateRead, ...], later: Iterable[_CompiledRule], context: Context
) -> tuple[StateRead, ...]:
    """Return `reads`, and what the conditions of `later` rules need as well."""
    found = dict.fromkeys(reads)
    for each in later:
        try:
            each.condition(context)
        except StateNotReadError as needed:
            found.update(dict.fromkeys(needed.reads))
        except (EvaluationError, RecursionError):
            pass  # That is told when it is asked, if it is.
    return tuple(found)


def _too_deep(rule: Rule) -> EvaluationError:
    error = EvaluationError(_TOO_DEEP)
    error.rule = rule.name
    return error


def _compile(
    number: int, rule: Rule, variables: Mapping[str, str], on_error: OnRuleError
) -> _CompiledRule:
    compiler = Compiler(variables, rule.timezone)
    wanted = computed_by(rule)
    computed = None if wanted is None else compiler.compile(wanted)
    matched = MatchedRule(rule.name, rule.effect.verdict)
    alone = None
    if not (computed or rule.continues or rule.shadow or isinstance(rule.effect, Modify)):
        gathered = _Gathered(None)
        _contribute(rule, None, gathered)
        gathered.matched = (matched,)
        alone = _decision(gathered, matched.verdict, rule.name)
    return _CompiledRule(
        number=number,
        rule=rule,
        condition=compiler.compile(rule.condition),
        computed=computed,
        needed=needed_values(rule.condition),
        reads=tuple([read for each in expressions_of(rule) for read in _reads_of(each)]),
        on_error=OnRuleError.SKIP if rule.shadow else rule.on_error or on_error,
        matched=matched,
        alone=alone,
    )


def _index(enabled: Iterable[_CompiledRule]) -> RuleIndex:
    return RuleIndex.of({each.number: each.needed for each in enabled})


def _is_always_true(condition: Evaluate) -> bool:
    return isinstance(condition, Constant) and bool(condition.value)


def _switched(rule: Rule, enabled: bool) -> Rule:
    return rule if rule.enabled is enabled else evolve(rule, enabled=enabled)


def _reads(compiled: Iterable[_CompiledRule]) -> tuple[StateRead, ...]:
    """Return what rules read, each entry once, in the order of the rules."""
    return tuple(dict.fromkeys(read for each in compiled for read in each.reads))


def _enabled(rules: Iterable[Rule], compiled: Iterable[_CompiledRule]) -> list[_CompiledRule]:
    return [each for rule, each in zip(rules, compiled, strict=True) if rule.enabled]


def _reads_of(expression: Expression) -> Iterator[StateRead]:
    for part in parts(expression):
        match part:
            case StateGet(str() as id) | StateTimeSince(str() as id):
                yield StateRead(STATE, id)
            case StateCounter(str() as id):
                yield StateRead(COUNTER, id)
            case Foreign(program):
                yield from program.reads
            case _:
                pass


def _apply(asked: _CompiledRule, context: Context, gathered: _Gathered) -> None:
    """Add what follows from a rule that matched; of every kind but modify the first counts."""
    rule = asked.rule
    # All that may fail comes first, so that a rule contributes wholly or not at all.
    computed = None if asked.computed is None else asked.computed(context)
    if rule.shadow:
        gathered.shadowed += (asked.matched,)
        return
    if isinstance(rule.effect, Modify):
        changes = rule.effect.changes if asked.computed is None else computed
        context.change(merge_patch(context.payload, changes))
        gathered.payload = context.payload
        gathered.modified = True
    else:
        _contribute(rule, computed, gathered)
    gathered.matched += (asked.matched,)


def _contribute(rule: Rule, computed: Any, gathered: _Gathered) -> None:
    """Add what follows from `rule`, with the key or the changes that were worked out for it."""
    effect = rule.effect
    match effect:
        case Allow() | Modify():
            pass
        case Deny() | Suppress():
            gathered.refused = True
        case Deduplicate():
            if gathered.claim is None:
                gathered.claim = WantedClaim(rule.name, _key(effect.key, computed), effect.ttl)
        case Throttle():
            if gathered.quota is None:
                key = _key(effect.key, computed)
                gathered.quota = WantedQuota(rule.name, key, effect.max_count, effect.window)
        case Reroute():
            if gathered.route is None:
                changes = computed if isinstance(effect.changes, Expression) else effect.changes
                gathered.route = WantedRoute(rule.name, effect.target, changes)
        case _:
            assert_never(effect)


def _key(wanted: Expression | None, computed: Any) -> str | None:
    return None if wanted is None else display(computed)


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
        shadowed=gathered.shadowed,
    )
