import logging

import pytest

from acteon.core import Outage

log = logging.getLogger("acteon.test")


@pytest.fixture
def outage(caplog: pytest.LogCaptureFixture) -> Outage:
    caplog.set_level(logging.INFO, "acteon.test")
    return Outage(log, "audit store", "db:5432")


def told(caplog: pytest.LogCaptureFixture) -> list[tuple[str, str]]:
    return [(record.levelname, record.getMessage()) for record in caplog.records]


LOST = ("WARNING", "the audit store is lost")
BACK = ("INFO", "the audit store is back")


def test_each_change_is_told_once(outage: Outage, caplog: pytest.LogCaptureFixture) -> None:
    outage.answered(0)
    assert outage.failed("refused", 1)
    assert outage.failed("refused", 2)
    assert told(caplog) == [LOST]
    later = float("inf")
    outage.answered(later)
    outage.answered(later)
    assert told(caplog) == [LOST, BACK]


def test_it_is_told_where_and_why(outage: Outage, caplog: pytest.LogCaptureFixture) -> None:
    outage.answered(0)
    outage.failed("refused", 1)
    outage.answered(float("inf"))
    lost, back = (vars(record) for record in caplog.records)
    assert (lost["acteon.where"], lost["acteon.error"]) == ("db:5432", "refused")
    assert back["acteon.where"] == "db:5432"
    assert back["acteon.seconds"] == 0


def test_a_server_that_never_answered_is_not_lost(
    outage: Outage, caplog: pytest.LogCaptureFixture
) -> None:
    assert not outage.failed("refused", 1)
    outage.answered(2)
    assert told(caplog) == []


def test_calls_from_before_a_change_say_nothing(
    outage: Outage, caplog: pytest.LogCaptureFixture
) -> None:
    outage.answered(10)
    assert not outage.failed("too old to tell", 9)
    assert told(caplog) == []
    outage.failed("refused", 11)
    outage.answered(12)  # long before the failure came back
    assert told(caplog) == [LOST]
    assert outage.failed("refused", 13)
