"""A gateway to try out: a server, a receiver it delivers to, and a walk-through of its rules.

All of it runs on this machine, keeps everything in memory, and ends with Ctrl-C.
"""

import argparse
import asyncio
import json
import os
import signal
import socket
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from receiver import receiving
from server import RULES, ServerEndedError, running_server
from tables import Output, OutputClosedError
from walkthrough import WalkthroughError, complain, walk

DESCRIPTION = "Run a server and a receiver on this machine, and walk through what rules do."
DEFAULT_PORT = 8080
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

OWN_ACTION = {
    "namespace": "shop",
    "tenant": "mine",
    "provider": "email",
    "action_type": "welcome",
    "payload": {"to": "user@example.com"},
}


class PortError(Exception):
    """A port cannot be had; the text is one line that says what to do."""


def main() -> int:
    """Run the quickstart; return the exit status."""
    try:
        return asyncio.run(_until_told(_options()))
    except* (OutputClosedError, PortError, ServerEndedError, WalkthroughError) as errors:
        for error in errors.exceptions:
            _tell(f"error: {error}")
    return 1


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="nox -s serve --", description=DESCRIPTION)
    parser.add_argument(
        "--port", type=_port, default=DEFAULT_PORT, help="of the server  [default: %(default)s]"
    )
    parser.add_argument(
        "--receiver-port", type=_port, default=0, help="of the receiver  [default: any free one]"
    )
    parser.add_argument(
        "--once",
        action="store_true",
        help="end after the walk-through, with status 1 if an outcome is not as expected",
    )
    return parser.parse_args()


def _port(text: str) -> int:
    if not text.isdecimal() or int(text) > 65535:
        raise argparse.ArgumentTypeError(f"must be a number from 0 to 65535, not {text!r}")
    return int(text)


async def _until_told(options: argparse.Namespace) -> int:
    """Run until the end or a signal, and leave nothing running; a second signal hurries."""
    loop = asyncio.get_running_loop()
    running = asyncio.ensure_future(_run(options))
    for number in SIGNALS:
        if number is signal.SIGHUP and signal.getsignal(number) is signal.SIG_IGN:
            continue  # As nohup wants it.
        loop.add_signal_handler(number, running.cancel)
    await asyncio.wait({running})
    if running.cancelled():
        return 130 if options.once else 0
    return running.result()


async def _run(options: argparse.Namespace) -> int:
    console = Output()
    deliveries: asyncio.Queue[Mapping[str, Any]] = asyncio.Queue()
    _check_port(options.port, "--port")
    _check_port(options.receiver_port, "--receiver-port")
    async with (
        receiving(options.receiver_port, deliveries.put_nowait) as receiver_url,
        running_server(options.port, receiver_url=receiver_url, tell=_tell) as server,
        asyncio.TaskGroup() as group,
    ):
        watching = group.create_task(server.watch())
        console.print(f"The server listens on {server.url},")
        console.print(f"the receiver of what it delivers on {receiver_url}.\n")
        unexpected = await walk(server.url, console)
        if options.once:
            watching.cancel()
            return complain(unexpected)
        _show_next(server.url, console)
        while not deliveries.empty():  # They are in the table.
            deliveries.get_nowait()
        while True:
            _show_delivery(await deliveries.get(), console)


def _check_port(port: int, option: str) -> None:
    try:
        socket.create_server(("127.0.0.1", port)).close()
    except OSError as error:
        raise PortError(
            f"port {port}: {os.strerror(error.errno or 0)}; to take any free one, add: "
            f"-- {option} 0"
        ) from None


def _tell(line: str) -> None:
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()


def _show_next(url: str, console: Output) -> None:
    action = json.dumps(OWN_ACTION)
    console.print(
        f"\nThe server stays up for your own requests; what they deliver is shown here.\n\n"
        f"  Swagger UI   {url}/swagger-ui/\n"
        f"  rules        {_relative(RULES)}; after a change:\n"
        f"               curl -X POST {url}/v1/rules/reload\n"
        f"  an action    curl -s {url}/v1/dispatch \\\n"
        f"                 -H 'Content-Type: application/json' \\\n"
        f"                 -d '{action}'\n"
        f"  the end      Ctrl-C\n",
        soft_wrap=True,
    )


def _relative(path: Path) -> Path:
    here = Path.cwd()
    return path.relative_to(here) if path.is_relative_to(here) else path


def _show_delivery(action: Mapping[str, Any], console: Output) -> None:
    payload = json.dumps(action["payload"])
    # Of an action that was rerouted, `provider` is the one that it came for.
    told = f"delivered {action['action_type']}: {payload}"
    console.print(told, soft_wrap=True)


if __name__ == "__main__":
    sys.exit(main())
