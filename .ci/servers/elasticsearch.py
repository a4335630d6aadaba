"""Elasticsearch 8, one node without security, from Maven Central."""

from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from servers import java_program, process
from servers.http import status
from servers.process import Program, Server

HTTP: Final = "transport-netty4"
DESCRIPTOR: Final = f"""\
name={HTTP}
description=The HTTP server
version=8.19.21
elasticsearch.version=8.19.21
java.version=17
classname=org.elasticsearch.transport.netty4.Netty4Plugin
"""


@contextmanager
def running(*, heap: str = "512m", port: int = 0) -> Generator[Server]:
    """Run an Elasticsearch that lacks the modules that Maven Central has not.

    These are `GET /`, delete-by-query, painless scripts, lifecycle management, data streams.

    Args:
        heap: The most memory for objects.
        port: Where it listens; 0 stands for a free one.
    """
    built = java_program.built("elasticsearch", "ElasticsearchNode", _arrange)

    def prepare(folder: Path, ports: Sequence[int]) -> Program:
        arguments = [str(built / "home"), str(folder / "data"), str(ports[0])]
        return Program(
            name="Elasticsearch",
            command=java_program.command(
                built, "ElasticsearchNode", *arguments, heap=heap, temporary=folder / "tmp"
            ),
            port=ports[0],
            urls=(f"http://127.0.0.1:{ports[0]}",),
            answers=lambda: status(ports[0], "/_cluster/health?wait_for_status=yellow") == 200,
        )

    with process.running("elasticsearch", prepare, ports=[port]) as server:
        yield server


def _arrange(folder: Path) -> None:
    """Make the HTTP server a module, with a class loader of its own, as the node expects it."""
    module = folder / "home" / "modules" / HTTP
    module.mkdir(parents=True)
    for pattern in ("netty-*.jar", f"{HTTP}-*.jar", "elasticsearch-ssl-config-*.jar"):
        for jar in (folder / "lib").glob(pattern):
            jar.rename(module / jar.name)
    (module / "plugin-descriptor.properties").write_text(DESCRIPTOR)
