"""Opening the audit store of a configuration without a gateway."""

from acteon.core import ConfigError
from acteon.server.config import Config

_IN_PROCESS = "memory"


def check_shared(config: Config) -> None:
    """Raise if nobody but the server itself can look into its audit store.

    Raises:
        ConfigError: It keeps none, or keeps it in its memory.
    """
    if not config.audit.enabled:
        raise ConfigError("there is no audit trail: it takes [audit] enabled = true")
    if config.audit.backend == _IN_PROCESS:
        raise ConfigError(
            '[audit] backend = "memory" is in the memory of the server alone; '
            "ask the server: /v1/audit"
        )
