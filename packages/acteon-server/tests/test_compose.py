"""What `docker-compose.yml` says to the server is understood, and does what the file wants."""

import subprocess
from pathlib import Path

import pytest
import yaml

from acteon.server import load_config

ROOT = Path(__file__).parents[3]
SERVICES = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]


def test_the_server_is_reachable_at_the_port_that_is_published() -> None:
    service = SERVICES["acteon"]
    config = load_config(None, environ=service["environment"])
    (published,) = service["ports"]

    assert published == f"127.0.0.1:{config.server.port}:{config.server.port}"
    assert config.server.beyond_loopback
    assert config.server.allow_anonymous


def test_every_variable_means_something(caplog: pytest.LogCaptureFixture) -> None:
    config = load_config(None, environ=SERVICES["acteon"]["environment"])
    assert config.state.backend == "redis"
    assert [record.getMessage() for record in caplog.records if "means nothing" in record.msg] == []


def test_the_rules_that_it_names_are_in_the_folder_that_is_mounted() -> None:
    service = SERVICES["acteon"]
    (mounted,) = service["volumes"]
    host, _, container = mounted.partition(":")
    rules = Path(service["environment"]["ACTEON_RULES_DIRECTORY"])

    assert list((ROOT / host / rules.relative_to(container)).glob("*.yaml"))


def test_every_package_is_installed_before_the_server_starts() -> None:
    shell, option, written = SERVICES["acteon"]["command"]
    # Compose takes a lone dollar sign for a variable of its own.
    assert "$" not in written.replace("$$", "")
    command = written.replace("$$", "$").replace("pip install", "echo").split("&& exec")[0]
    said = subprocess.run(
        [shell, option, command], cwd=ROOT, capture_output=True, text=True, check=True
    )

    packages = {f"packages/{path.parent.name}" for path in ROOT.glob("packages/*/pyproject.toml")}
    assert packages <= set(said.stdout.split())
    assert written.endswith("&& exec acteon-server")
