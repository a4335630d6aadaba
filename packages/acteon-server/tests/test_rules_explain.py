"""`acteon-server rules explain`, and the commands as processes of their own."""

import errno
import json
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from acteon.server import main

RULES = """\
rules:
  - name: no-spam
    priority: 1
    condition: {field: action.action_type, eq: spam}
    action: {type: deny}
  - name: tried
    priority: 2
    shadow: true
    condition: {field: action.payload.amount, gt: 5}
    action: {type: deny}
  - name: quiet
    priority: 3
    condition: {state_counter: quiet, gt: 0}
    action: {type: suppress}
  - name: once
    priority: 4
    condition: {field: action.action_type, eq: order}
    action: {type: deduplicate, ttl_seconds: 600}
    continue: true
  - name: few
    priority: 5
    condition: {field: action.action_type, eq: order}
    action: {type: throttle, max_count: 3, window_seconds: 60, key: "{{ action.payload.to }}"}
    continue: true
  - name: by-text
    priority: 6
    condition: {field: time.hour, gte: 22}
    action: {type: reroute, target_provider: sms, changes: {html: null, loud: true}}
  - name: last
    priority: 7
    condition: {field: env.region, eq: eu}
    action: {type: suppress}
  - name: off
    priority: 8
    enabled: false
    condition: {field: action.tenant, eq: acme}
    action: {type: deny}
"""
ORDER = """\
# An order, as the shop sends it.
namespace: shop
tenant: acme
provider: email
action_type: order
payload: {to: ada, amount: 7, html: <b>}
"""
NIGHT = "2025-01-06T22:30:00Z"


@pytest.fixture
def folder(folder: Path) -> Path:
    """Give a working directory with rules and an action."""
    (folder / "rules.yaml").write_text(RULES)
    (folder / "order.yaml").write_text(ORDER)
    return folder


def explain(*arguments: str, action: str = "order.yaml", given: str | None = None) -> Result:
    whole = ["rules", "explain", action, "--rules", "rules.yaml", "--now", NIGHT, *arguments]
    return CliRunner().invoke(main, whole, input=given, prog_name="acteon-server")


def test_each_rule_has_its_line_and_the_decision_is_told_in_words(folder: Path) -> None:
    done = explain()
    assert (done.exit_code, done.stderr) == (0, "")
    assert (
        done.stdout
        == """\
order by email for shop/acme at 2025-01-06T22:30:00Z

RULE     RESULT                        CLAUSE                         SAW
no-spam  not matched                   action.action_type == "spam"   action.action_type = "order"
tried    matched (shadow)              action.payload.amount > 5      action.payload.amount = 7
quiet    not matched                   state.counter("quiet") > 0     state.counter("quiet") = 0
once     matched                       action.action_type == "order"  action.action_type = "order"
few      matched                       action.action_type == "order"  action.action_type = "order"
                                                                      action.payload.to = "ada"
by-text  matched, decides              time.hour >= 22                time.hour = 22
last     not reached, would not match  env.region == "eu"             env.region = null
off      disabled, would match         action.tenant == "acme"        action.tenant = "acme"

decision: reroute, by rule 'by-text'
  once per:  its id, as it has no dedup_key; for 10m
  at most:   3 in 1m for the key "ada"
  delivered: by sms (in place of email)
  payload:   {"amount": 7, "loud": true, "to": "ada"}
  shadow:    rule 'tried' would deny
not given, so taken for absent: --counter quiet
"""
    )


def test_state_and_variables_can_be_given(folder: Path) -> None:
    done = explain("--counter", "quiet=2")
    assert done.stdout.splitlines()[-3:] == [
        "decision: suppress, by rule 'quiet'",
        "  it is not delivered",
        "  shadow:    rule 'tried' would deny",
    ]
    day = explain("--env", "region=eu", "--now", "2025-01-06T12:00:00Z")
    assert "\ndecision: suppress, by rule 'last'\n" in day.stdout


def test_entries_of_state_can_be_given(folder: Path) -> None:
    (folder / "rules.yaml").write_text(
        "rules:\n"
        "  - name: seen\n"
        "    condition: {state_seen: alarm, within_seconds: 60}\n"
        "    action: {type: suppress}\n"
    )
    assert "decision: allow, no rule matches" in explain().stdout
    assert "--state alarm" in explain().stdout
    assert 'state.since("alarm") = 2^63-1 (never set)\n' in explain().stdout
    done = explain("--state", "alarm=2025-01-06T22:29:30Z")
    assert "decision: suppress, by rule 'seen'" in done.stdout
    assert "absent" not in done.stdout


def test_the_action_may_be_json_and_come_in(folder: Path) -> None:
    action = {
        "namespace": "n",
        "tenant": "t",
        "provider": "p",
        "action_type": "spam",
        "payload": None,
        "dedupkey": 1,
    }
    done = explain("--format", "json", action="-", given=json.dumps(action))
    assert done.stderr == (
        "warning: <stdin>: ignored: actions have no member `dedupkey`; did you mean `dedup_key`?\n"
    )
    told = json.loads(done.stdout)
    assert told["decision"] == {
        "verdict": "deny",
        "rule": "no-spam",
        "refused": True,
        "matched": [{"rule": "no-spam", "verdict": "deny"}],
    }
    assert (told["now"], told["provider"], told["payload"]) == (NIGHT, None, None)
    assert told["assumed_absent"] == [{"kind": "counter", "id": "quiet"}]
    assert [rule["result"] for rule in told["rules"]][:2] == ["matched", "not_reached"]


def test_a_rule_that_fails_is_told_and_ends_with_1(folder: Path) -> None:
    (folder / "rules.yaml").write_text(
        "rules:\n"
        "  - name: big\n"
        "    condition: {field: action.payload.to, gt: 5}\n"
        "    action: {type: deny}\n"
    )
    done = explain()
    assert done.exit_code == 1
    assert done.stdout.splitlines()[2:] == [
        "RULE  RESULT           CLAUSE                                     SAW",
        "big   failed, decides  action.payload.to > 5                      "
        'action.payload.to = "ada"',
        "                       type error: cannot compare string and int",
        "",
        "decision: none, the dispatch fails: type error: cannot compare string and int "
        "(rule 'big')",
    ]


def test_what_a_configuration_says_counts(folder: Path) -> None:
    (folder / "mine").mkdir()
    (folder / "mine" / "rules.yaml").write_text(
        "rules:\n"
        "  - name: big\n"
        "    condition: {field: action.payload.to, gt: 5}\n"
        "    action: {type: deny}\n"
    )
    (folder / "acteon.toml").write_text(
        '[rules]\ndirectory = "mine"\non_error = "skip"\nenvironment = {region = "eu"}\n'
    )
    region = ["rules", "explain", "order.yaml", "--rules", "rules.yaml", "-c", "acteon.toml"]
    assert 'env.region = "eu"' in CliRunner().invoke(main, region).stdout
    done = CliRunner().invoke(main, [*region, "--env", "region=us"])
    assert 'env.region = "us"' in done.stdout
    done = CliRunner().invoke(main, ["rules", "explain", "order.yaml"])
    assert done.exit_code == 0
    assert "\ndecision: allow, no rule matches\n" in done.stdout
    assert "\n  failed:    rule 'big': type error: cannot compare string and int" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "action", "told"),
    [
        ([], "missing.json", "missing.json: there is no such file"),
        ([], ".", ".: is a directory, not a file"),
        (["--now", "noon"], "order.yaml", "--now: 'noon' is no timestamp; write it like "
         "2025-01-31T13:30:00Z, with its zone"),
        (["--rules", "missing"], "order.yaml", "missing: there is no such file or directory"),
        (["--rules", "order.yaml"], "order.yaml", "order.yaml:2:1: missing field `rules`; write "
         "`rules:` above the list of rules"),
        (["--counter", "quiet"], "order.yaml", "invalid value for '--counter': wanted NAME=VALUE, "
         "found 'quiet'; acteon-server rules explain --help shows what there is"),
        (["--counter", "quiet=two"], "order.yaml", "invalid value for '--counter': wanted "
         "ID=NUMBER, such as quiet=3, found 'two'; acteon-server rules explain --help shows what "
         "there is"),
    ],
)  # fmt: skip
def test_a_wrong_use_is_told_in_one_line(
    arguments: list[str], action: str, told: str, folder: Path
) -> None:
    done = explain(*arguments, action=action)
    assert (done.exit_code, done.stdout) == (2, "")
    assert done.stderr.splitlines()[0] == f"error: {told}"


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (
            "[]",
            "<stdin>: wanted one action, a map such as {tenant: acme, …}, found a list; "
            "take one of its items",
        ),
        ("5", "<stdin>: wanted one action, a map such as {tenant: acme, …}, found 5"),
        ("{", "<stdin>:1:2: the JSON ends too early"),
        ('{"tenant": "a",\n"payload": {', "<stdin>:2:13: the JSON ends too early"),
        ('{"tenant":\n"a" 5}', "<stdin>:2:5: JSON is malformed: expected ',' or '}'"),
        ("{tenant: a, payload: [}", "<stdin>:1:23: "),
        ("tenant: [", "<stdin>:1:10: "),
        (
            "tenant: acme",
            "<stdin>: is no action: missing `namespace`, `provider`, `action_type`, `payload`\n",
        ),
        (
            "{namespace: n, tenant: t, provider: p, type: a, payload: {}}",
            "<stdin>: is no action: "
            "missing `action_type`; actions have no member `type`; did you mean `action_type`?",
        ),
        (
            "{namespace: n, tenant: t, provider: p, action_type: 5, payload: {}}",
            "<stdin>: is no action: Expected `str`, got `int` at `action_type`",
        ),
        (
            "rules: []",
            "<stdin>: is no action: missing `namespace`, `tenant`, `provider`, "
            "`action_type`, `payload`; these are rules: name the file of an action here, and them "
            "behind --rules",
        ),
        (
            "cases: []",
            "<stdin>: is no action: missing `namespace`, `tenant`, `provider`, "
            "`action_type`, `payload`; run test cases with acteon-server rules test",
        ),
        ("tenant: .nan", "<stdin>:1:9: tenant: JSON has no number .nan"),
        ("\n", "<stdin>: is empty; wanted one action, a map such as {tenant: acme, …}"),
        ("# later", "<stdin>: the file is empty"),
    ],
)
def test_what_is_no_action_is_told_with_its_place(given: str, told: str, folder: Path) -> None:
    done = explain(action="-", given=given)
    assert done.exit_code == 2
    assert done.stderr.startswith(f"error: {told}")


def test_files_that_hold_no_action_are_told_by_their_names(folder: Path) -> None:
    (folder / "order.toml").write_text('tenant = "acme"\n')
    (folder / "order.json").write_text("{tenant: acme}")
    assert explain(action="order.toml").stderr == (
        "error: order.toml: is TOML by its name; write the action in JSON or in YAML\n"
    )
    assert explain(action="order.json").stderr.startswith("error: order.json:1:2: JSON is malf")
    assert explain(action=os.devnull).stderr == (
        "error: /dev/null: is empty; wanted one action, a map such as {tenant: acme, …}\n"
    )


def test_what_comes_in_may_be_yaml_in_braces(folder: Path) -> None:
    flow = "{namespace: n, tenant: t, provider: email, action_type: spam, payload: {}}"
    assert "by rule 'no-spam'" in explain(action="-", given=flow).stdout


def test_nothing_in_the_folder_changes(folder: Path) -> None:
    before = {each.name: each.read_bytes() for each in folder.iterdir()}
    explain()
    assert {each.name: each.read_bytes() for each in folder.iterdir()} == before


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "acteon.server", "rules", *arguments]


def test_the_commands_are_processes_with_an_end(folder: Path) -> None:
    (folder / "cases.yaml").write_text("rules: rules.yaml\ncases: [{name: x, expect: failed}]\n")
    ends = {
        ("check", "rules.yaml"): 0,
        ("check", "rules.yaml", "--strict"): 1,
        ("explain", "order.yaml", "--rules", "rules.yaml", "--now", NIGHT): 0,
        ("test", "cases.yaml"): 1,
        ("test", "missing.yaml"): 2,
        (): 2,
        ("--help",): 0,
    }
    for arguments, end in ends.items():
        done = subprocess.run(
            command(*arguments),
            cwd=folder,
            capture_output=True,
            encoding="utf-8",
            timeout=60,
            check=False,
        )
        assert (done.returncode, "Traceback" in done.stderr) == (end, False), done


def test_the_server_is_not_imported_for_it(folder: Path) -> None:
    program = (
        "import sys; from acteon.server import main\n"
        "main(['rules', 'check', 'rules.yaml'], standalone_mode=False)\n"
        "print([name for name in sys.modules if name.startswith("
        "('acteon.server.http', 'hypercorn', 'uvicorn', 'starlette', 'rich'))])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=folder,
        capture_output=True,
        encoding="utf-8",
        timeout=60,
        check=True,
    )
    assert done.stdout.splitlines()[-1] == "[]"


def test_on_a_terminal_the_table_is_drawn(folder: Path) -> None:
    ours, theirs = pty.openpty()
    try:
        arguments = command("explain", "order.yaml", "--rules", "rules.yaml", "--now", NIGHT)
        with subprocess.Popen(
            arguments,
            cwd=folder,
            stdout=theirs,
            env={**os.environ, "COLUMNS": "120", "TERM": "xterm"},
        ) as process:
            os.close(theirs)
            shown = _all_of(ours)
        assert process.returncode == 0
    finally:
        os.close(ours)
    assert "─────" in shown
    assert "by-text" in shown
    assert "decision: reroute, by rule 'by-text'" in shown


def _all_of(terminal: int) -> str:
    """Return what is written to a terminal until its other side is closed."""
    shown = b""
    while True:
        try:
            piece = os.read(terminal, 65_536)
        except OSError as error:
            if error.errno != errno.EIO:  # So ends a terminal on Linux.
                raise
            piece = b""
        if not piece:
            return shown.decode()
        shown += piece
