"""`acteon-server rules test`: cases that pass, cases that fail, and files that are no cases."""

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import anyio.to_thread
import hypothesis.strategies as st
import pytest
from click.testing import CliRunner, Result
from hypothesis import HealthCheck, given, settings

from acteon.core import ConfigError
from acteon.server import main
from acteon.server.ruletools import RuleSource, check_rules, run_cases
from acteon.server.ruletools.casefiles import read_case_file
from acteon.server.ruletools.cases import Case, Surroundings
from acteon.server.ruletools.durations import parse_duration, show_duration

EXAMPLES = Path(__file__).parents[3] / "examples" / "rules"

RULES = """\
rules:
  - name: no-spam
    priority: 1
    condition: {field: action.action_type, eq: spam}
    action: {type: deny}
  - name: tried
    priority: 2
    shadow: true
    condition: {field: action.action_type, eq: letter}
    action: {type: deny}
  - name: frozen
    priority: 3
    condition: {state_seen: frozen, within_seconds: 3600}
    action: {type: suppress}
  - name: busy
    priority: 4
    condition: {state_counter: open, gt: 2}
    action: {type: suppress}
  - name: once
    priority: 5
    condition: {field: action.dedup_key, exists: true}
    action: {type: deduplicate, ttl_seconds: 600}
    continue: true
  - name: signed
    priority: 6
    condition: {field: action.action_type, eq: letter}
    action: {type: modify, changes: {footer: bye, note: null}}
    continue: true
  - name: urgent
    priority: 7
    condition: {field: action.metadata.priority, eq: urgent}
    action: {type: reroute, target_provider: pager, changes: {loud: true}}
  - name: alerts
    priority: 8
    condition: {field: action.action_type, eq: alert}
    action: {type: throttle, max_count: 2, window_seconds: 60}
  - name: by-id
    priority: 9
    condition: {field: action.action_type, eq: by-id}
    action: {type: deduplicate}
  - name: regional
    priority: 9
    condition: {field: env.region, eq: eu}
    action: {type: allow}
  - name: broken
    priority: 10
    condition: {field: action.payload.amount, gt: 5}
    action: {type: allow}
"""


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(
        main, ["rules", "test", *map(str, arguments)], prog_name="acteon-server"
    )


def cases(text: str, *, rules: str = RULES, more: str = "") -> Path:
    file = Path("cases.yaml")
    file.write_text(f"{rules}{more}cases:\n{text}", encoding="utf-8")
    return file


def told(text: str, *, rules: str = RULES, more: str = "") -> list[str]:
    """Return what is told about cases that are none, after making sure that it is told rightly."""
    cases(text, rules=rules, more=more)
    done = run("cases.yaml")
    assert (done.exit_code, done.stdout) == (2, "")
    return [line.removeprefix("error: ") for line in done.stderr.splitlines()]


PASSING = """\
  - name: without a rule it runs
    expect: {outcome: executed, verdict: allow, rule: null, matched: [], provider: test}
  - name: a refusal delivers nothing
    action: {action_type: spam}
    expect: {outcome: suppressed, verdict: deny, rule: no-spam, matched: no-spam, provider: null}
  - name: a text of the state store
    state: {frozen: 2024-12-31T23:30:00Z}
    expect: {outcome: suppressed, rule: frozen}
  - name: a counter
    counters: {open: 3}
    expect: {outcome: suppressed, rule: busy}
  - name: what there is can change
    state: {frozen: 2024-12-31T23:30:00Z}
    steps:
      - {expect: suppressed}
      - {state: {frozen: null}, expect: executed}
      - {counters: {open: 9}, expect: suppressed}
  - name: every tenant has what there is, and nothing else of the others
    state: {frozen: 2024-12-31T23:30:00Z}
    steps:
      - {action: {tenant: other}, expect: suppressed}
      - {action: {tenant: third, dedup_key: k}, state: {frozen: null}, expect: executed}
      - {action: {tenant: fourth, dedup_key: k}, expect: executed}
  - name: a duplicate, until ten minutes have gone
    action: {dedup_key: k}
    steps:
      - {expect: executed}
      - {after: 9m59s, expect: deduplicated}
      - {after: 1s, expect: executed}
  - name: a changed payload, and a rule that is only tried
    action: {action_type: letter, payload: {text: hi, note: x}}
    expect:
      verdict: modify
      payload: {text: hi, footer: bye, amount: 1}
      payload_has: {footer: bye}
      matched: [signed]
      shadowed: [tried]
  - name: a route with a shape of its own
    action: {metadata: {priority: urgent}}
    expect: {outcome: rerouted, provider: pager, payload: {amount: 1, loud: true}}
  - name: a quota
    action: {action_type: alert}
    steps:
      - {repeat: 2, expect: executed}
      - {after: 20s, repeat: 3, expect: {outcome: throttled, retry_after: 40s}}
      - {at: 2025-01-01T00:01:00Z, expect: executed}
  - name: of several rules that one is told that holds the action back
    action: {action_type: alert, dedup_key: k}
    steps:
      - {expect: {outcome: executed, rule: alerts, matched: [once, alerts]}}
      - {expect: {outcome: deduplicated, rule: once, verdict: throttle}}
      - {action: {dedup_key: l}, expect: executed}
      - {action: {dedup_key: m}, expect: {outcome: throttled, rule: alerts}}
  - name: a delivery that fails
    providers: {test: error}
    expect: {outcome: failed, code: EXECUTION_FAILED, error: as the test case says}
  - name: an answer that says no
    providers: {test: failure}
    expect: executed
  - name: an answer that never comes
    action: {dedup_key: k}
    steps:
      - {providers: {test: unknown}, expect: {outcome: failed, code: CONNECTION}}
      - {providers: {test: success}, expect: {outcome: failed, code: DELIVERY_UNKNOWN}}
  - name: a rule that fails
    action: {payload: {amount: true}}
    expect: {outcome: error, code: RULE_ERROR, error: "type error: "}
  - name: without a key each time is another action
    action: {action_type: by-id}
    steps:
      - {repeat: 2, expect: executed}
  - name: but for those of one id
    action: {action_type: by-id, id: one}
    steps:
      - {expect: executed}
      - {repeat: 2, expect: deduplicated}
"""
COMMON = "action: {payload: {amount: 1}}\nenvironment: {region: us}\n"
FIRST = RULES.count("\n") + COMMON.count("\n") + 2


def test_what_is_expected_happens(folder: Path) -> None:
    results = run_cases(cases(PASSING, more=COMMON))
    assert [str(each) for each in results if not each.passed] == []
    assert len(results) == 17
    done = run("cases.yaml")
    assert (done.exit_code, done.stdout, done.stderr) == (0, "17 passed\n", "")


WRONG = [
    ("outcome: suppressed", ['outcome: expected "suppressed", got "executed"']),
    ("verdict: deny", ['verdict: expected "deny", got "modify"']),
    ("rule: no-spam", ['rule: expected "no-spam", got "signed"']),
    ("rule: null", ['rule: expected null, got "signed"']),
    ("matched: [once, signed]", ['matched: expected ["once", "signed"], got ["signed"]']),
    ("shadowed: []", ['shadowed: expected [], got ["tried"]']),
    ("provider: pager", ['provider: expected "pager", got "test"']),
    ("provider: null", ['provider: expected null, got "test"']),
    (
        "payload: {text: hi, note: x, amount: 1.5}",
        [
            'payload.note: expected "x", got nothing',
            "payload.amount: expected 1.5, got 1",
            'payload.footer: expected nothing, got "bye"',
        ],
    ),
    ("payload_has: {amount: true}", ["payload.amount: expected true, got 1"]),
    ("payload_has: {text: [hi]}", ['payload.text: expected ["hi"], got "hi"']),
    ("retry_after: 90m", ['retry_after: expected "1h30m", got null']),
    ("error: out of order", ['error: expected "out of order", got nothing']),
    ("code: TIMEOUT", ['code: expected "TIMEOUT", got null']),
]


@pytest.mark.parametrize(("expect", "differences"), WRONG, ids=[each for each, _ in WRONG])
def test_what_is_not_expected_is_told(expect: str, differences: list[str], folder: Path) -> None:
    action = "{action_type: letter, payload: {text: hi, note: x}}"
    text = f"  - name: x\n    action: {action}\n    expect: {{{expect}}}\n"
    (result,) = run_cases(cases(text, more=COMMON))
    assert result.failure is not None
    assert [str(each) for each in result.failure.differences] == differences


def test_a_failure_says_where_what_and_why(folder: Path) -> None:
    rules = """\
rules:
  - name: no-spam
    condition: {field: action.action_type, eq: spam}
    action: {type: deny}
  - name: few
    condition: {all: [{field: action.tenant, eq: acme}, {field: action.payload.n, gt: 5}]}
    action: {type: throttle, max_count: 1, window_seconds: 60}
"""
    text = """\
  - name: all is sent
    action: {tenant: acme, action_type: note, provider: sms, payload: {n: 7}}
    steps:
      - {expect: executed}
      - after: 1m
        repeat: 2
        expect: {outcome: executed, provider: sms}
"""
    cases(text, rules=rules)
    done = run("cases.yaml")
    assert done.exit_code == 1
    clause = 'all(action.tenant == "acme", action.payload.n > 5)'
    spam = 'action.action_type == "spam"'.ljust(len(clause))
    assert done.stdout.splitlines() == [
        "FAILED cases.yaml:13: all is sent",
        "  step 2: note by sms at 2025-01-01T00:01:00Z, time 2 of 2",
        '    outcome: expected "executed", got "throttled"',
        '    provider: expected "sms", got null',
        f"  RULE     RESULT            {'CLAUSE'.ljust(len(clause))}  SAW",
        f'  no-spam  not matched       {spam}  action.action_type = "note"',
        f'  few      matched, decides  {clause}  action.tenant = "acme"',
        f"  {'':8} {'':17} {'':{len(clause)}}  action.payload.n = 7",
        "",
        "0 passed, 1 failed",
    ]


def test_results_can_be_had_as_json(folder: Path) -> None:
    cases("  - {name: good, expect: executed}\n  - {name: bad, expect: failed}\n", more=COMMON)
    done = run("cases.yaml", "--format", "json")
    assert done.exit_code == 1
    found: dict[str, Any] = json.loads(done.stdout)
    bad = found["cases"].pop()
    assert found == {
        "passed": 1,
        "failed": 1,
        "cases": [{"file": "cases.yaml", "line": FIRST, "name": "good", "passed": True}],
    }
    assert bad["failure"]["differences"] == [
        {"key": "outcome", "expected": "failed", "got": "executed"}
    ]
    assert [rule["rule"] for rule in bad["failure"]["explanation"]["rules"]][:2] == [
        "no-spam",
        "tried",
    ]


def test_cases_are_chosen_by_their_names(folder: Path) -> None:
    cases(
        "  - {name: A good one, expect: executed}\n  - {name: bad, expect: failed}\n", more=COMMON
    )
    assert run("cases.yaml", "-k", "GOOD").stdout == "1 passed\n"
    done = run("cases.yaml", "-k", "ugly")
    assert (done.exit_code, done.stderr) == (2, "error: no test case has 'ugly' in its name\n")


def test_cases_know_nothing_of_each_other(folder: Path) -> None:
    once = "  - {{name: {}, action: {{dedup_key: k}}, expect: executed}}\n"
    text = "".join(once.format(name) for name in "abc")
    assert all(each.passed for each in run_cases(cases(text, more=COMMON)))


def test_rules_may_be_in_files_of_their_own(folder: Path) -> None:
    (folder / "rules").mkdir()
    (folder / "rules" / "a.yaml").write_text(RULES)
    (folder / "rules" / "b.yml").write_text("rules: []")
    (folder / "rules" / "tests").mkdir()
    text = "cases:\n  - {name: x, action: {action_type: spam}, expect: suppressed}\n"
    for name, rules in {"one": "../a.yaml", "two": "[../a.yaml, ../b.yml]", "all": ".."}.items():
        (folder / "rules" / "tests" / f"{name}.yaml").write_text(f"rules: {rules}\n{text}")
    for each in ("rules", "rules/tests", "rules/tests/one.yaml"):
        assert run(each).stdout == ("1 passed\n" if each.endswith("yaml") else "3 passed\n")
    assert run("rules/a.yaml").stderr.startswith("error: rules/a.yaml:1:1: missing key `cases`")


def test_what_is_odd_about_the_rules_is_told_beside(folder: Path) -> None:
    rules = RULES.replace("    shadow: true\n", "    shadwo: true\n")
    cases("  - {name: x, expect: executed}\n", rules=rules, more=COMMON)
    done = run("cases.yaml")
    assert done.exit_code == 0
    assert done.stderr == (
        "warning: cases.yaml:8:5: rule 'tried': ignored key: `shadwo`; did you mean `shadow`?\n"
    )


def test_why_an_action_was_not_delivered_is_told(folder: Path) -> None:
    text = "  - {name: x, providers: {test: error}, expect: executed}\n"
    cases(text, rules=SMALL)
    assert run("cases.yaml").stdout.splitlines()[1:4] == [
        "  step 1: test by test at 2025-01-01T00:00:00Z",
        '    outcome: expected "executed", got "failed"',
        "    it failed: execution failed: as the test case says",
    ]


def test_a_configuration_tells_who_delivers_and_what_env_is(folder: Path) -> None:
    (folder / "acteon.toml").write_text(
        '[rules]\nenvironment = {region = "eu", stage = "a"}\n'
        '[[providers]]\nname = "email"\ntype = "log"\n'
    )
    rules = """\
rules:
  - name: away
    condition: {field: env.region, eq: eu}
    action: {type: reroute, target_provider: emial}
  - name: staged
    condition: {field: env.stage, eq: a}
    action: {type: deny}
"""
    common = "environment: {region: us}\naction: {provider: email}\n"
    cases("  - {name: x, expect: {rule: staged}}\n", rules=rules, more=common)
    done = run("cases.yaml", "-c", "acteon.toml")
    assert (done.exit_code, done.stdout) == (0, "1 passed\n")
    assert done.stderr == (
        "warning: cases.yaml:2: rule 'away': reroutes to provider 'emial', which is not "
        "configured; did you mean 'email'?\n"
    )
    assert run("cases.yaml").exit_code == 1
    before = ["-c", "acteon.toml", "rules", "test", "cases.yaml"]
    assert CliRunner().invoke(main, before).stdout == "1 passed\n"
    cases("  - {name: x, expect: {rule: null, provider: test}}\n", rules=SMALL)
    assert run("cases.yaml", "-c", "acteon.toml").stdout == "1 passed\n"


async def test_async_programs_run_cases_in_a_thread(folder: Path) -> None:
    file = cases("  - {name: x, expect: executed}\n", more=COMMON)
    (result,) = await anyio.to_thread.run_sync(run_cases, file)
    assert result.passed


MISTAKES = [
    (
        "  - {name: x, expct: executed}\n",
        ["12:15: cases[0]: unknown key `expct`; did you mean `expect`?"],
    ),
    (
        "  - {name: x, expect: exectued}\n",
        ["12:23: cases[0].expect: there is no outcome `exectued`; did you mean 'executed'?"],
    ),
    (
        "  - {name: x, expect: {outcom: executed}}\n",
        ["12:24: cases[0].expect: unknown key `outcom`; did you mean `outcome`?"],
    ),
    (
        "  - {name: x, expect: {verdict: forbid}}\n",
        [
            "12:33: cases[0].expect.verdict: there is no verdict `forbid`; write one of allow, "
            "deny, suppress, deduplicate, reroute, throttle, modify"
        ],
    ),
    (
        "  - {name: x, expect: {rule: aa}}\n",
        ["12:30: cases[0].expect.rule: there is no rule 'aa'; did you mean 'a'?"],
    ),
    (
        "  - {name: x, expect: {retry_after: 60}}\n",
        [
            "12:37: cases[0].expect.retry_after: wanted a duration, such as 90s, 10m or 1h30m, "
            "found the number 60; write 60s"
        ],
    ),
    (
        "  - {name: x, action: {acton_type: a}, expect: executed}\n",
        [
            "12:24: cases[0].action: actions have no member `acton_type`; "
            "did you mean `action_type`?"
        ],
    ),
    (
        "  - {name: x, action: {tenant: 5}, expect: executed}\n",
        ["12:23: cases[0].action: is no action: Expected `str`, got `int` at `tenant`"],
    ),
    (
        "  - {name: x, providers: {email: down}, expect: executed}\n",
        [
            "12:34: cases[0].providers.email: wanted one of success, failure, error, unknown, "
            "found `down`"
        ],
    ),
    (
        "  - {name: x, providers: [email], expect: executed}\n",
        [
            "12:26: cases[0].providers: wanted a map, such as {email: failure}, found a list; "
            "the list of all providers goes to the top"
        ],
    ),
    (
        "  - {name: x, now: yesterday, expect: executed}\n",
        [
            "12:20: cases[0].now: 'yesterday' is no timestamp; write it like "
            "2025-01-31T13:30:00Z, with its zone"
        ],
    ),
    (
        "  - name: x\n    steps:\n      - {at: 2024-01-01T00:00:00Z, expect: executed}\n",
        ["14:14: cases[0].steps[0].at: time does not go back: it is 2025-01-01T00:00:00Z before"],
    ),
    (
        "  - {name: x, repeat: 0, expect: executed}\n",
        ["12:23: cases[0].repeat: wanted a whole number from 1 to 100000, found the number 0"],
    ),
    (
        "  - {name: x, repeat: 2, steps: [{expect: executed}]}\n",
        ["12:23: cases[0].repeat: `repeat` goes into one of the steps"],
    ),
    (
        "  - {name: x, steps: [{action: {}}]}\n",
        ["12:5: cases[0]: missing key `expect`: nothing in this case can fail"],
    ),
    (
        "  - {expect: executed}\n",
        ["12:5: cases[0]: missing key `name`: what the case shows"],
    ),
    ("  x: 1\n", ["12:3: cases: wanted a list of cases, found a map"]),
    ("  []\n", ["12:3: cases: there are no cases, so nothing is tested"]),
    (
        "  - {name: x, steps: []}\n",
        ["12:22: cases[0].steps: there are no steps, so nothing is tested"],
    ),
    (
        "  - {name: x, expect: executed}\n  - {name: x, expect: failed}\n",
        ["13:12: cases[1].name: the case at line 12 has this name; rename one of them"],
    ),
    (
        "  - {name: x, action: {provider: email}, expect: {provider: emial}}\n",
        ["12:50: cases[0].expect.provider: there is no provider 'emial'; did you mean 'email'?"],
    ),
    (
        "  - {name: x, expect: {provider: pager}}\n",
        ["12:23: cases[0].expect.provider: there is no provider 'pager'; there are: test"],
    ),
    (
        "  - {name: x, providers: {tset: error}, expect: failed}\n",
        ["12:26: cases[0].providers: there is no provider 'tset'; did you mean 'test'?"],
    ),
    (
        "  - {name: x, after: 5m, at: 2025-01-01T00:00:00Z, expect: executed}\n",
        ["12:22: cases[0].after: write `at` or `after`, not both"],
    ),
]
SMALL = """\
# Two rules that are of no use.

rules:
  - name: a
    condition: {field: action.tenant, eq: a}
    action: {type: deny}
  - name: b
    condition: {field: action.tenant, eq: b}
    action: {type: deny}

"""


@pytest.mark.parametrize(("text", "lines"), MISTAKES, ids=[each.strip() for each, _ in MISTAKES])
def test_each_mistake_is_told_with_its_place(text: str, lines: list[str], folder: Path) -> None:
    assert told(text, rules=SMALL) == [f"cases.yaml:{line}" for line in lines]


def test_a_mistake_in_a_rule_has_its_place_in_the_file_of_the_cases(folder: Path) -> None:
    rules = SMALL.replace("type: deny", "type: denny", 1)
    (line,) = told("  - {name: x, expect: executed}\n", rules=rules)
    assert line.startswith("cases.yaml:6:20: rule 'a': action.type: unknown action type `denny`")


@pytest.mark.parametrize(
    ("rules", "line"),
    [
        ("", "1:1: missing key `rules`: the path of a rule file, or the rules themselves"),
        ("rules: other.yaml\n", "1:8: rules: there is no file or directory other.yaml"),
        (
            "rules: []\nversion: 2\n",
            "2:10: version: goes with rules that are written here; files of rules have their own",
        ),
        (
            "rules: {}\n",
            "1:8: rules: wanted the path of a rule file, or a list of rules, found a map",
        ),
    ],
)
def test_rules_that_cannot_be_had_are_told(rules: str, line: str, folder: Path) -> None:
    assert told("  - {name: x, expect: executed}\n", rules=rules) == [f"cases.yaml:{line}"]


@pytest.mark.parametrize(
    ("content", "line"),
    [
        (b"", "cases.yaml: the file is empty"),
        (b"a: [", "cases.yaml:1:5: "),
        (b"\xff", "cases.yaml: is no UTF-8 text; save it as UTF-8"),
        (
            b"{rules: [{name: x}], cases: []}",
            "cases.yaml:1:9: rules: write each key of the file on a line of its own",
        ),
    ],
)
def test_a_file_that_holds_no_cases_is_told(content: bytes, line: str, folder: Path) -> None:
    (folder / "cases.yaml").write_bytes(content)
    done = run("cases.yaml")
    assert done.exit_code == 2
    assert done.stderr.startswith(f"error: {line}")


def test_a_folder_without_cases_and_a_missing_file_are_told(folder: Path) -> None:
    (folder / "rules.yaml").write_text(SMALL)
    done = run(".", "missing.yaml")
    assert done.exit_code == 2
    assert done.stderr.splitlines() == [
        "error: .: there are no test cases; their files have the key `cases`",
        "error: missing.yaml: there is no such file",
    ]


def test_a_file_of_cases_that_lacks_them_is_not_taken_for_rules(folder: Path) -> None:
    (folder / "rules.yaml").write_text(SMALL)
    for rules in ("rules.yaml", "[rules.yaml]"):
        (folder / "cases.yaml").write_text(f"rules: {rules}\n")
        done = run(".")
        assert done.exit_code == 2
        assert done.stderr.startswith("error: cases.yaml:1:1: missing key `cases`")


def test_problems_of_all_files_are_told_at_once(folder: Path) -> None:
    cases("  - {name: x, expect: a}\n", rules=SMALL)
    (folder / "more.yaml").write_text("cases: [{name: x, expect: executed}]\n")
    with pytest.raises(ConfigError) as caught:
        run_cases(Path())
    assert str(caught.value).splitlines() == [
        "cases.yaml:12:23: cases[0].expect: there is no outcome `a`; write one of executed, "
        "suppressed, deduplicated, rerouted, throttled, failed, error",
        "more.yaml:1:1: missing key `rules`: the path of a rule file, or the rules themselves",
    ]


def test_the_cookbook_does_what_it_says() -> None:
    results = run_cases(EXAMPLES)
    assert [str(each) for each in results if not each.passed] == []
    tested = {Path(each.file).stem for each in results}
    assert tested == {each.stem for each in EXAMPLES.iterdir() if each.is_file()}


def test_nothing_is_odd_about_the_cookbook() -> None:
    for file in EXAMPLES.iterdir():
        if file.is_dir():
            continue
        assert [str(each) for each in check_rules(RuleSource(path=file)).findings] == []


WHOLE = f"{RULES}{COMMON}cases:\n{PASSING}"
PIECES = st.sampled_from(["", *"[]{}:\n\r1\0", "- ", "  ", "null", "&a ", "*a", "? ", "--- "])


@given(st.integers(0, len(WHOLE)), st.integers(0, 12), PIECES | st.text(max_size=5))
@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_is_in_a_file_it_holds_cases_or_is_told_about(
    tmp_path: Path, start: int, length: int, piece: str
) -> None:
    file = tmp_path / "cases.yaml"
    text = WHOLE[:start] + piece + WHOLE[start + length :]
    file.write_bytes(text.encode("utf-8", "surrogatepass"))
    told: list[str] = []
    cases: tuple[Case, ...] = ()
    try:
        cases = read_case_file(file, Surroundings()).cases
    except ConfigError as error:
        told = str(error).split("\n")
    assert all(line.startswith(str(file)) for line in told)
    assert all(case.steps for case in cases)


@given(st.timedeltas(min_value=timedelta(0), max_value=timedelta(days=900_000)))
def test_durations_are_read_as_they_are_shown(duration: timedelta) -> None:
    whole = duration - duration % timedelta(milliseconds=1)
    assert parse_duration(show_duration(duration)) == whole
