"""Which store a text means, and what a run's own things in it are called."""

from typing import Any

import pytest

from acteon.core import ConfigError
from acteon.gateway import Plugin
from acteon.simulation.stores import audit_store, state_store


@pytest.mark.parametrize(
    ("given", "plugin", "settings"),
    [
        ("memory", "memory", {}),
        ("redis://h:1/2", "redis", {"url": "redis://h:1/2", "prefix": "acteon-sim-r1"}),
        (
            "redis+cluster://h:1",
            "redis",
            {"url": "redis+cluster://h:1", "prefix": "acteon-sim-r1"},
        ),
        (
            "postgresql://u:p@h/d",
            "postgres",
            {"url": "postgresql://u:p@h/d", "prefix": "acteon_sim_r1_"},
        ),
        (
            "dynamodb+http://h:8000",
            "dynamodb",
            {"url": "http://h:8000", "table_name": "acteon-sim-r1", "create_table": True},
        ),
        (
            "dynamodb://eu-west-1",
            "dynamodb",
            {"region": "eu-west-1", "table_name": "acteon-sim-r1", "create_table": True},
        ),
        (
            "clickhouse://h/d",
            "clickhouse",
            {"url": "clickhouse://h/d", "prefix": "acteon_sim_r1_", "allow_weak_locks": True},
        ),
    ],
)
def test_a_text_means_a_store(given: str, plugin: str, settings: dict[str, Any]) -> None:
    assert state_store(given, run="r1").plugin == Plugin(plugin, settings)


def test_a_text_means_an_audit_store() -> None:
    assert audit_store("elasticsearch+https://h:9200/x", run="r1").plugin == Plugin(
        "elasticsearch", {"url": "https://h:9200/x", "prefix": "acteon_sim_r1_"}
    )
    assert audit_store("clickhouse://h/d", run="r1").plugin == Plugin(
        "clickhouse", {"url": "clickhouse://h/d", "prefix": "acteon_sim_r1_"}
    )


def test_settings_are_kept_and_what_others_may_have_written_is_not_removed() -> None:
    given = Plugin("redis", {"url": "redis://h", "connections": 2})
    assert state_store(given, run="r1").plugin == Plugin(
        "redis", {"url": "redis://h", "connections": 2, "prefix": "acteon-sim-r1"}
    )
    own = Plugin("redis", {"url": "redis://no-such-host.invalid", "prefix": "ours"})
    store = state_store(own, run="r1")
    assert store.plugin == own


async def test_the_things_of_others_are_left_alone() -> None:
    # It would fail: there is no such host.
    own = Plugin("redis", {"url": "redis://no-such-host.invalid", "prefix": "ours"})
    await state_store(own, run="r1").clean()
    await state_store("memory", run="r1").clean()


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ("mysql://h/d", "state: no store is reached by mysql://; there are redis://, "),
        ("redis://h:port", "state: 'url'"),
        (Plugin("redis", {"url": "redis://h", "colour": 1}), "state: .*colour"),
        ("elasticsearch+http://h", "state: 'elasticsearch' is not for that; there are redis, "),
        (Plugin("redis", ["url"]), "state: give the settings of 'redis' as a mapping"),
    ],
)
def test_what_is_no_store(given: str | Plugin, text: str) -> None:
    with pytest.raises(ConfigError, match=text):
        state_store(given, run="r1")
