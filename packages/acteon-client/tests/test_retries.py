"""When requests are made again: what a policy decides, and what both clients make of it."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from acteon.client import (
    ActeonConnectionError,
    ActeonTimeoutError,
    Action,
    ApiError,
    ClientError,
    Exchange,
    RetryPolicy,
)
from acteon.client.calls import Repeat

JSON = "content-type: application/json"
ACTION = Action("shop", "acme", "email", "welcome", {}, id="action-1")
AT_ONCE = RetryPolicy(base=0)


def refusal(status: int, **members: Any) -> ApiError:
    return ApiError("no", status=status, retryable=status in (408, 429, 500, 503), **members)


def unsent() -> ActeonConnectionError:
    error = ActeonConnectionError("refused")
    error.sent = False
    return error


@pytest.mark.parametrize(
    ("error", "always", "unprocessed"),
    [
        (refusal(429), True, True),
        (refusal(503), True, True),
        (refusal(500), True, False),
        (refusal(408), True, False),
        (refusal(404), False, False),
        (unsent(), True, True),
        (ActeonConnectionError("cut"), True, False),
        (ActeonTimeoutError("late"), True, False),
    ],
    ids=lambda value: repr(value)[:40],
)
def test_what_may_have_been_done_is_not_done_again(
    error: ClientError, always: bool, unprocessed: bool
) -> None:
    def repeats(policy: RetryPolicy, repeat: Repeat) -> bool:
        return policy.pause(error, repeat, attempts=1, elapsed=0) is not None

    assert repeats(AT_ONCE, Repeat.ALWAYS) is always
    assert repeats(AT_ONCE, Repeat.UNPROCESSED) is unprocessed
    assert repeats(AT_ONCE, Repeat.NEVER) is False
    assert repeats(RetryPolicy(base=0, retry_unsafe=True), Repeat.UNPROCESSED) is always


@given(
    st.floats(0, 10),
    st.floats(1, 10),
    st.floats(0, 100),
    st.integers(1, 20),
    st.floats(0, 1, exclude_max=True),
)
def test_a_pause_is_a_random_part_of_one_that_grows_up_to_a_limit(
    base: float, multiplier: float, most: float, attempts: int, chance: float
) -> None:
    policy = RetryPolicy(
        max_attempts=100, base=base, multiplier=multiplier, max=most, random=lambda: chance
    )
    pause = policy.pause(refusal(503), Repeat.ALWAYS, attempts=attempts, elapsed=0)

    assert pause == pytest.approx(min(most, base * multiplier ** (attempts - 1)) * chance)


def test_the_server_says_when_to_come_back() -> None:
    late = refusal(429, retry_after=20.0)

    def pause(policy: RetryPolicy) -> float | None:
        return policy.pause(late, Repeat.ALWAYS, attempts=1, elapsed=0)

    assert pause(RetryPolicy()) == 20
    assert pause(RetryPolicy(max=10)) is None
    assert pause(RetryPolicy(deadline=19)) is None
    assert pause(RetryPolicy(respect_retry_after=False, jitter=False)) == 0.1


@pytest.mark.parametrize("bad", [{"max_attempts": 0}, {"base": -1}, {"multiplier": 0.5}])
def test_a_policy_that_makes_no_sense(bad: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(bad))):
        RetryPolicy(**bad)


async def test_without_a_policy_nothing_is_repeated(connected: Any, scripted: Any) -> None:
    server = scripted(("503 Busy", b"", JSON), ("200 OK", b"[]", JSON))
    async with connected(server.url) as client:
        with pytest.raises(ClientError):
            await client.list_rules()
    assert len(server.requests) == 1


async def test_a_dispatch_that_was_refused_is_repeated_under_its_id(
    connected: Any, scripted: Any
) -> None:
    server = scripted(
        ("429 Too Many Requests", b"", JSON),
        ("503 Busy", b"", JSON),
        ("200 OK", b'"Deduplicated"', JSON),
    )
    seen: list[Exchange] = []
    async with connected(server.url, retry=AT_ONCE, observe=seen.append) as client:
        assert (await client.dispatch(ACTION)).is_deduplicated()

    bodies = {request.partition(b"\r\n\r\n")[2] for request in server.requests}
    assert len(server.requests) == 3
    assert len(bodies) == 1
    assert [(each.attempt, each.status, each.path) for each in seen] == [
        (1, 429, "/v1/dispatch"),
        (2, 503, "/v1/dispatch"),
        (3, 200, "/v1/dispatch"),
    ]
    assert [each.error is None for each in seen] == [False, False, True]


async def test_a_dispatch_that_may_have_been_done_is_not_repeated(
    connected: Any, scripted: Any
) -> None:
    for answer in (("500 Oh", b"", JSON), None):
        server = scripted(answer, ("200 OK", b'"Deduplicated"', JSON))
        async with connected(server.url, retry=AT_ONCE) as client:
            with pytest.raises(ClientError):
                await client.dispatch(ACTION)
            assert len(server.requests) == 1
        server = scripted(answer, ("200 OK", b'"Deduplicated"', JSON))
        unsafe = RetryPolicy(base=0, retry_unsafe=True)
        async with connected(server.url, retry=unsafe) as client:
            assert (await client.dispatch(ACTION)).is_deduplicated()


async def test_what_is_only_read_is_repeated_whatever_happened(
    connected: Any, scripted: Any
) -> None:
    # The async client's library repeats what found no answer at all by itself, once.
    server = scripted(("500 Oh", b"", JSON), ("502 Oh", b""), ("200 OK", b"[]", JSON))
    async with connected(server.url, retry=AT_ONCE) as client:
        assert await client.list_rules() == []
    assert len(server.requests) == 3


async def test_dead_letters_are_taken_out_once(connected: Any, scripted: Any) -> None:
    server = scripted(("503 Busy", b"", JSON), ("200 OK", b'{"entries":[],"count":0}', JSON))
    async with connected(server.url, retry=RetryPolicy(base=0, retry_unsafe=True)) as client:
        with pytest.raises(ClientError):
            await client.dlq_drain()
    assert len(server.requests) == 1
