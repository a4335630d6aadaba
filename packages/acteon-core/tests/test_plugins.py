import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from acteon.core import ConfigError, PluginNotFoundError, load_plugin, plugin_names


class Wanted:
    """What the plugins of these tests are to be."""


GROUP = "acteon.tests"
MODULE = "an_installed_plugin_of_tests"


@pytest.fixture(autouse=True)
def installed(tmp_path: Path) -> Iterator[None]:
    """Install two packages that offer plugins, as pip would."""
    (tmp_path / f"{MODULE}.py").write_text(
        "from pathlib import Path\n"
        "class Other: ...\n"
        "def make(base):\n"
        "    global Good\n"
        "    class Good(base): ...\n"
    )
    (tmp_path / "a_broken_plugin_of_tests.py").write_text("1 / 0\n")
    (tmp_path / "a_leaving_plugin_of_tests.py").write_text("raise SystemExit('bye\\nbye')\n")
    offers = {
        "first": f"good = {MODULE}:Good\nother = {MODULE}:Other\ntwice = {MODULE}:Good\n"
        f"gone = {MODULE}:Gone\nbroken = a_broken_plugin_of_tests:Good\n"
        "leaving = a_leaving_plugin_of_tests:Good\n",
        "second": f"twice = {MODULE}:Other\n",
    }
    for name, points in offers.items():
        info = tmp_path / f"{name}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(f"[{GROUP}]\n{points}")
    sys.path.insert(0, str(tmp_path))
    try:
        yield
    finally:
        sys.path.remove(str(tmp_path))
        sys.modules.pop(MODULE, None)


def test_a_plugin_is_imported_only_when_it_is_loaded() -> None:
    assert "good" in plugin_names(GROUP)
    assert MODULE not in sys.modules


def test_a_plugin_is_found_by_its_name() -> None:
    module = __import__(MODULE)
    module.make(Wanted)

    assert load_plugin(GROUP, "good", Wanted) is module.Good


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("goood", "there is no acteon.tests plugin 'goood'; did you mean 'good'?"),
        (
            "zzz",
            "there is no acteon.tests plugin 'zzz'; "
            "installed: broken, gone, good, leaving, other, twice",
        ),
    ],
)
def test_a_name_that_nobody_offers_is_answered_with_those_that_are(name: str, text: str) -> None:
    with pytest.raises(PluginNotFoundError) as caught:
        load_plugin(GROUP, name, Wanted)

    assert str(caught.value) == text


def test_an_official_plugin_that_is_not_installed_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys, "path", [])  # As if nothing were.
    with pytest.raises(PluginNotFoundError, match=r"pip install acteon-email$"):
        load_plugin("acteon.providers", "email", Wanted)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        (
            "other",
            "acteon.tests plugin 'other' of first is no Wanted; "
            f"its entry point {MODULE}:Other has to name a subclass of it",
        ),
        (
            "twice",
            "acteon.tests plugin 'twice' is offered by each of: first, second; "
            "uninstall all but one",
        ),
        (
            "broken",
            "acteon.tests plugin 'broken' of first cannot be imported: "
            "ZeroDivisionError: division by zero; mend it, or install another version of first",
        ),
        (
            "leaving",
            "acteon.tests plugin 'leaving' of first cannot be imported: SystemExit: bye bye; "
            "mend it, or install another version of first",
        ),
        (
            "gone",
            "acteon.tests plugin 'gone' of first cannot be imported: "
            f"AttributeError: module '{MODULE}' has no attribute 'Gone'; "
            "mend it, or install another version of first",
        ),
    ],
)
def test_a_plugin_that_cannot_be_used_says_why(name: str, text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_plugin(GROUP, name, Wanted)

    assert str(caught.value) == text
