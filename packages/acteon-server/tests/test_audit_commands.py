"""The commands on the audit trail, and `migrate`."""

import json
import os
import pty
import select
import signal
import subprocess
import sys
from collections.abc import Iterable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from acteon.audit import AuditRecord
from acteon.audit.testing import NOON, make_record
from acteon.core import encode_json
from acteon.server import main
from servers.waiting import wait_until

LEDGER = Path(__file__).parent / "ledger"
CONFIGURATION = """
[audit]
enabled = true
backend = "ledger"
path = "ledger.jsonl"
password = "hunter22"
"""
NOWHERE = CONFIGURATION.replace("ledger.jsonl", "no/l")
TORN = f"{CONFIGURATION}fails_at = 1"


@pytest.fixture(autouse=True)
def _ledger(folder: Path, ledger: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Start in an empty folder, with the plugin installed."""
    for name in [name for name in os.environ if name.startswith("ACTEON_")]:
        monkeypatch.delenv(name)


def run(*arguments: str, more: str = "", config: str = CONFIGURATION) -> Result:
    """Run the command to its end, with a configuration."""
    Path("acteon.toml").write_text(config + more, encoding="utf-8")
    return CliRunner().invoke(main, arguments, prog_name="acteon-server")


def started(
    *arguments: str,
    stdin: int = subprocess.DEVNULL,
    stderr: int = subprocess.PIPE,
    config: str = CONFIGURATION,
) -> "subprocess.Popen[str]":
    """Start the command as a process of its own."""
    Path("acteon.toml").write_text(config, encoding="utf-8")
    return subprocess.Popen(
        [sys.executable, "-m", "acteon.server", *arguments],
        env={**os.environ, "PYTHONPATH": str(LEDGER), "TERM": "xterm", "COLUMNS": "80"},
        encoding="utf-8",
        stdin=stdin,
        stdout=subprocess.PIPE,
        stderr=stderr,
    )


def said(done: Result, status: int) -> str:
    """Return the one line in which something is refused."""
    assert done.exit_code == status, done.output
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert line.startswith("error: ")
    assert "hunter22" not in line
    return line.removeprefix("error: ")


def keep(records: Iterable[AuditRecord]) -> list[AuditRecord]:
    """Put `records`, given the newest first, into the ledger."""
    kept = list(records)
    text = b"".join(record.to_json() + b"\n" for record in reversed(kept))
    Path("ledger.jsonl").write_bytes(text)
    return kept


def many(number: int) -> list[AuditRecord]:
    return [
        make_record(
            action_id=f"a{each}",
            tenant="acme" if each % 2 else "zeta",
            action_payload=encode_json({"to": f"u{each}@example.com", "vip": each == 3}),
            dispatched_at=NOON - timedelta(seconds=each),
        )
        for each in range(number)
    ]


def lines(records: Iterable[AuditRecord]) -> str:
    return "".join(record.to_json().decode() + "\n" for record in records)


def kept_now() -> list[dict[str, Any]]:
    return [json.loads(line) for line in Path("ledger.jsonl").read_text().splitlines()]


def test_all_records_are_exported_newest_first() -> None:
    kept = keep(many(2_500))
    done = run("audit", "export")

    assert (done.exit_code, done.stderr) == (0, "")
    assert done.stdout == lines(kept)


@pytest.mark.parametrize(
    ("options", "wanted"),
    [
        (["--tenant", "acme"], {"a1", "a3"}),
        (["--tenant", "nobody"], set[str]()),
        (["--from", "2025-01-01T11:59:58Z", "--to", "2025-01-01T12:59:59+01:00"], {"a1", "a2"}),
        (
            ["--action-type", "send_email", "--outcome", "executed", "--tenant", "acme"],
            {"a1", "a3"},
        ),
        (["--matched-rule", "no"], set[str]()),
    ],
)
def test_filters_choose_what_is_exported(options: list[str], wanted: set[str]) -> None:
    keep(many(5))
    done = run("audit", "export", *options)

    assert {json.loads(line)["action_id"] for line in done.stdout.splitlines()} == wanted


def test_a_file_is_written_as_a_whole() -> None:
    kept = keep(many(3))
    Path("out.jsonl").write_text("old")
    done = run("audit", "export", "-o", "out.jsonl")

    assert (done.exit_code, done.stderr, done.stdout) == (0, "", "out.jsonl: 3 records\n")
    assert Path("out.jsonl").read_text() == lines(kept)
    assert sorted(os.listdir()) == ["acteon.toml", "ledger.jsonl", "out.jsonl"]


def test_an_export_that_fails_midway_leaves_the_file_as_it_was() -> None:
    keep(many(2_500))
    Path("out.jsonl").write_text("old")
    done = run("audit", "export", "-o", "out.jsonl", more="fails_at = 2")

    assert said(done, 1) == "audit ledger: storage error: the ledger is torn, says [hidden]"
    assert Path("out.jsonl").read_text() == "old"
    assert len(os.listdir()) == 3


def test_an_export_that_fails_midway_says_so_behind_what_it_wrote() -> None:
    kept = keep(many(2_500))
    done = run("audit", "export", more="fails_at = 2")

    assert done.exit_code == 1
    assert done.stdout == lines(kept[:50])
    assert done.stderr.startswith("error: audit ledger: storage error: ")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("target", ["nowhere/out.jsonl", "folder"])
def test_a_file_that_cannot_be_written_is_one_line(target: str) -> None:
    keep(many(3))
    Path("folder").mkdir()

    assert target.partition("/")[0] in said(run("audit", "export", "-o", target), 1)


def test_a_full_device_is_named() -> None:
    keep(many(3))
    full = said(run("audit", "export", "-o", "/dev/full"), 1)
    assert full == "/dev/full: No space left on device"
    assert "wanted the name of a file" in said(run("audit", "export", "-o", ""), 2)


def test_a_device_takes_what_is_exported() -> None:
    keep(many(3))
    with started("audit", "export", "-o", "/dev/stdout") as process:
        assert process.stdout is not None
        assert len(process.stdout.readlines()) == 4  # What was done is told behind them.
    assert process.returncode == 0


def test_a_link_keeps_being_one() -> None:
    kept = keep(many(1))
    Path("link").symlink_to("out.jsonl")
    run("audit", "export", "-o", "link")

    assert Path("link").is_symlink()
    assert Path("out.jsonl").read_text() == lines(kept)


def test_who_reads_no_further_is_not_told_anything() -> None:
    keep(many(3_000))
    with started("audit", "export") as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert json.loads(process.stdout.readline())["action_id"] == "a0"
        process.stdout.close()
        assert process.stderr.read() == ""
        assert process.wait(60) == 141


@pytest.mark.parametrize(
    ("number", "status", "told"),
    [(signal.SIGINT, 130, "error: interrupted\n"), (signal.SIGTERM, 143, "")],
)
def test_signals_end_it_wherever_it_is(number: int, status: int, told: str) -> None:
    keep(many(3_000))
    os.mkfifo("pipe")
    with started("audit", "export", "-o", "pipe") as process:
        with Path("pipe").open("rb") as pipe:
            assert json.loads(pipe.readline())["action_id"] == "a0"
            process.send_signal(number)  # It waits for us to read more.
            assert process.wait(60) == status
        assert process.stderr is not None
        assert process.stderr.read() == told


def test_people_see_how_far_it_is() -> None:
    kept = keep(many(1_500))
    ours, theirs = pty.openpty()
    with started("audit", "export", "-o", "out.jsonl", stderr=theirs) as process:
        os.close(theirs)
        shown = b""
        while select.select([ours], [], [], 60)[0]:
            try:
                shown += os.read(ours, 65536)
            except OSError:  # The other end is closed.
                break
        assert process.wait(60) == 0
    os.close(ours)

    assert b"1500/1500" in shown
    assert Path("out.jsonl").read_text() == lines(kept)


def test_payloads_are_erased_and_that_is_recorded() -> None:
    keep(many(5))
    done = run("audit", "erase", "--path", "TO", "--value", "u3@example.com", "--yes")

    assert (done.exit_code, done.stdout, done.stderr) == (0, "1 payload erased\n", "")
    *others, told = kept_now()
    assert [each["action_id"] for each in others if each["action_payload"] is None] == ["a3"]
    assert (told["action_type"], told["auth_method"]) == ("audit.erase", "cli")
    assert told["outcome_details"] == {"filters": {}, "path": "TO", "matched": 1, "erased": 1}
    assert "u3@" not in Path("ledger.jsonl").read_text()


@pytest.mark.parametrize(
    ("options", "number"),
    [
        (["--tenant", "acme"], 2),
        (["--path", "vip", "--json", "true"], 1),
        (["--path", "vip", "--json", "null"], 0),
        (["--tenant", "zeta", "--path", "vip", "--json", "false"], 3),
        (["--path", "vip", "--value", "true"], 0),
    ],
)
def test_a_dry_run_counts_only(options: list[str], number: int) -> None:
    kept = keep(many(5))
    done = run("audit", "erase", *options, "--dry-run")

    payloads = "1 payload" if number == 1 else f"{number} payloads"
    assert (done.exit_code, done.stdout) == (0, f"{payloads} would be erased\n")
    assert Path("ledger.jsonl").read_text() == lines(reversed(kept))


@pytest.mark.parametrize(
    ("number", "status", "told"),
    [(signal.SIGINT, 130, "error: interrupted\n"), (signal.SIGTERM, 143, "")],
)
def test_an_erasure_that_is_cut_off_is_recorded(number: int, status: int, told: str) -> None:
    keep(many(4_000))
    arguments = ("audit", "erase", "--tenant", "acme", "--yes")
    with started(*arguments, config=f"{CONFIGURATION}halts_at = 2") as process:
        wait_until("it halts", Path("halted").exists, timedelta(seconds=30))
        process.send_signal(number)
        assert process.wait(60) == status
        assert process.stderr is not None
        assert process.stderr.read() == told
    (record,) = [one for one in kept_now() if one["action_type"] == "audit.erase"]
    assert record["outcome"] == "failed"
    assert record["outcome_details"]["erased"] == 50
    assert sum(one["action_payload"] is None for one in kept_now()) == 51


@pytest.mark.parametrize(("reply", "status", "left"), [("y", 0, 3), ("n", 1, 5), ("", 1, 5)])
def test_somebody_is_asked_first(reply: str, status: int, left: int) -> None:
    keep(many(5))
    ours, theirs = pty.openpty()
    os.write(ours, f"{reply}\n".encode())
    with started("audit", "erase", "--tenant", "acme", stdin=theirs) as process:
        _, told = process.communicate(timeout=60)
    os.close(ours)
    os.close(theirs)

    assert process.returncode == status
    assert "Erase 2 payloads for good?" in told
    assert sum(each["action_payload"] is not None for each in kept_now()) == left


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["erase", "--tenant", "t"], "there is nobody to ask: add --yes, or --dry-run"),
        (["erase", "--yes"], "wanted a filter, such as --tenant, or --path; "),
        (["erase", "--path", "to", "--yes"], "--path belongs to --value, or to --json"),
        (["erase", "--value", "to", "--tenant", "t", "--yes"], "--path belongs to --value"),
        (["erase", "--path", "a", "--value", "b", "--json", "1"], "--path belongs to --value"),
        (["erase", "--path", "", "--value", "b", "--yes"], "--path belongs to --value"),
        (["erase", "--path", "a", "--json", "{", "--yes"], "invalid value for '--json': no JSON: "),
        (["erase", "--tenat", "t"], "no such option '--tenat'; did you mean --tenant or"),
        (["export", "--from", "today"], "invalid value for '--from': 'today' is no timestamp"),
        (["exprot"], "exprot: there is no such command; "),
        ([], "wanted a command: export or erase; "),
    ],
)
def test_a_wrong_use_ends_with_2(arguments: list[str], text: str) -> None:
    keep(many(1))

    assert said(run("audit", *arguments), 2).startswith(text)


@pytest.mark.parametrize("arguments", [["export"], ["erase", "--tenant", "t", "--yes"]])
@pytest.mark.parametrize(
    ("config", "text"),
    [
        ("", "there is no audit trail: it takes [audit] enabled = true"),
        ("[audit]\nenabled = true", '[audit] backend = "memory" is in the memory of the server'),
        (NOWHERE, "audit ledger: storage error: no ledger at no/l with [hidden]"),
        (TORN, "audit ledger: storage error: the ledger is torn, says [hidden]"),
        ("[audit]\nenabled = 1", "acteon.toml: [audit] enabled: wanted true or false"),
    ],
)
def test_a_store_that_cannot_be_used_is_one_line(
    arguments: list[str], config: str, text: str
) -> None:
    assert said(run("audit", *arguments, config=config), 1).startswith(text)


def test_an_erasure_whose_record_cannot_be_written_says_so() -> None:
    keep(many(5))
    options = ("audit", "erase", "--tenant", "acme", "--yes")
    done = run(*options, more="fails_to_write = true")

    assert said(done, 1) == (
        "audit ledger: storage error: 2 payloads were erased, but the record of that cannot be "
        "written"
    )


def test_migrate_says_what_is_ready() -> None:
    done = run("migrate")
    assert (done.exit_code, done.stderr) == (0, "")
    assert done.stdout == "state: memory is ready\naudit: ledger is ready\n"

    done = run("-c", "acteon.toml", "migrate", config="")
    assert (done.exit_code, done.stderr) == (0, "")
    assert done.stdout == "state: memory is ready\naudit: not enabled\n"


def test_migrate_says_what_is_not_ready() -> None:
    done = run("migrate", config=NOWHERE)
    assert (done.exit_code, done.stdout) == (1, "state: memory is ready\n")
    assert done.stderr == "error: audit ledger: storage error: no ledger at no/l with [hidden]\n"

    done = run("migrate", config=TORN)
    assert (done.exit_code, done.stdout) == (1, "state: memory is ready\n")
    assert done.stderr.count("\n") == 1


def test_migrate_has_no_arguments() -> None:
    assert said(run("migrate", "now"), 2).startswith("got unexpected extra argument")
