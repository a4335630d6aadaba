"""The email backend for Django."""

from collections.abc import Mapping, Sequence
from typing import Any, Final, cast

from attrs import evolve
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.core.mail import EmailMessage
from django.core.mail.backends.base import BaseEmailBackend
from django.utils.module_loading import import_string

from acteon.client.django.errors import EmailNotSentError
from acteon.client.django.messages import payloads_of
from acteon.client.errors import ConfigurationError
from acteon.client.outcomes import BatchResult
from acteon.client.targets import Target, failure_of
from acteon.core import Action

_SERVER: Final = frozenset({"url", "api_key", "token", "timeout", "gateway"})
_ACTION: Final = frozenset({"namespace", "tenant", "provider", "action_type", "metadata"})
_OF_A_MESSAGE: Final = _ACTION | {"dedup_key"}


class EmailBackend(BaseEmailBackend):
    """Sends mails as actions.

    ```python
    EMAIL_BACKEND = "acteon.client.django.EmailBackend"
    ACTEON = {"URL": "http://localhost:8080", "NAMESPACE": "shop", "TENANT": "acme"}
    ```

    A mail that a rule finds to be sent already counts as sent; one that a rule suppresses does
    not, and is no error: the operator wants it so. Any other that is not sent raises, after all
    others have been.

    Args:
        fail_silently: Whether mails that are not sent are counted only.
        options: Members of the setting `ACTEON` in lower case, which go before it, and what
            Django's own backends take.

    Raises:
        ImproperlyConfigured: The settings cannot be used.
    """

    def __init__(self, fail_silently: bool = False, **options: Any) -> None:
        given = {name: options.pop(name) for name in _SERVER | _ACTION if name in options}
        super().__init__(**options)
        self.fail_silently = fail_silently
        configured = {**_settings(), **given}
        server = {name: value for name, value in configured.items() if name in _SERVER}
        self._members: dict[str, Any] = {
            "provider": "email",
            "action_type": "email",
            **{name: value for name, value in configured.items() if name in _ACTION},
        }
        lacking = sorted({"namespace", "tenant"} - self._members.keys())
        if lacking:
            raise ImproperlyConfigured(f"ACTEON: lacks {', '.join(lacking).upper()}")
        if isinstance(server.get("gateway"), str):
            server["gateway"] = import_string(server["gateway"])
        try:
            self._target = Target.of(**server)
        except ConfigurationError as error:
            raise ImproperlyConfigured(f"ACTEON: {error.message}") from error

    def close(self) -> None:
        """Close the connections to the server."""
        self._target.close()

    def send_messages(self, email_messages: Sequence[EmailMessage]) -> int:
        """Send `email_messages` in one batch, and return how many were sent.

        Raises:
            EmailNotSentError: One was not, unless that is to be silent.
        """
        failures: list[tuple[str, str]] = []
        actions: list[Action] = []
        parts: list[tuple[EmailMessage, int]] = []
        for message in email_messages:
            try:
                own = self._actions(message)
            except (ValueError, TypeError, LookupError) as error:
                failures.append((str(message.subject), str(error)))
            else:
                actions += own
                parts.append((message, len(own)))
        sent = 0
        results = iter(self._target.dispatch_all(actions))
        for message, count in parts:
            own_results = [next(results) for _ in range(count)]
            why = next((why for result in own_results if (why := failure_of(result))), None)
            if why:
                failures.append((str(message.subject), why))
            elif own_results and not any(_suppressed(result) for result in own_results):
                sent += 1
        if failures and not self.fail_silently:
            raise EmailNotSentError(sent, tuple(failures))
        return sent

    def _actions(self, message: EmailMessage) -> list[Action]:
        """Return the actions that send `message`; none if it is to nobody."""
        own: dict[str, Any] = getattr(message, "acteon", {})
        unknown = sorted(own.keys() - _OF_A_MESSAGE)
        if unknown:
            raise ValueError(f"acteon: has no {', '.join(unknown)}")
        members = {**self._members, **own}
        actions = [Action(**members, payload=payload) for payload in payloads_of(message)]
        key = own.get("dedup_key")
        if key is None or len(actions) == 1:
            return actions
        return [evolve(each, dedup_key=f"{key}:{each.payload['to'][0]}") for each in actions]


def _settings() -> dict[str, Any]:
    configured: object = getattr(settings, "ACTEON", {})
    if not isinstance(configured, Mapping):
        raise ImproperlyConfigured("ACTEON: give a dictionary")
    pairs = cast("Mapping[str, Any]", configured).items()
    members = {name.lower(): value for name, value in pairs}
    unknown = sorted(members.keys() - _SERVER - _ACTION)
    if unknown:
        known = ", ".join(sorted(_SERVER | _ACTION)).upper()
        raise ImproperlyConfigured(f"ACTEON: has no {', '.join(unknown).upper()}, but {known}")
    return members


def _suppressed(result: BatchResult) -> bool:
    return result.outcome is not None and result.outcome.is_suppressed()
