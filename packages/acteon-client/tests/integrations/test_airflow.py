"""Callbacks of real DAGs, run by Airflow itself in processes of their own."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.server

AIRFLOW = Path(sys.executable).parent / "airflow"

DAG = """
from datetime import timedelta

from airflow.sdk import DAG, task

from acteon.client.airflow import ActeonNotifier

desk = {"namespace": "shop", "tenant": "acme", "provider": "desk"}

with DAG(
    "orders",
    default_args={
        "on_failure_callback": ActeonNotifier(
            **desk, action_type="task_failed", metadata={"team": "{{ dag.dag_id }}-team"}
        ),
    },
):

    @task
    def ship():
        raise ValueError("no address")

    @task
    def pack():
        raise KeyError("box")

    @task(
        on_failure_callback=ActeonNotifier(
            **desk,
            dedup_key="{{ dag.dag_id }}/{{ ti.task_id }}",
            payload={"text": "{{ ti.task_id }} failed: {{ exception }}", "in": ["{{ run_id }}", 1]},
        )
    )
    def bill():
        raise ValueError("no card")

    @task(
        retries=1,
        retry_delay=timedelta(0),
        on_retry_callback=ActeonNotifier(**desk, action_type="task_retried"),
        on_failure_callback=None,
    )
    def charge():
        raise ConnectionError("the bank is away")

    @task(on_success_callback=ActeonNotifier(**desk, payload={"text": "thanks"}))
    def thank():
        pass

    for each in (ship, pack, bill, charge, thank):
        each()
"""


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a home of Airflow with its database."""
    folder = tmp_path_factory.mktemp("airflow")
    (folder / "dags").mkdir()
    run(folder, "db", "migrate")
    return folder


def run(home: Path, *arguments: str, **environment: str) -> str:
    """Run a command of Airflow, and return what it prints."""
    done = subprocess.run(
        [AIRFLOW, *arguments],
        env={
            **os.environ,
            "AIRFLOW_HOME": str(home),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__CORE__UNIT_TEST_MODE": "False",
            **environment,
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=55,
        check=False,
    )
    return done.stdout


def told(desk: Any) -> dict[str, list[Any]]:
    """Return the actions that were delivered by the task they are about, in their order."""
    found: dict[str, list[Any]] = {}
    for action in desk.delivered:
        found.setdefault(action.metadata["task_id"], []).append(action)
    return found


def test_callbacks_become_actions(home: Path, desk: Any) -> None:
    (home / "dags" / "orders.py").write_text(DAG)
    connection = f'{{"conn_type": "http", "host": "{desk.url}", "password": "key"}}'

    output = run(home, "dags", "test", "orders", AIRFLOW_CONN_ACTEON_DEFAULT=connection)

    actions = told(desk)
    assert {task: len(each) for task, each in actions.items()} == {
        "ship": 1,
        "pack": 1,
        "bill": 1,
        "charge": 1,
        "thank": 1,
    }, output

    (ship,) = actions["ship"]
    assert (ship.namespace, ship.tenant, ship.provider) == ("shop", "acme", "desk")
    assert ship.action_type == "task_failed"
    assert ship.metadata == {"dag_id": "orders", "task_id": "ship", "team": "orders-team"}
    said = dict(ship.payload)
    run_id = said.pop("run_id")
    assert said.pop("logical_date")
    assert said.pop("log_url")
    assert said == {
        "dag_id": "orders",
        "task_id": "ship",
        "map_index": -1,
        "try_number": 1,
        "state": "failed",
        "reason": None,
        "exception": {"type": "ValueError", "message": "no address"},
    }
    assert ship.dedup_key == f"orders/{run_id}/ship/-1/1/failed"

    # One notifier serves both, and each has its own words.
    (pack,) = actions["pack"]
    assert pack.payload["exception"] == {"type": "KeyError", "message": "'box'"}

    (bill,) = actions["bill"]
    assert bill.dedup_key == "orders/bill"
    assert bill.payload == {"text": "bill failed: no card", "in": [run_id, 1]}

    (charge,) = actions["charge"]
    assert charge.action_type == "task_retried"

    (thank,) = actions["thank"]
    assert thank.payload == {"text": "thanks"}


def test_without_a_connection_the_environment_says_where(home: Path, desk: Any) -> None:
    (home / "dags" / "orders.py").write_text(DAG)
    run(home, "dags", "test", "orders", ACTEON_URL=desk.url)
    assert len(desk.delivered) == 5


def test_one_that_is_not_delivered_is_logged(home: Path, desk: Any) -> None:
    (home / "dags" / "orders.py").write_text(DAG)
    desk.failing = True
    output = run(home, "dags", "test", "orders", ACTEON_URL=desk.url)
    assert "the notification was not delivered: execution failed: nobody is at the desk" in output
    assert desk.delivered == []


AWAITING = """
import asyncio

from airflow.sdk import DAG

from acteon.client.airflow import ActeonNotifier

context = {"run_id": "manual"}
notifier = ActeonNotifier(
    namespace="shop",
    tenant="acme",
    provider="desk",
    payload={"text": "{{ run_id }} is late"},
    context=context,
)


async def main():
    await notifier
    context["run_id"] = "next"
    await notifier


asyncio.run(main())

# As the callback of a DAG is called: no task is known.
run_failed = ActeonNotifier(namespace="shop", tenant="acme", provider="desk")
run_failed({"dag": DAG("orders"), "run_id": "manual", "reason": "task_failure"})
"""


def test_a_notifier_can_be_awaited_or_called_for_a_run(home: Path, desk: Any) -> None:
    program = home / "awaiting.py"
    program.write_text(AWAITING)
    subprocess.run(
        [sys.executable, program],
        env={**os.environ, "AIRFLOW_HOME": str(home), "ACTEON_URL": desk.url},
        check=True,
        timeout=55,
    )
    *late, failed = desk.delivered
    assert [action.payload for action in late] == [
        {"text": "manual is late"},
        {"text": "next is late"},
    ]
    assert failed.metadata == {"dag_id": "orders"}
    said = {name: value for name, value in failed.payload.items() if value is not None}
    assert said == {"dag_id": "orders", "run_id": "manual", "reason": "task_failure"}


def test_the_page_does_what_it_shows(type_section: Any) -> None:
    type_section("Airflow")
