"""Actions that many programs send."""

from collections.abc import Mapping
from typing import Any

from acteon.core import Action


def create_webhook_action(
    namespace: str,
    tenant: str,
    url: str,
    body: Any,
    *,
    action_type: str = "webhook",
    method: str = "POST",
    headers: Mapping[str, str] | None = None,
    dedup_key: str | None = None,
    metadata: Mapping[str, str] | None = None,
) -> Action:
    """Return an action for the provider `webhook` that names its URL, method and body itself."""
    payload: dict[str, Any] = {"url": url, "method": method, "body": body}
    if headers is not None:
        payload["headers"] = dict(headers)
    return Action(
        namespace,
        tenant,
        "webhook",
        action_type,
        payload,
        metadata=dict(metadata or {}),
        dedup_key=dedup_key,
    )
