"""What can be typed behind `acteon`."""

from argparse import (
    ArgumentParser,
    ArgumentTypeError,
    RawDescriptionHelpFormatter,
)
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from acteon.client.cli.auditing import FILTERS
from acteon.client.cli.dispatching import OUTCOMES
from acteon.client.cli.usage import instant

_STATUSES = """\
status: 0 done, 1 an action failed or the server is not well, 2 the command cannot be used,
3 no answer, 4 not allowed, 5 any other refusal

environment: ACTEON_URL, ACTEON_API_KEY, ACTEON_TOKEN, ACTEON_TIMEOUT, NO_COLOR
"""


def make_parser(commands: Mapping[str, Callable[..., int]]) -> ArgumentParser:
    """Return the parser of the whole command.

    Args:
        commands: What is run for each command, by its words.
    """
    parser = ArgumentParser(
        prog="acteon",
        description="Talk to an Acteon server.",
        epilog=_STATUSES,
        formatter_class=RawDescriptionHelpFormatter,
    )
    _add_connection(parser)
    found = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def add(group: Any, name: str, words: str, **members: Any) -> ArgumentParser:
        summary = (commands[words].__doc__ or "").splitlines()[0]
        added: ArgumentParser = group.add_parser(name, help=summary, description=summary)
        added.set_defaults(run=commands[words], **members)
        return added

    _add_dispatches(add, found)
    rules = _group(found, "rules", "The rules in force.")
    listed = add(rules, "list", "rules list")
    listed.add_argument("--details", action="store_true", help="all about each, as JSON")
    reloading = add(rules, "reload", "rules reload")
    reloading.add_argument("directory", nargs="?", help="one of the server's; its own without")
    for name, enabled in (("enable", True), ("disable", False)):
        switch = add(rules, name, f"rules {name}", enabled=enabled)
        switch.add_argument("name", help="the rule's name")
    _add_action(add(rules, "explain", "rules explain"))
    _add_audit(add, found)
    health = add(found, "health", "health")
    health.add_argument(
        "--wait", type=float, default=0, metavar="SECONDS", help="wait so long until it is there"
    )
    metrics = add(found, "metrics", "metrics")
    metrics.add_argument("--prometheus", action="store_true", help="all, as Prometheus reads them")
    providers = add(found, "providers", "providers")
    providers.add_argument("--health", action="store_true", help="ask them how they are")
    letters = _group(found, "dlq", "Dead letters: actions that could not be delivered.")
    add(letters, "stats", "dlq stats")
    add(letters, "drain", "dlq drain")
    signing_in = add(found, "login", "login")
    signing_in.add_argument("username")
    signing_in.add_argument(
        "--password-stdin", action="store_true", help="read the password from what comes in"
    )
    add(found, "logout", "logout")
    completion = add(found, "completion", "completion")
    completion.add_argument("shell", choices=("bash", "zsh", "tcsh"))
    return parser


def _group(found: Any, name: str, summary: str) -> Any:
    group = found.add_parser(name, help=summary, description=summary)
    return group.add_subparsers(dest="subcommand", required=True, metavar="COMMAND")


def _add_connection(parser: ArgumentParser) -> None:
    group = parser.add_argument_group("connection")
    group.add_argument("--url", help="the server's; http://localhost:8080 without")
    group.add_argument("--api-key", metavar="KEY", help="who asks")
    group.add_argument("--token", help="who asks, by a token")
    group.add_argument("--timeout", type=float, metavar="SECONDS", help="for an answer; 30")
    group.add_argument(
        "--retries", type=_count, default=0, metavar="N", help="attempts after the first; 0"
    )
    group.add_argument("--ca-cert", metavar="FILE", help="authorities that are believed")
    parser.add_argument("--json", action="store_true", help="tell JSON instead of tables")


def _add_action(parser: ArgumentParser) -> None:
    parser.add_argument("--namespace", "-n")
    parser.add_argument("--tenant", "-t")
    parser.add_argument("--provider", "-p")
    parser.add_argument("--type", dest="action_type", help="its action type")
    parser.add_argument("--payload", metavar="JSON", help="JSON, @FILE, or - for what comes in")
    parser.add_argument("--metadata", action="append", metavar="NAME=VALUE", help="a label")
    parser.add_argument("--dedup-key", metavar="KEY")
    parser.add_argument("--id", help="its id; a new one without")
    parser.add_argument("--file", metavar="FILE", help="a JSON file with the action; - is stdin")


def _add_dispatches(add: Callable[..., ArgumentParser], found: Any) -> None:
    dispatch = add(found, "dispatch", "dispatch")
    _add_action(dispatch)
    dispatch.add_argument("--dry-run", action="store_true", help="tell what would happen")
    lines = dispatch.add_argument_group("many actions")
    lines.add_argument("--jsonl", metavar="FILE", help="JSON lines, an action each; - is stdin")
    lines.add_argument("--chunk-size", type=_some, default=100, metavar="N", help="in a request")
    lines.add_argument("--concurrency", type=_some, default=4, metavar="N", help="requests at once")
    lines.add_argument(
        "--failures", metavar="FILE", help="where lines go that are to be sent again"
    )
    batch = add(found, "batch", "batch")
    batch.add_argument("actions", metavar="FILE", help="a JSON list of actions; - is stdin")
    for parser in (dispatch, batch):
        parser.add_argument(
            "--fail-on",
            action="append",
            choices=OUTCOMES,
            metavar="OUTCOME",
            help="end with status 1 for this outcome, too",
        )


def _add_audit(add: Callable[..., ArgumentParser], found: Any) -> None:
    audit = _group(found, "audit", "The audit trail.")
    query = add(audit, "query", "audit query")
    query.add_argument("--limit", type=_some, metavar="N", help="1 to 1000; 50")
    get = add(audit, "get", "audit get")
    replay = add(audit, "replay", "audit replay")
    replay.add_argument("--dry-run", action="store_true", help="tell what would happen")
    for parser in (get, replay):
        parser.add_argument("action_id", metavar="ACTION")
    tails = (add(audit, "tail", "audit tail"), add(found, "tail", "tail"))
    for parser in tails:
        parser.add_argument(
            "--interval", type=float, default=1.0, metavar="SECONDS", help="between two looks; 1"
        )
    for parser in (query, add(audit, "export", "audit export"), *tails):
        for name in FILTERS:
            option = {"action_type": "--type"}.get(name, "--" + name.replace("_", "-"))
            parser.add_argument(option, dest=name, metavar="TEXT")
        parser.add_argument("--since", type=_instant, metavar="WHEN", help="1h, 7d, or RFC 3339")
        parser.add_argument("--until", type=_instant, metavar="WHEN")


def _instant(text: str) -> datetime:
    try:
        return instant(text)
    except ValueError as error:
        raise ArgumentTypeError(f"{error}, or so long ago: 90s, 5m, 1h, 7d") from None


def _count(text: str) -> int:
    if not text.isdecimal():
        raise ArgumentTypeError(f"{text!r}: give 0 or more")
    return int(text)


def _some(text: str) -> int:
    if not text.isdecimal() or not int(text):
        raise ArgumentTypeError(f"{text!r}: give 1 or more")
    return int(text)
