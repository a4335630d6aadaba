"""The HTTP server of Acteon: its command, its configuration, and what opens a gateway from it."""

from acteon.server.cli import main
from acteon.server.config import Config, load_config, parse_config
from acteon.server.opening import open_gateway

__all__ = ["Config", "load_config", "main", "open_gateway", "parse_config"]
