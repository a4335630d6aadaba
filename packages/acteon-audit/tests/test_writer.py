import asyncio
import logging
from collections.abc import Sequence
from datetime import timedelta

import pytest
from attrs import define

from acteon.audit import AuditError, AuditRecord, AuditSettings, AuditStorageError, AuditWriter
from acteon.audit.testing import PlainAuditStore, UnreliableAuditStore, make_record
from acteon.core import ManualClock

LATER = timedelta(hours=1)
DELAY = timedelta(milliseconds=20)
SECOND = timedelta(seconds=1)
PATIENT = AuditSettings(flush_delay=LATER)


def make_records(count: int) -> list[AuditRecord]:
    return [make_record() for _ in range(count)]


async def turns(clock: ManualClock) -> None:
    """Let everybody get on until they wait for something."""
    await clock.advance(timedelta(0))


async def record_all(writer: AuditWriter, records: list[AuditRecord]) -> None:
    for record in records:
        await writer.record(record)


async def test_records_are_written_together_after_the_delay() -> None:
    clock, store = ManualClock(), UnreliableAuditStore()
    async with AuditWriter(store, clock=clock) as writer:
        await writer.record(make_record())
        await clock.advance(DELAY / 2)
        await record_all(writer, make_records(2))
        assert (store.batches, writer.queued) == ([], 3)

        await clock.advance(DELAY / 2)
        assert (store.batches, writer.queued, writer.written) == ([3], 0, 3)


async def test_what_needs_no_waiting_is_taken_at_once() -> None:
    clock, store = ManualClock(), UnreliableAuditStore()
    settings = AuditSettings(max_queue=2, flush_delay=LATER)
    async with AuditWriter(store, settings, clock=clock) as writer:
        records = make_records(3)
        assert [writer.take(record) for record in records] == [True, True, False]
        assert writer.queued == 2
        await writer.flush()
        assert writer.take(records[2])
    assert writer.written == 3
    assert not writer.take(make_record())


async def test_what_must_be_written_before_the_dispatch_ends_is_not_taken_at_once() -> None:
    async with AuditWriter(PlainAuditStore(), AuditSettings(mode="sync")) as writer:
        assert not writer.take(make_record())
        assert (writer.queued, writer.written) == (0, 0)


async def test_a_full_batch_does_not_wait() -> None:
    clock, store = ManualClock(), UnreliableAuditStore()
    settings = AuditSettings(batch_size=4, flush_delay=LATER)
    async with AuditWriter(store, settings, clock=clock) as writer:
        await record_all(writer, make_records(3))
        await turns(clock)
        assert store.batches == []

        await record_all(writer, make_records(7))
        await turns(clock)
        assert (store.batches, writer.queued) == ([4, 4], 2)


async def test_a_batch_that_the_queue_cannot_hold_is_made_smaller() -> None:
    store = UnreliableAuditStore()
    settings = AuditSettings(max_queue=2, flush_delay=LATER)
    async with asyncio.timeout(5), AuditWriter(store, settings, clock=ManualClock()) as writer:
        await record_all(writer, make_records(4))

    assert store.batches == [2, 2]


async def test_an_idle_writer_sleeps() -> None:
    clock = ManualClock()
    async with AuditWriter(PlainAuditStore(), clock=clock) as writer:
        await turns(clock)
        assert clock.sleepers == 0
        await writer.record(make_record())
        await clock.advance(SECOND)
        assert clock.sleepers == 0


async def test_flushing_writes_what_was_recorded_before() -> None:
    clock, store = ManualClock(), PlainAuditStore()
    async with AuditWriter(store, PATIENT, clock=clock) as writer:
        records = make_records(1200)
        await record_all(writer, records)
        await writer.flush()

        assert list(store.records.values()) == records
        assert clock.sleepers == 0
        await writer.flush()


async def test_flushing_does_not_wait_for_what_is_recorded_later() -> None:
    clock, store = ManualClock(), UnreliableAuditStore()
    async with asyncio.timeout(5), AuditWriter(store, PATIENT, clock=clock) as writer:
        store.open.clear()
        await writer.record(make_record())
        flushing = asyncio.create_task(writer.flush())
        await turns(clock)
        await writer.record(make_record())
        store.open.set()
        await flushing

        await turns(clock)
        assert (writer.written, writer.queued) == (1, 1)


async def test_leaving_writes_what_is_queued() -> None:
    store = PlainAuditStore()
    async with AuditWriter(store, PATIENT, clock=ManualClock()) as writer:
        await record_all(writer, make_records(1001))

    assert len(store.records) == writer.written == 1001
    assert (writer.queued, writer.dropped) == (0, 0)


async def test_leaving_with_an_error_writes_what_is_queued_and_lets_the_error_out() -> None:
    store = PlainAuditStore()
    writer = AuditWriter(store, PATIENT, clock=ManualClock())
    with pytest.raises(LookupError):  # noqa: PT012 - the block is the one that is left
        async with writer:
            await writer.record(make_record())
            raise LookupError

    assert len(store.records) == 1


async def test_leaving_a_cancelled_block_writes_what_is_queued() -> None:
    clock, store = ManualClock(), PlainAuditStore()

    async def serve() -> None:
        async with AuditWriter(store, PATIENT, clock=clock) as writer:
            await writer.record(make_record())
            await clock.sleep(LATER)

    task = asyncio.create_task(serve())
    await turns(clock)
    task.cancel()
    await asyncio.wait([task])

    assert task.cancelled()
    assert len(store.records) == 1


async def test_what_the_time_for_leaving_does_not_suffice_for_is_dropped_and_counted(
    caplog: pytest.LogCaptureFixture,
) -> None:
    store = UnreliableAuditStore()
    store.open.clear()
    writer = AuditWriter(store, AuditSettings(batch_size=2, flush_delay=timedelta(0)))
    await writer.__aenter__()
    await record_all(writer, make_records(5))
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await writer.__aexit__(None, None, None)

    assert (writer.written, writer.dropped, writer.queued) == (0, 5, 0)
    (line,) = caplog.records
    assert vars(line)["acteon.reason"].startswith("may be lost")


async def test_after_the_end_records_are_dropped_and_counted() -> None:
    store = PlainAuditStore()
    async with AuditWriter(store) as writer:
        pass
    await writer.record(make_record())
    await writer.flush()

    assert (writer.dropped, writer.queued, store.records) == (1, 0, {})


async def test_a_failing_write_is_repeated_with_the_same_records() -> None:
    clock = ManualClock()
    away = AuditStorageError("away")
    store = UnreliableAuditStore(lossy=True)
    store.failures.extend([away, away, away])
    records = make_records(3)
    async with AuditWriter(store, clock=clock) as writer:
        await record_all(writer, records)
        await clock.advance(DELAY)
        assert (writer.queued, writer.failed_writes) == (3, 1)
        await clock.advance(SECOND)

    assert store.batches == [3, 1, 1, 1, 2]
    assert (writer.written, writer.dropped, writer.failed_writes) == (3, 0, 3)
    assert (await store.get(records[0].id)) == records[0]


async def test_the_pauses_between_repetitions_grow() -> None:
    clock, store = ManualClock(), UnreliableAuditStore()
    store.failures.extend([AuditStorageError("away")] * 9)
    async with AuditWriter(store, AuditSettings(flush_delay=timedelta(0)), clock=clock) as writer:
        await writer.record(make_record())
        await turns(clock)
        for number, pause in enumerate([0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0, 5.0], start=1):
            await clock.advance(pause * SECOND - DELAY)
            assert len(store.batches) == number
            await clock.advance(1.1 * DELAY)
            assert len(store.batches) == number + 1

    assert writer.written == 1


async def test_a_store_that_fails_too_long_costs_the_record_that_came_first() -> None:
    clock, store = ManualClock(), UnreliableAuditStore()
    store.failures.extend([AuditStorageError("away")] * 1000)
    settings = AuditSettings(batch_size=2, retry_for=30 * SECOND)
    async with AuditWriter(store, settings, clock=clock) as writer:
        await record_all(writer, make_records(4))
        await clock.advance(25 * SECOND)
        assert (writer.dropped, writer.queued) == (0, 4)
        await clock.advance(10 * SECOND)
        assert (writer.dropped, writer.queued) == (1, 3)
        store.failures.clear()
        await clock.advance(5 * SECOND)

    assert (writer.dropped, writer.written) == (1, 3)


async def test_a_write_that_hangs_is_repeated() -> None:
    clock, store = ManualClock(), UnreliableAuditStore()
    store.open.clear()
    settings = AuditSettings(flush_delay=timedelta(0), write_limit=timedelta(milliseconds=1))
    async with asyncio.timeout(5), AuditWriter(store, settings, clock=clock) as writer:
        await writer.record(make_record())
        await writer.flush()
        assert (writer.failed_writes, writer.queued) == (1, 1)
        store.open.set()
        await clock.advance(SECOND)

    assert (writer.written, store.batches) == (1, [1, 1])


async def test_records_that_can_never_be_kept_do_not_lose_their_batch() -> None:
    store = UnreliableAuditStore()
    records = make_records(100)
    store.unstorable.update({records[0].id, records[63].id})
    async with AuditWriter(store, PATIENT, clock=ManualClock()) as writer:
        await record_all(writer, records)

    assert (writer.written, writer.dropped, writer.queued) == (98, 2, 0)
    for number, record in enumerate(records):
        assert (await store.get(record.id) is None) == (number in (0, 63))
    assert len(store.batches) < 30


@pytest.mark.parametrize("error", [AuditError("never"), LookupError("a bug")])
async def test_whatever_else_a_store_raises_may_pass_and_is_told_once(
    error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    clock, store = ManualClock(), UnreliableAuditStore()
    store.failures.extend([error] * 20)
    async with AuditWriter(store, clock=clock) as writer:
        await record_all(writer, make_records(4))
        for _ in range(20):
            await clock.advance(6 * SECOND)

    assert (writer.written, writer.dropped, writer.failed_writes) == (4, 0, 20)
    (line,) = [one for one in caplog.records if one.levelno >= logging.WARNING]
    assert vars(line)["acteon.error"] == f"{type(error).__name__}: {error}"
    assert (line.exc_info is not None) == isinstance(error, LookupError), "where the bug is"


@define(eq=False)
class PickyStore(UnreliableAuditStore):
    """Fails if a write brings more bytes than it has time for, or a record that it cannot take."""

    most: int = 1 << 40
    poison: str = ""

    async def write(self, records: Sequence[AuditRecord]) -> None:
        if sum(record.size for record in records) > self.most:
            self.failures.append(AuditStorageError("no answer in time"))
        if self.poison in {record.id for record in records}:
            self.failures.append(LookupError("a driver's own"))
        await super().write(records)


def make_large(count: int, *, size: int = 100_000) -> list[AuditRecord]:
    """Return records that take some more than `size` bytes each."""
    return [make_record(action_payload=b"1" * size) for _ in range(count)]


async def test_a_store_without_the_time_for_a_batch_gets_less_at_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    clock, store = ManualClock(), PickyStore(most=250_000)
    async with AuditWriter(store, clock=clock) as writer:
        await record_all(writer, make_large(32))
        for _ in range(40):
            await clock.advance(6 * SECOND)
        assert (writer.written, writer.dropped, writer.queued_bytes) == (32, 0, 0)

    assert max(store.batches) == 32
    assert store.batches.count(2) >= 15
    assert caplog.messages == ["audit write failed", "audit records are written again"]


async def test_a_record_that_a_store_fails_on_keeps_the_others_waiting_for_a_time_only(
    caplog: pytest.LogCaptureFixture,
) -> None:
    records = make_records(100)
    clock, store = ManualClock(), PickyStore(poison=records[40].id)
    settings = AuditSettings(retry_for=30 * SECOND)
    async with AuditWriter(store, settings, clock=clock) as writer:
        await record_all(writer, records)
        await clock.advance(20 * SECOND)
        assert (writer.written, writer.dropped, writer.queued) == (40, 0, 60)
        for _ in range(5):
            await clock.advance(10 * SECOND)
        assert (writer.written, writer.dropped, writer.queued) == (99, 1, 0)

    (line,) = [one for one in caplog.records if one.message == "audit records dropped"]
    assert vars(line)["acteon.ids"] == [records[40].id]
    assert vars(line)["acteon.reason"] == "LookupError: a driver's own"


async def test_a_batch_has_no_more_than_so_many_bytes() -> None:
    store = UnreliableAuditStore()
    settings = AuditSettings(batch_bytes=1_000_000, flush_delay=LATER)
    records = [*make_large(25), *make_large(2, size=2_000_000), *make_large(3)]
    async with AuditWriter(store, settings, clock=ManualClock()) as writer:
        await record_all(writer, records)

    assert store.batches == [9, 9, 7, 1, 1, 3]
    assert writer.written == 30


async def test_a_batch_of_enough_bytes_does_not_wait() -> None:
    clock, store = ManualClock(), UnreliableAuditStore()
    settings = AuditSettings(batch_bytes=300_000, flush_delay=LATER)
    async with AuditWriter(store, settings, clock=clock) as writer:
        await record_all(writer, make_large(2))
        await turns(clock)
        assert store.batches == []

        await record_all(writer, make_large(1))
        await turns(clock)
        assert (store.batches, writer.queued) == ([2], 1)


async def test_a_queue_may_be_full_of_few_large_records() -> None:
    clock, store = ManualClock(), UnreliableAuditStore()
    store.open.clear()
    settings = AuditSettings(max_queue_bytes=250_000, on_overflow="drop")
    async with AuditWriter(store, settings, clock=clock) as writer:
        await record_all(writer, make_large(5))
        assert (writer.queued, writer.dropped) == (3, 2)
        assert 300_000 < writer.queued_bytes < 310_000
        assert not writer.take(make_record())
        store.open.set()
        await clock.advance(SECOND)
        # One that is larger than the queue fits into an empty one.
        await record_all(writer, make_large(2, size=500_000))
        assert (writer.queued, writer.dropped) == (1, 3)

    assert (writer.written, writer.dropped, writer.queued_bytes) == (4, 3, 0)


async def test_a_queue_full_of_bytes_lets_the_next_record_wait_for_room() -> None:
    clock, store = ManualClock(), UnreliableAuditStore()
    store.open.clear()
    settings = AuditSettings(max_queue_bytes=250_000, block_for=LATER)
    async with (
        asyncio.timeout(5),
        AuditWriter(store, settings, clock=clock) as writer,
        asyncio.TaskGroup() as group,
    ):
        for record in make_large(20):
            group.create_task(writer.record(record))
        await turns(clock)
        assert (writer.queued, writer.dropped) == (3, 0)
        store.open.set()

    assert (writer.written, writer.dropped) == (20, 0)


async def test_a_full_queue_drops_at_once_if_told_to() -> None:
    store = UnreliableAuditStore()
    store.open.clear()
    settings = AuditSettings(max_queue=3, on_overflow="drop")
    async with AuditWriter(store, settings, clock=ManualClock()) as writer:
        await record_all(writer, make_records(5))
        assert (writer.queued, writer.dropped) == (3, 2)
        store.open.set()

    assert (writer.written, writer.dropped) == (3, 2)


async def test_records_under_way_take_up_room() -> None:
    clock, store = ManualClock(), UnreliableAuditStore()
    store.open.clear()
    settings = AuditSettings(max_queue=3, batch_size=3, on_overflow="drop")
    async with AuditWriter(store, settings, clock=clock) as writer:
        await record_all(writer, make_records(3))
        await turns(clock)
        assert store.batches == [3]
        await writer.record(make_record())
        assert (writer.queued, writer.dropped) == (3, 1)
        store.open.set()


async def test_a_full_queue_lets_the_next_record_wait_for_room() -> None:
    clock, store = ManualClock(), UnreliableAuditStore()
    store.open.clear()
    settings = AuditSettings(max_queue=2, block_for=LATER)
    async with (
        asyncio.timeout(5),
        AuditWriter(store, settings, clock=clock) as writer,
        asyncio.TaskGroup() as group,
    ):
        for record in make_records(20):
            group.create_task(writer.record(record))
        await turns(clock)
        assert (writer.queued, writer.dropped) == (2, 0)
        store.open.set()

    assert (writer.written, writer.dropped) == (20, 0)


async def test_room_is_waited_for_no_longer_than_allowed() -> None:
    store = UnreliableAuditStore()
    store.open.clear()
    settings = AuditSettings(max_queue=1, block_for=timedelta(milliseconds=1))
    async with asyncio.timeout(5), AuditWriter(store, settings) as writer:
        await record_all(writer, make_records(3))
        assert (writer.queued, writer.dropped) == (1, 2)
        store.open.set()


async def test_the_end_does_not_leave_anybody_waiting_for_room() -> None:
    clock, store = ManualClock(), UnreliableAuditStore()
    store.open.clear()
    settings = AuditSettings(max_queue=1, block_for=LATER)
    writer = AuditWriter(store, settings, clock=clock)
    async with asyncio.timeout(5), asyncio.TaskGroup() as group:
        await writer.__aenter__()
        await writer.record(make_record())
        group.create_task(writer.record(make_record()))
        group.create_task(writer.flush())
        await turns(clock)
        leaving = group.create_task(writer.__aexit__(None, None, None))
        await turns(clock)
        leaving.cancel()

    assert (writer.written, writer.dropped, writer.queued) == (0, 2, 0)


async def test_a_producer_cancelled_while_it_waits_for_room_has_its_record_counted() -> None:
    clock, store = ManualClock(), UnreliableAuditStore()
    store.open.clear()
    settings = AuditSettings(max_queue=1, block_for=LATER)
    async with AuditWriter(store, settings, clock=clock) as writer:
        await writer.record(make_record())
        producer = asyncio.create_task(writer.record(make_record()))
        await turns(clock)
        producer.cancel()
        await asyncio.wait([producer])
        assert producer.cancelled()
        assert (writer.queued, writer.dropped) == (1, 1)
        store.open.set()


SYNC = AuditSettings(mode="sync", flush_delay=LATER)


async def test_in_sync_mode_a_record_is_in_the_store_when_recording_returns() -> None:
    store = PlainAuditStore()
    async with AuditWriter(store, SYNC, clock=ManualClock()) as writer:
        for number in range(1, 4):
            await writer.record(make_record())
            assert len(store.records) == number


async def test_in_sync_mode_those_who_wait_at_the_same_time_share_a_write() -> None:
    clock, store = ManualClock(), UnreliableAuditStore()
    async with AuditWriter(store, SYNC, clock=clock) as writer:
        async with asyncio.TaskGroup() as group:
            store.open.clear()
            group.create_task(writer.record(make_record()))
            await turns(clock)
            for record in make_records(30):
                group.create_task(writer.record(record))
            await turns(clock)
            store.open.set()
        assert store.batches == [1, 30]


async def test_in_sync_mode_a_failing_store_holds_nobody_up_and_gets_the_records_later() -> None:
    clock, store = ManualClock(), UnreliableAuditStore()
    store.failures.extend([AuditStorageError("away")] * 3)
    async with AuditWriter(store, SYNC, clock=clock) as writer:
        await writer.record(make_record())
        await writer.record(make_record())
        assert (writer.queued, writer.failed_writes, writer.dropped) == (2, 1, 0)
        await clock.advance(SECOND)
        assert (writer.queued, writer.written) == (0, 2)
        await writer.record(make_record())
        assert (writer.queued, writer.written) == (0, 3)


async def test_in_sync_mode_a_cancelled_producer_leaves_its_record_queued() -> None:
    clock, store = ManualClock(), UnreliableAuditStore()
    async with AuditWriter(store, SYNC, clock=clock) as writer:
        store.open.clear()
        producer = asyncio.create_task(writer.record(make_record()))
        await turns(clock)
        producer.cancel()
        await asyncio.wait([producer])
        store.open.set()

    assert (writer.written, writer.dropped) == (1, 0)


async def test_many_dropped_records_make_few_log_lines(
    caplog: pytest.LogCaptureFixture,
) -> None:
    clock, store = ManualClock(), UnreliableAuditStore()
    store.open.clear()
    settings = AuditSettings(max_queue=1, on_overflow="drop")
    with caplog.at_level(logging.ERROR, logger="acteon.audit"):
        async with AuditWriter(store, settings, clock=clock) as writer:
            await record_all(writer, make_records(101))
            await clock.advance(11 * SECOND)
            await record_all(writer, make_records(100))
            store.open.set()

    counts = [vars(line)["acteon.dropped"] for line in caplog.records]
    assert (writer.dropped, counts) == (200, [1, 100, 99])


async def test_every_record_is_accounted_for_whatever_happens() -> None:
    clock, store = ManualClock(), UnreliableAuditStore()
    records = make_records(500)
    store.unstorable.update(record.id for record in records[::50])
    store.failures.extend([None, AuditStorageError("away"), LookupError("a bug"), None] * 10)
    settings = AuditSettings(max_queue=60, batch_size=16, on_overflow="drop")
    async with AuditWriter(store, settings, clock=clock) as writer:
        for number, record in enumerate(records, start=1):
            await writer.record(record)
            if number % 20 == 0:
                await clock.advance(DELAY)
            assert writer.written + writer.dropped + writer.queued == number
        store.failures.clear()
        await clock.advance(10 * SECOND)

    assert isinstance(store.inner, PlainAuditStore)
    assert writer.written == len(store.inner.records)
    assert writer.written + writer.dropped == 500


async def test_an_outage_is_told_once_and_its_end_as_well(
    caplog: pytest.LogCaptureFixture,
) -> None:
    store, clock = UnreliableAuditStore(), ManualClock()
    store.failures.extend([AuditStorageError("away")] * 5)
    with caplog.at_level(logging.INFO, logger="acteon.audit"):
        async with AuditWriter(store, clock=clock) as writer:
            await writer.record(make_record())
            for _ in range(10):
                await clock.advance(timedelta(seconds=6))
            assert (writer.failed_writes, writer.written, writer.failing) == (5, 1, False)
    assert [(line.levelname, line.getMessage()) for line in caplog.records] == [
        ("WARNING", "audit write failed"),
        ("INFO", "audit records are written again"),
    ]


async def test_it_is_failing_while_a_record_waits_for_a_store_that_is_away() -> None:
    store, clock = UnreliableAuditStore(), ManualClock()
    store.failures.extend([AuditStorageError("away")] * 100)
    settings = AuditSettings(retry_for=timedelta(seconds=10))
    async with AuditWriter(store, settings, clock=clock) as writer:
        assert not writer.failing
        await writer.record(make_record())
        await clock.advance(timedelta(seconds=1))
        assert writer.failing
        # What is given up keeps nobody from trusting it with more.
        await clock.advance(timedelta(seconds=20))
        assert (writer.failing, writer.dropped) == (False, 1)
