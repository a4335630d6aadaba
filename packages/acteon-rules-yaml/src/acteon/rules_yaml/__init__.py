"""Rule files in YAML."""

from acteon.rules_yaml.frontend import YamlRuleFrontend

__all__ = ["YamlRuleFrontend"]
