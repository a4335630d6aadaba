"""What the page on the rule language says is what the rules do."""

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from acteon.core import Action
from acteon.gateway import parse_rules
from acteon.rules import (
    Decision,
    EvaluationError,
    OnRuleError,
    RuleSet,
    StateNotReadError,
    StateRead,
    merge_patch,
)
from acteon.server.config import parse_config

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "rules.md").read_text()
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
NOON = datetime(2026, 1, 5, 12, 0, tzinfo=UTC)
MEMBERS: dict[str, Any] = {
    "namespace": "shop",
    "tenant": "t",
    "provider": "email",
    "action_type": "a",
    "payload": {},
}


def examples() -> Iterator[Any]:
    """Give each case with the rules above it."""
    for (language, text), (below, cases) in pairwise(BLOCK.findall(PAGE)):
        if (language, below) == ("yaml", "cases"):
            for line in cases.splitlines():
                given, end = json.JSONDecoder().raw_decode(line)
                yield pytest.param(text, given, line[end:].strip(), id=line)


def test_every_example_is_a_file_with_its_cases() -> None:
    languages = [language for language, _ in BLOCK.findall(PAGE)]
    assert languages == ["yaml", "cases"] * (len(languages) // 2)
    assert PAGE.count("```") == 2 * len(languages)


@pytest.mark.parametrize(("text", "given", "expected"), list(examples()))
def test_the_rules_decide_as_is_shown(text: str, given: dict[str, Any], expected: str) -> None:
    given = dict(given)
    now = datetime.fromisoformat(given.pop("now")) if "now" in given else NOON
    state: dict[StateRead, str | None] = {
        **{StateRead("state", id): value for id, value in given.pop("state", {}).items()},
        **{StateRead("counter", id): str(n) for id, n in given.pop("counters", {}).items()},
    }
    rules = RuleSet.compile(parse_rules(text), on_error=OnRuleError.FAIL)
    action = Action(**(MEMBERS | given))
    assert told(rules, action, now, state) == expected


def test_files_of_examples_have_no_warnings(caplog: pytest.LogCaptureFixture) -> None:
    for language, text in BLOCK.findall(PAGE):
        if language == "yaml":
            parse_rules(text)
    assert caplog.records == []


def told(rules: RuleSet, action: Action, now: datetime, state: dict[StateRead, str | None]) -> str:
    """Return what the rules decide, as the page says it; entries that are not given are missing."""
    while True:
        try:
            decision = rules.decide(action, now=now, state=state)
        except StateNotReadError as needed:
            state |= {read: None for read in needed.reads if read not in state}
        except EvaluationError as error:
            return f"error: {error}"
        else:
            return ", ".join(parts(decision, action))


def parts(decision: Decision, action: Action) -> Iterator[str]:
    for rule, verdict in decision.matched:
        yield f"{rule}: {verdict}"
    if not decision.matched:
        yield "allow" if decision.rule is None else f"{decision.rule}: {decision.verdict}"
    for rule, verdict in decision.shadowed:
        yield f"tried {rule}: {verdict}"
    for rule, _ in decision.errors:
        yield f"failed {rule}"
    if decision.claim is not None:
        yield f"claim {json.dumps(decision.claim.key)} for {seconds(decision.claim.ttl)} s"
    if decision.quota is not None:
        quota = decision.quota
        yield f"quota {json.dumps(quota.key)}: {quota.max_count} in {seconds(quota.window)} s"
    payload = decision.payload if decision.modified else action.payload
    if decision.route is not None:
        changes = decision.route.changes
        shaped = shown(merge_patch(payload, changes)) if changes else ""
        yield f"to {decision.route.target}" + (f" with {shaped}" if shaped else "")
    elif decision.modified:
        yield f"payload {shown(payload)}"


def shown(value: Any) -> str:
    return json.dumps(value, sort_keys=True)


def seconds(duration: timedelta | None) -> int | None:
    return None if duration is None else int(duration.total_seconds())


RECIPE = re.compile(r"(.*?)\n\n<!-- file: (\S+) -->\n```yaml\n(.*?)^```$", re.MULTILINE | re.DOTALL)
EXAMPLES = ROOT / "examples" / "rules"


def test_the_cookbook_shows_every_example_as_it_is() -> None:
    sections = (ROOT / "docs" / "cookbook.md").read_text().split("\n## ")[1:]
    shown: dict[str, str] = {}
    for section in sections:
        found = RECIPE.match(section.split("\n", 2)[2])
        assert found is not None, section
        comment, file, rules = found.groups()
        said = "".join(f"# {line}\n" for line in comment.strip().splitlines())
        shown[file] = said + rules
    files = [path for path in EXAMPLES.iterdir() if path.is_file()]
    assert shown == {f"examples/rules/{path.name}": path.read_text() for path in files}


def test_configurations_of_the_cookbook_can_be_used() -> None:
    page = (ROOT / "docs" / "cookbook.md").read_text()
    blocks = [text for language, text in BLOCK.findall(page) if language == "toml"]
    assert [parse_config(text).rules.environment for text in blocks] == [{"stage": "production"}]
