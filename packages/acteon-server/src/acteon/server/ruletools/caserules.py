"""The rules that a file of test cases names, or holds."""

import os.path
import re
from collections.abc import Mapping as Map
from pathlib import Path
from typing import Final

from acteon.gateway import load_rules
from acteon.rules import ParsedRules, Problem, Rule
from acteon.rules_yaml import Mapping, Node, Report, Scalar, Sequence, YamlRuleFrontend
from acteon.server.ruletools.nodes import read_texts

_BREAK: Final = re.compile(r"\r\n|\r|\n")


def tested_rules(
    path: Path, text: str, root: Node, found: Map[str, Node], report: Report
) -> ParsedRules:
    """Return the rules that a file of test cases is about.

    Args:
        path: The file.
        text: What it holds.
        root: The document in it.
        found: Its members.
        report: Takes what is wrong with those that concern rules.

    Raises:
        RuleParseError: Rules cannot be read.
        ConfigError: Likewise.
    """
    node = found.get("rules")
    if not isinstance(root, Mapping):
        return ParsedRules(())
    if node is None:
        message = "missing key `rules`: the path of a rule file, or the rules themselves"
        report.error(message, "", root)
        return ParsedRules(())
    if isinstance(node, Sequence) and any(isinstance(item, Mapping) for item in node.items):
        alone = _alone(text, root, ("rules", "version"))
        if alone is None:
            report.error("write each key of the file on a line of its own", "rules", node)
            return ParsedRules(())
        return YamlRuleFrontend().parse(alone, file=str(path))
    if "version" in found:
        message = "goes with rules that are written here; files of rules have their own"
        report.error(message, "version", found["version"])
    return _loaded(path.parent, node, report)


def _loaded(folder: Path, node: Node, report: Report) -> ParsedRules:
    rules: list[Rule] = []
    warnings: list[Problem] = []
    for name in read_texts(node, "rules", report, "the path of a rule file, or a list of rules"):
        path = Path(os.path.normpath(folder / name))
        if not path.exists():
            report.error(f"there is no file or directory {path}", "rules", node)
            continue
        loaded = load_rules(path)
        rules += loaded.rules
        warnings += loaded.warnings
    return ParsedRules(tuple(rules), tuple(warnings))


def _alone(text: str, root: Mapping, kept: tuple[str, ...]) -> str | None:
    """Return `text` with all lines blank but those of the keys `kept`, so that lines keep numbers.

    None if two keys share a line.
    """
    starts = sorted(
        (key.line, key.text if isinstance(key, Scalar) else "") for key, _ in root.entries
    )
    if len({line for line, _ in starts}) < len(starts):
        return None
    lines = _BREAK.split(text)
    alone = [""] * len(lines)
    ends = [line for line, _ in starts[1:]] + [len(lines) + 1]
    for (start, name), end in zip(starts, ends, strict=True):
        if name in kept:
            alone[start - 1 : end - 1] = lines[start - 1 : end - 1]
    return "\n".join(alone)
