"""What is known, and done, when the mail server fails at any stage."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from acteon.core import Action
from acteon.email import EmailProvider
from acteon.email.testing import CLOSE, FLOOD, HANG, RESET, ScriptedServer
from acteon.provider import (
    ExecutionFailedError,
    ProviderConnectionError,
    ProviderError,
    ProviderTimeoutError,
    RateLimitedError,
)

Open = Callable[..., Awaitable[EmailProvider]]
Mail = Callable[..., Action]

LOGIN = {"username": "shop", "password": "secret"}
LARGE = 8_000_000
"""More characters than the buffers of a connection hold."""


@pytest.fixture
def large(mail: Mail) -> Action:
    return mail(body=("x" * 70 + "\n") * (LARGE // 71))


async def failure(provider: EmailProvider, action: Action) -> ProviderError:
    with pytest.raises(ProviderError) as caught:
        await provider.execute(action)
    return caught.value


@pytest.mark.parametrize("stage", ["greeting", "EHLO", "AUTH", "MAIL", "RCPT", "DATA", "end"])
async def test_a_transient_refusal_is_worth_another_try(
    email: Open, scripted: ScriptedServer, action: Action, stage: str
) -> None:
    scripted.extensions = ("AUTH PLAIN",)
    scripted.script = {stage: b"451 4.3.0 come back later"}
    error = await failure(await email(scripted, **LOGIN), action)
    assert type(error) is ProviderConnectionError
    assert str(error) == "connection error: transient SMTP error: 451 4.3.0 come back later"
    assert (error.retryable, error.delivery) == (True, "none")


@pytest.mark.parametrize("stage", ["greeting", "AUTH", "MAIL", "RCPT", "DATA", "end"])
async def test_a_permanent_refusal_is_not(
    email: Open, scripted: ScriptedServer, action: Action, stage: str
) -> None:
    scripted.extensions = ("AUTH PLAIN",)
    scripted.script = {stage: b"554-5.7.1 not\r\n554 5.7.1 wanted"}
    error = await failure(await email(scripted, **LOGIN), action)
    assert type(error) is ExecutionFailedError
    assert str(error) == "execution failed: permanent SMTP error: 554 5.7.1 not 5.7.1 wanted"
    assert (error.retryable, error.delivery) == (False, "none")


@pytest.mark.parametrize("stage", ["greeting", "MAIL", "RCPT", "DATA", "end"])
async def test_a_refusal_for_the_rate_is_told_as_one(
    email: Open, scripted: ScriptedServer, action: Action, stage: str
) -> None:
    scripted.script = {stage: b"421 4.7.0 Too many connections from your host"}
    error = await failure(await email(scripted), action)
    assert type(error) is RateLimitedError
    assert error.delivery == "none"


@pytest.mark.parametrize("stage", ["greeting", "EHLO", "AUTH", "MAIL", "RCPT", "DATA"])
@pytest.mark.parametrize("behaviour", [CLOSE, RESET])
async def test_a_server_that_goes_before_the_message_delivers_nothing(
    email: Open, scripted: ScriptedServer, action: Action, stage: str, behaviour: bytes
) -> None:
    scripted.extensions = ("AUTH PLAIN",)
    scripted.script = {stage: behaviour}
    error = await failure(await email(scripted, **LOGIN), action)
    assert type(error) is ProviderConnectionError
    assert (error.delivery, scripted.ends) == ("none", 0)
    assert str(error).startswith(f"connection error: SMTP error: 127.0.0.1:{scripted.port}")


@pytest.fixture(params=["plain", "tls"])
async def either(
    request: pytest.FixtureRequest, context: ssl.SSLContext
) -> AsyncIterator[ScriptedServer]:
    async with ScriptedServer(context=context if request.param == "tls" else None) as server:
        yield server


async def on(email: Open, server: ScriptedServer, ca_path: Path, **keys: Any) -> EmailProvider:
    if server.context is not None:
        keys |= {"tls_mode": "implicit", "ca_cert_path": ca_path}
    return await email(server, **keys)


@pytest.mark.parametrize("behaviour", [CLOSE, RESET])
async def test_a_server_that_goes_in_the_middle_of_the_message_delivers_nothing(
    email: Open, either: ScriptedServer, ca_path: Path, large: Action, behaviour: bytes
) -> None:
    either.script = {"content": behaviour}
    error = await failure(await on(email, either, ca_path), large)
    assert type(error) is ProviderConnectionError
    assert (error.delivery, either.ends) == ("none", 0)


async def test_a_server_that_stops_reading_in_the_middle_of_the_message_delivers_nothing(
    email: Open, either: ScriptedServer, ca_path: Path, large: Action
) -> None:
    either.script = {"content": HANG}
    error = await failure(await on(email, either, ca_path, timeout_seconds=1.5), large)
    assert type(error) is ProviderTimeoutError
    assert (str(error), error.delivery, either.ends) == ("timeout after 1.5s", "none", 0)


async def test_a_refusal_in_the_middle_of_the_message_is_heard(
    email: Open, either: ScriptedServer, ca_path: Path, large: Action
) -> None:
    either.script = {"content": [b"552 5.3.4 too much"]}
    error = await failure(await on(email, either, ca_path), large)
    assert type(error) is ExecutionFailedError
    assert str(error) == "execution failed: permanent SMTP error: 552 5.3.4 too much"
    assert (error.delivery, either.ends) == ("none", 0)


async def test_a_large_message_that_is_taken_slowly_arrives(
    email: Open, either: ScriptedServer, ca_path: Path, large: Action
) -> None:
    provider = await on(email, either, ca_path)
    for _ in range(2):
        assert (await provider.execute(large)).body["status"] == "sent"
    assert (either.ends, either.connections) == (2, 1)


@pytest.mark.parametrize("behaviour", [CLOSE, RESET, FLOOD])
async def test_a_server_that_goes_after_the_message_leaves_it_unknown(
    email: Open, scripted: ScriptedServer, action: Action, behaviour: bytes
) -> None:
    scripted.script = {"end": behaviour}
    error = await failure(await email(scripted), action)
    assert type(error) is ProviderConnectionError
    assert (error.delivery, scripted.ends) == ("unknown", 1)


async def test_a_server_that_says_nothing_after_the_message_leaves_it_unknown(
    email: Open, scripted: ScriptedServer, action: Action
) -> None:
    scripted.script = {"end": HANG}
    error = await failure(await email(scripted, timeout_seconds=1.0), action)
    assert type(error) is ProviderTimeoutError
    assert (str(error), error.delivery, scripted.ends) == ("timeout after 1s", "unknown", 1)


@pytest.mark.parametrize("reply", [b"354 more?", b"999 ?", b"hello", b"250" + b"x" * 50_000])
async def test_nonsense_after_the_message_leaves_it_unknown(
    email: Open, scripted: ScriptedServer, action: Action, reply: bytes
) -> None:
    scripted.script = {"end": reply}
    error = await failure(await email(scripted), action)
    assert type(error) is ProviderConnectionError
    assert error.delivery == "unknown"


@pytest.mark.parametrize("stage", ["greeting", "EHLO", "AUTH"])
async def test_a_server_that_hangs_while_connecting_costs_the_time_for_that(
    email: Open, scripted: ScriptedServer, action: Action, stage: str
) -> None:
    scripted.extensions = ("AUTH PLAIN",)
    scripted.script = {stage: HANG}
    error = await failure(await email(scripted, connect_timeout_seconds=0.2, **LOGIN), action)
    assert type(error) is ProviderTimeoutError
    assert (str(error), error.delivery) == ("timeout after 200ms", "none")


@pytest.mark.parametrize("stage", ["MAIL", "RCPT", "DATA"])
async def test_a_server_that_hangs_at_a_command_costs_the_time_for_that(
    email: Open, scripted: ScriptedServer, action: Action, stage: str
) -> None:
    scripted.script = {stage: HANG}
    error = await failure(await email(scripted, command_timeout_seconds=0.2), action)
    assert type(error) is ProviderTimeoutError
    assert (str(error), error.delivery) == ("timeout after 200ms", "none")


@pytest.mark.parametrize("stage", ["greeting", "EHLO", "MAIL", "RCPT", "DATA"])
async def test_endless_replies_end(
    email: Open, scripted: ScriptedServer, action: Action, stage: str
) -> None:
    scripted.script = {stage: FLOOD}
    error = await failure(await email(scripted), action)
    assert type(error) is ProviderConnectionError
    assert str(error) == "connection error: SMTP error: the server's reply is too long or no SMTP"
    assert error.delivery == "none"


async def test_what_comes_after_the_message_was_taken_does_not_count(
    email: Open, scripted: ScriptedServer, action: Action
) -> None:
    scripted.script = {"end": b"250 taken\r\n421 and good bye", "RSET": RESET}
    provider = await email(scripted)
    for _ in range(3):
        response = await provider.execute(action)
        assert response.body["smtp_response"] == "250 taken"
    assert scripted.ends == 3


async def test_a_connection_on_which_replies_are_out_of_step_is_not_used_again(
    email: Open, scripted: ScriptedServer, action: Action
) -> None:
    scripted.script = {"end": [b"250 taken\r\n250 taken twice"]}
    provider = await email(scripted)
    await provider.execute(action)
    error = await failure(provider, action)
    assert type(error) is ProviderConnectionError
    assert (error.delivery, scripted.ends) == ("none", 1)
    await scripted.wait_until_all_left()
    await provider.execute(action)
    assert (scripted.ends, scripted.connections) == (2, 2)


@pytest.mark.parametrize("stage", ["RCPT", "end"])
async def test_a_reply_gives_no_password_away(
    email: Open, scripted: ScriptedServer, action: Action, stage: str
) -> None:
    scripted.extensions = ("AUTH PLAIN",)
    scripted.script = {stage: b"554 you said AHNob3AAc2VjcmV0: c2VjcmV0, secret, and " + b"a" * 999}
    error = await failure(await email(scripted, **LOGIN), action)
    assert "secret" not in str(error)
    assert "c2VjcmV0" not in str(error)
    assert str(error).startswith(
        "execution failed: permanent SMTP error: 554 you said ***: ***, ***, and aaa"
    )
    assert len(str(error)) <= 256


async def test_a_connection_of_a_cancelled_mail_is_not_used_again(
    email: Open, scripted: ScriptedServer, action: Action
) -> None:
    provider = await email(scripted, max_connections=1)
    for stage in ("EHLO", "MAIL", "RCPT", "DATA", "end"):
        scripted.script = {stage: HANG}
        before = scripted.connections
        seen = "<end>" if stage == "end" else stage
        scripted.commands.clear()
        call = asyncio.create_task(provider.execute(action))
        await scripted.came(seen)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        scripted.script = {}
        await provider.execute(action)
        assert scripted.connections > before
        assert scripted.connections <= before + 2


async def test_a_message_is_never_sent_twice(
    email: Open, scripted: ScriptedServer, action: Action
) -> None:
    scripted.script = {"end": CLOSE}
    provider = await email(scripted)
    await failure(provider, action)
    assert (scripted.count("DATA"), scripted.ends) == (1, 1)
    assert provider.idempotent is False
