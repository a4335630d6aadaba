"""What `docs/authentication.md` shows is what its reader gets."""

import re
from itertools import pairwise
from pathlib import Path

import pytest

from acteon.core import ConfigError
from acteon.provider.webhook import WebhookConfig
from acteon.server import load_config
from acteon.server.auth.authfile import read_accounts
from acteon.server.auth.tables import AuthTables, KeyTable, SettingsTable, UserTable
from acteon.server.config.structure import keys_of
from acteon.server.pagetests import blocks, shell
from servers.install import program

PAGE = (Path(__file__).parents[3] / "docs" / "authentication.md").read_text(encoding="utf-8")
BLOCKS = blocks(PAGE)


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
        typing.type_page(BLOCKS)
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
