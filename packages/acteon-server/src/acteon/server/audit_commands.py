"""The commands `acteon-server audit …` and `migrate`; what they do is imported when it is done."""

import asyncio
import os
import signal
import sys
from collections.abc import Callable, Coroutine
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click

from acteon.core import MalformedError, decode_json, parse_instant
from acteon.server.usage import (
    OneLineCommand,
    OneLineGroup,
    WrongUseError,
    config_of,
    config_option,
    finish,
    run_quietly,
    see_help,
)

if TYPE_CHECKING:
    from acteon.audit import AuditQuery

_EXITS: Final = "Exit status: 0 if it is done, 1 if it fails, 2 for wrong use."
_NOBODY_READS: Final = 128 + 13
"""As shells have it of a program that SIGPIPE ended."""
_FILTERS: Final = {
    "namespace": "Only records of this namespace.",
    "tenant": "Only records of this tenant.",
    "provider": "Only records with this provider.",
    "action_type": "Only records of this action type.",
    "outcome": "Only records with this outcome, such as failed.",
    "verdict": "Only records with this verdict, such as deny.",
    "matched_rule": "Only records of what this rule decided.",
    "caller_id": "Only records of this caller.",
}

F = TypeVar("F", bound=Callable[..., Any])
T = TypeVar("T")


def _instant(
    context: click.Context, parameter: click.Parameter, value: str | None
) -> datetime | None:
    try:
        return None if value is None else parse_instant(value)
    except ValueError as error:
        raise click.BadParameter(str(error), context, parameter) from None


def _json(
    context: click.Context, parameter: click.Parameter, value: str | None
) -> tuple[Any] | None:
    """Return what JSON says, in a tuple: it may be null."""
    try:
        return None if value is None else (decode_json(value.encode(errors="replace")),)
    except MalformedError as error:
        raise click.BadParameter(f"no JSON: {error}", context, parameter) from None


def _filters(command: F) -> F:
    """Add the options that choose records."""
    instants = {"since": ("--from", "then or later"), "until": ("--to", "then or earlier")}
    for name, (option, text) in reversed(instants.items()):
        told = f"Only records dispatched {text}, such as 2025-01-31T13:30:00Z."
        command = click.option(option, name, callback=_instant, metavar="INSTANT", help=told)(
            command
        )
    for name, told in reversed(_FILTERS.items()):
        option = f"--{name.replace('_', '-')}"
        command = click.option(option, name, metavar="TEXT", help=told)(command)
    return command


def _query(filters: dict[str, Any]) -> "AuditQuery":
    from acteon.audit import AuditQuery

    return AuditQuery(**filters)


@click.group(
    "audit",
    cls=OneLineGroup,
    invoke_without_command=True,
    subcommand_metavar="COMMAND",
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog=_EXITS,
)
@click.pass_context
def audit(context: click.Context) -> None:
    """Export audit records, and erase payloads in them; no server is needed."""
    if context.invoked_subcommand is None:
        raise WrongUseError(f"wanted a command: export or erase; {see_help(context)}")


@audit.command(cls=OneLineCommand, epilog=_EXITS)
@config_option()
@_filters
@click.option(
    "-o",
    "--output",
    metavar="FILE",
    help="Where the records go, when all of them are there; without it, to stdout.",
)
@click.pass_context
def export(
    context: click.Context, /, config: Path | None, output: str | None, **filters: Any
) -> None:
    """Write audit records as JSON lines, the newest first."""
    if output == "":
        raise WrongUseError("--output: wanted the name of a file")

    def work() -> int:
        from acteon.server.audittools import export
        from acteon.server.config import load_config

        loaded = load_config(config_of(context, config), environ=os.environ)
        target = None if output in (None, "-") else Path(output)
        try:
            written = finish(export(loaded, _query(filters), target))
        except BrokenPipeError:
            if target is not None:
                raise
            # Nobody is left to be told; nor must Python try to write the rest at its end.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return _NOBODY_READS
        if target is not None:
            click.echo(f"{target}: {_records(written)}")
        return 0

    context.exit(run_quietly(work, failed=1))


@audit.command(cls=OneLineCommand, epilog=_EXITS)
@config_option()
@_filters
@click.option(
    "--path",
    metavar="PATH",
    help="Only payloads with the value in a member of this name, or at this dotted path.",
)
@click.option("--value", metavar="TEXT", help="That value, if it is a text.")
@click.option("--json", "other", callback=_json, metavar="JSON", help="That value, whatever it is.")
@click.option("--dry-run", is_flag=True, help="Count them only.")
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
@click.pass_context
def erase(
    context: click.Context,
    /,
    config: Path | None,
    path: str | None,
    value: str | None,
    other: tuple[Any] | None,
    *,
    dry_run: bool,
    yes: bool,
    **filters: Any,
) -> None:
    """Remove the payloads of audit records for good; what else they tell stays.

    That it was done is recorded.
    """
    wanted: list[Any] = [value] if value is not None else []
    wanted += [] if other is None else [other[0]]
    if len(wanted) != (path is not None) or path == "":
        raise WrongUseError("--path belongs to --value, or to --json: one of these")
    if path is None and not any(each is not None for each in filters.values()):
        raise WrongUseError(f"wanted a filter, such as --tenant, or --path; {see_help(context)}")
    if not (dry_run or yes or sys.stdin.isatty()):
        raise WrongUseError("there is nobody to ask: add --yes, or --dry-run")

    def work() -> int:
        from acteon.server.audittools import count, erase
        from acteon.server.config import load_config

        loaded = load_config(config_of(context, config), environ=os.environ)
        query, held = _query(filters), wanted[0] if wanted else None
        if dry_run or not yes:
            found = finish(count(loaded, query, path, held))
            if dry_run:
                click.echo(f"{_payloads(found)} would be erased")
                return 0
            if not click.confirm(f"Erase {_payloads(found)} for good?", err=True):
                click.echo("error: nothing was erased", err=True)
                return 1
        erased = _finish_gently(erase(loaded, query, path, held))
        click.echo(f"{_payloads(erased.erased)} erased")
        return 0

    context.exit(run_quietly(work, failed=1))


@click.command(
    cls=OneLineCommand,
    epilog=_EXITS,
    context_settings={"help_option_names": ["-h", "--help"]},
)
@config_option()
@click.pass_context
def migrate(context: click.Context, config: Path | None) -> None:
    """Make what the configured backends need, and keep what is there.

    The server does the same when it starts. Any number of these may run at the same time.
    """

    def work() -> int:
        from acteon.server.config import load_config

        loaded = load_config(config_of(context, config), environ=os.environ)

        async def prepare_all() -> None:
            from acteon.server.audittools import prepare

            async for line in prepare(loaded):
                click.echo(line)

        finish(prepare_all())
        return 0

    context.exit(run_quietly(work, failed=1))


def _finish_gently(work: Coroutine[Any, Any, T]) -> T:
    """Return what `work` does; Ctrl+C and SIGTERM cancel it, so that it still tells what it did.

    The second Ctrl+C strikes it wherever it is.
    """
    terminated = False

    async def run() -> T:
        task = asyncio.current_task()
        assert task is not None

        def terminate() -> None:
            nonlocal terminated
            terminated = True
            task.cancel()

        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, terminate)
        return await work

    try:
        return asyncio.run(run())
    except asyncio.CancelledError:
        if not terminated:
            raise
        raise SystemExit(128 + signal.SIGTERM) from None


def _records(number: int) -> str:
    return "1 record" if number == 1 else f"{number} records"


def _payloads(number: int) -> str:
    return "1 payload" if number == 1 else f"{number} payloads"
