"""The command `acteon-server`."""

import os
import sys
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import click

from acteon.server.audit_commands import audit, migrate
from acteon.server.auth_commands import encrypt, hash_key, hash_password
from acteon.server.config import load_config, warn_about
from acteon.server.logs import configure_logging
from acteon.server.plugin_commands import plugins
from acteon.server.provider_commands import providers
from acteon.server.rule_commands import rules
from acteon.server.usage import OneLineGroup, WrongUseError, told


class _Commands(OneLineGroup):
    """What the command can do."""

    def hint(self, name: str) -> str:
        return f"for a configuration file: -c {name}" if _is_file(name) else ""


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
    cls=_Commands,
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
            raise WrongUseError("--config is given twice; there is one configuration file")
        context.exit(run_server(paths[0] if paths else None, host, port))


def run_server(path: Path | None, host: str | None, port: int | None) -> int:
    """Run the server until it is told to stop; return the exit status.

    Why it could not start goes to stderr, one line a problem.
    """
    configure_logging(os.environ, sys.stderr)
    try:
        load = partial(load_config, path, environ=os.environ, host=host, port=port)
        config = load()
        warn_about(config)
        # Help and mistakes in the configuration need not wait for the whole server's import.
        from acteon.server.serve import run

        run(config, load=None if config.path is None else load)
    except Exception as error:  # noqa: BLE001 - the outermost place: told in one line, whatever it is
        for line in told(error):
            click.echo(f"error: {line}", err=True)
        return 1
    return 0


main.add_command(rules)
main.add_command(audit)
main.add_command(migrate)
main.add_command(providers)
main.add_command(plugins)
main.add_command(encrypt)
main.add_command(hash_password)
main.add_command(hash_key)
