"""The commands `acteon-server rules …`. What they do is imported when they are called."""

import json
import re
from pathlib import Path
from typing import Any

import click

from acteon.server.lines import one_line
from acteon.server.usage import (
    OneLineCommand,
    OneLineGroup,
    WrongUseError,
    config_of,
    config_option,
    run_quietly,
    see_help,
)

_EXITS = "Exit status: 0 if all is well, 1 if {}, 2 for wrong use or files that cannot be read."
_NUMBER = re.compile(r"[+-]?[0-9]{1,18}", re.ASCII)
_PATH = click.Path(path_type=Path)
_format = click.option(
    "--format",
    "form",
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
    help="How the answer is written.",
)
_config = config_option("Configuration that names the rules and the providers.")


def _pairs(
    context: click.Context, parameter: click.Parameter, values: tuple[str, ...]
) -> dict[str, str]:
    found: dict[str, str] = {}
    for value in values:
        name, equals, text = value.partition("=")
        if not (name and equals):
            raise click.BadParameter(f"wanted NAME=VALUE, found {value!r}", context, parameter)
        found[name] = text
    return found


def _numbers(
    context: click.Context, parameter: click.Parameter, values: tuple[str, ...]
) -> dict[str, str]:
    found = _pairs(context, parameter, values)
    for id, text in found.items():
        if not _NUMBER.fullmatch(text):
            wanted = f"wanted ID=NUMBER, such as {id}=3, found {text!r}"
            raise click.BadParameter(wanted, context, parameter)
    return found


_env = click.option(
    "--env",
    "environment",
    multiple=True,
    callback=_pairs,
    metavar="NAME=VALUE",
    help="A variable that rules see as env.NAME; may be repeated.",
)


@click.group(
    "rules",
    cls=OneLineGroup,
    invoke_without_command=True,
    subcommand_metavar="COMMAND",
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog=_EXITS.format("not"),
)
@click.pass_context
def rules(context: click.Context) -> None:
    """Check rules, explain what they decide, and test them; no server is needed."""
    if context.invoked_subcommand is None:
        raise WrongUseError(f"wanted a command: check, explain or test; {see_help(context)}")


def _say(value: Any) -> None:
    click.echo(json.dumps(value, ensure_ascii=False, indent=2))


def _warn(lines: list[str]) -> None:
    for line in lines:
        click.echo(f"warning: {one_line(line)}", err=True)


@rules.command(
    cls=OneLineCommand, epilog=_EXITS.format("there are errors (with --strict: or warnings)")
)
@click.argument("path", type=_PATH, required=False, metavar="[DIRECTORY|FILE]")
@_config
@click.option("--providers", metavar="A,B", help="The providers that rules may reroute to.")
@_env
@click.option("--strict", is_flag=True, help="End with 1 for warnings, too.")
@_format
@click.pass_context
def check(
    context: click.Context,
    path: Path | None,
    config: Path | None,
    providers: str | None,
    environment: dict[str, str],
    *,
    strict: bool,
    form: str,
) -> None:
    """Tell all that is wrong with rules, or odd about them.

    Without a directory, those of the configuration are checked, by default of acteon.toml here.
    """

    def work() -> int:
        from acteon.server.ruletools.checking import check_rules
        from acteon.server.ruletools.findings import Severity
        from acteon.server.ruletools.sources import find_source

        names = None
        if providers is not None:
            names = frozenset(name.strip() for name in providers.split(",") if name.strip())
        source = find_source(
            path,
            config_of(context, config),
            environment=environment,
            providers=names,
        )
        checked = check_rules(source)
        if form == "json":
            _say([finding.as_json() for finding in checked.findings])
        else:
            for finding in checked.findings:
                click.echo(one_line(str(finding)))
            click.echo(checked.summary)
        bad = checked.findings if strict else checked.count(Severity.ERROR)
        return 1 if bad else 0

    context.exit(run_quietly(work, failed=2))


@rules.command(cls=OneLineCommand, epilog=_EXITS.format("a rule fails, and the dispatch with it"))
@click.argument("action", metavar="ACTION_FILE|-")
@click.option("--rules", "path", type=_PATH, metavar="PATH", help="The directory, or one file.")
@_config
@click.option("--now", metavar="INSTANT", help="When it would be.  [default: now]")
@click.option(
    "--state",
    multiple=True,
    callback=_pairs,
    metavar="ID=TEXT",
    help="A state entry that there is; may be repeated.",
)
@click.option(
    "--counter",
    "counters",
    multiple=True,
    callback=_numbers,
    metavar="ID=NUMBER",
    help="A counter that there is; may be repeated.",
)
@_env
@_format
@click.pass_context
def explain(
    context: click.Context,
    action: str,
    path: Path | None,
    config: Path | None,
    now: str | None,
    state: dict[str, str],
    counters: dict[str, str],
    environment: dict[str, str],
    form: str,
) -> None:
    """Tell what rules decide about an action, and why, rule by rule.

    The action is a file in JSON or YAML; nothing is done with it.
    """

    def work() -> int:
        from acteon.core import SYSTEM_CLOCK, ConfigError, parse_instant
        from acteon.rules import StateRead
        from acteon.server.ruletools.actions import read_action_file
        from acteon.server.ruletools.explaining import (
            HEADS,
            Situation,
            decision_lines,
            explain_action,
            headline,
            rule_rows,
        )
        from acteon.server.ruletools.sources import find_source, load_source
        from acteon.server.ruletools.tables import show_table

        try:
            moment = SYSTEM_CLOCK.now() if now is None else parse_instant(now)
        except ValueError as error:
            raise ConfigError(f"--now: {error}") from None
        compiled = load_source(
            find_source(path, config_of(context, config), environment=environment)
        )
        given, odd = read_action_file(action)
        _warn(odd)
        entries = {StateRead("state", id): text for id, text in state.items()}
        entries |= {StateRead("counter", id): text for id, text in counters.items()}
        story = explain_action(compiled, given, Situation(now=moment, state=entries))
        if form == "json":
            _say(story.as_json())
        else:
            click.echo(one_line(headline(story)))
            click.echo()
            show_table(HEADS, rule_rows(story.explanation))
            click.echo()
            for line in decision_lines(story):
                click.echo(one_line(line))
        return 1 if story.decision is None else 0

    context.exit(run_quietly(work, failed=2))


@rules.command(cls=OneLineCommand, epilog=_EXITS.format("a case fails"))
@click.argument("paths", type=_PATH, nargs=-1, required=True, metavar="FILE|DIRECTORY...")
@click.option("-k", "named", default="", metavar="TEXT", help="Only cases with that in their name.")
@_config
@_format
@click.pass_context
def test(
    context: click.Context, paths: tuple[Path, ...], named: str, config: Path | None, form: str
) -> None:
    """Run test cases: actions, and what is expected to become of them."""

    def work() -> int:
        from acteon.core import ConfigError
        from acteon.server.ruletools.running import read_files, run_files
        from acteon.server.ruletools.sources import surroundings_in

        files = read_files(paths, surroundings_in(config_of(context, config)))
        _warn([each.located for each in dict.fromkeys(w for f in files for w in f.warnings)])
        results = list(run_files(files, named=named))
        if not results:
            raise ConfigError(f"no test case has {named!r} in its name")
        passed = sum(result.passed for result in results)
        failed = len(results) - passed
        if form == "json":
            cases = [result.as_json() for result in results]
            _say({"passed": passed, "failed": failed, "cases": cases})
        else:
            for result in results:
                if not result.passed:
                    click.echo(f"{result}\n")
            click.echo(f"{passed} passed, {failed} failed" if failed else f"{passed} passed")
        return 1 if failed else 0

    context.exit(run_quietly(work, failed=2))
