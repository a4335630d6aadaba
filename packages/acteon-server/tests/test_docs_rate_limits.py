"""What `docs/rate-limits.md` shows is what its reader gets."""

import json
import logging
import re
import shlex
import subprocess
import sys
from collections.abc import AsyncGenerator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from itertools import pairwise
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from acteon.core import ConfigError, ManualClock
from acteon.server import load_config, open_gateway
from acteon.server.http import create_app
from acteon.server.http.limiting import RequestLimits
from acteon.server.logs import TextFormatter
from acteon.server.ratelimit import Limits, RateLimiter, Tier, configured_limits, read_limits
from acteon.server.ratelimit.windows import carried
from acteon.server.testing import Answer, RunningServer, request
from acteon.state import StateConnectionError, StateKey
from acteon.state_memory import MemoryStateStore, Table

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "rate-limits.md").read_text(encoding="utf-8")
BLOCK = re.compile(r"^```(\w+)\n(.*?)\n```$", re.MULTILINE | re.DOTALL)
BLOCKS = BLOCK.findall(PAGE)
FILES = dict(re.findall(r"<!-- file: (\S+) -->\n```toml\n(.*?)```", PAGE, re.DOTALL))
OTHERS = ("content-length", "date", "server", "vary", "connection")
"""Headers that the page leaves out, beside those for pages of browsers."""


def below(language: str) -> Iterator[tuple[str, str]]:
    """Give each block in `language` with the one below it."""
    for (found, text), (_, shown) in pairwise(BLOCKS):
        if found == language:
            yield text, shown


def test_nothing_is_shown_that_is_not_run() -> None:
    languages = [language for language, _ in BLOCKS]
    shown = ["sh", "http"] * len(list(below("sh")))
    assert languages == ["toml"] * len(FILES) + ["text", *shown, "log", "py", "text"]


@pytest.fixture
def written(folder: Path) -> Path:
    """Give the working directory with the files of the page."""
    for name, text in FILES.items():
        (folder / name).write_text(text, encoding="utf-8")
    return folder


@asynccontextmanager
async def served() -> AsyncGenerator[str]:
    """Serve what the files say, 20 seconds into a window; give the URL."""
    config = load_config(None, environ={})
    limits = configured_limits(config)
    assert limits is not None
    clock = ManualClock(datetime.fromtimestamp(1_700_000_060, UTC))
    async with AsyncExitStack() as stack:
        gateway = await open_gateway(stack, config)
        store = gateway.state.store
        limiting = RequestLimits.of(config.rate_limit, limits, store, clock=clock)
        app = create_app(gateway, limit=limiting.request, limit_actions=limiting.actions)
        server = await stack.enter_async_context(RunningServer(app=app))
        yield server.url


async def test_callers_see_what_is_shown(written: Path) -> None:
    async with served() as url:
        for command, shown in below("sh"):
            words = shlex.split(command.replace("\\\n", ""))
            target = urlsplit(words[2]).path
            body = words[words.index("-d") + 1].encode() if "-d" in words else None
            headers = {"content-type": "application/json"} if body else {}
            method = "GET" if body is None else "POST"
            answer = await request(url, method, target, body, headers)
            head, _, said = shown.partition("\n\n")
            assert head_of(answer) == head
            assert answer.json() == json.loads(said)


def head_of(answer: Answer) -> str:
    """Return status and headers as the page writes them."""
    headers = [
        f"{name}: {value}"
        for name, value in sorted(answer.headers)
        if name not in OTHERS and not name.startswith("access-control-")
    ]
    first = f"HTTP/1.1 {answer.status} {HTTPStatus(answer.status).phrase}"
    return "\n".join([first, *headers])


def test_mistakes_are_told_as_shown(written: Path) -> None:
    with pytest.raises(ConfigError) as raised:
        read_limits(Path("mistaken.toml"))
    assert str(raised.value) == next(text for language, text in BLOCKS if language == "text")


def test_the_tables_have_the_keys_and_the_defaults() -> None:
    limits = Limits()
    rows = dict(re.findall(r"^\| `\[([\w.]+)\]` \| (\d+ in \d+ s) \|", PAGE, re.MULTILINE))
    assert rows == {
        "callers.default": in_words(limits.callers.default),
        "callers.anonymous": in_words(limits.callers.anonymous),
        "tenants.default": in_words(limits.tenants.default),
    }
    assert in_words(Tier()) == "1000 in 60 s"


def in_words(tier: Tier) -> str:
    return f"{tier.requests_per_window} in {tier.seconds} s"


def test_the_window_before_counts_as_is_said() -> None:
    assert "80 still count as 60, so there is room for 40" in PAGE
    assert carried(80, 60 - 15, 60) == 60


class Away(MemoryStateStore):
    """A store that cannot be reached."""

    async def get(self, key: StateKey) -> str | None:
        raise StateConnectionError("redis cannot be reached")


async def test_a_failing_store_is_told_as_shown(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "acteon.server.ratelimit")
    clock = ManualClock()
    table = Table(clock)
    limiter = RateLimiter(Away(table), clock=clock)
    await limiter.take("caller:alice", Tier())
    clock.move(timedelta(seconds=3.2))
    limiter.store = MemoryStateStore(table)
    await limiter.take("caller:alice", Tier())
    lines = [TextFormatter().format(record) for record in caplog.records]
    (shown,) = [text for language, text in BLOCKS if language == "log"]
    assert [line.partition(" ")[2] for line in lines] == shown.splitlines()


def test_the_tests_are_there_that_are_named() -> None:
    named = re.findall(r"`(test_\w+\.py)::(test_\w+)`", PAGE)
    assert len(named) > 5
    for file, name in named:
        assert f"def {name}(" in (Path(__file__).parent / file).read_text(encoding="utf-8")


def test_the_program_does_what_is_shown() -> None:
    ((program, shown),) = below("py")
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program],
        capture_output=True,
        encoding="utf-8",
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == shown + "\n"
