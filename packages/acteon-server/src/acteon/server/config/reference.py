"""The reference of the configuration, made from the classes that read it.

`python -m acteon.server.config.reference docs/configuration.md` writes the page. What a key is for
stands in one place, the `Attributes:` of its class; types, defaults and ranges are those in force.
"""

import inspect
import json
import re
import sys
import types
import typing
from collections.abc import Iterable, Iterator, Mapping
from datetime import timedelta
from enum import Enum
from pathlib import Path
from typing import Any, Final, Literal

import attrs
from attrs import frozen

from acteon.audit import AuditPlugin
from acteon.core import (
    AUDIT,
    PROVIDERS,
    STATE,
    ConfigError,
    load_plugin,
    official_package,
    plugin_names,
)
from acteon.provider import ProviderPlugin
from acteon.server.config.environment import variable
from acteon.server.config.plugged import AUDIT_SECTION, STATE_SECTION
from acteon.server.config.sections import (
    AuditSection,
    AuthSection,
    ExecutorSection,
    ProviderSection,
    RateLimitSection,
    RedactSection,
    RulesSection,
    ServerSection,
    StateSection,
    TlsSection,
)
from acteon.server.config.structure import keys_of
from acteon.state import StatePlugin

_SECTIONS: Final[Mapping[str, type[Any]]] = {
    "server": ServerSection,
    "server.tls": TlsSection,
    "state": StateSection,
    "audit": AuditSection,
    "audit.redact": RedactSection,
    "rules": RulesSection,
    "executor": ExecutorSection,
    "auth": AuthSection,
    "rate_limit": RateLimitSection,
}
_PLUGINS: Final[Mapping[str, tuple[str, type[Any], tuple[str, ...]]]] = {
    "state": (STATE, StatePlugin, STATE_SECTION.common),
    "audit": (AUDIT, AuditPlugin, AUDIT_SECTION.common),
}
_EXAMPLES: Final[Mapping[str, str]] = {
    "cors_allowed_origins": '["https://console.example"]',
    "max_batch": "1000",
    "directory": '"./rules"',
    "name": '"billing"',
    "idempotent": "true",
    "url": '"https://billing.example/hooks/acteon"',
    "state.dynamodb.url": '"http://localhost:8000"',
    "state.postgres.url": '"postgres://acteon:acteon@localhost:5432/acteon"',
    "audit.postgres.url": '"postgres://acteon:acteon@localhost:5432/acteon"',
    "audit.clickhouse.url": '"clickhouse://localhost:9000"',
    "audit.elasticsearch.url": '"https://localhost:9200"',
    "api_key": '"a-long-random-text"',
    "create_table": "true",
    "database": '"acteon"',
    "password": '"a-long-random-text"',
    "sentinel_password": '"another-long-random-text"',
    "sentinel_username": '"acteon"',
    "tls_ca_file": '"/etc/acteon/ca.pem"',
    "tls_cert_file": '"/etc/acteon/gateway.pem"',
    "tls_key_file": '"/etc/acteon/gateway.key"',
    "username": '"acteon"',
    "environment": '{ stage = "production" }',
    "headers": '{ X-Source = "acteon" }',
    "secret": '"a-long-random-text"',
    "allow_networks": '["10.1.0.0/16"]',
    "certificate": '"/etc/acteon/server.pem"',
    "key": '"/etc/acteon/server.key"',
    "key_password": '"a-long-random-text"',
    "members": '["sms"]',
    "templates": '{ sms = { text = "{{ payload.subject }}" } }',
    "max_retries": "{ sms = 1 }",
    "smtp_host": '"smtp.example.com"',
    "from_address": '"Acteon <acteon@example.com>"',
    "tls_mode": '"starttls"',
    "ca_cert_path": '"/etc/acteon/ca.pem"',
    "client_cert_path": '"/etc/acteon/gateway.pem"',
    "client_key_path": '"/etc/acteon/gateway.key"',
    "local_hostname": '"gateway.example.com"',
    "allowed_senders": '["@example.com"]',
    "smtp_password": '"a-long-random-text"',
    "webhook_url": '"https://hooks.slack.com/services/…"',
    "token": '"xoxb-a-long-random-text"',
    "default_channel": '"#operations"',
    "auth.type": '"bearer"',
    "auth.token": '"a-long-random-text"',
    "auth.value": '"a-long-random-text"',
    "auth.header": '"X-Key"',
    "auth.query": '"key"',
    "previous_secret": '"the-random-text-before"',
    "body": "'{\"text\": {{ payload.text | tojson }}}'",
    "response_headers": '["x-receipt"]',
    "limits.max_concurrent": "20",
    "limits.timeout_seconds": "5",
    "limits.max_retries": "1",
    "limits.max_per_second": "50",
    "fallback": '"sms"',
    "template": '{ text = "{{ payload.subject }}" }',
    "trusted_proxies": '["10.0.0.0/8"]',
}
"""Values of keys that have no default, or an empty one."""
_NEEDED: Final = frozenset({"token"})
"""Keys that the example next to them needs, though they have defaults."""
_INSTEAD: Final = frozenset(
    {
        "auth.header",
        "auth.password",
        "auth.query",
        "auth.secret",
        "auth.username",
        "auth.value",
        "body",
        "smtp_password",
        "webhook_url",
    }
)
"""Keys that exclude another one that is shown; they stand behind two #."""

_OTHER: Final = '[[providers]]\nname = "sms"\ntype = "log"\n\n'
_MEMBER: Final = re.compile(r"^ {4}(\w+): (.+(?:\n {8}.+)*)", re.MULTILINE)
_ABSENT: Final = "none"


@frozen(kw_only=True)
class Key:
    """One key of the configuration.

    Attributes:
        name: As it is written.
        kind: What its value is.
        default: Its default as TOML; None: there is none.
        required: Whether it must be given.
        limits: From where to where it goes, or an empty text.
        text: What it is for.
        example: A value as TOML, if there is no default to show.
        needed: Whether the example of the page needs it.
        excluded: Whether another key that is shown excludes it.
    """

    name: str
    kind: str
    default: str | None
    required: bool
    limits: str
    text: str
    example: str | None
    needed: bool = False
    excluded: bool = False

    @property
    def line(self) -> str:
        """A line of TOML: with the default, or behind a `#` and with an example."""
        if self.default is not None and self.default != "[]" and self.default != "{}":
            return f"{self.name} = {self.default}"
        line = f"{self.name} = {self.example}"
        if self.excluded:
            return f"## {line}"
        return line if self.required or self.needed else f"# {line}"


def keys_described(cls: type[Any], place: str = "") -> list[Key]:
    """Return the keys of the configuration class `cls`, in its order, but no tables.

    Args:
        cls: The class.
        place: Whose class it is, where examples depend on it: `state.postgres`.

    Raises:
        LookupError: No docstring of `cls` and its bases says anything about one of them.
    """
    texts: dict[str, str] = {}
    for each in reversed(cls.__mro__):
        _, _, members = inspect.cleandoc(each.__doc__ or "").partition("\n\nAttributes:\n")
        for name, text in _MEMBER.findall(members):
            texts[name] = _in_toml(" ".join(text.split()))
    found: list[Key] = []
    for name, attribute in keys_of(cls).items():
        if table_in(attribute.type) is not None:
            continue
        if attribute.name not in texts:
            raise LookupError(f"{cls.__name__}.{attribute.name} has no description")
        found.append(
            Key(
                name=name,
                kind=_kind(attribute.type),
                default=_default(attribute),
                required=attribute.default is attrs.NOTHING,
                limits=_limits(attribute.validator),
                text=texts[attribute.name],
                example=_EXAMPLES.get(f"{place}.{name}", _EXAMPLES.get(name)),
                needed=not _NEEDED.isdisjoint({name, f"{place}.{name}"}),
                excluded=not _INSTEAD.isdisjoint({name, f"{place}.{name}"}),
            )
        )
    return found


def table_in(kind: Any) -> type[Any] | None:
    """Return the attrs class that `kind` is, or is unless it is None."""
    for each in typing.get_args(kind) or (kind,):
        if isinstance(each, type) and attrs.has(each):
            return each
    return None


def _in_toml(text: str) -> str:
    """Return `text`, which speaks of values of the class, as one that speaks of the file."""
    return text.replace("None (written 0):", "0:").replace("None:", "without it:")


def reference() -> str:
    """Return the page."""
    return "\n".join([_HEAD, *_sections(), *_providers()])


def _sections() -> Iterator[str]:
    for name, cls in _SECTIONS.items():
        yield f"## `[{name}]`\n"
        yield f"{_about(cls)}\n"
        keys = keys_described(cls)
        yield from _table(keys, tuple(name.split(".")))
        yield _block(f"[{name}]", keys)
        group, base, common = _PLUGINS.get(name, ("", object, ()))
        if not group:
            continue
        keys_of_all = ", ".join(f"`{key}`" for key in common)
        yield f"Every backend takes {keys_of_all}, used or not, so that it can be exchanged.\n"
        for backend, plugin in _official(group, base):
            own = keys_described(plugin.Config, f"{name}.{backend}")
            yield f'### `[{name}]` with `backend = "{backend}"`\n'
            if own:
                yield from _table(own, (name,))
                yield _block(f'[{name}]\nbackend = "{backend}"', own)
            else:
                yield "It has no keys of its own.\n"


def _providers() -> Iterator[str]:
    yield "## `[[providers]]`\n"
    yield f"{_about(ProviderSection)} It may be there as often as there are providers.\n"
    ours = keys_described(ProviderSection)
    yield from _table(ours, ())
    yield from _tables_of(ProviderSection, f'{_OTHER}[[providers]]\nname = "billing"\ntype = "log"')
    for kind, plugin in _official(PROVIDERS, ProviderPlugin):
        own = keys_described(plugin.Config)
        yield f'### `[[providers]]` with `type = "{kind}"`\n'
        if own:
            yield from _table(own, ())
        else:
            yield "It has no keys of its own.\n"
        common = [key for key in ours if key.name != "type"]
        other = _OTHER if kind == "group" else ""
        yield _block(f'{other}[[providers]]\ntype = "{kind}"', [*common, *own])
        required = [key.line for key in own if key.required]
        above = ["[[providers]]", 'name = "billing"', f'type = "{kind}"', *required]
        yield from _tables_of(plugin.Config, "\n".join(above))


def _tables_of(cls: type[Any], above: str) -> Iterator[str]:
    """Yield what there is to say about the tables within the class `cls` of a provider.

    Args:
        cls: The class.
        above: What stands above them in an example.
    """
    for name, attribute in keys_of(cls).items():
        table = table_in(attribute.type)
        if table is None:
            continue
        keys = keys_described(table, name)
        about, _, _ = (inspect.getdoc(table) or "").partition("\n\nAttributes:")
        yield f"### `[providers.{name}]`\n"
        yield f"{about}\n"
        yield from _table(keys, ())
        yield _block(f"{above}\n\n[providers.{name}]", keys)


def _official(group: str, base: type[Any]) -> Iterator[tuple[str, type[Any]]]:
    """Yield Acteon's own plugins that are installed."""
    for name in plugin_names(group):
        if official_package(group, name) is not None:
            yield name, load_plugin(group, name, base)


def _about(cls: type[Any]) -> str:
    first = (inspect.getdoc(cls) or "").partition("\n")[0].partition(": ")[2]
    return f"{first[:1].upper()}{first[1:]}"


def _table(keys: Iterable[Key], path: tuple[str, ...]) -> Iterator[str]:
    yield "| key | value | default | |\n|---|---|---|---|"
    for key in keys:
        value = f"{key.kind}, {key.limits}" if key.limits else key.kind
        default = "required" if key.required else f"`{key.default}`" if key.default else _ABSENT
        text = key.text.replace("|", "\\|")
        if path:
            text += f" `{variable((*path, key.name))}`"
        yield f"| `{key.name}` | {value} | {default} | {text} |"
    yield ""


def _block(heading: str, keys: Iterable[Key]) -> str:
    lines = "\n".join(key.line for key in keys)
    return f"```toml\n{heading}\n{lines}\n```\n"


def _kind(kind: Any) -> str:
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin is Literal:
        return " or ".join(f"`{_toml(value)}`" for value in arguments)
    if isinstance(kind, type) and issubclass(kind, Enum):
        return " or ".join(f"`{_toml(member.value)}`" for member in kind)
    if origin in (typing.Union, types.UnionType):
        return " or ".join(_kind(each) for each in arguments if each is not types.NoneType)
    if origin is tuple:
        return f"list of {_kind(arguments[0])}s"
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return f"table of {_kind(arguments[1])}s"
    return _KINDS[kind]


_KINDS: Final[Mapping[Any, str]] = {
    str: "text",
    Any: "value",
    int: "whole number",
    float: "number",
    bool: "`true` or `false`",
    Path: "path",
    timedelta: "seconds",
}


def _default(attribute: "attrs.Attribute[Any]") -> str | None:
    default: Any = attribute.default
    if default is attrs.NOTHING or default is None:
        return None
    return _toml(default.factory() if isinstance(default, attrs.Factory) else default)  # type: ignore[arg-type]  # a class in the stubs, too


def _toml(value: Any) -> str:
    match value:
        case timedelta():
            return f"{value.total_seconds():.15g}"
        case Enum():
            return _toml(value.value)
        case Path():
            return _toml(str(value))
        case tuple():
            items: Any = value  # pyright: ignore[reportUnknownVariableType]
            return f"[{', '.join(map(_toml, items))}]"
        case _:
            return json.dumps(value)


def _limits(validator: Any) -> str:
    if hasattr(validator, "or_zero"):  # A `Between`, of whatever it limits.
        return str(validator)
    if getattr(validator, "compare_op", None) == ">=":  # One of attrs' own, of no public class.
        return f"{validator.bound} or more"
    return ""


_HEAD: Final = """\
# Configuration

<!-- Written by `python -m acteon.server.config.reference docs/configuration.md`; do not edit. -->

The server reads `acteon.toml` in the folder where it is started, or the file that `--config` names.
Without any file the defaults hold. A key or section that does not exist is refused, with what was
probably meant; so is a value of another kind or beyond its range. All mistakes are told at once.

- **Precedence**: an option of the command line, then the environment, then the file, then the
  default. The variable of a key stands behind its text: the value of a list is a TOML list or has
  commas, an empty variable counts as absent. `[[providers]]` have none.
- **References**: a value that is `${NAME}` as a whole stands for the environment variable `NAME`,
  `${file:PATH}` for the content of a file of at most 1 MiB, without the line end behind it. Both
  must exist and not be empty. A value, or what a reference stands for, that is `ENC[…]` stands for
  what `acteon-server encrypt` made it of; that takes `ACTEON_AUTH_KEY`, see `authentication.md`.
  What all these stand for is shown in no message and no log.
- **Paths**: that of `${file:PATH}` is relative to the folder of the configuration file. `[rules]
  directory` is looked for where the server was started, and then beside the configuration file.
- **Examples** show defaults; behind a `#` stands what may be added, behind two what excludes
  another key.
- **Durations** are in seconds, and may have decimals.
- **Logging** has variables of its own: `ACTEON_LOG`, such as `info,acteon.gateway=debug`, and
  `ACTEON_LOG_FORMAT`, `text` or `json`.
"""


def main(arguments: list[str]) -> None:
    """Write the page to the file that `arguments` name, or show it."""
    if arguments:
        Path(arguments[0]).write_text(reference(), encoding="utf-8")
    else:
        sys.stdout.write(reference())


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except (ConfigError, LookupError) as error:
        sys.exit(str(error))
