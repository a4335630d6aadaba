"""What the author of a misspelt key most likely means."""

import difflib
from collections.abc import Collection, Mapping
from typing import Final

RULE_KEYS: Final = frozenset(
    {
        *("name", "priority", "description", "enabled", "shadow", "on_error"),
        *("condition", "timezone", "action", "continue"),
    }
)
"""What a rule is made of."""


def did_you_mean(name: str, known: Collection[str]) -> str:
    """Return a hint at the one of `known` that `name` is most likely meant to be, if any."""
    word = name.lower().replace("-", "_").replace(" ", "_")
    special = SPECIAL.get(word, "")
    meant = next((each for each in SYNONYMS.get(word, ()) if each in known), "")
    if not meant and special and special.partition(":")[0] in known:
        return f"; write `{special}`"
    close = [meant] if meant else difflib.get_close_matches(name[:100].lower(), known, n=1)
    return f"; did you mean `{close[0]}`?" if close else ""


SYNONYMS: Final[Mapping[str, tuple[str, ...]]] = {
    "=": ("eq",),
    "==": ("eq",),
    "equal": ("eq",),
    "equals": ("eq",),
    "is": ("eq",),
    "!=": ("ne",),
    "<>": ("ne",),
    "neq": ("ne",),
    "not_eq": ("ne",),
    "is_not_null": ("exists",),
    "not_equal": ("ne",),
    "not_equals": ("ne",),
    "is_not": ("ne",),
    ">": ("gt",),
    "greater_than": ("gt",),
    "above": ("gt",),
    ">=": ("gte",),
    "ge": ("gte",),
    "min": ("gte",),
    "<": ("lt",),
    "less_than": ("lt",),
    "below": ("lt",),
    "<=": ("lte",),
    "le": ("lte",),
    "one_of": ("in",),
    "is_in": ("in",),
    "nin": ("not_in",),
    "not_in_list": ("not_in",),
    "not_one_of": ("not_in",),
    "~": ("matches",),
    "=~": ("matches",),
    "regex": ("matches",),
    "regexp": ("matches",),
    "pattern": ("matches",),
    "match": ("matches", "condition"),
    "includes": ("contains",),
    "has": ("contains",),
    "prefix": ("starts_with",),
    "startswith": ("starts_with",),
    "suffix": ("ends_with",),
    "endswith": ("ends_with",),
    "exist": ("exists",),
    "present": ("exists",),
    "defined": ("exists",),
    "not_null": ("exists",),
    "missing": ("is_null",),
    "absent": ("is_null",),
    "null": ("is_null",),
    "isnull": ("is_null",),
    "is_empty": ("is_null",),
    "empty": ("is_null",),
    "and": ("all",),
    "every": ("all",),
    "all_of": ("all",),
    "or": ("any",),
    "some": ("any",),
    "any_of": ("any",),
    "unless": ("not",),
    "nor": ("none",),
    "none_of": ("none",),
    "not_any": ("none",),
    "expr": ("cel",),
    "expression": ("cel",),
    "path": ("field",),
    "counter": ("state_counter",),
    "count": ("state_counter", "max_count"),
    "seen": ("state_seen",),
    "within": ("within_seconds",),
    "conditions": ("condition",),
    "if": ("condition",),
    "when": ("condition",),
    "actions": ("action",),
    "then": ("action",),
    "effect": ("action",),
    "id": ("name",),
    "order": ("priority",),
    "weight": ("priority",),
    "desc": ("description",),
    "comment": ("description",),
    "dry_run": ("shadow",),
    "dryrun": ("shadow",),
    "audit_only": ("shadow",),
    "onerror": ("on_error",),
    "on_fail": ("on_error",),
    "on_failure": ("on_error",),
    "tz": ("timezone",),
    "time_zone": ("timezone",),
    "continues": ("continue",),
    "rule": ("rules",),
    "block": ("deny",),
    "reject": ("deny",),
    "drop": ("suppress",),
    "ignore": ("suppress", "skip"),
    "dedup": ("deduplicate",),
    "dedupe": ("deduplicate",),
    "limit": ("throttle", "max_count"),
    "rate_limit": ("throttle",),
    "route": ("reroute",),
    "redirect": ("reroute",),
    "transform": ("modify",),
    "pass": ("allow", "skip"),
    "raise": ("fail",),
    "error": ("fail",),
    "provider": ("target_provider",),
    "target": ("target_provider",),
    "to": ("target_provider",),
    "ttl": ("ttl_seconds",),
    "expires": ("ttl_seconds",),
    "max": ("max_count", "lte"),
    "rate": ("max_count",),
    "window": ("window_seconds",),
    "period": ("window_seconds",),
    "interval": ("window_seconds",),
    "by": ("key",),
    "dedup_key": ("key",),
    "set": ("changes",),
    "patch": ("changes",),
    "payload": ("changes",),
}
"""What people write who know other systems; of several, the first that is known where it is."""

SPECIAL: Final[Mapping[str, str]] = {
    "disabled": "enabled: false",
    "stop": "continue: false",
    "active": "enabled: true",
}
"""What is said with a value as well."""
