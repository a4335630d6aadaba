"""Rule files in YAML, and what frontends need whose files are YAML around other conditions."""

from acteon.rules_yaml.embedded import ConditionReader, read_condition_text
from acteon.rules_yaml.frontend import YamlRuleFrontend
from acteon.rules_yaml.nodes import Mapping, Node, Scalar, Sequence
from acteon.rules_yaml.report import Report
from acteon.rules_yaml.rules import read_rules

__all__ = [
    "ConditionReader",
    "Mapping",
    "Node",
    "Report",
    "Scalar",
    "Sequence",
    "YamlRuleFrontend",
    "read_condition_text",
    "read_rules",
]
