"""Loading, replacing and switching rules."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import pytest
from attrs import define

from acteon.core import ConfigError, Executed, ManualClock, Suppressed
from acteon.gateway import Gateway, RuleNotFoundError, RulesNotLoadedError
from acteon.gateway.loading import read_rule_files
from acteon.gateway.testing import OpenGateway, ScriptedProvider, make_action, until
from acteon.gateway.toggles import KEY
from acteon.state import StateBackend, StateKey, StateStore, Taken

SECOND = timedelta(seconds=1)


def rules(*names: str, enabled: bool = True) -> str:
    lines = [
        f"  - {{name: {name}, enabled: {str(enabled).lower()}, condition: {{all: []}},"
        " action: {type: suppress}}\n"
        for name in names
    ]
    return "rules:\n" + "".join(lines)


def names(gateway: Gateway) -> list[str]:
    return [rule.name for rule in gateway.rules]


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    path = tmp_path / "mine"
    path.mkdir()
    return path


async def test_files_are_read_in_the_order_of_their_names(
    open_gateway: OpenGateway, directory: Path
) -> None:
    for name in "cab":
        (directory / f"{name}.yml").write_text(rules(name))
    (directory / ".hidden.yaml").write_text(rules("hidden"))
    (directory / "notes.txt").write_text("no rules")
    (directory / "upper.YAML").write_text("no rules either")
    (directory / "folder.yaml").mkdir()
    async with open_gateway(rules_directory=directory) as gateway:
        assert names(gateway) == ["hidden", "a", "b", "c"]


async def test_a_missing_directory_is_only_a_warning(
    open_gateway: OpenGateway, directory: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with open_gateway(rules_directory=directory / "gone") as gateway:
        assert names(gateway) == []
        assert "no rules are in force" in str((await gateway.check_ready())["rules"])
        (directory / "gone").mkdir()
        (directory / "gone" / "a.yaml").write_text(rules("a"))
        await gateway.reload_rules()
        assert (await gateway.check_ready())["rules"] is None
    assert "no such directory" in caplog.text


async def test_a_bad_file_keeps_the_gateway_from_starting(
    open_gateway: OpenGateway, directory: Path
) -> None:
    (directory / "bad.yaml").write_text("rules: {")
    with pytest.raises(ConfigError, match=r"bad\.yaml:1:9: while parsing a flow"):
        async with open_gateway(rules_directory=directory):
            pass


def test_rule_files_without_their_frontend_are_never_passed_over(directory: Path) -> None:
    (directory / "some.cel").write_text("rules: []")
    files = read_rule_files(directory, {"yaml", "yml"})
    with pytest.raises(ConfigError, match=r"some\.cel.*pip install acteon-rules-cel"):
        files.parse(strict=False)


async def test_a_reload_replaces_all_rules(open_gateway: OpenGateway, directory: Path) -> None:
    (directory / "a.yaml").write_text(rules("a"))
    async with open_gateway(rules_directory=directory) as gateway:
        assert await gateway.dispatch(make_action()) == Suppressed("a")
        (directory / "a.yaml").write_text(rules("b", "c"))
        reloaded = await gateway.reload_rules()
        assert (reloaded.count, reloaded.directory) == (2, directory)
        assert await gateway.dispatch(make_action()) == Suppressed("b")


async def test_a_reload_says_what_is_odd_about_its_rules(
    open_gateway: OpenGateway, directory: Path
) -> None:
    async with open_gateway(rules_directory=directory) as gateway:
        (directory / "a.yaml").write_text(
            "rules:\n  - {name: far, condition: {all: []}, prio: 1,"
            " action: {type: reroute, target_provider: ghost}}\n"
        )
        warnings = (await gateway.reload_rules()).warnings

    assert any("prio" in warning for warning in warnings)
    assert any("'ghost', which is not configured" in warning for warning in warnings)
    assert all("a.yaml:2" in warning for warning in warnings)


async def test_strictness_makes_what_is_odd_about_files_an_error(
    open_gateway: OpenGateway, directory: Path
) -> None:
    (directory / "a.yaml").write_text(rules("a"))
    async with open_gateway(rules_directory=directory, strict_rules=True) as gateway:
        (directory / "a.yaml").write_text(rules("b").replace("{name", "{prio: 1, name"))
        with pytest.raises(RulesNotLoadedError, match="ignored key: `prio`"):
            await gateway.reload_rules()
        assert await gateway.dispatch(make_action()) == Suppressed("a")


async def test_nine_computed_keys_of_state_are_no_error(open_gateway: OpenGateway) -> None:
    keyed = "".join(
        f'  - {{name: r{n}, condition: {{state_counter: "k{n}-{{{{ action.tenant }}}}", gt: 5}},'
        " action: {type: deny}}\n"
        for n in range(12)
    )
    async with open_gateway(f"version: 2\nrules:\n{keyed}") as gateway:
        assert isinstance(await gateway.dispatch(make_action()), Executed)


async def test_a_reload_with_any_bad_file_changes_nothing_and_names_all_of_them(
    open_gateway: OpenGateway, directory: Path
) -> None:
    (directory / "a.yaml").write_text(rules("a"))
    async with open_gateway(rules_directory=directory) as gateway:
        (directory / "a.yaml").write_text(rules("z"))
        (directory / "b.yaml").write_text("rules: [{name: x}]")
        (directory / "c.yaml").write_bytes(b"\xff")
        with pytest.raises(RulesNotLoadedError) as caught:
            await gateway.reload_rules()
        assert await gateway.dispatch(make_action()) == Suppressed("a")

    assert str(caught.value).startswith("configuration error: parse error: ")
    assert "b.yaml" in str(caught.value)
    assert "c.yaml" in str(caught.value)


async def test_a_dispatch_keeps_the_rules_that_it_began_with(
    open_gateway: OpenGateway, directory: Path, email: ScriptedProvider
) -> None:
    email.gate.clear()
    async with (
        open_gateway(rules_directory=directory) as gateway,
        asyncio.TaskGroup() as group,
    ):
        task = group.create_task(gateway.dispatch(make_action()))
        await email.called()
        (directory / "a.yaml").write_text(rules("a"))
        await gateway.reload_rules()
        assert await gateway.dispatch(make_action()) == Suppressed("a")
        email.gate.set()

    assert isinstance(task.result(), Executed)


async def test_without_a_directory_there_is_nothing_to_reload(open_gateway: OpenGateway) -> None:
    async with open_gateway() as gateway:
        with pytest.raises(RulesNotLoadedError, match="no directory"):
            await gateway.reload_rules()


async def test_a_switched_rule_stays_switched_over_reloads(
    open_gateway: OpenGateway, directory: Path
) -> None:
    (directory / "a.yaml").write_text(rules("a"))
    async with open_gateway(rules_directory=directory) as gateway:
        await gateway.set_rule_enabled("a", enabled=False)
        assert isinstance(await gateway.dispatch(make_action()), Executed)
        await gateway.reload_rules()
        assert [rule.enabled for rule in gateway.rules] == [False]
        await gateway.set_rule_enabled("a", enabled=True)
        assert await gateway.dispatch(make_action()) == Suppressed("a")


async def test_of_equal_names_the_first_is_switched(
    open_gateway: OpenGateway, directory: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    (directory / "a.yaml").write_text(rules("a", "a"))
    async with open_gateway(rules_directory=directory) as gateway:
        await gateway.set_rule_enabled("a", enabled=False)
        assert [rule.enabled for rule in gateway.rules] == [False, True]
        assert switched(caplog) == [("a rule was switched off", "a")]


def switched(caplog: pytest.LogCaptureFixture) -> list[tuple[str, str]]:
    return [
        (record.message, vars(record)["acteon.rule"])
        for record in caplog.records
        if "switched" in record.message
    ]


async def test_an_unknown_rule_cannot_be_switched(open_gateway: OpenGateway) -> None:
    async with open_gateway() as gateway:
        with pytest.raises(RuleNotFoundError, match=r"^rule not found: ghost$"):
            await gateway.set_rule_enabled("ghost", enabled=True)


@asynccontextmanager
async def _two(
    open_gateway: OpenGateway, directory: Path
) -> AsyncGenerator[tuple[Gateway, Gateway]]:
    async with (
        open_gateway(rules_directory=directory) as one,
        open_gateway(rules_directory=directory) as other,
    ):
        yield one, other


async def test_others_follow_a_switch_and_a_reload_within_a_second(
    open_gateway: OpenGateway,
    directory: Path,
    clock: ManualClock,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("INFO")
    (directory / "a.yaml").write_text(rules("a"))
    async with _two(open_gateway, directory) as (one, other):
        await one.set_rule_enabled("a", enabled=False)
        await clock.advance(1.1 * SECOND)
        await until(lambda: not other.rules[0].enabled)
        assert switched(caplog) == [("a rule was switched off", "a")] * 2

        (directory / "a.yaml").write_text(rules("b"))
        await one.reload_rules()
        assert names(other) == ["a"]
        await clock.advance(1.1 * SECOND)
        await until(lambda: names(other) == ["b"], clock, SECOND)


async def test_a_reload_that_finds_a_bad_file_elsewhere_is_tried_again(
    open_gateway: OpenGateway, directory: Path, tmp_path: Path, clock: ManualClock
) -> None:
    other_directory = tmp_path / "other"
    other_directory.mkdir()
    for folder in (directory, other_directory):
        (folder / "a.yaml").write_text(rules("a"))
    async with (
        open_gateway(rules_directory=directory) as one,
        open_gateway(rules_directory=other_directory) as other,
    ):
        (other_directory / "a.yaml").write_text("rules: [{na")
        await one.reload_rules()
        await clock.advance(1.1 * SECOND)
        await until(lambda: True)
        assert names(other) == ["a"]
        (other_directory / "a.yaml").write_text(rules("b"))
        await until(lambda: names(other) == ["b"], clock, SECOND)


async def test_a_store_that_breaks_in_a_new_way_does_not_end_the_following(
    open_gateway: OpenGateway, directory: Path, state: StateBackend, clock: ManualClock
) -> None:
    (directory / "a.yaml").write_text(rules("a"))
    flaky = Flaky(state.store)
    broken = StateBackend(flaky, state.locks, state.dispatch)
    async with open_gateway(rules_directory=directory, state=broken) as gateway:
        flaky.failing = ConnectionResetError("not one of ours")
        await clock.advance(3 * SECOND)
        flaky.failing = None
        async with open_gateway(rules_directory=directory) as other:
            await other.set_rule_enabled("a", enabled=False)
            await clock.advance(1.1 * SECOND)
            await until(lambda: not gateway.rules[0].enabled)


@define(eq=False)
class Flaky(StateStore):
    """A store that fails in ways that it must not, and counts what it is asked."""

    inner: StateStore
    failing: Exception | None = None
    asked: int = 0

    async def get(self, key: StateKey) -> str | None:
        self.asked += 1
        if self.failing is not None:
            raise self.failing
        return await self.inner.get(key)

    async def set(self, key: StateKey, value: str, *, ttl: timedelta | None) -> None:
        await self.inner.set(key, value, ttl=ttl)

    async def check_and_set(self, key: StateKey, value: str, *, ttl: timedelta | None) -> bool:
        return await self.inner.check_and_set(key, value, ttl=ttl)

    async def delete(self, key: StateKey) -> bool:
        return await self.inner.delete(key)

    async def increment(self, key: StateKey, delta: int = 1, *, ttl: timedelta | None) -> int:
        return await self.inner.increment(key, delta, ttl=ttl)

    async def compare_and_swap(
        self, key: StateKey, expected: str | None, new: str | None, *, ttl: timedelta | None
    ) -> bool:
        return await self.inner.compare_and_swap(key, expected, new, ttl=ttl)

    async def take(self, key: StateKey, limit: int, window: timedelta, amount: int = 1) -> Taken:
        return await self.inner.take(key, limit, window, amount)


@pytest.mark.parametrize(
    "text", ["no json", "[]", '{"enabled":{},"generation":1e999}', '{"enabled":[]}', "[" * 9999]
)
async def test_an_entry_that_is_none_of_ours_says_nothing(
    open_gateway: OpenGateway, directory: Path, state: StateBackend, text: str
) -> None:
    (directory / "a.yaml").write_text(rules("a"))
    await state.store.set(KEY, text, ttl=None)
    async with open_gateway(rules_directory=directory) as gateway:
        await gateway.set_rule_enabled("a", enabled=False)
        assert [rule.enabled for rule in gateway.rules] == [False]


async def test_a_reload_from_elsewhere_is_for_one_gateway_alone(
    open_gateway: OpenGateway, directory: Path, tmp_path: Path, clock: ManualClock
) -> None:
    (directory / "a.yaml").write_text(rules("a"))
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "b.yaml").write_text(rules("b"))
    async with _two(open_gateway, directory) as (one, other):
        await one.reload_rules(elsewhere)
        await clock.advance(5 * SECOND)
        assert (names(one), names(other)) == (["b"], ["a"])


async def test_a_gateway_that_starts_later_takes_the_switches_over(
    open_gateway: OpenGateway, directory: Path
) -> None:
    (directory / "a.yaml").write_text(rules("a"))
    async with open_gateway(rules_directory=directory) as gateway:
        await gateway.set_rule_enabled("a", enabled=False)
    async with open_gateway(rules_directory=directory) as gateway:
        assert [rule.enabled for rule in gateway.rules] == [False]


async def test_switches_at_the_same_time_are_all_kept(
    open_gateway: OpenGateway, directory: Path, state: StateBackend
) -> None:
    many = [f"r{number}" for number in range(20)]
    (directory / "a.yaml").write_text(rules(*many))
    async with _two(open_gateway, directory) as (one, other), asyncio.TaskGroup() as group:
        for number, name in enumerate(many):
            gateway = one if number % 2 else other
            group.create_task(gateway.set_rule_enabled(name, enabled=False))
    async with open_gateway(rules_directory=directory) as gateway:
        assert not any(rule.enabled for rule in gateway.rules)


async def test_a_switched_rule_that_vanishes_and_comes_back_is_switched_still(
    open_gateway: OpenGateway, directory: Path, clock: ManualClock
) -> None:
    (directory / "a.yaml").write_text(rules("a", "b"))
    async with _two(open_gateway, directory) as (one, other):
        await one.set_rule_enabled("a", enabled=False)
        (directory / "a.yaml").write_text(rules("b"))
        await one.reload_rules()
        await until(lambda: names(other) == ["b"], clock, SECOND)
        with pytest.raises(RuleNotFoundError):
            await other.set_rule_enabled("a", enabled=True)

        (directory / "a.yaml").write_text(rules("a", "b"))
        await other.reload_rules()
        await until(lambda: names(one) == ["a", "b"], clock, SECOND)
        for gateway in (one, other):
            assert [rule.enabled for rule in gateway.rules] == [False, True]
        assert one.rules_version == other.rules_version


async def test_what_others_told_to_reload_is_tried_and_told_once_for_each_content(
    open_gateway: OpenGateway,
    directory: Path,
    tmp_path: Path,
    clock: ManualClock,
    caplog: pytest.LogCaptureFixture,
    state: StateBackend,
) -> None:
    counting = Flaky(state.store)
    other_directory = tmp_path / "other"
    other_directory.mkdir()
    for folder in (directory, other_directory):
        (folder / "a.yaml").write_text(rules("a"))
    async with (
        open_gateway(rules_directory=directory) as one,
        open_gateway(
            rules_directory=other_directory,
            state=StateBackend(counting, state.locks, state.dispatch),
        ) as other,
    ):
        (other_directory / "a.yaml").write_text("rules: [{na")
        await one.reload_rules()
        await until(lambda: other.metrics.rule_load_failures == 1, clock, SECOND)
        asked = counting.asked
        await until(lambda: counting.asked == asked + 5, clock, SECOND)
        assert other.metrics.rule_load_failures == 1
        assert other.rules_stale
        assert caplog.text.count("could not be followed") == 1
        (other_directory / "a.yaml").write_bytes(b"\xff")
        await until(lambda: other.metrics.rule_load_failures == 2, clock, SECOND)


async def test_a_reload_and_a_switch_at_the_same_time_are_both_kept(
    open_gateway: OpenGateway, directory: Path
) -> None:
    (directory / "a.yaml").write_text(rules("a", "b"))
    async with open_gateway(rules_directory=directory) as gateway:
        (directory / "a.yaml").write_text(rules("a", "b", "c"))
        async with asyncio.TaskGroup() as group:
            group.create_task(gateway.reload_rules())
            group.create_task(gateway.set_rule_enabled("a", enabled=False))
            group.create_task(gateway.reload_rules())
            group.create_task(gateway.set_rule_enabled("b", enabled=False))
        assert [rule.enabled for rule in gateway.rules] == [False, False, True]


async def test_a_reload_that_is_cancelled_leaves_all_as_it_was_or_as_it_is_to_be(
    open_gateway: OpenGateway, directory: Path
) -> None:
    (directory / "a.yaml").write_text(rules("a"))
    async with open_gateway(rules_directory=directory) as gateway:
        (directory / "a.yaml").write_text(rules(*(f"r{number}" for number in range(200))))
        for turns in range(20):
            task = asyncio.create_task(gateway.reload_rules())
            for _ in range(turns):
                await asyncio.sleep(0)
            task.cancel()
            await asyncio.wait([task])
            assert len(gateway.rules) in (1, 200)
        assert (await gateway.reload_rules()).count == 200
