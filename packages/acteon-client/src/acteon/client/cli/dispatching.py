"""The commands that dispatch: one action, a list, or as many as there are lines."""

import json
from argparse import Namespace
from collections import Counter
from contextlib import ExitStack
from pathlib import Path
from typing import Any, TextIO

from attrs import define, field

from acteon.client.cli.output import Output, Progress
from acteon.client.cli.reading import action_from, made, read_json, read_lines
from acteon.client.cli.usage import UsageError
from acteon.client.outcomes import BatchResult, ItemError, Outcome
from acteon.client.synchronous import ActeonClient
from acteon.core import Action, Failed, Rerouted, Suppressed, Throttled

OUTCOMES = ("executed", "deduplicated", "suppressed", "rerouted", "throttled", "failed")


def dispatch(client: ActeonClient, given: Namespace, output: Output) -> int:
    """Dispatch the action that the options describe, or those of a file of lines."""
    if given.jsonl is not None:
        return _many(client, given, output)
    action = action_from(given)
    if given.dry_run:
        told = client.preview(action)
        if output.as_json:
            output.json({"action_id": action.id, **_plain(told)})
        else:
            output.table(
                ("OUTCOME", "VERDICT", "RULE", "PROVIDER"),
                [(told.outcome, told.verdict, told.matched_rule, told.would_be_provider)],
            )
        return int(told.outcome in _failing(given))
    outcome = client.dispatch(action)
    if output.as_json:
        output.json({"action_id": action.id, "outcome": outcome.as_json()})
    else:
        output.table(("OUTCOME", "ACTION", "DETAILS"), [(outcome.tag, action.id, details(outcome))])
    return int(outcome.tag in _failing(given))


def batch(client: ActeonClient, given: Namespace, output: Output) -> int:
    """Dispatch the list of actions in a JSON file as one batch."""
    found = read_json(given.actions)
    if not isinstance(found, list):
        raise UsageError(f"{given.actions}: a batch is a JSON list of actions")
    items: list[Any] = found  # pyright: ignore[reportUnknownVariableType] - of JSON
    actions = [made(each, f"{given.actions}: action {n}") for n, each in enumerate(items, 1)]
    results = client.dispatch_batch(actions)
    if output.as_json:
        output.json(
            [_told(action, result) for action, result in zip(actions, results, strict=True)]
        )
    else:
        rows = [
            (tag(result), action.id, _details(result))
            for action, result in zip(actions, results, strict=True)
        ]
        output.table(("OUTCOME", "ACTION", "DETAILS"), rows)
    return int(any(tag(result) in _failing(given) for result in results))


@define(eq=False)
class _Tally:
    """What has become of many actions."""

    output: Output
    failures: TextIO | None
    progress: Progress
    counts: Counter[str] = field(factory=Counter[str], init=False)

    def refuse(self, number: int, line: str, why: str) -> None:
        """Count a line that holds no action."""
        self.counts["unreadable"] += 1
        self.output.note(why)
        if self.failures is not None:
            self.failures.write(line if line.endswith("\n") else f"{line}\n")

    def take(self, action: Action, result: BatchResult) -> None:
        """Count an action, and keep it if it has failed and may be sent again."""
        self.counts[tag(result)] += 1
        self.progress.advance()
        if self.output.as_json:
            self.output.json_line(_told(action, result))
        if self.failures is not None and tag(result) in ("failed", "error", "throttled"):
            self.failures.write(json.dumps(action.as_json()) + "\n")


def _many(client: ActeonClient, given: Namespace, output: Output) -> int:
    with ExitStack() as stack:
        failures = None
        if given.failures is not None:
            try:
                failures = stack.enter_context(Path(given.failures).open("w", encoding="utf-8"))
            except OSError as error:
                raise UsageError(f"{given.failures}: {error.strerror}") from None
        progress = Progress(output.err, _lines(given.jsonl))
        stack.callback(progress.end)
        tally = _Tally(output, failures, progress)
        unreached: ItemError | None = None
        for action, result in client.dispatch_many(
            read_lines(given.jsonl, tally.refuse),
            chunk_size=given.chunk_size,
            concurrency=given.concurrency,
        ):
            tally.take(action, result)
            unreached = result.error or unreached
    total = tally.counts.total()
    shown = ", ".join(f"{count} {name}" for name, count in sorted(tally.counts.items()))
    output.note(f"{total} action{'' if total == 1 else 's'}{': ' if shown else ''}{shown}")
    if unreached is not None:
        if unreached.cause is not None and total == tally.counts["error"]:
            raise unreached.cause  # Nothing was done at all.
        output.note(f"error: {unreached.message}")
    bad = {"unreadable", "error", *_failing(given)}
    return int(any(tally.counts[name] for name in bad))


def _lines(path: str) -> int | None:
    """Return how many lines the file at `path` has; None if it can be read once only."""
    file = Path(path)
    if path == "-" or not file.is_file():
        return None
    with file.open("rb") as lines:
        return sum(1 for line in lines if line.strip())


def _failing(given: Namespace) -> set[str]:
    return {"failed", "error", *(given.fail_on or ())}


def tag(result: BatchResult) -> str:
    """Return what became of an action of a batch, in one word."""
    return "error" if result.outcome is None else result.outcome.tag


def details(outcome: Outcome) -> str:
    """Return what else there is to say of `outcome`, in a line."""
    match outcome:
        case Suppressed(rule):
            return f"by {rule}"
        case Rerouted(new_provider=provider):
            return f"to {provider}"
        case Throttled(retry_after):
            return f"again in {retry_after.total_seconds():g} s"
        case Failed():
            return f"{outcome.code}: {outcome.message}"
        case _:
            return ""


def _details(result: BatchResult) -> str:
    if result.outcome is not None:
        return details(result.outcome)
    assert result.error is not None
    return result.error.message


def _told(action: Action, result: BatchResult) -> dict[str, Any]:
    if result.outcome is not None:
        return {"action_id": action.id, "outcome": result.outcome.as_json()}
    return {"action_id": action.id, **result.to_dict()}


def _plain(dry_run: Any) -> dict[str, Any]:
    wait = dry_run.retry_after
    return {
        "outcome": dry_run.outcome,
        "verdict": dry_run.verdict,
        "matched_rule": dry_run.matched_rule,
        "would_be_provider": dry_run.would_be_provider,
        "retry_after": None if wait is None else wait.total_seconds(),
    }
