"""Packages of plugins, made from templates, with tests that pass before the first edit."""

import keyword
import re
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from string import Template
from typing import Final

from acteon.core import ConfigError

KINDS: Final = ("provider", "state", "audit")

_NAME: Final = re.compile(r"[a-z][a-z0-9]*(?:-[a-z0-9]+)*")
_ENDING: Final = ".template"
"""So that no tool takes the templates for what they become."""


def make_package(kind: str, name: str, folder: Path) -> list[Path]:
    """Write a package of a plugin, and return its files.

    Args:
        kind: One of `KINDS`.
        name: What configurations will call it.
        folder: Where the folder of the package is made; it has to be there.

    Raises:
        ConfigError: The name cannot be one, or there is something in the way.
    """
    if not _NAME.fullmatch(name) or keyword.iskeyword(name) or len(name) > 40:
        raise ConfigError(
            f"{name!r} cannot be the name of a plugin: wanted small letters, digits and single "
            "hyphens, such as pager-duty"
        )
    package = f"acteon-{kind}-{name}"
    target = folder / package
    words = {
        "name": name,
        "package": package,
        "module": package.replace("-", "_"),
        "Class": "".join(word.capitalize() for word in name.split("-")),
    }
    if not folder.is_dir():
        raise ConfigError(f"{folder}: there is no such directory")
    try:
        target.mkdir()
    except FileExistsError:
        raise ConfigError(f"{target}: is there already; move it away, or choose a name") from None
    written: list[Path] = []
    _write(files("acteon.server.plugintools") / "templates" / kind, target, words, written)
    return sorted(written)


def _write(source: Traversable, target: Path, words: dict[str, str], written: list[Path]) -> None:
    for each in source.iterdir():
        path = target / each.name.replace("MODULE", words["module"]).removesuffix(_ENDING)
        if each.is_dir():
            path.mkdir()
            _write(each, path, words, written)
        elif each.name.endswith(_ENDING):
            text = each.read_text(encoding="utf-8")
            path.write_text(Template(text).substitute(words), encoding="utf-8")
            written.append(path)
