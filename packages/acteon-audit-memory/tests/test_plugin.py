import pytest

from acteon.audit import AuditPlugin, AuditQuery
from acteon.audit.testing import make_record
from acteon.audit_memory import MemoryAuditConfig, MemoryAuditPlugin
from acteon.core import AUDIT, load_plugin


def test_it_is_registered_as_memory() -> None:
    assert load_plugin(AUDIT, "memory", AuditPlugin) is MemoryAuditPlugin


async def test_it_opens_a_store_of_the_configured_size() -> None:
    config = MemoryAuditPlugin.Config(max_records=2)

    async with MemoryAuditPlugin.open(config) as store:
        await store.write([make_record(), make_record(), make_record()])
        assert (await store.query(AuditQuery())).total == 2


def test_the_default_is_a_hundred_thousand_records() -> None:
    assert MemoryAuditConfig().max_records == 100_000
    assert MemoryAuditConfig().max_bytes == 2**28


async def test_it_opens_a_store_of_the_configured_bytes() -> None:
    config = MemoryAuditPlugin.Config(max_bytes=1024 * 1024)

    async with MemoryAuditPlugin.open(config) as store:
        await store.write([make_record(action_payload=b"1" * 400_000) for _ in range(3)])
        assert (await store.query(AuditQuery())).total == 2


def test_a_store_for_no_records_is_refused() -> None:
    with pytest.raises(ValueError, match="'max_records' must be >= 1: 0"):
        MemoryAuditConfig(max_records=0)
