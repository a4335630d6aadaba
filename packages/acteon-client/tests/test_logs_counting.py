"""What is counted is told in the end: nothing twice, nothing never."""

import math
from collections import Counter
from datetime import UTC, datetime, timedelta
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from acteon.client.counting import Draft, Repeats
from acteon.core import Action

START = datetime(2026, 1, 5, tzinfo=UTC)
KEYS = "abc"

steps = st.lists(
    st.tuples(st.sampled_from([*KEYS, "ask what is due"]), st.floats(0, 20)), max_size=60
)


def draft(key: str) -> Draft:
    def action(repeated: int, instant: datetime) -> Action:
        said = {"repeated": repeated, "instant": instant}
        return Action("shop", "acme", "desk", "log", said, dedup_key=key)

    return action


@given(steps, st.floats(0, 30), st.integers(1, 4))
def test_each_is_told_or_counted_and_no_count_is_lost(
    steps: list[tuple[str, float]], interval: float, limit: int
) -> None:
    repeats = Repeats(interval, limit)
    happened: Counter[str] = Counter()
    last: dict[str, datetime] = {}
    told: list[tuple[float, Action]] = []
    now = 0.0
    for step, pause in steps:
        now += pause
        if step in KEYS:
            instant = last[step] = START + timedelta(seconds=now)
            happened[step] += 1
            if not repeats.count(step, instant, now):
                told.append((now, repeats.tell(step, draft(step), instant, now)))
        else:
            while due := repeats.take_due(now):
                told.append((now, due))
    while due := repeats.take_due(math.inf):
        told.append((math.inf, due))

    stand_for: Counter[str] = Counter()
    for _, action in told:
        stand_for[str(action.dedup_key)] += 1 + action.payload["repeated"]
    assert stand_for == happened
    for key in happened:
        mine = [(at, action) for at, action in told if action.dedup_key == key]
        # The last one tells when it happened last.
        assert mine[-1][1].payload["instant"] == last[key]
        if limit >= len(KEYS):  # So many are known at a time that none is forgotten early.
            instants = [at for at, _ in mine if at < math.inf]
            assert all(b >= a + interval for a, b in pairwise(instants))
    assert repeats.next_due() is None


@given(st.floats(0.001, 1000))
def test_what_was_counted_is_due_when_its_interval_is_over(interval: float) -> None:
    repeats = Repeats(interval)
    repeats.tell("a", draft("a"), START, 0)
    assert repeats.count("a", START, interval / 2)

    assert repeats.next_due() == interval
    assert repeats.take_due(interval / 2) is None
    due = repeats.take_due(interval)

    assert due is not None
    assert due.payload["repeated"] == 0  # It stands for the one that was counted.
    assert repeats.next_due() == 2 * interval  # It has been told of now.
