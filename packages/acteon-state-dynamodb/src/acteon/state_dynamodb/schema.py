"""The table itself: found at start, or made."""

import asyncio
import logging
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any, Final

from botocore.exceptions import BotoCoreError, ClientError

from acteon.core import ConfigError
from acteon.state import StateConnectionError
from acteon.state_dynamodb.calls import Calls
from acteon.state_dynamodb.errors import code_of, is_missing_table, is_outage, line

log = logging.getLogger(__name__)

KEYS: Final = [("pk", "HASH"), ("sk", "RANGE")]
POLL: Final = timedelta(milliseconds=200)
TIME_TO_CREATE: Final = timedelta(seconds=60)
MOST_SKEW: Final = timedelta(seconds=2)
"""DynamoDB tells its time in whole seconds, and the answer takes its time, too."""

Description = Mapping[str, Any]


async def prepare(calls: Calls) -> None:
    """Return when the table can be used.

    Raises:
        ConfigError: It cannot be used, or must be made first.
        StateConnectionError: DynamoDB cannot be reached.
    """
    config = calls.config
    try:
        found = await _described(calls)
        if found is None:
            if not config.creates:
                raise ConfigError(
                    f"{config.where}: there is no table {config.table_name!r}; make it with "
                    "'pk' and 'sk' as its keys, or set create_table = true"
                )
            await _create(calls)
        async with asyncio.timeout(TIME_TO_CREATE.total_seconds()):
            while found is None or found.get("TableStatus") not in {"ACTIVE", "UPDATING"}:
                await asyncio.sleep(POLL.total_seconds())
                found = await _described(calls)
        await _remove_expired(calls)
    except TimeoutError as error:
        text = f"{config.where}: the table {config.table_name!r} is not ready in time"
        raise StateConnectionError(text) from error
    except (ClientError, BotoCoreError) as error:
        text = f"{config.where}: {line(error)}"
        raise (StateConnectionError if is_outage(error) else ConfigError)(text) from error
    keys = [(key["AttributeName"], key["KeyType"]) for key in found["KeySchema"]]
    if keys != KEYS:
        raise ConfigError(
            f"{config.where}: the table {config.table_name!r} has other keys than 'pk' and 'sk'"
        )


async def _described(calls: Calls) -> Description | None:
    request = {"TableName": calls.config.table_name}
    try:
        answer = await calls.call("describe_table", request, repeatable=True)
    except ClientError as error:
        if is_missing_table(error):
            return None
        raise
    _compare_clocks(answer, calls.config.where)
    found: Description = answer["Table"]
    return found


async def _create(calls: Calls) -> None:
    request = {
        "TableName": calls.config.table_name,
        "AttributeDefinitions": [{"AttributeName": name, "AttributeType": "S"} for name, _ in KEYS],
        "KeySchema": [{"AttributeName": name, "KeyType": kind} for name, kind in KEYS],
        "BillingMode": "PAY_PER_REQUEST",
    }
    try:
        await calls.call("create_table", request, repeatable=True)
    except ClientError as error:
        if code_of(error) != "ResourceInUseException":  # another gateway was faster
            raise
    else:
        log.info("table created", extra={"acteon.table": calls.config.table_name})


async def _remove_expired(calls: Calls) -> None:
    """See to it that DynamoDB removes what has expired; it costs nothing."""
    name = {"TableName": calls.config.table_name}
    try:
        answer = await calls.call("describe_time_to_live", name, repeatable=True)
        state: Description = answer["TimeToLiveDescription"]
        if state["TimeToLiveStatus"] != "DISABLED":
            return
        if calls.config.creates:
            wanted = {"Enabled": True, "AttributeName": "expires_at"}
            request = {**name, "TimeToLiveSpecification": wanted}
            await calls.call("update_time_to_live", request, repeatable=True)
            return
    except ClientError as error:
        if code_of(error) not in {"AccessDeniedException", "ValidationException"}:
            raise
        # It may not be asked, or another gateway was faster.
        log.debug("time to live is left as it is", extra={"acteon.error": line(error)})
        return
    log.warning(
        "expired entries stay in the table: enable its time to live on 'expires_at'",
        extra={"acteon.table": calls.config.table_name},
    )


def _compare_clocks(answer: Mapping[str, Any], where: str) -> None:
    """Complain of a clock that is far from DynamoDB's: gateways' clocks decide what expires."""
    told = answer["ResponseMetadata"].get("HTTPHeaders", {}).get("date")
    if told is None:
        return
    ahead = datetime.now(UTC) - parsedate_to_datetime(told)
    if abs(ahead) > MOST_SKEW:
        log.warning(
            "this machine's clock and DynamoDB's differ: leases and windows end early or late",
            extra={"acteon.where": where, "acteon.seconds": round(ahead.total_seconds(), 1)},
        )
