"""Reading `auth.toml`: nothing is coerced or ignored, all mistakes are told at once."""

import re
from pathlib import Path
from typing import Any, Final

from attrs import define, field

from acteon.core import SYSTEM_CLOCK, Clock, ConfigError
from acteon.server.auth.accounts import Accounts
from acteon.server.auth.advice import advise, advise_on_access, advise_on_plain_secret
from acteon.server.auth.roles import Role
from acteon.server.auth.secretbox import SecretBoxError, decrypt, is_encrypted
from acteon.server.auth.tables import AuthTables
from acteon.server.config.document import parse_document, read_text, shown_path
from acteon.server.config.kinds import is_list, is_table
from acteon.server.config.references import Secrets
from acteon.server.config.report import Report
from acteon.server.config.structure import Place, Problem, ProblemsError, structure
from acteon.server.lines import shortened

_SECRETS: Final = frozenset({"jwt_secret", "password_hash", "key_hash"})
"""Keys of texts that may be encrypted; those of lists of texts are below."""
_LISTED: Final = frozenset({"jwt_verify_secrets", "key_hashes"})
_SIGNING: Final = frozenset({"jwt_secret", "jwt_verify_secrets"})
_HOLDERS: Final = ("users", "api_keys")
_REFERENCE: Final = re.compile(r"\s*\$\{.*\}\s*", re.DOTALL)
_UNREAD: Final = "0" * 64
"""In place of a value that cannot be read, which is told: good enough that the list it stands in is
not told as well."""


def read_accounts(path: Path, master_key: bytes, *, clock: Clock = SYSTEM_CLOCK) -> Accounts:
    """Return who is known by the file `path`; what is odd about it is logged.

    Args:
        path: The file.
        master_key: Decrypts what is encrypted in it.
        clock: Says which keys have expired.

    Raises:
        ConfigError: It cannot be read, or used; one line for each problem.
    """
    return parse_accounts(read_auth_file(path), master_key, path=path, clock=clock)


def read_auth_file(path: Path) -> str:
    """Return the text of the file `path`.

    Raises:
        ConfigError: It cannot be read.
    """
    try:
        return read_text(path)
    except ConfigError as error:
        raise ConfigError(f"failed to read auth config at {error}") from None


def parse_accounts(
    text: str, master_key: bytes, *, path: Path, clock: Clock = SYSTEM_CLOCK
) -> Accounts:
    """Return who is known by the document `text` of the file `path`, as `read_accounts` does.

    Raises:
        ConfigError: It cannot be used; one line for each problem.
    """
    source = shown_path(path)
    try:
        tables = _Reading(parse_document(text, source=source), source, master_key).tables()
    except RecursionError:
        raise ConfigError(f"failed to parse auth config: {source}: is nested too deeply") from None
    except ConfigError as error:
        lines = str(error).splitlines()
        told = "\n".join(f"failed to parse auth config: {line}" for line in lines)
        raise ConfigError(told) from None
    advise_on_access(path)
    advise(tables, clock.now())
    return tables.accounts


@define(eq=False, repr=False)
class _Reading:
    """One file on its way from the tree of its document to our types."""

    tree: dict[str, Any]
    source: str
    key: bytes
    report: Report = field(init=False)
    secrets: set[str] = field(factory=set[str], init=False)
    plain: list[str] = field(factory=list[str], init=False)

    def __attrs_post_init__(self) -> None:
        self.report = Report(self.source, self.tree)

    def tables(self) -> AuthTables:
        """Return what the file says.

        Raises:
            ConfigError: It cannot be used; one line for each problem.
        """
        for section in _HOLDERS:
            self._check_holders(section)
        tree = self._opened(self.tree, ())
        tables: AuthTables | None = None
        try:
            tables = structure(tree, AuthTables, ())
        except ProblemsError as error:
            for problem in error.problems:
                self.report.add(problem)
        if tables is None or self.report.lines:
            raise ConfigError(self.report.told(Secrets.of(self.secrets)))
        for key in self.plain:
            advise_on_plain_secret(key)
        return tables

    def _check_holders(self, section: str) -> None:
        holders = self.tree.get(section)
        if is_table(holders):
            self.report.say(f"[{section}]: write [[{section}]], in double brackets, above each one")
            del self.tree[section]
        for index, table in enumerate(holders if is_list(holders) else ()):
            if is_table(table):
                self._check_holder(table, (section, index))

    def _check_holder(self, table: dict[str, Any], place: Place) -> None:
        role = table.get("role")
        if isinstance(role, str):
            named = Role.named(role)
            if named is None:
                self.report.say(
                    f"invalid role {shortened(role)!r} for {self.report.entry(place)}; the roles "
                    f"are {', '.join(each.value for each in Role)}"
                )
            table["role"] = (named or Role.VIEWER).value
        if place[0] == "api_keys" and ("key_hash" in table) == ("key_hashes" in table):
            found = "both" if "key_hash" in table else "neither"
            self.report.add(
                Problem(place, f"wanted key_hash, or key_hashes = […] of several; found {found}")
            )

    def _opened(self, value: Any, place: Place) -> Any:
        """Return `value` with what is encrypted in it decrypted."""
        if is_table(value):
            return {key: self._opened(member, (*place, key)) for key, member in value.items()}
        if is_list(value):
            return [self._opened(each, (*place, index)) for index, each in enumerate(value)]
        if not isinstance(value, str):
            return value
        in_list = bool(place) and isinstance(place[-1], int)
        if (place[-2] in _LISTED) if in_list else (place[-1] in _SECRETS):
            return self._opened_text(value, place)
        return value

    def _opened_text(self, value: str, place: Place) -> str:
        if _REFERENCE.fullmatch(value):
            self.report.add(Problem(place, "references have no meaning in this file; write ENC[…]"))
            return _UNREAD
        if not is_encrypted(value):
            self.secrets.add(value)
            if _SIGNING.intersection(place):
                self.plain.append(self.report.label(place))
            return value
        try:
            found = decrypt(value, self.key)
        except SecretBoxError as error:
            self.report.add(Problem(place, str(error)))
            return _UNREAD
        self.secrets.add(found)
        return found
