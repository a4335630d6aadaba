"""The rules of a simulation, from wherever they come."""

import os
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import TypeGuard

from acteon.core import ConfigError
from acteon.gateway import load_rules, parse_rules
from acteon.rules import Rule
from acteon.simulation.config import RuleSource


def parsed(sources: Iterable[RuleSource]) -> tuple[Rule, ...]:
    """Return the rules of all `sources`, in their order; reads files.

    Raises:
        RuleParseError: One of them cannot be used; with every problem of it.
        ConfigError: There is no such file, or no package that reads it.
    """
    found: list[Rule] = []
    for source in sources:
        if isinstance(source, Rule):
            found.append(source)
        elif _is_text(source):
            found += parse_rules(source)
        else:
            found += load_rules(_existing(source)).rules
    return tuple(found)


def write(sources: Iterable[RuleSource], folder: Path) -> None:
    """Write the rules of all `sources` into files in `folder`, whose names keep their order.

    Raises:
        ConfigError: There is no such file.
    """
    for number, source in enumerate(sources):
        if isinstance(source, Rule):
            raise ConfigError(f"rules: {source.name!r} is no text: a file cannot hold it")
        if _is_text(source):
            (folder / f"{number:04}.yaml").write_text(source)
            continue
        path = _existing(source)
        for file in sorted(path.iterdir()) if path.is_dir() else [path]:
            if file.is_file() and not file.name.startswith("."):
                shutil.copy(file, folder / f"{number:04}-{file.name}")


def _is_text(source: object) -> TypeGuard[str]:
    return isinstance(source, str) and "\n" in source


def _existing(source: str | os.PathLike[str]) -> Path:
    path = Path(source)
    if not path.exists():
        hint = "" if path.is_absolute() else f" in {Path.cwd()}"
        raise ConfigError(
            f"rules: there is no file or directory {str(source)!r}{hint}; a YAML text has a line "
            "end in it"
        )
    return path
