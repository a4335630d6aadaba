"""Conditions in CEL, the Common Expression Language."""

from acteon.rules_cel.frontend import CelRuleFrontend

__all__ = ["CelRuleFrontend"]
