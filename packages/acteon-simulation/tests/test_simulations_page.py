"""What the page on simulations, and the project's, say about commands."""

import re
import shlex
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest

from acteon.simulation.running import EXAMPLES

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "simulations.md").read_text()
BLOCKS: list[tuple[str, str]] = re.findall(r"^```(\w+)\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
SHOWN = [
    pytest.param(command, output if language == "text" else None, id=command.split()[-1])
    for (kind, command), (language, output) in pairwise([*BLOCKS, ("", "")])
    if kind == "sh"
]


def same(text: str) -> list[str]:
    """Return the lines of `text` without what differs between runs."""
    return re.sub(r"in \d+ ms, [\d,]+ a second", "…", text).splitlines()


@pytest.mark.parametrize(("command", "output"), SHOWN)
def test_a_command_tells_what_is_shown(command: str, output: str | None) -> None:
    program, *arguments = shlex.split(command)
    assert program == "python"
    ended = subprocess.run(
        [sys.executable, *arguments], capture_output=True, text=True, timeout=50, check=True
    )

    if output is not None:
        assert same(ended.stdout) == same(output)


def test_every_command_that_is_named_exists() -> None:
    text = PAGE + (ROOT / "README.md").read_text()
    named = set(re.findall(r"python -m acteon\.simulation run ([\w-]+)", text))

    assert named == set(EXAMPLES)
