"""The commands that make what `auth.toml` holds, as processes of their own."""

import hashlib
import os
import pty
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from acteon.server.auth.passwords import USUAL
from acteon.server.auth.phc import Cost
from acteon.server.auth.secretbox import decrypt

HEX = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"
KEY = bytes(range(32))
LIMIT = 30
Done = subprocess.CompletedProcess[bytes]
Run = Callable[..., Done]


def environ(**more: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("ACTEON_")}
    return {**kept, **more}


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Give what runs the command to its end, with something on stdin."""

    def run_one(*arguments: str, stdin: bytes = b"", **more: str) -> Done:
        return subprocess.run(
            [sys.executable, "-m", "acteon.server", *arguments],
            cwd=tmp_path,
            env=environ(**more),
            input=stdin,
            capture_output=True,
            timeout=LIMIT,
            check=False,
        )

    return run_one


def line(done: Done) -> str:
    """Return the only line on stdout, after making sure that all went well."""
    assert (done.returncode, done.stderr) == (0, b""), done
    text = done.stdout.decode()
    assert text.endswith("\n")
    assert text.count("\n") == 1
    return text[:-1]


def complaint(done: Done) -> str:
    """Return the only line on stderr of a command that refused its work."""
    assert (done.returncode, done.stdout) == (1, b""), done
    text = done.stderr.decode()
    assert text.count("\n") == 1
    return text.removeprefix("error: ").rstrip("\n")


@pytest.mark.parametrize(
    ("stdin", "text"),
    [
        (b"abc\n", "abc"),
        (b"abc", "abc"),
        (b"abc\n\n\n", "abc"),
        (b"abc\r\n", "abc"),
        (b"abc\r", "abc\r"),
        (b" a\nb \n", " a\nb "),
        ("süß".encode(), "süß"),
        (b"", ""),
    ],
)
def test_what_is_encrypted_has_no_line_ends_behind_it(stdin: bytes, text: str, run: Run) -> None:
    assert decrypt(line(run("encrypt", stdin=stdin, ACTEON_AUTH_KEY=HEX)), KEY) == text


def test_encrypting_reads_no_configuration(run: Run, tmp_path: Path) -> None:
    (tmp_path / "acteon.toml").write_text("this is no TOML")

    assert line(run("encrypt", stdin=b"abc", ACTEON_AUTH_KEY=HEX)).startswith("ENC[AES256-GCM,")


@pytest.mark.parametrize(
    ("stdin", "more", "told"),
    [
        (
            b"abc",
            {},
            "ACTEON_AUTH_KEY environment variable is required for the encrypt command; openssl "
            "rand -hex 32 makes one",
        ),
        (
            b"abc",
            {"ACTEON_AUTH_KEY": "abc"},
            "invalid ACTEON_AUTH_KEY: ACTEON_AUTH_KEY must be 32 bytes encoded as 64 hex chars or "
            "base64; openssl rand -hex 32 makes one",
        ),
        (b"\xff", {"ACTEON_AUTH_KEY": HEX}, "stdin has no UTF-8 text"),
        (b"a" * 1048577, {"ACTEON_AUTH_KEY": HEX}, "stdin has more than 1048576 bytes"),
    ],
)
def test_it_is_told_why_nothing_is_encrypted(
    stdin: bytes, more: dict[str, str], told: str, run: Run
) -> None:
    assert complaint(run("encrypt", stdin=stdin, **more)) == told


def test_options_of_the_server_are_none_of_the_commands(run: Run) -> None:
    assert run("encrypt", "--port", "1", ACTEON_AUTH_KEY=HEX).returncode == 2


def test_a_password_on_stdin_is_hashed(run: Run) -> None:
    from argon2.low_level import Type, verify_secret

    phc = line(run("hash-password", stdin=b"correct horse\n"))

    assert Cost.of(phc) == USUAL
    assert verify_secret(phc.encode(), b"correct horse", Type.ID)


@pytest.mark.parametrize(
    ("command", "what"), [("hash-password", "password"), ("hash-key", "API key")]
)
def test_nothing_is_no_secret(command: str, what: str, run: Run) -> None:
    told = f"there is no {what}; type it, or give it on stdin"

    assert complaint(run(command, stdin=b"\n")) == told


def test_a_key_on_stdin_is_hashed(run: Run) -> None:
    expected = "7007eeb3a4e88de3167e9466573e1881916bb7a86e4d89c56c50eb0c82df0e2b"

    assert line(run("hash-key", stdin=b"op-key\n")) == expected


def test_a_new_key_is_printed_above_its_hash(run: Run) -> None:
    made = [run("hash-key", "--new").stdout.decode().splitlines() for _ in range(2)]

    for key, found in made:
        assert len(key) >= 43
        assert found == hashlib.sha256(key.encode()).hexdigest()
    assert made[0] != made[1]


@pytest.mark.parametrize("key", ["schlüssel", "a\tb", " key", "two\nlines"])
def test_a_key_that_no_header_can_hold_is_refused(key: str, run: Run) -> None:
    assert complaint(run("hash-key", stdin=key.encode())) == (
        "an API key is sent in a header: it must be of visible ASCII characters, with no blanks "
        "around it"
    )


def typed(command: str, *texts: str) -> tuple[int, str, str]:
    """Return exit status, stdout and stderr of `command` at a terminal where `texts` are typed."""
    ours, theirs = pty.openpty()
    with (
        open(ours, "r+b", buffering=0) as terminal,
        subprocess.Popen(
            [sys.executable, "-m", "acteon.server", command],
            env=environ(),
            stdin=theirs,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,  # A terminal of its own, whoever runs the tests at another.
        ) as process,
    ):
        os.close(theirs)
        assert process.stdout is not None
        assert process.stderr is not None
        shown = b""
        for text in texts:
            while not shown.endswith(b": "):  # What is typed before that is thrown away.
                letter = process.stderr.read(1)
                assert letter, shown
                shown += letter
            terminal.write(f"{text}\n".encode())
            shown += b"\n"
        out, rest = process.stdout.read(), process.stderr.read()
        return process.wait(LIMIT), out.decode(), (shown + rest).decode()


def test_at_a_terminal_a_password_is_asked_for_twice_and_not_shown() -> None:
    status, out, told = typed("hash-password", "correct horse", "correct horse")

    assert status == 0
    assert Cost.of(out.rstrip("\n")) == USUAL
    assert "password: " in told
    assert "password, once more: " in told
    assert "horse" not in told


def test_two_passwords_that_differ_are_refused() -> None:
    status, out, told = typed("hash-password", "correct horse", "correct house")

    assert (status, out) == (1, "")
    assert "error: the two passwords differ; nothing was hashed" in told


@pytest.mark.parametrize("command", ["encrypt", "hash-password", "hash-key"])
def test_help_tells_the_exit_status(command: str, run: Run) -> None:
    done = run(command, "--help")

    assert done.returncode == 0
    assert "Exit status: 0 if all is well, 1 if" in done.stdout.decode()
