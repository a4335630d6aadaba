"""The commands `acteon-server plugins …`; what they do is imported when it is done."""

import json
from pathlib import Path
from typing import Final

import click

from acteon.server.usage import OneLineCommand, OneLineGroup, run_quietly

_KINDS: Final = ("provider", "state", "audit")


@click.group(
    "plugins",
    cls=OneLineGroup,
    invoke_without_command=True,
    subcommand_metavar="[COMMAND]",
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Exit status: 0 if it is done, 1 if --check finds one that is broken, 2 for wrong use.",
)
@click.option("--json", "as_json", is_flag=True, help="Show JSON instead of a table.")
@click.option("--check", is_flag=True, help="Exit with 1 if one of them is broken.")
@click.pass_context
def plugins(context: click.Context, *, as_json: bool, check: bool) -> None:
    """List the plugins that are installed, and what is wrong with them."""
    if context.invoked_subcommand is not None:
        return

    def work() -> int:
        from acteon.server.plugintools import installed
        from acteon.server.ruletools.tables import show_table

        found = installed()
        if as_json:
            text = json.dumps([one.as_json() for one in found], ensure_ascii=False, indent=2)
            click.echo(text)
        else:
            show_table(
                ("kind", "name", "package", "version", "kit", "location"),
                [
                    (
                        [one.kind],
                        [one.name],
                        [one.package],
                        [one.version],
                        [one.kit or "-"],
                        [one.location],
                    )
                    for one in found
                ],
            )
            for one in found:
                if one.problem is not None:
                    click.echo(f"broken: {one.problem}", err=True)
        return int(check and any(one.problem is not None for one in found))

    context.exit(run_quietly(work, failed=2))


@plugins.command(
    "new",
    cls=OneLineCommand,
    epilog="Exit status: 0 if it is made, 1 if something is in the way, 2 for wrong use.",
)
@click.argument("kind", type=click.Choice(_KINDS))
@click.argument("name")
@click.option(
    "--directory",
    type=click.Path(path_type=Path),
    default=Path(),
    metavar="PATH",
    help="Where its folder is made.  [default: here]",
)
@click.pass_context
def new(context: click.Context, kind: str, name: str, directory: Path) -> None:
    """Make the package of a plugin, with tests that pass before the first edit.

    KIND is provider, state or audit; NAME is what configurations will call it.
    """

    def work() -> int:
        from acteon.server.plugintools import make_package

        for path in make_package(kind, name, directory):
            click.echo(path)
        folder = directory / f"acteon-{kind}-{name}"
        click.echo(f"now: pip install -e '{folder}[test]' && pytest {folder}", err=True)
        return 0

    context.exit(run_quietly(work, failed=1))
