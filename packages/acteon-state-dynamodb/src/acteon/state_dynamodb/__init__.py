"""State and locks in DynamoDB."""

from acteon.state_dynamodb.calls import Calls
from acteon.state_dynamodb.config import DynamoDBStateConfig
from acteon.state_dynamodb.dispatch import DynamoDBDispatch
from acteon.state_dynamodb.items import Layout
from acteon.state_dynamodb.locks import DynamoDBLocks
from acteon.state_dynamodb.plugin import DynamoDBStatePlugin, dynamodb_backend
from acteon.state_dynamodb.schema import prepare
from acteon.state_dynamodb.store import DynamoDBStateStore
from acteon.state_dynamodb.table import Table

__all__ = [
    "Calls",
    "DynamoDBDispatch",
    "DynamoDBLocks",
    "DynamoDBStateConfig",
    "DynamoDBStatePlugin",
    "DynamoDBStateStore",
    "Layout",
    "Table",
    "dynamodb_backend",
    "prepare",
]
