"""What `docs/audit.md` shows is what its reader gets."""

import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import AsyncGenerator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from importlib import import_module
from itertools import pairwise
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from acteon.server import load_config, open_gateway
from acteon.server.http import create_app
from acteon.server.testing import RunningServer, request

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "audit.md").read_text(encoding="utf-8")
BLOCK = re.compile(r"^```(\w+)\n(.*?)\n```$", re.MULTILINE | re.DOTALL)
BLOCKS = BLOCK.findall(PAGE)


def test_nothing_is_shown_that_is_not_run() -> None:
    assert {language for language, _ in BLOCKS} == {"toml", "sh", "json", "text"}
    assert len(BLOCKS) == 1 + 2 * len(list(steps()))


def steps() -> Iterator[tuple[str, str]]:
    """Give each command with what is shown below it."""
    for (language, command), (below, shown) in pairwise(BLOCKS):
        if language == "sh":
            assert below == ("json" if command.startswith("curl") else "text"), command
            yield command, shown


@asynccontextmanager
async def served(folder: Path, environ: dict[str, str]) -> AsyncGenerator[str]:
    """Serve what the configuration in `folder` says; give the URL."""
    config = load_config(folder / "acteon.toml", environ=environ)
    async with AsyncExitStack() as stack:
        gateway = await open_gateway(stack, config)
        server = await stack.enter_async_context(RunningServer(app=create_app(gateway)))
        yield server.url


async def run_page(folder: Path, text: str, environ: dict[str, str], backend: str) -> None:
    """Do all that the page says with the configuration `text`."""
    (folder / "acteon.toml").write_text(text, encoding="utf-8")
    cursor = ""
    async with served(folder, environ) as url:
        for command, shown in steps():
            if command.startswith("curl"):
                method, target, body = understood(command.replace("NEXT_CURSOR", cursor))
                headers = {"content-type": "application/json"} if body else {}
                got = await request(url, method, target, body, headers)
                assert got.status == 200, got
                said = got.json()
                compare(json.loads(shown), said)
                cursor = ("next_cursor" in said and said["next_cursor"]) or cursor
            else:
                done = printed(command, folder, environ)
                assert done == shown.replace("postgres", backend) + "\n"


def printed(command: str, folder: Path, environ: dict[str, str]) -> str:
    """Return what a command prints."""
    program, *arguments = shlex.split(command)
    assert program == "acteon-server"
    kept = {key: value for key, value in os.environ.items() if not key.startswith("ACTEON_")}
    done = subprocess.run(
        [sys.executable, "-m", "acteon.server", *arguments],
        cwd=folder,
        env={**kept, **environ},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def understood(command: str) -> tuple[str, str, bytes | None]:
    """Return method, target and body of a curl command."""
    words = shlex.split(command)[1:]
    (url,) = [word for word in words if word.startswith("http://127.0.0.1:8080/")]
    body = words[words.index("-d") + 1].encode() if "-d" in words else None
    method = "POST" if body is not None or "-X" in words else "GET"
    place = urlsplit(url)
    return method, f"{place.path}?{place.query}" if place.query else place.path, body


def compare(shown: Any, found: Any) -> None:
    """Check that `found` has all that is `shown`: of objects some members may be left out."""
    if isinstance(shown, dict):
        for name, member in shown.items():  # pyright: ignore[reportUnknownVariableType]
            compare(member, found[name])
    elif isinstance(shown, list):
        for one, other in zip(shown, found, strict=True):  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
            compare(one, other)
    elif shown == "…":
        assert isinstance(found, str)
    else:
        assert found == shown


def configuration() -> str:
    (text,) = [text for language, text in BLOCKS if language == "toml"]
    return str(text)


async def test_the_reader_gets_what_is_shown(tmp_path: Path, ledger: Path) -> None:
    ours = f'backend = "ledger"\npath = "{tmp_path}/ledger.jsonl"'
    text = re.sub(r'backend = "postgres"\nurl = .*', ours, configuration())
    assert ours in text
    await run_page(tmp_path, text, {"PYTHONPATH": str(ledger)}, "ledger")
    exported = (tmp_path / "acme.jsonl").read_text().splitlines()
    assert sorted(json.loads(line)["action_type"] for line in exported) == [
        "audit.erase",
        *("audit.replay",) * 2,
        *("receipt",) * 4,
        "welcome",
    ]


@pytest.mark.server
async def test_the_reader_gets_it_with_postgres(tmp_path: Path) -> None:
    with import_module("servers.postgres").running() as server:
        await run_page(tmp_path, configuration(), {"DATABASE_URL": server.url}, "postgres")
