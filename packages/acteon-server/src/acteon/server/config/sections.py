"""What `acteon.toml` says, as types: one class a section, with the defaults.

A key is named like its attribute; that of a duration has `_seconds` behind it.
"""

from collections.abc import Mapping
from datetime import timedelta
from enum import Enum
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

from attrs import field, frozen

from acteon.gateway import OnStoreError, OnUnknown
from acteon.provider import CallLimits, CircuitBreaker
from acteon.rules import OnRuleError
from acteon.server.config.checks import (
    bare,
    between,
    filled,
    listenable,
    names,
    networks,
    origins,
)
from acteon.server.config.references import Secrets

if TYPE_CHECKING:
    from attrs import Attribute

PLUGIN: Final = "acteon.plugin"
"""Metadata of the attributes that hold a plugin's own settings, and are no keys."""

_INSTANT = timedelta(milliseconds=1)
_SECOND = timedelta(seconds=1)
_MINUTE = timedelta(minutes=1)
_HOUR = timedelta(hours=1)
_DAY = timedelta(days=1)
_YEAR = timedelta(days=365)


class Asgi(Enum):
    """Which program speaks HTTP."""

    AUTO = "auto"
    """uvicorn with httptools if both are installed, else hypercorn."""
    HYPERCORN = "hypercorn"
    UVICORN = "uvicorn"


class OnLimitError(Enum):
    """What a rate limit does when the store cannot count."""

    ALLOW = "allow"
    DENY = "deny"


def _with_key(instance: "TlsSection", attribute: "Attribute[Any]", value: Path | None) -> None:
    if (value is None) != (instance.certificate is None):
        lacking = "key" if value is None else "certificate"
        raise ValueError(f"a certificate is of use with its key only: {lacking!r} is missing")


@frozen(kw_only=True)
class TlsSection:
    """`[server.tls]`: encrypted connections; renewed files are taken up while the server runs.

    Attributes:
        certificate: The PEM file of the certificate, and of those that it was signed by; None:
            connections are not encrypted.
        key: The PEM file of its private key.
        key_password: The password of the key, if it is encrypted.
    """

    certificate: Path | None = None
    key: Path | None = field(default=None, validator=_with_key)
    key_password: str | None = field(default=None, repr=False)


@frozen(kw_only=True)
class ServerSection:
    """`[server]`: how the server listens.

    Attributes:
        host: Address or name to listen on.
        port: Port to listen on; 0: any free one, which the log names.
        shutdown_timeout: How long dispatches under way, and the audit trail, may take to end.
        asgi: Which program speaks HTTP.
        read_timeout: How long a request may take to arrive.
        allow_anonymous: Whether everybody who reaches the server may use it, though it listens
            beyond this machine and asks nobody who they are. With `[auth]` it is not needed.
        cors_allowed_origins: Pages that browsers let use the server; None: all.
        trusted_proxies: Networks of proxies that are believed when they tell by `X-Forwarded-For`
            where a request comes from.
        max_batch: The most actions of one batch; None: as many as fit the body.
        max_body_bytes: The most bytes of a request's body.
        watch_providers: Whether `[[providers]]` are put in force when this file changes, or one
            that it refers to by `${file:…}`. What cannot be used is logged, and changes nothing.
        tls: Encrypted connections.
    """

    host: str = field(default="127.0.0.1", converter=bare, validator=listenable)
    port: int = field(default=8080, validator=between(0, 65535))
    shutdown_timeout: timedelta = field(
        default=timedelta(seconds=30), validator=between(_INSTANT, _DAY)
    )
    asgi: Asgi = Asgi.AUTO
    read_timeout: timedelta = field(
        default=timedelta(seconds=30), validator=between(_INSTANT, _DAY)
    )
    allow_anonymous: bool = False
    cors_allowed_origins: tuple[str, ...] | None = field(default=None, validator=origins)
    trusted_proxies: tuple[str, ...] = field(default=(), validator=networks)
    max_batch: int | None = field(default=None, validator=between(1, 1_000_000))
    max_body_bytes: int = field(default=2 * 1024 * 1024, validator=between(1, 1024**3))
    watch_providers: bool = False
    tls: TlsSection = field(factory=TlsSection)

    @property
    def beyond_loopback(self) -> bool:
        """Whether other machines may reach what listens here."""
        if self.host == "localhost":
            return False
        try:
            return not ip_address(self.host).is_loopback
        except ValueError:
            return True  # A name that only the resolver knows.


@frozen(kw_only=True)
class StateSection:
    """`[state]`: where locks, claims and counters are.

    Attributes:
        backend: A name of the entry-point group `acteon.state`.
        settings: Of the `Config` of that plugin; None: its defaults.
    """

    backend: str = field(default="memory", validator=filled)
    settings: object = field(default=None, repr=False, metadata={PLUGIN: True})


@frozen(kw_only=True)
class RedactSection:
    """`[audit.redact]`: what the audit trail must not hold.

    Attributes:
        enabled: Whether payloads are redacted.
        fields: Names, or dotted paths, of the members whose values are replaced.
        placeholder: What they are replaced by.
        metadata: Whether labels of these names are redacted, too.
        texts: Whether the values are also replaced where texts on errors quote them.
    """

    enabled: bool = False
    fields: tuple[str, ...] = ("password", "token", "api_key", "secret")
    placeholder: str = "[REDACTED]"
    metadata: bool = False
    texts: bool = False


@frozen(kw_only=True)
class AuditSection:
    """`[audit]`: where it is recorded what happened.

    Attributes:
        enabled: Whether it is recorded.
        backend: A name of the entry-point group `acteon.audit`.
        ttl: How long records are kept; None (written 0): for ever.
        cleanup_interval: Time between two removals of old records.
        store_payload: Whether records hold the payloads.
        mode: `sync` answers a dispatch when its record is written, `batched` before: records are
            written together, a moment later.
        flush_delay: How long a record waits for others to be written with it; what waits is lost
            with the process. ClickHouse is best served with half a second.
        max_queue: The most records that wait to be written: as many seconds as the store may be
            away, times the dispatches of a second.
        max_queue_bytes: About the most memory that these take, payloads included; a record
            without one takes about 1,000 bytes. A queue is full when it has either.
        on_overflow: Whether dispatches wait for room in a full queue, or their records are
            dropped, and counted, at once.
        block_for: How long they wait; then their records are dropped, and counted, too.
        redact: What the audit trail must not hold.
        settings: Of the `Config` of that plugin; None: its defaults.
    """

    enabled: bool = False
    backend: str = field(default="memory", validator=filled)
    ttl: timedelta | None = field(
        default=timedelta(days=30), validator=between(_SECOND, 100 * _YEAR, or_zero="for ever")
    )
    cleanup_interval: timedelta = field(default=_HOUR, validator=between(_SECOND, _YEAR))
    store_payload: bool = True
    mode: Literal["batched", "sync"] = "batched"
    flush_delay: timedelta = field(
        default=timedelta(milliseconds=20), validator=between(timedelta(0), _MINUTE)
    )
    max_queue: int = field(default=100_000, validator=between(1, 10_000_000))
    max_queue_bytes: int = field(default=256 * 1024 * 1024, validator=between(1024 * 1024, 1024**4))
    on_overflow: Literal["block", "drop"] = "block"
    block_for: timedelta = field(
        default=timedelta(milliseconds=200), validator=between(timedelta(0), _HOUR)
    )
    redact: RedactSection = field(factory=RedactSection)
    settings: object = field(default=None, repr=False, metadata={PLUGIN: True})


@frozen(kw_only=True)
class RulesSection:
    """`[rules]`: where the rules are.

    Attributes:
        directory: The directory of the rule files; None: there are no rules.
        watch: Whether rule files are put in force when they change, by this process alone. What
            cannot be used is logged, and the rules stay as they are.
        strict: Whether what is otherwise a warning about a rule file refuses it.
        on_error: What a rule that cannot be evaluated does to the action.
        on_store_error: What a throttle does when the store cannot count.
        environment: Texts that rules see as `env.NAME`: which of several installations this is,
            and what else differs between them.
    """

    directory: Path | None = None
    watch: bool = False
    strict: bool = False
    on_error: OnRuleError = OnRuleError.FAIL
    on_store_error: OnStoreError = OnStoreError.ALLOW
    environment: Mapping[str, str] = field(factory=dict[str, str], validator=names)


@frozen(kw_only=True)
class ExecutorSection:
    """`[executor]`: how actions are delivered.

    Attributes:
        max_retries: Attempts after the first one.
        timeout: The most that one attempt may take.
        max_concurrent: Attempts under way at one time with each provider.
        dlq_enabled: Whether actions that could not be delivered are kept as dead letters.
        dlq_max: The most dead letters; beyond that the oldest go.
        lock_wait: How long a dispatch waits for another one with its id or key.
        lock_lease: How long a gateway that died keeps others waiting.
        on_unknown: What becomes of a claim when nobody knows whether the action was delivered.
    """

    max_retries: int = field(default=3, validator=between(0, 100))
    timeout: timedelta = field(default=timedelta(seconds=30), validator=between(_INSTANT, _DAY))
    max_concurrent: int = field(default=100, validator=between(1, 100_000))
    dlq_enabled: bool = False
    dlq_max: int = field(default=10_000, validator=between(1, 10_000_000))
    lock_wait: timedelta = field(
        default=timedelta(seconds=5), validator=between(timedelta(0), _HOUR)
    )
    lock_lease: timedelta = field(default=timedelta(seconds=30), validator=between(_SECOND, _HOUR))
    on_unknown: OnUnknown = OnUnknown.AUTO


@frozen(kw_only=True)
class AuthSection:
    """`[auth]`: who may do what; see `authentication.md`.

    Attributes:
        enabled: Whether callers must say who they are.
        config_path: The file with users, keys and what they may do; a relative path is looked for
            beside this file.
        watch: Whether that file is read again when it changes. What cannot be used is logged, and
            the accounts stay as they are.
    """

    enabled: bool = False
    config_path: Path = Path("auth.toml")
    watch: bool = True


@frozen(kw_only=True)
class RateLimitSection:
    """`[rate_limit]`: how much callers may ask for; see `rate-limits.md`.

    Attributes:
        enabled: Whether callers, and tenants if the file says so, are limited.
        config_path: The file with the limits; a relative path is looked for beside this file.
        on_error: What becomes of a request when the store cannot count.
        batch_cost: What a batch counts as: one request, or as many as it has actions.
    """

    enabled: bool = False
    config_path: Path = Path("ratelimit.toml")
    on_error: OnLimitError = OnLimitError.ALLOW
    batch_cost: Literal["request", "actions"] = "request"


@frozen(kw_only=True)
class ProviderSection:
    """`[[providers]]`: one of those who can deliver.

    Attributes:
        name: What actions and rules call it.
        type: A name of the entry-point group `acteon.providers`.
        idempotent: Whether a call without an answer may be repeated; None: as the provider says.
        limits: How much it may be asked to do.
        circuit_breaker: When it is left alone, and who delivers meanwhile; None: never.
        settings: Of the `Config` of that plugin.
    """

    name: str = field(validator=filled)
    type: str = field(validator=filled)
    idempotent: bool | None = None
    limits: CallLimits = field(factory=CallLimits)
    circuit_breaker: CircuitBreaker | None = None
    settings: object = field(default=None, repr=False, metadata={PLUGIN: True})


@frozen(kw_only=True)
class Config:
    """All that can be configured.

    Attributes:
        providers: In the order of the file.
        path: The file it comes from, if from any.
        files: Those it was read from: `path`, and those behind references.
        secrets: The values that no text may show.
    """

    server: ServerSection = field(factory=ServerSection)
    state: StateSection = field(factory=StateSection)
    audit: AuditSection = field(factory=AuditSection)
    rules: RulesSection = field(factory=RulesSection)
    executor: ExecutorSection = field(factory=ExecutorSection)
    auth: AuthSection = field(factory=AuthSection)
    rate_limit: RateLimitSection = field(factory=RateLimitSection)
    providers: tuple[ProviderSection, ...] = ()
    path: Path | None = None
    files: tuple[Path, ...] = ()
    secrets: Secrets = field(factory=Secrets)
