"""`docker-compose.yml` offers what `servers` offers, and what the example configurations use."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from servers.__main__ import OFFERS

ROOT = Path(__file__).parents[3]
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVERS = {name: each for name, each in COMPOSE["services"].items() if name != "acteon"}
POMS = ROOT / ".ci" / "servers" / "java"


def published(service: dict[str, Any]) -> set[int]:
    return {int(port.rpartition(":")[0].rpartition(":")[2]) for port in service["ports"]}


def tag(name: str) -> str:
    image: str = SERVERS[name]["image"]
    return image.rpartition(":")[2]


def test_the_servers_are_the_same_and_so_are_their_ports() -> None:
    offered = {name: set(offer.ports) for name, offer in OFFERS.items()}

    assert {name: published(each) for name, each in SERVERS.items()} == offered


def test_redis_runs_by_default_and_the_others_with_the_profile_of_their_name() -> None:
    profiles = {name: each.get("profiles", []) for name, each in SERVERS.items()}

    assert profiles == {name: [] if name == "redis" else [name] for name in OFFERS}


@pytest.mark.parametrize("name", SERVERS)
def test_each_has_a_pinned_image_a_health_check_and_a_volume(name: str) -> None:
    service = SERVERS[name]
    (volume,) = service["volumes"]

    assert re.match(r"\d+(\.\d+)*(-alpine)?$", tag(name))
    assert service["healthcheck"]["test"][0] in ("CMD", "CMD-SHELL")
    assert volume.partition(":")[0] in COMPOSE["volumes"]


@pytest.mark.parametrize("name", SERVERS)
def test_each_is_out_of_reach_of_other_machines(name: str) -> None:
    assert all(port.startswith("127.0.0.1:") for port in SERVERS[name]["ports"])


@pytest.mark.parametrize(
    ("name", "artifact"),
    [("dynamodb", "DynamoDBLocal"), ("elasticsearch", "elasticsearch")],
)
def test_the_images_are_of_the_version_that_servers_runs(name: str, artifact: str) -> None:
    pom = (POMS / f"{name}.xml").read_text()
    found = re.search(rf"<artifactId>{artifact}</artifactId>\s*<version>([^<]+)<", pom)

    assert found is not None
    assert tag(name) == found.group(1)


def test_the_addresses_in_the_examples_are_those_of_the_servers() -> None:
    text = "".join(path.read_text() for path in ROOT.glob("examples/*.toml"))
    used = re.findall(r'url = "(\w+)://\S*?localhost:(\d+)', text)
    offered = {port for each in SERVERS.values() for port in published(each)}

    assert ("redis", "6379") in used
    assert {int(port) for _, port in used} <= offered


def test_postgres_has_the_user_and_database_of_the_examples() -> None:
    assert set(SERVERS["postgres"]["environment"].values()) == {"acteon"}
