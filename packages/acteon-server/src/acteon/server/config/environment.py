"""Settings from the environment: `ACTEON_<SECTION>_<KEY>` for every key that there is."""

import difflib
import logging
import re
from collections.abc import Iterable, Mapping
from typing import Final

log = logging.getLogger(__name__)

PREFIX: Final = "ACTEON_"
RESERVED: Final = frozenset(
    {
        "ACTEON_API_KEY",
        "ACTEON_AUTH_KEY",
        "ACTEON_LOG",
        "ACTEON_LOG_FORMAT",
        "ACTEON_TIMEOUT",
        "ACTEON_TOKEN",
        "ACTEON_URL",
    }
)
"""Names with a meaning of their own; some of them are read by clients."""

_FROM_KUBERNETES = re.compile(
    r"_SERVICE_(?:HOST|PORT(?:_\w+)?)$|_PORT_\d+_(?:TCP|UDP|SCTP)(?:_(?:ADDR|PORT|PROTO))?$"
)
"""What Kubernetes puts into every container for a service that is called acteon-something."""
_ADDRESSES: Final = ("tcp://", "udp://", "sctp://")


def variable(path: Iterable[str]) -> str:
    """Return the name of the variable for the key at `path`."""
    return PREFIX + "_".join(path).upper()


def settings_in(
    environ: Mapping[str, str], paths: Iterable[tuple[str, ...]]
) -> dict[tuple[str, ...], str]:
    """Return what `environ` says about the keys at `paths`; an empty text says nothing."""
    found: dict[tuple[str, ...], str] = {}
    for path in paths:
        value = environ.get(variable(path), "")
        if path == ("server", "port") and value.startswith(_ADDRESSES):
            log.warning(
                "ignored a port that Kubernetes put into the environment for a service of that "
                "name; set enableServiceLinks: false",
                extra={"acteon.variable": variable(path)},
            )
        elif value:
            found[path] = value
    return found


def warn_about_unmatched(environ: Mapping[str, str], paths: Iterable[tuple[str, ...]]) -> None:
    """Log a warning for each variable that begins with `ACTEON_` and means nothing."""
    known = {variable(path) for path in paths} | RESERVED
    for name in sorted(environ):
        if not name.startswith(PREFIX) or name in known:
            continue
        if _FROM_KUBERNETES.search(name) or environ[name].startswith(_ADDRESSES):
            log.debug("ignored a variable of Kubernetes", extra={"acteon.variable": name})
            continue
        close = difflib.get_close_matches(name, known, n=1, cutoff=0.8)
        extra = {"acteon.variable": name}
        if close:
            extra["acteon.did_you_mean"] = close[0]
        log.warning("a variable of the environment means nothing, and is ignored", extra=extra)
