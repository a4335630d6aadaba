"""Log records become actions, and the program that logs does not notice."""

import asyncio
import io
import json
import logging
import logging.config
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

import pytest
from attrs import define, field

from acteon.client import ActeonClient, ConfigurationError
from acteon.client.logs import ActeonHandler, fingerprint_of
from acteon.core import Action, ActionOutcome, Executed, Failed, ProviderResponse
from acteon.gateway import Gateway, SyncGateway, parse_rules


@define(eq=False)
class Keeping:
    """Stands where a gateway does: keeps what it is given, while the gate is open.

    Attributes:
        batches: The actions of each batch.
        gate: While it is closed (not set), batches wait.
        answers: What is answered to the next batches instead of success.
    """

    batches: list[list[Action]] = field(factory=list[list[Action]])
    gate: threading.Event = field(factory=threading.Event)
    answers: list[ActionOutcome] = field(factory=list[ActionOutcome])
    came: threading.Semaphore = field(factory=lambda: threading.Semaphore(0))

    def __attrs_post_init__(self) -> None:
        self.gate.set()

    def dispatch_batch(self, actions: Sequence[Action], /) -> list[ActionOutcome]:
        self.batches.append(list(actions))
        self.came.release()
        assert self.gate.wait(20)
        answer = self.answers.pop(0) if self.answers else Executed(ProviderResponse())
        return [answer] * len(actions)

    @property
    def actions(self) -> list[Action]:
        return [action for batch in self.batches for action in batch]

    @property
    def payloads(self) -> list[Any]:
        return [action.payload for action in self.actions]


@pytest.fixture
def kept() -> Keeping:
    return Keeping()


Make = Callable[..., logging.Logger]


@pytest.fixture
def logger(kept: Keeping) -> Iterator[Make]:
    """Give what makes a logger whose records go to `kept`, of options of the handler."""
    handlers: list[ActeonHandler] = []
    log = logging.getLogger("shop.orders")

    def make(**options: Any) -> logging.Logger:
        given: dict[str, Any] = {
            "namespace": "shop",
            "tenant": "acme",
            "provider": "slack",
            "gateway": kept,
        }
        handlers.append(ActeonHandler(**{**given, **options}))
        log.addHandler(handlers[-1])
        return log

    yield make
    kept.gate.set()
    for handler in handlers:
        log.removeHandler(handler)
        handler.close()


def handler_of(log: logging.Logger) -> ActeonHandler:
    (handler,) = (each for each in log.handlers if isinstance(each, ActeonHandler))
    return handler


def say(log: logging.Logger, message: str) -> None:
    """Log a message that is not the same as others."""
    log.error(message)


def told(caplog: pytest.LogCaptureFixture) -> list[str]:
    """Return what the handler itself has logged."""
    return [message for name, _, message in caplog.record_tuples if name == "acteon.client"]


def fail(reason: str = "no stock") -> None:
    raise ValueError(reason)


def log_failure(log: logging.Logger, order: int, **extra: Any) -> None:
    try:
        fail()
    except ValueError:
        log.exception("order %d failed", order, extra=extra)


def test_an_action_has_all_that_the_record_says(logger: Make, kept: Keeping) -> None:
    log = logger(metadata={"team": "sales"})
    before = datetime.now(UTC)

    log_failure(log, 17, basket={"id": 17, "lines": (1, 2)}, at=before)
    handler_of(log).flush()

    (action,) = kept.actions
    assert (action.namespace, action.tenant, action.provider) == ("shop", "acme", "slack")
    assert action.action_type == "log"
    assert action.metadata == {"level": "ERROR", "logger": "shop.orders", "team": "sales"}
    said = dict(action.payload)
    stack = said.pop("stack")
    assert stack.startswith("Traceback (most recent call last):\n")
    assert stack.endswith("\nValueError: no stock\n")
    location = said.pop("location")
    assert location.startswith("test_logs.log_failure:")
    assert before <= datetime.fromisoformat(said.pop("timestamp")) <= datetime.now(UTC)
    assert set(said.pop("process")) == {"id", "name", "host"}
    assert said == {
        "level": "ERROR",
        "logger": "shop.orders",
        "message": "order 17 failed",
        "exception": {"type": "ValueError", "message": "no stock"},
        "thread": "MainThread",
        "extra": {"basket": {"id": 17, "lines": [1, 2]}, "at": repr(before)},
        "repeated": 0,
    }


def test_only_records_of_its_level_are_taken(logger: Make, kept: Keeping) -> None:
    log = logger()
    log.warning("not this")
    log.error("this")
    handler_of(log).flush()
    assert [said["message"] for said in kept.payloads] == ["this"]


def test_a_formatter_makes_the_message(logger: Make, kept: Keeping) -> None:
    log = logger()
    handler_of(log).setFormatter(logging.Formatter("[%(levelname)s] %(message)s"))
    log.error("late: %s", "ann")
    handler_of(log).flush()
    assert kept.payloads[0]["message"] == "[ERROR] late: ann"


def test_the_payload_can_be_made_for_a_provider(logger: Make, kept: Keeping) -> None:
    def payload(said: dict[str, Any]) -> Any:
        return {"text": f"{said['level']}: {said['message']}"}

    log = logger(payload=payload)
    log.error("full")
    handler_of(log).flush()
    assert kept.payloads == [{"text": "ERROR: full"}]


class Unspeakable:
    def __repr__(self) -> str:
        raise RuntimeError("no")


def test_whatever_is_logged_can_be_sent(logger: Make, kept: Keeping) -> None:
    log = logger()
    circle: list[Any] = []
    circle.append(circle)
    odd = {"nan": float("nan"), "big": 2**80, "circle": circle, "half": "\ud800", 1: b"x"}
    log.error("half \ud800 %s", "x" * 100_000, extra={"odd": odd, "silent": Unspeakable()})
    handler_of(log).flush()

    (said,) = kept.payloads
    assert json.loads(json.dumps(said, allow_nan=False)) == said
    said["extra"]["odd"]["half"].encode()
    assert said["message"].startswith("half ? xxx")
    assert len(said["message"]) < 20_000
    assert said["extra"]["odd"]["nan"] == "nan"
    assert said["extra"]["odd"]["big"] == str(2**80)
    assert said["extra"]["silent"] == "<Unspeakable, whose repr raises RuntimeError>"


def record(
    log: str = "shop", message: object = "order %d failed", line: int = 1, **more: Any
) -> Any:
    said = {"name": log, "msg": message, "args": (1,), "lineno": line, "levelname": "ERROR"}
    return logging.makeLogRecord({**said, **more})


def caught(call: Callable[[], None]) -> Any:
    try:
        call()
    except ValueError:
        return sys.exc_info()
    raise AssertionError("nothing was raised")


def test_records_of_one_kind_and_place_have_one_fingerprint() -> None:
    def other() -> None:
        raise ValueError("no stock")

    plain = fingerprint_of(record())
    assert plain == fingerprint_of(record(args=(2,)))
    assert plain != fingerprint_of(record(line=2))
    assert plain != fingerprint_of(record(message="order %d is late"))
    assert plain != fingerprint_of(record(levelname="CRITICAL"))

    failed = fingerprint_of(record(exc_info=caught(fail)))
    # Where it was logged is of no account, nor what the exception says.
    assert failed == fingerprint_of(record(exc_info=caught(lambda: fail("gone")), line=2))
    assert failed != fingerprint_of(record(exc_info=caught(other)))
    assert failed != fingerprint_of(record(exc_info=caught(lambda: json.loads("{"))))
    assert failed != plain

    assert fingerprint_of(record(message=ValueError("a"))) == fingerprint_of(
        record(message=ValueError("b"))
    )


def test_what_is_the_same_is_counted_and_told_with_the_next(logger: Make, kept: Keeping) -> None:
    log = logger(interval=3600)
    for order in range(10):
        log_failure(log, order)
    log.error("something else")
    handler = handler_of(log)
    handler.flush()
    assert [said["message"] for said in kept.payloads] == ["order 0 failed", "something else"]
    assert (handler.counts.submitted, handler.counts.repeated) == (11, 9)

    handler.close()

    last = kept.actions[-1]
    assert last.dedup_key == kept.actions[0].dedup_key
    assert last.id != kept.actions[0].id
    # It stands for the ninth of them, and eight before.
    assert last.payload["repeated"] == 8
    assert sum(1 + said["repeated"] for said in kept.payloads) == 11
    counts = handler.counts
    assert (counts.delivered, counts.repeated, counts.failed, counts.dropped) == (3, 8, 0, 0)
    assert counts.outcomes == {"executed": 3}


async def test_the_count_goes_when_the_interval_is_over(logger: Make, kept: Keeping) -> None:
    log = logger(interval=0.05)
    for order in range(5):
        log_failure(log, order)
    async with asyncio.timeout(20):
        while sum(1 + said["repeated"] for said in kept.payloads) < 5:  # noqa: ASYNC110
            await asyncio.sleep(0.005)
    handler_of(log).close()
    assert sum(1 + said["repeated"] for said in kept.payloads) == 5


def test_without_an_interval_all_are_sent(logger: Make, kept: Keeping) -> None:
    log = logger(interval=0)
    for order in range(5):
        log_failure(log, order)
    handler_of(log).flush()
    assert [said["message"] for said in kept.payloads] == [f"order {n} failed" for n in range(5)]


def test_a_fingerprint_of_ones_own_says_what_is_the_same(logger: Make, kept: Keeping) -> None:
    def order(record: logging.LogRecord) -> str:
        return record.getMessage()[:7]

    log = logger(fingerprint=order, interval=3600)
    log.error("order 1 failed")
    log.error("order 2 failed")
    log.error("order 1 is late")
    handler_of(log).flush()
    assert [action.dedup_key for action in kept.actions] == ["order 1", "order 2"]


def test_what_waits_goes_in_batches(logger: Make, kept: Keeping) -> None:
    log = logger(batch_size=4)
    kept.gate.clear()
    log.error("first")
    assert kept.came.acquire(timeout=20)
    for number in range(6):
        say(log, f"message {number}")
    kept.gate.set()
    handler_of(log).flush()
    assert [len(batch) for batch in kept.batches] == [1, 4, 2]


def test_too_many_are_dropped_counted_and_told_once(
    logger: Make, kept: Keeping, caplog: pytest.LogCaptureFixture
) -> None:
    log = logger(capacity=3, interval=3600)
    kept.gate.clear()
    log.error("first")
    assert kept.came.acquire(timeout=20)
    for number in range(10):
        say(log, f"message {number}")
    log_failure(log, 1)
    handler = handler_of(log)
    assert handler.counts.dropped == 8

    with caplog.at_level(logging.WARNING, "acteon.client"):
        kept.gate.set()
        handler.flush()
        handler.close()

    counts = handler.counts
    assert (counts.submitted, counts.delivered, counts.dropped) == (12, 4, 8)
    assert told(caplog) == ["too many actions were waiting: 8 left out"]


def test_failures_are_counted_and_told_once(
    logger: Make, kept: Keeping, caplog: pytest.LogCaptureFixture
) -> None:
    log = logger(batch_size=1)
    failed = Failed(code="TIMEOUT", message="too slow", retryable=True, attempts=4)
    kept.answers += [failed, failed]
    with caplog.at_level(logging.WARNING, "acteon.client"):
        for number in range(3):
            say(log, f"message {number}")
        handler_of(log).flush()
    counts = handler_of(log).counts
    assert (counts.failed, counts.delivered) == (2, 1)
    (failure,) = told(caplog)
    assert "too slow" in failure


def test_logging_never_waits_for_the_network(logger: Make, kept: Keeping) -> None:
    log = logger(flush_timeout=0.01)
    kept.gate.clear()
    for number in range(5000):
        log.error("message", extra={"number": number})
        log_failure(log, number)
    handler_of(log).flush()
    assert handler_of(log).counts.delivered == 0  # Nothing has come back, and all went on.


def test_its_own_records_make_no_more_of_them(logger: Make, kept: Keeping) -> None:
    handler = handler_of(logger(level=logging.DEBUG))
    for name in ("acteon.client", "acteon", "urllib3.connectionpool"):
        handler.handle(record(name))
    handler.handle(record("acteonite"))
    handler.flush()
    assert [said["logger"] for said in kept.payloads] == ["acteonite"]


async def pager(action: Action) -> None:
    logging.getLogger("desk").error("the pager is out of order: %s", action.id)
    raise RuntimeError("out of order")


def pager_in_a_thread(action: Action) -> None:
    logging.getLogger("desk").error("the pager is out of order: %s", action.id)
    raise RuntimeError("out of order")


@pytest.mark.parametrize("provider", [pager, pager_in_a_thread])
def test_a_provider_that_logs_its_failures_starts_no_circle(provider: Any) -> None:
    with SyncGateway.open(providers={"pager": provider}) as gateway:
        handler = ActeonHandler(
            namespace="shop", tenant="acme", provider="pager", gateway=gateway, interval=0
        )
        logging.getLogger("desk").addHandler(handler)
        logging.getLogger("desk").error("disk full")
        handler.flush()
        handler.close()
        logging.getLogger("desk").removeHandler(handler)
        assert gateway.counters["dispatched"] == 1
    assert (handler.counts.submitted, handler.counts.failed) == (1, 1)


def test_a_mistake_in_a_log_call_is_the_loggings_to_tell(
    logger: Make, kept: Keeping, capsys: pytest.CaptureFixture[str]
) -> None:
    log = logger()
    handler_of(log).handle(record(args=("seventeen",)))
    log.error("next")
    handler_of(log).flush()
    assert "--- Logging error ---" in capsys.readouterr().err
    assert [said["message"] for said in kept.payloads] == ["next"]


def test_an_embedded_gateway_gets_them() -> None:
    got: list[Any] = []

    async def desk(action: Action) -> None:
        got.append(action.payload["message"])

    rules = parse_rules("""
rules:
  - name: once
    priority: 1
    condition: {field: action.metadata.level, eq: ERROR}
    action: {type: deduplicate, ttl_seconds: 300}
""")
    with SyncGateway.open(rules=rules, providers=[desk]) as gateway:
        handler = ActeonHandler(
            namespace="shop", tenant="acme", provider="desk", gateway=gateway, interval=0
        )
        for _ in range(5):
            handler.handle(record(exc_info=caught(fail)))
        handler.close()
    assert got == ["order 1 failed"]
    assert handler.counts.outcomes == {"executed": 1, "deduplicated": 4}


async def test_a_server_gets_them(url: str, gateway: Gateway) -> None:
    handler = ActeonHandler(namespace="shop", tenant="acme", provider="email", url=url)
    handler.handle(record(message="disk full", args=()))
    await asyncio.to_thread(handler.close)
    assert handler.counts.outcomes == {"executed": 1}
    with ActeonClient(url) as client:
        page = await asyncio.to_thread(client.query_audit)
    assert page.records[0].action_payload["message"] == "disk full"


async def test_a_server_that_is_away_gets_them_later(
    url: str, scripted: Callable[..., Any]
) -> None:
    busy = scripted(
        ("503 Busy", b'{"error": "busy"}', "retry-after: 0"), ("200 OK", b'["Deduplicated"]')
    )
    handler = ActeonHandler(namespace="shop", tenant="acme", provider="email", url=busy.url)
    handler.handle(record())
    await asyncio.to_thread(handler.flush)
    assert handler.counts.outcomes == {"deduplicated": 1}
    assert len(busy.requests) == 2
    await asyncio.to_thread(handler.close)


async def test_one_action_that_is_refused_takes_no_others_with_it(url: str) -> None:
    def payload(said: dict[str, Any]) -> Any:
        return object() if "bad" in said["message"] else said["message"]

    with ActeonClient(url) as client:
        handler = ActeonHandler(
            namespace="shop", tenant="acme", provider="email", client=client, payload=payload
        )
        for message in ("one", "two", "bad", "four"):
            handler.handle(record(message=message, args=()))
        await asyncio.to_thread(handler.close)
        counts = handler.counts
        assert (counts.delivered, counts.failed, counts.dropped) == (3, 1, 0)


def test_a_configuration_can_name_it(capsys: pytest.CaptureFixture[str]) -> None:
    logging.config.dictConfig(
        {
            "version": 1,
            "disable_existing_loggers": False,
            "handlers": {
                "acteon": {
                    "class": "acteon.client.logs.ActeonHandler",
                    "level": "CRITICAL",
                    "url": "http://127.0.0.1:9",
                    "namespace": "shop",
                    "tenant": "acme",
                    "provider": "slack",
                    "interval": 300,
                    "fingerprint": "ext://acteon.client.logs.fingerprint_of",
                }
            },
            "loggers": {"configured": {"handlers": ["acteon"]}},
        }
    )
    log = logging.getLogger("configured")
    handler = handler_of(log)
    assert handler.level == logging.CRITICAL
    log.error("not this")
    assert handler.counts.submitted == 0
    log.removeHandler(handler)
    handler.close()


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"url": "localhost:8080"}, "base_url"),
        ({"url": "http://localhost", "gateway": Keeping()}, "give one of"),
        ({"interval": -1}, "interval: -1: give 0 or more"),
        ({"capacity": 0}, "capacity: 0: give 1 or more"),
    ],
)
def test_what_cannot_be_used_is_told_at_once(options: dict[str, Any], told: str) -> None:
    with pytest.raises(ConfigurationError, match=told):
        ActeonHandler(namespace="shop", tenant="acme", provider="slack", **options)


def test_a_closed_handler_takes_nothing_and_says_so(logger: Make, kept: Keeping) -> None:
    log = logger()
    handler = handler_of(log)
    handler.close()
    handler.close()
    log.error("too late")
    assert (handler.counts.submitted, handler.counts.dropped) == (1, 1)
    assert kept.batches == []


def test_other_handlers_are_not_touched(logger: Make, kept: Keeping) -> None:
    log = logger()
    stream = io.StringIO()
    other = logging.StreamHandler(stream)
    log.addHandler(other)
    log.error("both")
    handler_of(log).flush()
    log.removeHandler(other)
    assert [said["message"] for said in kept.payloads] == ["both"]
    assert stream.getvalue() == "both\n"
