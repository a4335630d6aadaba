"""What is known of the server's clock is true, and soon exact."""

from datetime import timedelta

from hypothesis import assume, given
from hypothesis import strategies as st

from acteon.state_clickhouse.clock import DRIFT, SHARP, ServerClock

OFFSETS = st.floats(-1e9, 1e9)
SECONDS = st.floats(0, 5)
TRIPS = st.tuples(SECONDS, st.floats(0, 0.3), st.floats(0, 0.3))
STEPS = st.sampled_from([1, 1000])


def told(true: float, step: int) -> int:
    return int(true // step) * step


@given(
    step=STEPS,
    offset=OFFSETS,
    drift=st.floats(-DRIFT * 0.99, DRIFT * 0.99),
    trips=st.lists(TRIPS, min_size=1, max_size=30),
    later=st.floats(0, 3600),
)
def test_the_true_time_is_never_excluded(
    step: int, offset: float, drift: float, trips: list[tuple[float, float, float]], later: float
) -> None:
    clock = ServerClock(step)

    def true(monotonic: float) -> float:
        return offset + monotonic * 1000 * (1 + drift)

    now = 0.0
    for pause, there, back in trips:
        sent = now + pause
        asked = sent + there
        now = asked + back
        clock.observe(told(true(asked), step), sent, now)
        span = clock.read(now)
        # With a little for what floating point loses.
        assert span.earliest - 0.1 <= true(now) <= span.latest + 0.1
    span = clock.read(now + later)
    assert span.earliest - 0.1 <= true(now + later) <= span.latest + 0.1


@given(offset=OFFSETS, trip=st.floats(0.0001, 0.005))
def test_an_old_server_is_known_to_some_hundredths_after_a_second(
    offset: float, trip: float
) -> None:
    clock = ServerClock(1000)
    now = 0.0
    while now < 1.3:
        clock.observe(told(offset + (now + trip / 2) * 1000, 1000), now, now + trip)
        now += trip
        pause = clock.pause(now)
        if pause is None:
            break
        now += max(pause, timedelta(milliseconds=3)).total_seconds()
    assert clock.pause(now) is None
    span = clock.read(now)
    assert span.latest - span.earliest <= SHARP


@given(offset=OFFSETS, jump=st.floats(3_000, 1e9), back=st.booleans())
def test_a_clock_that_is_set_is_believed(offset: float, jump: float, back: bool) -> None:
    clock = ServerClock(1)
    clock.observe(told(offset, 1), 0.0, 0.001)
    true = offset + (-jump if back else jump) + 1000
    assume(abs(true - offset) > 2_000)
    clock.observe(told(true, 1), 1.0, 1.001)
    span = clock.read(1.001)
    assert span.earliest - 2 <= true <= span.latest + 2
    assert span.latest - span.earliest < 5
