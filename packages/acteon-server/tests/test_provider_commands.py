"""`acteon-server providers …` in a real process, against real receivers."""

import json
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from functools import partial
from pathlib import Path

import anyio.to_thread
import pytest

from acteon.provider.testing import Receiver, answer, reset

Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with Receiver() as receiving:
        yield receiving


@pytest.fixture
def file(tmp_path: Path, receiver: Receiver) -> Path:
    path = tmp_path / "acteon.toml"
    path.write_text(
        f"""
[executor]
max_retries = 1

[[providers]]
name = "hook"
type = "webhook"
url = "{receiver.url}"
allow_networks = ["127.0.0.0/8"]

[[providers]]
name = "note"
type = "log"

[[providers]]
name = "both"
type = "group"
members = ["hook", "note"]

[[providers]]
name = "unreachable"
type = "webhook"
url = "http://127.0.0.1:9/"
allow_networks = ["127.0.0.0/8"]
"""
    )
    return path


@pytest.fixture
def run(file: Path) -> Run:
    def start(*arguments: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [sys.executable, "-m", "acteon.server", "-c", str(file), "providers", *arguments],
            capture_output=True,
            encoding="utf-8",
            timeout=60,
            check=False,
        )

    return start


async def test_one_real_action_is_sent(run: Run, receiver: Receiver) -> None:
    receiver.script(answer(body=b'{"id": 7}'))
    command = partial(run, "test", "hook", "--payload", '{"n": 1}', "--tenant", "acme")
    done = await anyio.to_thread.run_sync(command)

    assert (done.returncode, done.stderr) == (0, "")
    told = json.loads(done.stdout)
    assert (told["delivered"], told["attempts"], told["response"]["body"]) == (True, 1, {"id": 7})
    (request,) = receiver.requests
    assert (request.json["payload"], request.json["tenant"]) == ({"n": 1}, "acme")


async def test_what_keeps_it_from_being_delivered_is_told(run: Run, receiver: Receiver) -> None:
    receiver.script(reset(), answer(status=503))
    done = await anyio.to_thread.run_sync(partial(run, "test", "hook"))

    assert done.returncode == 1
    told = json.loads(done.stdout)
    assert told["error"]["code"] == "CONNECTION"
    assert (told["attempts"], told["delivery"]) == (2, "unknown")


async def test_a_group_is_tried_with_its_members(run: Run, receiver: Receiver) -> None:
    done = await anyio.to_thread.run_sync(partial(run, "test", "both"))

    assert done.returncode == 0
    members = json.loads(done.stdout)["response"]["body"]["members"]
    assert [each["provider"] for each in members] == ["hook", "note"]
    assert len(receiver.requests) == 1


async def test_all_are_asked_how_they_are(run: Run, receiver: Receiver) -> None:
    done = await anyio.to_thread.run_sync(partial(run, "check"))

    assert done.returncode == 1
    assert done.stdout.splitlines() == [
        "provider     type     health",
        "both         group    healthy",
        "hook         webhook  healthy",
        "note         log      healthy",
        "unreachable  webhook  connection error: cannot connect: connection refused",
    ]
    # One of them for the group.
    assert [request.method for request in receiver.requests] == ["HEAD", "HEAD"]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ((), "wanted a command: check or test; acteon-server providers --help shows what there is"),
        (
            ("test", "hok"),
            "there is no provider 'hok' in [[providers]]; did you mean 'hook'?",
        ),
        (("test", "hook", "--payload", "{"), "invalid value for '--payload': no JSON"),
        (("test", "hook", "--payload", "[]"), "wanted an object"),
        (("test",), "missing argument 'NAME'"),
        (("check", "--timeout", "0"), "0.0 is not in the range"),
    ],
    ids=["nothing", "unknown", "no JSON", "no object", "no name", "no time"],
)
async def test_a_wrong_use_is_one_line(run: Run, arguments: tuple[str, ...], told: str) -> None:
    done = await anyio.to_thread.run_sync(partial(run, *arguments))

    assert (done.returncode, done.stdout) == (2, "")
    (line,) = done.stderr.splitlines()
    assert line.startswith("error: ")
    assert told in line
