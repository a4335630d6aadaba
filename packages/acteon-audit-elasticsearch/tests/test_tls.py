"""Connections that are encrypted, and servers that say who they are."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import trustme
from attrs import evolve

from acteon.audit import AuditQuery, AuditStorageError
from acteon.audit.testing import make_record
from acteon.audit_elasticsearch import ElasticsearchAuditConfig, ElasticsearchAuditPlugin
from servers.process import Server

pytestmark = pytest.mark.server


@pytest.fixture
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
async def secured(
    server: Server, prefix: str, authority: trustme.CA, tmp_path: Path
) -> AsyncIterator[ElasticsearchAuditConfig]:
    """Give what opens the server through something that encrypts before it."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    issued = authority.issue_cert("127.0.0.1")
    chain = tmp_path / "server.pem"
    issued.private_key_and_cert_chain_pem.write_to_path(chain)
    context.load_cert_chain(chain)
    path = tmp_path / "authority.pem"
    authority.cert_pem.write_to_path(path)

    async def copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while octets := await reader.read(65536):
                writer.write(octets)
                await writer.drain()
        except OSError:
            pass  # the other side has gone
        finally:
            writer.close()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        behind = await asyncio.open_connection(server.host, server.port)
        async with asyncio.TaskGroup() as group:
            group.create_task(copy(reader, behind[1]))
            group.create_task(copy(behind[0], writer))

    listening = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    async with listening:
        port = listening.sockets[0].getsockname()[1]
        yield ElasticsearchAuditConfig(
            url=f"https://127.0.0.1:{port}", prefix=prefix, tls_ca_file=path
        )


async def opens(config: ElasticsearchAuditConfig) -> None:
    async with ElasticsearchAuditPlugin.open(config) as store:
        await store.write([make_record()])
        assert (await store.query(AuditQuery())).total == 1


async def test_certificates_open_it(secured: ElasticsearchAuditConfig) -> None:
    await opens(secured)


async def test_a_server_of_another_authority_is_refused(
    secured: ElasticsearchAuditConfig, tmp_path: Path
) -> None:
    stranger = tmp_path / "stranger.pem"
    trustme.CA().cert_pem.write_to_path(stranger)
    with pytest.raises(AuditStorageError, match=r"TLS failed: .*certificate verify failed"):
        await opens(evolve(secured, tls_ca_file=stranger))


async def test_the_usual_authorities_do_not_know_it(secured: ElasticsearchAuditConfig) -> None:
    with pytest.raises(AuditStorageError, match="TLS failed"):
        await opens(evolve(secured, tls_ca_file=None))


async def test_the_check_can_be_left_out(secured: ElasticsearchAuditConfig) -> None:
    await opens(evolve(secured, tls_ca_file=None, tls_verify=False))
