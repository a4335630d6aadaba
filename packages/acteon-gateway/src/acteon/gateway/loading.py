"""Loading the rules of a directory: all of its files, or none."""

import os
from collections.abc import Callable
from pathlib import Path

from attrs import define, field, frozen

from acteon.core import (
    RULES,
    ConfigError,
    UnreadableFileError,
    load_plugin,
    official_package,
    plugin_names,
    read_file,
)
from acteon.rules import Problem, Rule, RuleFrontend, RuleParseError

MAX_FILE_BYTES = 16 * 1024 * 1024


@frozen
class LoadedRules:
    """The rules of a directory.

    Attributes:
        rules: In the order of the file names, then of the files.
        warnings: What is odd about the files.
        ignored: The names of what is no rule file and was left alone.
    """

    rules: tuple[Rule, ...] = ()
    warnings: tuple[Problem, ...] = ()
    ignored: tuple[str, ...] = ()


def load_rules(directory: Path, *, strict: bool = False) -> LoadedRules:
    """Return the rules in the files directly in `directory`; reads files, so call it in a thread.

    Every installed frontend reads the files of its extensions. Other files are left alone, but
    for those whose frontend is known and not installed. In place of a directory, one file can be
    given, which is never left alone.

    Raises:
        RuleParseError: Any file cannot be used; with the problems of all files.
        ConfigError: A frontend cannot be loaded.
    """
    return _Loading(strict).load(directory)


@define(eq=False)
class _Loading:
    strict: bool
    rules: list[Rule] = field(factory=list[Rule])
    warnings: list[Problem] = field(factory=list[Problem])
    problems: list[Problem] = field(factory=list[Problem])
    ignored: list[str] = field(factory=list[str])
    frontends: dict[str, RuleFrontend] = field(factory=dict[str, RuleFrontend])
    extensions: frozenset[str] = field(factory=lambda: frozenset(plugin_names(RULES)))

    def load(self, directory: Path) -> LoadedRules:
        try:
            if directory.is_file():
                paths = [directory]
                self._check_extension(directory)
            else:
                paths = sorted(directory.iterdir())
        except OSError as error:
            raise RuleParseError(
                (Problem(message=f"cannot read directory {directory}: {error.strerror}"),)
            ) from None
        for path in paths:
            self._file(path)
        if self.problems:
            raise RuleParseError(tuple(self.problems))
        return LoadedRules(tuple(self.rules), tuple(self.warnings), tuple(self.ignored))

    def _file(self, path: Path) -> None:
        extension = path.suffix.removeprefix(".")
        if extension not in self.extensions:
            self._left_alone(path, extension)
            return
        if path.is_dir() or (path.name.startswith(".") and not path.is_file()):
            self.ignored.append(_shown(path.name))  # Emacs locks a file by such a link.
            return
        name = _shown(path)
        try:
            content = read_file(path, max_bytes=MAX_FILE_BYTES)
            text = content.decode("utf-8-sig")
        except UnreadableFileError as error:
            self.problems.append(Problem(message=str(error), file=name))
            return
        except UnicodeDecodeError as error:
            line = error.object.count(b"\n", 0, error.start) + 1
            problem = Problem(message="is no UTF-8 text; save it as UTF-8", file=name, line=line)
            self.problems.append(problem)
            return
        try:
            parsed = self._frontend(extension).parse(text, file=name, strict=self.strict)
        except RuleParseError as error:
            self.problems.extend(error.problems)
        else:
            self.rules.extend(parsed.rules)
            self.warnings.extend(parsed.warnings)

    def _frontend(self, extension: str) -> RuleFrontend:
        frontend = self.frontends.get(extension)
        if frontend is None:
            frontend = _made(load_plugin(RULES, extension, RuleFrontend))
            self.frontends[extension] = frontend
        return frontend

    def _check_extension(self, path: Path) -> None:
        extension = path.suffix.removeprefix(".")
        if extension not in self.extensions and official_package(RULES, extension) is None:
            known = ", ".join(f".{each}" for each in sorted(self.extensions)) or "none"
            raise ConfigError(f"{path}: no rule file by its extension; known are: {known}")

    def _left_alone(self, path: Path, extension: str) -> None:
        package = official_package(RULES, extension)
        if package is not None and not path.is_dir():
            raise ConfigError(
                f"{path}: rule files of this kind need a package that is not installed: "
                f"pip install {package}"
            )
        if extension.lower() in self.extensions:
            message = f"not loaded: write its extension .{extension.lower()}"
            self.warnings.append(Problem(message=message, file=_shown(path)))
        elif not path.name.startswith("."):
            self.ignored.append(_shown(path.name))


def _made(frontend: Callable[[], RuleFrontend]) -> RuleFrontend:
    """Return a frontend of a class that was loaded: never of the interface itself."""
    return frontend()


def _shown(name: str | Path) -> str:
    """Return the name of a file as texts can have it, whatever its octets are."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")
