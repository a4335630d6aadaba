"""From a file, the environment and the command line to a `Config`, or to all that is wrong."""

import difflib
import logging
import os.path
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final, cast

import attrs
from attrs import define, evolve, field

from acteon.core import ConfigError
from acteon.server.config.document import parse_document, read_document
from acteon.server.config.environment import (
    PREFIX,
    settings_in,
    variable,
    warn_about_unmatched,
)
from acteon.server.config.kinds import is_list, is_table, toml_value
from acteon.server.config.plugged import (
    AUDIT_SECTION,
    STATE_SECTION,
    BackendSection,
    structured,
    structured_providers,
)
from acteon.server.config.references import (
    Referenced,
    Secrets,
    TextValue,
    UnresolvedError,
    file_behind,
    has_reference_inside,
    looks_like_a_reference,
    named_like_a_secret,
    resolve,
    url_has_more,
)
from acteon.server.config.report import Report
from acteon.server.config.sections import (
    AuditSection,
    AuthSection,
    Config,
    ExecutorSection,
    RateLimitSection,
    RulesSection,
    ServerSection,
    StateSection,
)
from acteon.server.config.structure import Place, Problem, keys_of

log = logging.getLogger(__name__)

DEFAULT_PATH: Final = Path("acteon.toml")

_SECTIONS: Final[Mapping[str, type[Any]]] = {
    "server": ServerSection,
    "state": StateSection,
    "audit": AuditSection,
    "rules": RulesSection,
    "executor": ExecutorSection,
    "auth": AuthSection,
    "rate_limit": RateLimitSection,
}
_BACKENDS: Final = (STATE_SECTION, AUDIT_SECTION)
_NESTED: Final = {"redact": "audit", "tls": "server"}
_UNRESOLVED: Final = Referenced("")
_HEADINGS: Final = ", ".join([*(f"[{name}]" for name in _SECTIONS), "[[providers]]"])


def load_config(
    path: Path | None,
    *,
    environ: Mapping[str, str],
    host: str | None = None,
    port: int | None = None,
) -> Config:
    """Return the configuration of a server.

    Args:
        path: The file; None: `acteon.toml` in the working directory, if there is one.
        environ: The environment; it goes before the file.
        host: Goes before both.
        port: Likewise.

    Raises:
        ConfigError: It cannot be used; one line for each problem.
    """
    # A link that leads nowhere was meant to be a file.
    if path is None and not os.path.lexists(DEFAULT_PATH):
        log.info("there is no acteon.toml here: the defaults hold")
        return _Reading({}, str(DEFAULT_PATH), Path(), environ).read(host, port)
    path = path or DEFAULT_PATH
    reading = _Reading(read_document(path), str(path), path.parent, environ)
    config = reading.read(host, port)
    return evolve(config, path=path, files=(path, *config.files))


def parse_config(
    text: str,
    *,
    source: str = "acteon.toml",
    directory: Path = Path(),
    environ: Mapping[str, str] | None = None,
) -> Config:
    """Return the configuration in the TOML document `text`.

    Args:
        text: The document.
        source: What texts call it.
        directory: What the paths of references, and of rules, are relative to.
        environ: The environment; None: an empty one.

    Raises:
        ConfigError: It cannot be used; one line for each problem.
    """
    tree = parse_document(text, source=source)
    return _Reading(tree, source, directory, environ or {}).read(None, None)


def warn_about(config: Config) -> None:
    """Log what is allowed, and hardly meant for a server."""
    redact = config.audit.redact
    if redact.enabled and not redact.fields:
        log.warning("[audit.redact] is enabled with an empty list: nothing is redacted")
    if config.server.cors_allowed_origins is None and not config.auth.enabled:
        log.warning(
            "any web page that is open in a browser on this machine can use this server; "
            "to shut them out: [server] cors_allowed_origins = []"
        )
    if not config.providers:
        log.warning(
            "nothing can be delivered: there are no [[providers]]; such as "
            '[[providers]] name = "email" type = "log"'
        )


@define(eq=False, repr=False)
class _Reading:
    """One configuration on its way from the tree of its document to `Config`."""

    tree: dict[str, Any]
    source: str
    directory: Path
    environ: Mapping[str, str]
    report: Report = field(init=False)
    known: set[tuple[str, ...]] = field(factory=set[tuple[str, ...]], init=False)
    secrets: set[str] = field(factory=set[str], init=False)
    files: list[Path] = field(factory=list[Path], init=False)

    def __attrs_post_init__(self) -> None:
        self.report = Report(self.source, self.tree, _owners())

    def read(self, host: str | None, port: int | None) -> Config:
        self._check_headings()
        self._overlay(_own_paths())
        for name, option in {"host": host, "port": port}.items():
            if option is not None:
                self._put(("server", name), option, f"--{name}")
        plugins = {backend.name: self._plugin(backend) for backend in _BACKENDS}
        warn_about_unmatched(self.environ, self.known)
        try:
            self.tree = self._resolved(self.tree, ())
        except RecursionError:
            raise ConfigError(f"{self.source}: is nested too deeply") from None
        self.report.tree = self.tree
        self._check_redaction()
        sections: dict[str, Any] = {}
        for name, cls in _SECTIONS.items():
            if name not in plugins:
                sections[name] = structured(self._table(name), cls, (name,), self.report)
        for backend in _BACKENDS:
            sections[backend.name] = backend.structured(
                self._table(backend.name),
                plugins[backend.name],
                self.report,
                in_use=self._in_use(backend),
            )
        sections["providers"] = structured_providers(self.tree.get("providers", []), self.report)
        self._check_exposure(sections["server"], sections["auth"])
        sections["rules"] = self._located(sections["rules"])
        secrets = Secrets.of(self.secrets)
        if self.report.lines:
            raise ConfigError(self.report.told(secrets))
        return Config(**sections, secrets=secrets, files=tuple(self.files))

    def _check_headings(self) -> None:
        """Report, and take out, what stands at the top and is no section."""
        for name in list(self.tree):
            value = self.tree[name]
            if name in _SECTIONS and not is_table(value):
                heading = f"[{name}]"
                self.report.say(f"{name}: is a section: write {heading} on a line of its own")
            elif name not in _SECTIONS and name != "providers":
                self.report.say(_not_a_section(name, value))
            else:
                continue
            del self.tree[name]

    def _overlay(self, paths: Iterable[tuple[str, ...]]) -> None:
        new = [path for path in paths if path not in self.known]
        self.known.update(new)
        for path, text in settings_in(self.environ, new).items():
            self._put(path, TextValue(text), variable(path))

    def _put(self, path: tuple[str, ...], value: object, origin: str) -> None:
        """Put `value`, which comes from `origin`, into the tree."""
        table = self.tree
        for name in path[:-1]:
            inner = table.setdefault(name, {})
            if not is_table(inner):
                return  # Something is wrong there, and will be reported.
            table = inner
        table[path[-1]] = value
        self.report.origins[path] = origin

    def _table(self, name: str) -> dict[str, Any]:
        return cast("dict[str, Any]", self.tree.get(name, {}))

    def _plugin(self, backend: BackendSection) -> type[Any] | None:
        """Return the plugin if it is needed, to be opened or to tell its keys from mistakes."""
        self._overlay(backend.paths(None))
        in_use = self._in_use(backend)
        if not in_use and not self._says_more(backend):
            return None
        name = self._peek(self._table(backend.name).get("backend", "memory"))
        if not isinstance(name, str) or not name.strip():
            return None
        # What nobody uses cannot keep the server from starting.
        report = self.report if in_use else Report(self.source, {})
        plugin = backend.load(name, report)
        if plugin is not None:
            self._overlay(backend.paths(plugin))
        return plugin

    def _in_use(self, backend: BackendSection) -> bool:
        if backend is STATE_SECTION:
            return True
        return str(self._peek(self._table(backend.name).get("enabled"))).lower() == "true"

    def _says_more(self, backend: BackendSection) -> bool:
        """Return whether keys are set that are not ours."""
        known = {variable(path) for path in self.known}
        prefix = f"{PREFIX}{backend.name.upper()}_"
        return bool(
            self._table(backend.name).keys() - keys_of(backend.cls) - set(backend.common)
        ) or any(name.startswith(prefix) and name not in known for name in self.environ)

    def _peek(self, value: object) -> object:
        if not isinstance(value, str):
            return value
        try:
            return resolve(value, self.environ, self.directory)
        except UnresolvedError:
            return None  # This is reported when everything is resolved.

    def _resolved(self, value: Any, place: Place) -> Any:
        if is_table(value):
            return {key: self._resolved(member, (*place, key)) for key, member in value.items()}
        if is_list(value):
            return [self._resolved(each, (*place, index)) for index, each in enumerate(value)]
        return self._resolved_text(value, place) if isinstance(value, str) else value

    def _resolved_text(self, value: str, place: Place) -> str:
        behind = file_behind(value, self.directory)
        if behind is not None:
            self.files.append(behind)
        try:
            found = resolve(value, self.environ, self.directory)
        except UnresolvedError as error:
            self.report.add(Problem(place, str(error)))
            return _UNRESOLVED
        if has_reference_inside(value):
            log.warning(
                "a reference is replaced only where it is the whole value, so this one is not; "
                "put the whole value into the variable",
                extra={"acteon.key": self.report.label(place)},
            )
        elif looks_like_a_reference(value, self.environ):
            log.warning(
                "a value looks like a reference, and is taken as it is; write ${NAME}",
                extra={"acteon.key": self.report.label(place)},
            )
        if isinstance(found, Referenced) or _is_secret(found, place):
            self.secrets.update(_texts_of(found))
        return found

    def _check_redaction(self) -> None:
        """Warn if something is to be redacted, and the switch was forgotten."""
        redact = self._table("audit").get("redact")
        if is_table(redact) and "fields" in redact and "enabled" not in redact:
            log.warning(
                "nothing is redacted: there are fields, but not [audit.redact] enabled = true",
                extra={"acteon.key": self.report.label(("audit", "redact", "fields"))},
            )

    def _check_exposure(self, server: ServerSection | None, auth: AuthSection | None) -> None:
        if server is None or auth is None or auth.enabled:
            return
        if server.beyond_loopback and not server.allow_anonymous:
            self.report.add(
                Problem(
                    ("server", "host"),
                    f"{server.host} lets everybody who reaches this machine use the server; "
                    "write [auth] enabled = true to ask them who they are, allow_anonymous = true "
                    'to let them all in, or host = "127.0.0.1"',
                )
            )

    def _located(self, rules: RulesSection | None) -> RulesSection | None:
        """Look for the rules beside the file if they are not where the server was started."""
        if rules is None or rules.directory is None:
            return rules
        places = (rules.directory, self.directory / rules.directory)
        found = next(filter(os.path.exists, places), rules.directory)
        if os.path.exists(found) and not os.path.isdir(found):
            self.report.add(Problem(("rules", "directory"), f"{found} is a file, not a directory"))
        return evolve(rules, directory=found)


def _own_paths() -> list[tuple[str, ...]]:
    """Return the places of all keys that are no plugin's."""
    return [
        path
        for name, cls in _SECTIONS.items()
        for key, attribute in keys_of(cls).items()
        for path in _paths_below((name, key), attribute.type)
    ]


def _paths_below(path: tuple[str, ...], kind: Any) -> list[tuple[str, ...]]:
    if isinstance(kind, type) and attrs.has(kind):
        return [(*path, key) for key in keys_of(kind)]
    return [path]


def _owners() -> dict[str, str]:
    """Return the sections by the keys below them; the first one if several have a key."""
    names = reversed(list(_SECTIONS))
    return {key: section for section in names for key in keys_of(_SECTIONS[section])}


def _not_a_section(name: str, value: object) -> str:
    if is_table(value) or is_list(value):
        heading = f"[[{name}]]" if is_list(value) else f"[{name}]"
        if name in _NESTED:
            return f"{heading}: unknown section; did you mean [{_NESTED[name]}.{name}]?"
        close = difflib.get_close_matches(name, [*_SECTIONS, "providers"], n=1)
        if not close:
            return f"{heading}: unknown section; there are {_HEADINGS}"
        meant = "[[providers]]" if close[0] == "providers" else f"[{close[0]}]"
        return f"{heading}: unknown section; did you mean {meant}?"
    owner = _owners().get(name)
    if owner is not None:
        return f"{name}: stands outside any section; it belongs below [{owner}]"
    return f"{name}: unknown key, outside any section"


def _is_secret(text: str, place: Place) -> bool:
    if any(isinstance(key, str) and key.lower().endswith("url") for key in place):
        return url_has_more(text)
    return any(isinstance(key, str) and named_like_a_secret(key) for key in place)


def _texts_of(secret: str) -> set[str]:
    """Return `secret`, and what else it is read as if it comes from the environment."""
    is_toml = isinstance(secret, TextValue) and not isinstance(secret, Referenced)
    return {secret, *(_texts_in(toml_value(secret)) if is_toml else ())}


def _texts_in(value: Any) -> set[str]:
    if is_table(value):
        return {text for member in value.values() for text in _texts_in(member)}
    if is_list(value):
        return {text for element in value for text in _texts_in(element)}
    return {value} if isinstance(value, str) else set()
