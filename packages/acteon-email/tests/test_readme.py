"""What the README shows is so."""

import asyncio
import json
import re
import sys
import tomllib
from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path
from typing import Any, get_args

import attrs
import pytest

from acteon.core import Action
from acteon.email import EmailConfig, EmailProvider
from acteon.email.config import TlsMode
from acteon.email.payload import Payload
from acteon.email.testing import CLOSE, HANG, MailServer, ScriptedServer
from acteon.executor import Backoff, Executor, ExecutorSettings
from acteon.provider import ProviderRegistry

Open = Callable[..., Awaitable[EmailProvider]]
Mail = Callable[..., Action]

QUICKLY = Backoff(first_delay=timedelta(milliseconds=1))

README = (Path(__file__).parents[1] / "README.md").read_text()
BLOCKS: list[tuple[str, str]] = re.findall(r"^```(\w+)\n(.*?)^```$", README, re.M | re.S)


def block(language: str) -> str:
    (found,) = [text for name, text in BLOCKS if name == language]
    return found


def rows(section: str) -> list[list[str]]:
    """Return the cells of the table in `section`, without its head."""
    text = README.partition(f"\n## {section}\n")[2].partition("\n## ")[0]
    lines = [line for line in text.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def test_every_block_is_tried() -> None:
    assert [language for language, _ in BLOCKS] == ["toml", "json", "text", "python"]


def test_the_configuration_is_one() -> None:
    (provider,) = tomllib.loads(block("toml"))["providers"]
    assert provider.pop("name") == provider.pop("type") == "email"
    assert EmailConfig(**provider).security == "starttls"


def test_the_table_has_all_keys_and_their_defaults() -> None:
    told = {
        key: default
        for keys, default, _ in rows("Configuration")
        for key in re.findall(r"`(\w+)`", keys)
    }
    told["smtp_password"] = told["password"]
    for attribute in attrs.fields(EmailConfig):
        default = told.pop(attribute.name)
        match attribute.default:
            case attrs.NOTHING:
                assert default == ""
            case None | ():
                assert not default.startswith("`")
            case value:
                assert default == f"`{json.dumps(value)}`".replace(".0`", "`")
    assert not told
    modes = next(text for keys, _, text in rows("Configuration") if keys == "`tls_mode`")
    assert set(re.findall(r'`"(\w+)"`', modes)) == set(get_args(TlsMode))


def test_the_table_has_all_members_of_a_payload() -> None:
    told = {name for names, _ in rows("Payload") for name in re.findall(r"`(\w+)`", names)}
    known = {attribute.name for attribute in attrs.fields(Payload)} - {"to_verbatim"}
    assert told == {"from" if name == "sender" else name for name in known}


async def test_the_payload_is_sent_and_answered_like_that(
    email: Open, server: MailServer, mail: Mail
) -> None:
    action = attrs.evolve(mail(), payload=json.loads(block("json")))
    response = await (await email(server, from_address="shop@example.com")).execute(action)
    shown = re.sub(r"<…@", "<.*@", re.escape(block("text").strip()).replace("…", ".*"))
    assert re.fullmatch(shown, json.dumps(response.body))
    assert len(list(server.mails[0].message.walk())) == 7


def test_the_table_of_outcomes_is_the_one_that_is_tried() -> None:
    assert [row[1:] for row in rows("Outcomes")] == [told for _, _, _, told in OUTCOMES]


NO_LOGIN = {"tls_mode": "starttls"}
OUTCOMES: list[tuple[dict[str, Any], dict[str, Any], dict[str, Any], list[str]]] = [
    ({}, {}, {"subject": 5}, ["`SERIALIZATION`", "no", "no"]),
    ({}, {}, {"to": "ann"}, ["`EXECUTION_FAILED`", "no", "no"]),
    ({"RCPT": b"550 no"}, {}, {}, ["`EXECUTION_FAILED`", "no", "no"]),
    ({"RCPT": b"451 later"}, {}, {}, ["`CONNECTION`", "yes", "no"]),
    ({"RCPT": b"451 too many messages"}, {}, {}, ["`RATE_LIMITED`", "yes", "no"]),
    ({}, NO_LOGIN, {}, ["`CONFIGURATION`", "no", "no"]),
    ({"DATA": CLOSE}, {}, {}, ["`CONNECTION`", "yes", "no"]),
    ({"MAIL": HANG}, {"timeout_seconds": 0.1}, {}, ["`TIMEOUT`", "yes", "no"]),
    ({"end": CLOSE}, {}, {}, ["`CONNECTION`", "no", "unknown"]),
    ({"end": HANG}, {"timeout_seconds": 0.1}, {}, ["`TIMEOUT`", "no", "unknown"]),
]


@pytest.mark.parametrize(("script", "keys", "payload", "told"), OUTCOMES)
async def test_outcomes_are_as_told(
    email: Open,
    scripted: ScriptedServer,
    mail: Mail,
    script: dict[str, bytes],
    keys: dict[str, Any],
    payload: dict[str, Any],
    told: list[str],
) -> None:
    scripted.script = dict(script)
    providers = ProviderRegistry.of({"email": await email(scripted, **keys)})
    executor = Executor(ExecutorSettings(max_retries=1, backoff=QUICKLY))
    execution = await executor.execute(providers["email"], mail(**payload))
    code, repeated, delivered = told
    certainty = {"no": "not_delivered", "unknown": "unknown"}[delivered]
    assert (f"`{getattr(execution.result, 'code', None)}`", execution.certainty.value) == (
        code,
        certainty,
    )
    assert execution.attempts == (2 if repeated == "yes" else 1)


async def test_a_mail_that_failed_for_now_is_sent_once_in_the_end(
    email: Open, scripted: ScriptedServer, action: Action
) -> None:
    scripted.script = {"greeting": [CLOSE], "RCPT": [b"450 4.7.1 greylisted"], "DATA": [CLOSE]}
    providers = ProviderRegistry.of({"email": await email(scripted)})
    executor = Executor(ExecutorSettings(max_retries=3, backoff=QUICKLY))
    execution = await executor.execute(providers["email"], action)
    assert (execution.certainty.value, execution.attempts, scripted.ends) == ("delivered", 4, 1)


async def test_the_program_runs(server: MailServer) -> None:
    program = block("python").replace("2525", str(server.port)).replace("localhost", "127.0.0.1")
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-W", "error", "-c", program),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    told, errors = await process.communicate()
    assert (process.returncode, errors) == (0, b"")
    assert told == b"250 2.0.0 OK: queued as 1\n"
