"""Redis from Debian's package: one server, a Cluster, or Sentinels around a primary."""

import socket
from collections.abc import Generator, Sequence
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Final

from attrs import frozen

from servers import process
from servers.install import program
from servers.process import Program, Server
from servers.waiting import wait_until

SERVICE: Final = "acteon"
FAILOVER: Final = timedelta(seconds=30)


@frozen(kw_only=True)
class Cluster:
    """The nodes of a Redis Cluster."""

    nodes: tuple[Server, ...]

    @property
    def url(self) -> str:
        """Names all nodes: `redis+cluster://host:port,host:port,…`."""
        return f"redis+cluster://{_hosts(self.nodes)}"

    @property
    def tls_url(self) -> str:
        """Names all nodes' ports for TLS, if they were given certificates."""
        return f"rediss+cluster://{_tls_hosts(self.nodes)}"

    @property
    def urls(self) -> tuple[str, ...]:
        """The URL of each node."""
        return tuple(node.url for node in self.nodes)


@frozen(kw_only=True)
class Sentinel:
    """Servers of which one is the primary, and the Sentinels that choose it.

    Attributes:
        nodes: The servers; the first one begins as the primary.
        sentinels: Who watches them.
    """

    nodes: tuple[Server, ...]
    sentinels: tuple[Server, ...]

    @property
    def url(self) -> str:
        """Names all Sentinels and the service: `redis+sentinel://host:port,…/acteon`."""
        return f"redis+sentinel://{_hosts(self.sentinels)}/{SERVICE}"

    @property
    def tls_url(self) -> str:
        """Names all Sentinels' ports for TLS, if they were given certificates."""
        return f"rediss+sentinel://{_tls_hosts(self.sentinels)}/{SERVICE}"

    @property
    def urls(self) -> tuple[str, ...]:
        """The URL of each Sentinel."""
        return tuple(sentinel.url for sentinel in self.sentinels)

    @property
    def primary(self) -> Server | None:
        """The server that most Sentinels and itself take for the primary, `None` without one."""
        watching = [each for each in self.sentinels if each.pid]
        named = [ask(each.port, "SENTINEL", "MASTER", SERVICE).split() for each in watching]
        for node in self.nodes:
            votes = sum(str(_replicated_port(node)) in words for words in named)
            if 2 * votes > len(self.sentinels) and node.pid and "role:master" in _role(node):
                return node
        return None


@contextmanager
def running(
    *, config: Sequence[str] = (), port: int = 0, tls: Sequence[str] = ()
) -> Generator[Server]:
    """Run one Redis that writes all changes to its folder.

    Args:
        config: Further lines of redis.conf, which go before ours.
        port: Where it listens; 0 stands for a free one.
        tls: The lines with its certificates; with them it also has a port for TLS, its second URL.
    """

    def prepare(folder: Path, ports: Sequence[int]) -> Program:
        return _redis(folder, ports, config, tls)

    with process.running("redis", prepare, ports=[port, *_tls_port(tls)]) as server:
        yield server


@contextmanager
def cluster(
    *,
    primaries: int = 3,
    replicas: int = 0,
    config: Sequence[str] = (),
    tls: Sequence[str] = (),
) -> Generator[Cluster]:
    """Run a Redis Cluster.

    Args:
        primaries: How many nodes share the slots, 3 or more.
        replicas: How many nodes follow each of them.
        config: Further lines of every node's redis.conf.
        tls: The lines with their certificates; with them they talk to each other over TLS, and
            each also has a port for it.
    """
    # Without this they would tell clients over TLS of the ports that are not for it.
    tls = [*tls, "tls-cluster yes"] if tls else tls

    def prepare(folder: Path, ports: Sequence[int]) -> Program:
        bus, *others = ports
        lines = ["cluster-enabled yes", f"cluster-port {bus}", "cluster-node-timeout 1000", *config]
        return _redis(folder, others, lines, tls)

    with ExitStack() as stack:
        nodes = [
            stack.enter_context(
                process.running("redis-cluster", prepare, ports=[0, 0, *_tls_port(tls)])
            )
            for _ in range(primaries * (1 + replicas))
        ]
        create = ["--cluster", "create", *(f"{node.host}:{node.port}" for node in nodes)]
        cli = program("redis-cli", "redis-tools")
        process.run([cli, *create, "--cluster-replicas", str(replicas), "--cluster-yes"])
        wait_until("the Redis Cluster is whole", lambda: all(map(_is_whole, nodes)), FAILOVER)
        yield Cluster(nodes=tuple(nodes))


@contextmanager
def sentinel(
    *, replicas: int = 2, config: Sequence[str] = (), tls: Sequence[str] = ()
) -> Generator[Sentinel]:
    """Run a primary with `replicas`, and three Sentinels that replace it when it fails.

    Args:
        replicas: How many servers follow the primary, 1 or more.
        config: Further lines of every server's redis.conf.
        tls: The lines with their certificates; with them they talk to each other over TLS, and
            each also has a port for it.
    """
    config = ["repl-diskless-sync-delay 0", *config]
    tls = [*tls, "tls-replication yes"] if tls else tls
    with ExitStack() as stack:
        first = stack.enter_context(running(config=config, tls=tls))
        follow = [*config, f"replicaof {first.host} {_replicated_port(first)}"]
        others = [stack.enter_context(running(config=follow, tls=tls)) for _ in range(replicas)]

        def prepare(folder: Path, ports: Sequence[int]) -> Program:
            lines = [
                f"sentinel monitor {SERVICE} {first.host} {_replicated_port(first)} 2",
                f"sentinel down-after-milliseconds {SERVICE} 500",
                f"sentinel failover-timeout {SERVICE} 2000",
            ]
            return _redis(folder, ports, lines, tls, "--sentinel")

        found = Sentinel(
            nodes=(first, *others),
            sentinels=tuple(
                stack.enter_context(
                    process.running("redis-sentinel", prepare, ports=[0, *_tls_port(tls)])
                )
                for _ in range(3)
            ),
        )
        wait_until("the Sentinels know each other", lambda: _know_each_other(found), FAILOVER)
        yield found


def ask(port: int, *words: str) -> str:
    """Return the answer of the server at `port` to one command, as Redis writes it."""
    with socket.create_connection(("127.0.0.1", port), timeout=2) as connection:
        asked = [f"${len(word.encode())}\r\n{word}\r\n" for word in words]
        connection.sendall(f"*{len(words)}\r\n{''.join(asked)}".encode())
        # A second command, whose answer is known, marks the end of the first one's.
        connection.sendall(b"*2\r\n$4\r\nECHO\r\n$8\r\nthat-end\r\n")
        answer = b""
        while not answer.endswith(b"$8\r\nthat-end\r\n") and b"\r\n-" not in b"\r\n" + answer:
            if not (read := connection.recv(65536)):
                break
            answer += read
    return answer.removesuffix(b"$8\r\nthat-end\r\n").decode(errors="replace")


def _redis(
    folder: Path, ports: Sequence[int], config: Sequence[str], tls: Sequence[str], *options: str
) -> Program:
    port, *further = ports
    lines = [
        "bind 127.0.0.1",
        f"port {port}",
        f"dir {folder}",
        "daemonize no",
        'save ""',
        "appendonly yes",
        *(f"tls-port {port}" for port in further),
        *tls,
        *config,
    ]
    if options:  # a Sentinel takes no options of a database
        lines = [line for line in lines if not line.startswith(("save", "appendonly"))]
    file = folder / "redis.conf"
    file.write_text("\n".join([*lines, ""]))
    return Program(
        name="Redis",
        command=(program("redis-server", "redis-server"), str(file), *options),
        port=port,
        urls=(
            f"redis://127.0.0.1:{port}",
            *(f"rediss://127.0.0.1:{port}" for port in further),
        ),
        answers=lambda: ask(port, "PING").startswith(("+PONG", "-NOAUTH")),
    )


def _hosts(servers: Sequence[Server]) -> str:
    return ",".join(f"{server.host}:{server.port}" for server in servers)


def _tls_hosts(servers: Sequence[Server]) -> str:
    return ",".join(server.urls[1].removeprefix("rediss://") for server in servers)


def _tls_port(tls: Sequence[str]) -> Sequence[int]:
    return [0] if tls else []


def _replicated_port(server: Server) -> int:
    """Return where replicas and Sentinels reach `server`."""
    return int(server.urls[-1].rpartition(":")[2])


def _role(server: Server) -> str:
    return ask(server.port, "INFO", "replication")


def _is_whole(node: Server) -> bool:
    return "cluster_state:ok" in ask(node.port, "CLUSTER", "INFO")


def _know_each_other(found: Sentinel) -> bool:
    states = [ask(each.port, "SENTINEL", "MASTER", SERVICE).split() for each in found.sentinels]
    wanted = {"num-slaves": len(found.nodes) - 1, "num-other-sentinels": len(found.sentinels) - 1}
    # Names and values alternate, each after a line with its length.
    return all(
        int(state[state.index(name) + 2]) == number
        for state in states
        for name, number in wanted.items()
    ) and all("master_link_status:up" in _role(node) for node in found.nodes[1:])
