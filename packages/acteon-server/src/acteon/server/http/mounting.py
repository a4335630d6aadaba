"""Where a request's path begins for us: the application may be mounted in another one."""

from typing import Final
from urllib.parse import quote, unquote_to_bytes

from starlette.types import Scope

MOUNTED: Final = "acteon.mounted"
"""In the scope of a request that came through another application."""


def as_mounted(scope: Scope) -> Scope:
    """Return the scope of a request that came through another application, as ours.

    Its `raw_path` is what follows the path at which we are mounted.
    """
    if "raw_path" not in scope:  # It is optional, and hosts may be served by anything.
        scope = {**scope, "raw_path": quote(scope["path"]).encode()}
    path = sent_path(scope)
    root: str = scope.get("root_path", "")
    # A proxy may have cut off the first part of it, which our host was told of.
    outer: str = scope.get("app_root_path", "")
    for prefix in (root, root.removeprefix(outer)):
        local = _below(prefix.encode().rstrip(b"/"), path)
        if local is not None:
            path = local
            break
    return {**scope, "raw_path": path, MOUNTED: True}


def _below(prefix: bytes, path: bytes) -> bytes | None:
    """Return what follows `prefix`, which is decoded, in `path`, which is not; None: nothing."""
    if not prefix:
        return path
    longest = 3 * len(prefix)  # Every byte of it may be written in three.
    end = path.find(b"/", 1, longest + 1)
    while end != -1:
        if unquote_to_bytes(path[:end]) == prefix:
            return path[end:]
        end = path.find(b"/", end + 1, longest + 1)
    return b"" if unquote_to_bytes(path) == prefix else None


def sent_path(scope: Scope) -> bytes:
    """Return the path of a request as it was sent; of a target with a host, its path."""
    path: bytes = scope["raw_path"]
    if path.startswith(b"/"):
        return path
    _, _, rest = path.partition(b"://")
    _, slash, local = rest.partition(b"/")
    return slash + local
