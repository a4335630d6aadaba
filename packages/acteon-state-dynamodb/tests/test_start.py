"""What happens at start: the table is found or made, or one line says what to do."""

import logging
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Protocol

import pytest
from attrs import evolve

from acteon.core import STATE, ConfigError, load_plugin
from acteon.state import StateConnectionError, StateKey, StatePlugin, dispatch_state
from acteon.state.testing import together
from acteon.state_dynamodb import (
    Calls,
    DynamoDBDispatch,
    DynamoDBStateConfig,
    DynamoDBStatePlugin,
    dynamodb_backend,
    prepare,
)

KEY = StateKey("test", "t", "state", "1")


class Meddler(Protocol):
    date: str | None
    url: str
    calls: list[str]

    def fail(self, operation: str, *faults: object) -> None: ...


def test_it_is_found_by_its_name() -> None:
    assert load_plugin(STATE, "dynamodb", StatePlugin) is DynamoDBStatePlugin


@pytest.mark.server
async def test_a_missing_table_is_made_by_one_of_many_and_removes_what_has_expired(
    config: DynamoDBStateConfig, calls: Calls, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    new = evolve(config, table_name=f"made.by_many-{datetime.now(UTC).timestamp()}")

    async def open_and_use(number: int) -> str | None:
        key = KEY._replace(id=str(number))
        async with DynamoDBStatePlugin.open(new) as backend:
            await backend.store.set(key, "mine", ttl=timedelta(hours=1))
            return await backend.store.get(key)

    assert await together(open_and_use(number) for number in range(4)) == ["mine"] * 4
    assert [one.message for one in caplog.records].count("table created") == 1

    name = {"TableName": new.table_name}
    table = (await calls.call("describe_table", name, repeatable=True))["Table"]
    assert table["BillingModeSummary"]["BillingMode"] == "PAY_PER_REQUEST"
    life = await calls.call("describe_time_to_live", name, repeatable=True)
    assert life["TimeToLiveDescription"]["AttributeName"] == "expires_at"
    assert life["TimeToLiveDescription"]["TimeToLiveStatus"] in {"ENABLING", "ENABLED"}


@pytest.mark.server
async def test_without_leave_to_make_it_a_missing_table_ends_the_start(
    config: DynamoDBStateConfig,
) -> None:
    absent = evolve(config, table_name="absent", create_table=False)
    with pytest.raises(ConfigError) as error:
        async with DynamoDBStatePlugin.open(absent):
            pass
    assert str(error.value) == (
        f"dynamodb at {config.url}: there is no table 'absent'; make it with 'pk' and 'sk' as its "
        "keys, or set create_table = true"
    )


@pytest.mark.server
async def test_a_table_of_somebody_else_is_refused(
    config: DynamoDBStateConfig, calls: Calls
) -> None:
    request = {
        "TableName": "theirs",
        "AttributeDefinitions": [{"AttributeName": "id", "AttributeType": "S"}],
        "KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}],
        "BillingMode": "PAY_PER_REQUEST",
    }
    await calls.call("create_table", request, repeatable=False)
    with pytest.raises(ConfigError, match="'theirs' has other keys than 'pk' and 'sk'"):
        async with DynamoDBStatePlugin.open(evolve(config, table_name="theirs")):
            pass


@pytest.mark.server
async def test_a_table_that_keeps_what_has_expired_is_complained_of(
    config: DynamoDBStateConfig, calls: Calls, caplog: pytest.LogCaptureFixture
) -> None:
    kept = evolve(config, table_name="kept", create_table=False)
    request = {
        "TableName": kept.table_name,
        "AttributeDefinitions": [
            {"AttributeName": name, "AttributeType": "S"} for name in ("pk", "sk")
        ],
        "KeySchema": [
            {"AttributeName": "pk", "KeyType": "HASH"},
            {"AttributeName": "sk", "KeyType": "RANGE"},
        ],
        "ProvisionedThroughput": {"ReadCapacityUnits": 5, "WriteCapacityUnits": 5},
    }
    await calls.call("create_table", request, repeatable=False)
    async with DynamoDBStatePlugin.open(kept) as backend:
        await backend.store.ping()
    assert [one.message for one in caplog.records] == [
        "expired entries stay in the table: enable its time to live on 'expires_at'"
    ]


@pytest.mark.server
async def test_a_clock_far_from_that_of_dynamodb_is_complained_of(
    meddler: Meddler, caplog: pytest.LogCaptureFixture
) -> None:
    async with Calls(DynamoDBStateConfig(url=meddler.url)) as calls:
        await prepare(calls)
        assert caplog.records == []
        meddler.date = format_datetime(datetime.now(UTC) - timedelta(minutes=2), usegmt=True)
        await prepare(calls)
    (record,) = caplog.records
    assert "clock and DynamoDB's differ" in record.message
    assert 119 < record.__dict__["acteon.seconds"] < 125


@pytest.mark.server
async def test_refused_credentials_end_the_start_in_one_line(meddler: Meddler) -> None:
    meddler.fail(
        "DescribeTable",
        {
            "__type": "com.amazon.coral.service#UnrecognizedClientException",
            "message": "The security token included in the request is invalid.",
        },
    )
    with pytest.raises(ConfigError) as error:
        async with DynamoDBStatePlugin.open(DynamoDBStateConfig(url=meddler.url)):
            pass
    assert str(error.value) == (
        f"dynamodb at {meddler.url}: the AWS credentials were refused: The security token "
        "included in the request is invalid. (UnrecognizedClientException)"
    )


@pytest.mark.server
async def test_what_may_not_be_asked_of_the_table_is_left_alone(meddler: Meddler) -> None:
    denied = {"__type": "com.amazon.coral.service#AccessDeniedException", "Message": "no"}
    meddler.fail("DescribeTimeToLive", denied)
    async with DynamoDBStatePlugin.open(DynamoDBStateConfig(url=meddler.url)) as backend:
        await backend.store.ping()
    assert "UpdateTimeToLive" not in meddler.calls


@pytest.mark.server
async def test_dispatches_are_fused_unless_the_configuration_says_otherwise(
    config: DynamoDBStateConfig,
) -> None:
    async with DynamoDBStatePlugin.open(config) as backend:
        assert isinstance(dispatch_state(backend), DynamoDBDispatch)
    async with DynamoDBStatePlugin.open(evolve(config, fused=False)) as backend:
        assert backend.dispatch is None


async def test_nobody_listening_ends_the_start_in_one_line() -> None:
    config = DynamoDBStateConfig(url="http://127.0.0.1:1")
    with pytest.raises(StateConnectionError) as error:
        async with DynamoDBStatePlugin.open(config):
            pass
    assert str(error.value) == (
        "connection error: dynamodb at http://127.0.0.1:1: it cannot be reached"
    )


PROGRAM = """
import asyncio
from acteon.core import ActeonError
from acteon.state_dynamodb import DynamoDBStateConfig, DynamoDBStatePlugin

async def main():
    try:
        async with DynamoDBStatePlugin.open(DynamoDBStateConfig(region="eu-central-1")):
            print("open")
    except ActeonError as error:
        print(f"{type(error).__name__}: {error}")

asyncio.run(main())
"""


@pytest.mark.parametrize(
    ("environment", "told"),
    [
        (
            {},
            "ConfigError: dynamodb in eu-central-1: no AWS credentials were found; set "
            "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or give the machine a role",
        ),
        (
            {"AWS_PROFILE": "absent"},
            "ConfigError: dynamodb in eu-central-1: The config profile (absent) could not be found",
        ),
        (
            {"AWS_ACCESS_KEY_ID": "half"},
            "ConfigError: dynamodb in eu-central-1: Partial credentials found in env, missing: "
            "AWS_SECRET_ACCESS_KEY",
        ),
    ],
    ids=["none", "no such profile", "half of them"],
)
def test_missing_credentials_end_the_start_in_one_line(
    environment: dict[str, str], told: str
) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        env={"AWS_EC2_METADATA_DISABLED": "true", "HOME": "/nowhere", **environment},
        check=True,
        capture_output=True,
        text=True,
    )
    assert (done.stdout, done.stderr) == (f"{told}\n", "")


@pytest.mark.parametrize(
    "page", [b"<html>sign in</html>", b"[]", b"{}", b"\xff\xfe", b'{"Table": 1}', b""]
)
async def test_what_is_not_dynamodb_ends_the_start_in_one_line(page: bytes) -> None:
    with answering(page) as url:
        with pytest.raises(StateConnectionError) as error:
            async with DynamoDBStatePlugin.open(DynamoDBStateConfig(url=url)):
                pass
        assert str(error.value) == (
            f"connection error: dynamodb at {url}: what answers there is not DynamoDB;"
            " correct the url"
        )


async def test_what_is_not_dynamodb_grants_nothing() -> None:
    with answering(b"{}") as url:
        async with Calls(DynamoDBStateConfig(url=url)) as calls:
            backend = dynamodb_backend(calls)
            with pytest.raises(StateConnectionError):
                await backend.locks.try_acquire("lock", "mine", timedelta(minutes=1))
            with pytest.raises(StateConnectionError):
                await backend.store.get(StateKey("shop", "acme", "state", "1"))


@contextmanager
def answering(page: bytes) -> Generator[str]:
    """Give the address of a server that answers everything with `page`."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response_only(200)
            self.send_header("Content-Length", str(len(page)))
            self.end_headers()
            self.wfile.write(page)

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as httpd:
        httpd.daemon_threads = True
        thread = Thread(target=httpd.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{httpd.server_port}"
        httpd.shutdown()
        thread.join()
