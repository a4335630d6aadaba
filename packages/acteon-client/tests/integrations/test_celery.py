"""Tasks that fail, in real workers: processes of their own, with a broker between."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import pytest
from celery import Celery

from acteon.client import AuditRecord

FOLDER = Path(__file__).parent

ALONE = ("--without-gossip", "--without-mingle", "--without-heartbeat")

pytestmark = pytest.mark.server

Working = Callable[..., AbstractContextManager[Celery]]


@pytest.fixture
def working(tmp_path: Path) -> Working:
    """Give what runs a worker; what it gives sends tasks, and it ends with all of them done."""

    @contextmanager
    def run(desk: Any, *options: str, notify: str = "all") -> Generator[Celery]:
        broker = tmp_path / "broker"
        broker.mkdir()
        environment = {
            **os.environ,
            "ACTEON_SERVER": desk.url,
            "BROKER_FOLDER": str(broker),
            "NOTIFY": notify,
            "PYTHONPATH": str(FOLDER),
        }
        with (tmp_path / "worker.log").open("w+") as output:
            command = ["-A", "celery_tasks", "worker", "-l", "INFO", *ALONE, *options]
            worker = subprocess.Popen(
                [sys.executable, "-m", "celery", *command],
                env=environment,
                cwd=tmp_path,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            try:
                _until_ready(tmp_path / "worker.log")
                with Celery("sender", broker="filesystem://") as sender:
                    sender.conf.broker_transport_options = {
                        "data_folder_in": str(broker),
                        "data_folder_out": str(broker),
                        "control_folder": str(broker / "control"),
                    }
                    yield sender
                worker.send_signal(signal.SIGTERM)  # It does what it has, and ends.
                assert worker.wait(30) == 0
            except BaseException:
                output.seek(0)
                print(output.read())  # noqa: T201 - pytest shows it if the test fails
                raise
            finally:
                if worker.poll() is None:
                    os.killpg(worker.pid, signal.SIGKILL)
                    worker.wait()

    return run


def _until_ready(log: Path) -> None:
    end = time.monotonic() + 30
    while " ready." not in log.read_text():
        assert time.monotonic() < end
        time.sleep(0.02)


POOLS = [("-P", "prefork", "-c", "2"), ("-P", "threads", "-c", "2"), ("-P", "solo")]


@pytest.mark.parametrize("pool", POOLS, ids=lambda pool: pool[1])
def test_a_task_that_fails_is_told_of(desk: Any, working: Working, pool: tuple[str, ...]) -> None:
    with working(desk, *pool) as app:
        app.send_task("shop.thank")
        sent = app.send_task("shop.ship", args=[17], kwargs={"card": "4111"})
        (action,) = desk.wait_for(1)

    assert (action.namespace, action.tenant, action.provider) == ("shop", "acme", "desk")
    assert action.action_type == "task_failed"
    assert action.metadata == {"task": "shop.ship", "state": "FAILURE"}
    said = dict(action.payload)
    stack = said.pop("stack")
    assert stack.startswith("Traceback (most recent call last):\n")
    assert stack.rstrip().endswith("ValueError: no address in order 17")
    for name in ("timestamp", "process", "worker"):
        assert said.pop(name)
    assert said == {
        "task": "shop.ship",
        "task_id": sent.id,
        "state": "FAILURE",
        "exception": {"type": "ValueError", "message": "no address in order 17"},
        "retries": 0,
        "queue": "celery",
        "root_id": sent.id,
        "parent_id": None,
        "args": [17],
        "kwargs": {"card": "4111"},
        "repeated": 0,
    }
    assert len(desk.delivered) == 1


def said_of(records: list[AuditRecord], task: str) -> list[Any]:
    payloads = [record.action_payload for record in records]
    return [payload for payload in payloads if payload["task"] == task]


def test_many_that_fail_alike_are_counted(open_desk: Any, working: Working) -> None:
    rules = """
rules:
  - name: once
    priority: 1
    condition: {field: action.action_type, eq: task_failed}
    action: {type: deduplicate, ttl_seconds: 300}
"""
    with open_desk(rules) as desk:
        with working(desk, "-P", "prefork", "-c", "2") as app:
            for order in range(60):
                app.send_task("shop.ship", args=[order])
            app.send_task("shop.refund")
            # The broker hands them out in their order, and the last one is another's failure.
            desk.wait_for(2)
        assert [action.payload["task"] for action in desk.delivered].count("shop.ship") == 1
        told = said_of(desk.records(), "shop.ship")
    assert sum(1 + each["repeated"] for each in told) == 60
    assert len(told) <= 4  # The first and the rest, of two processes.


def test_a_retry_is_told_of_too(desk: Any, working: Working) -> None:
    with working(desk, "-P", "prefork", "-c", "1") as app:
        app.send_task("shop.charge", args=[17])
        desk.wait_for(2)
    retried, failed = (action.payload for action in desk.delivered)
    assert [each["state"] for each in (retried, failed)] == ["RETRY", "FAILURE"]
    assert [each["retries"] for each in (retried, failed)] == [0, 1]
    assert retried["exception"] == {"type": "ConnectionError", "message": "the bank is away"}


def test_a_task_that_is_killed_is_told_of(desk: Any, working: Working) -> None:
    with working(desk, "-P", "prefork", "-c", "1") as app:
        app.send_task("shop.print")
        (action,) = desk.wait_for(1)
    assert action.payload["exception"]["type"].endswith("TimeLimitExceeded")


def test_what_is_expected_or_anothers_is_left_out(desk: Any, working: Working) -> None:
    with working(desk, "-P", "solo", notify="another") as app:
        app.send_task("shop.ship", args=[17])
        app.send_task("shop.pack")
        app.send_task("shop.refund")  # Its base tells of it.
        desk.wait_for(1)
    (action,) = desk.delivered
    assert action.payload["task"] == "shop.refund"
    assert "args" not in action.payload


def test_a_task_that_a_server_cannot_be_told_of_goes_on(desk: Any, working: Working) -> None:
    url, desk.url = desk.url, "http://127.0.0.1:9"
    with working(desk, "-P", "solo") as app:
        app.send_task("shop.ship", args=[17])
    desk.url = url
    assert desk.records() == []


def test_the_page_does_what_it_shows(type_section: Any) -> None:
    type_section("Celery")
