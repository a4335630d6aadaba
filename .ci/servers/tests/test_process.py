"""A server ends with who started it, and says why it cannot start."""

import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from servers import process, redis
from servers.errors import PortTakenError, ServerError
from servers.ports import is_free, reserved
from servers.process import Program
from servers.waiting import wait_until

pytestmark = pytest.mark.server

Gone = Callable[[int, Path], None]

STARTS_ONE = """
import os, signal
from servers import {module}
with {module}.running() as server:
    {then}
    print(server.pid, server.folder, flush=True)
    signal.pause()
"""


@pytest.mark.parametrize("module", ["redis", "postgres"])
@pytest.mark.parametrize("then", ["pass", "server.freeze()"])
def test_who_is_killed_leaves_no_server_behind(module: str, then: str, assert_gone: Gone) -> None:
    program = STARTS_ONE.format(module=module, then=then)
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        pid, folder = parent.stdout.readline().decode().split()
        members = process.family(int(pid))
        assert Path(folder).exists()
        parent.kill()

    for member in members:
        assert_gone(member, Path(folder))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_the_command_ends_its_servers_with_itself(number: signal.Signals) -> None:
    command = [sys.executable, "-m", "servers", "redis", "--free-ports"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        name, url = parent.stdout.readline().split()
        port = int(url.rpartition(":")[2])
        assert name == "redis"
        assert redis.ask(port, "PING") == "+PONG\r\n"
        assert parent.stdout.readline() == "Ctrl-C ends them\n"
        parent.send_signal(number)

    assert parent.returncode == (-number if number is signal.SIGKILL else 0)
    wait_until(f"port {port} is free", lambda: is_free(port), timedelta(seconds=10))


def test_the_command_says_which_servers_there_are() -> None:
    command = [sys.executable, "-m", "servers", "oracle"]
    said = subprocess.run(command, capture_output=True, text=True)

    assert said.returncode == 2
    assert "'oracle' is none of redis, postgres, clickhouse, elasticsearch, dynamodb" in said.stderr


def test_the_command_can_try_a_server_once() -> None:
    command = [sys.executable, "-m", "servers", "redis", "--free-ports", "--once"]
    said = subprocess.run(command, capture_output=True, text=True, check=True)

    assert [line.split()[0] for line in said.stdout.splitlines()] == ["redis"]


def test_a_port_that_is_taken_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with (
            pytest.raises(PortTakenError, match=f"port {port} for Redis is taken"),
            redis.running(port=port),
        ):
            pass


def test_the_end_of_the_log_says_why_a_server_cannot_start() -> None:
    with (
        pytest.raises(ServerError, match=r"(?s)Redis ended at once.*maxmemory plenty"),
        redis.running(config=["maxmemory plenty"]),
    ):
        pass


def test_a_server_that_never_answers_is_ended_and_reported() -> None:
    with reserved() as port, process.temporary_folder("silent") as folder:
        program = Program(
            name="Mute",
            command=("sleep", "1000"),
            port=port,
            urls=(),
            answers=lambda: False,
            time_to_start=timedelta(milliseconds=50),
        )
        server = process.Server(program, folder)
        with pytest.raises(ServerError, match="Mute does not answer after"):
            server.start()

        assert server.pid is None


def test_of_many_reservations_no_two_are_the_same() -> None:
    program = """
from contextlib import ExitStack
from servers.ports import reserved
with ExitStack() as stack:
    print(*[stack.enter_context(reserved()) for _ in range(200)], flush=True)
    input()
"""
    parents = [
        subprocess.Popen(
            [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        for _ in range(4)
    ]
    ports: list[bytes] = []
    for parent in parents:
        assert parent.stdout is not None
        ports += parent.stdout.readline().split()
    for parent in parents:
        parent.communicate(b"\n")

    assert len(ports) == len(set(ports)) == 800


def test_a_process_that_has_ended_has_no_children() -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as ended:
        pass
    assert process.family(ended.pid) == [ended.pid]
