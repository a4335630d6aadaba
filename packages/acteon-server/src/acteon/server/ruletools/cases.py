"""Test cases of rules, as data."""

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Any

from attrs import field, frozen

from acteon.core import Action
from acteon.rules import Problem, Rule


class Answer(StrEnum):
    """What a provider does with what it is given."""

    SUCCESS = "success"
    FAILURE = "failure"
    """It answers that it failed."""
    ERROR = "error"
    """It does not deliver."""
    UNKNOWN = "unknown"
    """It gives no answer, so that nobody knows whether it delivered."""


@frozen
class Expected:
    """One thing that is expected of a step.

    Attributes:
        key: What it is about: `outcome`, `rule`, ….
        value: What it is to be; durations are `timedelta`s.
    """

    key: str
    value: Any


@frozen(kw_only=True)
class Stored:
    """State entries that are set: texts by id, or None for one that is removed."""

    state: Mapping[str, str | None] = field(factory=dict[str, "str | None"])
    counters: Mapping[str, str | None] = field(factory=dict[str, "str | None"])


@frozen(kw_only=True)
class Step:
    """One action, and what is expected of it.

    Attributes:
        number: Which step of its case it is, counted from 1.
        line: Where it is written.
        at: When it happens.
        action: What is dispatched.
        named: Whether the author gave it an id of its own.
        repeat: How often, each time as another action unless it is named.
        stored: State entries that are set before.
        answers: What providers do from here on.
        expected: What is expected each time.
    """

    number: int
    line: int
    at: datetime
    action: Action
    named: bool
    repeat: int
    stored: Stored
    answers: Mapping[str, Answer]
    expected: tuple[Expected, ...]


@frozen(kw_only=True)
class Case:
    """A story of some steps; each case starts from nothing.

    Attributes:
        name: What it shows.
        line: Where it is written.
        stored: State entries that there are, for every tenant of its actions.
        answers: What providers do.
        steps: In order.
    """

    name: str
    line: int
    stored: Stored
    answers: Mapping[str, Answer]
    steps: tuple[Step, ...]


@frozen(kw_only=True)
class Surroundings:
    """What is known of the gateway whose rules are tested; files of cases may say otherwise.

    Attributes:
        providers: The names of all who deliver; None: not known.
        environment: The variables that conditions can see.
    """

    providers: frozenset[str] | None = None
    environment: Mapping[str, str] = field(factory=dict[str, str])


@frozen(kw_only=True)
class CaseFile:
    """The test cases of a file.

    Attributes:
        path: The file.
        rules: The rules that are tested.
        warnings: What is odd about them.
        providers: The names of all who deliver.
        environment: The variables that conditions can see.
        cases: In the order of the file.
    """

    path: Path
    rules: tuple[Rule, ...]
    warnings: tuple[Problem, ...]
    providers: frozenset[str]
    environment: Mapping[str, str]
    cases: tuple[Case, ...]
