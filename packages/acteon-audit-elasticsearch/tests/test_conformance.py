"""Elasticsearch does what all audit stores do."""

import pytest

from acteon.audit.testing import AuditStoreConformance

pytestmark = pytest.mark.server


class TestStore(AuditStoreConformance):
    pass
