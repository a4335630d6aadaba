"""DynamoDB Local, by Amazon, from Maven Central."""

from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path

from servers import java_program, process
from servers.http import status
from servers.process import Program, Server


@contextmanager
def running(*, shared: bool = False, port: int = 0) -> Generator[Server]:
    """Run a DynamoDB Local that keeps its tables in files.

    Access keys must consist of letters and digits; any will do.

    Args:
        shared: Whether all access keys and regions see the same tables; otherwise each pair has
            its own.
        port: Where it listens; 0 stands for a free one.
    """
    built = java_program.built("dynamodb", "DynamoDbLocal")

    def prepare(folder: Path, ports: Sequence[int]) -> Program:
        (folder / "data").mkdir(exist_ok=True)
        options = ["-disableTelemetry", "-dbPath", str(folder / "data"), "-port", str(ports[0])]
        return Program(
            name="DynamoDB Local",
            command=java_program.command(
                built,
                "DynamoDbLocal",
                *options,
                *(["-sharedDb"] if shared else []),
                heap="256m",
                temporary=folder / "tmp",
            ),
            port=ports[0],
            urls=(f"http://127.0.0.1:{ports[0]}",),
            # It has no page: an answer, even that the request is bad, says that it runs.
            answers=lambda: status(ports[0], "/") == 400,
        )

    with process.running("dynamodb", prepare, ports=[port]) as server:
        yield server
