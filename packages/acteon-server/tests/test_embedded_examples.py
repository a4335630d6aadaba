"""The programs of `examples/embedded` run, and the README shows them as they are."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from acteon.server.testing import LIMIT, request

ROOT = Path(__file__).parents[3]
FOLDER = ROOT / "examples" / "embedded"


@pytest.mark.parametrize("name", ["asynchronous", "synchronous"])
def test_an_example_runs_wherever_it_is_started(name: str, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error", str(FOLDER / f"{name}.py")],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=LIMIT,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    delivered, again, *records = done.stdout.splitlines()
    assert "sent to ann@example.com" in delivered
    assert again == "Deduplicated()"
    assert records == ["deduplicated one-mail-per-key", "executed one-mail-per-key"]


async def test_the_mounted_example_serves_both_applications(tmp_path: Path) -> None:
    with subprocess.Popen(  # noqa: ASYNC220 - nothing else waits in this loop
        [sys.executable, str(FOLDER / "mounted.py")],
        cwd=tmp_path,
        env={**os.environ, "PORT": "0"},
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            assert process.stderr is not None
            lines = iter(process.stderr.readline, "")
            found = (re.search(r"running on (http://\S+)", line) for line in lines)
            url = next(match[1] for match in found if match)
            action = (
                b'{"namespace": "shop", "tenant": "acme", "provider": "send_email",'
                b' "action_type": "welcome", "payload": {"to": "ann@example.com"}}'
            )
            headers = {"content-type": "application/json"}
            answer = await request(url, "POST", "/acteon/v1/dispatch", action, headers)
            assert answer.json()["Executed"]["body"] == "sent to ann@example.com"
            names = (await request(url, "GET", "/rules")).json()
            assert names == ["no-spam", "one-mail-per-key"]
        finally:
            process.send_signal(signal.SIGTERM)
            process.communicate(timeout=LIMIT)


def test_the_readme_shows_the_examples_as_they_are() -> None:
    text = (ROOT / "README.md").read_text()
    section = re.split(r"^## ", text, flags=re.MULTILINE)
    (shown,) = [part for part in section if part.startswith("In a program\n")]
    # Parts of programs, which do not run by themselves, as those marked `python` do.
    snippets = re.findall(r"^```py\n(.*?)^```$", shown, re.MULTILINE | re.DOTALL)
    programs = [path.read_text() for path in sorted(FOLDER.glob("*.py"))]
    assert len(snippets) == len(programs)
    for snippet in snippets:
        parts = snippet.split("\n\n\n")
        assert any(all(part.strip("\n") in program for part in parts) for program in programs), (
            snippet
        )
