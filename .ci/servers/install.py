"""Programs of the machine, installed with apt where they are missing."""

import fcntl
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from servers.errors import ServerError

# Debian starts a server that it installs, on the very port that people expect to be theirs, unless
# this says no (https://people.debian.org/~hmh/invokerc.d-policyrc.d-specification.txt).
POLICY: Final = Path("/usr/sbin/policy-rc.d")
WAIT_FOR_DPKG: Final = "DPkg::Lock::Timeout=300"


def program(name: str, package: str, *, folders: Sequence[Path] = ()) -> str:
    """Return the path of the program `name`, after installing the Debian `package` if need be.

    Args:
        name: As on the command line.
        package: What brings the program.
        folders: Where it may be besides `PATH`, which goes first.

    Raises:
        ServerError: It is missing and could not be installed; the message has the command.
    """
    return find(name, folders) or _installed(name, package, folders)


def find(name: str, folders: Sequence[Path] = ()) -> str | None:
    """Return the path of the program `name`, `None` if there is none."""
    # Debian keeps servers in sbin, which the PATH of most people lacks.
    places = [os.environ.get("PATH", os.defpath), "/usr/sbin", *map(str, folders)]
    return shutil.which(name, path=os.pathsep.join(places))


def user_for(account: str) -> str | None:
    """Return the user who runs a server that refuses to run as root: `None` for the present one."""
    return account if os.geteuid() == 0 else None


def _installed(name: str, package: str, folders: Sequence[Path]) -> str:
    command = ["apt-get", "install", "-y", "--no-install-recommends", package]
    if os.geteuid() != 0:
        raise ServerError(f"{name} is missing: run `sudo {shlex.join(command)}`")
    if shutil.which("apt-get") is None:
        raise ServerError(f"{name} is missing, and without apt-get you must install it yourself")
    with exclusive(Path(tempfile.gettempdir(), "acteon-servers-install.lock")):
        # Another session may have installed it while this one waited.
        if not (found := find(name, folders)):
            print(f"servers: {name} is missing, installing {package}", file=sys.stderr)
            with _services_stay_off():
                _run(["apt-get", "update"])
                _run([*command, "-o", WAIT_FOR_DPKG])
            found = find(name, folders)
    if not found:
        raise ServerError(f"{name} is missing even with the package {package} installed")
    return found


@contextmanager
def exclusive(path: Path) -> Generator[None]:
    """Hold the lock that the file `path` stands for: one process and thread at a time."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@contextmanager
def _services_stay_off() -> Generator[None]:
    if POLICY.exists():
        yield
        return
    POLICY.write_text("#!/bin/sh\nexit 101\n")
    POLICY.chmod(0o755)
    try:
        yield
    finally:
        POLICY.unlink(missing_ok=True)


def _run(command: Sequence[str]) -> None:
    environ = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    done = subprocess.run(
        command, env=environ, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    if done.returncode != 0:
        raise ServerError(f"`{shlex.join(command)}` failed:\n{done.stdout[-2000:]}")
