"""`acteon-server rules check`: all that is wrong with rules, or odd about them."""

from attrs import frozen

from acteon.core import ConfigError
from acteon.rules import Problem, RuleParseError
from acteon.server.ruletools.findings import Finding, Severity, findings_about, warning_of
from acteon.server.ruletools.sources import RuleSource, compiled, load_what_can_be


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
    loaded, problems = load_what_can_be(source)
    if source.path.is_dir() and not (loaded.rules or problems):
        raise ConfigError(f"{source.path}: there are no rules; rule files end in .yaml or .yml")
    findings = [*_errors(problems), *(warning_of(problem) for problem in loaded.warnings)]
    try:
        rules = compiled(loaded.rules, source)
    except RuleParseError as error:
        findings += _errors(error.problems)
    else:
        findings += (warning_of(problem) for problem in rules.warnings)
        findings += findings_about(rules.rules, providers=source.providers)
    findings.sort(key=_place)
    return Checked(len(loaded.rules), tuple(findings))


def _errors(problems: tuple[Problem, ...]) -> list[Finding]:
    return [
        warning_of(problem) if problem.code else Finding(Severity.ERROR, "load", problem)
        for problem in problems
    ]


def _place(finding: Finding) -> tuple[str, int, int]:
    problem = finding.problem
    return problem.file, problem.line, problem.column


def _counted(count: int, thing: str) -> str:
    return f"{count} {thing}" if count == 1 else f"{count} {thing}s"
