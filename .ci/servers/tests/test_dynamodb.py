"""DynamoDB Local through Amazon's own client."""

from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from servers import dynamodb

pytestmark = pytest.mark.server

Gone = Callable[[int, Path], None]


def connect(url: str, key: str = "acteon") -> Any:
    return boto3.client(
        "dynamodb",
        endpoint_url=url,
        region_name="us-east-1",
        aws_access_key_id=key,
        aws_secret_access_key="acteon",
    )


def make_table(client: Any) -> None:
    client.create_table(
        TableName="kept",
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        BillingMode="PAY_PER_REQUEST",
    )


def test_it_keeps_its_data_over_a_stop_and_a_kill(assert_gone: Gone) -> None:
    with dynamodb.running() as server, closing(connect(server.url)) as client:
        make_table(client)
        for at, end in [("stop", server.stop), ("kill", server.kill)]:
            client.put_item(TableName="kept", Item={"id": {"S": at}})
            end()
            server.start()

        assert client.scan(TableName="kept")["Count"] == 2
        with pytest.raises(ClientError, match="ConditionalCheckFailed"):
            client.put_item(
                TableName="kept",
                Item={"id": {"S": "kill"}},
                ConditionExpression="attribute_not_exists(id)",
            )
        pid = server.pid

    assert pid is not None
    assert_gone(pid, server.folder)


@pytest.mark.parametrize("shared", [False, True])
def test_access_keys_share_their_tables_if_asked_to(shared: bool) -> None:
    with (
        dynamodb.running(shared=shared) as server,
        closing(connect(server.url, "one")) as one,
        closing(connect(server.url, "other")) as other,
    ):
        make_table(one)

        assert other.list_tables()["TableNames"] == (["kept"] if shared else [])
