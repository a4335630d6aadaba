"""What a server gets, and what the caller is told: recipients, encryption, credentials, pooling."""

import asyncio
import contextlib
import logging
import socket
import ssl
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
import trustme

from acteon.core import Action, ConfigError
from acteon.email import EmailConfig, EmailPlugin, EmailProvider
from acteon.email.testing import CLOSE, HANG, NOTHING, RESET, MailServer, ScriptedServer
from acteon.provider import (
    ExecutionFailedError,
    ProviderConfigurationError,
    ProviderConnectionError,
    ProviderError,
    RateLimitedError,
)

Open = Callable[..., Awaitable[EmailProvider]]
Mail = Callable[..., Action]

USERS = {"shop": "pass word, grün"}
LOGIN = {"username": "shop", "password": "pass word, grün"}
MANY = 50
LOTS = 100_000_000
"""More bytes than the buffers of a connection hold."""


async def failure(provider: EmailProvider, action: Action) -> ProviderError:
    with pytest.raises(ProviderError) as caught:
        await provider.execute(action)
    return caught.value


async def test_the_response_tells_what_became_of_the_mail(
    email: Open, server: MailServer, mail: Mail
) -> None:
    response = await (await email(server)).execute(
        mail(to="Ann <ann@example.com>", cc=["bob@example.com"], bcc="eve@example.com")
    )
    (received,) = server.mails
    assert response.status.value == "success"
    assert response.headers == {}
    assert response.body == {
        "to": "Ann <ann@example.com>",
        "subject": "Hello",
        "status": "sent",
        "message_id": received.message["Message-ID"],
        "accepted": ["ann@example.com", "bob@example.com", "eve@example.com"],
        "rejected": {},
        "smtp_response": "250 2.0.0 OK: queued as 1",
    }
    assert received.sender == "shop@example.com"
    assert "eve" not in received.content.decode()


async def test_one_refused_recipient_means_that_nobody_gets_it(
    email: Open, server: MailServer, mail: Mail
) -> None:
    server.refused["bob@example.com"] = "550 5.1.1 no such user"
    provider = await email(server)
    error = await failure(provider, mail(cc="bob@example.com", bcc="eve@example.com"))
    assert type(error) is ExecutionFailedError
    assert str(error) == "execution failed: permanent SMTP error: 550 5.1.1 no such user"
    assert server.mails == []

    await provider.execute(mail())  # over the same connection, with nothing left of the other
    assert [each.recipients for each in server.mails] == [("ann@example.com",)]
    assert server.connections == 1


async def test_the_others_get_it_if_the_operator_wants_that(
    email: Open, server: MailServer, mail: Mail
) -> None:
    server.refused["bob@example.com"] = "550 5.1.1 no such user"
    provider = await email(server, allow_partial=True)
    response = await provider.execute(mail(cc="bob@example.com"))
    assert response.status.value == "partial"
    assert response.body["status"] == "partial"
    assert response.body["accepted"] == ["ann@example.com"]
    assert response.body["rejected"] == {"bob@example.com": "550 5.1.1 no such user"}
    assert [each.recipients for each in server.mails] == [("ann@example.com",)]


async def test_if_all_are_refused_a_transient_refusal_decides(
    email: Open, server: MailServer, mail: Mail
) -> None:
    server.refused["ann@example.com"] = "550 5.1.1 no such user"
    server.refused["bob@example.com"] = "452 4.2.2 mailbox full"
    error = await failure(await email(server, allow_partial=True), mail(cc="bob@example.com"))
    assert type(error) is ProviderConnectionError
    assert str(error) == "connection error: transient SMTP error: 452 4.2.2 mailbox full"


async def test_all_attempts_of_an_action_have_one_message_id(
    email: Open, server: MailServer, mail: Mail
) -> None:
    provider = await email(server)
    ids = {(await provider.execute(mail(subject=each))).body["message_id"] for each in "ab"}
    assert len(ids) == 1
    assert "shop" not in ids.pop().partition("@")[0]


@pytest.mark.parametrize("mode", ["starttls", "opportunistic"])
async def test_starttls_comes_before_everything_else(
    email: Open, context: ssl.SSLContext, ca_path: Path, action: Action, mode: str
) -> None:
    async with MailServer(context, users=USERS) as server:
        provider = await email(server, tls_mode=mode, ca_cert_path=ca_path, **LOGIN)
        await provider.execute(action)
        assert [(each.encrypted, each.user) for each in server.mails] == [(True, "shop")]
        await provider.health_check()


async def test_tls_from_the_start(
    email: Open, context: ssl.SSLContext, ca_path: Path, action: Action
) -> None:
    async with MailServer(context, implicit=True, users=USERS) as server:
        provider = await email(server, tls_mode="implicit", ca_cert_path=ca_path, **LOGIN)
        await provider.execute(action)
        assert [(each.encrypted, each.user) for each in server.mails] == [(True, "shop")]


async def test_port_465_means_tls_from_the_start() -> None:
    def security(**keys: Any) -> str:
        return EmailConfig(smtp_host="x", from_address="a@b", **keys).security

    assert security(smtp_port=465) == "implicit"
    assert security(smtp_port=465, tls_mode="starttls") == "starttls"
    assert security(smtp_port=587) == security() == "starttls"
    assert security(tls=False, smtp_port=465) == "none"


async def test_a_server_without_starttls_gets_nothing(
    email: Open, scripted: ScriptedServer, action: Action
) -> None:
    scripted.extensions = ("AUTH PLAIN LOGIN",)
    error = await failure(await email(scripted, tls_mode="starttls", **LOGIN), action)
    assert type(error) is ProviderConfigurationError
    assert str(error) == (
        f"invalid configuration: 127.0.0.1:{scripted.port} offers no STARTTLS, "
        "and tls_mode wants it"
    )
    assert [each.partition(" ")[0] for each in scripted.commands] == ["EHLO"]


async def test_a_server_without_starttls_will_do_if_it_is_only_opportune(
    email: Open, server: MailServer, action: Action
) -> None:
    await (await email(server, tls_mode="opportunistic")).execute(action)
    assert [each.encrypted for each in server.mails] == [False]


@pytest.mark.parametrize("mode", ["starttls", "implicit", "opportunistic"])
async def test_a_certificate_of_somebody_unknown_is_not_accepted(
    email: Open, context: ssl.SSLContext, action: Action, mode: str
) -> None:
    async with MailServer(context, implicit=mode == "implicit") as server:
        error = await failure(await email(server, tls_mode=mode), action)
        assert type(error) is ProviderConfigurationError
        assert str(error).startswith(
            f"invalid configuration: the certificate of 127.0.0.1:{server.port} is not accepted: "
        )
        assert server.mails == []
        await (await email(server, tls_mode=mode, verify=False)).execute(action)
        assert [each.encrypted for each in server.mails] == [True]


async def test_a_certificate_for_another_name_is_not_accepted(
    email: Open, authority: trustme.CA, ca_path: Path, action: Action
) -> None:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("other.example").configure_cert(context)  # pyright: ignore[reportUnknownMemberType]
    async with MailServer(context) as server:
        error = await failure(
            await email(server, tls_mode="starttls", ca_cert_path=ca_path), action
        )
    assert type(error) is ProviderConfigurationError
    assert "IP address mismatch" in str(error)


async def test_a_certificate_of_ours_is_shown(
    email: Open, authority: trustme.CA, ca_path: Path, action: Action, tmp_path: Path
) -> None:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("127.0.0.1").configure_cert(context)  # pyright: ignore[reportUnknownMemberType]
    authority.configure_trust(context)  # pyright: ignore[reportUnknownMemberType]
    context.verify_mode = ssl.CERT_REQUIRED
    client = authority.issue_cert("client.example")
    both, key = tmp_path / "client.pem", tmp_path / "key.pem"
    client.private_key_and_cert_chain_pem.write_to_path(both)
    client.private_key_pem.write_to_path(key)
    async with MailServer(context, implicit=True) as server:
        usual = {"tls_mode": "implicit", "ca_cert_path": ca_path}
        await (await email(server, **usual, client_cert_path=both)).execute(action)
        await (await email(server, **usual, client_cert_path=both, client_key_path=key)).execute(
            action
        )
        assert len(server.mails) == 2
        error = await failure(await email(server, **usual), action)
        assert type(error) is ProviderConnectionError


async def test_files_that_are_no_certificates_are_told_when_it_opens(tmp_path: Path) -> None:
    path = tmp_path / "nothing.pem"
    for keys in ({"ca_cert_path": path}, {"client_cert_path": path}):
        config = EmailConfig(smtp_host="localhost", from_address="a@b", **keys)  # type: ignore[arg-type]  # of several kinds
        with pytest.raises(ConfigError, match=r"^SMTP TLS relay error: .*No such file"):
            async with EmailPlugin.open("email", config):
                raise AssertionError("it opened")


@pytest.mark.parametrize("method", ["PLAIN", "LOGIN"])
async def test_both_ways_to_log_in_work(email: Open, action: Action, method: Any) -> None:
    async with MailServer(users=USERS, methods=(method,)) as server:
        await (await email(server, **LOGIN)).execute(action)
        assert [each.user for each in server.mails] == ["shop"]


async def test_login_is_tried_where_plain_is_offered_but_not_there(
    email: Open, scripted: ScriptedServer, action: Action
) -> None:
    scripted.extensions = ("AUTH PLAIN LOGIN",)
    scripted.script = {
        "AUTH": [b"504 5.5.4 unrecognized", b"334 VXNlcm5hbWU6"],
        "C2HVCA==": b"334 UGFzc3dvcmQ6",
        "CGFZCYB3B3JKLCBNCSO8BG==": b"235 welcome",
    }
    await (await email(scripted, **LOGIN)).execute(action)
    assert scripted.count("AUTH") == 2


async def test_wrong_credentials_are_tried_once(email: Open, action: Action) -> None:
    async with MailServer(users=USERS) as server:
        provider = await email(server, username="shop", password="wrong")
        error = await failure(provider, action)
        assert type(error) is ExecutionFailedError
        assert str(error).startswith("execution failed: permanent SMTP error: 535 5.7.8")
        with pytest.raises(ProviderConnectionError, match=r"^connection error: SMTP health check"):
            await provider.health_check()
        assert server.mails == []


@pytest.mark.parametrize("extension", ["AUTH GSSAPI CRAM-MD5", "SIZE 1000000"])
async def test_a_server_without_a_way_to_log_in_is_a_wrong_configuration(
    email: Open, scripted: ScriptedServer, action: Action, extension: str
) -> None:
    scripted.extensions = (extension,)
    error = await failure(await email(scripted, **LOGIN), action)
    assert type(error) is ProviderConfigurationError
    assert str(error).endswith("offers no authentication by PLAIN or LOGIN")
    assert scripted.count("AUTH") == 0


async def test_credentials_may_go_to_this_machine_whatever_its_name(
    email: Open, scripted: ScriptedServer, action: Action
) -> None:
    scripted.extensions = ("AUTH PLAIN",)
    # This address leads here, but does not look like it.
    provider = await email(scripted, smtp_host="0.0.0.0", tls_mode="opportunistic", **LOGIN)
    await provider.execute(action)
    assert scripted.count("AUTH PLAIN") == 1


async def test_a_message_that_is_too_long_for_the_server_is_not_sent(
    email: Open, scripted: ScriptedServer, mail: Mail
) -> None:
    scripted.extensions = ("SIZE 2000",)
    provider = await email(scripted)
    error = await failure(provider, mail(body="x" * 3000))
    assert type(error) is ExecutionFailedError
    assert str(error).endswith(f"bytes, and 127.0.0.1:{scripted.port} takes 2000 at most")
    await provider.execute(mail())
    assert scripted.count("MAIL") == 1
    assert "SIZE=" in next(each for each in scripted.commands if each.startswith("MAIL"))


async def test_an_address_that_is_not_ascii_needs_a_server_that_knows_them(
    email: Open, scripted: ScriptedServer, server: MailServer, mail: Mail
) -> None:
    wanted = mail(to="Jörg <jörg@bücher.example>")
    await (await email(server)).execute(wanted)
    (received,) = server.mails
    assert received.recipients == ("jörg@xn--bcher-kva.example",)
    assert "SMTPUTF8" in received.options
    scripted.extensions = ()
    error = await failure(await email(scripted), wanted)
    assert type(error) is ExecutionFailedError
    assert "offers no SMTPUTF8" in str(error)
    # A domain alone has a form in ASCII.
    await (await email(scripted)).execute(mail(to="Jörg <joerg@bücher.example>"))
    assert "RCPT TO:<joerg@xn--bcher-kva.example>" in scripted.commands


async def test_many_mails_at_once_share_few_connections(
    email: Open, server: MailServer, mail: Mail
) -> None:
    provider = await email(server, max_connections=10)
    async with asyncio.TaskGroup() as group:
        for number in range(MANY):
            group.create_task(provider.execute(mail(subject=str(number))))
    assert sorted(int(each.message["Subject"]) for each in server.mails) == list(range(MANY))
    assert server.most == server.connections == 10


async def test_a_connection_is_used_again(
    email: Open, scripted: ScriptedServer, action: Action
) -> None:
    provider = await email(scripted)
    for _ in range(3):
        await provider.execute(action)
    assert (scripted.connections, scripted.count("RSET"), scripted.count("EHLO")) == (1, 2, 1)


async def test_connections_that_the_server_has_closed_are_replaced_without_a_word(
    email: Open, server: MailServer, mail: Mail
) -> None:
    provider = await email(server, max_connections=3)
    async with asyncio.TaskGroup() as group:
        for _ in range(3):
            group.create_task(provider.execute(mail()))
    server.hang_up()
    await server.wait_until_all_left()
    await provider.execute(mail())
    assert len(server.mails) == 4
    assert server.connections == 4


@pytest.mark.parametrize("stage", [b"421 4.4.2 idle for too long", RESET, CLOSE, b"500 ?"])
async def test_a_connection_that_does_not_work_any_more_is_replaced_without_a_word(
    email: Open, scripted: ScriptedServer, action: Action, stage: bytes
) -> None:
    provider = await email(scripted)
    await provider.execute(action)
    scripted.script = {"RSET": stage}
    await provider.execute(action)
    assert (scripted.connections, scripted.ends) == (2, 2)


async def test_an_idle_connection_is_closed_in_the_end(
    email: Open, scripted: ScriptedServer, action: Action
) -> None:
    provider = await email(scripted, idle_seconds=0.05)
    await provider.execute(action)
    await scripted.came("QUIT")
    await provider.execute(action)
    assert scripted.connections == 2


async def test_closing_it_takes_leave_of_the_server(
    scripted: ScriptedServer, action: Action
) -> None:
    config = EmailConfig(
        smtp_host="127.0.0.1", smtp_port=scripted.port, from_address="a@b.example", tls=False
    )
    async with EmailProvider(config) as provider:
        await provider.execute(action)
        scripted.script = {"QUIT": RESET}
    assert scripted.commands[-1] == "QUIT"


async def test_a_mail_that_waits_for_a_connection_does_so_in_its_own_time(
    email: Open, scripted: ScriptedServer, action: Action
) -> None:
    scripted.script = {"MAIL": HANG}
    provider = await email(scripted, max_connections=1, timeout_seconds=0.3)
    async with asyncio.timeout(1.4), asyncio.TaskGroup() as group:
        calls = [group.create_task(failure(provider, action)) for _ in range(5)]
    assert {(str(call.result()), call.result().delivery) for call in calls} == {
        ("timeout after 300ms", "none")
    }


async def test_a_connection_in_the_middle_of_something_is_closed_at_once(
    email: Open, scripted: ScriptedServer, action: Action
) -> None:
    scripted.script = {"MAIL": NOTHING}
    error = await failure(await email(scripted, command_timeout_seconds=0.1), action)
    assert str(error) == "timeout after 100ms"
    await scripted.wait_until_all_left()
    assert scripted.commands[-1].startswith("MAIL")


async def test_where_one_connection_does_not_work_the_older_ones_are_not_tried(
    email: Open, scripted: ScriptedServer, action: Action
) -> None:
    provider = await email(scripted, max_connections=3)
    async with asyncio.TaskGroup() as group:
        for _ in range(3):
            group.create_task(provider.execute(action))
    scripted.script = {"RSET": b"500 what?"}
    await provider.execute(action)
    assert (scripted.connections, scripted.count("RSET")) == (4, 1)


async def test_a_bad_answer_to_noop_is_not_healthy(email: Open, scripted: ScriptedServer) -> None:
    scripted.script = {"NOOP": b"451 4.3.2 not now"}
    provider = await email(scripted)
    with pytest.raises(ProviderConnectionError) as caught:
        await provider.health_check()
    assert str(caught.value) == (
        "connection error: SMTP health check failed: transient SMTP error: 451 4.3.2 not now"
    )


async def test_the_health_check_has_a_connection_of_its_own(
    email: Open, scripted: ScriptedServer, action: Action
) -> None:
    provider = await email(scripted, max_connections=1)
    await provider.execute(action)
    await provider.health_check()
    assert scripted.connections == 2
    assert scripted.commands[-1] == "QUIT"


async def test_a_host_that_cannot_be_found_is_told(email: Open, action: Action) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
        for host, text in (
            ("nowhere.invalid", f"the name of nowhere.invalid:{port} cannot be resolved"),
            ("127.0.0.1", f"127.0.0.1:{port}: connection refused"),
        ):
            config = EmailConfig(
                smtp_host=host, smtp_port=port, from_address="a@b.example", tls=False
            )
            async with EmailProvider(config) as provider:
                error = await failure(provider, action)
            assert type(error) is ProviderConnectionError
            assert str(error) == f"connection error: SMTP error: {text}"


async def test_a_server_that_limits_connections_is_told_as_that(
    email: Open, scripted: ScriptedServer, action: Action
) -> None:
    scripted.script = {"greeting": b"421 4.7.0 mail.test Error: too many connections"}
    assert type(await failure(await email(scripted), action)) is RateLimitedError


async def test_what_a_server_says_unasked_is_not_read(email: Open, action: Action) -> None:
    spoken = 0
    delivered, too_much = asyncio.Event(), asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal spoken
        writer.write(b"220 hello\r\n")
        with contextlib.suppress(ConnectionError):
            while line := await reader.readline():
                if line == b"DATA\r\n":
                    writer.write(b"354 go ahead\r\n")
                    await reader.readuntil(b"\r\n.\r\n")
                    writer.write(b"250 taken\r\n")
                    await delivered.wait()
                    while spoken < LOTS:
                        writer.write(b"250 and another thing\r\n" * 1000)
                        await writer.drain()
                        spoken += 23_000
                    too_much.set()
                writer.write(b"250 fine\r\n")
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        config = EmailConfig(smtp_host="127.0.0.1", smtp_port=port, from_address="a@b", tls=False)
        async with EmailProvider(config) as provider:
            for _ in range(2):
                delivered.clear()
                await provider.execute(action)
                delivered.set()
                with pytest.raises(TimeoutError):
                    async with asyncio.timeout(0.3):
                        await too_much.wait()


async def test_mails_cancelled_at_any_moment_cost_no_connection(
    email: Open, server: MailServer, action: Action
) -> None:
    provider = await email(server, max_connections=2)
    for turns in range(60):
        call = asyncio.create_task(provider.execute(action))
        for _ in range(turns):
            await asyncio.sleep(0)
        call.cancel()
        await asyncio.wait([call])
    async with asyncio.timeout(5), asyncio.TaskGroup() as group:
        for _ in range(10):
            group.create_task(provider.execute(action))
    assert server.most <= 4  # The server may see the end of a connection late.


async def test_addresses_are_logged_for_debugging_only(
    email: Open, server: MailServer, mail: Mail, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "acteon")
    server.refused["bob@example.com"] = "550 no bob@example.com"
    provider = await email(server)
    await provider.execute(mail())
    await failure(provider, mail(to="bob@example.com"))
    ours = [record for record in caplog.records if record.name.startswith("acteon")]
    assert [record.levelname for record in ours] == ["DEBUG"]
    assert vars(ours[0])["acteon.accepted"] == ["ann@example.com"]
