"""The frontend: from the text of a file to its rules."""

import difflib
from datetime import UTC, tzinfo
from typing import ClassVar, Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from acteon.rules import (
    Allow,
    Deny,
    ParsedRules,
    Problem,
    Rule,
    RuleFrontend,
    RuleParseError,
    Suppress,
)
from acteon.rules_yaml.conditions import read_condition
from acteon.rules_yaml.document import DocumentError, Node, Scalar, Sequence, read_document
from acteon.rules_yaml.effects import read_effect
from acteon.rules_yaml.report import Report, described, given, members, read_int, wrong_kind
from acteon.rules_yaml.scalars import ScalarError, is_null, value_of

_INT32: Final = range(-(2**31), 2**31)
_WANTED_PRIORITY: Final = "a whole number from -2147483648 to 2147483647"
_RULE_KEYS: Final = frozenset(
    {
        *("name", "priority", "description", "enabled"),
        *("condition", "timezone", "action", "continue"),
    }
)


class YamlRuleFrontend(RuleFrontend):
    """Reads `.yaml` and `.yml` files.

    A file is one YAML 1.2 document, a map with the list `rules`. Keys that mean nothing are
    warnings, or errors if the caller or `version: 2` in the file asks for strictness.
    """

    language: ClassVar[str] = "YAML"

    def parse(self, text: str, *, file: str = "", strict: bool = False) -> ParsedRules:
        report = Report(file)
        try:
            root = read_document(text)
        except DocumentError as error:
            problem = Problem(
                message=error.message, file=file, line=error.line, column=error.column
            )
            raise RuleParseError((problem,)) from None
        if root is None or (isinstance(root, Scalar) and is_null(root)):
            message = "missing field `rules`: the file is empty; write `rules: []` for no rules"
            raise RuleParseError((Problem(message=message, file=file),))
        hint = "write `rules:` above the list" if isinstance(root, Sequence) else ""
        known = {"rules", "version"}
        found = members(root, known, "", report, wanted="a map with `rules`", hint=hint) or {}
        strict = _asks_for_strictness(found, report) or strict
        rules = _read_rules(root, found, report)
        return ParsedRules(tuple(rules), report.warnings(strict=strict))


def _asks_for_strictness(found: dict[str, Node], report: Report) -> bool:
    """Return whether the file is of version 2; version 1 is the one of files that say nothing."""
    node = given(found, "version")
    if node is None:
        return False
    version: object = None
    if isinstance(node, Scalar):
        try:
            version = value_of(node)
        except ScalarError:
            version = None
    if type(version) is int and version in {1, 2}:
        return version == 2
    report.warning(f"unknown version: {described(node)}; write 1 or 2", "version", node)
    return False


def _read_rules(root: Node, found: dict[str, Node], report: Report) -> list[Rule]:
    node = found.get("rules")
    if node is None:
        if not report.marks()[0]:
            report.error("missing field `rules`; write `rules:` above the list of rules", "", root)
        return []
    if isinstance(node, Scalar) and node.plain and not node.text and node.tag is None:
        return []
    if not isinstance(node, Sequence):
        report.error(wrong_kind(node, "a list of rules, each behind a dash"), "rules", node)
        return []
    rules: list[Rule] = []
    for number, item in enumerate(node.items):
        start = report.marks()
        path = f"rules[{number}]"
        entries = members(item, _RULE_KEYS, path, report, wanted="a map with the keys of a rule")
        if entries is None:
            continue
        name = _read_name(item, entries, path, report)
        rule = _read_rule(item, entries, name or "", path, report)
        if name is not None:
            report.name_since(start, name)
            if rule is not None:
                rules.append(rule)
    return rules


def _read_name(item: Node, entries: dict[str, Node], path: str, report: Report) -> str | None:
    node = entries.get("name")
    if node is None:
        report.error("missing field `name`; each rule needs one of its own", path, item)
        return None
    return _read_text(node, f"{path}.name", report)


def _read_rule(
    item: Node, entries: dict[str, Node], name: str, path: str, report: Report
) -> Rule | None:
    """Return the rule; None if something of it is wrong, which is noted."""
    start = report.marks()
    priority = 0
    if (node := entries.get("priority")) is not None:
        priority = read_int(node, f"{path}.priority", report, _INT32, _WANTED_PRIORITY) or 0
    description = None
    if (node := given(entries, "description")) is not None:
        description = _read_text(node, f"{path}.description", report)
    enabled = True
    if (node := entries.get("enabled")) is not None:
        enabled = _read_bool(node, f"{path}.enabled", report)
    condition = effect = None
    if (node := entries.get("condition")) is not None:
        condition = read_condition(node, f"{path}.condition", report)
    else:
        report.error("missing field `condition`; `condition: {all: []}` matches always", path, item)
    if (node := entries.get("action")) is not None:
        effect = read_effect(node, f"{path}.action", report)
    else:
        report.error("missing field `action`, such as `action: {type: deny}`", path, item)
    timezone = _read_timezone(entries, path, report)
    continues = False
    if (node := entries.get("continue")) is not None:
        continues = _read_bool(node, f"{path}.continue", report)
        if continues and isinstance(effect, Allow | Deny | Suppress):
            message = f"`{effect.verdict}` decides, so that no rule after it is asked; leave it out"
            report.error(message, f"{path}.continue", node)
    if condition is None or effect is None or report.marks()[0] > start[0]:
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
        source=report.file,
        line=item.line,
    )


def _read_text(node: Node, path: str, report: Report) -> str | None:
    """Return the text of a scalar, whatever its type would be elsewhere."""
    if isinstance(node, Scalar):
        return node.text
    report.error(wrong_kind(node, "a text"), path, node)
    return None


def _read_timezone(entries: dict[str, Node], path: str, report: Report) -> tzinfo:
    node = given(entries, "timezone")
    if node is None:
        return UTC
    name = _read_text(node, f"{path}.timezone", report)
    if name is None:
        return UTC
    try:
        return ZoneInfo(name)
    # What is no name at all, such as a path out of the database, or names one of its folders.
    except (ZoneInfoNotFoundError, ValueError, OSError):
        zones = {zone.lower(): zone for zone in available_timezones()}
        close = difflib.get_close_matches(name[:100].lower(), zones, n=1)
        hint = f"did you mean `{zones[close[0]]}`?" if close else "write it like Europe/Berlin"
        message = f"unknown time zone `{name[:100]}`; {hint}"
        report.error(message, f"{path}.timezone", node)
        return UTC


_SWITCHES: Final = {
    **dict.fromkeys(("yes", "on", "y", "true"), "write true"),
    **dict.fromkeys(("no", "off", "n", "false"), "write false"),
}


def _read_bool(node: Node, path: str, report: Report) -> bool:
    value: object = None
    if isinstance(node, Scalar):
        try:
            value = value_of(node)
        except ScalarError:
            value = None
        if isinstance(value, bool):
            return value
    word = value.lower() if isinstance(value, str) else ""
    report.error(wrong_kind(node, "true or false", _SWITCHES.get(word, "")), path, node)
    return True
