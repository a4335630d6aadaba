"""Switching rules on and off, for all gateways that share a state store.

One entry of the store holds what differs from the rule files, and a generation that says how
often all gateways were told to read their files again. It changes by compare-and-swap only.
"""

import json
from collections.abc import Callable, Mapping
from typing import Any

from attrs import evolve, field, frozen

from acteon.state import StateKey, StateStore

KEY = StateKey("_system", "_rules", "state", "toggles")


@frozen
class Toggles:
    """What was said about rules, beyond their files.

    Attributes:
        enabled: Whether rules are asked, by name; only where the files say otherwise.
        generation: How often all were told to read their files again.
    """

    enabled: Mapping[str, bool] = field(factory=dict[str, bool])
    generation: int = 0

    @classmethod
    def from_text(cls, text: str | None) -> "Toggles":
        """Return what `text` says; an entry that is none of ours says nothing."""
        try:
            value: Any = json.loads(text) if text is not None else {}
            enabled = {str(name): on for name, on in value["enabled"].items() if type(on) is bool}
            return cls(enabled, int(value["generation"]))
        except (ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError):
            return cls()

    def to_text(self) -> str:
        """Return the text for the store."""
        members = {"enabled": dict(self.enabled), "generation": self.generation}
        return json.dumps(members, sort_keys=True, separators=(",", ":"))

    def with_rule(self, name: str, *, enabled: bool, in_file: bool) -> "Toggles":
        """Return these with rule `name` switched; what the file says anyway is not kept."""
        others = {other: on for other, on in self.enabled.items() if other != name}
        return evolve(self, enabled=others if enabled == in_file else {**others, name: enabled})

    def with_next_generation(self) -> "Toggles":
        """Return these with one generation more."""
        return evolve(self, generation=self.generation + 1)


async def read_toggles(store: StateStore) -> Toggles:
    """Return the toggles in `store`; may raise `StateError`."""
    return Toggles.from_text(await store.get(KEY))


async def change_toggles(store: StateStore, change: Callable[[Toggles], Toggles]) -> Toggles:
    """Change the toggles in `store`, whoever else does so meanwhile; may raise `StateError`."""
    while True:
        text = await store.get(KEY)
        changed = change(Toggles.from_text(text))
        if await store.compare_and_swap(KEY, text, changed.to_text(), ttl=None):
            return changed
