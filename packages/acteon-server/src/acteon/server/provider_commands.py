"""The commands `acteon-server providers …`; what they do is imported when it is done."""

import json
import os
from datetime import timedelta
from pathlib import Path
from typing import Any, cast

import click

from acteon.core import MalformedError, decode_json
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


def _payload(context: click.Context, parameter: click.Parameter, value: str) -> dict[str, Any]:
    try:
        found: Any = decode_json(value.encode(errors="replace"))
    except MalformedError as error:
        raise click.BadParameter(f"no JSON: {error}", context, parameter) from None
    if type(found) is not dict:
        raise click.BadParameter('wanted an object, such as {"text": "hello"}', context, parameter)
    return cast("dict[str, Any]", found)


@click.group(
    "providers",
    cls=OneLineGroup,
    invoke_without_command=True,
    subcommand_metavar="COMMAND",
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.pass_context
def providers(context: click.Context) -> None:
    """Try the providers of a configuration; no server is needed."""
    if context.invoked_subcommand is None:
        raise WrongUseError(f"wanted a command: check or test; {see_help(context)}")


@providers.command(
    "test",
    cls=OneLineCommand,
    epilog="Exit status: 0 if it was delivered, 1 if not, 2 for wrong use.",
)
@config_option()
@click.argument("name")
@click.option(
    "--payload",
    callback=_payload,
    default='{"text": "A test of this provider by acteon-server"}',
    metavar="JSON",
    help="The payload that it gets.  [default: a text]",
)
@click.option("--namespace", default="test", metavar="TEXT", help="The namespace.  [default: test]")
@click.option("--tenant", default="test", metavar="TEXT", help="The tenant.  [default: test]")
@click.option(
    "--action-type", default="test", metavar="TEXT", help="The type of the action.  [default: test]"
)
@click.pass_context
def test(context: click.Context, /, config: Path | None, name: str, **members: Any) -> None:
    """Send one real action through the provider NAME, and show what came of it as JSON.

    Its limits, retries, members and fallback count; rules, state and audit trail have no part.
    """

    def work() -> int:
        from acteon.core import Action
        from acteon.server.config import load_config
        from acteon.server.providertools import try_provider

        loaded = load_config(config_of(context, config), environ=os.environ)
        tried = finish(try_provider(loaded, name, Action(provider=name, **members)))
        click.echo(json.dumps(tried.as_json(), ensure_ascii=False, indent=2))
        return 0 if tried.delivered else 1

    context.exit(run_quietly(work, failed=2))


@providers.command(
    "check",
    cls=OneLineCommand,
    epilog="Exit status: 0 if all are healthy, 1 if one is not, 2 for wrong use.",
)
@config_option()
@click.option(
    "--timeout",
    type=click.FloatRange(0, 3600, min_open=True),
    default=10.0,
    metavar="SECONDS",
    help="How long each may take.  [default: 10]",
)
@click.pass_context
def check(context: click.Context, config: Path | None, timeout: float) -> None:
    """Ask every provider of the configuration how it is; nothing is sent."""

    def work() -> int:
        from acteon.server.config import load_config
        from acteon.server.providertools import checked
        from acteon.server.ruletools.tables import show_table

        loaded = load_config(config_of(context, config), environ=os.environ)
        found = finish(checked(loaded, timedelta(seconds=timeout)))
        types = {section.name: section.type for section in loaded.providers}
        show_table(
            ("provider", "type", "health"),
            [
                ([each.provider], [types[each.provider]], [each.error or "healthy"])
                for each in found
            ],
        )
        return 0 if all(each.healthy for each in found) else 1

    context.exit(run_quietly(work, failed=2))
