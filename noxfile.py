"""Everything CI runs: `nox` for all of it, `nox -s 'tests(acteon-core)'` for one part."""

import os
import re
import sys
from pathlib import Path
from zipfile import ZipFile

import nox

if sys.version_info < (3, 11):  # noqa: UP036 - this is the place where people are told
    sys.exit(
        "Acteon needs Python 3.11 or newer, and {} is {}.{}: "
        "run the command with another one, such as python3.11".format(
            sys.executable, *sys.version_info[:2]
        )
    )

import tomllib

nox.needs_version = ">=2025.5.1"
nox.options.default_venv_backend = "uv"  # finds our packages in the workspace, not in a registry
nox.options.reuse_venv = "yes"
nox.options.error_on_external_run = True

# nox itself may have come in through it; what it runs is to find its own packages only.
os.environ.pop("PYTHONPATH", None)
# Behind a company's proxy the certificates that count are the machine's.
os.environ.setdefault("UV_SYSTEM_CERTS", "true")

PACKAGES = sorted(path.parent.name for path in Path("packages").glob("*/pyproject.toml"))
GROUPS = "dependency-groups"
PLUGIN = "examples/plugin-state-sqlite"
LARGE = {"airflow"}
"""Extras that have a session of their own."""
PLUGINS = {PLUGIN: "acteon-state", "examples/plugin-provider-apprise": "acteon-server"}
"""The examples of a third party's plugins, and what each is tested with."""
TESTED = [package for package in PACKAGES if Path("packages", package, "tests").is_dir()]
BACKENDS = [package for package in TESTED if re.match("acteon-(state|audit)-(?!memory)", package)]


@nox.session
def lint(session: nox.Session) -> None:
    """Check the formatting and the lint rules."""
    session.install("--group", "lint")
    session.run("ruff", "format", "--check")
    session.run("ruff", "check")


@nox.session
def types(session: nox.Session) -> None:
    """Check all sources together, then each package's tests by themselves."""
    session.install("--group", "dev")
    session.run("mypy")
    session.run("mypy", "noxfile.py", ".ci/smoke.py", ".ci/servers")
    for folder in sorted({path.parent for path in Path("examples").glob("*/*.py")}):
        programs = [str(path) for path in sorted(folder.glob("*.py"))]
        session.run("mypy", *programs, env={"MYPYPATH": str(folder)})
    for example in PLUGINS:
        plugin = [f"{example}/src", f"{example}/tests"]
        session.run("mypy", *plugin, env={"MYPYPATH": plugin[0]})
    for package in TESTED:
        # Packages have test modules of the same name, which mypy takes one package at a time only.
        session.run("mypy", f"packages/{package}/tests", silent=True)
    session.run("pyright")


@nox.session
@nox.parametrize("package", [nox.param(package, id=package) for package in TESTED])
def tests(session: nox.Session, package: str) -> None:
    """Test one package with only what it declares installed."""
    folder = f"packages/{package}"
    session.install("-e", folder, "--group", "test", "--group", f"{folder}/pyproject.toml:dev")
    session.run("pytest", "-q", "-m", "not server", folder, *session.posargs)


@nox.session(default=False)
def coverage(session: nox.Session) -> None:
    """Run all tests in one environment and report what they cover."""
    session.install("--group", "dev")
    session.run("coverage", "erase")
    session.run("coverage", "run", "-m", "pytest", "-q", "-m", "not server", *session.posargs)
    session.run("coverage", "combine")
    session.run("coverage", "report")


@nox.session
def build(session: nox.Session) -> None:
    """Build all wheels, start the server from them alone, and run tests against them.

    A wheel has all files of its package. That of the server is started; its tests, which take
    longer than all others together, were passed by the same files.
    """
    dist = Path(session.create_tmp()).absolute() / "dist"
    session.run("rm", "-rf", str(dist), external=True)
    session.run("uv", "build", "-q", "--all-packages", "--wheel", "--out-dir", str(dist))
    wheels = {path.name.split("-")[0].replace("_", "-"): str(path) for path in dist.glob("*.whl")}

    for name, wheel in wheels.items():
        check_files(session, name, wheel)

    session.install(*(wheels[name] for name in needed_by("acteon-server")))
    session.run("python", ".ci/smoke.py")

    # Once more as the README says it, with pip itself.
    session.run("uv", "venv", "-q", "--seed", "--clear", str(dist.parent / "pip"))
    path = f"{dist.parent / 'pip' / 'bin'}{os.pathsep}{os.environ['PATH']}"
    session.run(
        "bash", "-c", "pip install ./packages/*", env={"PATH": path}, silent=True, external=True
    )
    session.run("bash", "-c", "python .ci/smoke.py", env={"PATH": path}, external=True)

    needs = (need for name in PACKAGES for need in needed_for_tests(name))
    outside = sorted({need for need in needs if not need.startswith("acteon-")})
    session.install(*wheels.values(), *outside, "--group", "test")
    folders = [f"packages/{name}/tests" for name in TESTED if name != "acteon-server"]
    session.run("pytest", "-q", "-m", "not server and not fuzz", *folders, *session.posargs)


@nox.session
@nox.parametrize("folder", [nox.param(each, id=Path(each).name) for each in PLUGINS])
def plugin(session: nox.Session, folder: str) -> None:
    """Test the example of a third party's plugin, installed from its own wheel."""
    dist = Path(session.create_tmp()).absolute() / "dist"
    session.run("uv", "build", "-q", "--wheel", "--out-dir", str(dist), "--clear", folder)
    (wheel,) = dist.glob("*.whl")
    ours = [f"packages/{name}" for name in sorted(needed_by(PLUGINS[folder]))]
    name = wheel.name.split("-")[0].replace("_", "-")
    session.install(*ours, str(wheel), "--reinstall-package", name)
    session.install("--group", f"{folder}/pyproject.toml:dev")
    session.run("pytest", "-q", "-c", f"{folder}/pyproject.toml", folder, *session.posargs)


def backend_session(package: str) -> None:
    """Make the session that tests the backend `package` against its real server."""

    @nox.session(name=package.removeprefix("acteon-"))
    def backend(session: nox.Session) -> None:
        """Test one backend against its real server, which is got and started for that."""
        folder = f"packages/{package}"
        groups = ["dev", *(group for group in ["engine"] if group in load(package)[GROUPS])]
        needs = [f"--group={folder}/pyproject.toml:{group}" for group in groups]
        session.install("-e", folder, "--group", "test", *needs)
        fetch(session, package.rpartition("-")[2])
        session.run("pytest", "-q", "-m", "server", folder, *options(session), env=full(session))


for each in BACKENDS:
    backend_session(each)


@nox.session
def email(session: nox.Session) -> None:
    """Test the email provider against a real mail server, up to the mailbox."""
    folder = "packages/acteon-email"
    session.install("-e", folder, "--group", "test", f"--group={folder}/pyproject.toml:dev")
    # It is got before, as in `fetch`.
    start = "from servers import mail\nwith mail.running(): pass"
    session.run("python", "-c", start, env={"PYTHONPATH": ".ci"})
    session.run("pytest", "-q", "-m", "server", folder, *session.posargs)


@nox.session
def fleet(session: nox.Session) -> None:
    """Test gateways on real stores: processes that race, are killed, or lose their store."""
    backends = [f"packages/{package}" for package in BACKENDS]
    session.install("-e", "packages/acteon-server", *(f"-e{path}" for path in backends), PLUGIN)
    session.install("--group", "test", "--group", "packages/acteon-server/pyproject.toml:dev")
    fetch(session, "redis", "postgres", "dynamodb", "clickhouse", "elasticsearch")
    folder = "packages/acteon-server"
    session.run("pytest", "-q", "-s", "-m", "server", folder, *options(session), env=full(session))


@nox.session
def integrations(session: nox.Session) -> None:
    """Test the client's integrations with the frameworks themselves, but Airflow."""
    folder = "packages/acteon-client"
    session.install("-e", folder, "--group", "test")
    session.install("--group", f"{folder}/pyproject.toml:integrations")
    session.run("pytest", "-q", *integration_tests("django", "celery", "logging"), *session.posargs)


@nox.session
def airflow(session: nox.Session) -> None:
    """Test the notifier with Airflow itself, which is large; and check its types there."""
    folder = "packages/acteon-client"
    session.install("-e", f"{folder}[airflow]", "--group", "test", "mypy>=2")
    session.install("--group", f"{folder}/pyproject.toml:dev")
    session.run("pytest", "-q", *integration_tests("airflow"), *session.posargs)
    module = f"{folder}/src/acteon/client/airflow.py"
    session.run("mypy", "--strict", "--explicit-package-bases", "--exclude", "", module)


@nox.session
def simulation(session: nox.Session) -> None:
    """Test simulations on real stores, and the examples of them."""
    folder = "packages/acteon-simulation"
    session.install("-e", f"{folder}[all]", "--group", "test", "--group", "servers")
    fetch(session, "redis", "postgres", "dynamodb", "clickhouse", "elasticsearch")
    session.run("pytest", "-q", "-m", "server", folder, *session.posargs)


@nox.session(name="server-tests")
def server_tests(session: nox.Session) -> None:
    """Test what starts the real servers."""
    session.install("--group", "test", "--group", "servers")
    fetch(session, "all")
    environment = {"PYTHONPATH": str(Path(".ci").absolute())}  # They start programs of their own.
    session.run("pytest", "-q", ".ci/servers/tests", *session.posargs, env=environment)


@nox.session(default=False)
def servers(session: nox.Session) -> None:
    """Run real servers without Docker until Ctrl-C: `nox -s servers -- redis postgres`."""
    session.install("attrs>=24.2")
    session.env["PYTHONPATH"] = ".ci"
    become(session, "python", "-m", "servers", *session.posargs)


@nox.session(default=False)
def serve(session: nox.Session) -> None:
    """Run the quickstart; with a configuration (`-- -c my.toml --port 3000`), that server alone."""
    session.install("-e", "packages/acteon-server[fast]")
    command = ["python", "examples/quickstart/quickstart.py", *session.posargs]
    if any(re.match("-c|--config(=|$)", argument) for argument in session.posargs):
        command = ["acteon-server", *session.posargs]
    become(session, *command)


@nox.session(default=False)
def bench(session: nox.Session) -> None:
    """Measure dispatches per second, in process and over HTTP, beside a bare route; then rules."""
    session.install("--group", "dev")
    session.run("python", "packages/acteon-server/benchmarks/dispatch.py", *session.posargs)
    environment = {"PYTHONPATH": ".ci"}
    session.run("python", "packages/acteon-server/benchmarks/backends.py", env=environment)
    for store in ("postgres", "clickhouse", "elasticsearch"):
        script = f"packages/acteon-audit-{store}/benchmarks/audit.py"
        session.run("python", script, env=environment)
    session.run("python", "packages/acteon-server/benchmarks/providers.py")
    session.run("python", "packages/acteon-simulation/benchmarks/simulation.py")
    session.run("python", "packages/acteon-server/benchmarks/rules.py")
    session.run("python", "packages/acteon-rules-cel/benchmarks/cel.py")
    for package in ("acteon-rules", "acteon-rules-cel"):
        session.run("python", f"packages/{package}/benchmarks/stalls.py")


@nox.session(default=False, name="cel-conformance")
def cel_conformance(session: nox.Session) -> None:
    """Run the public CEL cases with each engine alone, and with what is built on it."""
    session.install("-e", "packages/acteon-rules-cel[native]", "pip")
    session.run("python", "packages/acteon-rules-cel/conformance/run.py", *session.posargs)


@nox.session(default=False)
def fuzz(session: nox.Session) -> None:
    """Look for rule files, conditions and patterns that crash or take long."""
    session.install("-e", "packages/acteon-rules-cel", "atheris>=2.3")
    script = "packages/acteon-rules-cel/fuzz/conditions.py"
    session.run("python", script, *(session.posargs or ["-max_total_time=60"]))


@nox.session(default=False, name="audit-dependencies")
def audit_dependencies(session: nox.Session) -> None:
    """Look for known faults in what the server and all backends bring; asks pypi.org."""
    session.install("-e", "packages/acteon[all]", "pip-audit>=2.10")
    session.run("pip-audit", "--skip-editable", *session.posargs)


@nox.session(venv_backend="none", default=False)
def bump(session: nox.Session) -> None:
    """Set the version of every package, and what they pin of each other: `nox -s bump -- 0.2.0`."""
    (version,) = session.posargs
    for path in Path("packages").glob("*/pyproject.toml"):
        text = re.sub(r'(?m)^(version = ")[^"]+', rf"\g<1>{version}", path.read_text(), count=1)
        path.write_text(re.sub(r'("acteon-[^"=]+==)[^"]+', rf"\g<1>{version}", text))


def check_files(session: nox.Session, package: str, wheel: str) -> None:
    """End the session unless `wheel` has all files of `package`, and no others."""
    source = Path("packages", package, "src")
    files = (path for path in source.rglob("*") if path.is_file() and path.suffix != ".pyc")
    wanted = {path.relative_to(source).as_posix() for path in files}
    there = {name for name in ZipFile(wheel).namelist() if ".dist-info/" not in name}
    if there != wanted:
        session.error(f"{wheel}: has other files than {source}: {sorted(there ^ wanted)}")


def fetch(session: nox.Session, *servers: str) -> None:
    """Install what the real `servers` need, which has no time limit here as it has in a test."""
    command = ["python", "-m", "servers", *servers, "--free-ports", "--once"]
    session.run(*command, env={"PYTHONPATH": ".ci"})


def integration_tests(*frameworks: str) -> list[str]:
    """Return the tests of the client's integrations with `frameworks`."""
    folder = "packages/acteon-client/tests/integrations"
    return [f"{folder}/test_{name}.py" for name in frameworks]


def options(session: nox.Session) -> list[str]:
    """Return what pytest gets of the arguments behind `--`."""
    return [argument for argument in session.posargs if argument != "--full"]


def full(session: nox.Session) -> dict[str, str]:
    """Return the environment that makes long properties and rounds whole, with `-- --full`."""
    return {"ACTEON_TEST_FULL": "1"} if "--full" in session.posargs else {}


def become(session: nox.Session, program: str, *arguments: str) -> None:
    """Go on as a program of the session, so that signals reach it and its status is the end's.

    As a child it would have half a second to end after Ctrl-C, and outlive a nox that is killed.
    """
    session.log(" ".join((program, *arguments)))
    os.environ.update({name: value for name, value in session.env.items() if value is not None})
    path = os.path.join(session.bin, program)
    os.execv(path, [path, *arguments])


def load(package: str) -> dict[str, dict[str, dict[str, list[str]]]]:
    """Return the configuration of `package`."""
    return tomllib.loads(Path("packages", package, "pyproject.toml").read_text())


def needed_for_tests(package: str) -> list[str]:
    """Return what the tests of `package` need, and its extras."""
    loaded = load(package)
    extras = loaded["project"].get("optional-dependencies", {})
    more = [need for name in extras if name not in LARGE for need in extras[name]]
    return [*loaded[GROUPS]["dev"], *more]


def needed_by(package: str) -> set[str]:
    """Return our packages that `package` needs, itself included."""
    project = load(package)["project"]
    found = {package}
    for need in project["dependencies"]:
        name = need.split("==")[0]
        if name in PACKAGES:
            found |= needed_by(name)
    return found
