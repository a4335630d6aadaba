"""Reading files whatever stands in their place."""

import os
import threading
from pathlib import Path

import pytest

from acteon.core import UnreadableFileError, read_file


def refusal(path: Path, max_bytes: int = 100) -> str:
    with pytest.raises(UnreadableFileError) as caught:
        read_file(path, max_bytes=max_bytes)
    return str(caught.value)


def test_a_file_is_read_whole(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"x" * 100)
    assert read_file(tmp_path / "file", max_bytes=100) == b"x" * 100


def test_what_is_larger_than_the_limit_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"x" * 101)
    assert refusal(tmp_path / "file") == "has more than 100 bytes"
    assert refusal(Path("/dev/zero")) == "has more than 100 bytes"


def test_a_pipe_is_read_if_somebody_writes_and_refused_if_nobody_does(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    assert refusal(pipe) == "is a pipe that nothing comes out of"
    reading, writing = os.pipe()
    try:
        writer = threading.Timer(0.01, _write, (writing, b"text"))
        writer.start()
        assert read_file(Path(f"/dev/fd/{reading}"), max_bytes=100) == b"text"
        writer.join()
    finally:
        os.close(reading)


def _write(descriptor: int, text: bytes) -> None:
    with os.fdopen(descriptor, "wb") as pipe:
        pipe.write(text)


def test_a_file_that_never_stops_changing_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "file"
    size = 64_000_000  # So large that it changes many times while it is read once.
    with path.open("wb") as file:
        file.truncate(size)
    changed, ended = threading.Event(), threading.Event()

    def change() -> None:
        instant = 0
        while not ended.is_set():
            instant += 1
            os.utime(path, ns=(0, instant))
            changed.set()

    writer = threading.Thread(target=change)
    writer.start()
    try:
        assert changed.wait(10)
        assert refusal(path, size) == "changes while it is read; try again"
    finally:
        ended.set()
        writer.join()


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("gone")
    (tmp_path / "circle").symlink_to("circle")
    assert refusal(tmp_path) == "is a directory, not a file"
    assert refusal(tmp_path / "none") == "there is no such file"
    assert refusal(tmp_path / "link") == "is a link to a file that is not there"
    assert "symbolic links" in refusal(tmp_path / "circle")
    assert refusal(Path("nul\0")) == "is no name of a file"
