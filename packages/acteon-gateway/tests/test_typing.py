"""What type checkers say of a user's calls: of the wrong ones something, of the others nothing."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = """
from acteon.audit import AuditQuery, AuditSettings
from acteon.core import Action, ActionOutcome, ProviderResponse
from acteon.gateway import Gateway, GatewaySettings, Plugin, SyncGateway, parse_rules
from acteon.provider import LogProvider

ACTION = Action(namespace="n", tenant="t", provider="p", action_type="a", payload={})


async def send(action: Action) -> dict[str, str]:
    return {"to": action.tenant}


def answer(action: Action) -> ProviderResponse:
    return ProviderResponse(body=action.id)


def log(action: Action) -> None: ...


def of_text(to: str) -> None: ...


def of_two(action: Action, other: int) -> None: ...


async def good() -> ActionOutcome:
    async with Gateway.open(
        rules="rules/",
        providers=[send, answer, log, LogProvider("log")],
        state=Plugin("redis", {"url": "redis://127.0.0.1"}),
        audit_settings=AuditSettings(ttl=None),
    ) as gateway:
        page = await gateway.trail.query(AuditQuery(tenant="t"))
        names: list[str] = [record.id for record in page.records]
        _ = names
        return await gateway.dispatch(ACTION)


def good_too() -> ActionOutcome:
    plain = {"a": send, "b": answer}
    SyncGateway.open(providers=plain)
    with SyncGateway.open(
        rules=parse_rules(""),
        providers={"a": send, "b": LogProvider("b"), "c": Plugin("log"), "d": lambda _: 1},
        audit=None,
    ) as gateway:
        gateway.trail.query(AuditQuery())
        return gateway.dispatch(ACTION)


async def bad() -> None:
    Gateway.open(rule="rules/")  # WRONG
    Gateway.open(rules=5)  # WRONG
    Gateway.open(providers=[of_text])  # WRONG
    Gateway.open(providers={"x": of_two})  # WRONG
    Gateway.open(providers=send)  # WRONG
    Gateway.open(state=None)  # WRONG
    Gateway.open(settings={"patience": 5})  # WRONG
    SyncGateway.open(provider=[send])  # WRONG
    SyncGateway.open(audit=GatewaySettings())  # WRONG
    with Gateway.open() as never:  # WRONG
        pass
    async with Gateway.open() as gateway:
        outcome: ActionOutcome = gateway.dispatch(ACTION)  # WRONG
        gateway.dispatch(ACTION)  # WRONG
        await gateway.dispatch({"id": "x"})  # WRONG
        await gateway.dispatch_batch(ACTION)  # WRONG


def bad_too() -> None:
    with SyncGateway.open() as gateway:
        text: str = gateway.dispatch(ACTION)  # WRONG
        gateway.dispatch("x")  # WRONG
        gateway.set_rule_enabled("x", True)  # WRONG
"""
WRONG = {number for number, line in enumerate(PROGRAM.splitlines(), 1) if "# WRONG" in line}


@pytest.fixture
def program(tmp_path: Path) -> Path:
    path = tmp_path / "program.py"
    path.write_text(PROGRAM)
    return path


def run(*command: str, cwd: Path) -> str:
    done = subprocess.run(
        [sys.executable, "-m", *command],
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 1, done.stderr + done.stdout
    return done.stdout


@pytest.mark.timeout(250)
def test_mypy_finds_the_wrong_calls_and_no_others(program: Path) -> None:
    options = ["--strict", "--enable-error-code=unused-coroutine", "--hide-error-context"]
    out = run("mypy", *options, program.name, cwd=program.parent)
    found = [line.split(":", 3) for line in out.splitlines() if ": error:" in line]
    assert {int(number) for _, number, *_ in found} == WRONG, out


@pytest.mark.timeout(250)
def test_pyright_finds_the_wrong_calls_and_no_others(program: Path) -> None:
    settings = {
        "typeCheckingMode": "strict",
        "reportUnusedVariable": False,
        "include": [program.name],
    }
    (program.parent / "pyrightconfig.json").write_text(json.dumps(settings))
    out = run("pyright", "--pythonpath", sys.executable, "--outputjson", cwd=program.parent)
    found = json.loads(out)["generalDiagnostics"]
    lines = {each["range"]["start"]["line"] + 1 for each in found if each["severity"] == "error"}
    assert lines == WRONG, found
