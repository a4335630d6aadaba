"""The pytest plugin, in runs of pytest of its own."""

import subprocess
import sys

import pytest

pytest_plugins = ["pytester"]

RULES = '''
RULES = """
rules:
  - name: once
    condition: {field: action.action_type, eq: notify}
    action: {type: deduplicate, ttl_seconds: 60}
"""
'''
BEGINNING = f"""
import pytest
from acteon.simulation import Action
{RULES}
def action(**members):
    return Action("ns", "t", "email", "notify", {{}}, **members)
"""


@pytest.fixture
def run(pytester: pytest.Pytester) -> "Run":
    return Run(pytester)


class Run:
    """Runs tests whose text is given, strictly."""

    def __init__(self, pytester: pytest.Pytester) -> None:
        self.pytester = pytester

    def __call__(self, text: str, *arguments: str) -> pytest.RunResult:
        self.pytester.makepyfile(BEGINNING + text)
        strict = ("--strict-markers", "--strict-config", "-p", "no:cacheprovider", "-W", "error")
        return self.pytester.runpytest_inprocess(*strict, *arguments)


SWITCHED = """
@pytest.mark.acteon(rules=RULES, providers=["email"])
def test_once(acteon_harness, acteon_audit):
    one = action(dedup_key="k")
    acteon_harness.dispatch(one).assert_executed()
    acteon_harness.dispatch(one).assert_deduplicated()
    acteon_audit.assert_audited(one, outcome="deduplicated")
    print("mode:", acteon_harness.config.mode)

class TestMore:
    @pytest.mark.acteon(mode="embedded", providers=["email"])
    def test_its_own(self, acteon_harness):
        print("own:", acteon_harness.config.mode)
"""


@pytest.mark.parametrize("mode", ["embedded", "http", "process"])
def test_the_same_tests_run_wherever_a_switch_says(run: Run, mode: str) -> None:
    ended = run(SWITCHED, "-s", f"--acteon-mode={mode}")

    ended.assert_outcomes(passed=2)
    assert f"mode: {mode}" in ended.stdout.str()
    assert "own: embedded" in ended.stdout.str()


def test_markers_add_up_and_the_nearest_decides(run: Run) -> None:
    ended = run("""
pytestmark = pytest.mark.acteon(rules=RULES, providers=["email", "sms"], nodes=2)

@pytest.mark.acteon(nodes=3, providers=["email"])
def test_it(acteon_harness, acteon_simulation):
    assert (acteon_harness.node_count, list(acteon_harness.providers)) == (3, ["email"])
    assert acteon_harness.config.rules == (RULES,)
    other = acteon_simulation(nodes=1)
    assert (other.node_count, list(other.providers)) == (1, ["email"])
""")
    ended.assert_outcomes(passed=1)


def test_a_server_and_a_client(run: Run) -> None:
    ended = run("""
import asyncio
from acteon.client import AsyncActeonClient

@pytest.mark.acteon(rules=RULES, providers=["email"])
def test_it(acteon_client, acteon_server):
    assert acteon_client.base_url == acteon_server
    assert acteon_client.dispatch(action()).is_executed()
    assert acteon_client.get_audit_record("none") is None

@pytest.mark.acteon(providers=["email"])
def test_awaited(acteon_server):
    async def ask():
        async with AsyncActeonClient(acteon_server) as client:
            return await client.dispatch(action())
    assert asyncio.run(ask()).is_executed()

@pytest.mark.acteon(mode="http", providers=["email"])
def test_of_the_harness(acteon_client, acteon_harness):
    acteon_client.dispatch(action())
    acteon_harness.provider("email").assert_called(1)
""")
    ended.assert_outcomes(passed=3)


def test_a_clock_that_is_asked_for_is_the_simulations(run: Run) -> None:
    ended = run("""
@pytest.mark.acteon(rules=RULES, providers=["email"])
def test_it(acteon_harness, acteon_clock):
    one = action(dedup_key="k")
    acteon_harness.dispatch(one).assert_executed()
    acteon_harness.advance(61)
    acteon_harness.dispatch(one).assert_executed()
    assert acteon_harness.config.clock is acteon_clock
""")
    ended.assert_outcomes(passed=1)


def test_a_test_with_an_event_loop_takes_the_configuration(run: Run) -> None:
    ended = run("""
import anyio
from acteon.simulation import SimulationHarness

pytestmark = pytest.mark.anyio

@pytest.fixture
def anyio_backend():
    return "asyncio"

@pytest.mark.acteon(rules=RULES, providers=["email"])
async def test_it(acteon_config):
    async with SimulationHarness(acteon_config) as harness:
        (await harness.dispatch(action())).assert_executed()

@pytest.mark.acteon(rules=RULES, providers=["email"])
async def test_sync_works_as_well(acteon_harness):
    acteon_harness.dispatch(action()).assert_executed()
""")
    ended.assert_outcomes(passed=2)


def test_what_differs_is_shown_member_by_member(run: Run) -> None:
    ended = run("""
from acteon.core import Executed, Failed, Suppressed

@pytest.mark.acteon(providers=["email"])
def test_outcomes(acteon_harness):
    failed = acteon_harness.dispatch(Action("ns", "t", "pager", "x", {}))
    assert failed == Failed(code="TIMEOUT", message="late", retryable=False, attempts=1)

@pytest.mark.acteon(providers=["email"])
def test_kinds(acteon_harness):
    assert acteon_harness.dispatch(action()) == Suppressed("spam")

@pytest.mark.acteon(providers=["email"])
def test_records(acteon_harness):
    one, other = action(), action()
    for each in (one, other):
        acteon_harness.dispatch(each)
    first, second = acteon_harness.audit.of(one)[0], acteon_harness.audit.of(other)[0]
    assert first == second
""")
    ended.assert_outcomes(failed=3)
    lines = [line.removeprefix("E").strip() for line in ended.outlines]
    assert "AssertionError: assert two of Failed that differ:" in lines
    assert "code: 'PROVIDER_NOT_FOUND' != 'TIMEOUT'" in lines
    assert "attempts: 0 != 1" in lines
    assert not any("retryable" in line and "!=" in line for line in lines)
    assert "expected Suppressed(rule='spam')" in lines
    assert any(line.startswith("action_id: '") and "' != '" in line for line in lines)


REQUIRING = """
@pytest.mark.requires_backend("redis")
def test_it(acteon_backends):
    assert acteon_backends.has("redis")
"""


def test_what_needs_a_store_that_is_not_there_is_skipped(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("ACTEON_TEST_REDIS_URL", "REDIS_URL", "ACTEON_TEST_REQUIRE"):
        monkeypatch.delenv(name, raising=False)
    ended = run(REQUIRING, "-rs")
    ended.assert_outcomes(skipped=1)
    assert "Redis not available" in ended.stdout.str()


def test_and_fails_where_stores_are_required(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REDIS_URL", "redis://127.0.0.1:1")
    ended = run(REQUIRING, "--acteon-require-backends=redis")
    ended.assert_outcomes(errors=1)
    assert "Redis not available" in ended.stdout.str()


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (
            '@pytest.mark.acteon(["email"])\ndef test_it(acteon_harness): ...',
            "takes members of SimulationConfig by name",
        ),
        (
            "@pytest.mark.acteon(provider=1)\ndef test_it(acteon_harness): ...",
            "unexpected keyword argument 'provider'",
        ),
        (
            '@pytest.mark.acteon(state="moon://x")\ndef test_it(acteon_harness): ...',
            "no store is reached by moon://",
        ),
    ],
)
def test_a_marker_that_cannot_be_used(run: Run, text: str, shown: str) -> None:
    ended = run(text)
    ended.assert_outcomes(errors=1)
    assert shown in ended.stdout.str()


def test_a_simulation_ends_with_a_test_that_fails(run: Run) -> None:
    ended = run("""
kept = []

def test_fails(acteon_simulation):
    kept.append(acteon_simulation(mode="http"))
    assert kept[0].client().health()
    assert False

def test_after():
    assert kept[0].nodes[0].url is None
""")
    ended.assert_outcomes(passed=1, failed=1)


def test_those_that_do_not_use_it_pay_nothing_for_it() -> None:
    program = (
        "import sys, acteon.simulation.pytest_plugin\n"
        "ours = {name for name in sys.modules if name.startswith('acteon.')}\n"
        "assert ours == {'acteon.simulation', 'acteon.simulation.pytest_plugin'}, ours\n"
        "assert not {'aiohttp', 'attrs', 'msgspec'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=30)
