"""The command `acteon-server`."""

import logging
import os
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final, TypeGuard

import click

from acteon.core import ActeonError
from acteon.server.config import load_config, warn_about
from acteon.server.lines import one_line
from acteon.server.logs import configure_logging

log = logging.getLogger(__name__)


class _UsageError(click.ClickException):
    """A wrong use of the command, told as every mistake is: in one line."""

    exit_code = 2

    def show(self, file: Any = None) -> None:
        click.echo(f"error: {one_line(self.message)}", err=True)


class _OneLineGroup(click.Group):
    """A group of commands that tells wrong uses in one line, and how to mend them."""

    def make_context(self, *arguments: Any, **options: Any) -> click.Context:
        try:
            return super().make_context(*arguments, **options)
        except click.UsageError as error:
            raise _UsageError(_usage(error)) from None

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name = args[0]
        if self.get_command(ctx, name) is None:
            hint = f"; for a configuration file: -c {name}" if _is_file(name) else ""
            raise _UsageError(f"{name}: there is no such command{hint or _SEE_HELP}")
        return super().resolve_command(ctx, args)


_SEE_HELP: Final = "; acteon-server --help shows what there is"


def _usage(error: click.UsageError) -> str:
    text = error.format_message().rstrip(".")
    text = f"{text[:1].lower()}{text[1:]}"
    if isinstance(error, click.NoSuchOption):
        meant = ["--port"] if error.option_name == "-p" else error.possibilities or ()
        if meant:
            return f"no such option {error.option_name!r}; did you mean {' or '.join(meant)}?"
    return f"{text}{_SEE_HELP}"


def _is_file(name: str) -> bool:
    return name.endswith(".toml") or Path(name).is_file()


class _Port(click.IntRange):
    """A port as the command line has it."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        try:
            return super().convert(value, param, ctx)
        except click.BadParameter:
            self.fail(f"wanted a whole number from 0 to 65535, found {value!r}", param, ctx)


@click.group(
    cls=_OneLineGroup,
    invoke_without_command=True,
    subcommand_metavar="[COMMAND]",
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.version_option(version("acteon-server"), message="acteon-server %(version)s")
@click.option(
    "-c",
    "--config",
    "paths",
    type=click.Path(path_type=Path),
    multiple=True,
    metavar="PATH",
    help="Path to the TOML configuration file.  [default: acteon.toml, if there is one]",
)
@click.option("--host", metavar="HOST", help="Address or name to listen on.")
@click.option(
    "--port",
    type=_Port(0, 65535),
    metavar="PORT",
    help="Port to listen on; 0 takes any free one, which the log names.",
)
@click.pass_context
def main(
    context: click.Context, paths: tuple[Path, ...], host: str | None, port: int | None
) -> None:
    """Run the Acteon server.

    Options go before the environment (ACTEON_SERVER_PORT, ACTEON_STATE_URL, …), and that before
    the file.
    """
    if context.invoked_subcommand is None:
        if len(paths) > 1:
            raise _UsageError("--config is given twice; there is one configuration file")
        context.exit(run_server(paths[0] if paths else None, host, port))


def run_server(path: Path | None, host: str | None, port: int | None) -> int:
    """Run the server until it is told to stop; return the exit status.

    Why it could not start goes to stderr, one line a problem.
    """
    configure_logging(os.environ, sys.stderr)
    try:
        config = load_config(path, environ=os.environ, host=host, port=port)
        warn_about(config)
        # Help and mistakes in the configuration need not wait for the whole server's import.
        from acteon.server.serve import run

        run(config)
    except Exception as error:  # noqa: BLE001 - the outermost place: told in one line, whatever it is
        for line in _told(error):
            click.echo(f"error: {line}", err=True)
        return 1
    return 0


def _is_group(error: Exception) -> TypeGuard[ExceptionGroup[Exception]]:
    return isinstance(error, ExceptionGroup)


def _told(error: Exception) -> list[str]:
    """Return what the operator is told about `error`, one line a problem."""
    if _is_group(error):
        return [line for inner in error.exceptions for line in _told(inner)]
    if isinstance(error, ActeonError):
        return [one_line(line) for line in str(error).split("\n")]
    if isinstance(error, OSError):
        return [f"{error.filename}: {error.strerror}" if error.filename else str(error)]
    log.debug("unexpected error", exc_info=error)
    text = one_line(f"{type(error).__name__}: {error}")
    return [f"{text}; ACTEON_LOG=debug shows where"]
