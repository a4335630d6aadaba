"""Connections that are encrypted, and servers that say who they are."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
import trustme
from attrs import evolve

from acteon.state import StateConnectionError, StateKey
from acteon.state_clickhouse import ClickHouseStateConfig, ClickHouseStatePlugin
from servers import clickhouse
from servers.ports import reserved

pytestmark = pytest.mark.server

CONFIG = """
<tcp_port_secure>{port}</tcp_port_secure>
<openSSL><server>
    <certificateFile>{folder}/server.pem</certificateFile>
    <privateKeyFile>{folder}/server.key</privateKeyFile>
    <caConfig>{folder}/authority.pem</caConfig>
    <verificationMode>{mode}</verificationMode>
</server></openSSL>
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("certificates")
    authority = trustme.CA()
    for name, host in {"server": "127.0.0.1", "client": "gateway.example"}.items():
        issued = authority.issue_cert(host)
        issued.private_key_pem.write_to_path(folder / f"{name}.key")
        (folder / f"{name}.pem").write_bytes(
            b"".join(blob.bytes() for blob in issued.cert_chain_pems)
        )
    authority.cert_pem.write_to_path(folder / "authority.pem")
    trustme.CA().cert_pem.write_to_path(folder / "stranger.pem")
    return folder


@pytest.fixture(scope="module")
def secured(folder: Path) -> Iterator[ClickHouseStateConfig]:
    """Give what opens a server that asks for certificates."""
    with (
        reserved() as port,
        clickhouse.running(config=CONFIG.format(port=port, folder=folder, mode="strict")),
    ):
        yield ClickHouseStateConfig(
            url=f"clickhouses://127.0.0.1:{port}",
            allow_weak_locks=True,
            tls_ca_file=folder / "authority.pem",
            tls_cert_file=folder / "client.pem",
            tls_key_file=folder / "client.key",
        )


async def opens(config: ClickHouseStateConfig) -> None:
    key = StateKey("test", "tls", "state", "1")
    async with ClickHouseStatePlugin.open(config) as backend:
        await backend.store.set(key, "mine", ttl=timedelta(hours=1))
        assert await backend.store.get(key) == "mine"


async def test_certificates_open_it(secured: ClickHouseStateConfig) -> None:
    await opens(secured)


async def test_a_server_of_another_authority_is_refused(
    secured: ClickHouseStateConfig, folder: Path
) -> None:
    with pytest.raises(StateConnectionError, match="its certificate cannot be trusted"):
        await opens(evolve(secured, tls_ca_file=folder / "stranger.pem"))


async def test_the_check_can_be_left_out(secured: ClickHouseStateConfig, folder: Path) -> None:
    await opens(evolve(secured, tls_ca_file=folder / "stranger.pem", tls_verify=False))


async def test_without_a_certificate_of_ours_it_does_not_open(
    secured: ClickHouseStateConfig,
) -> None:
    with pytest.raises(StateConnectionError):
        await opens(evolve(secured, tls_cert_file=None, tls_key_file=None))
