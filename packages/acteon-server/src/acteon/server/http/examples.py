"""Examples of requests and answers, for the documentation."""

from typing import Any, Final

EXAMPLES: Final[dict[str, Any]] = {
    "Action": {
        "id": "6f7c1f3e-7c0d-4d0e-8a55-2d9a8f0c1b7e",
        "namespace": "notifications",
        "tenant": "acme",
        "provider": "email",
        "action_type": "send_email",
        "payload": {"to": "user@example.com", "subject": "Welcome"},
        "metadata": {"team": "growth"},
        "dedup_key": "welcome-user-42",
        "created_at": "2025-01-31T13:30:00Z",
    },
    "ErrorResponse": {
        "error": "rule not found: hold-bulk-mail",
        "code": "NOT_FOUND",
        "message": "rule not found: hold-bulk-mail",
        "retryable": False,
    },
    "MetricsResponse": {
        "dispatched": 12,
        "executed": 7,
        "deduplicated": 2,
        "suppressed": 1,
        "rerouted": 0,
        "throttled": 1,
        "failed": 1,
    },
    "RuleSummary": {
        "name": "hold-bulk-mail",
        "priority": 20,
        "enabled": True,
        "description": "Nobody reads these at night",
    },
    "ReloadRequest": {"directory": "/etc/acteon/rules"},
    "ReloadResponse": {
        "reloaded": 3,
        "directory": "/etc/acteon/rules",
        "loaded": 3,
        "errors": [],
    },
    "SetEnabledRequest": {"enabled": False},
    "SetEnabledResponse": {"name": "hold-bulk-mail", "enabled": False, "status": "disabled"},
    "DlqStatsResponse": {"enabled": True, "count": 2},
}
