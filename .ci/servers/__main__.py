"""`python -m servers redis postgres`: keep servers running until Ctrl-C, for people."""

import argparse
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from typing import Final

from attrs import frozen

from servers import clickhouse, dynamodb, elasticsearch, postgres, redis
from servers.errors import ServerError
from servers.ports import is_free
from servers.process import Server


@frozen
class Offer:
    """A server that can be asked for.

    Attributes:
        ports: Where people expect it.
        start: Runs it on such ports; 0 stands for a free one.
    """

    ports: tuple[int, ...]
    start: Callable[..., AbstractContextManager[Server]]


OFFERS: Final[Mapping[str, Offer]] = {
    "redis": Offer((6379,), lambda port: redis.running(port=port)),
    "postgres": Offer((5432,), lambda port: postgres.running(port=port)),
    "clickhouse": Offer(
        (9000, 8123), lambda native, http: clickhouse.running(port=native, http_port=http)
    ),
    "elasticsearch": Offer((9200,), lambda port: elasticsearch.running(port=port)),
    "dynamodb": Offer((8000,), lambda port: dynamodb.running(shared=True, port=port)),
}


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the servers that the command line names."""
    parser = argparse.ArgumentParser(
        prog="servers",
        description="Run servers on 127.0.0.1 until Ctrl-C. Their data goes with them.",
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"{', '.join(OFFERS)}, or all")
    parser.add_argument(
        "--profile",
        action="append",
        default=[],
        metavar="NAME",
        choices=[name for name in OFFERS if name != "redis"],
        help="Redis and this one, as with docker compose; may be repeated",
    )
    parser.add_argument("--free-ports", action="store_true", help="not on the usual ports")
    parser.add_argument("--once", action="store_true", help="end as soon as all have answered")
    options = parser.parse_args(arguments)
    names = list(OFFERS) if "all" in options.names else list(options.names)
    if options.profile or not names:
        names += ["redis", *options.profile]
    if unknown := sorted(set(names) - set(OFFERS)):
        parser.error(f"{unknown[0]!r} is none of {', '.join(OFFERS)}, all")
    # The end of the terminal, and of who started this, is the end of the servers.
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: sys.exit())
    try:
        with ExitStack() as stack:
            for name in dict.fromkeys(names):
                start(name, stack, free_ports=options.free_ports)
            if not options.once:
                print("Ctrl-C ends them", flush=True)
            while not options.once:
                signal.pause()
    except KeyboardInterrupt:
        pass
    except ServerError as error:
        sys.exit(f"servers: {error}")


def start(name: str, stack: ExitStack, *, free_ports: bool) -> None:
    """Start the server `name` until the end of `stack`, and print how to reach it."""
    offer = OFFERS[name]
    ports = [0 if free_ports or not is_free(port) else port for port in offer.ports]
    server = stack.enter_context(offer.start(*ports))
    taken = [str(port) for port, got in zip(offer.ports, ports, strict=True) if not got]
    note = f"   (port {' and '.join(taken)} is taken)" if taken and not free_ports else ""
    print(f"{name:14} {'   '.join(server.urls)}{note}", flush=True)


if __name__ == "__main__":
    main()
