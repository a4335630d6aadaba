"""The rule language: expressions, their compiler, the engine, and the interface of frontends."""

from acteon.rules.context import Context
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
from acteon.rules.described import describe
from acteon.rules.engine import RuleSet
from acteon.rules.errors import (
    ConditionError,
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
from acteon.rules.explain import (
    Explanation,
    RuleExplanation,
    RuleResult,
    Seen,
    decision_json,
    explain,
)
from acteon.rules.frontend import (
    ConditionLanguage,
    ParsedCondition,
    ParsedRules,
    RuleFrontend,
)
from acteon.rules.merge import merge_patch
from acteon.rules.program import Program
from acteon.rules.regex import cached_regex, compile_regex
from acteon.rules.rule import (
    Allow,
    Deduplicate,
    Deny,
    Effect,
    Modify,
    OnRuleError,
    Reroute,
    Rule,
    Suppress,
    Throttle,
)
from acteon.rules.templates import compile_template, parse_field_path

__all__ = [
    "Allow",
    "ConditionError",
    "ConditionLanguage",
    "Context",
    "Decision",
    "Deduplicate",
    "Deny",
    "Effect",
    "EvaluationError",
    "Explanation",
    "InvalidRegexError",
    "MatchedRule",
    "Modify",
    "OnRuleError",
    "ParsedCondition",
    "ParsedRules",
    "Problem",
    "Program",
    "Reroute",
    "Rule",
    "RuleError",
    "RuleExplanation",
    "RuleFrontend",
    "RuleParseError",
    "RuleResult",
    "RuleSet",
    "Seen",
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
    "cached_regex",
    "compile_regex",
    "compile_template",
    "decision_json",
    "describe",
    "explain",
    "merge_patch",
    "parse_field_path",
]
