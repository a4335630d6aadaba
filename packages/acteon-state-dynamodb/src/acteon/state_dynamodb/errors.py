"""From the driver's errors to ours."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectionClosedError,
    ConnectTimeoutError,
    CredentialRetrievalError,
    EndpointConnectionError,
    HTTPClientError,
    NoCredentialsError,
    PartialCredentialsError,
    ProxyConnectionError,
    ReadTimeoutError,
)

from acteon.state import StateBackendError, StateConnectionError, StateError

CallError = ClientError | BotoCoreError | TimeoutError
"""What a call may raise."""

UNMET: Final = "ConditionalCheckFailed"
_LONGEST: Final = 300
_CROWDED: Final = frozenset(
    {
        "LimitExceededException",
        "ProvisionedThroughputExceeded",
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "ReplicatedWriteConflictException",
        "Throttling",
        "ThrottlingError",
        "ThrottlingException",
        "TransactionConflict",
        "TransactionConflictException",
        "TransactionInProgressException",
    }
)
"""Codes of calls that were not carried out, and may be if they are made again."""
_NO_CREDENTIALS: Final = (
    CredentialRetrievalError,
    NoCredentialsError,
    PartialCredentialsError,
)
_CREDENTIALS: Final = frozenset(
    {
        "AccessDeniedException",
        "ExpiredTokenException",
        "IncompleteSignature",
        "InvalidSignatureException",
        "MissingAuthenticationToken",
        "MissingAuthenticationTokenException",
        "UnrecognizedClientException",
    }
)


def code_of(error: CallError) -> str:
    """Return DynamoDB's code of `error`; empty if it did not answer."""
    return str(_detail(error).get("Code", "")) if isinstance(error, ClientError) else ""


def reasons_of(error: CallError) -> Sequence[Mapping[str, Any]]:
    """Return why a transaction was cancelled, one reason for each of its writes."""
    response: Mapping[str, Any] = error.response if isinstance(error, ClientError) else {}
    reasons: Sequence[Mapping[str, Any]] = response.get("CancellationReasons", ())
    return reasons


def is_unmet(error: CallError) -> bool:
    """Return whether a condition did not hold."""
    code = code_of(error)
    if code == "TransactionCanceledException":
        return any(reason.get("Code") == UNMET for reason in reasons_of(error))
    return code == f"{UNMET}Exception"


def is_crowded(error: CallError) -> bool:
    """Return whether there was too much at once: the call was not carried out."""
    if code_of(error) == "TransactionCanceledException":
        codes = {reason.get("Code", "None") for reason in reasons_of(error)} - {"None"}
        return bool(codes) and codes <= _CROWDED
    return code_of(error) in _CROWDED


def is_unsent(error: CallError) -> bool:
    """Return whether the call cannot have been carried out, as DynamoDB was not reached."""
    return isinstance(error, EndpointConnectionError | ProxyConnectionError)


def is_lost(error: CallError) -> bool:
    """Return whether the call may have been carried out or not, and another may succeed."""
    return isinstance(error, ConnectionClosedError) or _status(error) >= 500


def is_outage(error: CallError) -> bool:
    """Return whether DynamoDB, or the way to it, is at fault."""
    if isinstance(error, _NO_CREDENTIALS):
        return False
    return not isinstance(error, ClientError) or _status(error) >= 500


def is_missing_table(error: CallError) -> bool:
    """Return whether there is no such table."""
    return code_of(error) == "ResourceNotFoundException"


def translated(error: CallError, where: str) -> StateError:
    """Return what is raised in place of the driver's `error`."""
    text = f"{where}: {line(error)}"
    return StateConnectionError(text) if is_outage(error) else StateBackendError(text)


def line(error: CallError) -> str:
    """Return what `error` says, in one line."""
    match error:
        case TimeoutError() | ReadTimeoutError():
            text = "no answer in time"
        case NoCredentialsError():
            text = (
                "no AWS credentials were found; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, "
                "or give the machine a role"
            )
        case EndpointConnectionError() | ProxyConnectionError():
            text = "it cannot be reached"
        case ConnectTimeoutError():
            text = "it cannot be reached in time"
        case ConnectionClosedError():
            text = "the connection was closed before an answer came"
        case HTTPClientError():
            text = f"the call failed ({type(error).__name__})"
        case ClientError() if code_of(error) in _CREDENTIALS:
            text = f"the AWS credentials were refused: {_said(error)}"
        case ClientError() if is_missing_table(error):
            text = "the table does not exist"
        case ClientError():
            text = _said(error)
        case _:
            text = str(error)
    text = " ".join(text.split())
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"


def _said(error: ClientError) -> str:
    detail = _detail(error)
    # Some errors name theirs "message".
    said = detail.get("Message") or detail.get("message") or "no reason was given"
    return f"{said} ({detail.get('Code', _status(error))})"


def _detail(error: ClientError) -> Mapping[str, Any]:
    response: Mapping[str, Any] = error.response
    detail: Mapping[str, Any] = response.get("Error", {})
    return detail


def _status(error: CallError) -> int:
    if not isinstance(error, ClientError):
        return 0
    response: Mapping[str, Any] = error.response
    return int(response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
