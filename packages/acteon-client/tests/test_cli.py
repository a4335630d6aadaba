"""The command `acteon`, typed into a shell as its page shows it, and beyond."""

import json
import os
import pty
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

PAGE = (Path(__file__).parents[3] / "docs" / "cli.md").read_text()
FILES: dict[str, str] = dict(
    re.findall(r"^<!-- file: (\S+) -->\n```\w+\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
)
CONSOLE = "\n".join(re.findall(r"^```console\n(.*?)\n```$", PAGE, re.MULTILINE | re.DOTALL))
COMMANDS = [
    (found[0], found[1].strip("\n"))
    for found in re.findall(r"^\$ (.*?)\n((?:(?!\$ ).*\n?)*)", CONSOLE + "\n", re.MULTILINE)
]
ENVIRONMENT = {
    **{name: value for name, value in os.environ.items() if not name.startswith("ACTEON_")},
    "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
    "PYTHONWARNINGS": "error",
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a folder with the files of the page."""
    folder = tmp_path_factory.mktemp("cli")
    for name, text in FILES.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text)
    return folder


@pytest.fixture(scope="module")
def server(folder: Path) -> Iterator[str]:
    """Give the URL of a server with the configuration of the page."""
    command = [sys.executable, "-m", "acteon.server", "--port", "0"]
    environment = {**ENVIRONMENT, "ACTEON_LOG": "info"}
    with subprocess.Popen(
        command, cwd=folder, stderr=subprocess.PIPE, text=True, env=environment
    ) as process:
        assert process.stderr is not None
        lines = (re.search(r"listening url=(\S+)", line) for line in process.stderr)
        yield next(found.group(1) for found in lines if found)
        process.kill()


def shell(command: str, folder: Path, **environment: str) -> "subprocess.CompletedProcess[str]":
    """Return how `command`, typed into a shell, ended; it has one stream for all it tells."""
    return subprocess.run(
        ["bash", "-c", f"set -o pipefail; {command}"],
        cwd=folder,
        env={**ENVIRONMENT, "XDG_STATE_HOME": str(folder / "state"), **environment},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=50,
        check=False,
    )


def test_everything_on_the_page_is_so(server: str, folder: Path) -> None:
    assert len(COMMANDS) >= 18
    for command, shown in COMMANDS:
        ended = shell(command, folder, ACTEON_URL=server)
        told = ended.stdout.rstrip("\n")
        status = f"[status {ended.returncode}]"
        lines = [line.rstrip() for line in told.splitlines()]
        lines += [status] if ended.returncode else []
        assert lines == shown.splitlines(), command


def acteon(
    arguments: list[str], server: str, folder: Path, given: str = "", **environment: str
) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        ["acteon", *arguments],
        cwd=folder,
        env={**ENVIRONMENT, "ACTEON_URL": server, "XDG_STATE_HOME": str(folder), **environment},
        input=given,
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )


ACTION = {
    "namespace": "n",
    "tenant": "cli",
    "provider": "email",
    "action_type": "receipt",
    "payload": {"text": "ü\u2028\n"},
}


def test_an_action_from_a_file_with_options_before_it(server: str, folder: Path) -> None:
    ended = acteon(
        ["--json", "dispatch", "--file", "-", "--id", "from-stdin", "--metadata", "a=b=c"],
        server,
        folder,
        json.dumps(ACTION),
    )
    assert (ended.returncode, ended.stderr) == (0, "")
    told: dict[str, Any] = json.loads(ended.stdout)
    assert told["action_id"] == "from-stdin"
    record = json.loads(acteon(["--json", "audit", "get", "from-stdin"], server, folder).stdout)
    assert record["action_payload"] == ACTION["payload"]
    assert record["metadata"] == {"a": "b=c"}
    table = acteon(["audit", "get", "from-stdin"], server, folder).stdout
    assert len(table.splitlines()) == len(record) + 1


def test_a_batch_and_lines_that_come_in(server: str, folder: Path) -> None:
    ended = acteon(["--json", "batch", "-"], server, folder, json.dumps([ACTION, ACTION]))
    assert ended.returncode == 0
    assert [next(iter(each["outcome"])) for each in json.loads(ended.stdout)] == ["Executed"] * 2

    lines = "".join(json.dumps({**ACTION, "payload": number}) + "\n" for number in range(250))
    ended = acteon(["--json", "dispatch", "--jsonl", "-"], server, folder, lines)
    assert ended.returncode == 0
    assert len(ended.stdout.splitlines()) == 250
    assert ended.stderr == "250 actions: 250 executed\n"
    exported = acteon(["audit", "export", "--tenant", "cli", "--type", "receipt"], server, folder)
    assert len(exported.stdout.splitlines()) >= 252


@pytest.mark.parametrize(
    ("arguments", "given", "status", "text"),
    [
        (["dispatch", "--file", "none.json"], "", 2, "error: none.json: No such file"),
        (["dispatch", "--file", "-"], "{", 2, "error: -: no JSON: "),
        (["dispatch", "--file", "-"], "[]", 2, "error: -: an action is a JSON object"),
        (["dispatch", "--payload", "to: ann"], "", 2, "error: --payload: no JSON: "),
        (["dispatch", "--metadata", "x"], "", 2, "write it like team=core"),
        (["batch", "-"], "{}", 2, "a batch is a JSON list of actions"),
        (["batch", "-"], '[{"tenant": 1}]', 2, "error: -: action 1: action: lacks"),
        (["dispatch", "--jsonl", "none"], "", 2, "error: none: No such file"),
        (["audit", "query", "--since", "soon"], "", 2, "or so long ago: 90s, 5m, 1h, 7d"),
        (["dispatch", "--jsonl", "-", "--chunk-size", "0"], "", 2, "'0': give 1 or more"),
        (["rules", "enable", "none"], "", 5, "error: API error [NOT_FOUND]"),
        (["audit", "replay", "none"], "", 5, "error: API error"),
        (["--api-key", "ü", "metrics"], "", 2, "error: configuration error: x-api-key"),
        (["--url", "localhost", "metrics"], "", 2, "write it like http://localhost:8080"),
        (["--url", "http://127.0.0.1:1", "health"], "", 3, "Connection refused"),
        (["--url", "http://127.0.0.1:1", "dispatch", "--jsonl", "-"], json.dumps(ACTION), 3, "ref"),
        (["login", "ann", "--password-stdin"], "secret\n", 5, "error: API error"),
        ([], "", 2, "usage: acteon"),
    ],
    ids=str,
)
def test_what_goes_wrong_is_told_in_a_line_with_its_status(
    server: str, folder: Path, arguments: list[str], given: str, status: int, text: str
) -> None:
    ended = acteon(arguments, server, folder, given)

    assert ended.returncode == status, ended.stderr
    assert text in ended.stderr
    assert "Traceback" not in ended.stderr
    assert "secret" not in ended.stderr


def test_whoever_reads_may_stop(server: str, folder: Path) -> None:
    ended = shell("acteon audit export | head -n 1 | wc -l", folder, ACTEON_URL=server)

    assert (ended.returncode, ended.stdout.strip()) == (0, "1")


def test_records_are_shown_as_they_are_written_until_ctrl_c(server: str, folder: Path) -> None:
    with subprocess.Popen(
        ["acteon", "--json", "tail", "--tenant", "tailed", "--since", "1h", "--interval", "0.05"],
        env={**ENVIRONMENT, "ACTEON_URL": server, "XDG_STATE_HOME": str(folder)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        seen: list[str] = []
        for number in range(3):
            action = json.dumps({**ACTION, "tenant": "tailed", "id": f"tailed-{number}"})
            acteon(["dispatch", "--file", "-"], server, folder, action)
            seen.append(json.loads(process.stdout.readline())["action_id"])
        process.send_signal(signal.SIGINT)
        rest, errors = process.communicate(timeout=20)

    assert seen == ["tailed-0", "tailed-1", "tailed-2"]
    assert (process.returncode, rest, errors) == (130, "", "")


def test_a_terminal_has_colors_and_a_bar(server: str, folder: Path) -> None:
    lines = "".join(json.dumps({**ACTION, "payload": number}) + "\n" for number in range(40))
    (folder / "forty.jsonl").write_text(lines)
    assert "\x1b[31mfailed\x1b[0m" in typed("acteon dispatch -n a -t b -p c --type d", server)
    assert "\x1b" not in typed("NO_COLOR=1 acteon dispatch -n a -t b -p c --type d", server)
    bar = typed(f"acteon dispatch --jsonl {folder / 'forty.jsonl'}", server)
    assert f"\r{'█' * 24} 40/40" in bar
    assert "40 actions: 40 executed" in bar


def typed(command: str, server: str) -> str:
    """Return what `command` tells a terminal."""
    main, other = pty.openpty()
    with subprocess.Popen(
        ["bash", "-c", command],
        env={**ENVIRONMENT, "ACTEON_URL": server},
        stdin=subprocess.DEVNULL,
        stdout=other,
        stderr=other,
    ):
        os.close(other)
        told = b""
        while True:
            try:
                piece = os.read(main, 65536)
            except OSError:  # The other side is closed.
                break
            told += piece
        os.close(main)
    return told.decode()


@pytest.mark.parametrize("name", ["bash", "zsh", "tcsh"])
def test_a_script_for_completion(name: str, folder: Path) -> None:
    ended = acteon(["completion", name], "http://127.0.0.1:1", folder)

    assert ended.returncode == 0
    assert "acteon" in ended.stdout
    if name == "bash":
        script = f"{ended.stdout}\ncomplete -p acteon"
        assert shell(f"bash -c {json.dumps('true')}", folder).returncode == 0
        done = subprocess.run(
            ["bash", "-c", script], capture_output=True, text=True, timeout=20, check=False
        )
        assert (done.returncode, done.stdout.startswith("complete ")) == (0, True)
