"""Free ports of 127.0.0.1."""

import random
import socket
from collections.abc import Generator
from contextlib import contextmanager
from typing import Final

from servers.errors import ServerError

# Below the ports that Linux gives to outgoing connections, any of which could take one in between.
RANGE: Final = range(20_000, 32_000)


@contextmanager
def reserved() -> Generator[int]:
    """Keep a free port while the block runs: nobody else who asks here gets it, in any process."""
    for port in (random.choice(RANGE) for _ in range(1000)):
        with socket.socket(socket.AF_UNIX) as claim:
            try:
                # A name that leads to no file, and that ends with the process at the latest.
                claim.bind(f"\0acteon-servers-port-{port}")
            except OSError:
                continue
            if is_free(port):
                yield port
                return
    raise ServerError(f"hardly a port of 127.0.0.1 in {RANGE.start}-{RANGE.stop - 1} is free")


def is_free(port: int) -> bool:
    """Return whether a server could listen on `port`."""
    with socket.socket() as probe:
        # As servers do: what is left of closed connections does not count.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
            probe.listen()
        except OSError:
            return False
    return True
