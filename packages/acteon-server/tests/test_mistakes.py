"""Every mistake of `mistakes.toml`, made for real: what one is told, word for word.

The page `docs/mistakes.md` is written from the same table:
`python packages/acteon-server/tests/test_mistakes.py > docs/mistakes.md`.
"""

import os
import socket
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import AsyncGenerator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, Final

import pytest
from attrs import field, frozen

from acteon.server import open_gateway, parse_config
from acteon.server.http import create_app
from acteon.server.testing import Ended, RunningServer, request, started

LIMIT: Final = 30
HERE: Final = Path(__file__).parent
PAGE: Final = HERE.parents[2] / "docs" / "mistakes.md"
TABLE: Final[dict[str, Any]] = tomllib.loads((HERE / "mistakes.toml").read_text(encoding="utf-8"))
MISTAKES: Final[list[dict[str, Any]]] = TABLE["mistakes"]
STARTS: Final = [each for each in MISTAKES if "body" not in each and "target" not in each]
REQUESTS: Final = [each for each in MISTAKES if "body" in each or "target" in each]


def environment(**more: str) -> dict[str, str]:
    kept = {key: value for key, value in os.environ.items() if not key.startswith("ACTEON_")}
    return {**kept, "ACTEON_SERVER_PORT": "0", **more}


def made(mistake: dict[str, Any]) -> Ended:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for path, text in mistake.get("files", {}).items():
            place = folder / path
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text(text, encoding="utf-8")
        given = environment(**mistake.get("environment", {}))
        if "without" in mistake:
            return started_without(folder, given)
        return started(folder, mistake.get("arguments", []), given)


def started_without(folder: Path, environ: dict[str, str]) -> Ended:
    """Start one in whose environment a package is missing: see `uninstalled`."""
    done = subprocess.run(
        [sys.executable, "-m", "acteon.server"],
        cwd=folder,
        env={**environ, "PYTHONPATH": str(HERE / "uninstalled")},
        capture_output=True,
        encoding="utf-8",
        timeout=LIMIT,
        check=False,
    )
    return Ended(done.returncode, tuple(done.stderr.splitlines()))


def told(ended: Ended, wanted: str = "error: ") -> str:
    """Return all errors of `ended`, or the line of its log that is `wanted`."""
    if wanted.startswith("error: "):
        return "\n".join(line for line in ended.told if line.startswith("error: "))
    return "\n".join(line for line in ended.told if line == wanted)


@pytest.fixture(scope="module")
def ends() -> dict[str, Ended]:
    """Make all mistakes of starting, several at a time."""
    with ThreadPoolExecutor(4) as pool:
        return dict(zip([each["id"] for each in STARTS], pool.map(made, STARTS), strict=True))


@pytest.mark.parametrize("mistake", STARTS, ids=lambda each: each["id"])
def test_a_server_that_is_started_wrongly_says_how_to_mend_it(
    mistake: dict[str, Any], ends: dict[str, Ended]
) -> None:
    ended = ends[mistake["id"]]
    assert told(ended, mistake["says"]) == mistake["says"].strip(), ended.told
    assert ended.status == mistake.get("status")
    assert "Traceback" not in "\n".join(ended.told)


@pytest.fixture(scope="module")
async def url(tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[str]:
    rules = tmp_path_factory.mktemp("served") / "rules"
    rules.mkdir()
    (rules / "rules.yaml").write_text(TABLE["served"]["rules"], encoding="utf-8")
    config = parse_config(TABLE["served"]["acteon"], directory=rules.parent)
    async with AsyncExitStack() as stack:
        gateway = await open_gateway(stack, config)
        server = RunningServer(app=create_app(gateway, config.server))
        yield (await stack.enter_async_context(server)).url


@pytest.mark.parametrize("mistake", REQUESTS, ids=lambda each: each["id"])
async def test_a_request_that_is_wrong_is_answered_with_how_to_mend_it(
    mistake: dict[str, Any], url: str
) -> None:
    kind = mistake.get("content_type", "application/json")
    answer = await request(
        url,
        mistake.get("method", "POST"),
        mistake.get("target", "/v1/dispatch"),
        mistake.get("body", "").encode(),
        {"content-type": kind} if kind else {},
    )
    assert answer.status == mistake["status"]
    found: dict[str, Any] = answer.json() if answer.body else {"message": ""}
    failure: dict[str, Any] = found.get("Failed", found)
    assert failure["message"] == mistake["says"]


def test_the_page_shows_what_is_tested() -> None:
    assert PAGE.read_text(encoding="utf-8") == page()


# What no newcomer does: files and processes that mean harm.


@frozen(kw_only=True)
class Harm:
    """Something hostile, made in a folder.

    Attributes:
        make: Makes it.
        says: The only line that is told, after `error: `.
        arguments: Of the command.
    """

    make: Callable[[Path], object]
    says: str
    arguments: list[str] = field(factory=list[str])


def in_rules(make: Callable[[Path], object]) -> Callable[[Path], object]:
    """Return what makes a rule file, and a configuration that names its folder."""

    def both(folder: Path) -> None:
        (folder / "acteon.toml").write_text('[rules]\ndirectory = "rules"\n')
        (folder / "rules").mkdir()
        make(folder / "rules" / "a.yaml")

    return both


def config(content: bytes) -> Callable[[Path], object]:
    return lambda folder: (folder / "acteon.toml").write_bytes(content)


def text(content: str) -> Callable[[Path], object]:
    return in_rules(lambda file: file.write_text(content))


def secret_pipe(folder: Path) -> None:
    os.mkfifo(folder / "pipe")
    config(b'[[providers]]\nname = "x"\ntype = "webhook"\nurl = "${file:pipe}"')(folder)


LAUGHS: Final = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{each}: &{each} [{','.join([f'*{before}'] * 9)}]\n"
    for before, each in zip("abcdefgh", "bcdefghi", strict=True)
)

HARMS: Final = {
    "large": Harm(make=config(b"#" * 50_000_000), says="acteon.toml: has more than 1048576 bytes"),
    "binary": Harm(
        make=config(bytes(range(256))), says="acteon.toml:2: is no UTF-8 text; save it as UTF-8"
    ),
    "nul": Harm(
        make=config(b"[server]\nport\0 = 1"),
        says="acteon.toml:2:5: expected '=' after a key in a key/value pair; "
        "there is a NUL character on this line; take it out",
    ),
    "deep": Harm(make=config(b"x = " + b"[" * 10_000), says="acteon.toml: is nested too deeply"),
    "pipe": Harm(
        make=lambda folder: os.mkfifo(folder / "acteon.toml"),
        says="acteon.toml: is a pipe that nothing comes out of",
    ),
    "endless": Harm(
        make=lambda _: None,
        arguments=["-c", "/dev/zero"],
        says="/dev/zero: has more than 1048576 bytes",
    ),
    "circle": Harm(
        make=lambda folder: (folder / "acteon.toml").symlink_to("acteon.toml"),
        says="acteon.toml: cannot be read: Too many levels of symbolic links",
    ),
    "secret-pipe": Harm(
        make=secret_pipe,
        says="acteon.toml: provider 'x': url: the file pipe is a pipe that nothing comes out of",
    ),
    "rule-pipe": Harm(
        make=in_rules(os.mkfifo), says="rules/a.yaml: is a pipe that nothing comes out of"
    ),
    "rule-endless": Harm(
        make=in_rules(lambda file: file.symlink_to("/dev/zero")),
        says="rules/a.yaml: has more than 16777216 bytes",
    ),
    "rule-circle": Harm(
        make=in_rules(lambda file: file.symlink_to("a.yaml")),
        says="rules/a.yaml: cannot be read: Too many levels of symbolic links",
    ),
    "laughs": Harm(
        make=text(LAUGHS),
        says="rules/a.yaml:6:17: repetition limit exceeded: more than 200000 values; make several "
        "files of it, or repeat less with aliases",
    ),
    "cycle": Harm(
        make=text("rules: &a\n  - *a"),
        says="rules/a.yaml:2:5: alias 'a' refers to what it is part of",
    ),
    "rule-deep": Harm(
        make=text("rules: " + "[" * 100_000),
        says="rules/a.yaml:1:135: recursion limit exceeded: nested more than 128 levels deep",
    ),
    "rule-nul": Harm(
        make=text("rules:\n  - name: a\0"),
        says="rules/a.yaml:2: there is a NUL character; take it out",
    ),
    "rule-large": Harm(
        make=text("rules: []\n#" + "x" * 2_000_000),
        says="rules/a.yaml: file too large: 2000011 characters, at most 1048576; "
        "make several files of it",
    ),
    "rule-name": Harm(
        make=in_rules(
            lambda file: Path(os.fsdecode(os.fsencode(file.parent) + b"/\xff.yaml")).touch()
        ),
        says="rules/\\xff.yaml: missing field `rules`: the file is empty; "
        "write `rules: []` for no rules",
    ),
}


@pytest.fixture(scope="module")
def harms(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Ended]:
    def harmed(harm: Harm) -> Ended:
        folder = tmp_path_factory.mktemp("harm")
        harm.make(folder)
        return started(folder, harm.arguments, environment())

    with ThreadPoolExecutor(4) as pool:
        return dict(zip(HARMS, pool.map(harmed, HARMS.values()), strict=True))


@pytest.mark.parametrize("name", HARMS)
def test_what_means_harm_is_refused_in_one_line(name: str, harms: dict[str, Ended]) -> None:
    ended = harms[name]
    errors = [line for line in ended.told if not line.startswith(("INFO", "WARN"))]
    assert errors == [f"error: {HARMS[name].says}"]
    assert ended.status == 1


def test_a_file_that_the_user_must_not_read_is_told(tmp_path: Path) -> None:
    (tmp_path / "acteon.toml").touch(mode=0)
    command = [sys.executable, "-m", "acteon.server"]
    if os.geteuid() == 0:  # Whom modes do not stop, unless the right to pass them over is dropped.
        command = ["setpriv", "--bounding-set", "-dac_override,-dac_read_search", *command]
    done = subprocess.run(
        command,
        cwd=tmp_path,
        env=environment(),
        capture_output=True,
        encoding="utf-8",
        timeout=LIMIT,
        check=False,
    )
    assert (done.returncode, done.stderr) == (
        1,
        "error: acteon.toml: cannot be read: permission denied; "
        "let the user of this process read it\n",
    )


def test_a_port_in_use_is_told_with_a_way_out(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ended = started(tmp_path, ["--port", str(port)], environment())
    assert told(ended) == (
        f"error: cannot listen on 127.0.0.1:{port}: Address already in use; another program "
        "listens there: stop it, or choose another port: --port 8081"
    )
    assert ended.status == 1


def test_a_server_whose_stderr_is_closed_ends_as_documented(tmp_path: Path) -> None:
    done = subprocess.run(
        ["/bin/sh", "-c", f"exec {sys.executable} -m acteon.server -c none.toml 2>&-"],
        cwd=tmp_path,
        env=environment(),
        timeout=LIMIT,
        check=False,
    )
    assert done.returncode == 1


@pytest.fixture
def broken(tmp_path: Path) -> Path:
    """Install a small distribution whose plugins are broken, each in its way."""
    (tmp_path / "raises.py").write_text("raise ValueError('two\\nlines')\n")
    (tmp_path / "leaves.py").write_text("import sys\nsys.exit(0)\n")
    (tmp_path / "wrong.py").write_text("class Plugin: ...\n")
    info = tmp_path / "acme-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: acme\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        "[acteon.providers]\nraises = raises:Plugin\nleaves = leaves:Plugin\n"
        "wrong = wrong:Plugin\nnothing = wrong:Nothing\nunused = raises:Plugin\n"
    )
    return tmp_path


def test_broken_plugins_are_named_with_the_package_they_come_from(broken: Path) -> None:
    kinds = ("raises", "leaves", "wrong", "nothing")
    (broken / "acteon.toml").write_text(
        "".join(f'[[providers]]\nname = "{kind}"\ntype = "{kind}"\n' for kind in kinds)
    )
    done = subprocess.run(
        [sys.executable, "-m", "acteon.server"],
        cwd=broken,
        env=environment(PYTHONPATH=str(broken)),
        capture_output=True,
        encoding="utf-8",
        timeout=LIMIT,
        check=False,
    )
    mend = "mend it, or install another version of acme"
    start = "acteon.providers plugin"
    assert done.stderr.splitlines() == [
        f"error: acteon.toml: provider 'raises': type: {start} 'raises' of acme cannot be "
        f"imported: ValueError: two lines; {mend}",
        f"error: acteon.toml: provider 'leaves': type: {start} 'leaves' of acme cannot be "
        f"imported: SystemExit: 0; {mend}",
        f"error: acteon.toml: provider 'wrong': type: {start} 'wrong' of acme is no "
        "ProviderPlugin; its entry point wrong:Plugin has to name a subclass of it",
        f"error: acteon.toml: provider 'nothing': type: {start} 'nothing' of acme cannot be "
        f"imported: AttributeError: module 'wrong' has no attribute 'Nothing'; {mend}",
    ]
    assert done.returncode == 1


async def test_a_directory_of_rules_that_vanishes_leaves_the_rules_in_force(
    tmp_path: Path,
) -> None:
    rules = tmp_path / "rules"
    rules.mkdir()
    (rules / "a.yaml").write_text("rules: [{name: r, condition: {all: []}, action: {type: deny}}]")
    async with AsyncExitStack() as stack:
        gateway = await open_gateway(stack, parse_config(f'[rules]\ndirectory = "{rules}"'))
        server = await stack.enter_async_context(RunningServer(app=create_app(gateway)))
        (rules / "a.yaml").unlink()
        rules.rmdir()
        reloaded = await request(server.url, "POST", "/v1/rules/reload")
        assert (reloaded.status, reloaded.json()["message"]) == (
            400,
            f"directory not found: {rules}",
        )
        assert [rule.name for rule in gateway.rules] == ["r"]
        # What can go on as before is not to be taken out of service.
        assert (await request(server.url, "GET", "/ready")).status == 200


# The page.

GROUPS: Final = {
    "starting": "Starting",
    "configuration": "Configuration",
    "rules": "Rules",
    "requests": "Requests",
    "delivering": "Delivering",
}
HEAD: Final = """\
# What Acteon tells you, and what to do

Every mistake is answered by a line that says where it is, what it is, and how to mend it:
`place: what; how`. The server ends with status 1 if it cannot start, and with 2 if the command is
used wrongly. What follows `WARN` is logged, and the server runs. Each of these is made, and
compared word for word, by `packages/acteon-server/tests/test_mistakes.py`, from whose table this
page is written.
"""


def page() -> str:
    """Return the page that shows all mistakes."""
    parts = [HEAD]
    for group, title in GROUPS.items():
        parts.append(f"## {title}\n")
        parts.extend(_entry(each) for each in MISTAKES if each["group"] == group)
    return "\n".join(parts)


def _entry(mistake: dict[str, Any]) -> str:
    lines = [f"### {mistake['did']}\n"]
    lines += [f"```text\n{text.strip()}\n```\n" for text in _shown(mistake)]
    status = mistake.get("status")
    if mistake in REQUESTS:
        says = f"It answers with status {status}" + (":" if mistake["says"] else ", and no body.")
    else:
        says = "It logs:" if status is None else f"It ends with status {status}:"
    lines.append(f"{says}\n")
    if mistake["says"]:
        lines.append(f"```text\n{mistake['says'].strip()}\n```\n")
    lines.append(f"{mistake['do']}\n")
    return "\n".join(lines)


def _shown(mistake: dict[str, Any]) -> Iterator[str]:
    """Yield what was done, as its author saw it."""
    for name, content in mistake.get("files", {}).items():
        if len(mistake.get("files", {})) == 1 or name != "acteon.toml":
            yield f"# {name}\n{content}"
    words = [f"{name}={value}" for name, value in mistake.get("environment", {}).items()]
    if mistake in STARTS and (words or mistake.get("arguments")):
        yield " ".join([*words, "acteon-server", *mistake.get("arguments", [])])
    if mistake in REQUESTS:
        target = f"{mistake.get('method', 'POST')} {mistake.get('target', '/v1/dispatch')}"
        kind = mistake.get("content_type", "application/json")
        about = f"\nContent-Type: {kind}" if kind and mistake.get("body") else ""
        yield f"{target}{about}\n\n{mistake.get('body', '')}"


if __name__ == "__main__":
    sys.stdout.write(page())
