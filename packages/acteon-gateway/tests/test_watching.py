"""Rule files that are put in force when they change."""

import asyncio
import logging
import os
import resource
import shutil
from collections.abc import Callable, Generator
from contextlib import AbstractAsyncContextManager, aclosing, contextmanager
from datetime import timedelta
from pathlib import Path

import pytest

from acteon.core import ConfigError, ManualClock, Suppressed
from acteon.gateway import Gateway, GatewayMetrics, GatewaySettings, SyncGateway
from acteon.gateway.compiling import RuleCompiler
from acteon.gateway.outage import Outage
from acteon.gateway.rulebook import Rulebook
from acteon.gateway.testing import LIMIT, OpenGateway, make_action, until
from acteon.gateway.watching import watch
from acteon.provider import ProviderRegistry
from acteon.state import StateBackend
from acteon.state_memory import memory_backend

SECOND = timedelta(seconds=1)
SOON = timedelta(milliseconds=100)
"""Looks that often find what no event tells."""
NEVER = timedelta(hours=1)
"""Only what events tell is found."""


def rules(*names: str) -> str:
    lines = [
        f"  - {{name: {name}, condition: {{all: []}}, action: {{type: suppress}}}}\n"
        for name in names
    ]
    return "rules:\n" + "".join(lines)


def write(file: Path, text: str) -> None:
    """Put `text` into `file` at once: nobody reads a part of it."""
    file.parent.mkdir(parents=True, exist_ok=True)
    new = file.with_name("new")
    new.write_text(text)
    new.rename(file)


def names(gateway: Gateway | Rulebook) -> list[str]:
    known = gateway.rules if isinstance(gateway, Gateway) else gateway.current.rules
    return [rule.name for rule in known]


def errors(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [
        str(record.__dict__["acteon.problem"])
        for record in caplog.records
        if record.levelno == logging.ERROR
    ]


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    path = tmp_path / "watched"
    write(path / "a.yaml", rules("a"))
    return path


@pytest.fixture
def state(clock: ManualClock) -> StateBackend:
    return memory_backend(clock)


Watched = Callable[[timedelta], AbstractAsyncContextManager[Gateway]]


@pytest.fixture
def watched(open_gateway: OpenGateway, directory: Path) -> Watched:
    """Give what opens a gateway that watches `directory`."""
    return lambda look: open_gateway(
        rules_directory=directory, watch_rules=True, settings=GatewaySettings(look=look)
    )


async def is_armed(gateway: Gateway, directory: Path) -> None:
    """Return when events of `directory` reach `gateway`, which has the rule `armed` then."""
    async with asyncio.timeout(LIMIT):
        for spaces in range(1000):
            # Each time it is another content, until one is noticed.
            write(directory / "a.yaml", rules("armed") + " " * spaces)
            for _ in range(10):
                if "armed" in names(gateway):
                    return
                await asyncio.sleep(0.05)


async def test_a_change_is_in_force_at_once(watched: Watched, directory: Path) -> None:
    async with watched(NEVER) as gateway:
        assert names(gateway) == ["a"]
        await is_armed(gateway, directory)
        (directory / "a.yaml").write_text(rules("b"))
        await until(lambda: names(gateway) == ["b"])
        assert await gateway.dispatch(make_action()) == Suppressed("b")
        write(directory / "c.yml", rules("c"))
        await until(lambda: names(gateway) == ["b", "c"])
        (directory / "a.yaml").unlink()
        await until(lambda: names(gateway) == ["c"])


async def test_a_file_that_is_replaced_is_noticed(watched: Watched, directory: Path) -> None:
    async with watched(NEVER) as gateway:
        await is_armed(gateway, directory)
        write(directory / "a.yaml", rules("b"))
        await until(lambda: names(gateway) == ["b"])


async def test_a_link_to_all_files_that_is_swapped_is_noticed(
    watched: Watched, directory: Path
) -> None:
    (directory / "..1").mkdir()
    (directory / "..data").symlink_to("..1")
    (directory / "m.yaml").symlink_to("..data/m.yaml")
    (directory / "..1" / "m.yaml").write_text(rules("one"))
    async with watched(NEVER) as gateway:
        await is_armed(gateway, directory)
        (directory / "a.yaml").unlink()
        await until(lambda: names(gateway) == ["one"])
        (directory / "..2").mkdir()
        (directory / "..2" / "m.yaml").write_text(rules("two"))
        (directory / "..new").symlink_to("..2")
        (directory / "..new").rename(directory / "..data")
        await until(lambda: names(gateway) == ["two"])


async def test_a_directory_that_is_made_again_is_watched_again(
    watched: Watched, directory: Path
) -> None:
    async with watched(NEVER) as gateway:
        await is_armed(gateway, directory)
        shutil.rmtree(directory)
        await until(lambda: gateway.rules_stale)
        assert names(gateway) == ["armed"]
        assert (await gateway.check_ready())["rules"] is None
        write(directory / "b.yaml", rules("b"))
        await until(lambda: names(gateway) == ["b"])
        assert not gateway.rules_stale
        write(directory / "b.yaml", rules("c"))
        await until(lambda: names(gateway) == ["c"])


async def test_a_directory_that_is_another_one_by_now_is_noticed(
    open_gateway: OpenGateway, directory: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other"
    write(other / "b.yaml", rules("b"))
    link = tmp_path / "current"
    link.symlink_to(directory)
    settings = GatewaySettings(look=SOON)
    async with open_gateway(rules_directory=link, watch_rules=True, settings=settings) as gateway:
        (tmp_path / "next").symlink_to(other)
        (tmp_path / "next").rename(link)
        await until(lambda: names(gateway) == ["b"])
        write(other / "b.yaml", rules("c"))
        await until(lambda: names(gateway) == ["c"])


async def test_a_directory_that_is_missing_at_the_start_is_waited_for(
    open_gateway: OpenGateway, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "far" / "away"
    settings = GatewaySettings(look=SOON)
    async with open_gateway(rules_directory=path, watch_rules=True, settings=settings) as gateway:
        assert (await gateway.check_ready())["rules"] is not None
        write(path / "a.yaml", rules("a"))
        await until(lambda: names(gateway) == ["a"])
        assert (await gateway.check_ready())["rules"] is None
    assert errors(caplog) == []


async def test_a_change_that_cannot_be_used_changes_nothing(
    watched: Watched, directory: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with watched(SOON) as gateway:
        version = gateway.rules_version
        write(directory / "b.yaml", "rules:\n  - {name: x}\n")
        await until(lambda: gateway.rules_stale)
        assert await gateway.dispatch(make_action()) == Suppressed("a")
        assert gateway.rules_version == version
        assert (await gateway.check_ready())["rules"] is None
        assert gateway.metrics.rule_load_failures == 1

        write(directory / "b.yaml", rules("b"))
        await until(lambda: names(gateway) == ["a", "b"])
        assert not gateway.rules_stale
        assert gateway.rules_version != version
    missing = [error.removeprefix(f"{directory}/b.yaml:2:5") for error in errors(caplog)]
    assert len(missing) == 2
    assert "missing field `condition`" in missing[0]
    assert "missing field `action`" in missing[1]


async def test_it_is_for_one_gateway_alone(
    watched: Watched, open_gateway: OpenGateway, directory: Path, clock: ManualClock
) -> None:
    async with watched(SOON) as one, open_gateway(rules_directory=directory) as other:
        write(directory / "a.yaml", rules("b"))
        await until(lambda: names(one) == ["b"])
        await clock.advance(5 * SECOND)
        assert names(other) == ["a"]


async def test_a_switched_rule_stays_switched_over_a_change(
    watched: Watched, directory: Path
) -> None:
    async with watched(SOON) as gateway:
        await gateway.set_rule_enabled("a", enabled=False)
        write(directory / "a.yaml", rules("a", "b"))
        await until(lambda: len(gateway.rules) == 2)
        assert [rule.enabled for rule in gateway.rules] == [False, True]


async def test_one_file_can_be_watched(directory: Path) -> None:
    file = directory / "a.yaml"
    settings = GatewaySettings(look=SOON)
    async with Gateway.open(rules=file, watch=True, settings=settings) as gateway:
        write(directory / "b.yaml", rules("b"))
        write(file, rules("c"))
        await until(lambda: names(gateway) == ["c"])


def test_only_a_path_can_be_watched() -> None:
    with pytest.raises(ConfigError, match=r"^watch: give rules as the path of a directory"):
        Gateway.open(rules=[], watch=True)


async def test_that_there_is_nothing_to_watch_is_told(
    open_gateway: OpenGateway, caplog: pytest.LogCaptureFixture
) -> None:
    async with open_gateway(watch_rules=True):
        await until(lambda: "there is no directory of rules to watch" in caplog.text)


def test_a_gateway_without_a_loop_watches_too(directory: Path) -> None:
    settings = GatewaySettings(look=SOON)
    with SyncGateway.open(rules=directory, watch=True, settings=settings) as gateway:
        write(directory / "a.yaml", rules("b"))

        async def noticed() -> None:
            await until(lambda: [rule.name for rule in gateway.rules] == ["b"])

        asyncio.run(noticed())


async def test_nothing_runs_on_when_the_gateway_is_left(watched: Watched) -> None:
    before = asyncio.all_tasks()
    async with asyncio.timeout(LIMIT), watched(NEVER):
        pass
    assert asyncio.all_tasks() == before


@contextmanager
def no_more_descriptors() -> Generator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (1, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


async def test_where_nothing_can_be_watched_it_is_looked_now_and_then(
    directory: Path, clock: ManualClock, caplog: pytest.LogCaptureFixture
) -> None:
    looks = watch(directory, clock, at_least_every=SECOND)
    async with aclosing(looks), asyncio.TaskGroup() as group, asyncio.timeout(LIMIT):
        await anext(looks)
        with no_more_descriptors():
            for _ in range(2):
                look = group.create_task(anext(looks))
                await until(look.done, clock, SECOND)
        assert [record.levelname for record in caplog.records] == ["WARNING"]
        await anext(looks)  # The system's own clock paces it again.


@pytest.fixture
async def rulebook(directory: Path) -> Rulebook:
    clock = ManualClock()
    settings = GatewaySettings()
    compiler = RuleCompiler(ProviderRegistry(), settings)
    store, metrics = memory_backend(clock).store, GatewayMetrics()
    book = Rulebook(store, compiler, settings, metrics, clock, Outage(clock), directory)
    await book.start(())
    return book


async def test_what_changes_no_content_changes_nothing(rulebook: Rulebook, directory: Path) -> None:
    loaded = rulebook.current
    file = directory / "a.yaml"
    os.utime(file, (1, 1))
    file.chmod(0o600)
    file.rename(directory / "moved")
    (directory / "moved").rename(file)
    for name in ("a.yaml~", ".a.yaml.swp", "#a.yaml#", "4913", "a.yaml.bak", "notes.txt"):
        (directory / name).write_text(rules("backup"))
    shutil.copytree(directory, directory / "..old")

    assert not await rulebook.look()
    assert rulebook.current is loaded

    file.write_text(rules("b"))
    assert await rulebook.look()
    assert names(rulebook) == ["b"]


async def test_what_is_wrong_is_told_once_for_each_content(
    rulebook: Rulebook, directory: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write(directory / "b.yaml", "rules: [")
    assert await rulebook.look()
    assert not await rulebook.look()
    assert len(errors(caplog)) == 1
    (directory / "b.yaml").write_bytes(b"\xff")
    assert await rulebook.look()
    assert not await rulebook.look()
    assert errors(caplog)[1:] == [f"{directory}/b.yaml:1: is no UTF-8 text; save it as UTF-8"]
    (directory / "b.yaml").rename(directory / "b.unknown")
    assert await rulebook.look(), "the old content counts as new again"
    assert not rulebook.stale
    assert rulebook.metrics.rule_load_failures == 2


async def test_files_that_are_gone_leave_their_rules_until_a_reload(
    rulebook: Rulebook, directory: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (directory / "a.yaml").unlink()
    assert await rulebook.look()
    assert not await rulebook.look()
    assert names(rulebook) == ["a"]
    assert rulebook.stale
    assert caplog.text.count("the rule files are gone") == 1

    await rulebook.reload(None)
    assert names(rulebook) == []
    assert not rulebook.stale
    assert not await rulebook.look()


async def test_rules_from_elsewhere_stay_until_the_directory_changes(
    rulebook: Rulebook, directory: Path, tmp_path: Path
) -> None:
    elsewhere = tmp_path / "elsewhere"
    write(elsewhere / "b.yaml", rules("b"))
    await rulebook.reload(elsewhere)

    assert not await rulebook.look()
    assert names(rulebook) == ["b"]
    write(directory / "a.yaml", rules("c"))
    assert await rulebook.look()
    assert names(rulebook) == ["c"]
