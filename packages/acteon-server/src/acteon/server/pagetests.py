"""Typing what a page of the documentation shows into a real shell, and comparing what comes out."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Generator, Sequence
from contextlib import contextmanager, suppress
from itertools import pairwise
from pathlib import Path
from time import monotonic, sleep
from typing import Final

from attrs import define

LIMIT: Final = 20
END: Final = "end of the block"

Block = tuple[str, str]
"""The language of a block, and its text."""


def blocks(page: str) -> list[Block]:
    """Return the blocks of `page`, in their order."""
    found: list[Block] = re.findall(r"^```(\w+)\n(.*?)\n```$", page, re.MULTILINE | re.DOTALL)
    return found


def write_files(page: str, folder: Path) -> None:
    """Write the blocks of `page` that follow `<!-- file: NAME -->` to files of these names."""
    pattern = r"^<!-- file: (\S+) -->\n```\w+\n(.*?\n)```$"
    for name, text in re.findall(pattern, page, re.MULTILINE | re.DOTALL):
        (folder / name).write_text(text, encoding="utf-8")


@define
class Shell:
    """A shell that the page's commands are typed into, one block after the other."""

    process: "subprocess.Popen[str]"
    folder: Path
    url: str = ""

    def type(self, block: str) -> str:
        """Return what the commands of `block` print."""
        # The page's server has its usual port; the one here any free one, and a log to look into.
        started = "acteon-server --port 0 > /dev/null 2> server.log &"
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

    def type_page(self, page: Sequence[Block]) -> None:
        """Type the commands of `page`; what follows as text has to come out.

        Raises:
            AssertionError: Something else came out.
        """
        for (language, text), (following, shown) in pairwise([*page, ("", "")]):
            if language == "sh":
                found = self.type(text)
                expected = shown if following == "text" else ""
                assert re.fullmatch(as_pattern(expected), found), f"{text}\n\n{found}"

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
        start_new_session=True,
    ) as process:
        try:
            yield Shell(process, folder)
        finally:
            # The shell may have ended by itself; what it started has not.
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGTERM)


def as_pattern(shown: str) -> str:
    """Return the pattern of what fits `shown`, where … stands for anything on the line."""
    return re.escape(shown).replace("…", ".*")
