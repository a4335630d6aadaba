"""Everything that the README shows works."""

import json
import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any
from uuid import uuid4

import attrs
import pytest
from attrs import evolve

from acteon.state import StateBackend, StateKey
from acteon.state_dynamodb import Calls, DynamoDBStateConfig, DynamoDBStatePlugin

README = (Path(__file__).parents[1] / "README.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


def commands() -> list[tuple[str, dict[str, str]]]:
    """Return the shell's commands: the operation of each, and its options."""
    found: list[tuple[str, dict[str, str]]] = []
    for block in blocks("sh"):
        for line in block.replace("\\\n", " ").strip().splitlines():
            aws, service, operation, *words = shlex.split(line)
            assert (aws, service) == ("aws", "dynamodb")
            options = " ".join(words).split("--")[1:]
            found.append((operation, dict(one.strip().split(" ", 1) for one in options)))
    return found


def fields(text: str) -> dict[str, str]:
    return dict(part.split("=", 1) for part in text.split(","))


def test_the_configurations_are_some() -> None:
    for text in blocks("toml"):
        state = tomllib.loads(text)["state"]
        assert state.pop("backend") == "dynamodb"
        DynamoDBStateConfig(**state)


def test_every_key_is_told_with_its_default() -> None:
    told = dict(re.findall(r"^\| `(\w+)` \| ([^|]+) \|", README, re.MULTILINE))
    config = DynamoDBStateConfig()
    defaults = {
        name: str(getattr(config, name)).removesuffix(".0")
        for name in (one.name for one in attrs.fields(DynamoDBStateConfig))
    }
    defaults |= {"url": "none", "create_table": "if there is a `url`", "fused": "true"}
    assert {name: text.strip("`") for name, text in told.items()} == {
        name: text.strip("`") for name, text in defaults.items()
    }


@pytest.mark.server
async def test_a_table_made_by_hand_is_one(config: DynamoDBStateConfig, calls: Calls) -> None:
    made = evolve(config, table_name=f"by_hand_{uuid4().hex}", create_table=False)
    create, life = (options for operation, options in commands() if "put" not in operation)
    request: dict[str, Any] = {
        "TableName": made.table_name,
        "BillingMode": create["billing-mode"],
        "AttributeDefinitions": [fields(one) for one in create["attribute-definitions"].split()],
        "KeySchema": [fields(one) for one in create["key-schema"].split()],
    }
    await calls.call("create_table", request, repeatable=False)
    wanted = fields(life["time-to-live-specification"])
    assert wanted["Enabled"] == "true"
    specification = {"Enabled": True, "AttributeName": wanted["AttributeName"]}
    await calls.call(
        "update_time_to_live",
        {"TableName": made.table_name, "TimeToLiveSpecification": specification},
        repeatable=False,
    )
    async with DynamoDBStatePlugin.open(made) as backend:
        await backend.store.ping()


@pytest.mark.server
async def test_an_entry_written_by_hand_is_read(backend: StateBackend, calls: Calls) -> None:
    (put,) = (options for operation, options in commands() if operation == "put-item")
    request = {"TableName": put["table-name"], "Item": json.loads(put["item"])}
    await calls.call("put_item", request, repeatable=False)
    assert await backend.store.get(StateKey("shop", "acme", "state", "maintenance")) == "on"


def test_the_permissions_are_those_of_the_calls_that_are_made() -> None:
    (text,) = blocks("json")
    (statement,) = json.loads(text)["Statement"]
    allowed = {action.removeprefix("dynamodb:") for action in statement["Action"]}
    told = {*allowed, *re.findall(r"`dynamodb:(\w+)`", README)}
    source = Path(__file__).parents[1] / "src"
    made = set(
        re.findall(
            r'"((?:get|batch_get|create|describe|update)_\w+)"',
            "".join(path.read_text() for path in source.rglob("*.py")),
        )
    )
    called = {"".join(word.capitalize() for word in name.split("_")) for name in made}
    kinds = {"PutItem", "UpdateItem", "DeleteItem"}
    assert told == {name.replace("Ttl", "TimeToLive") for name in called} | kinds


@pytest.mark.server
def test_the_program_prints_what_it_took(config: DynamoDBStateConfig) -> None:
    (program,) = blocks("python")
    assert config.url is not None
    program = program.replace("http://localhost:8000", config.url)
    done = subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True
    )
    assert re.findall(r"admitted=(\w+)", done.stdout) == ["True", "True", "False"]
    assert done.stderr == ""
