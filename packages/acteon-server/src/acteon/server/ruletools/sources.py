"""Where rules come from: a file or a directory that is named, or what a configuration says."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from attrs import field, frozen

from acteon.core import RULES, ConfigError, plugin_names
from acteon.gateway import LoadedRules, load_rules
from acteon.rules import OnRuleError, Problem, Rule, RuleParseError, RuleSet
from acteon.server.config import load_config


@frozen(kw_only=True)
class RuleSource:
    """Where rules are, and what is known of the gateway that will ask them.

    Attributes:
        path: The file or the directory.
        strict: Whether what would be a warning refuses a file.
        on_error: What follows when a rule that does not say so itself cannot be evaluated.
        providers: The names of the providers; None: not known.
        environment: The variables that conditions can see.
    """

    path: Path
    strict: bool = False
    on_error: OnRuleError = OnRuleError.FAIL
    providers: frozenset[str] | None = None
    environment: Mapping[str, str] = field(factory=dict[str, str])

    def __attrs_post_init__(self) -> None:
        if not self.path.exists():
            raise ConfigError(f"{self.path}: there is no such file or directory")


def find_source(
    path: Path | None,
    config: Path | None,
    *,
    environment: Mapping[str, str],
    providers: frozenset[str] | None = None,
    strict: bool = False,
) -> RuleSource:
    """Return where rules are to be read.

    Args:
        path: The file or the directory; None: that of the configuration.
        config: The configuration's file; None: none is read if there is a path, else that of the
            working directory.
        environment: The variables that conditions can see.
        providers: The names of the providers, in place of those of the configuration.
        strict: Whether what would be a warning refuses a file, whatever the configuration says.

    Raises:
        ConfigError: There is no such place, or the configuration cannot be used.
    """
    if path is not None and config is None:
        return RuleSource(path=path, strict=strict, providers=providers, environment=environment)
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
        strict=strict or read.rules.strict,
        on_error=read.rules.on_error,
        providers=configured if providers is None else providers,
        environment=environment,
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
    """Return the rules of all files that can be read, and what is wrong with the others."""
    try:
        return load_rules(source.path, strict=source.strict), ()
    except RuleParseError as error:
        problems = error.problems
    if source.path.is_file():
        return LoadedRules(), problems
    rules: list[Rule] = []
    warnings: list[Problem] = []
    known = {f".{name}" for name in plugin_names(RULES)}
    for path in sorted(source.path.iterdir()):
        if path.suffix in known and path.is_file():
            try:
                loaded = load_rules(path, strict=source.strict)
            except RuleParseError:
                continue  # What is wrong with it is among the problems.
            rules += loaded.rules
            warnings += loaded.warnings
    return LoadedRules(tuple(rules), tuple(warnings)), problems
