"""What providers say about each other: fallbacks, and the members of groups."""

import difflib
from collections.abc import Iterable, Mapping, Sequence

from acteon.provider import CallLimits, GroupConfig
from acteon.server.config.sections import ProviderSection


def problems_between(sections: Sequence[ProviderSection]) -> list[str]:
    """Return what is wrong with the names that `sections` call each other by, a line for each."""
    named = {section.name: section for section in sections}
    return [
        f"provider {section.name!r}: {problem}"
        for section in sections
        for problem in (*_of_group(section, named), *_of_fallback(section, named))
    ]


def _of_group(section: ProviderSection, named: Mapping[str, ProviderSection]) -> Iterable[str]:
    group = section.settings
    if not isinstance(group, GroupConfig):
        return
    for member in group.members:
        if member not in named:
            yield f"members: there is no provider {member!r}{_meant(member, named, section.name)}"
        elif isinstance(named[member].settings, GroupConfig):
            yield f"members: {member!r} is a group itself; name its members instead"
    for key, given in (
        ("limits", section.limits != CallLimits()),
        ("circuit_breaker", section.circuit_breaker is not None),
    ):
        if given:
            yield f"{key}: a group has none of its own; write it for its members"


def _of_fallback(section: ProviderSection, named: Mapping[str, ProviderSection]) -> Iterable[str]:
    fallback = _fallback(section)
    if fallback is None:
        return
    where = "circuit_breaker.fallback"
    if fallback not in named:
        yield f"{where}: there is no provider {fallback!r}{_meant(fallback, named, section.name)}"
    elif isinstance(named[fallback].settings, GroupConfig):
        yield f"{where}: {fallback!r} is a group; name one provider"
    elif section.name in (chain := _chain(fallback, named)):
        way = " -> ".join([section.name, *chain[: chain.index(section.name) + 1]])
        yield f"{where}: leads back to itself: {way}"


def _chain(name: str, named: Mapping[str, ProviderSection]) -> list[str]:
    """Return `name`, its fallback, and so on, each once."""
    found: list[str] = []
    following: str | None = name
    while following is not None and following in named and following not in found:
        found.append(following)
        following = _fallback(named[following])
    return [*found, *([following] if following in found else [])]


def _fallback(section: ProviderSection) -> str | None:
    return None if section.circuit_breaker is None else section.circuit_breaker.fallback


def _meant(name: str, named: Iterable[str], itself: str) -> str:
    others = [each for each in named if each != itself]
    close = difflib.get_close_matches(name, others, n=1)
    return f"; did you mean {close[0]!r}?" if close else ""
