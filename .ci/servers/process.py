"""A server as a process of ours: started until it answers, stopped, killed, frozen."""

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from datetime import timedelta
from itertools import count
from pathlib import Path
from typing import Final

from attrs import define, field, frozen

from servers.errors import PortTakenError, ServerError
from servers.ports import reserved
from servers.waiting import wait_until

# Waits for the end of the process that started the server. That it went without a word is seen by
# its end of the pipe closing, however it ended; a second line says that the server has stopped.
WATCH: Final = """
read -r pid || exit 0
read -r _ && exit 0
kill -s KILL -- "-$pid" $(cat /proc/"$pid"/task/*/children)
rm -rf "$1" || { sleep 1; rm -rf "$1"; }
"""
ATTEMPTS: Final = 3
TIME_TO_STOP: Final = timedelta(seconds=15)


@frozen(kw_only=True)
class Program:
    """How a server is started, and how one sees that it runs.

    Attributes:
        name: As messages call it.
        command: The program and its arguments; it stays in the foreground.
        port: Where it listens on 127.0.0.1.
        urls: How clients reach it, the most usual first.
        answers: Returns whether it is ready for clients; may raise `OSError` for no.
        user: Who runs it, `None` for the present user.
        stop_signal: What makes it end without waiting for its clients.
        time_to_start: How long it may take until it answers.
    """

    name: str
    command: tuple[str, ...]
    port: int
    urls: tuple[str, ...]
    answers: Callable[[], bool]
    user: str | None = None
    stop_signal: signal.Signals = signal.SIGTERM
    time_to_start: timedelta = timedelta(seconds=60)


@define(eq=False)
class Server:
    """A server on 127.0.0.1, and the folder that has its data; it ends with this process."""

    program: Program
    folder: Path
    host: str = field(default="127.0.0.1", init=False)
    _process: subprocess.Popen[bytes] | None = field(default=None, init=False)
    _watch: subprocess.Popen[bytes] | None = field(default=None, init=False)

    @property
    def url(self) -> str:
        """How clients reach it."""
        return self.program.urls[0]

    @property
    def urls(self) -> tuple[str, ...]:
        """All ways to reach it."""
        return self.program.urls

    @property
    def port(self) -> int:
        """Where it listens."""
        return self.program.port

    @property
    def pid(self) -> int | None:
        """The process while it is running, else `None`."""
        return self._process.pid if self._process and self._process.poll() is None else None

    @property
    def log(self) -> Path:
        """What it has printed."""
        return self.folder / "log"

    def start(self) -> None:
        """Start it and wait until it answers; after a stop it has the same port and data.

        Raises:
            PortTakenError: Another program listens on its port.
            ServerError: It ended, or does not answer; the message has the end of its log.
        """
        if self.pid is not None:
            raise ServerError(f"{self.program.name} is running already")
        self._ended()
        self._watch = subprocess.Popen(
            ["sh", "-c", WATCH, "watch", str(self.folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,  # Ctrl-C, and who kills a whole group, must not take it along
        )
        with self.log.open("ab") as log:
            offset = log.tell()
            user = self.program.user
            self._process = subprocess.Popen(
                self.program.command,
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                user=user,
                group=_group_of(user),
                extra_groups=None if user is None else [],
            )
        self._tell_watch(str(self._process.pid))
        try:
            self._wait_until_it_answers(offset)
        except BaseException:
            self.kill()
            raise

    def stop(self) -> None:
        """Stop it in the orderly way, and wait for its end; data that it keeps is kept."""
        if self._process is not None:
            self.thaw()
            if self.pid is not None:
                self._process.send_signal(self.program.stop_signal)
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(TIME_TO_STOP.total_seconds())
            self.kill()

    def kill(self) -> None:
        """Kill it as a failing machine would, with all its processes."""
        if self._process is not None:
            members = self._signal(signal.SIGKILL)
            self._process.wait()
            # Children that still end would keep its files and shared memory in use.
            wait_until(f"{self.program.name} is gone", lambda: _are(members, "ZX"), TIME_TO_STOP)
            self._ended()

    def freeze(self) -> None:
        """Halt all its processes: connections stay open, and nothing answers any more."""
        members = self._signal(signal.SIGSTOP)
        # A signal takes effect in its own time.
        wait_until(f"{self.program.name} has halted", lambda: _are(members, "TZX"), TIME_TO_STOP)

    def thaw(self) -> None:
        """Let it go on after `freeze`."""
        self._signal(signal.SIGCONT)

    def _signal(self, number: signal.Signals) -> list[int]:
        members = [] if self.pid is None else family(self.pid)
        for pid in members:
            with suppress(ProcessLookupError):
                os.kill(pid, number)
        return members

    def _wait_until_it_answers(self, offset: int) -> None:
        assert self._process is not None
        name, limit = self.program.name, self.program.time_to_start
        deadline = time.monotonic() + limit.total_seconds()
        while True:
            with suppress(OSError):
                # One that answers on the port of a server that has ended is somebody else's.
                if self.program.answers() and self._process.poll() is None:
                    return
            if (status := self._process.poll()) is not None:
                said = self._said_since(offset)
                if "address already in use" in said.lower():
                    raise PortTakenError(f"port {self.port} for {name} is taken:\n{said}")
                raise ServerError(f"{name} ended at once with status {status}:\n{said}")
            if time.monotonic() > deadline:
                said = self._said_since(offset)
                raise ServerError(f"{name} does not answer after {limit}; it said:\n{said}")
            time.sleep(0.02)

    def _said_since(self, offset: int) -> str:
        return self.log.read_bytes()[offset:][-2000:].decode(errors="replace").strip()

    def _tell_watch(self, line: str) -> None:
        assert self._watch is not None
        assert self._watch.stdin is not None
        with suppress(BrokenPipeError):  # somebody ended it
            self._watch.stdin.write(f"{line}\n".encode())
            self._watch.stdin.flush()

    def _ended(self) -> None:
        if self._watch is not None:
            self._tell_watch("ended")
            self._watch.communicate()
        self._process = self._watch = None


@contextmanager
def running(
    name: str,
    prepare: Callable[[Path, Sequence[int]], Program],
    *,
    ports: Sequence[int] = (0,),
    user: str | None = None,
) -> Generator[Server]:
    """Run a server with a new folder of its own, which is removed with all data at the end.

    Args:
        name: What the folder is called after.
        prepare: Makes the files that the server needs in the folder, for these ports; called again
            with other ports if those were taken in between.
        ports: Where it listens; 0 stands for a free one.
        user: Whom the folder belongs to, `None` for the present user.
    """
    with temporary_folder(name, user) as folder, ExitStack() as stack:
        for attempt in count(1):
            chosen = [port or stack.enter_context(reserved()) for port in ports]
            server = Server(prepare(folder, chosen), folder)
            try:
                server.start()
            except PortTakenError:
                if all(ports) or attempt == ATTEMPTS:
                    raise
            else:
                stack.callback(server.stop)
                yield server
                return


@contextmanager
def temporary_folder(name: str, user: str | None = None) -> Generator[Path]:
    """Make a folder that belongs to `user`, and remove it at the end of the block."""
    folder = Path(tempfile.mkdtemp(prefix=f"acteon-{name}-"))
    try:
        if user is not None:
            shutil.chown(folder, user, _group_of(user))
        yield folder
    finally:
        shutil.rmtree(folder)


def run(command: Sequence[str], *, user: str | None = None, stdin: str = "") -> None:
    """Run `command` to its end as `user`, who reads `stdin`; raise `ServerError` if it fails."""
    done = subprocess.run(
        command,
        input=stdin,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        cwd="/",  # the present one may be closed to `user`
        user=user,
        group=_group_of(user),
        extra_groups=None if user is None else [],
    )
    if done.returncode != 0:
        raise ServerError(f"{command[0]} failed with {done.returncode}:\n{done.stdout[-2000:]}")


def family(pid: int) -> list[int]:
    """Return `pid` and the processes that come from it, parents first."""
    found = [pid]
    for parent in found:
        threads: list[str] = []
        with suppress(OSError):  # it has just ended
            threads = os.listdir(f"/proc/{parent}/task")
        for thread in threads:
            with suppress(OSError):  # this one has
                children = Path(f"/proc/{parent}/task/{thread}/children").read_text()
                found += map(int, children.split())
    return found


def _are(pids: Sequence[int], states: str) -> bool:
    """Return whether all processes are in one of the `states` of proc(5); X is for none at all."""
    return all(_state(pid) in states for pid in pids)


def _state(pid: int) -> str:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return "X"
    # It follows the name of the program, which may itself have parentheses.
    return stat.rpartition(") ")[2][0]


def _group_of(user: str | None) -> int | None:
    if user is None:
        return None
    import pwd  # there is none on Windows, where `servers` may still be imported

    return pwd.getpwnam(user).pw_gid
