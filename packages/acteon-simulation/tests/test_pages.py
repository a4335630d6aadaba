"""The tests that the documentation shows are run as a reader would run them."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

PAGES = [Path(__file__).parents[1] / "README.md", Path(__file__).parents[3] / "docs/testing.md"]


def files(page: Path) -> dict[str, str]:
    """Return the programs of `page` by the names that it gives them."""
    pattern = r"^<!-- file: (\S+) -->\n```python\n(.*?\n)```$"
    return dict(re.findall(pattern, page.read_text(), re.MULTILINE | re.DOTALL))


def run(folder: Path, *arguments: str) -> str:
    """Return what pytest says in `folder`, where all must pass."""
    ended = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-W", "error", *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_tests_of_a_page_pass(page: Path, tmp_path: Path) -> None:
    for name, text in files(page).items():
        (tmp_path / name).write_text(text)
    tests = sum(text.count("\ndef test_") for text in files(page).values())

    assert f"{tests} passed" in run(tmp_path)


def test_the_test_of_the_projects_page_passes(tmp_path: Path) -> None:
    page = (Path(__file__).parents[3] / "README.md").read_text()
    found = re.search(r"<!-- test: acteon-simulation -->\n```python\n(.*?)```", page, re.DOTALL)
    assert found
    (tmp_path / "test_it.py").write_text(found.group(1))

    assert "1 passed" in run(tmp_path)


@pytest.mark.parametrize("mode", ["http", "process"])
def test_the_first_test_runs_wherever_it_is_told_to(mode: str, tmp_path: Path) -> None:
    (tmp_path / "test_first.py").write_text(files(PAGES[1])["test_first.py"])

    assert "1 passed" in run(tmp_path, f"--acteon-mode={mode}")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_program_of_a_page_is_run(page: Path) -> None:
    assert page.read_text().count("```python\n") == len(files(page))
