"""PostgreSQL does what all audit stores do: directly, and behind a transaction pooler."""

import pytest

from acteon.audit.testing import AuditStoreConformance
from acteon.audit_postgres import PostgresAuditConfig
from servers.process import Server

pytestmark = pytest.mark.server


class TestStore(AuditStoreConformance):
    pass


class TestStoreBehindPooler(AuditStoreConformance):
    @pytest.fixture
    def config(self, pooler: Server, prefix: str) -> PostgresAuditConfig:
        return PostgresAuditConfig(url=pooler.url, prefix=prefix)
