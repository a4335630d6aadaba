"""The gateway in programs without an event loop: threads, interruptions, forks, ends."""

import asyncio
import inspect
import signal
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from acteon.audit import AuditQuery
from acteon.core import Action, ConfigError, Deduplicated, Executed, Failed, Suppressed
from acteon.executor import MemoryDeadLetters
from acteon.gateway import (
    Gateway,
    GatewaySettings,
    NotOpenError,
    RuleNotFoundError,
    RulesNotLoadedError,
    SyncGateway,
    parse_rules,
)
from acteon.gateway.testing import LIMIT, make_action
from acteon.provider import ProviderConnectionError

RULES = """
rules:
  - name: no-spam
    condition: {field: action.action_type, eq: spam}
    action: {type: suppress}
  - name: once
    condition: {field: action.action_type, eq: welcome}
    action: {type: deduplicate}
"""


def email(action: Action) -> str:
    return action.id


async def where(_: Action) -> int:
    return threading.get_ident()


def away(_: Action) -> None:
    raise ProviderConnectionError("away")


def test_every_call_of_the_gateway_is_there(tmp_path: Path) -> None:
    (tmp_path / "mail.yaml").write_text(RULES)
    letters = MemoryDeadLetters()
    with SyncGateway.open(rules=tmp_path, providers=[email, away], dead_letters=letters) as gateway:
        action = make_action()
        assert isinstance(gateway.dispatch(action), Executed)
        spam = make_action(action_type="spam")
        several = gateway.dispatch_batch([spam, make_action(id="x")])
        assert [type(outcome) for outcome in several] == [Suppressed, Executed]
        assert gateway.preview(spam).outcome == "suppressed"
        assert len(gateway.preview_batch([spam, action])) == 2
        assert [rule.name for rule in gateway.rules] == ["no-spam", "once"]
        gateway.set_rule_enabled("no-spam", enabled=False)
        assert isinstance(gateway.dispatch(spam), Executed)
        assert gateway.reload_rules().count == 2
        record = gateway.trail.latest(action.id)
        assert record is not None
        assert gateway.trail.get(record.id) == record
        assert gateway.trail.query(AuditQuery(outcome="suppressed")).total == 1
        assert isinstance(gateway.dispatch(make_action(provider="away")), Failed)
        assert [letter.code for letter in gateway.drain_dead_letters()] == ["CONNECTION"]
        assert not any(gateway.check_ready().values())
        (again,) = gateway.replay([record])
        assert (again.action_id, again.outcome) == (action.id, "executed")
        assert gateway.replay([record], dry_run=True)[0].new_action_id is None
        assert gateway.trail.erase(AuditQuery(tenant=action.tenant)).erased == 6
        assert gateway.counters["dispatched"] == 6
        assert gateway.in_flight == 0


def test_its_errors_are_those_of_the_gateway() -> None:
    with SyncGateway.open(audit=None) as gateway:
        with pytest.raises(RuleNotFoundError):
            gateway.set_rule_enabled("none", enabled=True)
        with pytest.raises(RulesNotLoadedError):
            gateway.reload_rules()
        with pytest.raises(ConfigError, match="without `audit`"):
            _ = gateway.trail
        with pytest.raises(ConfigError, match="without `dead_letters`"):
            gateway.drain_dead_letters()
    with pytest.raises(ConfigError, match="there is no directory or file 'none'"):
        SyncGateway.open(rules="none")
    with (
        pytest.raises(ConfigError, match="did you mean 'memory'"),
        SyncGateway.open(state="memry"),
    ):
        pass


def test_it_is_opened_with_the_arguments_of_the_gateway() -> None:
    assert inspect.signature(SyncGateway.open).parameters == (
        inspect.signature(Gateway.open).parameters
    )


def test_many_threads_use_it_at_once_and_one_delivers() -> None:
    start = threading.Barrier(16)
    rules = parse_rules(RULES)
    with SyncGateway.open(rules=rules, providers=[email]) as gateway:

        def dispatch(number: int) -> list[str]:
            start.wait(LIMIT)
            return [
                type(
                    gateway.dispatch(
                        make_action(
                            action_type="welcome", dedup_key=f"k{key}", id=f"{number}.{key}"
                        )
                    )
                ).__name__
                for key in range(10)
            ]

        with ThreadPoolExecutor(16) as pool:
            outcomes = Counter(name for each in pool.map(dispatch, range(16)) for name in each)
    assert outcomes == {"Executed": 10, "Deduplicated": 150}


def test_a_thread_may_go_on_while_another_waits() -> None:
    entered, go = threading.Event(), threading.Event()

    def slow(_: Action) -> None:
        entered.set()
        assert go.wait(LIMIT)

    with (
        SyncGateway.open(providers=[slow, email]) as gateway,
        ThreadPoolExecutor(1) as pool,
    ):
        waiting = pool.submit(gateway.dispatch, make_action(provider="slow"))
        assert entered.wait(LIMIT)
        assert isinstance(gateway.dispatch(make_action()), Executed)
        assert gateway.in_flight == 1
        go.set()
        assert isinstance(waiting.result(LIMIT), Executed)


def test_async_functions_run_in_one_thread_which_is_not_the_callers() -> None:
    with SyncGateway.open(providers=[where]) as gateway:
        found = {str(gateway.dispatch(make_action(provider="where"))) for _ in range(3)}
    assert len(found) == 1
    assert str(threading.get_ident()) not in found.pop()


def test_a_provider_function_may_dispatch_itself() -> None:
    opened: list[SyncGateway] = []

    def first(_: Action) -> str:
        return str(opened[0].dispatch(make_action(id="inner")))

    with SyncGateway.open(providers=[first, email]) as gateway:
        opened.append(gateway)
        outcome = gateway.dispatch(make_action(provider="first"))
        assert "inner" in str(outcome)


async def test_where_a_loop_runs_it_refuses() -> None:
    with (
        pytest.raises(RuntimeError, match=r"`async with Gateway\.open\(\.\.\.\)` and `await` here"),
        SyncGateway.open(),
    ):
        pass
    gateway = await asyncio.to_thread(SyncGateway.open().__enter__)
    try:
        with pytest.raises(RuntimeError, match="would block the event loop"):
            gateway.dispatch(make_action())
    finally:
        await asyncio.to_thread(gateway.close)


def test_an_exception_leaves_as_it_is() -> None:
    gateway = SyncGateway.open(providers=[email])
    try:
        with gateway:
            gateway.dispatch(make_action())
            raise ZeroDivisionError
    except ZeroDivisionError:
        pass
    threads = [thread.name for thread in threading.enumerate()]
    assert "acteon-gateway" not in threads


CALLS: dict[str, Callable[[SyncGateway], Any]] = {
    "dispatch": lambda gateway: gateway.dispatch(make_action()),
    "rules": lambda gateway: gateway.rules,
    "trail": lambda gateway: gateway.trail,
    "counters": lambda gateway: gateway.counters,
    "check_ready": lambda gateway: gateway.check_ready(),
}


@pytest.mark.parametrize("call", CALLS)
def test_outside_of_its_block_it_says_that_it_is_not_open(call: str) -> None:
    gateway = SyncGateway.open()
    with pytest.raises(NotOpenError):
        CALLS[call](gateway)
    with gateway:
        trail = gateway.trail
        with pytest.raises(RuntimeError, match="open already"), gateway:
            pass
    gateway.close()
    with pytest.raises(NotOpenError):
        CALLS[call](gateway)
    with pytest.raises(NotOpenError):
        trail.query(AuditQuery())


def test_it_can_be_opened_again() -> None:
    gateway = SyncGateway.open(providers=[email])
    for _ in range(2):
        with gateway:
            gateway.dispatch(make_action())
            assert gateway.counters["dispatched"] == 1


def test_settings_reach_the_gateway() -> None:
    settings = GatewaySettings(patience=timedelta(0))
    with SyncGateway.open(
        rules=parse_rules(RULES), providers=[email], settings=settings
    ) as gateway:
        welcome = make_action(action_type="welcome", dedup_key="k")
        gateway.dispatch(welcome)
        assert isinstance(gateway.dispatch(welcome), Deduplicated)


PROLOGUE = """
import asyncio, os, sys, time
from acteon.audit import AuditQuery, AuditSettings
from acteon.core import Action
from acteon.gateway import SyncGateway
def make_action(provider):
    return Action(namespace="n", tenant="t", provider=provider, action_type="x", payload={})
async def hang(action):
    print("hanging", flush=True)
    try:
        await asyncio.Event().wait()
    finally:
        os.write(1, b"cancelled\\n")  # In one piece: two threads write.
async def email(action):
    return "sent"
"""


def started(program: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-W", "error", "-c", PROLOGUE + program],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_an_interrupted_call_is_cancelled_and_the_program_ends() -> None:
    with started(
        """
with SyncGateway.open(providers=[hang]) as gateway:
    try:
        gateway.dispatch(make_action("hang"))
    finally:
        os.write(1, b"interrupted\\n")
"""
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "hanging\n"
        process.send_signal(signal.SIGINT)
        out, errors = process.communicate(timeout=LIMIT)
    assert sorted(out.splitlines()) == ["cancelled", "interrupted"]
    assert errors.splitlines()[-1] == "KeyboardInterrupt"
    assert process.returncode == -signal.SIGINT


def test_a_call_that_is_interrupted_while_it_begins_is_cancelled_as_well() -> None:
    # The signal comes as early as it can, before the caller knows that the call has begun.
    program = """
import signal
async def at_once(action):
    os.kill(os.getpid(), signal.SIGINT)
    try:
        await asyncio.sleep(3600)
    finally:
        os.write(1, b"cancelled\\n")
with SyncGateway.open(providers=[at_once]) as gateway:
    gateway.dispatch(make_action("at_once"))
"""
    with ExitStack() as stack:
        for process in [stack.enter_context(started(program)) for _ in range(8)]:
            out, _ = process.communicate(timeout=LIMIT)
            assert (out, process.returncode) == ("cancelled\n", -signal.SIGINT)


def test_a_program_that_does_not_leave_it_closes_it_at_its_end() -> None:
    with started(
        """
from acteon.audit_memory import MemoryAuditStore
from datetime import timedelta
class Store(MemoryAuditStore):
    async def write(self, records):
        await super().write(records)
        print("written", len(records), flush=True)
slowly = AuditSettings(flush_delay=timedelta(hours=1))
gateway = SyncGateway.open(providers=[email], audit=Store(), audit_settings=slowly)
gateway.__enter__()
gateway.dispatch(make_action("email"))
print("end", flush=True)
"""
    ) as process:
        out, errors = process.communicate(timeout=LIMIT)
    assert (out.splitlines(), errors, process.returncode) == (["end", "written 1"], "", 0)


def test_a_forked_process_is_told_and_its_parent_goes_on() -> None:
    with started(
        """
with SyncGateway.open(providers=[email]) as gateway:
    child = os.fork()
    if not child:
        try:
            gateway.dispatch(make_action("email"))
        except RuntimeError as error:
            print(error, flush=True)
            sys.exit()
    os.waitpid(child, 0)
    print(gateway.dispatch(make_action("email")).response.body, flush=True)
"""
    ) as process:
        out, errors = process.communicate(timeout=LIMIT)
    told = "this SyncGateway was opened in another process, before a fork: open one in each process"
    assert (out.splitlines(), errors, process.returncode) == ([told, "sent"], "", 0)
