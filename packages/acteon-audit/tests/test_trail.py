import asyncio
import logging
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from attrs import define, field

from acteon.audit import (
    UNENCODABLE,
    AuditPage,
    AuditQuery,
    AuditSettings,
    AuditStorageError,
    AuditTrail,
    Position,
    Redaction,
    Scope,
)
from acteon.audit.query import consistent
from acteon.audit.testing import NOON, PlainAuditStore, UnreliableAuditStore, make_record
from acteon.audit.trail import FIRST_CLEAN_UP
from acteon.core import MAX_DEPTH, ManualClock

LATER = timedelta(hours=1)
SOON = FIRST_CLEAN_UP
PATIENT = AuditSettings(flush_delay=LATER)


async def test_what_was_recorded_before_is_found() -> None:
    record = make_record()
    async with AuditTrail(PlainAuditStore(), PATIENT, clock=ManualClock()) as trail:
        await trail.record(record)
        assert trail.queued == 1
        assert (await trail.query(AuditQuery())).records == (record,)
        assert (trail.queued, trail.written) == (0, 1)

        newer = make_record(dispatched_at=NOON + LATER)
        await trail.record(newer)
        assert await trail.latest("a-1") == newer
        assert await trail.latest("a-1", scopes=(Scope(tenants=frozenset("x")),)) is None

        newest = make_record()
        await trail.record(newest)
        assert await trail.get(newest.id) == newest


async def test_readers_wait_for_a_slow_store_for_a_time_only() -> None:
    store = UnreliableAuditStore()
    settings = AuditSettings(flush_limit=timedelta(milliseconds=1))
    async with AuditTrail(store, settings, clock=ManualClock()) as trail:
        store.open.clear()
        await trail.record(make_record())
        assert (await trail.query(AuditQuery())).total == 0
        store.open.set()
        await trail.flush()
        assert (await trail.query(AuditQuery())).total == 1


async def test_readers_do_not_wait_for_a_failing_store() -> None:
    store, clock = UnreliableAuditStore(), ManualClock()
    store.failures.append(AuditStorageError("away"))
    settings = AuditSettings(flush_limit=LATER)
    async with AuditTrail(store, settings, clock=clock) as trail:
        await trail.record(make_record())
        async with asyncio.timeout(5):
            assert (await trail.query(AuditQuery())).total == 0
        assert (trail.failed_writes, trail.dropped) == (1, 0)
        await clock.advance(timedelta(seconds=1))


async def test_expired_records_are_removed_after_every_interval(
    caplog: pytest.LogCaptureFixture,
) -> None:
    store, clock = UnreliableAuditStore(), ManualClock()
    store.failures.extend([AuditStorageError("away"), LookupError("a bug")])
    await store.inner.write([make_record(expires_at=clock.now())])
    with caplog.at_level(logging.INFO, logger="acteon.audit"):
        async with AuditTrail(store, clock=clock, chance=lambda: 0.5):
            await clock.advance(0.99 * SOON)
            assert store.clean_ups == 0
            await clock.advance(0.02 * SOON)
            assert store.clean_ups == 1
            await clock.advance(0.99 * LATER)
            assert store.clean_ups == 1
            await clock.advance(0.01 * LATER)
            assert (store.clean_ups, len(caplog.records)) == (2, 2)
            await clock.advance(LATER)
            assert (store.clean_ups, (await store.query(AuditQuery())).total) == (3, 0)
            await clock.advance(LATER)
    assert (store.clean_ups, clock.sleepers) == (4, 0)

    assert [(line.levelname, line.getMessage()) for line in caplog.records] == [
        ("WARNING", "audit clean-up failed"),
        ("WARNING", "audit clean-up failed"),
        ("INFO", "audit clean-up removed expired records"),
    ]
    assert vars(caplog.records[2])["acteon.removed"] == 1


@define(eq=False)
class HangingStore(PlainAuditStore):
    """Comes to no end with its first clean-up, and tells of the second one."""

    clean_ups: int = 0
    again: asyncio.Event = field(factory=asyncio.Event)

    async def clean_up(self, now: datetime) -> int:
        self.clean_ups += 1
        if self.clean_ups > 1:
            self.again.set()
            return 0
        return await asyncio.Event().wait()


async def test_a_clean_up_that_hangs_is_given_up_and_there_is_another_one(
    caplog: pytest.LogCaptureFixture,
) -> None:
    store = HangingStore()
    settings = AuditSettings(cleanup_interval=timedelta(milliseconds=5))
    async with asyncio.timeout(5), AuditTrail(store, settings):
        await store.again.wait()

    assert caplog.messages[0] == "audit clean-up failed"
    assert vars(caplog.records[0])["acteon.error"] == "TimeoutError: "


@pytest.mark.parametrize(("chance", "share"), [(0.0, 0.9), (1.0, 1.1)])
async def test_the_interval_is_a_tenth_shorter_or_longer(chance: float, share: float) -> None:
    store, clock = UnreliableAuditStore(), ManualClock()
    async with AuditTrail(store, clock=clock, chance=lambda: chance):
        await clock.advance((share + 0.001) * SOON)
        await clock.advance((share - 0.001) * LATER)
        assert store.clean_ups == 1
        await clock.advance(0.002 * LATER)
        assert store.clean_ups == 2


async def test_a_trail_goes_on_an_exit_stack_and_lets_errors_out_as_they_are() -> None:
    store = PlainAuditStore()
    with pytest.raises(LookupError, match="mine"):  # noqa: PT012 - the block is the one that is left
        async with AsyncExitStack() as stack:
            trail = await stack.enter_async_context(AuditTrail(store, PATIENT))
            await trail.record(make_record())
            raise LookupError("mine")

    assert len(store.records) == 1


async def test_leaving_is_under_the_limit_of_the_caller() -> None:
    store = UnreliableAuditStore()
    store.open.clear()
    trail = AuditTrail(store)
    await trail.__aenter__()
    await trail.record(make_record())
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await trail.__aexit__(None, None, None)

    assert (trail.queued, trail.dropped) == (0, 1)


async def test_it_asks_the_store_whether_it_is_there() -> None:
    await AuditTrail(PlainAuditStore()).ping()


def test_a_payload_is_kept_as_json_with_sorted_keys() -> None:
    assert AuditTrail(PlainAuditStore()).payload({"b": [1, None], "a": "ü"}).json == (
        '{"a":"ü","b":[1,null]}'.encode()
    )
    assert AuditTrail(PlainAuditStore()).payload(None).json == b"null"


def test_a_payload_is_redacted_before_it_is_kept() -> None:
    trail = AuditTrail(
        PlainAuditStore(), AuditSettings(redaction=Redaction(["password"], placeholder="***"))
    )

    assert trail.payload({"user": {"Password": "p"}}) == (b'{"user":{"Password":"***"}}', True)
    assert trail.payload({"user": {"name": "p"}}) == (b'{"user":{"name":"p"}}', False)


def test_payloads_may_be_left_out() -> None:
    trail = AuditTrail(PlainAuditStore(), AuditSettings(store_payload=False))

    assert trail.payload({"a": 1}).json is None


def nested(levels: int) -> list[Any]:
    value: list[Any] = []
    for _ in range(levels):
        value = [value]
    return value


@pytest.mark.parametrize("value", [{"a": object()}, "\ud800", nested(100_000)])
@pytest.mark.parametrize("redaction", [None, Redaction(["a"])])
def test_what_cannot_be_encoded_is_kept_as_a_marker(
    value: object, redaction: Redaction | None
) -> None:
    kept = AuditTrail(PlainAuditStore(), AuditSettings(redaction=redaction)).payload(value).json

    deep = b"[" * MAX_DEPTH + b'"[REDACTED]"' + b"]" * MAX_DEPTH
    assert kept in (UNENCODABLE, b'{"a":"[REDACTED]"}', deep)


def test_records_expire_after_their_time_to_live() -> None:
    def expiry(ttl: timedelta | None) -> datetime | None:
        return AuditTrail(PlainAuditStore(), AuditSettings(ttl=ttl)).expiry(NOON)

    assert expiry(timedelta(days=1)) == datetime(2025, 1, 2, 12, tzinfo=UTC)
    assert expiry(None) is None
    assert expiry(timedelta.max) is None
    assert AuditTrail(PlainAuditStore()).expiry(NOON) == NOON + timedelta(days=30)


@pytest.mark.parametrize(
    "wrong", [{"ttl": timedelta(0)}, {"max_queue": 0}, {"cleanup_interval": timedelta(0)}]
)
def test_settings_out_of_range_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        AuditSettings(**wrong)


def test_labels_are_kept_as_they_are_unless_that_is_not_wanted() -> None:
    labels = {"team": "growth", "Token": "t-1"}
    plain = AuditTrail(PlainAuditStore(), AuditSettings(redaction=Redaction(["token"])))
    strict = AuditTrail(
        PlainAuditStore(), AuditSettings(redaction=Redaction(["token"], metadata=True))
    )

    assert plain.labels(labels).json == b'{"Token":"t-1","team":"growth"}'
    assert strict.labels(labels) == (b'{"Token":"[REDACTED]","team":"growth"}', True)
    assert strict.labels({}).json == b"{}"
    assert labels["Token"] == "t-1"


def test_texts_are_told_as_they_are_unless_that_is_not_wanted() -> None:
    payload = {"token": "t-12345"}
    plain = AuditTrail(PlainAuditStore(), AuditSettings(redaction=Redaction(["token"])))
    strict = AuditTrail(
        PlainAuditStore(), AuditSettings(redaction=Redaction(["token"], "*", texts=True))
    )

    assert plain.hiding(lambda: [payload], {})("bad t-12345") == "bad t-12345"
    assert strict.hiding(lambda: [payload], {})("bad t-12345") == "bad *"
    assert sorted(plain.placeholders) == ["[REDACTED]"]
    assert sorted(strict.placeholders) == ["*", "[REDACTED]"]


@pytest.mark.parametrize(
    ("on_page", "query", "told", "total"),
    [
        (3, AuditQuery(), 0, 3),
        (3, AuditQuery(limit=3), 0, 3),
        (3, AuditQuery(limit=3), 9, 9),
        (1, AuditQuery(), 9, 1),
        (0, AuditQuery(), 9, 0),
        (0, AuditQuery(offset=5), 9, 9),
        (2, AuditQuery(offset=5), 6, 7),
        (2, AuditQuery(offset=5), 9, 7),
        (2, AuditQuery(after=Position(NOON, "x")), 1, 1),
    ],
)
def test_a_total_fits_what_is_on_its_page(
    on_page: int, query: AuditQuery, told: int, total: int
) -> None:
    records = tuple(make_record() for _ in range(on_page))
    page = AuditPage(records=records, total=told, limit=query.limit, offset=query.offset)
    assert consistent(page, query).total == total
