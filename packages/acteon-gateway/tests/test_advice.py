"""What is told, and noted, about actions without a key where one is wanted."""

from pathlib import Path

import pytest

from acteon.core import Executed
from acteon.gateway.testing import OpenGateway, make_action

RULE = "rules: [{name: once, condition: {all: []}, action: {type: deduplicate}}]"


async def test_a_rule_that_deduplicates_without_a_key_is_told_once_for_each_rule_set(
    open_gateway: OpenGateway, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def told() -> int:
        return sum("without dedup_key" in record.message for record in caplog.records)

    (tmp_path / "rules.yaml").write_text(RULE)
    async with open_gateway(rules_directory=tmp_path) as gateway:
        assert isinstance(await gateway.dispatch(make_action(dedup_key="k")), Executed)
        assert told() == 0
        for name in ("a", "b"):
            assert isinstance(await gateway.dispatch(make_action(id=name)), Executed)
        assert told() == 1
        assert gateway.audit is not None
        record = await gateway.audit.latest("b")
        assert record is not None
        assert b"deduplicated_by" in record.to_json()
        await gateway.reload_rules()
        assert isinstance(await gateway.dispatch(make_action(id="c")), Executed)
        assert told() == 2
