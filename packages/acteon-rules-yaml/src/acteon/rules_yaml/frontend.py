"""The frontend for files whose conditions are YAML as well."""

from typing import ClassVar

from acteon.rules import ParsedRules, RuleFrontend
from acteon.rules_yaml.conditions import read_condition
from acteon.rules_yaml.rules import read_rules


class YamlRuleFrontend(RuleFrontend):
    """Reads `.yaml` and `.yml` files.

    A file is one YAML 1.2 document, a map with the list `rules`. Keys that mean nothing are
    warnings, or errors if the caller or `version: 2` in the file asks for strictness.
    """

    language: ClassVar[str] = "YAML"

    def parse(self, text: str, *, file: str = "", strict: bool = False) -> ParsedRules:
        return read_rules(
            text,
            file=file,
            strict=strict,
            language=self.language,
            read_condition=read_condition,
        )
