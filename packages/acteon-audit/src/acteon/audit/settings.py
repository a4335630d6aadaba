"""How the audit trail is kept, whatever store keeps it."""

from datetime import timedelta
from typing import Literal

from attrs import field, frozen
from attrs.validators import ge, gt, optional

from acteon.audit.redaction import Redaction

_NO_TIME = timedelta(0)
_MONTH: timedelta | None = timedelta(days=30)


@frozen(kw_only=True)
class AuditSettings:
    """What is recorded, for how long, and how records get into the store.

    Attributes:
        ttl: How long a record is kept, counted from its dispatch; None: for good.
        store_payload: Whether payloads are kept at all.
        redaction: What is blotted out in them; None: nothing.
        mode: `batched`: recording only queues the record. `sync`: it waits for the store as
            well, unless the store is failing; then the record waits in the queue.
        max_queue: At most so many records wait for the store,
        max_queue_bytes: and about so many bytes of them; the last one let in may go beyond.
        batch_size: At most so many are written at once,
        batch_bytes: and about so many bytes of them, unless a single one has more.
        flush_delay: How long a record waits for others to share its write.
        on_overflow: With a full queue, `block` lets the next record wait for room, as long as
            `block_for`; then, as with `drop` at once, it is dropped and counted.
        block_for: See above.
        write_limit: A write that takes longer has failed.
        retry_for: How long a write is tried again that fails with one record as well; then that
            record is dropped, and keeps the others no longer waiting.
        flush_limit: How long a query waits for the queue to be written.
        cleanup_interval: How often expired records are removed, give or take a tenth.
    """

    ttl: timedelta | None = field(default=_MONTH, validator=optional(gt(_NO_TIME)))
    store_payload: bool = True
    redaction: Redaction | None = None
    mode: Literal["batched", "sync"] = "batched"
    max_queue: int = field(default=100_000, validator=ge(1))
    max_queue_bytes: int = field(default=256 * 1024 * 1024, validator=ge(1))
    batch_size: int = field(default=500, validator=ge(1))
    batch_bytes: int = field(default=8 * 1024 * 1024, validator=ge(1))
    flush_delay: timedelta = field(default=timedelta(milliseconds=20), validator=ge(_NO_TIME))
    on_overflow: Literal["block", "drop"] = "block"
    block_for: timedelta = field(default=timedelta(milliseconds=200), validator=ge(_NO_TIME))
    write_limit: timedelta = field(default=timedelta(seconds=30), validator=gt(_NO_TIME))
    retry_for: timedelta = field(default=timedelta(minutes=5), validator=ge(_NO_TIME))
    flush_limit: timedelta = field(default=timedelta(seconds=1), validator=gt(_NO_TIME))
    cleanup_interval: timedelta = field(default=timedelta(hours=1), validator=gt(_NO_TIME))
