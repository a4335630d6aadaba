"""Loading the rules of a directory: all of its files, or none."""

from collections.abc import Callable
from pathlib import Path

from attrs import define, field, frozen

from acteon.core import RULES, ConfigError, load_plugin, official_package, plugin_names
from acteon.rules import Problem, Rule, RuleFrontend, RuleParseError

MAX_FILE_BYTES = 16 * 1024 * 1024


@frozen
class LoadedRules:
    """The rules of a directory.

    Attributes:
        rules: In the order of the file names, then of the files.
        warnings: What is odd about the files.
    """

    rules: tuple[Rule, ...] = ()
    warnings: tuple[Problem, ...] = ()


def load_rules(directory: Path, *, strict: bool = False) -> LoadedRules:
    """Return the rules in the files directly in `directory`; reads files, so call it in a thread.

    Every installed frontend reads the files of its extensions. Other files are left alone, but
    for those whose frontend is known and not installed.

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
    frontends: dict[str, RuleFrontend] = field(factory=dict[str, RuleFrontend])
    extensions: frozenset[str] = field(factory=lambda: frozenset(plugin_names(RULES)))

    def load(self, directory: Path) -> LoadedRules:
        try:
            paths = sorted(path for path in directory.iterdir() if path.is_file())
        except OSError as error:
            raise RuleParseError(
                (_unreadable(f"cannot read directory {directory}: {error.strerror}"),)
            ) from None
        for path in paths:
            self._file(path)
        if self.problems:
            raise RuleParseError(tuple(self.problems))
        return LoadedRules(tuple(self.rules), tuple(self.warnings))

    def _file(self, path: Path) -> None:
        extension = path.suffix.removeprefix(".")
        if extension not in self.extensions:
            self._left_alone(path, extension)
            return
        try:
            if path.stat().st_size > MAX_FILE_BYTES:
                raise ValueError(f"the file has more than {MAX_FILE_BYTES} bytes")
            text = path.read_text(encoding="utf-8-sig")
        except OSError as error:
            self.problems.append(_unreadable(f"cannot read {path}: {error.strerror}", str(path)))
            return
        except ValueError as error:
            self.problems.append(_unreadable(f"cannot read {path}: {error}", str(path)))
            return
        try:
            parsed = self._frontend(extension).parse(text, file=str(path), strict=self.strict)
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

    def _left_alone(self, path: Path, extension: str) -> None:
        package = official_package(RULES, extension)
        if package is not None:
            raise ConfigError(
                f"{path}: rule files of this kind need a package that is not installed: "
                f"pip install {package}"
            )
        if extension.lower() in self.extensions:
            self.warnings.append(
                Problem(
                    message=f"not loaded: write its extension .{extension.lower()}", file=str(path)
                )
            )


def _made(frontend: Callable[[], RuleFrontend]) -> RuleFrontend:
    """Return a frontend of a class that was loaded: never of the interface itself."""
    return frontend()


def _unreadable(message: str, file: str = "") -> Problem:
    return Problem(message=message, file=file)
