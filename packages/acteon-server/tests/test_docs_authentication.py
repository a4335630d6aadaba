"""What `docs/authentication.md` shows is what its reader gets."""

import os
import re
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from time import monotonic, sleep

import pytest
from attrs import define

from acteon.core import ConfigError
from acteon.provider.webhook import WebhookConfig
from acteon.server import load_config
from acteon.server.auth.authfile import read_accounts
from acteon.server.auth.tables import AuthTables, KeyTable, SettingsTable, UserTable
from acteon.server.config.structure import keys_of
from servers.install import program

PAGE = (Path(__file__).parents[3] / "docs" / "authentication.md").read_text(encoding="utf-8")
BLOCKS: list[tuple[str, str]] = re.findall(
    r"^```(\w+)\n(.*?)\n```$", PAGE, re.MULTILINE | re.DOTALL
)
LIMIT = 20
END = "end of the block"


@define
class Shell:
    """A shell that the page's commands are typed into, one block after the other."""

    process: "subprocess.Popen[str]"
    folder: Path
    url: str = ""

    def type(self, block: str) -> str:
        """Return what the commands of `block` print."""
        # The page's server has its usual port; the one here any free one, and a log to look into.
        started = "acteon-server --port 0 2> server.log &"
        text = block.replace("acteon-server &", started).replace("http://127.0.0.1:8080", self.url)
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        print(f"{text}\necho; echo {END}", file=self.process.stdin, flush=True)
        shown = ""
        while not shown.endswith(f"\n{END}\n"):
            line = self.process.stdout.readline()
            assert line, f"the shell ended: {shown}"
            shown += line
        if started in text:
            self.url = self.logged(r"listening url=(\S+)")
        elif "mv auth.toml.new auth.toml" in text:
            self.logged("accounts read again()")
        return shown.removesuffix(f"\n{END}\n").rstrip("\n")

    def logged(self, pattern: str) -> str:
        """Return what the group of `pattern` is in the server's log, as soon as it is there."""
        log = self.folder / "server.log"
        end = monotonic() + LIMIT
        while monotonic() < end:
            found = re.search(pattern, log.read_text() if log.exists() else "")
            if found:
                return found[1]
            sleep(0.02)
        raise AssertionError(log.read_text())


@contextmanager
def shell(folder: Path) -> Generator[Shell]:
    """Give a shell in `folder` that knows the command; what it started ends with it."""
    environ = {name: text for name, text in os.environ.items() if not name.startswith("ACTEON_")}
    environ["PATH"] = f"{Path(sys.executable).parent}:{environ['PATH']}"
    with subprocess.Popen(
        ["bash", "-eu", "-o", "pipefail"],
        cwd=folder,
        env=environ,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        encoding="utf-8",
    ) as process:
        try:
            yield Shell(process, folder)
        finally:
            assert process.stdin is not None
            print("kill %1; wait", file=process.stdin, flush=True)


def as_pattern(shown: str) -> str:
    """Return the pattern of what fits `shown`, where … stands for anything on the line."""
    return re.escape(shown).replace("…", ".*")


def test_nothing_is_shown_that_is_not_tried() -> None:
    languages = [language for language, _ in BLOCKS]
    assert set(languages) == {"sh", "text", "toml"}
    assert languages.count("toml") == 1
    for (before, _), (language, _) in pairwise(BLOCKS):
        assert language != "text" or before in ("sh", "toml")


@pytest.mark.server
@pytest.mark.timeout(300)  # What a reader has may have to be installed.
def test_the_commands_do_what_is_shown(tmp_path: Path) -> None:
    for name in ("curl", "openssl"):
        program(name, name)
    with shell(tmp_path) as typing:
        for (language, text), (following, shown) in pairwise([*BLOCKS, ("", "")]):
            if language != "sh":
                continue
            found = typing.type(text)
            if following == "text":
                assert re.fullmatch(as_pattern(shown), found), found
            else:
                assert found == ""
        typing.type('echo "$ACTEON_AUTH_KEY" > master.key')
    log = (tmp_path / "server.log").read_text()
    assert "WARNING acteon.server.auth" not in log
    assert "horse" not in log
    key = (tmp_path / "master.key").read_text()
    config = load_config(tmp_path / "encrypted.toml", environ={"ACTEON_AUTH_KEY": key})
    (provider,) = config.providers
    assert isinstance(provider.settings, WebhookConfig)
    assert provider.settings.secret == "shared with the receiver"


def test_mistakes_are_told_as_shown(folder: Path) -> None:
    ((text, shown),) = (
        (text, shown) for (language, text), (_, shown) in pairwise(BLOCKS) if language == "toml"
    )
    (folder / "mistaken.toml").write_text(text)

    with pytest.raises(ConfigError) as refused:
        read_accounts(Path("mistaken.toml"), bytes(32))

    assert str(refused.value) == shown


def test_the_table_has_every_key() -> None:
    section = PAGE.split("## `auth.toml`")[1].split("\n- **")[0]
    assert set(keys_of(AuthTables)) == {"settings", "users", "api_keys"}
    for cls in (SettingsTable, UserTable, KeyTable):
        for key in keys_of(cls):
            assert re.search(rf"`(?:\[+\w+\]+ )?{key}`", section), key


def test_the_table_has_every_command() -> None:
    from acteon.server.auth_commands import encrypt, hash_key, hash_password

    section = PAGE.split("## Commands")[1]
    for command in (encrypt, hash_password, hash_key):
        assert f"| `acteon-server {command.name}` |" in section
