"""The command itself: from what was typed to a status."""

import getpass
import os
import sys
from argparse import Namespace
from collections.abc import Callable, Sequence
from typing import Any

from acteon.client.cli import auditing, dispatching, looking, tokens
from acteon.client.cli.output import Output
from acteon.client.cli.parser import make_parser
from acteon.client.cli.usage import UsageError
from acteon.client.errors import (
    ActeonConnectionError,
    AuthenticationError,
    ClientError,
    ConfigurationError,
    PermissionDeniedError,
)
from acteon.client.retries import RetryPolicy
from acteon.client.synchronous import ActeonClient

Command = Callable[[ActeonClient, Namespace, Output], int]

USAGE, UNREACHED, REFUSED, FAILED, INTERRUPTED = 2, 3, 4, 5, 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Do what `arguments`, those of the process if None, ask for; return the status."""
    given = make_parser(COMMANDS).parse_args(arguments)
    output = Output(as_json=given.json)
    try:
        status = _run(given, output)
        output.out.flush()
    except BrokenPipeError:
        # Whoever read has had enough. Python would complain once more at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except KeyboardInterrupt:
        return INTERRUPTED
    except (UsageError, ConfigurationError, ValueError) as error:
        return _told(output, str(error), USAGE)
    except ActeonConnectionError as error:
        return _told(output, str(error), UNREACHED)
    except (AuthenticationError, PermissionDeniedError) as error:
        hint = "; give --api-key, or `acteon login`" if error.status == 401 else ""
        return _told(output, f"{error.message}{hint}", REFUSED)
    except ClientError as error:
        return _told(output, str(error), FAILED)
    return status


def _told(output: Output, text: str, status: int) -> int:
    output.note(f"error: {text}")
    return status


def _run(given: Namespace, output: Output) -> int:
    command: Command = given.run
    with _client(given) as client:
        return command(client, given, output)


def _client(given: Namespace) -> ActeonClient:
    options: dict[str, Any] = {}
    for name in ("api_key", "token", "timeout"):
        value = getattr(given, name)
        if value is not None:
            options[name] = value
    if given.url is not None:
        options["base_url"] = given.url
    if given.retries:
        options["retry"] = RetryPolicy(max_attempts=given.retries + 1)
    if given.ca_cert is not None:
        options["ca_cert_path"] = given.ca_cert
    client = ActeonClient.from_env(**options)
    nobody = not {"api_key", "token"} & options.keys()
    if nobody and not (os.environ.get("ACTEON_API_KEY") or os.environ.get("ACTEON_TOKEN")):
        kept = tokens.token_of(client.base_url)
        if kept is not None:
            client = ActeonClient.from_env(**options, token=kept)
    return client


def login(client: ActeonClient, given: Namespace, output: Output) -> int:
    """Sign in, and keep the token for the commands that follow."""
    if given.password_stdin:
        password = sys.stdin.readline().rstrip("\n")
    else:
        password = getpass.getpass(f"Password of {given.username}: ")
    signed_in = client.login(given.username, password)
    path = tokens.keep(client.base_url, signed_in.token)
    output.note(f"signed in for {signed_in.expires_in} s; the token is in {path}")
    return 0


def logout(client: ActeonClient, given: Namespace, output: Output) -> int:
    """Sign out, and forget the token."""
    try:
        client.logout()
    finally:
        tokens.keep(client.base_url, None)
    return 0


def completion(client: ActeonClient, given: Namespace, output: Output) -> int:
    """Tell a script that completes this command in a shell."""
    import shtab

    output.line(shtab.complete(make_parser(COMMANDS), shell=given.shell))
    return 0


COMMANDS: dict[str, Command] = {
    "audit export": auditing.export,
    "audit get": auditing.get,
    "audit query": auditing.query,
    "audit replay": auditing.replay,
    "audit tail": auditing.tail,
    "batch": dispatching.batch,
    "completion": completion,
    "dispatch": dispatching.dispatch,
    "dlq drain": looking.dlq_drain,
    "dlq stats": looking.dlq_stats,
    "health": looking.health,
    "login": login,
    "logout": logout,
    "metrics": looking.metrics,
    "providers": looking.providers,
    "rules disable": looking.switch_rule,
    "rules enable": looking.switch_rule,
    "rules explain": looking.explain,
    "rules list": looking.rules,
    "rules reload": looking.reload_rules,
    "tail": auditing.tail,
}
"""What is run for each command."""
