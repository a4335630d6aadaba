"""The programs that the documentation shows run against a real server."""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
OURS = (Path(__file__).parents[1] / "README.md", ROOT / "docs" / "client.md")
PROGRAM = re.compile(r"^<!-- program(?:: acteon-client)? -->\n```python\n(.*?)^```$", re.M | re.S)
PROGRAMS = [
    pytest.param(text, id=f"{page.parent.name}-{number}")
    for page in (*OURS, ROOT / "README.md")
    for number, text in enumerate(PROGRAM.findall(page.read_text()))
]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Give the URL of a server process that logs what it is to deliver."""
    folder = tmp_path_factory.mktemp("server")
    (folder / "acteon.toml").write_text(
        '[audit]\nenabled = true\n\n[[providers]]\nname = "email"\ntype = "log"\n'
    )
    command = [sys.executable, "-m", "acteon.server", "--port", "0"]
    with subprocess.Popen(command, cwd=folder, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        lines = (re.search(r"listening url=(\S+)", line) for line in process.stderr)
        yield next(found.group(1) for found in lines if found)
        process.kill()


@pytest.mark.parametrize("program", PROGRAMS)
def test_a_program_does_what_it_says(program: str, server: str) -> None:
    ended = subprocess.run(
        [sys.executable, "-W", "error", "-c", program.replace("http://localhost:8080", server)],
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )

    assert (ended.returncode, ended.stderr) == (0, "")
    assert "nobody knows" not in ended.stdout
    assert "again later" not in ended.stdout


def test_every_program_of_our_pages_is_run() -> None:
    shown = sum(page.read_text().count("```python\n") for page in OURS)

    assert shown == len(PROGRAMS) - 1
