"""Records as JSON lines, into a file or to whoever reads our output."""

import os
import sys
import tempfile
from collections.abc import Generator
from contextlib import AsyncExitStack, aclosing, contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, Protocol

from acteon.audit import AuditQuery, walk_pages
from acteon.server.audittools.stores import check_shared
from acteon.server.config import Config
from acteon.server.explained import explained
from acteon.server.opening import open_audit_store


class Progress(Protocol):
    """Is told how far it is."""

    def __call__(self, done: int, total: int) -> None: ...


async def export(config: Config, query: AuditQuery, target: Path | None) -> int:
    """Write the records that fit `query` as JSON lines, the newest first; return their number.

    Args:
        config: Says where they are.
        query: The filters.
        target: The file; it is there when it is complete, and not before. None: stdout.

    Raises:
        ConfigError: The store cannot be opened, or fails.
        OSError: The file cannot be written; `BrokenPipeError`: nobody reads our output any more.
    """
    check_shared(config)
    done = 0
    async with AsyncExitStack() as stack:
        store = await open_audit_store(stack, config)
        stack.enter_context(_naming(target))
        file = stack.enter_context(_writing(target))
        progress = stack.enter_context(_shown_to_people(target))
        with explained(f"audit {config.audit.backend}", config, OSError):
            async with aclosing(walk_pages(store, query)) as pages:
                async for page in pages:
                    file.write(b"".join(record.to_json() + b"\n" for record in page.records))
                    done += len(page.records)
                    progress(done, page.total)
        file.flush()
    return done


@contextmanager
def _writing(target: Path | None) -> Generator[BinaryIO]:
    """Give the file to be written; what is called `target` is never half of it."""
    if target is None:
        yield sys.stdout.buffer
        return
    if target.exists() and not target.is_file():
        with target.open("wb") as special:  # A pipe, a device: nothing to be put in its place.
            yield special
        return
    target = Path(os.path.realpath(target))
    made, name = tempfile.mkstemp(prefix=f".{target.name}.", dir=_existing(target.parent))
    try:
        with open(made, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(name, target)
    except BaseException:
        with suppress(OSError):
            os.unlink(name)
        raise


@contextmanager
def _naming(target: Path | None) -> Generator[None]:
    """Have errors of the system tell which file it is about."""
    try:
        yield
    except OSError as error:
        if error.filename is None and error.errno is not None:
            error.filename = "stdout" if target is None else str(target)
        raise


def _existing(folder: Path) -> Path:
    if not folder.is_dir():
        raise NotADirectoryError(20, "there is no such directory", str(folder))
    return folder


@contextmanager
def _shown_to_people(target: Path | None) -> Generator[Progress]:
    """Give what draws a bar on stderr, if somebody sees it and the records do not go there too."""
    if not sys.stderr.isatty() or (target is None and sys.stdout.isatty()):
        yield lambda done, total: None
        return
    # It takes a while to import, and programs that read our output do without.
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    columns = (TextColumn("records"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Bar(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("", total=None)
        yield lambda done, total: bar.update(task, completed=done, total=max(done, total))
