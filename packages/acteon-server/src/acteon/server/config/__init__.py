"""The configuration: its sections as types, and how they are read."""

from acteon.server.config.document import parse_document, read_document
from acteon.server.config.load import DEFAULT_PATH, load_config, parse_config, warn_about
from acteon.server.config.references import Secrets
from acteon.server.config.sections import (
    Asgi,
    AuditSection,
    AuthSection,
    Config,
    ExecutorSection,
    OnLimitError,
    ProviderSection,
    RateLimitSection,
    RedactSection,
    RulesSection,
    ServerSection,
    StateSection,
    TlsSection,
)

__all__ = [
    "DEFAULT_PATH",
    "Asgi",
    "AuditSection",
    "AuthSection",
    "Config",
    "ExecutorSection",
    "OnLimitError",
    "ProviderSection",
    "RateLimitSection",
    "RedactSection",
    "RulesSection",
    "Secrets",
    "ServerSection",
    "StateSection",
    "TlsSection",
    "load_config",
    "parse_config",
    "parse_document",
    "read_document",
    "warn_about",
]
