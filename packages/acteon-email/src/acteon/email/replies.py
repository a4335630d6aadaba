"""What the replies of a mail server mean, and what its silence does.

| what happened | error | retryable | delivered |
|---|---|---|---|
| 4xx that speaks of a rate or of too many mails | `RateLimitedError` | yes | no |
| any other 4xx | `ProviderConnectionError` | yes | no |
| 5xx | `ExecutionFailedError` | no | no |
| the certificate is not accepted | `ProviderConfigurationError` | no | no |
| the connection fails, or what comes is no SMTP | `ProviderConnectionError` | yes | no (1) |

(1) Nobody knows if it happens after the end of the message was sent.
"""

import os
import re
import ssl
from collections.abc import Iterable
from socket import gaierror
from typing import Final

from aiosmtplib import SMTPConnectError, SMTPResponseException
from attrs import field, frozen

from acteon.provider import (
    Delivery,
    ExecutionFailedError,
    ProviderConfigurationError,
    ProviderConnectionError,
    ProviderError,
    RateLimitedError,
)

START_INPUT: Final = 354
CLOSING: Final = 421
_MAX_TEXT: Final = 160
_MALFORMED: Final = -1  # what the library says in place of a code
# Greylisting and full mailboxes are 4.7.1 and 4.2.2 with many servers, too: only words tell.
_RATE: Final = re.compile(
    r"\brate\b|\brates\b|rate[ -]?limit|throttl|"
    r"too (many|much)( \w+){0,3} (connections?|sessions?|messages?|e?mails?|requests?|logins?)\b|"
    r"too (quickly|fast|frequently)|"
    r"(sending|message|hourly|daily)( \w+)? (limit|quota)",
    re.IGNORECASE,
)
_BREAKS: Final = re.compile(r"[\x00-\x20\x7f-\x9f\u2028\u2029\ud800-\udfff]+")


@frozen
class Reply:
    """A reply of the server.

    Attributes:
        code: Its three digits.
        text: What follows them, as one line of printable text that is not too long.
    """

    code: int
    text: str

    @property
    def is_positive(self) -> bool:
        """Whether the server did what it was asked."""
        return 200 <= self.code < 300

    def __str__(self) -> str:
        return f"{self.code} {self.text}".rstrip()

    def as_error(self) -> ProviderError:
        """Return what a reply means that was not the wanted one, by the table above."""
        if 400 <= self.code < 500:
            if _RATE.search(self.text):
                return RateLimitedError()
            return ProviderConnectionError(f"transient SMTP error: {self}")
        if 500 <= self.code < 600:
            return ExecutionFailedError(f"permanent SMTP error: {self}")
        return ProviderConnectionError(f"SMTP error: unexpected reply: {self}")


@frozen
class Reader:
    """Makes replies of what came.

    Attributes:
        secrets: What must not show up in a text, however the server came by it.
    """

    secrets: tuple[str, ...] = field(default=(), repr=False)

    def read(self, code: int, text: str) -> Reply:
        """Return the reply of that code and text."""
        for secret in self.secrets:
            text = text.replace(secret, "***")
        return Reply(code, _BREAKS.sub(" ", text).strip()[:_MAX_TEXT])

    def refusal(self, error: SMTPResponseException) -> ProviderError:
        """Return what the library's `error` about a reply means."""
        if error.code == _MALFORMED:
            return ProviderConnectionError("SMTP error: the server's reply is too long or no SMTP")
        return self.read(error.code, error.message).as_error()


def failure(error: BaseException, server: str, delivery: Delivery) -> ProviderError:
    """Return what it means that `error` came up on the connection to `server`.

    Args:
        error: What the library or the system says; its text is not used, but for certificates.
        server: Host and port.
        delivery: What is known of the message.
    """
    causes = list(_causes(error))
    for cause in causes:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return ProviderConfigurationError(
                f"the certificate of {server} is not accepted: {cause.verify_message}",
                delivery=delivery,
            )
    for cause in causes:
        match cause:
            case gaierror():
                text = f"the name of {server} cannot be resolved"
            case ssl.SSLError():
                text = f"{server} does not speak TLS as it should"
            case OSError(errno=int() as number) if number > 0:
                text = f"{server}: {os.strerror(number).lower()}"
            case _:
                continue
        return ProviderConnectionError(f"SMTP error: {text}", delivery=delivery)
    what = "cannot be reached" if isinstance(error, SMTPConnectError) else "closed the connection"
    return ProviderConnectionError(f"SMTP error: {server} {what}", delivery=delivery)


def _causes(error: BaseException | None) -> Iterable[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
