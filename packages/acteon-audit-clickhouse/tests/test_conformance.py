"""ClickHouse does what all audit stores do: 18.16, and a current engine."""

from datetime import timedelta

import pytest

from acteon.audit import AuditStore
from acteon.audit.testing import AuditStoreConformance
from acteon.audit_clickhouse import ClickHouseAuditStore

pytestmark = [pytest.mark.server, pytest.mark.timeout(120)]


class TestStore(AuditStoreConformance):
    precision = timedelta(milliseconds=1)


class TestStoreOnCurrentEngine(AuditStoreConformance):
    precision = timedelta(milliseconds=1)

    @pytest.fixture
    def store(self, current: ClickHouseAuditStore) -> AuditStore:
        assert current.layout.version >= (26, 0)
        return current
