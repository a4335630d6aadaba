"""Running the examples: `python -m acteon.simulation run redis`.

| status | |
|---|---|
| 0 | all checks hold |
| 1 | one does not; the report says which |
| 2 | there is no such example, a store is not installed, or its server does not answer |
"""

import argparse
import asyncio
import logging
import os
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from importlib import import_module
from typing import Any, Final

from attrs import frozen

from acteon.client import ClientError
from acteon.core import ConfigError
from acteon.gateway import Plugin
from acteon.simulation.errors import BackendUnavailableError
from acteon.simulation.examples.report import Report

Run = Callable[[Report], Awaitable[None]]

_URLS: Final[Mapping[str, tuple[str, str]]] = {
    "redis": ("REDIS_URL", "redis://127.0.0.1:6379"),
    "postgres": ("DATABASE_URL", "postgres://acteon:acteon@127.0.0.1:5432/acteon"),
    "dynamodb": ("AWS_ENDPOINT_URL_DYNAMODB", "http://127.0.0.1:8000"),
    "clickhouse": ("CLICKHOUSE_URL", "clickhouse://127.0.0.1:9000/default"),
    "elasticsearch": ("ELASTICSEARCH_URL", "http://127.0.0.1:9200"),
}
"""For each store the variable that says where it is, and where it is without one."""
_STATES: Final = ("memory", "redis", "postgres", "dynamodb", "clickhouse")
_AUDITS: Final = ("memory", "postgres", "clickhouse", "elasticsearch")


class _UsageError(Exception):
    """What was asked for is not there; the text says what is."""


@frozen
class Example:
    """Something that can be run.

    Attributes:
        summary: What it shows, in a line.
        make: Returns what runs it, for the arguments of the command.
    """

    summary: str
    make: Callable[[argparse.Namespace], Run]


def _simple(module: str) -> Callable[[argparse.Namespace], Run]:
    def make(_: argparse.Namespace) -> Run:
        run: Run = _example(module).run
        return run

    return make


def _example(module: str) -> Any:
    return import_module(f"acteon.simulation.examples.{module}")


def _state(name: str, dispatches: int) -> Callable[[argparse.Namespace], Run]:
    def make(given: argparse.Namespace) -> Run:
        state = _store(name, given.state_url)
        return partial(_example("on_state").run, state=state, dispatches=dispatches)

    return make


def _both(state: str, audit: str) -> Callable[[argparse.Namespace], Run]:
    def make(given: argparse.Namespace) -> Run:
        return _pair("on_both", state, audit, given)

    return make


def _mixed(given: argparse.Namespace) -> Run:
    state, _, audit = (given.stores or "").partition("-")
    if state not in _STATES or audit not in _AUDITS:
        raise _UsageError(
            "mixed: say where, as STATE-AUDIT: "
            f"{', '.join(_STATES)}, then {', '.join(_AUDITS)}; such as redis-postgres"
        )
    return _pair("mixed", state, audit, given)


def _pair(module: str, state: str, audit: str, given: argparse.Namespace) -> Run:
    return partial(
        _example(module).run,
        state=_store(state, given.state_url),
        audit=_store(audit, given.audit_url),
        exactly_once=state != "clickhouse",
    )


def _http(given: argparse.Namespace) -> Run:
    url = given.url or os.environ.get("ACTEON_URL") or "http://localhost:8080"
    return partial(_example("http_client").run, url=url)


def _store(name: str, url: str | None) -> str | Plugin:
    if name == "memory":
        return name
    variable, usual = _URLS[name]
    return Plugin(name, {"url": url or os.environ.get(variable) or usual})


EXAMPLES: Final[Mapping[str, Example]] = {
    "demo": Example("rules, deduplication, rerouting, several nodes, a batch", _simple("demo")),
    "rules-from-files": Example("rules of files and folders", _simple("rules_from_files")),
    "http-client": Example("the client against a server that runs", _http),
    "redis": Example("state in Redis", _state("redis", 500)),
    "dynamodb": Example("state in DynamoDB", _state("dynamodb", 100)),
    "postgres": Example("state and audit trail in PostgreSQL", _both("postgres", "postgres")),
    "clickhouse": Example("state and audit trail in ClickHouse", _both("clickhouse", "clickhouse")),
    "elasticsearch": Example("the audit trail in Elasticsearch", _both("memory", "elasticsearch")),
    "mixed": Example("state in one store, the audit trail in another: redis-postgres, …", _mixed),
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what `arguments`, those of the process if None, ask for; return the status."""
    given = _parser().parse_args(arguments)
    if given.command == "list":
        for name, example in EXAMPLES.items():
            sys.stdout.write(f"{name:18}{example.summary}\n")
        return 0
    # What is logged about providers that fail on purpose is part of no report.
    logging.getLogger("acteon").addHandler(logging.NullHandler())
    try:
        return _run(given)
    except (_UsageError, BackendUnavailableError, ConfigError, ClientError) as error:
        sys.stderr.write(f"error: {error}{_hint(given.name, error)}\n")
        return 2
    except KeyboardInterrupt:
        return 130


def _run(given: argparse.Namespace) -> int:
    run = EXAMPLES[given.name].make(given)
    title = given.name if given.stores is None else f"{given.name} {given.stores}"
    report = Report(title, _silent) if given.json else Report(title)
    asyncio.run(_awaited(run, report))
    passed = report.end()
    if given.json:
        report.write_json(sys.stdout)
    return 0 if passed else 1


async def _awaited(run: Run, report: Report) -> None:
    await run(report)


def _silent(_: str) -> None:
    pass


def _hint(name: str, error: Exception) -> str:
    if not isinstance(error, BackendUnavailableError) or "pip install" in str(error):
        return ""
    return "" if name == "http-client" else "; in a checkout `nox -s servers -- NAME` starts one"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m acteon.simulation", description="Run simulations of Acteon."
    )
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("list", help="list the examples")
    run = commands.add_parser("run", help="run an example")
    run.add_argument("name", choices=EXAMPLES, metavar="NAME", help="its name: see `list`")
    run.add_argument("stores", nargs="?", metavar="STATE-AUDIT", help="for mixed: where")
    run.add_argument("--state-url", metavar="URL", help="where the state store is")
    run.add_argument("--audit-url", metavar="URL", help="where the audit store is")
    run.add_argument("--url", help="for http-client: where the server is")
    run.add_argument("--json", action="store_true", help="tell the checks as JSON")
    return parser
