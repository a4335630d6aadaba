"""`acteon-server rules check`: all that is wrong with rules, or odd about them."""

from attrs import frozen

from acteon.core import ConfigError
from acteon.rules import Problem
from acteon.server.ruletools.findings import Finding, Severity, findings_about, warning_of
from acteon.server.ruletools.sources import (
    RuleSource,
    compile_what_can_be,
    load_what_can_be,
    rule_files,
)


@frozen
class Checked:
    """What a check found.

    Attributes:
        rules: How many rules could be read.
        findings: In the order of the files and lines.
    """

    rules: int
    findings: tuple[Finding, ...]

    def count(self, severity: Severity) -> int:
        """Return how many findings are that bad."""
        return sum(each.severity is severity for each in self.findings)

    @property
    def summary(self) -> str:
        """The findings in numbers."""
        found = [
            _counted(self.count(severity), severity.value)
            for severity in Severity
            if self.count(severity)
        ]
        if self.count(Severity.ERROR):
            return ", ".join(found)  # How many rules there are is not known.
        return f"{_counted(self.rules, 'rule')}: {', '.join(found) or 'nothing found'}"


def check_rules(source: RuleSource) -> Checked:
    """Return what is wrong with the rules at `source`, or odd about them.

    Raises:
        ConfigError: They cannot be read at all.
    """
    loaded, unread = load_what_can_be(source)
    if not rule_files(source.path) and not (loaded.warnings or unread):
        raise ConfigError(
            f"{source.path}: there are no rule files; their names end in .yaml or .yml"
        )
    rules, uncompiled = compile_what_can_be(loaded.rules, source)
    findings = _errors((*unread, *uncompiled))
    if not (loaded.rules or findings):
        findings.append(_empty(source))
    findings += map(warning_of, (*loaded.warnings, *rules.warnings))
    findings += findings_about(rules.rules, providers=source.providers)
    findings.sort(key=_place)
    return Checked(len(loaded.rules), tuple(findings))


def _errors(problems: tuple[Problem, ...]) -> list[Finding]:
    return [
        warning_of(problem) if problem.code else Finding(Severity.ERROR, "load", problem)
        for problem in problems
    ]


def _empty(source: RuleSource) -> Finding:
    message = "there are no rules in it, so every action is allowed"
    return Finding(Severity.WARNING, "empty", Problem(message=message, file=str(source.path)))


def _place(finding: Finding) -> tuple[str, int, int]:
    problem = finding.problem
    return problem.file, problem.line, problem.column


def _counted(count: int, thing: str) -> str:
    return f"{count} {thing}" if count == 1 else f"{count} {thing}s"
