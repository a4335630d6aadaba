"""The command, as processes of its own."""

import os
import socket
import subprocess
import sys
from importlib.metadata import entry_points, version
from pathlib import Path

import pytest

from acteon.server import main


def run(*arguments: str, cwd: Path, **environ: str) -> "subprocess.CompletedProcess[str]":
    """Run the command to its end, which must not be far."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("ACTEON_")}
    return subprocess.run(
        [sys.executable, "-m", "acteon.server", *arguments],
        cwd=cwd,
        env={**kept, **environ},
        capture_output=True,
        encoding="utf-8",
        timeout=30,
        check=False,
    )


def complaints(done: "subprocess.CompletedProcess[str]") -> list[str]:
    """Return the problems told, after making sure that they are told as they should be."""
    assert done.returncode == 1, done
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    return [
        line.removeprefix("error: ")
        for line in done.stderr.splitlines()
        if line.startswith("error: ")
    ]


def written(directory: Path, text: str) -> Path:
    file = directory / "my.toml"
    file.write_text(text, encoding="utf-8")
    return file


def test_the_command_is_installed_under_its_name() -> None:
    (point,) = entry_points(group="console_scripts", name="acteon-server")
    assert point.load() is main


@pytest.mark.parametrize("option", ["-h", "--help"])
def test_help_names_all_options(option: str, tmp_path: Path) -> None:
    done = run(option, cwd=tmp_path)
    assert done.returncode == 0
    assert done.stdout.startswith("Usage: acteon-server [OPTIONS]")
    for shown in ("-c, --config PATH", "--host HOST", "--port PORT", "--version", "-h, --help"):
        assert shown in done.stdout


def test_the_version_is_that_of_the_package(tmp_path: Path) -> None:
    done = run("--version", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (0, f"acteon-server {version('acteon-server')}\n")


@pytest.mark.parametrize(
    "arguments",
    [("--port", "70000"), ("--port", "-1"), ("--port", "http"), ("--prot", "1"), ("serve",)],
    ids=["136", "negative", "no-number", "no-option", "no-command"],
)
def test_a_wrong_use_ends_with_2(arguments: tuple[str, ...], tmp_path: Path) -> None:
    done = run(*arguments, cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr.startswith("error: ")
    assert len(done.stderr.splitlines()) == 1


def test_a_file_that_is_asked_for_must_be_there(tmp_path: Path) -> None:
    done = run("-c", "missing.toml", cwd=tmp_path)
    assert complaints(done) == ["missing.toml: there is no such file"]


@pytest.mark.parametrize(
    ("text", "start"),
    [
        pytest.param(
            '[state]\nbackend = "nope"',
            "configuration error: unsupported state backend: nope (is the feature enabled?)",
            id="130",
        ),
        pytest.param(
            '[audit]\nenabled = true\nbackend = "nope"',
            "configuration error: unknown audit backend: nope (is the feature enabled?)",
            id="131",
        ),
        pytest.param("[server", "my.toml:1:8: expected ']'", id="no-toml"),
        pytest.param('[server]\nhost = "0.0.0.0"', "my.toml: [server] host: 0.0.0.0", id="exposed"),
    ],
)
def test_a_configuration_that_cannot_be_used_is_one_line(
    text: str, start: str, tmp_path: Path
) -> None:
    written(tmp_path, text)
    (line,) = complaints(run("--config", "my.toml", cwd=tmp_path))
    assert line.startswith(start)


def test_every_problem_has_its_line(tmp_path: Path) -> None:
    written(tmp_path, "[server]\nport = 70000\nhots = 1\n[executor]\nmax_retries = -1")
    assert complaints(run("-c", "my.toml", cwd=tmp_path)) == [
        "my.toml: [server] port: must be between 0 and 65535, not 70000",
        "my.toml: [server] hots: unknown key; did you mean 'host'?",
        "my.toml: [executor] max_retries: must be between 0 and 100, not -1",
    ]


def test_the_environment_is_read(tmp_path: Path) -> None:
    done = run(cwd=tmp_path, ACTEON_SERVER_PORT="0", ACTEON_STATE_BACKEND="nope")
    (line,) = complaints(done)
    assert "unsupported state backend: nope" in line


def test_a_host_beyond_this_machine_is_refused_on_the_command_line_too(tmp_path: Path) -> None:
    (line,) = complaints(run("--host", "0.0.0.0", cwd=tmp_path))
    assert line.startswith("--host: 0.0.0.0 lets everybody")


def test_a_rule_file_that_cannot_be_used_is_told(tmp_path: Path) -> None:
    (tmp_path / "rules").mkdir()
    (tmp_path / "rules" / "bad.yaml").write_text("rules: [")
    done = run("--port", "0", cwd=tmp_path, ACTEON_RULES_DIRECTORY="rules")
    assert "bad.yaml" in " ".join(complaints(done))


def test_a_port_in_use_is_one_line(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        (line,) = complaints(run("--port", port, cwd=tmp_path))
    assert port in line


def test_a_name_that_nobody_knows_is_one_line(tmp_path: Path) -> None:
    done = run("--host", "nowhere.invalid", cwd=tmp_path, ACTEON_SERVER_ALLOW_ANONYMOUS="true")
    (line,) = complaints(done)
    assert "nowhere.invalid" in line


def test_logs_go_to_stderr_in_the_form_that_is_asked_for(tmp_path: Path) -> None:
    done = run("-c", "none", cwd=tmp_path, ACTEON_LOG_FORMAT="json", ACTEON_LOG="loud")
    assert done.stdout == ""
    first, *_ = done.stderr.splitlines()
    assert first.startswith('{"timestamp": ')
    assert '"message": "the log filter is not understood: info holds; ' in first
