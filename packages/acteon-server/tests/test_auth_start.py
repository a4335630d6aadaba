"""A server that asks its callers who they are, as a process of its own. Ids are case numbers."""

import asyncio
import json
import os
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from attrs import define

from acteon.server.auth.secretbox import encrypt
from acteon.server.testing import request, started

LIMIT = 30.0
"""Seconds after which whatever a process should do counts as not done."""
KEY = bytes(range(32))
KEPT = {name: text for name, text in os.environ.items() if not name.startswith("ACTEON_")}
ENVIRON = {**KEPT, "ACTEON_AUTH_KEY": KEY.hex()}
ENABLED = "[auth]\nenabled = true\n"
CHANGED = "accounts read again"
REFUSED = "the file of users and keys cannot be used; the accounts stay as they were"


def document(*keys: str) -> str:
    """Return a file with those API keys."""
    entries = (
        f'[[api_keys]]\nname = "{key}"\nkey_hash = "{sha256(key.encode()).hexdigest()}"\n'
        'role = "operator"\n'
        'grants = [{ tenants = ["*"], namespaces = ["*"], actions = ["*"] }]\n'
        for key in keys
    )
    return f'[settings]\njwt_secret = "{encrypt("0123456789abcdef" * 2, KEY)}"\n{"".join(entries)}'


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """Give a folder with the two files, and one key in force: `old-key`."""
    (tmp_path / "acteon.toml").write_text(ENABLED)
    (tmp_path / "auth.toml").write_text(document("old-key"))
    return tmp_path


@define(eq=False)
class Server:
    """A server in a process of its own."""

    process: asyncio.subprocess.Process
    url: str = ""

    async def says(self, *messages: str) -> dict[str, Any]:
        """Return the next log record with one of those messages."""
        assert self.process.stderr is not None
        async with asyncio.timeout(LIMIT):
            while line := await self.process.stderr.readline():
                record: dict[str, Any] = json.loads(line)
                if record["message"] in messages:
                    return record
        raise AssertionError(f"it ended without {messages}")

    async def refuses_its_file(self) -> bool:
        """Return what its metrics tell about that."""
        shown = (await request(self.url, "GET", "/metrics/prometheus")).body.decode()
        return "\nacteon_auth_file_refused 1.0\n" in f"\n{shown}"

    async def answers(self, key: str) -> int:
        """Return the status of an answer to who shows that key."""
        return (await request(self.url, "GET", "/v1/rules", headers={"x-api-key": key})).status


@asynccontextmanager
async def serving(config: Path) -> AsyncGenerator[Server]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "acteon.server", "-c", str(config), "--port", "0"),
        cwd="/",  # The files are found beside the configuration, not where it was started.
        env={**ENVIRON, "ACTEON_LOG_FORMAT": "json"},
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        server = Server(process)
        server.url = str((await server.says("listening"))["acteon.url"])
        yield server
    finally:
        process.terminate()
        await process.wait()


def replace(place: Path, text: str) -> None:
    (place / "new").write_text(text)
    (place / "new").rename(place / "auth.toml")


async def test_137_138_a_changed_file_is_in_force_and_a_bad_one_changes_nothing(
    place: Path,
) -> None:
    async with serving(place / "acteon.toml") as server:
        assert [await server.answers(key) for key in ("old-key", "new-key")] == [200, 401]

        replace(place, document("old-key", "new-key"))
        await server.says(CHANGED)
        assert [await server.answers(key) for key in ("old-key", "new-key")] == [200, 200]

        replace(place, "garbage")
        assert (await server.says(CHANGED, REFUSED))["message"] == REFUSED
        assert [await server.answers(key) for key in ("old-key", "new-key")] == [200, 200]
        assert await server.refuses_its_file()

        replace(place, document("new-key"))
        await server.says(CHANGED)
        assert not await server.refuses_its_file()
        assert [await server.answers(key) for key in ("old-key", "new-key")] == [401, 200]


def test_beyond_this_machine_it_starts_if_it_asks_callers_who_they_are(place: Path) -> None:
    exposed = ["--host", "0.0.0.0", "--port", "0"]

    assert started(place, exposed, ENVIRON).status is None
    (place / "acteon.toml").write_text("")
    ended = started(place, exposed, ENVIRON)
    assert ended.status == 1
    assert any("0.0.0.0 lets everybody" in line for line in ended.told)


REFUSALS: dict[str, tuple[dict[str, str], str | None, str]] = {
    "132": (
        {},
        document("a"),
        "error: ACTEON_AUTH_KEY environment variable is required when auth is enabled; openssl "
        "rand -hex 32 makes one",
    ),
    "a malformed master key": (
        {"ACTEON_AUTH_KEY": "abc"},
        document("a"),
        "error: invalid ACTEON_AUTH_KEY: ACTEON_AUTH_KEY must be 32 bytes encoded as 64 hex chars "
        "or base64; openssl rand -hex 32 makes one",
    ),
    "B12": (
        {"ACTEON_AUTH_KEY": KEY.hex()},
        document("a").replace("operator", "owner"),
        "error: failed to parse auth config: auth.toml: invalid role 'owner' for API key 'a'; the "
        "roles are admin, operator, viewer",
    ),
    "no file": (
        {"ACTEON_AUTH_KEY": KEY.hex()},
        None,
        "error: failed to read auth config at auth.toml: there is no such file",
    ),
}


@pytest.mark.parametrize("case", REFUSALS)
def test_it_is_told_why_it_cannot_start(case: str, place: Path) -> None:
    environ, text, told = REFUSALS[case]
    if text is None:
        (place / "auth.toml").unlink()
    else:
        (place / "auth.toml").write_text(text)

    ended = started(place, ["--port", "0"], {**KEPT, **environ})

    assert ended.status == 1
    assert [line for line in ended.told if line.startswith("error: ")] == [told]
