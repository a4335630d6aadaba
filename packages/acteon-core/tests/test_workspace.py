"""The conventions that hold for every package of this repository."""

import ast
import re
import sys
import tomllib
from importlib.metadata import PackageNotFoundError, distribution, packages_distributions
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[3]
FOLDERS = sorted(path.parent for path in ROOT.glob("packages/*/pyproject.toml"))
WITH_CODE = [folder for folder in FOLDERS if folder.name != "acteon"]
UNINSTALLED = {"airflow": "apache-airflow-task-sdk"}
"""Distributions that are too large to be in every environment, by what is imported of them."""
TOP_LEVEL = {
    "packages",
    "examples",
    "docs",
    "noxfile.py",
    "pyproject.toml",
    "docker-compose.yml",
    "README.md",
    "LICENSE",
}


def read(folder: Path) -> dict[str, Any]:
    return tomllib.loads((folder / "pyproject.toml").read_text())


@pytest.fixture(params=FOLDERS, ids=lambda folder: folder.name)
def folder(request: pytest.FixtureRequest) -> Path:
    path: Path = request.param
    return path


@pytest.fixture(params=WITH_CODE, ids=lambda folder: folder.name)
def package(request: pytest.FixtureRequest) -> Path:
    path: Path = request.param
    return path


def test_the_top_level_holds_what_was_agreed_and_no_more() -> None:
    there = {path.name for path in ROOT.iterdir() if not path.name.startswith(".")}

    assert there - {"uv.lock", "dist"} == TOP_LEVEL


def test_the_folder_and_the_distribution_have_one_name(folder: Path) -> None:
    assert read(folder)["project"]["name"] == folder.name


def test_the_import_package_is_named_after_the_distribution(package: Path) -> None:
    module = package.name.removeprefix("acteon-").replace("-", "_")

    assert [path.name for path in package.glob("src/*/*")] == [module]
    assert (package / "src" / "acteon" / module / "py.typed").exists()


def test_nobody_owns_the_namespace(package: Path) -> None:
    """One `acteon/__init__.py` anywhere would hide all other packages."""
    assert not (package / "src" / "acteon" / "__init__.py").exists()
    assert not (package / "tests" / "__init__.py").exists()


def test_a_package_says_what_it_is_and_under_which_licence(folder: Path) -> None:
    assert (folder / "README.md").read_text().startswith(f"# {folder.name}\n")
    assert not (folder / "LICENSE").is_symlink()
    assert (folder / "LICENSE").read_text() == (ROOT / "LICENSE").read_text()


def test_all_packages_have_one_version(folder: Path) -> None:
    project = read(folder)["project"]
    version = read(FOLDERS[0])["project"]["version"]

    assert project["version"] == version
    extras = [need for needs in project.get("optional-dependencies", {}).values() for need in needs]
    pins = [need for need in (*project["dependencies"], *extras) if need.startswith("acteon-")]
    assert [need for need in pins if not need.endswith(f"=={version}")] == []


def test_the_workspace_knows_the_package(folder: Path) -> None:
    root = read(ROOT)

    assert folder.name in root["tool"]["uv"]["sources"]
    assert folder.name in root["dependency-groups"]["packages"]


def test_the_type_checker_knows_the_package(package: Path) -> None:
    assert f"packages/{package.name}/src" in read(ROOT)["tool"]["mypy"]["mypy_path"]


def test_every_import_is_of_a_declared_dependency(package: Path) -> None:
    """What works only because another package happens to need it breaks on its next release."""
    try:
        distribution(package.name)
    except PackageNotFoundError:
        return  # Not installed in this environment; it is where all packages are.
    project = read(package)["project"]
    extras = project.get("optional-dependencies", {}).values()
    needs = [*project["dependencies"], *(need for extra in extras for need in extra)]
    declared = {canonical(re.split(r"[^A-Za-z0-9._-]", need)[0]) for need in needs}
    declared.add(project["name"])

    assert imported_distributions(package / "src") - declared == set()


def imported_distributions(source: Path) -> set[str]:
    """Return the names of the distributions that the modules under `source` import."""
    owners = packages_distributions()
    names: set[str] = set()
    for path in source.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                names.update(alias.name for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and node.module:
                names.add(node.module)
    found: set[str] = set()
    for name in names:
        first, _, rest = name.partition(".")
        if first == "acteon":
            found.add("acteon-" + rest.split(".")[0].replace("_", "-"))
        elif first not in sys.stdlib_module_names:
            # What an extra brings may not be there.
            found.add(canonical(owners.get(first, [UNINSTALLED.get(first, first)])[0]))
    return found


def canonical(name: str) -> str:
    """Return the one spelling of a distribution's name that all its spellings share (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def test_every_dependency_has_a_lower_bound(folder: Path) -> None:
    project = read(folder)["project"]
    extras = project.get("optional-dependencies", {})
    needs = [*project.get("dependencies", []), *(need for one in extras.values() for need in one)]
    for need in needs:
        # What is older has not been tried, and may have faults that are known.
        wanted = "==" if need.startswith("acteon") else ">="
        assert wanted in need, need
