"""Reading `ratelimit.toml`: nothing is coerced or ignored, all mistakes are told at once."""

import logging
from pathlib import Path

from acteon.core import ConfigError
from acteon.server.config import Config
from acteon.server.config.document import parse_document, read_text, shown_path
from acteon.server.config.references import Secrets
from acteon.server.config.report import Report
from acteon.server.config.structure import ProblemsError, structure
from acteon.server.ratelimit.limits import Limits

log = logging.getLogger(__name__)


def configured_limits(config: Config) -> Limits | None:
    """Return the limits in the file that `[rate_limit]` names, if it enables them.

    Raises:
        ConfigError: It cannot be read, or used; one line for each problem.
    """
    section = config.rate_limit
    if not section.enabled:
        return None
    directory = Path() if config.path is None else config.path.parent
    path = directory / section.config_path
    limits = read_limits(path)
    log.info(
        "rate limits read",
        extra={"acteon.path": str(path), "acteon.tenants": limits.tenants.enabled},
    )
    return limits


def read_limits(path: Path) -> Limits:
    """Return the limits in the file `path`.

    Raises:
        ConfigError: It cannot be read, or used; one line for each problem.
    """
    try:
        text = read_text(path)
    except ConfigError as error:
        raise ConfigError(f"failed to read rate limit config at {error}") from None
    try:
        return parse_limits(text, source=shown_path(path))
    except ConfigError as error:
        lines = str(error).splitlines()
        told = "\n".join(f"failed to parse rate limit config: {line}" for line in lines)
        raise ConfigError(told) from None


def parse_limits(text: str, *, source: str = "ratelimit.toml") -> Limits:
    """Return the limits in the TOML document `text`, which messages call `source`.

    Raises:
        ConfigError: It cannot be used; one line for each problem.
    """
    tree = parse_document(text, source=source)
    report = Report(source, tree)
    try:
        return structure(tree, Limits, ())
    except ProblemsError as error:
        for problem in error.problems:
            report.add(problem)
    raise ConfigError(report.told(Secrets()))
