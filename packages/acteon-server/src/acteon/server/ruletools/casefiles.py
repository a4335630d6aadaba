"""Reading files of test cases."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final, cast

from attrs import define, field

from acteon.core import (
    ConfigError,
    UnreadableFileError,
    WireError,
    format_instant,
    read_file,
)
from acteon.rules import Reroute, Rule, RuleParseError, merge_patch
from acteon.rules_yaml import Mapping as MapNode
from acteon.rules_yaml import Node, Report, Scalar, Sequence, is_null, wrong_kind
from acteon.server.ruletools.actions import action_of, unknown_members
from acteon.server.ruletools.caserules import tested_rules
from acteon.server.ruletools.cases import Answer, Case, CaseFile, Step, Stored, Surroundings
from acteon.server.ruletools.expectations import read_expected
from acteon.server.ruletools.findings import dead_ends
from acteon.server.ruletools.nodes import (
    did_you_mean,
    read_count,
    read_duration,
    read_instant,
    read_members,
    read_named,
    read_root,
    read_text,
    read_texts,
    read_value,
)

MAX_BYTES: Final = 4 * 1024 * 1024
START: Final = datetime(2025, 1, 1, tzinfo=UTC)
"""When cases begin that do not say so."""
DEFAULTS: Final[Mapping[str, Any]] = {
    "namespace": "test",
    "tenant": "test",
    "provider": "test",
    "action_type": "test",
    "payload": {},
}
"""What actions are made of that the author left out."""

_SETTING: Final = ("action", "state", "counters", "providers")
_FILE: Final = ("rules", "version", "environment", "action", "providers", "cases")
_STEP: Final = (*_SETTING, "at", "after", "repeat", "expect")
_CASE: Final = ("name", "now", "steps", *_STEP)


def read_case_file(path: Path, surroundings: Surroundings) -> CaseFile:
    """Return the test cases in a file, and the rules that they test.

    Args:
        path: The file.
        surroundings: What is known of the gateway; what the file says goes before it.

    Raises:
        ConfigError: It cannot be read, or something in it is wrong; one line for each problem.
    """
    try:
        text = read_file(path, max_bytes=MAX_BYTES).decode("utf-8-sig")
    except UnreadableFileError as error:
        raise ConfigError(f"{path}: {error}") from None
    except UnicodeDecodeError:
        raise ConfigError(f"{path}: is no UTF-8 text; save it as UTF-8") from None
    try:
        return _Reading(path, text, surroundings).read()
    except RuleParseError as error:
        raise ConfigError("\n".join(problem.located for problem in error.problems)) from None


def holds_rules_alone(path: Path) -> bool:
    """Return whether a file looks like rules without test cases; False for what cannot be read."""
    try:
        root = read_root(read_file(path, max_bytes=MAX_BYTES).decode("utf-8-sig"), str(path))
    except (UnreadableFileError, UnicodeDecodeError, RuleParseError):
        return False
    if not isinstance(root, MapNode):
        return False
    members = {key.text: value for key, value in root.entries if isinstance(key, Scalar)}
    return members.keys() <= {"rules", "version"} and _are_rules(members.get("rules"))


def _are_rules(node: Node | None) -> bool:
    """Return whether `node` holds rules, good or bad, rather than the paths of rule files."""
    if isinstance(node, Sequence):
        return not node.items or any(isinstance(item, MapNode) for item in node.items)
    return isinstance(node, MapNode) or (isinstance(node, Scalar) and is_null(node))


@define(eq=False)
class _Reading:
    """Reads one file; all that is wrong with it is told at once."""

    path: Path
    text: str
    surroundings: Surroundings
    report: Report = field(init=False)
    names: frozenset[str] = field(default=frozenset(), init=False)
    called: set[str] = field(factory=set[str], init=False)
    meant: list[tuple[str, str, Node]] = field(factory=list[tuple[str, str, Node]], init=False)
    """Providers that steps name, and where."""
    lines: dict[str, int] = field(factory=dict[str, int], init=False)
    """Where the cases are, by name."""
    action: Mapping[str, Any] = field(factory=dict[str, Any], init=False)

    def __attrs_post_init__(self) -> None:
        self.report = Report(str(self.path))

    def read(self) -> CaseFile:
        root = read_root(self.text, str(self.path))
        wanted = "a map with `rules` and `cases`"
        found = read_members(root, _FILE, "", self.report, wanted)
        parsed = tested_rules(self.path, self.text, root, found, self.report)
        self.names = frozenset(rule.name for rule in parsed.rules)
        environment = {
            name: read_text(value, f"environment.{name}", self.report)
            for name, value in self._named(found, "environment", "", "a map of texts").items()
        }
        self.action = self._merged({}, found, "")
        given, answers = self._providers(found.get("providers"), "providers")
        cases = self._cases(root, found, answers)
        providers = given or self._known(parsed.rules, answers)
        self._check_meant(providers)
        self.report.warnings(strict=True)
        return CaseFile(
            path=self.path,
            rules=parsed.rules,
            warnings=(*parsed.warnings, *dead_ends(parsed.rules, providers)),
            providers=providers,
            environment={**self.surroundings.environment, **environment},
            cases=cases,
        )

    def _known(self, rules: Iterable[Rule], answers: Mapping[str, Answer]) -> frozenset[str]:
        """Return who delivers where the file does not list them."""
        known = self.surroundings.providers
        if known is None:
            routes = {rule.effect.target for rule in rules if isinstance(rule.effect, Reroute)}
            return frozenset(self.called | routes | set(answers))
        # Who does not matter to a case is always there.
        return known | ({DEFAULTS["provider"]} & self.called)

    def _check_meant(self, providers: frozenset[str]) -> None:
        for name, path, node in self.meant:
            if name not in providers:
                there_are = f"; there are: {', '.join(sorted(providers))}"
                hint = did_you_mean(name, providers) or there_are
                self.report.error(f"there is no provider {name[:100]!r}{hint}", path, node)

    def _cases(
        self, root: Node, found: Mapping[str, Node], answers: Mapping[str, Answer]
    ) -> tuple[Case, ...]:
        node = found.get("cases")
        if not isinstance(node, Sequence):
            if node is not None:
                self.report.error(wrong_kind(node, "a list of cases"), "cases", node)
            elif isinstance(root, MapNode):
                self.report.error("missing key `cases`: the list of test cases", "", root)
            return ()
        if not node.items:
            self.report.error("there are no cases, so nothing is tested", "cases", node)
        return tuple(
            self._case(item, f"cases[{number}]", answers) for number, item in enumerate(node.items)
        )

    def _case(self, node: Node, path: str, answers: Mapping[str, Answer]) -> Case:
        start = self.report.marks()
        wanted = "a map with `name` and `expect` or `steps`"
        found = read_members(node, _CASE, path, self.report, wanted)
        name = ""
        if "name" in found:
            name = read_text(found["name"], f"{path}.name", self.report)
            if name in self.lines:
                message = f"the case at line {self.lines[name]} has this name; rename one of them"
                self.report.error(message, f"{path}.name", found["name"])
            elif name:
                self.lines[name] = node.line
        elif isinstance(node, MapNode):
            self.report.error("missing key `name`: what the case shows", path, node)
        now = START
        if "now" in found:
            now = read_instant(found["now"], f"{path}.now", self.report) or START
        action = self._merged(self.action, found, path)
        steps: list[Step] = []
        for item, at, members in self._step_nodes(node, found, path):
            now = self._instant(members, now, at)
            own = action if members is found else self._merged(action, members, at)
            steps.append(self._step(item, at, members, own, len(steps) + 1, now))
        hopeful = self.report.marks() > start or any(step.expected for step in steps)
        if not hopeful:
            self.report.error("missing key `expect`: nothing in this case can fail", path, node)
        return Case(
            name=name,
            line=node.line,
            # Of a case that is one step itself, what there is is set by that.
            stored=self._stored(found, path) if "steps" in found else Stored(),
            answers={**answers, **(self._answers(found, path) if "steps" in found else {})},
            steps=tuple(steps),
        )

    def _step_nodes(
        self, node: Node, found: dict[str, Node], path: str
    ) -> list[tuple[Node, str, dict[str, Node]]]:
        """Return the steps: those of `steps`, or else the case itself."""
        if "steps" not in found:
            return [(node, path, found)]
        for key in ("at", "after", "repeat", "expect"):
            if key in found:
                message = f"`{key}` goes into one of the steps"
                self.report.error(message, f"{path}.{key}", found[key])
        steps = found["steps"]
        if not isinstance(steps, Sequence):
            self.report.error(wrong_kind(steps, "a list of steps"), f"{path}.steps", steps)
            return []
        if not steps.items:
            self.report.error("there are no steps, so nothing is tested", f"{path}.steps", steps)
        wanted = "a map with `action` and `expect`"
        return [
            (item, at, read_members(item, _STEP, at, self.report, wanted))
            for number, item in enumerate(steps.items)
            for at in (f"{path}.steps[{number}]",)
        ]

    def _step(
        self,
        node: Node,
        path: str,
        found: Mapping[str, Node],
        members: Mapping[str, Any],
        number: int,
        now: datetime,
    ) -> Step:
        place = found.get("action", node)
        given = {**DEFAULTS, **members}
        given.setdefault("id", f"step-{number}")
        given.setdefault("created_at", format_instant(now))
        try:
            action = action_of(given)
        except WireError as error:
            self.report.error(f"is no action: {error}", f"{path}.action", place)
            action = action_of({**DEFAULTS, "id": "", "created_at": format_instant(now)})
        self.called.add(action.provider)
        expect = found.get("expect")
        at = f"{path}.expect"
        expected = () if expect is None else read_expected(expect, at, self.report, self.names)
        for each in expected:
            if expect is not None and each.key == "provider" and each.value:
                self.meant.append((each.value, f"{at}.provider", expect))
        return Step(
            number=number,
            line=node.line,
            at=now,
            action=action,
            named="id" in members,
            repeat=read_count(found["repeat"], f"{path}.repeat", self.report)
            if "repeat" in found
            else 1,
            stored=self._stored(found, path),
            answers=self._answers(found, path),
            expected=expected,
        )

    def _instant(self, found: Mapping[str, Node], now: datetime, path: str) -> datetime:
        """Return when a step happens, after one that happened `now`."""
        if "at" in found and "after" in found:
            self.report.error("write `at` or `after`, not both", f"{path}.after", found["after"])
        if "at" in found:
            at = read_instant(found["at"], f"{path}.at", self.report)
            if at is not None and at < now:
                message = f"time does not go back: it is {format_instant(now)} before"
                self.report.error(message, f"{path}.at", found["at"])
            return at or now
        if "after" in found:
            after = read_duration(found["after"], f"{path}.after", self.report)
            try:
                return now + (after or timedelta(0))
            except OverflowError:
                message = "time ends with the year 9999"
                self.report.error(message, f"{path}.after", found["after"])
        return now

    def _merged(
        self, base: Mapping[str, Any], found: Mapping[str, Node], path: str
    ) -> Mapping[str, Any]:
        """Return the members of an action: those of `base`, changed by the ones given here."""
        node = found.get("action")
        if node is None:
            return base
        at = f"{path}.action" if path else "action"
        if not isinstance(node, MapNode):
            self.report.error(wrong_kind(node, "a map of what the action says"), at, node)
            return base
        for key, _ in node.entries:
            if isinstance(key, Scalar):
                for text in unknown_members([key.text]):
                    self.report.error(text, at, key)
        return cast("dict[str, Any]", merge_patch(base, read_value(node, at, self.report)))

    def _named(
        self, found: Mapping[str, Node], key: str, path: str, wanted: str
    ) -> dict[str, Node]:
        node = found.get(key)
        at = f"{path}.{key}" if path else key
        return {} if node is None else read_named(node, at, self.report, wanted)

    def _stored(self, found: Mapping[str, Node], path: str) -> Stored:
        texts = self._named(found, "state", path, "a map of texts")
        counts = self._named(found, "counters", path, "a map of numbers")
        return Stored(
            state={id: self._entry(node, f"{path}.state.{id}") for id, node in texts.items()},
            counters={
                id: self._entry(node, f"{path}.counters.{id}") for id, node in counts.items()
            },
        )

    def _entry(self, node: Node, path: str) -> str | None:
        if isinstance(node, Scalar) and read_value(node, path, self.report) is None:
            return None
        return read_text(node, path, self.report, "a text or a number")

    def _answers(self, found: Mapping[str, Node], path: str) -> Mapping[str, Answer]:
        at = f"{path}.providers"
        node = found.get("providers")
        if isinstance(node, Sequence):
            message = wrong_kind(node, "a map, such as {email: failure}")
            self.report.error(f"{message}; the list of all providers goes to the top", at, node)
            return {}
        answers = self._providers(node, at)[1]
        if node is not None:
            self.meant += [(name, at, node) for name in answers]
        return answers

    def _providers(
        self, node: Node | None, path: str
    ) -> tuple[frozenset[str], Mapping[str, Answer]]:
        """Return the names of all providers, if they are given, and what some of them do."""
        if node is None:
            return frozenset(), {}
        if isinstance(node, Sequence | Scalar):
            names = read_texts(node, path, self.report, "the names of the providers")
            return frozenset(names), {}
        answers: dict[str, Answer] = {}
        for name, answer in read_named(node, path, self.report, "a map").items():
            text = read_text(answer, f"{path}.{name}", self.report)
            try:
                answers[name] = Answer(text)
            except ValueError:
                known = ", ".join(Answer)
                message = f"wanted one of {known}, found `{text[:100]}`"
                self.report.error(message, f"{path}.{name}", answer)
        return frozenset(), answers
