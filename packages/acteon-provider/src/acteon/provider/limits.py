"""How much a provider may be asked to do, and when it is left alone."""

from collections.abc import Mapping
from datetime import timedelta
from functools import cached_property
from typing import Any

from attrs import field, frozen
from attrs.validators import ge, gt, le, min_len, optional

from acteon.provider.shaping import is_template
from acteon.provider.templates import PayloadTemplate

_NOTHING = timedelta(0)
_LONGEST = timedelta(days=1)
_HALF_A_MINUTE = timedelta(seconds=30)


@frozen(kw_only=True)
class CallLimits:
    """The limits of the calls to one provider; each process counts for itself.

    Attributes:
        max_concurrent: Calls at one time; further ones wait in line. None: as the executor says.
        timeout: The time for each attempt. None: as the executor says.
        max_retries: Attempts after the first one. None: as the executor says.
        max_per_second: Attempts in a second, evenly spread. None: any number.
        burst: How many of them may come at once after a pause.
        max_wait: How long an attempt waits for its turn. Then it ends as `PROVIDER_BUSY`, or as
            `RATE_LIMITED` if it is `max_per_second` that it waits for.
    """

    max_concurrent: int | None = field(default=None, validator=optional([ge(1), le(100_000)]))
    timeout: timedelta | None = field(
        default=None, validator=optional([gt(_NOTHING), le(_LONGEST)])
    )
    max_retries: int | None = field(default=None, validator=optional([ge(0), le(100)]))
    max_per_second: float | None = field(default=None, validator=optional([gt(0), le(1_000_000)]))
    burst: int = field(default=1, validator=[ge(1), le(1_000_000)])
    max_wait: timedelta = field(default=_HALF_A_MINUTE, validator=[ge(_NOTHING), le(_LONGEST)])


@frozen(kw_only=True)
class CircuitBreaker:
    """When a provider that fails is left alone, and who delivers meanwhile.

    The circuit is *closed* while calls are made. It *opens* when `failure_threshold` of them
    failed in a row: those that found the receiver out of reach, unable to serve, or refusing
    everybody; not those whose action was refused. For `recovery_timeout` no call is made. After
    that the circuit is *half open*: one call is made, and closes it if it ends well, or opens it
    again. Each process has its own.

    The pattern is that of Michael Nygard's *Release It!*, in the chapter "Stability Patterns".

    Attributes:
        failure_threshold: Failed calls in a row that open it.
        recovery_timeout: How long it stays open.
        fallback: The provider that gets the actions while it is not closed. None: they fail as
            `CIRCUIT_OPEN`.
        template: The payload that the fallback gets, its texts being templates. None: the same.
    """

    failure_threshold: int = field(default=5, validator=[ge(1), le(1_000_000)])
    recovery_timeout: timedelta = field(
        default=_HALF_A_MINUTE, validator=[gt(_NOTHING), le(_LONGEST)]
    )
    fallback: str | None = field(default=None, validator=optional(min_len(1)))
    template: Mapping[str, Any] | None = field(default=None, validator=optional(is_template))

    def __attrs_post_init__(self) -> None:
        if self.template is not None and self.fallback is None:
            raise ValueError("'template' shapes payloads for the 'fallback', and there is none")

    @cached_property
    def shape(self) -> PayloadTemplate | None:
        """The template of the fallback's payload, compiled."""
        return None if self.template is None else PayloadTemplate.of(self.template)
