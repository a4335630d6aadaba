"""Everything that a condition can use, each with an example that is true for one action."""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from acteon.core import Action
from acteon.rules import EvaluationError, Rule, RuleSet, StateRead
from acteon.rules_cel import CelRuleFrontend
from acteon.rules_cel.functions import GLOBALS, METHODS

NOW = datetime(2026, 3, 2, 21, 30, tzinfo=UTC)
ACTION: dict[str, Any] = {
    "id": "0195a1c4-7d7c-7000-8000-000000001042",
    "namespace": "shop",
    "tenant": "acme",
    "provider": "email",
    "action_type": "order",
    "created_at": "2026-03-02T21:15:00Z",
    "dedup_key": "order-1042",
    "metadata": {"team": "blue", "priority": "7"},
    "payload": {
        "to": "Ada@example.com",
        "amount": 700,
        "rate": 1.5,
        "urgent": True,
        "note": None,
        "due": "2026-03-05T09:00:00Z",
        "tags": ["new", "vip"],
        "items": [{"sku": "A-1", "price": 10}, {"sku": "B-2", "price": 2000}],
        "first name": "Ada",
    },
}
ENVIRONMENT = {"REGION": "eu"}
STATE: dict[StateRead, str | None] = {
    StateRead("state", "mode"): "quiet",
    StateRead("state", "none"): None,
    StateRead("counter", "none"): None,
    StateRead("counter", "sent:acme"): "12",
    StateRead("state", "last-mail"): (NOW - timedelta(minutes=20)).isoformat(),
}
ROWS: list[tuple[str, bool]] = [
    # What is there.
    ('action.action_type == "order"', True),
    ('action.namespace == "shop"', True),
    ('action.tenant == "acme"', True),
    ('action.provider == "email"', True),
    ('action.id.startsWith("0195a1c4")', True),
    ('action.dedup_key == "order-1042"', True),
    ("timestamp(action.created_at) < now", True),
    ("action.payload.amount == 700", True),
    ('action.payload["first name"] == "Ada"', True),
    ('action.payload.items[1].sku == "B-2"', True),
    ('action.metadata.team == "blue"', True),
    ("int(action.metadata.priority) > 5", True),
    ('now == timestamp("2026-03-02T21:30:00Z")', True),
    ("time.hour == 21 && time.minute == 30 && time.second == 0", True),
    ("time.day == 2 && time.month == 3 && time.year == 2026", True),
    ('time.weekday == "Monday" && time.weekday_num == 1', True),
    ("time.timestamp == int(now)", True),
    ('env.REGION == "eu"', True),
    ('state.get("mode") == "quiet"', True),
    ('state.get("none") == null', True),
    ('state.counter("sent:" + action.tenant) >= 10', True),
    ('state.counter("none") == 0', True),
    ('state.since("last-mail") < duration("1h")', True),
    ('state.since("none") > duration("87600h")', True),
    # Operators.
    ("action.payload.amount == 700.0", True),
    ('action.payload.to != "bob@example.com"', True),
    ("action.payload.amount > 500", True),
    ("action.payload.amount >= 700", True),
    ("action.payload.amount < 1000", True),
    ("action.payload.amount <= 700", True),
    ('action.payload.amount > 500 && action.tenant == "acme"', True),
    ("action.payload.amount > 5000 || action.payload.urgent", True),
    ("!(action.payload.amount > 5000)", True),
    ("action.payload.urgent ? time.hour > 20 : time.hour > 8", True),
    ('action.tenant in ["acme", "globex"]', True),
    ('"vip" in action.payload.tags', True),
    ('"team" in action.metadata', True),
    ("action.payload.note == null", True),
    ("action.payload.amount + 50 == 750", True),
    ('action.tenant + "/" + action.provider == "acme/email"', True),
    ('size(action.payload.tags + ["x"]) == 3', True),
    ("action.payload.amount - 100 == 600", True),
    ("action.payload.amount * 2 == 1400", True),
    ("action.payload.amount / 200 == 3", True),
    ("action.payload.rate / 2.0 == 0.75", True),
    ("action.payload.amount % 200 == 100", True),
    ("-action.payload.amount < 0", True),
    ('now + duration("1h") > timestamp("2026-03-02T22:00:00Z")', True),
    ('now - timestamp(action.created_at) == duration("15m")', True),
    # Macros.
    ("has(action.payload.to)", True),
    ("has(action.payload.cc)", False),
    ("action.payload.items.exists(i, i.price > 1000)", True),
    ("action.payload.items.all(i, i.price > 0)", True),
    ("action.payload.items.exists_one(i, i.price > 1000)", True),
    ("size(action.payload.items.filter(i, i.price > 1000)) == 1", True),
    ('action.payload.items.map(i, i.sku) == ["A-1", "B-2"]', True),
    ('action.payload.items.map(i, i.price > 1000, i.sku) == ["B-2"]', True),
    ('action.metadata.exists(name, name.startsWith("prio"))', True),
    # Texts, lists and maps.
    ("size(action.payload.to) == 15", True),
    ("action.payload.tags.size() == 2", True),
    ('action.payload.to.contains("@")', True),
    ('action.payload.to.startsWith("Ada")', True),
    ('action.payload.to.endsWith("@example.com")', True),
    (r"action.payload.to.matches(r'^[^@]+@example\.(com|org)$')", True),
    (r"matches(action.tenant, r'^ac')", True),
    ('action.payload.to.lowerAscii() == "ada@example.com"', True),
    ('action.provider.upperAscii() == "EMAIL"', True),
    ('" a ".trim() == "a"', True),
    ('action.tenant.replace("ac", "AC") == "ACme"', True),
    ('action.payload.to.split("@")[1] == "example.com"', True),
    ('action.payload.tags.join(", ") == "new, vip"', True),
    # Types and conversions.
    ('int("7") == 7 && int(1.9) == 1', True),
    ("int(timestamp(action.created_at)) > 0", True),
    ('uint("7") == 7u', True),
    ("double(action.payload.amount) * 1.5 == 1050.0", True),
    ('string(action.payload.amount) == "700"', True),
    ('bool("true")', True),
    ("size(bytes('é')) == 2", True),
    ("type(action.payload.items) == list", True),
    ('type(action.payload.note) == null_type && type("a") == string', True),
    ("dyn(action.payload.amount) == 700", True),
    # Instants and durations.
    ("timestamp(action.payload.due) > now", True),
    ("timestamp(0) < now", True),
    ('duration("1h30m") == duration("90m")', True),
    ("now.getFullYear() == 2026", True),
    ("now.getMonth() == 2", True),
    ("now.getDate() == 2 && now.getDayOfMonth() == 1", True),
    ("now.getDayOfWeek() == 1", True),
    ("now.getDayOfYear() == 60", True),
    ('now.getHours() == 21 && now.getHours("Asia/Tokyo") == 6', True),
    ("now.getMinutes() == 30", True),
    ("now.getSeconds() == 0", True),
    ("now.getMilliseconds() == 0", True),
    ("(now - timestamp(action.created_at)).getMinutes() == 15", True),
]


@pytest.mark.parametrize(("expression", "expected"), ROWS, ids=[each for each, _ in ROWS])
def test_an_example_gives_what_it_says(
    rule: Callable[..., Rule], expression: str, expected: bool
) -> None:
    assert CelRuleFrontend().parse_condition(expression), "it loads"
    rules = RuleSet.compile([rule(expression)], environment=ENVIRONMENT)
    decision = rules.decide(Action(**ACTION), now=NOW, state=STATE)
    assert (decision.rule == "r") is expected


PAGE = Path(__file__).parents[3] / "docs" / "cel.md"
EXAMPLE = re.compile(r"^\|.*\| `(.+)` \|$", re.MULTILINE)


def test_the_page_shows_what_was_tried() -> None:
    page = PAGE.read_text()
    shown = [text.replace(r"\|", "|") for text in EXAMPLE.findall(page)]
    assert len(shown) > 60
    assert {text for text in shown if (text, True) not in ROWS} == set()
    (action,) = re.findall(r"^```yaml\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    yaml: Any = YAML(typ="safe", pure=True)  # Its types are not known.
    assert yaml.load(action) == ACTION


def test_every_function_has_an_example() -> None:
    shown = " ".join(expression for expression, _ in ROWS)
    assert [name for name in {*GLOBALS, *METHODS} if f"{name}(" not in shown] == []


def test_a_missing_member_fails_unless_it_is_asked_for(rule: Callable[..., Rule]) -> None:
    seen = Action(**ACTION)
    asked = RuleSet.compile([rule('has(action.payload.cc) && action.payload.cc == "x"')])
    assert asked.decide(seen, now=NOW).rule is None
    with pytest.raises(EvaluationError, match="no such key: cc"):
        RuleSet.compile([rule('action.payload.cc == "x"')]).decide(seen, now=NOW)
