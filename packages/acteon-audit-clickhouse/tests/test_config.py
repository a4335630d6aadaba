"""What can be configured, and what cannot."""

from pathlib import Path

import pytest

from acteon.audit import AuditPlugin
from acteon.audit_clickhouse import ClickHouseAuditConfig, ClickHouseAuditPlugin, Layout
from acteon.core import AUDIT, ConfigError, load_plugin

URL = "clickhouse://acteon:hush@db.example/audit"


def test_the_plugin_is_found_by_its_name() -> None:
    assert load_plugin(AUDIT, "clickhouse", AuditPlugin) is ClickHouseAuditPlugin


def test_no_secret_is_in_its_text() -> None:
    assert "hush" not in repr(ClickHouseAuditConfig(url=URL, password="hush"))


@pytest.mark.parametrize("url", ["", "postgres://u:hush@h", "http://u:hush@h:18123"])
def test_other_urls_are_refused_without_being_shown(url: str) -> None:
    with pytest.raises(ValueError, match="'url'") as raised:
        ClickHouseAuditConfig(url=url)
    assert "hush" not in str(raised.value)


@pytest.mark.parametrize("prefix", ["", "1st", 'a"b', "a-b", "x" * 65])
def test_names_that_need_quoting_are_refused(prefix: str) -> None:
    with pytest.raises(ValueError, match="'prefix' must be at most 64 letters"):
        ClickHouseAuditConfig(url=URL, prefix=prefix)


@pytest.mark.parametrize("name", ["connect", "command", "clean_up"])
@pytest.mark.parametrize("seconds", [0, -1, 3601, float("nan")])
def test_absurd_times_are_refused(name: str, seconds: float) -> None:
    with pytest.raises(ValueError, match=f"'{name}_timeout_seconds' must be above 0"):
        ClickHouseAuditConfig(url=URL, **{f"{name}_timeout_seconds": seconds})  # type: ignore[arg-type] # one of many


def test_with_and_without_an_underline_the_prefix_names_one_table() -> None:
    for prefix in ("acteon", "acteon_"):
        config = ClickHouseAuditConfig(url=URL, prefix=prefix)
        assert Layout.of(config, (18, 16)).table == "acteon_audit"


async def test_files_that_are_none_are_told(tmp_path: Path) -> None:
    config = ClickHouseAuditConfig(
        url=URL.replace("clickhouse:", "clickhouses:"), tls_ca_file=tmp_path / "no"
    )
    with pytest.raises(ConfigError, match=r"names .*/no, which is no file"):
        async with ClickHouseAuditPlugin.open(config):
            pass
