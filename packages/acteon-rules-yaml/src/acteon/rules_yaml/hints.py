"""What the author of a misspelt key most likely means."""

import difflib
from collections.abc import Collection, Mapping
from typing import Final


def did_you_mean(name: str, known: Collection[str]) -> str:
    """Return a hint at the one of `known` that `name` is most likely meant to be, if any."""
    meant = _SYNONYMS.get(name.lower().replace("-", "_").replace(" ", "_"), "")
    close = [meant] if meant in known else difflib.get_close_matches(name.lower(), known, n=1)
    return f"; did you mean `{close[0]}`?" if close else ""


_SYNONYMS: Final[Mapping[str, str]] = {
    "==": "eq",
    "equal": "eq",
    "equals": "eq",
    "is": "eq",
    "!=": "ne",
    "neq": "ne",
    "not_equals": "ne",
    ">": "gt",
    "greater_than": "gt",
    ">=": "gte",
    "ge": "gte",
    "<": "lt",
    "less_than": "lt",
    "<=": "lte",
    "le": "lte",
    "in": "in_list",
    "one_of": "in_list",
    "regex": "matches",
    "match": "matches",
    "includes": "contains",
    "prefix": "starts_with",
    "suffix": "ends_with",
    "and": "all",
    "or": "any",
    "conditions": "condition",
    "if": "condition",
    "when": "condition",
    "actions": "action",
    "then": "action",
    "id": "name",
    "order": "priority",
    "rule": "rules",
    "block": "deny",
    "drop": "suppress",
    "ignore": "suppress",
    "dedup": "deduplicate",
    "dedupe": "deduplicate",
    "limit": "throttle",
    "rate_limit": "throttle",
    "route": "reroute",
    "redirect": "reroute",
    "transform": "modify",
    "pass": "allow",
    "provider": "target_provider",
    "target": "target_provider",
    "to": "target_provider",
    "ttl": "ttl_seconds",
    "max": "max_count",
    "count": "max_count",
    "window": "window_seconds",
    "within": "within_seconds",
    "set": "changes",
}
"""What people write who know other systems."""
