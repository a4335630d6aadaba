"""What the README shows is what its reader gets."""

import ast
import itertools
import json
import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import TypeAlias
from urllib.parse import urlsplit

import pytest
from attrs import evolve, frozen

from acteon.rules_yaml import YamlRuleFrontend
from acteon.server import load_config, parse_config
from acteon.server.testing import OpenApi, request

ROOT = Path(__file__).parents[3]
README = (ROOT / "README.md").read_text()
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
MARKED = re.compile(r"(?:^<!-- ([^\n]+) -->\n)?^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
INSTALL = (
    "PIP_REQUIRE_VIRTUALENV=0 PIP_USER=0 python3 -m pip install -q --upgrade --target .tools "
    "'nox[uv]' && PYTHONPATH=.tools python3 -m nox -s "
)

Json: TypeAlias = "dict[str, Json] | list[Json] | str | float | None"
Start = Callable[..., "subprocess.Popen[str]"]


@frozen
class Block:
    """A block of the README.

    Attributes:
        mark: What the comment above it says.
        language: What it is written in.
        text: It.
    """

    mark: str
    language: str
    text: str

    @property
    def kind(self) -> str:
        """What it is shown for; each kind is checked by a test below."""
        if self.mark:
            return self.mark
        if self.language == "sh":
            return "request" if self.text.startswith("curl") else "nox"
        return self.language


BLOCKS = [Block(*found) for found in MARKED.findall(README)]
CHECKED = {
    "command: serve",
    "command: test",
    "install",
    "output: serve",
    "options: acteon-server",
    "commands: acteon-simulation",  # by that package's tests, as the next two
    "program: acteon-client",
    "test: acteon-simulation",
    "request",
    "json",
    "nox",
    "py",  # parts of the examples; their test compares them
    "toml",
    "yaml",
}


def blocks(kind: str) -> list[str]:
    found = [block.text for block in BLOCKS if block.kind == kind]
    assert found, f"there is no {kind} any more"
    return found


def test_nothing_is_shown_that_no_test_looks_at() -> None:
    assert {block.kind for block in BLOCKS} <= CHECKED
    assert README.count("\n```") == 2 * len(BLOCKS)


def sessions() -> dict[str, ast.FunctionDef]:
    """Return the sessions of the noxfile by name."""
    module = ast.parse((ROOT / "noxfile.py").read_text())
    return {
        node.name: node
        for node in module.body
        if isinstance(node, ast.FunctionDef)
        and any("nox.session" in ast.unparse(each) for each in node.decorator_list)
    }


def test_the_commands_are_one_line_each_for_a_machine_with_nothing_but_pip() -> None:
    assert blocks("command: serve") == [f"{INSTALL}serve\n"]
    assert blocks("command: test") == [f"{INSTALL}tests\n"]
    assert {"serve", "tests"} <= sessions().keys()
    assert "examples/quickstart/quickstart.py" in ast.unparse(sessions()["serve"])


def test_what_installs_it_is_what_the_build_session_runs() -> None:
    (command,) = blocks("install")
    assert repr(command.strip())[1:-1] in ast.unparse(sessions()["build"])


def test_every_session_that_is_named_exists() -> None:
    lines = [line for text in blocks("nox") for line in text.splitlines()]
    for line in lines:
        program, option, *names = shlex.split(line, comments=True)
        assert (program, option) == ("nox", "-s"), line
        for name in itertools.takewhile(lambda name: name != "--", names):
            session, _, package = name.removesuffix(")").partition("(")
            assert session in sessions(), line
            assert not package or (ROOT / "packages" / package / "tests").is_dir(), line


def test_the_server_has_the_options_that_are_listed_and_no_others() -> None:
    (listed,) = blocks("options: acteon-server")
    command = [sys.executable, "-m", "acteon.server", "--help"]
    shown = subprocess.run(command, capture_output=True, text=True, timeout=30, check=True).stdout
    assert options_in(listed) == options_in(shown)


def options_in(text: str) -> set[str]:
    return set(re.findall(r"(?<![\w-])--?[a-z]+", text))


def examples() -> Iterator[tuple[str, str]]:
    """Give each curl command with the JSON that is shown below it."""
    for block, below in pairwise(BLOCKS):
        if block.kind == "request":
            assert below.kind == "json", f"no answer is shown for {block.text}"
            yield block.text, below.text


def test_every_json_is_the_answer_to_a_request() -> None:
    assert [answer for _, answer in examples()] == blocks("json")


def assert_shown(shown: Json, found: Json) -> None:
    """Check that `found` has all that is `shown`: of objects some members may be left out."""
    if isinstance(shown, dict):
        assert isinstance(found, dict)
        assert shown.keys() <= found.keys()
        for name, member in shown.items():
            assert_shown(member, found[name])
    elif isinstance(shown, list):
        assert isinstance(found, list)
        for one, other in zip(sorted(shown, key=id_in), sorted(found, key=id_in), strict=True):
            assert_shown(one, other)
    else:
        assert shown == found


def id_in(element: Json) -> str:
    """Return what records are sorted by, as actions of one batch end in any order."""
    return str(element.get("action_id", "")) if isinstance(element, dict) else ""


def read_up_to_the_end(process: "subprocess.Popen[str]") -> str:
    """Return what the quickstart prints before it waits."""
    assert process.stdout is not None
    shown = ""
    for line in process.stdout:
        shown += line
        if "the end" in line:
            return shown
    raise AssertionError(f"it ended: {shown}")


async def test_the_reader_sees_what_is_shown_and_gets_the_answers_that_are_shown(
    quickstart: Start,
) -> None:
    shown = read_up_to_the_end(quickstart(cwd=ROOT))
    assert [plain(shown)] == [plain(text) for text in blocks("output: serve")]

    found = re.search(r"http://127\.0\.0\.1:\d+", shown)
    assert found
    commands = list(examples())
    assert len(commands) >= 6
    for command, answer in commands:
        method, target, body, headers = understood(command)
        got = await request(found.group(), method, target, body, headers)
        assert got.status == 200, got
        assert_shown(json.loads(answer), got.json())


def plain(shown: str) -> list[str]:
    """Return the lines of `shown` without what differs between runs."""
    same = re.sub(r"127\.0\.0\.1:\d+|demo-\w{6}|\b\d+ s\b", "…", shown)
    return [line.rstrip() for line in same.strip().splitlines()]


PROGRAMS = [
    pytest.param(page, program, id=f"{page.parent.name}-{number}")
    for page in sorted(ROOT.glob("packages/*/README.md"))
    for number, (language, program) in enumerate(BLOCK.findall(page.read_text()))
    # Those of backends and others run in their own tests, which have what they need.
    if language == "python"
    and not re.match(
        "acteon-(?:client|email|simulation|(?:state|audit)-(?!memory))", page.parent.name
    )
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
                method = "POST"
            case _:
                parts = urlsplit(word)
                assert parts.netloc == "127.0.0.1:8080"
                target = parts.path + (f"?{parts.query}" if parts.query else "")
    return method, target, body, headers


def test_every_configuration_loads() -> None:
    for text in blocks("toml"):
        config = parse_config(text, environ={"BILLING_SECRET": "whsec_c2VjcmV0c2VjcmV0c2VjcmV0"})
        assert len(config.providers) == len(tomllib.loads(text).get("providers", []))


def test_every_rule_file_loads_without_a_warning() -> None:
    for text in blocks("yaml"):
        assert YamlRuleFrontend().parse(text, strict=True).rules


async def test_the_routes_that_are_listed_exist(open_api: OpenApi) -> None:
    listed = re.findall(r"^\| (GET|POST|PUT) \| `([^`]+)` \|", README, re.MULTILINE)
    assert len(listed) >= 13
    async with open_api() as api:
        for method, path in listed:
            answer = await request(api.url, "OPTIONS", re.sub(r"\{\w+\}", "x", path))
            assert method in (answer.header("allow") or ""), path


def test_every_package_is_listed_and_no_other() -> None:
    listed = re.findall(r"^\| `(acteon[\w-]*)` \|", README, re.MULTILINE)
    assert sorted(listed) == sorted(
        path.parent.name for path in ROOT.glob("packages/*/pyproject.toml")
    )


def test_every_file_that_is_named_exists() -> None:
    files = re.findall(r"`((?:examples|docs)/[\w./-]+)`", README)
    assert len(files) >= 2
    assert [name for name in files if not (ROOT / name).exists()] == []


def test_the_example_with_every_key_says_what_holds_without_it() -> None:
    full = load_config(ROOT / "examples" / "full.toml", environ={})
    audit = evolve(full.audit, settings=None)  # Those of the backend, with its own defaults.
    defaults = parse_config("", environ={})
    assert evolve(full, audit=audit, path=None, files=()) == evolve(defaults, path=None)
