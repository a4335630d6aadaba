"""From configurations to open gateways."""

import sys
from collections.abc import Iterator
from contextlib import AsyncExitStack
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from acteon.core import Action, ConfigError, Executed, ProviderResponse
from acteon.gateway import OnStoreError, OnUnknown
from acteon.gateway.testing import ScriptedProvider
from acteon.provider import ProviderRegistry
from acteon.rules import OnRuleError
from acteon.server.config import Config, parse_config
from acteon.server.opening import (
    audit_settings,
    dead_letters,
    executor_settings,
    gateway_settings,
    open_audit,
    open_gateway,
    open_state,
)
from acteon.server.providing import ConfiguredProviders

SECRET = "s3cr3t-Hunter2"

ACTION = Action(
    namespace="ns", tenant="t1", provider="x", action_type="send", payload={"to": "you"}
)


@pytest.fixture(autouse=True)
def acme() -> Iterator[None]:
    """Somebody else's plugins, installed."""
    place = str(Path(__file__).parent / "acme")
    sys.path.insert(0, place)
    try:
        yield
    finally:
        sys.path.remove(place)


def provider(name: str, token: str, more: str = "") -> str:
    return f'[[providers]]\nname = "{name}"\ntype = "acme"\ntoken = "{token}"\n{more}\n'


async def opened(stack: AsyncExitStack, text: str) -> ProviderRegistry:
    configured = ConfiguredProviders(parse_config(text))
    return (await stack.enter_async_context(configured)).registry


async def refusal(config: Config) -> str:
    async with AsyncExitStack() as stack:
        with pytest.raises(ConfigError) as caught:
            await open_gateway(stack, config)
    return str(caught.value)


async def test_the_defaults_open_a_gateway_that_delivers_nothing() -> None:
    async with AsyncExitStack() as stack:
        gateway = await open_gateway(stack, parse_config(""))
        assert dict(gateway.providers) == {}
        assert gateway.audit is None
        assert gateway.dead_letters is None
        assert gateway.rules == ()


async def test_a_configuration_made_by_code_opens_as_well() -> None:
    async with AsyncExitStack() as stack:
        assert (await open_gateway(stack, Config())).rules == ()


async def test_a_configured_provider_delivers() -> None:
    async with AsyncExitStack() as stack:
        gateway = await open_gateway(stack, parse_config(provider("x", "t")))
        outcome = await gateway.dispatch(ACTION)
    assert outcome == Executed(ProviderResponse(body={"provider": "x", "id": ACTION.id}))


async def test_what_happened_is_in_the_audit_trail_if_there_is_one() -> None:
    audit = "[audit]\nenabled = true\n[audit.redact]\nenabled = true\nfields = ['to']\n"
    text = audit + provider("x", "t")
    async with AsyncExitStack() as stack:
        gateway = await open_gateway(stack, parse_config(text))
        await gateway.dispatch(ACTION)
        assert gateway.audit is not None
        record = await gateway.audit.latest(ACTION.id)
    assert record is not None
    assert record.action_payload == b'{"to":"[REDACTED]"}'


async def test_rules_are_loaded_from_their_directory(tmp_path: Path) -> None:
    (tmp_path / "rules.yaml").write_text(
        "rules:\n  - name: no\n    condition: {field: action.tenant, eq: t1}\n"
        "    action: {type: suppress}\n"
    )
    text = f'[rules]\ndirectory = "{tmp_path}"'
    async with AsyncExitStack() as stack:
        gateway = await open_gateway(stack, parse_config(text))
        assert [rule.name for rule in gateway.rules] == ["no"]


async def test_a_rule_file_that_cannot_be_used_keeps_the_gateway_from_starting(
    tmp_path: Path,
) -> None:
    (tmp_path / "rules.yaml").write_text("rules: [")
    told = await refusal(parse_config(f'[rules]\ndirectory = "{tmp_path}"'))
    assert "rules.yaml" in told


async def test_a_missing_directory_of_rules_is_only_warned_about(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with AsyncExitStack() as stack:
        gateway = await open_gateway(stack, parse_config('[rules]\ndirectory = "nowhere"'))
        assert gateway.rules == ()
    assert "there is no such directory" in caplog.text


async def test_the_configuration_has_the_last_word_on_idempotence() -> None:
    text = provider("b", "t", "idempotent = true") + provider("a", "t")
    async with AsyncExitStack() as stack:
        found = await opened(stack, text)
    assert [(name, found[name].idempotent) for name in found] == [("a", False), ("b", True)]


async def test_a_program_may_bring_providers_of_its_own() -> None:
    brought = ScriptedProvider()
    registry = ProviderRegistry.of({"m": brought})
    async with AsyncExitStack() as stack:
        config = parse_config(provider("x", "t") + provider("a", "t"))
        gateway = await open_gateway(stack, config, providers=registry)
        assert list(gateway.providers) == ["a", "m", "x"]
        assert gateway.providers["m"].provider is brought


async def test_a_provider_that_is_brought_and_configured_is_refused() -> None:
    registry = ProviderRegistry.of({"x": ScriptedProvider()})
    async with AsyncExitStack() as stack:
        with pytest.raises(ConfigError, match=r"^provider 'x': the program .* brings one"):
            await open_gateway(stack, parse_config(provider("x", "t")), providers=registry)


@pytest.mark.parametrize(("seconds", "warned"), [(1, False), (2, True), (3, True)])
async def test_a_limit_of_a_provider_that_never_strikes_is_warned_about(
    seconds: int, warned: bool, caplog: pytest.LogCaptureFixture
) -> None:
    text = (
        '[executor]\ntimeout_seconds = 2\n[[providers]]\nname = "hook"\ntype = "webhook"\n'
        f'url = "http://127.0.0.1:9/"\ntimeout_seconds = {seconds}'
    )
    async with AsyncExitStack() as stack:
        await opened(stack, text)
    assert [
        record.__dict__["acteon.provider"]
        for record in caplog.records
        if "time limit" in record.message
    ] == (["hook"] if warned else [])


async def test_everything_is_closed_with_the_stack() -> None:
    async with AsyncExitStack() as stack:
        found = await opened(stack, provider("a", "t"))
        delivering: Any = found["a"].provider
        assert delivering.closed == []
    assert delivering.closed == ["a"]


async def test_a_provider_that_cannot_be_opened_is_one_line_without_secrets() -> None:
    text = provider("a", "t") + provider("b", f"expired-{SECRET}")
    assert await refusal(parse_config(text)) == "provider 'b': the receiver refused [hidden]"


@pytest.mark.parametrize(
    ("url", "line"),
    [
        (
            f"acme://u:{SECRET}@down",
            "acme state backend: connection error: no answer from [hidden]",
        ),
        ("acme://down/t0ken", "acme state backend: connection error: no answer from [hidden]"),
        (
            "acme://down:99",
            "acme state backend: connection error: no answer from acme://down:99",
        ),
        ("acme://odd", "acme state backend: KeyError: 'odd'"),
    ],
)
async def test_a_backend_that_cannot_be_opened_is_one_line_without_secrets(
    url: str, line: str
) -> None:
    assert await refusal(parse_config(f'[state]\nbackend = "acme"\nurl = "{url}"')) == line


async def test_an_audit_store_that_cannot_be_opened_is_one_line() -> None:
    text = '[audit]\nenabled = true\nbackend = "acme"\nurl = "acme://x"'
    assert await refusal(parse_config(text)) == ("audit acme: the index of acme://x is missing")


async def test_a_state_store_opens_by_itself() -> None:
    async with AsyncExitStack() as stack:
        backend = await open_state(
            stack, parse_config('[state]\nbackend = "acme"\nurl = "acme://x"')
        )
        await backend.store.ping()


async def test_no_audit_trail_is_opened_unless_it_is_enabled() -> None:
    async with AsyncExitStack() as stack:
        assert await open_audit(stack, parse_config("")) is None


def test_settings_are_those_of_the_configuration() -> None:
    found = parse_config("""
        [executor]
        max_retries = 1
        timeout_seconds = 2
        max_concurrent = 3
        dlq_enabled = true
        dlq_max = 4
        lock_wait_seconds = 5
        lock_lease_seconds = 6
        on_unknown = "release"
        [rules]
        on_error = "skip"
        on_store_error = "deny"
        [rules.environment]
        stage = "production"
        [audit]
        ttl_seconds = 0
        mode = "sync"
        max_queue = 8
        max_queue_bytes = 2097152
        store_payload = false
        cleanup_interval_seconds = 9
    """)
    executor = executor_settings(found)
    assert (executor.max_retries, executor.max_concurrent) == (1, 3)
    assert executor.timeout == timedelta(seconds=2)
    gateway = gateway_settings(found)
    assert (gateway.patience, gateway.lease) == (timedelta(seconds=5), timedelta(seconds=6))
    assert gateway.on_unknown is OnUnknown.RELEASE
    assert gateway.on_rule_error is OnRuleError.SKIP
    assert gateway.on_store_error is OnStoreError.DENY
    assert gateway.environment == {"stage": "production"}
    assert dead_letters(found) is not None
    audit = audit_settings(found.audit)
    assert (audit.ttl, audit.mode) == (None, "sync")
    assert (audit.max_queue, audit.max_queue_bytes) == (8, 2 * 1024 * 1024)
    assert (audit.store_payload, audit.redaction) == (False, None)
    assert audit.cleanup_interval == timedelta(seconds=9)
