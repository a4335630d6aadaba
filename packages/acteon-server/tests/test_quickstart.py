"""The quickstart as its user has it: a process with a table, a server and an end."""

import re
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from acteon.server.testing import request

FOLDER = Path(__file__).parents[3] / "examples" / "quickstart"
OUTCOMES = [
    ("an order confirmation", "Executed"),
    ("the same again", "Deduplicated"),
    ("advertising", "Suppressed"),
    ("an alert", "Executed"),
    ("a second alert", "Executed"),
    ("a third one", "Throttled"),
    ("an urgent email", "Rerouted"),
    ("a letter, with a note", "Executed"),
]
RECORDS = [
    ("send_email", "executed", "one-mail-per-key"),
    ("send_email", "deduplicated", "one-mail-per-key"),
    ("spam", "suppressed", "no-spam"),
    ("alert", "executed", "two-alerts-a-minute"),
    ("alert", "executed", "two-alerts-a-minute"),
    ("alert", "throttled", "two-alerts-a-minute"),
    ("outage", "rerouted", "urgent-by-sms"),
    ("letter", "executed", "signed"),
]
ACTION = (
    b'{"namespace": "shop", "tenant": "t", "provider": "sms", "action_type": "note",'
    b' "payload": "hello"}'
)

Process = subprocess.Popen[str]
Start = Callable[..., Process]


def read_until(process: Process, last: str) -> str:
    """Return what `process` prints up to the line that has `last`."""
    assert process.stdout is not None
    shown = ""
    for line in process.stdout:
        shown += line
        if last in line:
            return shown
    raise AssertionError(f"ended without {last!r}: {shown}")


def url_in(shown: str) -> str:
    found = re.search(r"server listens on (http://127\.0\.0\.1:\d+)", shown)
    assert found, shown
    return found.group(1)


def rows(shown: str) -> list[tuple[str, ...]]:
    """Return the cells of all rows of all tables."""
    return [tuple(re.split(r"\s{2,}", line)) for line in shown.splitlines()]


def assert_nothing_listens(url: str) -> None:
    parts = urlsplit(url)
    with socket.socket() as probe:
        assert probe.connect_ex((str(parts.hostname), parts.port or 0)) != 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
async def test_it_stays_up_for_other_requests_until_it_is_told_to_end(
    quickstart: Start, number: signal.Signals
) -> None:
    process = quickstart()
    shown = read_until(process, "the end")
    cells = rows(shown)
    assert [row[:2] for row in cells if row[:2] in OUTCOMES] == OUTCOMES
    assert [row[:3] for row in cells if row[:3] in RECORDS] == RECORDS
    assert '{"footer": "sent by' in shown
    assert "draft 2" not in shown
    url = url_in(shown)

    answer = await request(
        url, "POST", "/v1/dispatch", ACTION, {"Content-Type": "application/json"}
    )
    assert answer.json()["Executed"]["body"] == {"received": "hello"}
    assert read_until(process, "note") == '\ndelivered note: "hello"\n'

    process.send_signal(number)
    # The output ends when the last process that holds it has ended.
    rest, complaints = process.communicate(timeout=20)
    assert (process.returncode, rest, complaints) == (0, "", "")
    assert_nothing_listens(url)


def test_once_ends_with_0_when_all_is_as_the_rules_say(quickstart: Start) -> None:
    process = quickstart("--once")
    shown, complaints = process.communicate(timeout=30)
    assert (process.returncode, complaints) == (0, "")
    assert max(map(len, shown.splitlines())) <= 80
    assert "\x1b" not in shown
    assert_nothing_listens(url_in(shown))


def test_once_ends_with_1_when_an_outcome_is_another(quickstart: Start, tmp_path: Path) -> None:
    copy = shutil.copytree(FOLDER, tmp_path / "copy")
    file = copy / "rules" / "notifications.yaml"
    file.write_text(file.read_text().replace("eq: spam", "eq: ham"))
    process = quickstart("--once", program=copy / "quickstart.py")
    shown, complaints = process.communicate(timeout=30)
    assert ("advertising", "Executed") in [row[:2] for row in rows(shown)]
    assert process.returncode == 1
    assert complaints == (
        "error: 1 of 8 outcomes are not those that the rules of examples/quickstart give\n"
    )


def test_a_server_that_cannot_start_says_why(quickstart: Start, tmp_path: Path) -> None:
    copy = shutil.copytree(FOLDER, tmp_path / "copy")
    (copy / "rules" / "notifications.yaml").write_text("rules: [")
    process = quickstart(program=copy / "quickstart.py")
    shown, complaints = process.communicate(timeout=30)
    assert (process.returncode, shown) == (1, "")
    first, *_, last = complaints.splitlines()
    assert "notifications.yaml" in first
    assert last == "error: the server did not start: status 1"
    assert "Traceback" not in complaints


@pytest.mark.parametrize("option", ["--port", "--receiver-port"])
def test_a_port_in_use_is_one_line_that_says_what_to_do(quickstart: Start, option: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        process = quickstart(option, str(port))
        shown, complaints = process.communicate(timeout=30)
    assert (process.returncode, shown) == (1, "")
    assert re.fullmatch(
        rf"error: port {port}: .* in use; to take any free one, add: -- {option} 0\n",
        complaints,
    )


def test_the_end_of_the_reader_is_no_accident(quickstart: Start) -> None:
    process = quickstart()
    assert process.stdout is not None
    process.stdout.readline()
    process.stdout.close()
    assert process.stderr is not None
    assert process.stderr.read() == "error: nobody reads the output\n"
    assert process.wait(timeout=20) == 1


def walk(*arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, FOLDER / "walkthrough.py", *arguments],
        capture_output=True,
        encoding="utf-8",
        timeout=30,
        check=False,
    )


def test_a_walk_through_can_be_repeated_and_shows_the_same(quickstart: Start) -> None:
    first = read_until(process := quickstart(), "the end")
    again = walk("--url", url_in(first))
    assert (again.returncode, again.stderr) == (0, "")
    assert [row[:3] for row in rows(again.stdout) if row[:3] in RECORDS] == RECORDS
    assert plain(again.stdout) in plain(first)
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=20) == 0


def plain(shown: str) -> str:
    """Return `shown` without what differs between runs."""
    return re.sub(r"demo-\w{6}|\d+ s\b", "…", shown).strip()


def test_a_walk_through_without_a_server_says_how_to_start_one() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
    done = walk("--url", url)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        f"error: no Acteon server answers at {url}: start one with `nox -s serve`, "
        "or name it with --url\n"
    )
