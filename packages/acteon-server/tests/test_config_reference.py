"""The page on the configuration says what the classes say, and what it shows can be used."""

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
from attrs import frozen

from acteon.audit import AuditPlugin
from acteon.core import AUDIT, PROVIDERS, STATE, load_plugin, official_package, plugin_names
from acteon.provider import ProviderPlugin
from acteon.server.config import Config, load_config, parse_config
from acteon.server.config.reference import keys_described, main, reference, table_in
from acteon.server.config.structure import keys_of
from acteon.state import StatePlugin

ROOT = Path(__file__).parents[3]
PAGE = ROOT / "docs" / "configuration.md"
FULL = ROOT / "examples" / "full.toml"
BLOCKS = re.findall(r"```toml\n(.*?)```", reference(), re.DOTALL)
SECTIONS = {
    name: attribute.type
    for name, attribute in keys_of(Config).items()
    if name not in ("providers", "path", "files", "secrets") and attribute.type is not None
}


def test_the_page_is_what_would_be_written(tmp_path: Path) -> None:
    written = tmp_path / "configuration.md"
    main([str(written)])

    assert PAGE.read_text(encoding="utf-8") == written.read_text(encoding="utf-8"), (
        "run: python -m acteon.server.config.reference docs/configuration.md"
    )


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: block.split("\n")[0])
def test_what_the_page_shows_can_be_used(block: str) -> None:
    parse_config(block)


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: block.split("\n")[0])
def test_what_the_page_leaves_out_can_be_put_in(block: str, tmp_path: Path) -> None:
    (tmp_path / "rules").mkdir()
    # Certificates are of use only where connections are encrypted.
    whole = block.replace("\n# ", "\n").replace('"redis://', '"rediss://')
    whole = whole.replace('"clickhouse://', '"clickhouses://')
    whole = whole.replace("\napi_key", "\n# api_key")  # There is a user already.
    parse_config(whole, directory=tmp_path)


def test_what_the_page_shows_are_the_defaults() -> None:
    own = re.compile(r'\[\[|\[(?:state|audit)\]\nbackend = "\w+"\n.')
    shown = "\n".join(block for block in BLOCKS if not own.match(block))

    found, defaults = parse_config(shown), parse_config("")
    for name in SECTIONS:
        assert getattr(found, name) == getattr(defaults, name)


@pytest.mark.parametrize("name", SECTIONS)
def test_the_full_example_has_every_key(name: str) -> None:
    section = FULL.read_text().split(f"[{name}]\n")[1].split("\n[")[0]
    there = set(re.findall(r"^(?:# )?(\w+) =", section, re.MULTILINE))
    cls = SECTIONS[name]

    assert {key.name for key in keys_described(cls)} - there == set()


def test_the_full_example_shows_the_defaults() -> None:
    tomllib.loads(FULL.read_text())
    found, defaults = load_config(FULL, environ={}), parse_config("")

    assert found.server == defaults.server
    assert found.executor == defaults.executor
    assert (found.rules, found.auth, found.rate_limit) == (
        defaults.rules,
        defaults.auth,
        defaults.rate_limit,
    )


@pytest.mark.parametrize(
    ("group", "base"), [(STATE, StatePlugin), (AUDIT, AuditPlugin), (PROVIDERS, ProviderPlugin)]
)
def test_the_page_has_the_keys_of_the_plugins(group: str, base: type[Any]) -> None:
    names = [name for name in plugin_names(group) if official_package(group, name)]

    assert names
    for name in names:
        for key, attribute in keys_of(load_plugin(group, name, base).Config).items():
            table = table_in(attribute.type) is not None
            shown = f"### `[providers.{key}]`" if table else f"| `{key}` |"
            assert shown in reference()


def test_a_key_without_a_description_is_told() -> None:
    @frozen
    class Silent:
        """`[silent]`: says nothing.

        Attributes:
            told: What it is.
        """

        told: int = 1
        untold: int = 2

    with pytest.raises(LookupError, match=r"Silent\.untold has no description"):
        keys_described(Silent)
