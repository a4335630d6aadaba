"""What `docs/rules-tools.md` shows is what its reader gets.

`python packages/acteon-server/tests/test_rules_docs.py` writes the outputs into it anew.
"""

import os
import re
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from acteon.server.ruletools.expectations import OUTCOMES, READERS, VERDICTS
from acteon.server.ruletools.findings import CODES

PAGE = Path(__file__).parents[3] / "docs" / "rules-tools.md"
FILE = re.compile(r"^<!-- file: (\S+) -->\n```yaml\n(.*?)^```$", re.MULTILINE | re.DOTALL)
SHOWN = re.compile(r"^```sh\n(.*?)\n```\n\n```text\n(.*?)^```$", re.MULTILINE | re.DOTALL)
PYTHON = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
CODE_ROWS = re.compile(r"<!-- codes -->\n(?:\|[^\n]*\n)*")


def lay_out(folder: Path, page: str) -> None:
    """Write the files that `page` shows."""
    for name, text in FILE.findall(page):
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")


def answer(command: str, folder: Path) -> str:
    """Return what a command of the page prints."""
    program, *arguments = shlex.split(command)
    assert program == "acteon-server"
    kept = {key: value for key, value in os.environ.items() if not key.startswith("ACTEON_")}
    done = subprocess.run(
        [sys.executable, "-m", "acteon.server", *arguments],
        cwd=folder,
        env=kept,
        capture_output=True,
        encoding="utf-8",
        timeout=60,
        check=False,
    )
    assert done.stderr == ""
    return done.stdout


def code_rows() -> str:
    head = "<!-- codes -->\n| kind | what it says |\n|---|---|\n"
    return head + "".join(f"| `{code}` | {text} |\n" for code, text in CODES.items())


def written(page: str, folder: Path) -> str:
    """Return the page with what its commands print now."""
    lay_out(folder, page)

    def pieces() -> Iterator[str]:
        end = 0
        for found in SHOWN.finditer(page):
            yield page[end : found.start(2)]
            yield answer(found[1], folder)
            end = found.end(2)
        yield page[end:]

    return CODE_ROWS.sub(lambda _: code_rows(), "".join(pieces()))


def test_each_command_prints_what_the_page_shows(tmp_path: Path) -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert written(page, tmp_path) == page
    assert len(SHOWN.findall(page)) == 7


def test_the_program_of_the_page_tests_its_rules(tmp_path: Path) -> None:
    page = PAGE.read_text(encoding="utf-8")
    lay_out(tmp_path, page)
    (program,) = PYTHON.findall(page)
    run = f"{program}\n\ntest_our_rules_do_what_they_are_for()\n"
    subprocess.run([sys.executable, "-c", run], cwd=tmp_path, timeout=60, check=True)


def test_all_that_can_be_expected_is_on_the_page() -> None:
    page = PAGE.read_text(encoding="utf-8")
    told = page[page.index("### What can be expected") :]
    for name in (*READERS, *OUTCOMES, *VERDICTS):
        assert f"`{name}`" in told


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as name:
        PAGE.write_text(written(PAGE.read_text(encoding="utf-8"), Path(name)), encoding="utf-8")
