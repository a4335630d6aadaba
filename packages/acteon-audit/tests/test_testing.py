"""The store that others are compared with keeps the promises itself."""

import pytest

from acteon.audit import AuditStore
from acteon.audit.testing import AuditStoreConformance, PlainAuditStore, UnreliableAuditStore


class TestPlainAuditStore(AuditStoreConformance):
    @pytest.fixture
    def store(self) -> AuditStore:
        return PlainAuditStore()


class TestUnreliableAuditStore(AuditStoreConformance):
    @pytest.fixture
    def store(self) -> AuditStore:
        return UnreliableAuditStore()
