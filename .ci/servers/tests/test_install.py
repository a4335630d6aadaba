"""Programs are taken from the machine, and installed by one session at a time."""

import subprocess
import sys
from pathlib import Path

import pytest

from servers import install
from servers.errors import ServerError


def test_a_program_on_the_path_is_used_whatever_its_package() -> None:
    assert install.program("sh", "no-such-package") == install.find("sh")


def test_the_path_goes_before_other_folders(tmp_path: Path) -> None:
    for name in ("sh", "only-here"):
        (tmp_path / name).write_text("#!/bin/sh\n")
        (tmp_path / name).chmod(0o755)

    assert install.find("sh", [tmp_path]) != str(tmp_path / "sh")
    assert install.find("only-here", [tmp_path]) == str(tmp_path / "only-here")


def test_who_is_not_root_is_told_the_command() -> None:
    program = """
import os
from servers import install
if os.geteuid() == 0:
    os.seteuid(65534)
install.program("no-such-program", "some-package")
"""
    said = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)

    assert said.stderr.splitlines()[-1] == (
        "servers.errors.ServerError: no-such-program is missing: "
        "run `sudo apt-get install -y --no-install-recommends some-package`"
    )


@pytest.mark.server
def test_why_apt_cannot_install_it_is_reported() -> None:
    with pytest.raises(ServerError, match=r"apt-get install .*acteon-no-such-package"):
        install.program("no-such-program", "acteon-no-such-package")


def test_a_lock_is_held_by_one_process_at_a_time(tmp_path: Path) -> None:
    program = f"""
import time
from pathlib import Path
from servers.install import exclusive
with exclusive(Path({str(tmp_path / "lock")!r})):
    print("in", flush=True)
    time.sleep(0.05)
    print("out", flush=True)
"""
    log = tmp_path / "log"
    with log.open("a") as output:
        processes = [
            subprocess.Popen([sys.executable, "-c", program], stdout=output) for _ in range(4)
        ]
    for process in processes:
        assert process.wait(30) == 0

    assert log.read_text().split() == ["in", "out"] * 4
