"""The action of a rule: what its keys mean."""

from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Final

from attrs import frozen

from acteon.rules import (
    Allow,
    Deduplicate,
    Deny,
    Effect,
    Modify,
    Reroute,
    Suppress,
    Throttle,
)
from acteon.rules.expression import Expression
from acteon.rules.rule import MAX_DURATION
from acteon.rules_yaml import nodes
from acteon.rules_yaml.hints import RULE_KEYS, did_you_mean
from acteon.rules_yaml.nodes import Node
from acteon.rules_yaml.oddities import check_constant_key, tell_odd_changes
from acteon.rules_yaml.plain import read_changes
from acteon.rules_yaml.reading import (
    NO_TAG,
    described,
    given,
    in_quotes,
    members,
    named,
    read_int,
    seconds_in,
    text_of,
    wrong_kind,
)
from acteon.rules_yaml.report import Place, Report
from acteon.rules_yaml.templates import read_template

_UINT: Final = range(2**64)
_SECONDS: Final = range(1, 2**63)
_WANTED_SECONDS: Final = "a whole number of seconds above 0 and below 2^63"
_FOR_LISTS: Final = {
    "key": 'write "{{ action.payload.to }} {{ action.tenant }}"',
    "target_provider": "write a rule for each, with a condition of its own",
}
ONE_ACTION: Final = (
    "a rule has one: take out its dash, or make a rule of each, all but the last with "
    "`continue: true`"
)
_LONGEST: Final = MAX_DURATION - timedelta(seconds=1)


@frozen
class _Parameters:
    """The parameters of an action, and where they are.

    Attributes:
        node: The action.
        found: Its members.
        path: Where it is.
        report: Takes the problems.
    """

    node: Node
    found: dict[str, Node]
    path: str
    report: Report

    def required(self, name: str) -> Node | None:
        node = self.found.get(name)
        if node is None:
            hint = _MEANINGS.get(name, "")
            self.report.error(f"missing field `{name}`{hint}", self.path, self.node)
        return node

    def text(self, name: str) -> str | None:
        node = self.required(name)
        if node is None:
            return None
        text = text_of(node)
        if text is None:
            hint = _FOR_LISTS.get(name, "") if isinstance(node, nodes.Sequence) else in_quotes(node)
            self.at(name).error(wrong_kind(node, "a text", hint), node)
        return text

    def uint(self, name: str) -> int | None:
        node = self.required(name)
        if node is None:
            return None
        wanted = "a whole number, 0 or more"
        return read_int(node, f"{self.path}.{name}", self.report, _UINT, wanted)

    def seconds(self, name: str) -> timedelta | None:
        """Return the duration `name`, which must not be zero, nor absurd."""
        node = self.required(name)
        if node is None:
            return None
        path = f"{self.path}.{name}"
        count = read_int(node, path, self.report, _SECONDS, _WANTED_SECONDS)
        if count is None:
            return None
        if count > _LONGEST.total_seconds():
            self.report.warning(f"{count} seconds are taken for a thousand years", path, node)
            return _LONGEST
        return timedelta(seconds=count)

    def template(self, name: str) -> Expression | None:
        """Return the template `name`, whose fields are shown as texts; None if there is none."""
        node = self.found.get(name)
        if node is None:
            return None
        if given(self.found, name) is None:
            self.at(name).warning(f"`{name}: null` counts as not given", node)
            return None
        text = self.text(name)
        if text is None:
            return None
        if "{{" not in text:
            check_constant_key(text, node, self.at(name))
        return read_template(text, node, self.at(name))

    def at(self, name: str) -> Place:
        return Place(f"{self.path}.{name}", self.report)


def _read_deduplicate(parameters: _Parameters) -> Effect | None:
    key = parameters.template("key")
    if given(parameters.found, "ttl_seconds") is None:
        return Deduplicate(key=key)
    ttl = parameters.seconds("ttl_seconds")
    return None if ttl is None else Deduplicate(ttl=ttl, key=key)


def _read_reroute(parameters: _Parameters) -> Effect | None:
    target = parameters.text("target_provider")
    if target is None:
        return None
    if "{{" in target:
        message = "`{{` is nothing special here; write a rule for each provider"
        parameters.at("target_provider").warning(message, parameters.found["target_provider"])
    node = given(parameters.found, "changes")
    if node is None:
        return Reroute(target=target)
    return Reroute(target=target, changes=read_changes(node, parameters.at("changes")))


def _read_throttle(parameters: _Parameters) -> Effect | None:
    key = parameters.template("key")
    max_count = parameters.uint("max_count")
    window = parameters.seconds("window_seconds")
    if max_count is None or window is None:
        return None
    return Throttle(max_count=max_count, window=window, key=key)


def _read_modify(parameters: _Parameters) -> Effect | None:
    node = parameters.required("changes")
    if node is None:
        return None
    place = parameters.at("changes")
    if not isinstance(node, nodes.Mapping):
        place.advice(f"this replaces the whole payload with {described(node)}", node)
    tell_odd_changes(node, place)
    return Modify(changes=read_changes(node, place))


@frozen
class _Form:
    """A type of action.

    Attributes:
        read: Makes the effect from the parameters; None if they are wrong, which is noted.
        parameters: Their names.
    """

    read: Callable[[_Parameters], Effect | None]
    parameters: tuple[str, ...] = ()


FORMS: Final[Mapping[str, _Form]] = {
    "allow": _Form(lambda _: Allow()),
    "deny": _Form(lambda _: Deny()),
    "deduplicate": _Form(_read_deduplicate, ("ttl_seconds", "key")),
    "suppress": _Form(lambda _: Suppress()),
    "reroute": _Form(_read_reroute, ("target_provider", "changes")),
    "throttle": _Form(_read_throttle, ("max_count", "window_seconds", "key")),
    "modify": _Form(_read_modify, ("changes",)),
}
KEYS: Final = frozenset({"type"} | {name for form in FORMS.values() for name in form.parameters})
_TYPES: Final = named(FORMS)
_MEANINGS: Final = {
    "type": f"; write one of {_TYPES} there",
    "target_provider": ": who delivers instead",
    "max_count": ": how many are let through",
    "window_seconds": ": in how long a time",
    "changes": ": the members of the payload that are set, or with null taken out",
}


def read_effect(node: Node, path: str, report: Report) -> Effect | None:
    """Return the effect that `node` writes down; None if it is none, which is noted."""
    if node.tag is not None and node.tag.startswith("!"):
        report.error(f"wanted an action {NO_TAG}", path, node)
        return None
    if (text := text_of(node)) in FORMS:
        report.error(wrong_kind(node, "a map", f"write {{type: {text}}}"), path, node)
        return None
    wanted = "a map with `type`, such as {type: deny}"
    found = members(
        node,
        KEYS,
        path,
        report,
        wanted=wanted,
        hint=ONE_ACTION if isinstance(node, nodes.Sequence) else "",
        unknown=_meant,
        strict_keys=True,
    )
    if found is None:
        return None
    parameters = _Parameters(node, found, path, report)
    kind = parameters.text("type")
    if kind is None:
        return None
    form = FORMS.get(kind)
    if form is None:
        hint = did_you_mean(kind, FORMS) or f"; write one of {_TYPES}"
        message = f"unknown action type `{kind[:100]}`{hint}"
        report.error(message, f"{path}.type", found["type"])
        return None
    for name, value in found.items():
        if name != "type" and name not in form.parameters:
            report.warning(f"ignored key: `{name}` does not go with `type: {kind}`", path, value)
    return form.read(parameters)


def _meant(name: str, value: Node) -> str:
    """Return a hint for a key of an action that is not known."""
    if name in FORMS:
        return f"; write `type: {name}`"
    if name in RULE_KEYS and name != "description":
        return "; it belongs to the rule: indent it less, beside `action`"
    if name == "per":
        window = seconds_in(text_of(value) or "") or 3600
        return f"; write `window_seconds: {window}`, and as `key` what is counted apart"
    if name in {"reason", "message", "comment", "description"}:
        return "; say it in the `description` of the rule"
    hint = did_you_mean(name, KEYS)
    seconds = seconds_in(text_of(value) or "")
    if seconds is not None and "_seconds`" in hint:
        return hint.replace("did you mean", "write").replace("`?", f": {seconds}`")
    return hint
