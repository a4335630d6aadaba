"""The command `acteon-server`."""

import logging
import os
import sys
from importlib.metadata import version
from pathlib import Path
from typing import TypeGuard

import click

from acteon.core import ActeonError
from acteon.server.config import load_config, warn_about
from acteon.server.lines import one_line
from acteon.server.logs import configure_logging

log = logging.getLogger(__name__)


@click.group(
    invoke_without_command=True,
    subcommand_metavar="[COMMAND]",
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.version_option(version("acteon-server"), message="acteon-server %(version)s")
@click.option(
    "-c",
    "--config",
    "path",
    type=click.Path(path_type=Path),
    metavar="PATH",
    help="Path to the TOML configuration file.  [default: acteon.toml, if there is one]",
)
@click.option("--host", metavar="HOST", help="Address or name to listen on.")
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    metavar="PORT",
    help="Port to listen on; 0 takes any free one, which the log names.",
)
@click.pass_context
def main(context: click.Context, path: Path | None, host: str | None, port: int | None) -> None:
    """Run the Acteon server.

    Options go before the environment (ACTEON_SERVER_PORT, ACTEON_STATE_URL, …), and that before
    the file.
    """
    if context.invoked_subcommand is None:
        context.exit(run_server(path, host, port))


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
        return str(error).split("\n")
    if isinstance(error, OSError):
        return [f"{error.filename}: {error.strerror}" if error.filename else str(error)]
    log.debug("unexpected error", exc_info=error)
    text = one_line(f"{type(error).__name__}: {error}")
    return [f"{text}; ACTEON_LOG=debug shows where"]
