"""The examples, in memory; and their command."""

import json
import subprocess
import sys
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest

from acteon.simulation.examples import on_both, on_state
from acteon.simulation.examples.report import Report
from acteon.simulation.running import EXAMPLES


def run(*arguments: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    """Return how the command ended."""
    return subprocess.run(
        [sys.executable, "-W", "error", "-m", "acteon.simulation", *arguments],
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
        env=environment or None,
    )


@pytest.mark.parametrize(
    "arguments", [("demo",), ("rules-from-files",), ("mixed", "memory-memory")], ids=" ".join
)
def test_an_example_holds_what_it_promises(arguments: tuple[str, ...]) -> None:
    ended = run("run", *arguments)

    assert (ended.returncode, ended.stderr) == (0, "")
    assert "✗" not in ended.stdout
    *_, last = ended.stdout.splitlines()
    assert last.endswith(" checks hold")
    held, _, of, *_ = last.split()
    assert held == of


async def test_what_the_stores_are_to_show_holds_in_memory() -> None:
    lines: list[str] = []
    for one in (
        on_state.run(state_report := Report("state", lines.append), "memory", 50),
        on_both.run(both_report := Report("both", lines.append), "memory", "memory"),
    ):
        await one

    assert (state_report.failed, both_report.failed) == ([], [])
    assert (len(state_report.checks), len(both_report.checks)) == (9, 15)


def test_all_are_listed() -> None:
    listed = run("list").stdout

    assert [line.split()[0] for line in listed.splitlines()] == list(EXAMPLES)


def test_the_checks_as_json() -> None:
    told: dict[str, Any] = json.loads(run("run", "demo", "--json").stdout)

    assert (told["title"], told["passed"], len(told["checks"])) == ("demo", True, 12)
    assert told["figures"]["actions of a batch"] > 0


def test_a_check_that_does_not_hold_is_told_and_ends_with_status_1() -> None:
    ended = run("run", "rules-from-files", ACTEON_ENV="moon")

    assert ended.returncode == 1
    assert "  ✗ ACTEON_ENV=moon is one of development, staging, production" in ended.stdout
    assert "7 of 8 checks hold" in ended.stdout


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (("run", "mixed"), "error: mixed: say where, as STATE-AUDIT: memory, redis, "),
        (("run", "mixed", "redis-mysql"), "error: mixed: say where, as STATE-AUDIT"),
        (("run", "moon"), "invalid choice: 'moon'"),
        (("run", "redis", "--state-url", "redis://127.0.0.1:1"), "cannot be reached"),
        (("run", "http-client", "--url", "http://127.0.0.1:1"), "no Acteon server answers at"),
        (("run", "postgres", "--state-url", "mysql://x"), "error: state"),
    ],
    ids=str,
)
def test_what_cannot_be_run_is_told_in_a_line(arguments: tuple[str, ...], text: str) -> None:
    ended = run(*arguments)

    assert ended.returncode == 2
    assert text in ended.stderr
    assert "Traceback" not in ended.stderr


@pytest.fixture
def server(tmp_path: Path) -> Generator[str]:
    """Give the URL of a server that logs what it is to deliver."""
    (tmp_path / "acteon.toml").write_text(
        '[audit]\nenabled = true\n\n[[providers]]\nname = "email"\ntype = "log"\n'
    )
    command = [sys.executable, "-m", "acteon.server", "--port", "0"]
    with subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if " listening url=" in line:
                yield line.split("url=")[1].split()[0]
                break
        process.kill()


def test_the_client_against_a_server(server: str) -> None:
    ended = run("run", "http-client", "--url", server)

    assert (ended.returncode, ended.stderr) == (0, "")
    assert "  ✓ the first dispatch is recorded" in ended.stdout
