"""From the text of a file to its rules, whatever the language of their conditions."""

from collections.abc import Mapping
from datetime import UTC, tzinfo
from typing import Final

from attrs import frozen

from acteon.rules import Allow, Deny, OnRuleError, ParsedRules, Problem, Rule, Suppress
from acteon.rules_yaml.conditions import KEYS as CONDITION_KEYS
from acteon.rules_yaml.document import read_document
from acteon.rules_yaml.effects import KEYS as ACTION_KEYS
from acteon.rules_yaml.effects import ONE_ACTION, read_effect
from acteon.rules_yaml.embedded import ConditionReader
from acteon.rules_yaml.events import DocumentError
from acteon.rules_yaml.hints import RULE_KEYS, did_you_mean
from acteon.rules_yaml.nodes import Mapping as MappingNode
from acteon.rules_yaml.nodes import Node, Scalar, Sequence
from acteon.rules_yaml.reading import (
    described,
    given,
    keys_of,
    members,
    named,
    read_bool,
    read_int,
    read_text,
    scalar_of,
    wrong_kind,
)
from acteon.rules_yaml.report import Report
from acteon.rules_yaml.scalars import is_null
from acteon.rules_yaml.zones import find_zone, zone_hint, zone_warning

_INT32: Final = range(-(2**31), 2**31)
_WANTED_PRIORITY: Final = "a whole number from -2147483648 to 2147483647"
ON_ERROR: Final = {choice.value: choice for choice in OnRuleError}


def read_rules(
    text: str,
    *,
    file: str,
    strict: bool,
    language: str,
    read_condition: ConditionReader,
) -> ParsedRules:
    """Return the rules in `text`, a YAML 1.2 document: a map with the list `rules`.

    Args:
        text: The content of the file.
        file: What it is called.
        strict: What would be a warning is an error; `version: 2` in the file says the same.
        language: What the conditions are written in, for errors.
        read_condition: Reads what stands under `condition`.

    Raises:
        RuleParseError: With every problem of the text.
    """
    report = Report(file, language, text)
    try:
        root = read_document(text)
    except DocumentError as error:
        raise report.refusal(
            Problem(message=error.message, file=file, line=error.line, column=error.column)
        ) from None
    if root is None or (isinstance(root, Scalar) and is_null(root)):
        message = "missing field `rules`: the file is empty; write `rules: []` for no rules"
        raise report.refusal(Problem(message=message, file=file))
    hint = _above(root) if isinstance(root, Sequence) else ""
    known = {"rules", "version"}
    wanted = "a map with `rules`"
    found = members(root, known, "", report, wanted=wanted, hint=hint, unknown=_of_a_rule) or {}
    report.version = _read_version(found, report)
    rules = [
        rule
        for number, item in enumerate(_items(root, found, report))
        if (rule := _read_rule(item, number, report, read_condition)) is not None
    ]
    return ParsedRules(tuple(rules), report.warnings(strict=strict or report.version >= 2))


def _above(root: Sequence) -> str:
    first = root.items[0] if root.items else None
    if isinstance(first, MappingNode) and "rules" in keys_of(first):
        return "take out the dash before `rules`"
    return "write `rules:` above the list"


def _of_a_rule(name: str, value: Node) -> str:
    """Return a hint for a key of the file that is not known."""
    if name in RULE_KEYS:
        return "; it belongs to a rule: write `rules:` above, and a dash before `name`"
    if name == "cases":
        return "; this is for `acteon-server rules test`: keep it in a folder apart from the rules"
    return did_you_mean(name, {"rules", "version"})


def _read_version(found: Mapping[str, Node], report: Report) -> int:
    """Return the version of the file; version 1 is the one of files that say nothing."""
    node = given(found, "version")
    if node is None:
        return 1
    version = scalar_of(node)
    if type(version) is int and version in {1, 2}:
        return version
    wanted = f"unknown version: {described(node)}; write"
    if version in {"1", "1.0", 1.0}:
        report.warning(f"{wanted} 1", "version", node)  # A key that meant nothing once.
    elif version in {"2", "2.0", 2.0}:
        report.error(f"{wanted} 2, without quotes or dot", "version", node)
    else:
        report.error(f"{wanted} 1 or 2", "version", node)
    return 1


def _items(root: Node, found: Mapping[str, Node], report: Report) -> list[Node]:
    node = found.get("rules")
    if node is None:
        if not report.marks()[0]:
            report.error("missing field `rules`; write `rules:` above the list of rules", "", root)
        return []
    if isinstance(node, Scalar) and node.plain and not node.text and node.tag is None:
        return []
    if not isinstance(node, Sequence):
        hint = ""
        if isinstance(node, MappingNode):
            named_by_key = bool(node.entries) and not any(
                isinstance(value, Scalar) for _, value in node.entries
            )
            hint = _NAMED_BY_KEY if named_by_key else "write a dash before each rule"
        wanted = "a list of rules, each behind a dash"
        report.error(wrong_kind(node, wanted, hint), "rules", node)
        return []
    return node.items


def _read_rule(
    item: Node, number: int, report: Report, read_condition: ConditionReader
) -> Rule | None:
    """Return the rule; None if something of it is wrong, which is noted, with its name."""
    start = report.marks()
    path = f"rules[{number}]"
    hint = "take out the dash" if isinstance(item, Scalar) and is_null(item) else ""
    wanted = "a map with the keys of a rule"
    found = members(item, RULE_KEYS, path, report, wanted=wanted, hint=hint, unknown=_meant)
    if found is None:
        return None
    if len(found) == 1 and number and "name" not in found and not keys_of(item) - RULE_KEYS:
        (only,) = found
        message = f"a dash begins another rule: take out the one before `{only}`"
        report.error(message, path, item)
        return None
    members_ = _Members(item, found, path, report)
    name = members_.name()
    rule = members_.rule(name or "", read_condition)
    if name is not None and report.marks() != start:
        report.name_since(start, name)
    return rule if report.marks()[0] == start[0] else None


@frozen
class _Members:
    """The members of a rule, and where they are.

    Attributes:
        node: The rule.
        found: Its members.
        path: Where it is.
        report: Takes the problems.
    """

    node: Node
    found: Mapping[str, Node]
    path: str
    report: Report

    def name(self) -> str | None:
        node = self.found.get("name")
        if node is None:
            message = "missing field `name`; each rule needs one of its own"
            self.report.error(message, self.path, self.node)
            return None
        path = f"{self.path}.name"
        name = read_text(node, path, self.report)
        if name is not None and not name.strip():
            self.report.warning("the name is empty; give each rule one of its own", path, node)
        return name

    def rule(self, name: str, read_condition: ConditionReader) -> Rule | None:
        """Return the rule, which does not count if something is wrong, which is noted."""
        priority = self._priority()
        description = self._text("description")
        enabled = self._bool("enabled", default=True)
        condition = effect = None
        if (
            node := self._required("condition", "; `condition: {all: []}` matches always")
        ) is not None:
            condition = read_condition(node, f"{self.path}.condition", self.report)
        if (node := self._required("action", ", such as `action: {type: deny}`")) is not None:
            effect = read_effect(node, f"{self.path}.action", self.report)
        timezone = self._timezone()
        continues = self._bool("continue", default=False)
        if continues and isinstance(effect, Allow | Deny | Suppress):
            message = f"`{effect.verdict}` decides, so that no rule after it is asked; leave it out"
            self.report.error(message, f"{self.path}.continue", self.found["continue"])
            return None
        shadow = self._bool("shadow", default=False)
        on_error = self._on_error()
        if condition is None or effect is None:
            return None
        return Rule(
            name=name,
            priority=priority,
            description=description,
            enabled=enabled,
            condition=condition,
            effect=effect,
            continues=continues,
            timezone=timezone,
            shadow=shadow,
            on_error=on_error,
            source=self.report.file,
            line=self.node.line,
        )

    def _required(self, name: str, hint: str) -> Node | None:
        node = self.found.get(name)
        if node is None:
            self.report.error(f"missing field `{name}`{hint}", self.path, self.node)
        return node

    def _priority(self) -> int:
        node = self.found.get("priority")
        if node is None:
            return 0
        path = f"{self.path}.priority"
        return read_int(node, path, self.report, _INT32, _WANTED_PRIORITY) or 0

    def _text(self, name: str) -> str | None:
        node = given(self.found, name)
        return None if node is None else read_text(node, f"{self.path}.{name}", self.report)

    def _bool(self, name: str, *, default: bool) -> bool:
        node = self.found.get(name)
        value = None if node is None else read_bool(node, f"{self.path}.{name}", self.report)
        return default if value is None else value

    def _on_error(self) -> OnRuleError | None:
        word = self._text("on_error")
        if word is None or word in ON_ERROR:
            return None if word is None else ON_ERROR[word]
        hint = did_you_mean(word, ON_ERROR) or f"; write one of {named(ON_ERROR)}"
        message = f"wanted what follows when the condition fails, found `{word[:100]}`{hint}"
        self.report.error(message, f"{self.path}.on_error", self.found["on_error"])
        return None

    def _timezone(self) -> tzinfo:
        name = self._text("timezone")
        if name is None:
            return UTC
        path, node = f"{self.path}.timezone", self.found["timezone"]
        zone = find_zone(name)
        if zone is None:
            hint = "write it like Europe/Berlin" if self.report.full else zone_hint(name)
            self.report.error(f"unknown time zone `{name[:100]}`; {hint}", path, node)
            return UTC
        odd = zone_warning(name)
        if odd:
            self.report.advice(odd, path, node)
        return zone


_TIMES: Final = frozenset({"schedule", "hours", "during", "between", "time", "active_hours"})
_NAMED_BY_KEY: Final = "write `- name: …` for each, and below it what is under its name now"


def _meant(name: str, value: Node) -> str:
    """Return a hint for a key of a rule that is not known."""
    if len(keys_of(value) & RULE_KEYS) > 1:
        return "; write `name: …`, and below it what is under its name now"
    if name in _TIMES:
        return "; ask for `time.hour` and `time.weekday` in the condition"
    if name == "actions" and isinstance(value, Sequence):
        return f"; did you mean `action`? {ONE_ACTION[0].upper()}{ONE_ACTION[1:]}"
    for owner, keys in (("condition", CONDITION_KEYS), ("action", ACTION_KEYS)):
        if name in keys:
            return f"; indent it further than `{owner}`, to which it belongs"
    return did_you_mean(name, RULE_KEYS)
