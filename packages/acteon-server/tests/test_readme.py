"""What the README shows is what its reader gets."""

import json
import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import AsyncGenerator, Iterator
from contextlib import AsyncExitStack
from itertools import pairwise
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from attrs import evolve

from acteon.rules_yaml import YamlRuleFrontend
from acteon.server import load_config, open_gateway, parse_config
from acteon.server.http import create_app
from acteon.server.testing import RunningServer, request

ROOT = Path(__file__).parents[3]
README = (ROOT / "README.md").read_text()
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
BLOCKS: list[tuple[str, str]] = BLOCK.findall(README)


def examples() -> Iterator[tuple[str, str]]:
    """Give each curl command with the JSON that is shown below it."""
    for (language, text), (below, answer) in pairwise(BLOCKS):
        if language == "sh" and text.startswith("curl"):
            assert below == "json", f"no answer is shown for {text}"
            yield text, answer


def shown_in(shown: Any, found: Any) -> bool:
    """Whether `found` has everything that is `shown`; of records a part is shown."""
    if "action_id" in shown:
        return bool(found == {**found, **shown})
    return bool(shown == found)


@pytest.fixture
async def url(monkeypatch: pytest.MonkeyPatch) -> AsyncGenerator[str]:
    """Serve the quickstart as the README starts it: from the root of the checkout."""
    monkeypatch.chdir(ROOT)
    config = load_config(ROOT / "examples" / "quickstart" / "acteon.toml", environ={})
    async with AsyncExitStack() as stack:
        gateway = await open_gateway(stack, config)
        server = RunningServer(app=create_app(gateway, config.server))
        yield (await stack.enter_async_context(server)).url


async def test_every_command_gives_the_answer_that_is_shown(url: str) -> None:
    commands = list(examples())
    assert len(commands) >= 5
    for command, shown in commands:
        method, target, body, headers = understood(command)
        answer = await request(url, method, target, body, headers)
        assert answer.status == 200, answer
        assert shown_in(json.loads(shown), answer.json()), (command, answer.json())


PROGRAMS = [
    pytest.param(page, program, id=f"{page.parent.name}-{number}")
    for page in sorted(ROOT.glob("packages/*/README.md"))
    for number, (language, program) in enumerate(BLOCK.findall(page.read_text()))
    if language == "python"
]


@pytest.mark.parametrize(("page", "program"), PROGRAMS)
def test_every_program_that_a_package_shows_runs(page: Path, program: str, tmp_path: Path) -> None:
    for language, text in BLOCK.findall(page.read_text()):
        if language == "yaml":  # The rule file that the program reads.
            (tmp_path / "rules").mkdir(exist_ok=True)
            (tmp_path / "rules" / "mail.yaml").write_text(text)
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, "Traceback" in done.stderr) == (0, False), done.stderr


def understood(command: str) -> tuple[str, str, bytes | None, dict[str, str]]:
    """Return method, target, body and headers of a curl command."""
    words = iter(shlex.split(command)[1:])
    method, target, body = "GET", "", None
    headers: dict[str, str] = {}
    for word in words:
        match word:
            case "-s":
                pass
            case "-X":
                method = next(words)
            case "-H":
                name, _, value = next(words).partition(": ")
                headers[name] = value
            case "-d":
                body = next(words).encode()
            case _:
                parts = urlsplit(word)
                assert parts.netloc == "127.0.0.1:8080"
                target = parts.path + (f"?{parts.query}" if parts.query else "")
    return method, target, body, headers


def test_every_configuration_loads() -> None:
    texts = [text for language, text in BLOCKS if language == "toml"]
    assert texts
    for text in texts:
        config = parse_config(text, environ={"BILLING_SECRET": "whsec_c2VjcmV0c2VjcmV0c2VjcmV0"})
        assert len(config.providers) == len(tomllib.loads(text).get("providers", []))


def test_every_rule_file_loads_without_a_warning() -> None:
    texts = [text for language, text in BLOCKS if language == "yaml"]
    assert texts
    for text in texts:
        assert YamlRuleFrontend().parse(text, strict=True).rules


async def test_the_routes_that_are_listed_exist(url: str) -> None:
    listed = re.findall(r"^\| (GET|POST|PUT) \| `([^`]+)` \|", README, re.MULTILINE)
    assert len(listed) >= 13
    for method, path in listed:
        answer = await request(url, "OPTIONS", re.sub(r"\{\w+\}", "x", path))
        assert method in (answer.header("allow") or ""), path


def test_the_example_with_every_key_says_what_holds_without_it() -> None:
    full = load_config(ROOT / "examples" / "full.toml", environ={})
    assert evolve(full, path=None) == evolve(parse_config("", environ={}), path=None)
