"""The audit trail in Elasticsearch."""

from acteon.audit_elasticsearch.calls import Calls
from acteon.audit_elasticsearch.config import ElasticsearchAuditConfig
from acteon.audit_elasticsearch.layout import Layout
from acteon.audit_elasticsearch.plugin import ElasticsearchAuditPlugin
from acteon.audit_elasticsearch.store import ElasticsearchAuditStore

__all__ = [
    "Calls",
    "ElasticsearchAuditConfig",
    "ElasticsearchAuditPlugin",
    "ElasticsearchAuditStore",
    "Layout",
]
