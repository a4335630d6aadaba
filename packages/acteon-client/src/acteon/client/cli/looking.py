"""The commands on rules, providers, dead letters, and how the server is."""

import time
from argparse import Namespace

from acteon.client.cli.output import Output
from acteon.client.cli.reading import action_from
from acteon.client.synchronous import ActeonClient


def health(client: ActeonClient, given: Namespace, output: Output) -> int:
    """Show whether the server is alive and ready, once it is or `--wait` is over."""
    end = time.monotonic() + given.wait
    while not client.health():
        if time.monotonic() >= end:
            # Tells why.
            client.health_details()
            return 1
        time.sleep(min(0.2, max(0.0, end - time.monotonic())))
    ready = client.ready()
    if output.as_json:
        output.json({"alive": True, "ready": ready.is_ready, "checks": dict(ready.checks)})
    else:
        rows = [("server", "ok"), *sorted(ready.checks.items())]
        output.table(("WHAT", "STATE"), rows)
    return int(not ready.is_ready)


def metrics(client: ActeonClient, given: Namespace, output: Output) -> int:
    """Show what the gateway has counted."""
    if given.prometheus:
        output.line(client.prometheus().rstrip("\n"))
        return 0
    told = client.metrics().to_dict()
    if output.as_json:
        output.json(told)
    else:
        output.table(("WHAT", "COUNT"), told.items())
    return 0


def rules(client: ActeonClient, given: Namespace, output: Output) -> int:
    """Show the rules in force."""
    if given.details:
        output.json(client.rule_details())
        return 0
    found = client.list_rules()
    if output.as_json:
        output.json([rule.to_dict() for rule in found])
    else:
        rows = [
            (rule.priority, rule.name, "on" if rule.enabled else "off", rule.description)
            for rule in found
        ]
        output.table(("PRIORITY", "NAME", "STATE", "DESCRIPTION"), rows)
    return 0


def reload_rules(client: ActeonClient, given: Namespace, output: Output) -> int:
    """Have the server read its rules again."""
    result = client.reload_rules(given.directory)
    if output.as_json:
        output.json(result.to_dict())
    else:
        output.line(f"{result.loaded} rules of {result.directory or 'the server'} are in force")
        for text in (*result.warnings, *result.errors):
            output.note(f"warning: {text}")
    return int(bool(result.errors))


def switch_rule(client: ActeonClient, given: Namespace, output: Output) -> int:
    """Switch a rule on or off."""
    state = client.set_rule_enabled(given.name, given.enabled)
    if output.as_json:
        output.json(state.to_dict())
    else:
        output.line(f"{state.name} is {'on' if state.enabled else 'off'}")
    return 0


def explain(client: ActeonClient, given: Namespace, output: Output) -> int:
    """Show what the rules decide about an action, without doing it."""
    output.json(client.explain(action_from(given)))
    return 0


def providers(client: ActeonClient, given: Namespace, output: Output) -> int:
    """Show the providers, or how they are."""
    if given.health:
        healths = client.provider_health()
        if output.as_json:
            output.json([each.to_dict() for each in healths])
        else:
            rows = [(each.provider, "ok" if each.healthy else each.error) for each in healths]
            output.table(("PROVIDER", "STATE"), rows)
        return int(not all(each.healthy for each in healths))
    found = client.list_providers()
    if output.as_json:
        output.json([each.to_dict() for each in found])
        return 0
    output.table(
        ("PROVIDER", "TYPE", "CIRCUIT", "IN FLIGHT", "WAITING", "ATTEMPTS", "SUCCESSES"),
        [
            (
                each.name,
                each.type,
                each.circuit.state if each.circuit else None,
                each.in_flight,
                each.waiting,
                each.calls.attempts if each.calls else None,
                each.calls.successes if each.calls else None,
            )
            for each in found
        ],
    )
    return 0


def dlq_stats(client: ActeonClient, given: Namespace, output: Output) -> int:
    """Show how many dead letters there are."""
    stats = client.dlq_stats()
    if output.as_json:
        output.json(stats.to_dict())
    else:
        output.line(str(stats.count) if stats.enabled else "none are kept")
    return 0


def dlq_drain(client: ActeonClient, given: Namespace, output: Output) -> int:
    """Take all dead letters out, and tell them as JSON lines; nobody else gets them."""
    for letter in client.dlq_drain():
        output.json_line(letter.to_dict())
    return 0
