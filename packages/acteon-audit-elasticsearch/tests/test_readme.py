"""Everything that the README shows runs, and what it says of the layout is so."""

import asyncio
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from time import monotonic

import attrs
import pytest
from elasticsearch import Elasticsearch

from acteon.audit import AuditStore
from acteon.audit.testing import make_record
from acteon.audit_elasticsearch import ElasticsearchAuditConfig, Layout
from servers.process import Server

README = (Path(__file__).parents[1] / "README.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


def rows(heading: str) -> dict[str, list[str]]:
    """Return the cells of the table under `heading`, by each name in the first one."""
    table = README.partition(f"| {heading} |")[2].partition("\n\n")[0]
    found: dict[str, list[str]] = {}
    for line in table.splitlines()[2:]:
        names, *cells = [cell.strip() for cell in line.strip("|").split("|")]
        found |= dict.fromkeys(re.findall(r"`(\w+)`", names), cells)
    return found


def test_the_configuration_is_one() -> None:
    (text,) = blocks("toml")
    audit = tomllib.loads(text)["audit"]
    assert (audit.pop("backend"), audit.pop("enabled")) == ("elasticsearch", True)
    config = ElasticsearchAuditConfig(**audit)
    assert config.user == ("acteon", "secret")
    assert Layout.of(config.prefix).alias == "acteon_audit"


def test_every_key_is_told_with_its_default() -> None:
    told = {name: cells[0].strip("`") for name, cells in rows("key").items()}
    config = ElasticsearchAuditConfig(url="http://localhost")
    defaults = {
        one.name: str(getattr(config, one.name)).removesuffix(".0").lower()
        for one in attrs.fields(ElasticsearchAuditConfig)
    }
    assert told == {**defaults, "url": "required"}


def test_every_member_is_told_with_its_type() -> None:
    told = rows("member")
    properties = Layout().definition["mappings"]["properties"]
    assert set(told) == set(properties)
    for name, mapping in properties.items():
        kind = told[name][0]
        assert ("indexed" in kind.split(", ")) is (
            mapping.get("index", True) and mapping["type"] in {"keyword", "long"}
        ), name
        assert mapping["type"] in kind or (mapping["type"], kind) == ("object", "not indexed"), name


def test_the_command_prints_the_index() -> None:
    (command,) = blocks("sh")
    program, *arguments = command.split()
    assert program == "python"
    done = subprocess.run([sys.executable, *arguments], check=True, capture_output=True, text=True)
    assert done.stdout.startswith("PUT /acteon_audit-000001\n{")


@pytest.mark.server
def test_the_program_prints_how_many_failed(server: Server) -> None:
    (program,) = blocks("python")
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program],
        env={"ELASTICSEARCH_URL": server.url},
        check=True,
        capture_output=True,
        text=True,
    )
    assert (done.stdout, done.stderr) == ("0 failed\n", "")


@pytest.mark.server
@pytest.mark.timeout(90)
async def test_what_is_erased_is_gone_from_the_disk_after_a_merge(
    server: Server, store: AuditStore, prefix: str
) -> None:
    records = [make_record() for _ in range(3)]
    await store.write([*records, *(make_record() for _ in range(100))])
    await store.erase([record.id for record in records])

    (requests,) = blocks("http")
    index = f"{prefix}_audit"
    with Elasticsearch(server.url) as client:
        # Half a minute, which the README asks to wait for.
        deadline = monotonic() + 60
        while True:
            for request in requests.splitlines():
                method, path = request.replace("acteon_audit", index).split()
                client.perform_request(method, path, headers={"accept": "application/json"})
            stats = client.indices.stats(index=index, metric="docs")
            documents = stats["_all"]["primaries"]["docs"]
            if not documents["deleted"]:
                break
            assert monotonic() < deadline, documents
            await asyncio.sleep(1)
    assert documents["count"] == 103
