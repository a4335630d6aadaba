"""`Gateway.open`: what it takes, what it opens and closes, and what it says of mistakes."""

import asyncio
import functools
import logging
import os
import subprocess
import sys
import threading
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, ClassVar

import pytest
from attrs import field, frozen
from attrs.validators import ge

from acteon.audit import AuditQuery, AuditSettings, AuditTrail, Redaction
from acteon.audit_memory import MemoryAuditConfig, MemoryAuditPlugin, MemoryAuditStore
from acteon.core import (
    Action,
    ConfigError,
    Deduplicated,
    Executed,
    Failed,
    PluginNotFoundError,
    ProviderResponse,
    ResponseStatus,
    Suppressed,
)
from acteon.executor import ExecutorSettings, MemoryDeadLetters
from acteon.gateway import DrainingError, Gateway, NotOpenError, Plugin, parse_rules
from acteon.gateway.testing import ScriptedProvider, make_action
from acteon.provider import (
    FunctionProvider,
    LogProvider,
    Provider,
    ProviderConnectionError,
    ProviderPlugin,
    ProviderRegistry,
)
from acteon.rules import RuleParseError
from acteon.state_memory import MemoryStatePlugin, memory_backend

RULES = """
rules:
  - name: no-spam
    condition: {field: action.action_type, eq: spam}
    action: {type: suppress}
  - name: once
    condition: {field: action.action_type, eq: welcome}
    action: {type: deduplicate}
"""
SPAM = """
rules:
  - name: no-spam-at-all
    condition: {field: action.tenant, eq: t1}
    action: {type: suppress}
"""


async def email(action: Action) -> dict[str, str]:
    return {"to": action.payload["to"]}


def sms(_: Action) -> int:
    return threading.get_ident()


def spam(**changes: Any) -> Action:
    return make_action(action_type="spam", **changes)


async def body(gateway: Gateway, provider: str) -> Any:
    outcome = await gateway.dispatch(make_action(provider=provider))
    assert isinstance(outcome, Executed), outcome
    return outcome.response.body


async def test_without_a_word_there_is_memory_and_an_audit_trail() -> None:
    async with Gateway.open() as gateway:
        action = make_action()
        outcome = await gateway.dispatch(action)
        record = await gateway.trail.latest(action.id)
    assert isinstance(outcome, Failed)
    assert record is not None
    assert record.outcome == "failed"


async def test_functions_are_providers_under_their_names() -> None:
    async with Gateway.open(providers=[email, sms]) as gateway:
        assert await body(gateway, "email") == {"to": "u@example.com"}
        assert await body(gateway, "sms") != threading.get_ident()


def of_word(word: str, _: Action) -> str:
    return word


class Mailer:
    async def send(self, action: Action) -> str:
        return f"sent {action.action_type}"

    async def __call__(self, _: Action) -> str:
        return "called"


async def test_providers_of_all_kinds_go_together() -> None:
    scripted = ScriptedProvider(idempotent=True)
    async with Gateway.open(
        providers={
            "function": email,
            "lambda": lambda _: "short",
            "partial": functools.partial(of_word, "part"),
            "method": Mailer().send,
            "object": Mailer(),
            "scripted": scripted,
            "wrapped": FunctionProvider(email, idempotent=True),
            "plugin": Plugin("log"),
            "registered": ProviderRegistry.of({"x": scripted}, {"x": False})["x"],
        }
    ) as gateway:
        assert await body(gateway, "lambda") == "short"
        assert await body(gateway, "partial") == "part"
        assert await body(gateway, "method") == "sent send_email"
        assert await body(gateway, "object") == "called"
        assert await body(gateway, "plugin") == {"provider": "plugin", "logged": True}
        assert await body(gateway, "scripted") == {"ok": True}
        assert gateway.providers["wrapped"].idempotent
        assert gateway.providers["scripted"].idempotent
        assert not gateway.providers["registered"].idempotent


async def test_in_a_list_whatever_knows_its_name_is_called_so() -> None:
    async with Gateway.open(providers=[LogProvider("diary"), email, Mailer().send]) as gateway:
        assert list(gateway.providers) == ["diary", "email", "send"]


@pytest.mark.parametrize(
    ("result", "said"),
    [
        (None, ProviderResponse(body=None)),
        ({"a": [1]}, ProviderResponse(body={"a": [1]})),
        ("text", ProviderResponse(body="text")),
        (object(), ProviderResponse(body=None)),
        (ProviderResponse(ResponseStatus.FAILURE), ProviderResponse(ResponseStatus.FAILURE)),
    ],
    ids=["none", "dict", "text", "no JSON", "response"],
)
async def test_what_a_function_returns_is_the_answer(result: Any, said: ProviderResponse) -> None:
    async with Gateway.open(providers={"email": lambda _: result}) as gateway:
        outcome = await gateway.dispatch(make_action())
    assert outcome == Executed(said)


@pytest.mark.parametrize(
    ("error", "code", "attempts"),
    [(KeyError("to"), "EXECUTION_FAILED", 1), (ProviderConnectionError("away"), "CONNECTION", 2)],
)
async def test_what_a_function_raises_is_the_failure(
    error: Exception, code: str, attempts: int
) -> None:
    def failing(_: Action) -> None:
        raise error

    letters = MemoryDeadLetters()
    async with Gateway.open(
        providers={"email": failing},
        executor=ExecutorSettings(max_retries=1),
        dead_letters=letters,
    ) as gateway:
        outcome = await gateway.dispatch(make_action())
    assert isinstance(outcome, Failed)
    assert (outcome.code, outcome.attempts) == (code, attempts)
    assert len(letters) == 1


@pytest.mark.parametrize("form", ["directory", "text", "file", "rules"])
async def test_rules_come_from_a_path_or_are_given(tmp_path: Path, form: str) -> None:
    path = tmp_path / "mail.yaml"
    path.write_text(RULES)
    given: Any = {
        "directory": tmp_path,
        "text": str(tmp_path),
        "file": path,
        "rules": parse_rules(RULES),
    }[form]
    async with Gateway.open(rules=given, providers=[email]) as gateway:
        assert await gateway.dispatch(spam()) == Suppressed("no-spam")
        welcome = make_action(action_type="welcome", dedup_key="k")
        assert isinstance(await gateway.dispatch(welcome), Executed)
        again = make_action(action_type="welcome", dedup_key="k")
        assert isinstance(await gateway.dispatch(again), Deduplicated)


async def test_one_file_can_be_read_again_and_those_beside_it_are_not(tmp_path: Path) -> None:
    path = tmp_path / "mail.yaml"
    path.write_text(RULES)
    (tmp_path / "other.yaml").write_text("no rules")
    async with Gateway.open(rules=path) as gateway:
        path.write_text(SPAM)
        reloaded = await gateway.reload_rules()
        assert (reloaded.count, [rule.name for rule in gateway.rules]) == (1, ["no-spam-at-all"])


async def test_a_rule_that_leads_nowhere_is_told_of(caplog: pytest.LogCaptureFixture) -> None:
    rules = parse_rules(
        "rules:\n  - name: away\n    condition: {field: action.tenant, eq: t1}\n"
        "    action: {type: reroute, target_provider: pager}\n"
    )
    with caplog.at_level(logging.WARNING):
        async with Gateway.open(rules=rules, providers=[email]):
            pass
    told = [getattr(record, "acteon.problem", "") for record in caplog.records]
    assert any("reroutes to provider 'pager', which is not configured" in text for text in told)


async def test_what_is_odd_about_a_text_of_rules_is_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    text = SPAM.replace("action:", "colour: red\n    action:")
    with caplog.at_level(logging.WARNING):
        assert len(parse_rules(text)) == 1
    assert "colour" in getattr(caplog.records[0], "acteon.problem", "")


async def test_open_things_are_used_and_stay_open() -> None:
    state, store = memory_backend(), MemoryAuditStore()
    action = make_action(action_type="welcome", dedup_key="k")
    rules = parse_rules(RULES)
    async with Gateway.open(rules=rules, providers=[email], state=state, audit=store) as one:
        await one.dispatch(action)
    async with AuditTrail(store) as trail:
        async with Gateway.open(rules=rules, providers=[email], state=state, audit=trail) as two:
            assert isinstance(await two.dispatch(action), Deduplicated)
        assert (await trail.query(AuditQuery())).total == 2


async def test_plugins_take_settings_by_name_or_as_their_own_object() -> None:
    for audit in (
        Plugin("memory", {"max_records": 1}),
        Plugin(MemoryAuditPlugin, MemoryAuditConfig(max_records=1)),
    ):
        async with Gateway.open(audit=audit, state=Plugin(MemoryStatePlugin)) as gateway:
            for _ in range(3):
                await gateway.dispatch(make_action())
            assert (await gateway.trail.query(AuditQuery())).total == 1


async def test_settings_of_the_trail_hold() -> None:
    settings = AuditSettings(redaction=Redaction(["to"]), mode="sync", ttl=None)
    async with Gateway.open(providers=[email], audit_settings=settings) as gateway:
        action = make_action()
        await gateway.dispatch(action)
        record = await gateway.trail.latest(action.id)
    assert record is not None
    assert record.expires_at is None
    assert record.action_payload == b'{"to":"[REDACTED]"}'


async def test_without_audit_nothing_is_recorded_and_asking_says_so() -> None:
    async with Gateway.open(audit=None, providers=[email]) as gateway:
        await gateway.dispatch(make_action())
        with pytest.raises(ConfigError, match="opened without `audit`"):
            _ = gateway.trail


class Half:
    """Only a part of a provider."""

    idempotent = False

    async def execute(self, action: Action) -> ProviderResponse:
        raise NotImplementedError


async def stream(action: Action) -> AsyncIterator[str]:
    yield action.id


def two_words(one: Action, two: str) -> None: ...


def nameless(_: Action) -> int:
    return 1


nameless.__name__ = "<lambda>"

MISTAKES: list[tuple[dict[str, Any], str]] = [
    ({"rules": "rulez/"}, "rules: there is no directory or file 'rulez/' in /"),
    ({"rules": ""}, "rules: there is no directory or file ''"),
    ({"rules": RULES}, "rules: a text is the path of rule files; for rules: parse_rules(text)"),
    ({"rules": ["rules/"]}, "rules: str is no Rule; a path is given without a list around it"),
    ({"rules": 5}, "rules: give a path, or a list of rules, not int"),
    ({"providers": email}, "providers: give a list of them, or a mapping of names to them, "),
    ({"providers": "email"}, "providers: give a list of them"),
    ({"providers": ["email"]}, "providers: a str is neither a function nor a provider"),
    ({"providers": [nameless]}, "providers: a lambda has no name of its own; name it: "),
    ({"providers": [functools.partial(email)]}, "providers: a partial has no name of its own"),
    ({"providers": [Plugin("log")]}, "providers: a Plugin has no name of its own; name it: "),
    (
        {"providers": [email, LogProvider("email")]},
        "providers: two are called 'email'; name them: providers={'email': ..., ...}",
    ),
    ({"providers": {"": email}}, "providers: a name is a text that is not empty: ''"),
    (
        {"providers": [ScriptedProvider]},
        "provider 'ScriptedProvider' is the class ScriptedProvider: "
        "give an object of it, ScriptedProvider(...)",
    ),
    ({"providers": {"half": Half()}}, "provider 'half': Half has no health_check; a provider"),
    ({"providers": {"email": 5}}, "provider 'email': a int is no function that takes an acti"),
    ({"providers": [stream]}, "provider 'stream': a generator delivers nothing: return what"),
    (
        {"providers": [two_words]},
        "provider 'two_words': it is called with one argument, the action: "
        "missing a required argument: 'two'",
    ),
    ({"state": None}, "state: give the name of a plugin, a Plugin, or a StateBackend that is"),
    ({"audit": MemoryAuditStore}, "audit: give the name of a plugin, a Plugin, or a AuditSto"),
    (
        {"audit": None, "audit_settings": AuditSettings()},
        "audit_settings: there is no audit; leave them out",
    ),
]


@pytest.mark.parametrize(("arguments", "text"), MISTAKES)
def test_what_cannot_be_used_is_refused_before_anything_is_opened(
    arguments: dict[str, Any], text: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        Gateway.open(**arguments)
    assert str(caught.value).startswith(text)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (
            {"state": "memry"},
            "state: there is no acteon.state plugin 'memry'; did you mean 'memory'?",
        ),
        (
            {"audit": "elastic"},
            "audit: there is no acteon.audit plugin 'elastic'; did you mean 'elasticsearch'?",
        ),
        (
            {"audit": Plugin("memory", {"max_record": 5})},
            "audit: unknown setting 'max_record'; did you mean 'max_records'?",
        ),
        ({"state": Plugin("memory", {"url": "x"})}, "state: unknown setting 'url'; it has none"),
        (
            {"audit": Plugin("memory", {"max_records": 0})},
            "audit: 'max_records' must be >= 1: 0",
        ),
        (
            {"audit": Plugin("memory", 5)},
            "audit: settings are a mapping or a MemoryAuditConfig, not a int",
        ),
        ({"state": Plugin(MemoryAuditPlugin)}, "state: MemoryAuditPlugin is no StatePlugin"),
        (
            {"providers": {"hook": Plugin("webhook")}},
            "provider 'hook': settings lack 'url'",
        ),
        (
            {"providers": {"hook": Plugin("webhook", {"url": "ftp://x"})}},
            "provider 'hook': 'url' must be an http:// or https:// URL with a host",
        ),
    ],
)
async def test_plugins_that_cannot_be_opened_are_told_in_one_line(
    arguments: dict[str, Any], text: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        async with Gateway.open(**arguments):
            pass
    assert str(caught.value) == text


async def test_files_that_cannot_be_used_are_told(tmp_path: Path) -> None:
    bad = tmp_path / "bad.yaml"
    bad.write_text("rules:\n  - name: x\n    action: {type: fly}\n")
    with pytest.raises(ConfigError, match=r"bad\.yaml"):
        async with Gateway.open(rules=bad):
            pass
    other = tmp_path / "rules.txt"
    other.write_text(RULES)
    with pytest.raises(ConfigError, match=r"rules\.txt: no rule file by its extension; known are"):
        async with Gateway.open(rules=other):
            pass
    with pytest.raises(RuleParseError, match="fly"):
        parse_rules(bad.read_text())
    with pytest.raises(PluginNotFoundError, match=r"no acteon\.rules plugin 'rego'"):
        parse_rules("x", language="rego")


@frozen
class Opened(ProviderPlugin):
    """A plugin of this test that tells what is open."""

    @frozen
    class Settings:
        """Its configuration."""

        size: int = field(default=1, validator=ge(1))

    Config: ClassVar[type[Any]] = Settings
    open_ones: ClassVar[list[str]] = []

    @classmethod
    @asynccontextmanager
    async def open(cls, name: str, config: Settings) -> AsyncGenerator[Provider]:
        cls.open_ones.append(name)
        try:
            yield FunctionProvider(lambda _: config.size)
        finally:
            cls.open_ones.remove(name)


async def test_what_was_opened_is_closed_when_something_later_cannot_be() -> None:
    opening = Gateway.open(
        providers={"first": Plugin(Opened), "second": Plugin(Opened, {"size": 0})}
    )
    for _ in range(2):
        with pytest.raises(ConfigError, match="provider 'second': 'size' must be >= 1: 0"):
            async with opening:
                pass
        assert Opened.open_ones == []


async def test_an_exception_leaves_as_it_is_and_everything_is_closed() -> None:
    gateway: Gateway | None = None
    try:
        async with Gateway.open(providers={"one": Plugin(Opened)}) as gateway:
            assert await body(gateway, "one") == 1
            raise ZeroDivisionError
    except ZeroDivisionError:
        pass
    assert gateway is not None
    assert Opened.open_ones == []
    with pytest.raises(NotOpenError, match="use it inside its `with` block"):
        await gateway.dispatch(make_action())


async def test_a_cancelled_program_closes_everything() -> None:
    inside = asyncio.Event()
    stuck = ScriptedProvider()
    stuck.gate.clear()

    async def program() -> None:
        async with Gateway.open(providers={"one": Plugin(Opened), "email": stuck}) as gateway:
            inside.set()
            await gateway.dispatch(make_action())

    async with asyncio.timeout(5), asyncio.TaskGroup() as group:
        task = group.create_task(program())
        await inside.wait()
        await stuck.called()
        task.cancel()
    assert task.cancelled()
    assert Opened.open_ones == []


async def test_leaving_waits_for_what_is_under_way() -> None:
    slow = ScriptedProvider()
    slow.gate.clear()
    async with asyncio.TaskGroup() as group:
        async with Gateway.open(providers={"email": slow}) as gateway:
            task = group.create_task(gateway.dispatch(make_action()))
            await slow.called()
            slow.gate.set()
        assert task.done()
    assert isinstance(task.result(), Executed)


async def test_it_is_open_once_at_a_time_and_can_be_opened_again() -> None:
    opening = Gateway.open(providers=[email])
    async with opening as first:
        with pytest.raises(RuntimeError, match=r"open already: call Gateway\.open\(\)"):
            async with opening:
                pass
        await body(first, "email")
    async with opening as second:
        assert second is not first
        assert second.counters["dispatched"] == 0
    with pytest.raises(RuntimeError, match="entered before"):
        async with first:
            pass


CALLS: dict[str, Callable[[Gateway], Any]] = {
    "dispatch": lambda gateway: gateway.dispatch(make_action()),
    "dispatch_batch": lambda gateway: gateway.dispatch_batch([make_action()]),
    "preview": lambda gateway: gateway.preview(make_action()),
    "reload_rules": lambda gateway: gateway.reload_rules(),
    "set_rule_enabled": lambda gateway: gateway.set_rule_enabled("x", enabled=True),
}


@pytest.mark.parametrize("call", CALLS)
async def test_outside_of_its_block_a_gateway_says_that_it_is_not_open(call: str) -> None:
    never = Gateway(state=memory_backend())
    async with Gateway.open() as left:
        pass
    for gateway in (never, left):
        with pytest.raises(NotOpenError, match="not open"):
            await CALLS[call](gateway)
        with pytest.raises(NotOpenError, match="not open"):
            _ = gateway.rules
        assert gateway.draining
    assert issubclass(NotOpenError, DrainingError)


@pytest.mark.parametrize(
    ("missing", "program", "text"),
    [
        (
            "acteon_state_memory",
            "Gateway.open()",
            "state: 'memory' needs a package that is not installed: "
            "pip install 'acteon-gateway[embedded]'",
        ),
        (
            "acteon_audit_memory",
            "Gateway.open()",
            "audit: 'memory' needs a package that is not installed: "
            "pip install 'acteon-gateway[embedded]'",
        ),
        (
            "acteon_rules_yaml",
            "Gateway.open(rules='rules.yaml')",
            "rules.yaml: rule files of this kind need a package that is not installed: "
            "pip install acteon-rules-yaml",
        ),
    ],
)
def test_a_missing_package_is_named(tmp_path: Path, missing: str, program: str, text: str) -> None:
    """A process that sees all that is installed here, but for the metadata of one package."""
    (tmp_path / "rules.yaml").write_text(RULES)
    site = tmp_path / "site"
    site.mkdir()
    found = [Path(folder) for folder in sys.path if "site-packages" in folder]
    for path in (path for folder in found for path in folder.iterdir()):
        if not path.name.startswith(f"{missing}-") and not (site / path.name).exists():
            (site / path.name).symlink_to(path)
    # Of packages that are installed as they are, the code is elsewhere than the metadata.
    folders = {Path(folder).parent for folder in sys.modules["acteon"].__path__}
    sources = [str(folder) for folder in folders if folder not in found]
    done = subprocess.run(
        [
            sys.executable,
            "-S",
            "-c",
            "import asyncio\nfrom acteon.gateway import Gateway\n"
            f"async def main():\n    async with {program}: pass\n"
            "try: asyncio.run(main())\nexcept Exception as error: print(error)",
        ],
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(site), *sources])},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )
    assert done.stdout.strip().endswith(text), done.stdout
