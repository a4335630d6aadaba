"""Dispatches per second: in process, over HTTP, in batches, and a bare route beside them.

Twenty rules, deduplication and audit are on; state and audit are in memory; the provider is `log`
with its log line switched off. Load comes from `wrk` (Debian's package), pinned to another core
than the server. All figures of one run belong together:
machines differ and are shared, ratios are what lasts.

    nox -s bench
"""

import asyncio
import gc
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Generator
from contextlib import contextmanager
from hashlib import sha256
from operator import itemgetter
from pathlib import Path
from statistics import median
from typing import Any

from argon2 import PasswordHasher

from acteon.audit import AuditTrail
from acteon.audit_memory import MemoryAuditStore
from acteon.core import Action, ProviderResponse
from acteon.gateway import Gateway
from acteon.provider import FunctionProvider, ProviderRegistry
from acteon.state_memory import memory_backend

HERE = Path(__file__).parent
SECONDS = 4
DISPATCHES = 20_000
BATCH = 100

RULES = (
    "rules:\n"
    + "".join(
        f"  - {{name: r{number}, priority: {number}, condition:"
        f" {{field: action.payload.kind, eq: kind-{number}}}, action: {{type: suppress}}}}\n"
        for number in range(19)
    )
    + (
        "  - {name: once, priority: 99, condition: {field: action.action_type, eq: send_email},"
        " action: {type: deduplicate, ttl_seconds: 300}}\n"
    )
)

ACTION: dict[str, Any] = {
    "namespace": "notifications",
    "tenant": "t1",
    "provider": "null",
    "action_type": "send_email",
    "payload": {"to": "user@example.com", "subject": "hello", "kind": "other"},
    "metadata": {"team": "growth"},
}

LUA = """\
local part = string.format("%x", os.time()) .. tostring({}):sub(8)
local count = 0
local template = TEMPLATE
request = function()
  local items = {}
  for i = 1, BATCH do
    count = count + 1
    items[i] = (template:gsub("@", part .. "-" .. count))
  end
  local body = items[1]
  if BATCH > 1 then body = "[" .. table.concat(items, ",") .. "]" end
  return wrk.format("POST", nil, {["Content-Type"] = "application/json", HEADER}, body)
end
"""


async def in_process(rules: Path) -> float:
    """Return dispatches per second, one after the other, in this process."""

    async def answer(_: Action) -> ProviderResponse:
        return ProviderResponse(body={"ok": True})

    providers = ProviderRegistry.of({"null": FunctionProvider(answer)})
    async with (
        AuditTrail(MemoryAuditStore()) as audit,
        Gateway(
            state=memory_backend(), providers=providers, audit=audit, rules_directory=rules
        ) as gateway,
    ):
        actions = [Action(**ACTION, dedup_key=f"k{number}") for number in range(DISPATCHES)]
        gc.freeze()  # These actions are ours: the collector need not look at them again and again.
        start = time.perf_counter()
        for action in actions:
            await gateway.dispatch(action)
        await audit.flush()
        return DISPATCHES / (time.perf_counter() - start)


def free_port() -> int:
    """Return a port that is free now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def started(config: Path, port: int) -> tuple[float, float]:
    """Start a server that nobody else uses; return its seconds to an answer, and its MB then."""
    start = time.perf_counter()
    with running("-m", "acteon.server", "-c", str(config), port=port) as server:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=10) as answer:
            answer.read()
        seconds = time.perf_counter() - start
        status = Path(f"/proc/{server.pid}/status").read_text()
        found = re.search(r"VmRSS:\s+(\d+) kB", status)
        assert found is not None
        return seconds, int(found.group(1)) / 1024


@contextmanager
def running(*command: str, port: int) -> Generator[subprocess.Popen[bytes]]:
    """Run a server on the first core while the block runs."""
    environment = {**os.environ, "ACTEON_LOG": "error"}
    with subprocess.Popen(
        ["taskset", "-c", "0", sys.executable, *command], env=environment
    ) as server:
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline and server.poll() is None:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.005)
        try:
            yield server
        finally:
            server.terminate()
            server.wait(20)


def cpu_seconds(pid: int) -> float:
    """Return the processor time that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def load(
    port: int, pid: int, connections: int, *, batch: int = 1, header: tuple[str, str] | None = None
) -> tuple[float, float]:
    """Return actions per second and the server's processor time for each, in µs."""
    template = json.dumps({**ACTION, "id": "@", "dedup_key": "@"})
    more = "" if header is None else f'["{header[0]}"] = "{header[1]}"'
    text = LUA.replace("TEMPLATE", json.dumps(template)).replace("BATCH", str(batch))
    text = text.replace("HEADER", more)
    path = "/v1/dispatch" if batch == 1 else "/v1/dispatch/batch"
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as script:
        script.write(text)
        script.flush()
        before = cpu_seconds(pid)
        result = subprocess.run(
            ["taskset", "-c", "1", "wrk", "-t1", f"-c{connections}", f"-d{SECONDS}s",
             "-s", script.name, f"http://127.0.0.1:{port}{path}"],
            capture_output=True, text=True, check=True,
        )  # fmt: skip
        used = cpu_seconds(pid) - before
    found = re.search(r"(\d+) requests in", result.stdout)
    if found is None or "Non-2xx" in result.stdout:
        raise SystemExit(f"the load went wrong:\n{result.stdout}")
    rate = re.search(r"Requests/sec:\s+([\d.]+)", result.stdout)
    assert rate is not None
    return float(rate.group(1)) * batch, used / (int(found.group(1)) * batch) * 1e6


def show(what: str, rate: float, cpu: float | None = None, bare: float | None = None) -> None:
    """Print one row."""
    cost = "" if cpu is None else f"{cpu:8.0f} µs"
    ratio = "" if bare is None else f"{rate / bare:6.2f}"
    print(f"{what:<34}{rate:>10,.0f}/s {cost:>12} {ratio:>8}", flush=True)


def guarded(config: Path, port: int) -> None:
    """Measure what authentication and rate limits cost, beside a server that has none."""
    key, password = "a-key", "a-password"
    hashed = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash(password)
    grants = 'grants = [{ tenants = ["*"], namespaces = ["*"], actions = ["*"] }]'
    (config.parent / "auth.toml").write_text(
        f'[settings]\njwt_secret = "{"s" * 40}"\n'
        f'[[users]]\nusername = "ann"\npassword_hash = "{hashed}"\nrole = "admin"\n{grants}\n'
        f'[[api_keys]]\nname = "op"\nkey_hash = "{sha256(key.encode()).hexdigest()}"\n'
        f'role = "operator"\n{grants}\n'
    )
    tier = "requests_per_window = 1000000000\n"
    (config.parent / "ratelimit.toml").write_text(
        f"[callers.default]\n{tier}[tenants]\nenabled = true\n[tenants.default]\n{tier}"
    )
    text = config.read_text()
    switches = {"open": "", "auth": "[auth]\nenabled = true\n"}
    switches["limits"] = switches["auth"] + "[rate_limit]\nenabled = true\n"
    os.environ["ACTEON_AUTH_KEY"] = "00" * 32
    plain = 0.0
    for what, more in switches.items():
        config.write_text(text + more)
        with running("-m", "acteon.server", "-c", str(config), port=port) as server:
            ways: dict[str, tuple[str, str] | None] = {"open": None}
            if more:
                ways = {f"{what}, API key": ("X-API-Key", key)}
            if what == "auth":
                ways["auth, token"] = ("Authorization", f"Bearer {token(port, password)}")
            for way, header in ways.items():
                rate, cpu = min(
                    (load(port, server.pid, 32, header=header) for _ in range(3)),
                    key=itemgetter(1),
                )
                plain = plain or cpu
                show(way, rate, cpu)
                print(f"{'':<34}{cpu - plain:>+9.1f} µs, {100 * (cpu / plain - 1):+.0f} %")


def token(port: int, password: str) -> str:
    """Return a token of the server's."""
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/v1/auth/login",
        json.dumps({"username": "ann", "password": password}).encode(),
        {"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=10) as answer:
        said: dict[str, str] = json.load(answer)
    return said["token"]


def main() -> int:
    """Measure and print."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        rules = folder / "rules"
        rules.mkdir()
        (rules / "rules.yaml").write_text(RULES)
        print(f"{'':<34}{'actions':>12} {'server CPU':>12} {'/ bare':>8}")
        show("in process", median(asyncio.run(in_process(rules)) for _ in range(3)))
        if shutil.which("wrk") is None:
            print("wrk is not installed (apt-get install wrk): no figures over HTTP")
            return 0
        port = free_port()
        bare: dict[int, float] = {}
        with running(str(HERE / "bare.py"), str(port), port=port) as server:
            for connections in (1, 32):
                bare[connections], cpu = load(port, server.pid, connections)
                show(f"bare route, {connections} connections", bare[connections], cpu)
        port = free_port()
        config = folder / "acteon.toml"
        config.write_text(
            f'[server]\nport = {port}\n[audit]\nenabled = true\n[rules]\ndirectory = "{rules}"\n'
            '[[providers]]\nname = "null"\ntype = "log"\n'
        )
        seconds, megabytes = min(started(config, port) for _ in range(3))
        with running("-m", "acteon.server", "-c", str(config), port=port) as server:
            for connections in (1, 32):
                rate, cpu = load(port, server.pid, connections)
                show(f"dispatch, {connections} connections", rate, cpu, bare[connections])
            rate, cpu = load(port, server.pid, 4, batch=BATCH)
            show(f"batches of {BATCH}, 4 connections", rate, cpu, bare[32])
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
                print("counters:", answer.read().decode())
        guarded(config, port)
        print(f"start to first answer {seconds:.2f} s, memory then {megabytes:.0f} MB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
