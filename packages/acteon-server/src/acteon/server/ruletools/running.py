"""`acteon-server rules test`: running test cases through a real gateway.

Nothing is simulated but time, which stands still between the steps, and delivery.
"""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from attrs import define, evolve, field

from acteon.core import (
    Action,
    ActionOutcome,
    ConfigError,
    Deduplicated,
    Failed,
    ManualClock,
    ProviderResponse,
    ResponseStatus,
    Throttled,
    format_instant,
)
from acteon.executor import ExecutorSettings
from acteon.gateway import Gateway, GatewayError, GatewaySettings
from acteon.provider import ExecutionFailedError, ProviderConnectionError, ProviderRegistry
from acteon.rules import Decision
from acteon.server.ruletools.casefiles import holds_rules_alone, read_case_file
from acteon.server.ruletools.cases import Answer, Case, CaseFile, Step, Stored, Surroundings
from acteon.server.ruletools.differences import compared
from acteon.server.ruletools.results import CaseResult, Difference, StepFailure
from acteon.state import StateKey, StateStore
from acteon.state_memory import memory_backend

EXTENSIONS: Final = (".yaml", ".yml")


def run_cases(
    path: Path, *, named: str = "", surroundings: Surroundings | None = None
) -> tuple[CaseResult, ...]:
    """Return what became of the test cases in the file `path`, or in all files of a directory.

    It runs an event loop of its own, so async code calls it in a thread.

    Args:
        path: The file; of a directory, those in it and below, but for files that hold rules alone.
        named: Only cases with that in their name, in whatever case.
        surroundings: What is known of the gateway whose rules are tested.

    Raises:
        ConfigError: A file cannot be used; one line for each problem.
    """
    return tuple(run_files(read_files([path], surroundings or Surroundings()), named=named))


def read_files(paths: Sequence[Path], surroundings: Surroundings) -> tuple[CaseFile, ...]:
    """Return the test cases of some files and directories.

    Raises:
        ConfigError: A file cannot be used; with the problems of all files.
    """
    files: list[CaseFile] = []
    problems: list[str] = []
    for path in paths:
        try:
            found = _files_of(path)
        except ConfigError as error:
            problems.append(str(error))
            continue
        for file in found:
            try:
                files.append(read_case_file(file, surroundings))
            except ConfigError as error:
                problems.append(str(error))
    if problems:
        raise ConfigError("\n".join(problems))
    return tuple(files)


def _files_of(path: Path) -> list[Path]:
    if not path.is_dir():
        return [path]
    found = sorted(each for each in path.rglob("*") if each.suffix in EXTENSIONS)
    files = [each for each in found if each.is_file() and not holds_rules_alone(each)]
    if not files:
        raise ConfigError(f"{path}: there are no test cases; their files have the key `cases`")
    return files


def run_files(files: Sequence[CaseFile], *, named: str = "") -> Iterator[CaseResult]:
    """Yield what became of the test cases of `files`, one after the other.

    Raises:
        ConfigError: Rules cannot be compiled.
    """
    for file in files:
        for case in file.cases:
            if named.lower() in case.name.lower():
                yield asyncio.run(run_case(file, case))


async def run_case(file: CaseFile, case: Case) -> CaseResult:
    """Return what became of one test case.

    Raises:
        ConfigError: The rules cannot be compiled.
    """
    failure = await _Run.of(file, case).run()
    return CaseResult(file=str(file.path), line=case.line, name=case.name, failure=failure)


@define(eq=False)
class _Delivering:
    """A provider that keeps what it is given, and does with it what the case says."""

    name: str
    answers: Mapping[str, Answer]
    delivered: list[tuple[str, Action]]

    idempotent: bool = False

    async def execute(self, action: Action) -> ProviderResponse:
        self.delivered.append((self.name, action))
        match self.answers.get(self.name, Answer.SUCCESS):
            case Answer.SUCCESS:
                return ProviderResponse()
            case Answer.FAILURE:
                return ProviderResponse(ResponseStatus.FAILURE)
            case Answer.ERROR:
                raise ExecutionFailedError("as the test case says")
            case Answer.UNKNOWN:
                raise ProviderConnectionError("as the test case says", delivery="unknown")

    async def health_check(self) -> None:
        """All is well."""


@define(eq=False)
class _Run:
    """One case on its way."""

    case: Case
    clock: ManualClock
    gateway: Gateway
    answers: dict[str, Answer]
    delivered: list[tuple[str, Action]] = field(factory=list[tuple[str, Action]])

    @classmethod
    def of(cls, file: CaseFile, case: Case) -> "_Run":
        clock = ManualClock(case.steps[0].at)
        answers = dict(case.answers)
        delivered: list[tuple[str, Action]] = []
        gateway = Gateway(
            state=memory_backend(clock),
            providers=ProviderRegistry.of(
                {name: _Delivering(name, answers, delivered) for name in file.providers}
            ),
            # A second attempt would wait for a time that nobody moves.
            executor=ExecutorSettings(max_retries=0),
            initial_rules=file.rules,
            settings=GatewaySettings(environment=file.environment),
            clock=clock,
        )
        return cls(case, clock, gateway, answers, delivered)

    async def run(self) -> StepFailure | None:
        """Return the first step that does not go as expected, if one does not."""
        async with self.gateway:
            await self._store(self.case.stored)
            for step in self.case.steps:
                self.clock.move(step.at - self.clock.now())
                await self._store(step.stored)
                self.answers.update(step.answers)
                for turn in range(step.repeat):
                    failure = await self._take(step, turn)
                    if failure is not None:
                        return failure
        return None

    async def _store(self, stored: Stored) -> None:
        store = self.gateway.state.store
        tenants = {(step.action.namespace, step.action.tenant) for step in self.case.steps}
        for namespace, tenant in sorted(tenants):
            for kind, entries in (("state", stored.state), ("counter", stored.counters)):
                for id, text in entries.items():
                    await _put(store, StateKey(namespace, tenant, kind, id), text)

    async def _take(self, step: Step, turn: int) -> StepFailure | None:
        action = step.action
        if turn and not step.named:
            action = evolve(action, id=f"{action.id}.{turn + 1}")
        evaluation = await self.gateway.explain(action)
        self.delivered.clear()
        outcome: ActionOutcome | GatewayError
        try:
            outcome = await self.gateway.dispatch(action)
        except GatewayError as error:
            outcome = error
        got = self._got(outcome, evaluation.explanation.decision)
        differences = tuple(each for wanted in step.expected for each in compared(wanted, got))
        if not differences:
            return None
        times = f", time {turn + 1} of {step.repeat}" if step.repeat > 1 else ""
        return StepFailure(
            number=step.number,
            line=step.line,
            told=f"{action.action_type} by {action.provider} at {format_instant(step.at)}{times}",
            differences=differences,
            error=None if _is_told(differences) else got.get("error"),
            explanation=evaluation.explanation,
        )

    def _got(
        self, outcome: ActionOutcome | GatewayError, decision: Decision | None
    ) -> dict[str, Any]:
        """Return what happened by the keys of expectations."""
        got: dict[str, Any] = {"matched": [], "shadowed": []}
        if decision is not None:
            got["verdict"] = decision.verdict
            got["rule"] = _rule_behind(outcome, decision)
            got["matched"] = [rule for rule, _ in decision.matched]
            got["shadowed"] = [rule for rule, _ in decision.shadowed]
        if self.delivered:
            got["provider"], action = self.delivered[-1]
            got["payload"] = action.payload
        match outcome:
            case GatewayError():
                got |= {"outcome": "error", "error": str(outcome), "code": outcome.code}
            case Failed():
                got |= {"outcome": outcome.tag, "error": outcome.message, "code": outcome.code}
            case Throttled():
                got |= {"outcome": outcome.tag, "retry_after": outcome.retry_after}
            case _:
                got["outcome"] = outcome.tag
        return got


def _is_told(differences: Sequence[Difference]) -> bool:
    return any(each.key == "error" for each in differences)


def _rule_behind(outcome: ActionOutcome | GatewayError, decision: Decision) -> str | None:
    """Return the rule that held the action back, or else the one that decided."""
    match outcome:
        case Throttled() if decision.quota is not None:
            return decision.quota.rule
        case Deduplicated() if decision.claim is not None:
            return decision.claim.rule
        case _:
            return decision.rule


async def _put(store: StateStore, key: StateKey, text: str | None) -> None:
    if text is None:
        await store.delete(key)
    else:
        await store.set(key, text, ttl=None)
