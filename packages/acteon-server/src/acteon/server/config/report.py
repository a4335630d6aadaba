"""Collecting what is wrong with a configuration: one line a problem, each with its place."""

from collections.abc import Mapping
from typing import Any, Final

from attrs import define, field

from acteon.server.config.kinds import is_table
from acteon.server.config.references import Secrets
from acteon.server.config.structure import UNKNOWN, Place, Problem
from acteon.server.lines import one_line

_NESTED: Final = (("audit", "redact"), ("server", "tls"))
"""Sections that are keys of others."""
_ENTRIES: Final[Mapping[str, tuple[str, str]]] = {
    "providers": ("provider", "name"),
    "users": ("user", "username"),
    "api_keys": ("API key", "name"),
}
"""Lists of tables: what one of them is called, and the key that says which one it is."""


@define(eq=False, repr=False)
class Report:
    """What is wrong with one configuration.

    Attributes:
        source: What the document is called.
        tree: The document, for the names of providers.
        owners: The sections that keys belong to, for those in the wrong one.
        lines: The problems so far.
        origins: What the operator calls the places that something else than the document filled.
    """

    source: str
    tree: Mapping[str, Any]
    owners: Mapping[str, str] = field(factory=dict[str, str])
    lines: list[str] = field(factory=list[str])
    origins: dict[Place, str] = field(factory=dict[Place, str])
    _told: set[Place] = field(factory=set[Place], init=False)

    def say(self, text: str) -> None:
        """Add the problem `text` of the document as a whole."""
        self.line(f"{self.source}: {text}")

    def line(self, text: str) -> None:
        """Add the problem `text`, which has no place."""
        self.lines.append(text)

    def told(self, secrets: Secrets) -> str:
        """Return all problems, one a line, without what `secrets` hides."""
        return "\n".join(one_line(secrets.hide(line)) for line in self.lines)

    def add(self, problem: Problem) -> None:
        """Add `problem`, unless one of its place is known: the first is the cause."""
        if problem.place in self._told:
            return
        self._told.add(problem.place)
        line = f"{self.label(problem.place)}: {problem.text}"
        owner = self.owners.get(str(problem.place[-1]))
        if problem.text == UNKNOWN and owner is not None and problem.place[0] != "providers":
            line += f"; it belongs below [{owner}]"
        elif problem.text == UNKNOWN and problem.known:
            line += f"; the keys here are {', '.join(problem.known)}"
        self.line(line)

    def label(self, place: Place) -> str:
        """Return what the operator calls `place`: a variable, an option, or file and key."""
        for end in range(len(place), 0, -1):
            if place[:end] in self.origins:
                return self.origins[place[:end]]
        if place[0] in _ENTRIES:
            keys = _keys(place[2:])
            return f"{self.source}: {self.entry(place)}{f': {keys}' if keys else ''}"
        section = ".".join(map(str, place[:2])) if place[:2] in _NESTED else str(place[0])
        keys = _keys(place[section.count(".") + 1 :])
        return f"{self.source}: [{section}]{f' {keys}' if keys else ''}"

    def entry(self, place: Place) -> str:
        """Return what the operator calls the provider, user or key at `place`."""
        section = str(place[0])
        kind, key = _ENTRIES[section]
        if len(place) < 2 or not isinstance(place[1], int):
            return f"[[{section}]]"
        tables: list[Any] = self.tree[section]
        table = tables[place[1]]
        name = table.get(key) if is_table(table) else None
        if isinstance(name, str) and name:
            return f"{kind} {str(name)!r}"
        return f"[[{section}]] number {place[1] + 1}"


def _keys(keys: Place) -> str:
    text = ""
    for key in keys:
        text += f"[{key}]" if isinstance(key, int) else f".{key}"
    return text.removeprefix(".")
