"""Rules that several examples have."""

from typing import Final

DEDUPLICATE: Final = """
rules:
  - name: dedup-notify
    priority: 1
    condition: {field: action.action_type, eq: notify}
    action: {type: deduplicate, ttl_seconds: 60}
"""
BLOCK_SPAM: Final = """
rules:
  - name: block-spam
    priority: 1
    condition: {field: action.action_type, eq: spam}
    action: {type: suppress}
"""
THROTTLE_ALERTS: Final = """
rules:
  - name: throttle-alerts
    priority: 2
    condition: {field: action.action_type, eq: alert}
    action: {type: throttle, max_count: 3, window_seconds: 10}
"""
URGENT_BY_SMS: Final = """
rules:
  - name: urgent-by-sms
    priority: 1
    condition: {field: action.payload.priority, eq: urgent}
    action: {type: reroute, target_provider: sms}
"""
REROUTING: Final = """
rules:
  - name: urgent
    priority: 1
    condition:
      all: [{field: action.provider, eq: email}, {field: action.payload.priority, eq: urgent}]
    action: {type: reroute, target_provider: sms}
  - name: premium
    priority: 2
    condition:
      all: [{field: action.action_type, eq: transaction}, {field: action.payload.tier, eq: premium}]
    action: {type: reroute, target_provider: premium}
  - name: after-hours
    priority: 3
    condition:
      all: [{field: action.provider, eq: email}, {field: action.payload.after_hours, eq: true}]
    action: {type: reroute, target_provider: slack}
  - name: enterprise
    priority: 4
    condition: {field: action.metadata.tier, eq: enterprise}
    action: {type: reroute, target_provider: dedicated}
  - name: retries
    priority: 5
    condition:
      all: [{field: action.provider, eq: email}, {field: action.payload.is_retry, eq: true}]
    action: {type: reroute, target_provider: email-backup}
"""
