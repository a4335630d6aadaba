"""`acteon-server plugins …` in a real process."""

import json
import os
import subprocess
import sys
import tomllib
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import anyio.to_thread
import pytest

from acteon.provider.testing import Receiver

Done = subprocess.CompletedProcess[str]
Run = Callable[..., Done]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    def start(*arguments: str, path: Path | None = None, cwd: Path = tmp_path) -> Done:
        return subprocess.run(
            [sys.executable, *arguments],
            cwd=cwd,
            env={**os.environ, "PYTHONPATH": "" if path is None else str(path)},
            capture_output=True,
            encoding="utf-8",
            timeout=120,
            check=False,
        )

    return start


def server(run: Run, *arguments: str, **more: Any) -> Done:
    return run("-m", "acteon.server", *arguments, **more)


def install(package: Path) -> Path:
    """Make `package` one that is installed for those who have what is returned on their path."""
    project = tomllib.loads((package / "pyproject.toml").read_text())["project"]
    information = package / "src" / f"{project['name'].replace('-', '_')}-1.dist-info"
    information.mkdir()
    requires = "".join(f"Requires-Dist: {line}\n" for line in project["dependencies"])
    (information / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n{requires}"
    )
    points = [
        f"[{group}]\n" + "".join(f"{name} = {value}\n" for name, value in named.items())
        for group, named in project["entry-points"].items()
    ]
    (information / "entry_points.txt").write_text("\n".join(points))
    return package / "src"


def make(run: Run, folder: Path, kind: str, name: str = "my-thing") -> Path:
    done = server(run, "plugins", "new", kind, name)
    assert done.returncode == 0, done.stderr
    package = folder / f"acteon-{kind}-{name}"
    there = {str(path.relative_to(folder)) for path in package.rglob("*") if path.is_file()}
    assert set(done.stdout.splitlines()) == there
    return package


def test_what_is_installed_is_listed(run: Run) -> None:
    done = server(run, "plugins", "--check")

    assert (done.returncode, done.stderr) == (0, "")
    heads, *rows = (line.split() for line in done.stdout.splitlines())
    assert heads == ["kind", "name", "package", "version", "kit", "location"]
    found = {(kind, name): (package, kit) for kind, name, package, _, kit, _ in rows}
    assert found["provider", "webhook"] == ("acteon-provider", "1")
    assert found["state", "memory"] == ("acteon-state-memory", "1")
    assert found["rules", "yaml"] == ("acteon-rules-yaml", "-")


def test_programs_get_json(run: Run) -> None:
    found = json.loads(server(run, "plugins", "--json").stdout)
    (log,) = [one for one in found if (one["kind"], one["name"]) == ("provider", "log")]

    assert Path(log.pop("location")).is_dir()
    assert log == {
        "kind": "provider",
        "name": "log",
        "package": "acteon-provider",
        "version": "0.1.0",
        "kit": "1",
        "problem": None,
    }


def test_what_is_broken_is_told(run: Run, tmp_path: Path) -> None:
    package = make(run, tmp_path, "provider")
    path = install(package)
    (path / "acteon_provider_my_thing" / "__init__.py").write_text("import nothing_of_that_name\n")
    done = server(run, "plugins", "--check", path=path)

    assert done.returncode == 1
    assert done.stderr == (
        "broken: acteon.providers plugin 'my-thing' of acteon-provider-my-thing cannot be "
        "imported: ModuleNotFoundError: No module named 'nothing_of_that_name'; mend it, or "
        "install another version of acteon-provider-my-thing\n"
    )
    assert server(run, "plugins", path=path).returncode == 0


@pytest.mark.timeout(180)
@pytest.mark.parametrize("kind", ["provider", "state", "audit"])
def test_the_tests_of_a_new_package_pass_before_the_first_edit(
    kind: str, run: Run, tmp_path: Path
) -> None:
    package = make(run, tmp_path, kind)
    path = install(package)
    tested = run("-m", "pytest", "-q", "-p", "no:cacheprovider", path=path, cwd=package)
    listed = json.loads(server(run, "plugins", "--json", path=path).stdout)

    assert tested.returncode == 0, tested.stdout
    (one,) = [one for one in listed if one["name"] == "my-thing"]
    assert (one["kind"], one["kit"], one["problem"]) == (kind, "1", None)


@pytest.mark.parametrize("kind", ["provider", "state", "audit"])
def test_a_new_package_is_typed_and_formatted(kind: str, run: Run, tmp_path: Path) -> None:
    package = make(run, tmp_path, kind)
    for path in package.rglob("*.py"):
        compile(path.read_text(), str(path), "exec")
        assert "$" not in path.read_text()
        assert all(len(line) <= 100 for line in path.read_text().splitlines())


async def test_a_new_provider_delivers(run: Run, tmp_path: Path) -> None:
    package = await anyio.to_thread.run_sync(make, run, tmp_path, "provider")
    path = install(package)
    async with Receiver() as receiver:
        (tmp_path / "acteon.toml").write_text(
            f'[[providers]]\nname = "x"\ntype = "my-thing"\nurl = "{receiver.url}"\ntoken = "t"\n'
        )
        done = await anyio.to_thread.run_sync(
            partial(server, run, "providers", "test", "x", path=path)
        )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["delivered"] is True
    assert len(receiver.requests) == 1


@pytest.mark.parametrize("kind", ["state", "audit"])
def test_a_new_backend_serves(kind: str, run: Run, tmp_path: Path) -> None:
    path = install(make(run, tmp_path, kind))
    (tmp_path / "acteon.toml").write_text(
        f'[audit]\nenabled = true\n[{kind}]\nbackend = "my-thing"\n'.replace(
            "[audit]\nenabled = true\n[audit]\n", "[audit]\nenabled = true\n"
        )
    )
    done = server(run, "migrate", path=path)

    assert (done.returncode, done.stderr) == (0, "")
    assert f"{kind}: my-thing is ready" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "status", "told"),
    [
        (("new", "provider", "My Thing"), 1, "cannot be the name of a plugin"),
        (("new", "provider", "class"), 1, "cannot be the name of a plugin"),
        (("new", "provider", "../x"), 1, "cannot be the name of a plugin"),
        (
            ("new", "provider", "x", "--directory", "nowhere"),
            1,
            "nowhere: there is no such directory",
        ),
        (("new", "rules", "x"), 2, "'rules' is not one of 'provider', 'state', 'audit'"),
        (("new", "provider"), 2, "missing argument 'NAME'"),
        (("old",), 2, "old: there is no such command"),
    ],
    ids=["blank", "keyword", "path", "folder", "kind", "name", "command"],
)
def test_a_wrong_use_is_one_line(
    run: Run, arguments: tuple[str, ...], status: int, told: str
) -> None:
    done = server(run, "plugins", *arguments)

    assert (done.returncode, done.stdout) == (status, "")
    (line,) = done.stderr.splitlines()
    assert line.startswith("error: ")
    assert told in line


def test_nothing_is_overwritten(run: Run, tmp_path: Path) -> None:
    package = make(run, tmp_path, "provider")
    (package / "README.md").write_text("mine")
    done = server(run, "plugins", "new", "provider", "my-thing")

    assert done.returncode == 1
    assert "is there already; move it away, or choose a name" in done.stderr
    assert (package / "README.md").read_text() == "mine"
