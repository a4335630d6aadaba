"""Making sets of rules, and telling what is odd about them."""

import difflib
from collections.abc import Iterable, Mapping

from attrs import evolve, frozen

from acteon.gateway.settings import GatewaySettings
from acteon.provider import ProviderRegistry
from acteon.rules import Problem, Reroute, Rule, RuleSet


@frozen
class RuleCompiler:
    """Compiles rules for one gateway; with many rules that takes time, so call it in a thread.

    Attributes:
        providers: For warnings about routes that lead nowhere.
        settings: How rules that cannot be evaluated are treated, and what they see.
    """

    providers: ProviderRegistry
    settings: GatewaySettings

    def having(self, environment: Mapping[str, str | None]) -> "RuleCompiler":
        """Return one whose rules see `environment` in place of what they would; None: nothing."""
        seen = {**self.settings.environment, **environment}
        there = {name: value for name, value in seen.items() if value is not None}
        return evolve(self, settings=evolve(self.settings, environment=there))

    def compile(self, rules: Iterable[Rule]) -> tuple[RuleSet, tuple[Problem, ...]]:
        """Return the set of `rules`, and what is odd about them.

        Raises:
            RuleParseError: One of them cannot be compiled.
        """
        compiled = RuleSet.compile(
            rules,
            on_error=self.settings.on_rule_error,
            environment=self.settings.environment,
        )
        return compiled, (*compiled.warnings, *self._dead_ends(compiled))

    def _dead_ends(self, rules: RuleSet) -> list[Problem]:
        return [
            Problem(
                message=f"reroutes to provider {rule.effect.target!r}, which is not configured"
                f"{self._meant(rule.effect.target)}",
                file=rule.source,
                rule=rule.name,
                line=rule.line,
            )
            for rule in rules.rules
            if isinstance(rule.effect, Reroute) and rule.effect.target not in self.providers
        ]

    def _meant(self, target: str) -> str:
        close = difflib.get_close_matches(target, self.providers, n=1)
        if close:
            return f"; did you mean {close[0]!r}?"
        return f"; there are: {', '.join(self.providers)}" if self.providers else ""
