"""Rule files in YAML, and what frontends need whose files are YAML around other conditions."""

from acteon.rules_yaml.document import read_document
from acteon.rules_yaml.embedded import ConditionReader, read_condition_text
from acteon.rules_yaml.events import DocumentError
from acteon.rules_yaml.frontend import YamlRuleFrontend
from acteon.rules_yaml.nodes import Mapping, Node, Scalar, Sequence
from acteon.rules_yaml.reading import described, scalar_of, wrong_kind
from acteon.rules_yaml.report import Report
from acteon.rules_yaml.rules import read_rules
from acteon.rules_yaml.scalars import ScalarError, is_null, value_of

__all__ = [
    "ConditionReader",
    "DocumentError",
    "Mapping",
    "Node",
    "Report",
    "Scalar",
    "ScalarError",
    "Sequence",
    "YamlRuleFrontend",
    "described",
    "is_null",
    "read_condition_text",
    "read_document",
    "read_rules",
    "scalar_of",
    "value_of",
    "wrong_kind",
]
