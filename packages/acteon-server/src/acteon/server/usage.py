"""Commands that tell wrong uses as every mistake is told: in one line, with how to mend it."""

import asyncio
import logging
import os
import signal
import sys
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, Final, TypeGuard, TypeVar

import click

from acteon.core import ActeonError
from acteon.server.lines import one_line
from acteon.server.logs import configure_logging

log = logging.getLogger(__name__)

F = TypeVar("F", bound=Callable[..., Any])
T = TypeVar("T")

INTERRUPTED: Final = 128 + signal.SIGINT
"""The exit status of a program that Ctrl+C ended, as shells have it."""


class WrongUseError(click.ClickException):
    """A wrong use of a command."""

    exit_code = 2

    def show(self, file: Any = None) -> None:
        click.echo(f"error: {one_line(self.message)}", err=True)


class OneLineCommand(click.Command):
    """A command that tells wrong uses in one line."""

    def make_context(
        self, info_name: str | None, args: list[str], *rest: Any, **options: Any
    ) -> click.Context:
        try:
            return super().make_context(info_name, args, *rest, **options)
        except click.UsageError as error:
            raise WrongUseError(_usage(error)) from None


class OneLineGroup(OneLineCommand, click.Group):
    """A group of such commands."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name = args[0]
        if self.get_command(ctx, name) is None:
            hint = self.hint(name) or see_help(ctx)
            raise WrongUseError(f"{name}: there is no such command; {hint}")
        return super().resolve_command(ctx, args)

    def hint(self, name: str) -> str:
        """Return what somebody most likely wants who takes `name` for a command, if anything."""
        return ""


def see_help(context: click.Context | None) -> str:
    """Return where the help on a command is."""
    path = "acteon-server" if context is None else context.command_path
    return f"{path} --help shows what there is"


def _usage(error: click.UsageError) -> str:
    text = error.format_message().rstrip(".")
    text = f"{text[:1].lower()}{text[1:]}"
    if isinstance(error, click.NoSuchOption):
        meant = ["--port"] if error.option_name == "-p" else error.possibilities or ()
        if meant:
            return f"no such option {error.option_name!r}; did you mean {' or '.join(meant)}?"
    return f"{text}; {see_help(error.ctx)}"


def told(error: Exception) -> list[str]:
    """Return what the operator is told about `error`, one line a problem."""
    if _is_group(error):
        return [line for inner in error.exceptions for line in told(inner)]
    if isinstance(error, ActeonError):
        return [one_line(line) for line in str(error).split("\n")]
    if isinstance(error, OSError):
        return [f"{error.filename}: {error.strerror}" if error.filename else str(error)]
    log.debug("unexpected error", exc_info=error)
    text = one_line(f"{type(error).__name__}: {error}")
    return [f"{text}; ACTEON_LOG=debug shows where"]


def _is_group(error: Exception) -> TypeGuard[ExceptionGroup[Exception]]:
    return isinstance(error, ExceptionGroup)


def config_option(
    text: str = "The configuration file.  [default: acteon.toml, if there is one]",
) -> Callable[[F], F]:
    """Return the option for a configuration, which may also be named before the command."""
    path = click.Path(path_type=Path)
    return click.option("-c", "--config", type=path, metavar="PATH", help=text)


def config_of(context: click.Context, config: Path | None) -> Path | None:
    """Return the configuration that is named here, or before the command."""
    given: tuple[Path, ...] = context.find_root().params.get("paths", ())
    return config or (given[0] if given else None)


def run_quietly(work: Callable[[], int], *, failed: int) -> int:
    """Return the exit status of `work`, or `failed`; why it could not be done goes to stderr.

    Logs do so only if somebody asks for them.
    """
    if {"ACTEON_LOG", "RUST_LOG"} & set(os.environ):
        configure_logging(os.environ, sys.stderr)
    else:
        logging.getLogger("acteon").addHandler(logging.NullHandler())
    try:
        return work()
    except KeyboardInterrupt:
        click.echo("error: interrupted", err=True)
        return INTERRUPTED
    except Exception as error:  # noqa: BLE001 - the outermost place: told in one line, whatever it is
        for line in told(error):
            click.echo(f"error: {line}", err=True)
        return failed


def finish(work: Coroutine[Any, Any, T]) -> T:
    """Return what `work` does; Ctrl+C and SIGTERM strike it wherever it is.

    asyncio's own handler would wait for its next `await`: a write to a pipe that nobody empties
    never comes to it.
    """
    before = {number: signal.signal(number, _strike) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        return asyncio.run(work)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _strike(number: int, _frame: object) -> None:
    if number == signal.SIGINT:
        raise KeyboardInterrupt
    raise SystemExit(128 + number)
