"""Where rules come from: a file or a directory that is named, or what a configuration says."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from attrs import frozen

from acteon.core import RULES, ConfigError, plugin_names
from acteon.gateway import LoadedRules, load_rules
from acteon.rules import OnRuleError, Problem, Rule, RuleParseError, RuleSet
from acteon.server.config import load_config
from acteon.server.ruletools.cases import Surroundings


@frozen(kw_only=True)
class RuleSource:
    """Where rules are, and what is known of the gateway that will ask them.

    Attributes:
        path: The file or the directory.
        strict: Whether what would be a warning refuses a file.
        on_error: What follows when a rule that does not say so itself cannot be evaluated.
        providers: The names of the providers; None: not known.
        environment: The variables that conditions can see; None: not known.
    """

    path: Path
    strict: bool = False
    on_error: OnRuleError = OnRuleError.FAIL
    providers: frozenset[str] | None = None
    environment: Mapping[str, str] | None = None

    def __attrs_post_init__(self) -> None:
        if not self.path.exists():
            raise ConfigError(f"{self.path}: there is no such file or directory")


def find_source(
    path: Path | None,
    config: Path | None,
    *,
    environment: Mapping[str, str],
    providers: frozenset[str] | None = None,
) -> RuleSource:
    """Return where rules are to be read.

    Args:
        path: The file or the directory; None: that of the configuration.
        config: The configuration's file; None: none is read if there is a path, else that of the
            working directory.
        environment: Variables that conditions can see, beside those of the configuration.
        providers: The names of the providers, in place of those of the configuration.

    Raises:
        ConfigError: There is no such place, or the configuration cannot be used.
    """
    if path is not None and config is None:
        return RuleSource(path=path, providers=providers, environment=environment or None)
    read = load_config(config, environ=os.environ)
    where = path or read.rules.directory
    if where is None:
        name = "acteon.toml" if config is None else config
        raise ConfigError(
            f"{name}: names no rules; name a directory here, or there as [rules] directory"
        )
    configured = frozenset(section.name for section in read.providers)
    return RuleSource(
        path=where,
        strict=read.rules.strict,
        on_error=read.rules.on_error,
        providers=configured if providers is None else providers,
        environment={**read.rules.environment, **environment},
    )


def surroundings_in(config: Path | None) -> Surroundings:
    """Return what the configuration in a file says of the gateway; without one, nothing.

    Raises:
        ConfigError: It cannot be used.
    """
    if config is None:
        return Surroundings()
    read = load_config(config, environ=os.environ)
    return Surroundings(
        providers=frozenset(section.name for section in read.providers) or None,
        environment=read.rules.environment,
    )


def load_source(source: RuleSource) -> RuleSet:
    """Return the rules at `source`, compiled.

    Raises:
        ConfigError: They cannot be used; one line for each problem.
    """
    try:
        loaded = load_rules(source.path, strict=source.strict)
        return compiled(loaded.rules, source)
    except RuleParseError as error:
        raise ConfigError("\n".join(problem.located for problem in error.problems)) from None


def compiled(rules: Sequence[Rule], source: RuleSource) -> RuleSet:
    """Return the set of `rules` as a gateway would have it.

    Raises:
        RuleParseError: One of them cannot be compiled.
    """
    return RuleSet.compile(rules, on_error=source.on_error, environment=source.environment)


def load_what_can_be(source: RuleSource) -> tuple[LoadedRules, tuple[Problem, ...]]:
    """Return the rules of all files that can be read, and what is wrong with the others.

    What is only odd about a file refuses it where the source is strict, and is a problem then; its
    rules are returned all the same.
    """
    try:
        return load_rules(source.path, strict=source.strict), ()
    except RuleParseError as error:
        problems = error.problems
    rules: list[Rule] = []
    warnings: list[Problem] = []
    for path in rule_files(source.path):
        try:
            loaded = load_rules(path)
        except RuleParseError:
            continue  # What is wrong with it is among the problems.
        rules += loaded.rules
        warnings += () if source.strict else loaded.warnings
    return LoadedRules(tuple(rules), tuple(warnings)), problems


def compile_what_can_be(
    rules: Sequence[Rule], source: RuleSource
) -> tuple[RuleSet, tuple[Problem, ...]]:
    """Return the set of those rules that can be compiled, and what is wrong with the others."""
    try:
        return compiled(rules, source), ()
    except RuleParseError as error:
        problems = error.problems
    # Places tell rules apart, as names may be given twice.
    wrong = {(problem.file, problem.line, problem.rule) for problem in problems}
    good = [rule for rule in rules if (rule.source, rule.line, rule.name) not in wrong]
    return compiled(good, source), problems


def rule_files(path: Path) -> list[Path]:
    """Return the rule files in a directory, as the server finds them; of a file, itself."""
    if not path.is_dir():
        return [path]
    known = {f".{name}" for name in plugin_names(RULES)}
    return [each for each in sorted(path.iterdir()) if each.suffix in known and each.is_file()]
