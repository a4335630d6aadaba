"""The rule language: expressions, their compiler, the engine, and the interface of frontends."""

from acteon.rules.decision import (
    Decision,
    MatchedRule,
    StateNotReadError,
    StateRead,
    StateValues,
    WantedClaim,
    WantedQuota,
    WantedRoute,
)
from acteon.rules.engine import OnRuleError, RuleSet
from acteon.rules.errors import (
    EvaluationError,
    InvalidRegexError,
    Problem,
    RuleError,
    RuleParseError,
    StateAccessError,
    TemplateError,
    TypeMismatchError,
    UndefinedFunctionError,
    UndefinedVariableError,
)
from acteon.rules.frontend import ParsedRules, RuleFrontend
from acteon.rules.merge import merge_patch
from acteon.rules.rule import (
    Allow,
    Deduplicate,
    Deny,
    Effect,
    Modify,
    Reroute,
    Rule,
    Suppress,
    Throttle,
)
from acteon.rules.templates import compile_template, parse_field_path

__all__ = [
    "Allow",
    "Decision",
    "Deduplicate",
    "Deny",
    "Effect",
    "EvaluationError",
    "InvalidRegexError",
    "MatchedRule",
    "Modify",
    "OnRuleError",
    "ParsedRules",
    "Problem",
    "Reroute",
    "Rule",
    "RuleError",
    "RuleFrontend",
    "RuleParseError",
    "RuleSet",
    "StateAccessError",
    "StateNotReadError",
    "StateRead",
    "StateValues",
    "Suppress",
    "TemplateError",
    "Throttle",
    "TypeMismatchError",
    "UndefinedFunctionError",
    "UndefinedVariableError",
    "WantedClaim",
    "WantedQuota",
    "WantedRoute",
    "compile_template",
    "merge_patch",
    "parse_field_path",
]
