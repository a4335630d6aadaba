"""What `docs/plugins.md` shows is what its reader gets."""

import importlib
import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from acteon.provider.testing import PROVIDER_KIT
from acteon.server.pagetests import blocks, shell, write_files

PAGE = (Path(__file__).parents[3] / "docs" / "plugins.md").read_text(encoding="utf-8")
BLOCKS = blocks(PAGE)


def process(*arguments: str, cwd: Path, path: Path) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(path)},
        capture_output=True,
        encoding="utf-8",
        timeout=60,
        check=False,
    )


def test_nothing_is_shown_that_is_not_tried() -> None:
    assert {language for language, _ in BLOCKS} == {"sh", "text", "python", "toml", "markdown"}


def test_the_commands_do_what_is_shown(tmp_path: Path) -> None:
    with shell(tmp_path) as typing:
        typing.type_page(BLOCKS)


def test_the_program_prints_what_is_shown(tmp_path: Path) -> None:
    (program,) = re.findall(r"<!-- run -->\n```python\n(.*?)```", PAGE, re.DOTALL)
    (shown,) = re.findall(r"<!-- prints -->\n```text\n(.*?)```", PAGE, re.DOTALL)
    done = process("-c", program, cwd=tmp_path, path=tmp_path)
    assert (done.stdout, done.returncode) == (shown, 0), done.stderr


def test_the_function_of_the_page_is_a_plugin(tmp_path: Path) -> None:
    write_files(PAGE, tmp_path)
    (points,) = (tomllib.loads(text) for language, text in BLOCKS if language == "toml")
    named = points["project"]["entry-points"]["acteon.providers"]
    information = tmp_path / "pager-1.dist-info"
    information.mkdir()
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: pager\nVersion: 1\n")
    (information / "entry_points.txt").write_text(
        "[acteon.providers]\n" + "".join(f"{name} = {value}\n" for name, value in named.items())
    )
    (tmp_path / "acteon.toml").write_text(
        '[[providers]]\nname = "p"\ntype = "pager"\nroom = "office"\ntoken = "t"\n'
    )
    command = ("-m", "acteon.server", "providers", "test", "p", "--payload")
    done = process(*command, '{"text": "hello"}', cwd=tmp_path, path=tmp_path)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["response"]["body"] == {"room": "office", "text": "hello"}
    refused = process(*command, "{}", cwd=tmp_path, path=tmp_path)
    assert json.loads(refused.stdout)["error"]["code"] == "SERIALIZATION"


def test_the_badge_is_that_of_this_kit() -> None:
    (badge,) = (text for language, text in BLOCKS if language == "markdown")
    assert f"kit {PROVIDER_KIT}]" in badge
    assert f"_kit-{PROVIDER_KIT}-" in badge


@pytest.mark.parametrize(
    "module", re.findall(r"^\| `(acteon\.\w+\.testing)` \|", PAGE, re.MULTILINE)
)
def test_every_class_of_a_kit_exists(module: str) -> None:
    (row,) = re.findall(rf"^\| `{re.escape(module)}` \| (.*) \|$", PAGE, re.MULTILINE)
    found = importlib.import_module(module)
    for name in re.findall(r"`(\w+)`", row):
        assert name in found.__all__


@pytest.mark.parametrize(
    ("error", "code"), re.findall(r"^\| `(\w+Error)\(.*?\)` \| `(\w+)` \|", PAGE, re.MULTILINE)
)
def test_every_error_has_its_code(error: str, code: str) -> None:
    assert getattr(importlib.import_module("acteon.provider"), error).code == code
