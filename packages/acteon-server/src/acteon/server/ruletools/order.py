"""Rules that another one keeps from ever doing anything."""

from collections import Counter
from collections.abc import Iterator, Sequence

from attrs import define, field, frozen

from acteon.rules import Deduplicate, Effect, Modify, Reroute, Rule, Throttle
from acteon.server.ruletools.clauses import clauses, identity, implied


@frozen(eq=False)
class _Asked:
    """A rule, and the clauses that make it match."""

    rule: Rule
    clauses: frozenset[str]


@define(eq=False)
class _Earlier:
    """Rules asked before, to be found by one of the clauses of a later one.

    Each is filed under its rarest clause, so that few are looked at for each rule.
    """

    counts: Counter[str]
    _filed: dict[str, list[_Asked]] = field(factory=dict[str, list[_Asked]], init=False)

    def add(self, asked: _Asked) -> None:
        # Without clauses it matches always, which those who load rules tell.
        if asked.clauses:
            rarest = min(sorted(asked.clauses), key=self.counts.__getitem__)
            self._filed.setdefault(rarest, []).append(asked)

    def clear(self) -> None:
        self._filed.clear()

    def that_matches_with(self, known: frozenset[str]) -> _Asked | None:
        """Return the first rule that matches whenever all of `known` is true."""
        for clause in sorted(known):
            for earlier in self._filed.get(clause, ()):
                if earlier.clauses <= known:
                    return earlier
        return None


def hidden(rules: Sequence[Rule]) -> Iterator[tuple[str, Rule, str]]:
    """Yield each rule that never matters as of those before it: code, rule, message.

    Args:
        rules: In the order of evaluation.
    """
    enabled = [rule for rule in rules if rule.enabled]
    asked = [_Asked(rule, _identities(rule)) for rule in enabled]
    counts = Counter(clause for each in asked for clause in each.clauses)
    deciding = _Earlier(counts)
    counting = _kinds(counts)
    for each in asked:
        rule = each.rule
        known = each.clauses.union(identity(clause, rule) for clause in implied(rule.condition))
        earlier = deciding.that_matches_with(known)
        same_kind = counting.get(type(rule.effect))
        if earlier is not None:
            yield _never_matches(earlier, each)
        elif same_kind is not None:
            earlier = same_kind.that_matches_with(known)
            if earlier is not None:
                yield _never_counts(earlier.rule, rule)
        if rule.shadow:
            continue
        if not rule.continues:
            deciding.add(each)
        elif isinstance(rule.effect, Modify):
            # What did not match before may match the changed payload.
            deciding.clear()
            for others in counting.values():
                others.clear()
        elif same_kind is not None:
            same_kind.add(each)


def _kinds(counts: Counter[str]) -> dict[type[Effect], _Earlier]:
    """Return where to file the rules of each kind of which the first counts."""
    return {kind: _Earlier(counts) for kind in (Deduplicate, Throttle, Reroute)}


def _identities(rule: Rule) -> frozenset[str]:
    return frozenset(identity(clause, rule) for clause in clauses(rule.condition))


def _never_matches(earlier: _Asked, later: _Asked) -> tuple[str, Rule, str]:
    name = earlier.rule.name
    mend = "give this one a lower priority number, or leave it out"
    if earlier.clauses == later.clauses:
        text = f"has the same condition as rule {name!r} before it, which decides; {mend}"
        return "duplicate-rule", later.rule, text
    text = f"never matters: rule {name!r} before it decides whenever this one could match; {mend}"
    return "unreachable", later.rule, text


def _never_counts(earlier: Rule, later: Rule) -> tuple[str, Rule, str]:
    kind = later.effect.verdict
    return (
        "no-effect",
        later,
        f"its {kind} never counts: rule {earlier.name!r} before it matches whenever this one does, "
        f"and of several that {kind} the first counts",
    )
