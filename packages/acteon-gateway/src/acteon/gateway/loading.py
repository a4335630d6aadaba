"""Loading the rules of a directory: all of its files, or none.

Files are read first and understood afterwards, so that what was read can be compared with what was
read before.
"""

import hashlib
import os
from collections.abc import Callable, Collection
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
from acteon.rules import ParsedRules, Problem, Rule, RuleFrontend, RuleParseError

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


@frozen
class RuleFile:
    """A rule file as it was read.

    Attributes:
        name: Its path, as texts can have it.
        extension: Without the dot; it tells the language.
        content: What it holds.
    """

    name: str
    extension: str
    content: bytes = field(repr=False)


@frozen(kw_only=True)
class RuleFiles:
    """What a directory of rules holds, read and not yet understood.

    Attributes:
        files: The rule files that could be read, in the order of their names.
        problems: Why others could not be read, or the directory itself.
        warnings: What looks like a rule file and is none.
        ignored: The names of what is no rule file.
        refusal: Why none of it can be used, or empty: a file that no installed frontend reads.
        fingerprint: The same for the same names, contents and problems, whatever else is different.
    """

    files: tuple[RuleFile, ...]
    problems: tuple[Problem, ...]
    warnings: tuple[Problem, ...]
    ignored: tuple[str, ...]
    refusal: str
    fingerprint: str

    @property
    def empty(self) -> bool:
        """Whether there is no rule file at all, not even a bad one."""
        return not (self.files or self.problems or self.refusal)

    def parse(self, *, strict: bool) -> LoadedRules:
        """Return the rules in the files.

        Raises:
            RuleParseError: Any file cannot be used; with the problems of all files.
            ConfigError: A frontend is not there, or cannot be loaded.
        """
        if self.refusal:
            raise ConfigError(self.refusal)
        frontends: dict[str, RuleFrontend] = {}
        rules: list[Rule] = []
        warnings = list(self.warnings)
        problems = list(self.problems)
        for file in self.files:
            if file.extension not in frontends:
                frontends[file.extension] = _made(load_plugin(RULES, file.extension, RuleFrontend))
            try:
                parsed = _parse(file, frontends[file.extension], strict=strict)
            except RuleParseError as error:
                problems.extend(error.problems)
            else:
                rules.extend(parsed.rules)
                warnings.extend(parsed.warnings)
        if problems:
            problems.sort(key=lambda problem: problem.file)
            raise RuleParseError(tuple(problems))
        return LoadedRules(tuple(rules), tuple(warnings), self.ignored)


def load_rules(directory: Path, *, strict: bool = False) -> LoadedRules:
    """Return the rules in the files directly in `directory`; reads files, so call it in a thread.

    See `read_rule_files` for which files those are.

    Raises:
        RuleParseError: Any file cannot be used; with the problems of all files.
        ConfigError: A frontend is not there, or cannot be loaded.
    """
    return read_rule_files(directory).parse(strict=strict)


def read_rule_files(directory: Path, extensions: Collection[str] | None = None) -> RuleFiles:
    """Return what the files directly in `directory` hold; call it in a thread.

    Files of other extensions are left alone, but for those whose frontend is known and not
    installed. In place of a directory, one file can be given, which is never left alone.

    Args:
        directory: Where.
        extensions: What rule files end in; None: what there are frontends for.
    """
    return _Reading(plugin_names(RULES) if extensions is None else extensions).read(directory)


@define(eq=False)
class _Reading:
    extensions: Collection[str]
    files: list[RuleFile] = field(factory=list[RuleFile])
    problems: list[Problem] = field(factory=list[Problem])
    warnings: list[Problem] = field(factory=list[Problem])
    ignored: list[str] = field(factory=list[str])
    refusal: str = ""

    def read(self, directory: Path) -> RuleFiles:
        try:
            if directory.is_file():
                paths = [directory]
                self._check_extension(directory)
            else:
                paths = sorted(directory.iterdir())
        except OSError as error:
            message = f"cannot read directory {_shown(directory)}: {error.strerror}"
            self.problems.append(Problem(message=message))
            paths = []
        for path in paths:
            self._file(path)
        return RuleFiles(
            files=tuple(self.files),
            problems=tuple(self.problems),
            warnings=tuple(self.warnings),
            ignored=tuple(self.ignored),
            refusal=self.refusal,
            fingerprint=self._fingerprint(),
        )

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
        except UnreadableFileError as error:
            self.problems.append(Problem(message=str(error), file=name))
        else:
            self.files.append(RuleFile(name, extension, content))

    def _fingerprint(self) -> str:
        digest = hashlib.sha256(self.refusal.encode())
        for problem in self.problems:
            digest.update(f"{problem}\0{problem.file}\0".encode())
        for file in self.files:
            digest.update(f"\0{file.name}\0{len(file.content)}\0".encode())
            digest.update(file.content)
        return digest.hexdigest()

    def _check_extension(self, path: Path) -> None:
        extension = path.suffix.removeprefix(".")
        if extension not in self.extensions and official_package(RULES, extension) is None:
            known = ", ".join(f".{each}" for each in sorted(self.extensions)) or "none"
            self._refuse(path, f"no rule file by its extension; known are: {known}")

    def _left_alone(self, path: Path, extension: str) -> None:
        package = official_package(RULES, extension)
        if package is not None and not path.is_dir():
            self._refuse(
                path,
                "rule files of this kind need a package that is not installed: "
                f"pip install {package}",
            )
        elif extension.lower() in self.extensions:
            message = f"not loaded: write its extension .{extension.lower()}"
            self.warnings.append(Problem(message=message, file=_shown(path)))
        elif not path.name.startswith("."):
            self.ignored.append(_shown(path.name))

    def _refuse(self, path: Path, reason: str) -> None:
        self.refusal = self.refusal or f"{_shown(path)}: {reason}"


def _parse(file: RuleFile, frontend: RuleFrontend, *, strict: bool) -> ParsedRules:
    try:
        text = file.content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        problem = Problem(message="is no UTF-8 text; save it as UTF-8", file=file.name, line=line)
        raise RuleParseError((problem,)) from None
    return frontend.parse(text, file=file.name, strict=strict)


def _made(frontend: Callable[[], RuleFrontend]) -> RuleFrontend:
    """Return a frontend of a class that was loaded: never of the interface itself."""
    return frontend()


def _shown(name: str | Path) -> str:
    """Return the name of a file as texts can have it, whatever its octets are."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")
