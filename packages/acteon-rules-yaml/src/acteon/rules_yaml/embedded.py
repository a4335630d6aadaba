"""Conditions in another language, inside of a file."""

from collections.abc import Callable
from functools import cache

from acteon.core import RULES, ConfigError, load_plugin
from acteon.rules import ConditionError, ConditionLanguage, RuleFrontend
from acteon.rules.expression import Expression
from acteon.rules_yaml.nodes import Node, Scalar
from acteon.rules_yaml.report import Report

ConditionReader = Callable[[Node, str, Report], Expression | None]
"""Reads the condition of a rule: its node, the path to it, and where problems go."""


def read_condition_text(
    language: ConditionLanguage, text: str, node: Scalar, path: str, report: Report
) -> Expression | None:
    """Return the condition that `text`, written in `node`, is in `language`.

    What is wrong, or odd, is noted at its place in the file; None if it is wrong.
    """
    try:
        parsed = language.parse_condition(text)
    except ConditionError as error:
        report.error_within(error.message, path, node, error.line, error.column)
        return None
    for message in parsed.warnings:
        report.warning(message, path, node)
    return parsed.expression


def read_embedded(
    name: str, text: str, node: Scalar, path: str, report: Report
) -> Expression | None:
    """Return the condition `text` in the language of the frontend `name`, as far as it is there."""
    language = report.languages.get(name)
    if language is None:
        try:
            language = _loaded(name)
        except ConfigError as error:
            language = error
        report.languages[name] = language
    if isinstance(language, ConfigError):
        report.error(str(language), path, node)
        return None
    return read_condition_text(language, text, node, path, report)


@cache
def _loaded(name: str) -> ConditionLanguage:
    plugin: type[RuleFrontend] = load_plugin(RULES, name, RuleFrontend)
    frontend = plugin()
    if not isinstance(frontend, ConditionLanguage):
        raise ConfigError(f"{name!r} reads whole files, and no conditions of others")
    return frontend
