"""Encrypted connections, on both servers, and certificates that are renewed."""

import asyncio
import logging
import os
import ssl
import subprocess
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import aiohttp
import pytest
import trustme
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)

from acteon.core import ConfigError, ManualClock
from acteon.server.config import Asgi, TlsSection, parse_config
from acteon.server.http import create_app
from acteon.server.testing import OpenApi, RunningServer
from acteon.server.tls import Certificate, certified

CA = trustme.CA()
OTHER_CA = trustme.CA()


def written(folder: Path, name: str = "localhost", ca: trustme.CA = CA) -> TlsSection:
    """Write a certificate of `name` and its key into `folder`, in place of others."""
    made = ca.issue_cert(name, "127.0.0.1")
    for path, blob in (
        (folder / "server.pem", made.cert_chain_pems[0]),
        (folder / "server.key", made.private_key_pem),
    ):
        blob.write_to_path(str(path) + ".new")
        os.replace(str(path) + ".new", path)
    return TlsSection(certificate=folder / "server.pem", key=folder / "server.key")


def trusting(ca: trustme.CA = CA) -> ssl.SSLContext:
    context = ssl.create_default_context()
    ca.configure_trust(context)  # pyright: ignore[reportUnknownMemberType]
    return context


@asynccontextmanager
async def served(
    open_api: OpenApi, asgi: Asgi, context: ssl.SSLContext | None
) -> AsyncGenerator[str]:
    async with open_api() as api, RunningServer(asgi, tls=context) as running:
        running.app = create_app(api.gateway)
        yield running.url


async def shown(url: str, ca: trustme.CA = CA) -> int:
    """Return the status of an answer over a connection that is trusted."""
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"{url}/health", ssl=trusting(ca)) as answer,
    ):
        return answer.status


@pytest.mark.parametrize("asgi", [Asgi.UVICORN, Asgi.HYPERCORN])
async def test_both_servers_speak_tls(open_api: OpenApi, tmp_path: Path, asgi: Asgi) -> None:
    async with (
        certified(written(tmp_path)) as context,
        served(open_api, asgi, context) as url,
        aiohttp.ClientSession() as session,
    ):
        assert url.startswith("https://")
        action = {
            "namespace": "shop",
            "tenant": "t1",
            "provider": "email",
            "action_type": "x",
            "payload": {"text": "ü" * 100_000},
        }
        for _ in range(3):  # On one connection.
            async with session.post(f"{url}/v1/dispatch", json=action, ssl=trusting()) as answer:
                assert "Executed" in await answer.json()
        with pytest.raises(aiohttp.ClientConnectorCertificateError):
            await shown(url, OTHER_CA)
        with pytest.raises(aiohttp.ClientError):
            await session.get(url.replace("https:", "http:") + "/health")


@pytest.mark.parametrize("asgi", [Asgi.UVICORN, Asgi.HYPERCORN])
@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
async def test_old_versions_are_refused(open_api: OpenApi, tmp_path: Path, asgi: Asgi) -> None:
    old = trusting()
    old.set_ciphers("ALL:@SECLEVEL=0")
    old.minimum_version = ssl.TLSVersion.TLSv1
    old.maximum_version = ssl.TLSVersion.TLSv1_1
    async with (
        certified(written(tmp_path)) as context,
        served(open_api, asgi, context) as url,
        aiohttp.ClientSession() as session,
    ):
        with pytest.raises(aiohttp.ClientConnectorError):
            await session.get(f"{url}/health", ssl=old)


@pytest.mark.parametrize("asgi", [Asgi.UVICORN, Asgi.HYPERCORN])
async def test_a_client_that_hangs_up_or_says_nothing_keeps_nobody_waiting(
    open_api: OpenApi, tmp_path: Path, asgi: Asgi, caplog: pytest.LogCaptureFixture
) -> None:
    async with certified(written(tmp_path)) as context, served(open_api, asgi, context) as url:
        host, port = url.removeprefix("https://").split(":")
        silent = await asyncio.open_connection(host, int(port))
        for said in (b"", b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01\x02"):
            _, writer = await asyncio.open_connection(host, int(port))
            writer.write(said)
            writer.close()
        assert await shown(url) == 200
        silent[1].close()
    assert not [line for line in caplog.records if line.levelno >= logging.WARNING]


async def test_a_renewed_certificate_is_shown_to_new_connections(
    open_api: OpenApi, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "acteon.server.tls")
    async with (
        certified(written(tmp_path)) as context,
        served(open_api, Asgi.AUTO, context) as url,
    ):
        assert await shown(url) == 200
        written(tmp_path, ca=OTHER_CA)
        async with asyncio.timeout(20):
            # The log has no event to wait for.
            while "read again" not in caplog.text:  # noqa: ASYNC110
                await asyncio.sleep(0.02)
        assert await shown(url, OTHER_CA) == 200


def test_a_pair_that_cannot_be_used_changes_nothing_and_is_told_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    section = written(tmp_path)
    assert section.certificate is not None
    assert section.key is not None
    shown = Certificate(section.certificate, section.key, None, ManualClock())
    shown.load()
    good = section.key.read_bytes()
    for spoilt in (b"nonsense", CA.issue_cert("x").private_key_pem.bytes(), None, None):
        if spoilt is None:
            section.key.unlink(missing_ok=True)
        else:
            section.key.write_bytes(spoilt)
        shown.look()
        shown.look()
    assert [line.levelname for line in caplog.records] == ["ERROR"] * 3
    section.key.write_bytes(good)
    shown.look()
    assert len(caplog.records) == 3
    client, server = ssl.MemoryBIO(), ssl.MemoryBIO()
    spoken = shown.context.wrap_bio(client, server, server_side=True)
    asked = trusting().wrap_bio(server, client, server_hostname="localhost")
    for _ in range(3):
        for side in (asked, spoken):
            try:
                side.do_handshake()
            except ssl.SSLWantReadError:
                continue
    assert asked.version() == "TLSv1.3"


def encrypted(section: TlsSection, password: str) -> None:
    assert section.key is not None
    key = load_pem_private_key(section.key.read_bytes(), None)
    section.key.write_bytes(
        key.private_bytes(
            Encoding.PEM,
            PrivateFormat.TraditionalOpenSSL,
            BestAvailableEncryption(password.encode()),
        )
    )


async def refusal(section: TlsSection) -> str:
    with pytest.raises(ConfigError) as caught:
        async with certified(section):
            pass
    return str(caught.value)


async def test_what_cannot_be_used_is_told_in_one_line(tmp_path: Path) -> None:
    section = written(tmp_path)
    chain, key = tmp_path / "server.pem", tmp_path / "server.key"
    encrypted(section, "opensesame")
    assert "is encrypted, and 'key_password' is missing" in await refusal(section)
    wrong = TlsSection(certificate=chain, key=key, key_password="other")
    assert "is encrypted, and 'key_password' is another one" in await refusal(wrong)
    right = TlsSection(certificate=chain, key=key, key_password="opensesame")
    async with certified(right) as context:
        assert context is not None

    swapped = TlsSection(certificate=key, key=chain)
    assert "\n" not in await refusal(swapped)
    CA.issue_cert("x").private_key_pem.write_to_path(str(key))
    assert await refusal(section) == (
        f"[server.tls]: the key in {key} is not that of the certificate in {chain}"
    )
    key.write_text("")
    assert "-----BEGIN is missing" in await refusal(section)
    key.unlink()
    assert (await refusal(section)).startswith(f"[server.tls] key: {key}: ")


async def test_without_a_certificate_nothing_is_encrypted() -> None:
    async with certified(TlsSection()) as context:
        assert context is None


def test_one_without_the_other_is_refused() -> None:
    with pytest.raises(ConfigError, match="'key' is missing"):
        parse_config('[server.tls]\ncertificate = "a.pem"')
    with pytest.raises(ConfigError, match="'certificate' is missing"):
        parse_config('[server.tls]\nkey = "a.key"')


def test_a_server_that_is_started_says_https_and_bad_files_end_it(tmp_path: Path) -> None:
    written(tmp_path)
    (tmp_path / "acteon.toml").write_text(
        '[server]\nport = 0\n[server.tls]\ncertificate = "server.pem"\nkey = "server.key"\n'
    )
    command = [sys.executable, "-m", "acteon.server"]
    with subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        assert any("listening url=https://" in line for line in process.stderr)
        process.terminate()
        process.communicate()
    (tmp_path / "server.key").write_text("nonsense")
    done = subprocess.run(
        command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 1
    (told,) = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert "server.key" in told


async def test_a_head_that_does_not_come_ends_the_connection(
    open_api: OpenApi, tmp_path: Path
) -> None:
    async with (
        open_api() as api,
        certified(written(tmp_path)) as context,
        RunningServer(Asgi.UVICORN, tls=context, read_timeout=timedelta(seconds=1)) as running,
    ):
        running.app = create_app(api.gateway)
        host, port = running.url.removeprefix("https://").split(":")
        reader, writer = await asyncio.open_connection(host, int(port), ssl=trusting())
        writer.write(b"GET /health HTT")
        async with asyncio.timeout(20):
            assert await reader.read() == b""
        writer.close()
