"""Each way to break a plugin gives its one line; in real processes, with packages on their path."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from attrs import evolve, frozen

GOOD = """
from contextlib import asynccontextmanager
from attrs import frozen
from attrs.validators import instance_of
from attrs import field
from acteon.core import Action, ProviderResponse
from acteon.provider import ProviderPlugin, provider

@frozen
class Pager:
    idempotent = False
    async def execute(self, action): return ProviderResponse()
    async def health_check(self): return

@frozen(kw_only=True)
class Config:
    room: str
    loud: bool = False
    volume: int = field(default=1)
    @volume.validator
    def _loudness(self, attribute, value):
        if value > 11:
            raise ValueError("'volume' goes to 11")

class Plugin(ProviderPlugin):
    Config = Config

    @classmethod
    @asynccontextmanager
    async def open(cls, name, config):
        yield Pager()
"""
CONFIGURED = '[[providers]]\nname = "p"\ntype = "pager"\n'


@frozen(kw_only=True)
class Broken:
    """A package, its configuration, and the line that tells what is wrong.

    Attributes:
        more: Stands below the good module.
        module: The module, if it is not the good one.
        point: What the entry point names.
        requires: What the package requires.
        keys: Stands below `[[providers]]`.
        told: The line, without `error: `.
    """

    more: str = ""
    module: str = GOOD
    point: str = "pager:Plugin"
    requires: str = "acteon-provider>=0.1"
    keys: str = 'room = "office"'
    type: str = "pager"
    told: str = ""


OF = "acteon.toml: provider 'p': type: acteon.providers plugin 'pager' of acteon-pager"
MISTAKES = {
    "missing": Broken(
        type="fax",
        told="acteon.toml: provider 'p': type: there is no acteon.providers plugin 'fax'; "
        "installed: ",
    ),
    "misspelt": Broken(
        type="pagr",
        told="acteon.toml: provider 'p': type: there is no acteon.providers plugin 'pagr'; "
        "did you mean 'pager'?",
    ),
    "wrong version": Broken(
        requires="acteon-provider>=2",
        told=f"{OF} does not fit: it needs acteon-provider>=2, and 0.1.0 is installed; install "
        "another version of acteon-pager, or of acteon-provider",
    ),
    "lacking": Broken(
        requires="acteon-telegraph>=1",
        told=f"{OF} does not fit: it needs acteon-telegraph, which is not installed: "
        "pip install acteon-telegraph",
    ),
    "import": Broken(
        module="import nothing_of_that_name",
        told=f"{OF} cannot be imported: ModuleNotFoundError: No module named "
        "'nothing_of_that_name'; mend it, or install another version of acteon-pager",
    ),
    "syntax": Broken(
        module="def page(:",
        told=f"{OF} cannot be imported: SyntaxError: invalid syntax (pager.py, line 1); mend it, "
        "or install another version of acteon-pager",
    ),
    "exit": Broken(
        module="raise SystemExit('no licence')",
        told=f"{OF} cannot be imported: SystemExit: no licence; mend it, or install another "
        "version of acteon-pager",
    ),
    "name": Broken(
        point="pager:Plugn",
        told=f"{OF} cannot be imported: AttributeError: module 'pager' has no attribute 'Plugn'; "
        "mend it, or install another version of acteon-pager",
    ),
    "class": Broken(
        point="pager:Pager",
        told=f"{OF} is no ProviderPlugin; its entry point pager:Pager has to name a subclass of it",
    ),
    "instance": Broken(
        more="plugin = Plugin()",
        point="pager:plugin",
        told=f"{OF} is no ProviderPlugin; its entry point pager:plugin has to name a subclass "
        "of it",
    ),
    "unmarked": Broken(
        more="def page(action): return None",
        point="pager:page",
        told=f"{OF} is no ProviderPlugin; its entry point pager:page has to name a subclass of it, "
        "or a function that is marked by @provider",
    ),
    "abstract": Broken(
        more="class Half(ProviderPlugin):\n    Config = Config",
        point="pager:Half",
        told=f"{OF} is incomplete: Half lacks open; its author must mend that",
    ),
    "no config": Broken(
        more="del Plugin.Config",
        told="acteon.toml: provider 'p': type: acteon.providers plugin 'pager' names no attrs "
        "class as its Config; its author must mend that",
    ),
    "odd config": Broken(
        more="Plugin.Config = dict",
        told="acteon.toml: provider 'p': type: acteon.providers plugin 'pager' names no attrs "
        "class as its Config; its author must mend that",
    ),
    "missing key": Broken(
        keys="", told="acteon.toml: provider 'p': pager type requires a 'room' field"
    ),
    "unknown key": Broken(
        keys='room = "o"\nlod = true',
        told="acteon.toml: provider 'p': lod: unknown key; did you mean 'loud'?",
    ),
    "wrong kind": Broken(
        keys='room = "o"\nloud = "yes"',
        told="acteon.toml: provider 'p': loud: wanted true or false, found the text \"yes\"",
    ),
    "refused value": Broken(
        keys='room = "o"\nvolume = 12', told="acteon.toml: provider 'p': volume: goes to 11"
    ),
    "opening fails": Broken(
        more="class Shut(Plugin):\n    @classmethod\n    @asynccontextmanager\n"
        "    async def open(cls, name, config):\n        raise OSError('the bell is gone')\n"
        "        yield",
        point="pager:Shut",
        told="provider 'p': OSError: the bell is gone",
    ),
    "opens nothing": Broken(
        more="class Blank(Plugin):\n    @classmethod\n    def open(cls, name, config): return None",
        point="pager:Blank",
        told="provider 'p': its plugin opens with NoneType, which is no asynchronous context "
        "manager; its author must mend that",
    ),
    "gives nothing": Broken(
        more="class Odd(Plugin):\n    @classmethod\n    @asynccontextmanager\n"
        "    async def open(cls, name, config): yield object()",
        point="pager:Odd",
        told="provider 'p': its plugin gives object, which has no idempotent and no execute and no "
        "health_check; its author must mend that",
    ),
}


def install(folder: Path, package: str, broken: Broken) -> None:
    information = folder / f"{package.replace('-', '_')}-1.dist-info"
    information.mkdir()
    (information / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {package}\nVersion: 1\nRequires-Dist: {broken.requires}\n"
    )
    (information / "entry_points.txt").write_text(f"[acteon.providers]\npager = {broken.point}\n")
    (folder / "pager.py").write_text(f"{broken.module}\n{broken.more}\n")


def told(folder: Path, broken: Broken) -> str:
    """Return the one line that whoever is to use it ends with."""
    (folder / "acteon.toml").write_text(
        f'[[providers]]\nname = "p"\ntype = "{broken.type}"\n{broken.keys}\n'
    )
    done = subprocess.run(
        [sys.executable, "-m", "acteon.server", "providers", "check"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(folder)},
        capture_output=True,
        encoding="utf-8",
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stdout) == (2, "")
    (line,) = done.stderr.splitlines()
    assert line.startswith("error: ")
    return line.removeprefix("error: ")


@pytest.mark.parametrize("broken", MISTAKES.values(), ids=MISTAKES)
def test_each_mistake_is_one_line(broken: Broken, tmp_path: Path) -> None:
    install(tmp_path, "acteon-pager", broken)
    line = told(tmp_path, broken)
    if broken.told.endswith("installed: "):
        assert line.startswith(broken.told)
    else:
        assert line == broken.told


def test_two_of_one_name_are_refused(tmp_path: Path) -> None:
    good = Broken()
    install(tmp_path, "acteon-pager", good)
    install(tmp_path, "other-pager", evolve(good, point="pager:Config"))
    assert told(tmp_path, good) == (
        "acteon.toml: provider 'p': type: acteon.providers plugin 'pager' is offered by each of: "
        "acteon-pager, other-pager; uninstall all but one"
    )
