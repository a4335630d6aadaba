"""The frontend: `.cel` files, and CEL conditions in files of others."""

from functools import lru_cache
from typing import ClassVar, Final

from acteon.rules import ConditionLanguage, ParsedCondition, ParsedRules, RuleFrontend
from acteon.rules.expression import Expression, Foreign
from acteon.rules_cel.checking import check_result, oddities
from acteon.rules_cel.engines import engine, read
from acteon.rules_cel.program import CelProgram
from acteon.rules_yaml import Node, Report, Scalar, read_condition_text, read_rules

_KEPT: Final = 4096
"""So many conditions are kept, as reading one takes milliseconds, and few change in a reload."""


class CelRuleFrontend(RuleFrontend, ConditionLanguage):
    """Reads `.cel` files: YAML documents like those of `.yaml` files, with CEL for conditions.

    Any plain scalar is taken as text there, so that `condition: true` is CEL, too.
    """

    language: ClassVar[str] = "CEL"

    def parse(self, text: str, *, file: str = "", strict: bool = False) -> ParsedRules:
        return read_rules(
            text,
            file=file,
            strict=strict,
            language=self.language,
            read_condition=self._read_condition,
        )

    def parse_condition(self, text: str) -> ParsedCondition:
        return _read(text)

    def _read_condition(self, node: Node, path: str, report: Report) -> Expression | None:
        if not isinstance(node, Scalar):
            report.error("wanted a text in CEL; `cel:` stands in .yaml files only", path, node)
            return None
        return read_condition_text(self, node.text, node, path, report)


@lru_cache(maxsize=_KEPT)
def _read(text: str) -> ParsedCondition:
    condition = read(text)
    check_result(condition.node)
    program = CelProgram(condition, engine())
    return ParsedCondition(Foreign(program), warnings=oddities(condition.node))
