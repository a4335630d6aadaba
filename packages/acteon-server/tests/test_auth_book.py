"""The file of users and keys is followed while the server runs."""

import asyncio
import logging
import os
from pathlib import Path

import pytest

from acteon.core import ConfigError
from acteon.gateway.testing import until
from acteon.server.auth.book import AccountBook, open_accounts
from acteon.server.auth.secretbox import encrypt
from acteon.server.config import AuthSection

KEY = bytes(range(32))
ENVIRON = {"ACTEON_AUTH_KEY": KEY.hex()}
GARBAGE = "this is no TOML"


def document(*names: str, secret: str = "0123456789abcdef0123456789abcdef") -> str:
    """Return a file with an API key for each of `names`."""
    entries = (
        f'[[api_keys]]\nname = "{name}"\nkey_hash = "{number:064x}"\nrole = "viewer"\n'
        'grants = [{ tenants = ["*"], namespaces = ["*"], actions = ["*"] }]\n'
        for number, name in enumerate(names)
    )
    return f'[settings]\njwt_secret = "{encrypt(secret, KEY)}"\n{"".join(entries)}'


def names(book: AccountBook) -> list[str]:
    return [key.name for key in book.current.keys.values()]


def replace(file: Path, text: str | None) -> None:
    """Put `text` into `file` at once: nobody reads a part of it; None takes the file away."""
    if text is None:
        file.unlink()
        return
    new = file.with_name("new")
    new.write_text(text)
    new.rename(file)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "auth.toml"
    path.write_text(document("a"))
    path.chmod(0o600)
    return path


@pytest.fixture
async def book(file: Path) -> AccountBook:
    return await AccountBook.open(file, KEY)


async def test_a_changed_file_is_in_force_and_so_are_its_secrets(
    book: AccountBook, file: Path
) -> None:
    replace(file, document("b", "c", secret="another secret of thirty-two bytes"))

    assert await book.look()
    assert names(book) == ["b", "c"]
    assert book.current.tokens.secrets == ("another secret of thirty-two bytes",)


async def test_a_file_that_was_only_touched_is_not_read_again(
    book: AccountBook, file: Path
) -> None:
    before = book.current
    os.utime(file, (1, 1))

    assert not await book.look()
    assert book.current is before


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (GARBAGE, "failed to parse auth config: {}:1:6: "),
        ("", "failed to parse auth config: {}: [settings]: is missing"),
        (document("b").replace("viewer", "owner"), "failed to parse auth config: {}: invalid role"),
        (None, "failed to read auth config at {}: there is no such file"),
    ],
)
async def test_a_bad_file_keeps_the_accounts_and_is_told_once(
    text: str | None, told: str, book: AccountBook, file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    replace(file, text)

    assert [await book.look() for _ in range(3)] == [True, False, False]
    assert names(book) == ["a"]
    assert (book.problem or "").startswith(told.format(file))
    (record,) = (record for record in caplog.records if record.levelno == logging.ERROR)
    assert record.message.endswith("the accounts stay as they were")
    assert record.__dict__["acteon.error"] == book.problem


async def test_what_was_bad_is_good_again_when_it_is_mended(book: AccountBook, file: Path) -> None:
    replace(file, GARBAGE)
    await book.look()
    replace(file, document("a"))

    assert await book.look()
    assert book.problem is None
    assert names(book) == ["a"]


async def test_a_file_that_is_moved_into_place_is_followed(file: Path) -> None:
    async with open_accounts(AuthSection(config_path=file), ENVIRON) as book:
        replace(file, document("b"))
        await until(lambda: names(book) == ["b"])
        replace(file, GARBAGE)
        await until(lambda: book.problem is not None)
        assert names(book) == ["b"]
        replace(file, document("c"))
        await until(lambda: names(book) == ["c"])


async def test_a_mounted_secret_is_followed_whose_link_is_swapped(tmp_path: Path) -> None:
    mounted = tmp_path / "mounted"
    for version in ("1", "2"):
        (mounted / version).mkdir(parents=True)
        (mounted / version / "auth.toml").write_text(document(f"of-{version}"))
    (mounted / "..data").symlink_to("1")
    (mounted / "auth.toml").symlink_to("..data/auth.toml")
    section = AuthSection(config_path=Path("auth.toml"))

    async with open_accounts(section, ENVIRON, directory=mounted) as book:
        assert names(book) == ["of-1"]
        (mounted / "new").symlink_to("2")
        (mounted / "new").rename(mounted / "..data")
        await until(lambda: names(book) == ["of-2"])


async def test_without_watch_the_file_is_not_followed(file: Path) -> None:
    followed, fixed = AuthSection(config_path=file), AuthSection(config_path=file, watch=False)
    async with open_accounts(followed, ENVIRON) as book, open_accounts(fixed, ENVIRON) as other:
        replace(file, document("b"))
        await until(lambda: names(book) == ["b"])
        assert names(other) == ["a"]


async def test_nothing_is_followed_any_more_when_it_is_left(file: Path) -> None:
    before = asyncio.all_tasks()
    async with open_accounts(AuthSection(config_path=file), ENVIRON):
        assert asyncio.all_tasks() > before
    assert asyncio.all_tasks() == before


@pytest.mark.parametrize(
    ("environ", "told"),
    [
        ({}, "ACTEON_AUTH_KEY environment variable is required when auth is enabled; "),
        (
            {"ACTEON_AUTH_KEY": "short"},
            "invalid ACTEON_AUTH_KEY: ACTEON_AUTH_KEY must be 32 bytes encoded as 64 hex chars or "
            "base64; ",
        ),
        ({"ACTEON_AUTH_KEY": "00" * 32}, "failed to parse auth config: "),
    ],
)
async def test_without_the_right_key_nothing_is_opened(
    environ: dict[str, str], told: str, file: Path
) -> None:
    with pytest.raises(ConfigError) as refused:
        async with open_accounts(AuthSection(config_path=file), environ):
            pass

    assert str(refused.value).startswith(told)
