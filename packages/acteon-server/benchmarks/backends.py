"""Dispatches per second over HTTP, with state in each real server; what the server itself can do.

Twenty rules, deduplication on, no audit. The gateway has the first core; the store, and the load
from `wrk`, have the second. A figure counts where the second core is not full: its share is shown.

    nox -s bench
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from attrs import frozen
from dispatch import BATCH, HERE, RULES, free_port, load, running

from servers import clickhouse, dynamodb, postgres, redis
from servers.process import Server, family

CONNECTIONS = (1, 64)
SECOND_CORE = {1}


@frozen
class Store:
    """A store that is measured.

    Attributes:
        start: Runs its server.
        state: What `[state]` says of it.
        ceiling: Prints what the server can do by itself.
        batches: Whether batches are measured; some stores are too slow for that.
    """

    start: Callable[[], AbstractContextManager[Server]]
    state: Callable[[Server], str]
    ceiling: Callable[[Server], str] | None = None
    batches: bool = True


def redis_ceiling(server: Server) -> str:
    """Return what redis-benchmark says of SET, alone and with 16 a trip."""
    figures: list[str] = []
    for pipeline in ("1", "16"):
        done = subprocess.run(
            ["taskset", "-c", "0", "redis-benchmark", "-p", str(server.port), "-t", "set",
             "-n", "200000", "-c", "64", "-P", pipeline, "-q"],
            capture_output=True, text=True, check=True,
        )  # fmt: skip
        found = re.findall(r"([\d.]+) requests per second", done.stdout)
        figures.append(f"{float(found[-1]):,.0f}/s with {pipeline} a trip")
    return f"redis-benchmark SET: {', '.join(figures)}"


def postgres_ceiling(server: Server) -> str:
    """Return what pgbench says of one insert by the primary key, a transaction each."""
    program = shutil.which("pgbench") or next(
        str(path) for path in sorted(Path("/usr/lib/postgresql").glob("*/bin/pgbench"))
    )
    script = (
        "\\set number random(1, 1000000000)\n"
        "INSERT INTO acteon_bench VALUES (:number, 'pending') ON CONFLICT (key) DO UPDATE"
        " SET value = 'done';\n"
    )
    with tempfile.NamedTemporaryFile("w", suffix=".sql") as file:
        file.write(script)
        file.flush()
        table = "CREATE TABLE IF NOT EXISTS acteon_bench (key bigint PRIMARY KEY, value text)"
        psql = str(Path(program).with_name("psql"))
        subprocess.run([psql, "-q", server.url, "-c", table], check=True)
        done = subprocess.run(
            ["taskset", "-c", "0", program, "-n", "-M", "prepared", "-c", "8", "-j", "1", "-T", "4",
             "-f", file.name, server.url],
            capture_output=True, text=True, check=True,
        )  # fmt: skip
    found = re.search(r"tps = ([\d.]+)", done.stdout)
    assert found is not None, done.stdout
    return f"pgbench, one upsert a transaction, 8 clients: {float(found.group(1)):,.0f}/s"


STORES = {
    "redis": Store(
        redis.running, lambda server: f'backend = "redis"\nurl = "{server.url}"', redis_ceiling
    ),
    "postgres": Store(
        postgres.running,
        lambda server: f'backend = "postgres"\nurl = "{server.url}"',
        postgres_ceiling,
    ),
    "dynamodb": Store(
        dynamodb.running, lambda server: f'backend = "dynamodb"\nurl = "{server.url}"'
    ),
    "clickhouse": Store(
        clickhouse.running,
        lambda server: f'backend = "clickhouse"\nurl = "{server.url}"\nallow_weak_locks = true',
        batches=False,
    ),
}


@contextmanager
def core_share(core: int) -> Generator[list[float]]:
    """Give a list that holds, after the block, the share of its time that `core` was busy."""

    def ticks() -> tuple[int, int]:
        for line in Path("/proc/stat").read_text().splitlines():
            name, *values = line.split()
            if name == f"cpu{core}":
                numbers = [int(value) for value in values[:8]]
                return sum(numbers), numbers[3] + numbers[4]
        raise SystemExit(f"there is no core {core}")

    found: list[float] = []
    whole, idle = ticks()
    yield found
    whole_after, idle_after = ticks()
    found.append(1 - (idle_after - idle) / max(1, whole_after - whole))


def show(what: str, rate: float, cpu: float, share: float, bare: float) -> None:
    """Print one row."""
    print(
        f"{what:<42}{rate:>9,.0f}/s {cpu:>7,.0f} µs {share:>6.0%} {rate / bare:>7.2f}", flush=True
    )


def main(names: list[str]) -> int:
    """Measure the stores that are named, or all."""
    if shutil.which("wrk") is None:
        print("wrk is not installed (apt-get install wrk): no figures of backends")
        return 0
    print(f"{'':<42}{'actions':>11} {'CPU each':>10} {'core 2':>6} {'/ bare':>7}")
    port = free_port()
    bare: dict[int, float] = {}
    with running(str(HERE / "bare.py"), str(port), port=port) as server:
        for connections in CONNECTIONS:
            with core_share(1) as share:
                bare[connections], cpu = load(port, server.pid, connections)
            show(
                f"bare route, {connections} connections",
                bare[connections],
                cpu,
                share[0],
                bare[connections],
            )
    for name in names or STORES:
        measure(name, STORES[name], bare)
    return 0


def measure(name: str, store: Store, bare: dict[int, float]) -> None:
    """Print the figures of one store."""
    with tempfile.TemporaryDirectory() as folder, store.start() as server:
        assert server.pid is not None
        for pid in family(server.pid):
            for thread in Path(f"/proc/{pid}/task").iterdir():
                os.sched_setaffinity(int(thread.name), SECOND_CORE)
        rules = Path(folder, "rules")
        rules.mkdir()
        (rules / "rules.yaml").write_text(RULES)
        port = free_port()
        config = Path(folder, "acteon.toml")
        config.write_text(
            f'[server]\nport = {port}\n[rules]\ndirectory = "{rules}"\n'
            f"[state]\n{store.state(server)}\n"
            '[[providers]]\nname = "null"\ntype = "log"\n'
        )
        with running("-m", "acteon.server", "-c", str(config), port=port) as gateway:
            for connections in CONNECTIONS:
                with core_share(1) as share:
                    rate, cpu = load(port, gateway.pid, connections)
                show(f"{name}, {connections} connections", rate, cpu, share[0], bare[connections])
            if store.batches:
                with core_share(1) as share:
                    rate, cpu = load(port, gateway.pid, 4, batch=BATCH)
                show(f"{name}, batches of {BATCH}, 4 connections", rate, cpu, share[0], bare[64])
        if store.ceiling is not None:
            print(f"  {store.ceiling(server)}")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
