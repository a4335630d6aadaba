"""What `docs/providers.md` shows is what its reader gets."""

from itertools import pairwise
from pathlib import Path

import pytest

from acteon.server.pagetests import blocks, shell, write_files
from servers.install import program

PAGE = (Path(__file__).parents[3] / "docs" / "providers.md").read_text(encoding="utf-8")
BLOCKS = blocks(PAGE)


def test_nothing_is_shown_that_is_not_tried() -> None:
    assert {language for language, _ in BLOCKS} == {"sh", "text", "toml"}
    for (before, _), (language, _) in pairwise(BLOCKS):
        assert language != "text" or before == "sh"


@pytest.mark.server
@pytest.mark.timeout(300)  # What a reader has may have to be installed.
def test_the_commands_do_what_is_shown(tmp_path: Path) -> None:
    program("curl", "curl")
    write_files(PAGE, tmp_path)
    with shell(tmp_path) as typing:
        typing.type_page(BLOCKS)


@pytest.mark.server
def test_sighup_exchanges_them(tmp_path: Path) -> None:
    write_files(PAGE, tmp_path)
    with shell(tmp_path) as typing:
        typing.type("acteon-server &")
        typing.type("sed -i 's/^members = .*/members = [\"desk\"]/' acteon.toml; kill -HUP %1")
        assert typing.logged(r"providers exchanged.* changed=(\S+)") == "['everyone']"
        typing.type("sed -i 's/^members = .*/members = [\"dusk\"]/' acteon.toml; kill -HUP %1")
        assert "there is no provider 'dusk'" in typing.logged("the providers stay as they were(.*)")
