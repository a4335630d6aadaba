"""Servers written in Java: their jars from Maven Central, and a launcher of ours."""

import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Final

from servers.install import exclusive, program
from servers.process import run

SOURCES: Final = Path(__file__).parent / "java"
DEPENDENCIES: Final = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies"
JDK: Final = "default-jdk-headless"
# A short life with little data: a small heap, and a quick start before the last bit of speed.
OPTIONS: Final = ("-Xms64m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-XX:-UsePerfData")


def cache() -> Path:
    """Return where the jars are kept: `SERVERS_CACHE`, or else `.servers` at the top."""
    return Path(
        os.environ.get("SERVERS_CACHE") or Path(__file__).parents[2] / ".servers"
    ).absolute()


def built(name: str, launcher: str, arrange: Callable[[Path], None] = lambda folder: None) -> Path:
    """Return the folder with `lib/*.jar` and `classes` of a server, built when first wanted.

    Args:
        name: Its jars are those of `java/<name>.xml`.
        launcher: The class that starts it, in `java/<launcher>.java`.
        arrange: Puts the jars where the server looks for them.
    """
    pom, source = SOURCES / f"{name}.xml", SOURCES / f"{launcher}.java"
    version = hashlib.sha256(pom.read_bytes() + source.read_bytes()).hexdigest()[:12]
    folder = cache() / f"{name}-{version}"
    with exclusive(cache() / f"{name}.lock"):
        if not folder.exists():
            maven, javac = program("mvn", "maven"), program("javac", JDK)
            # What is interrupted half-way leaves nothing under the name that counts.
            with tempfile.TemporaryDirectory(dir=cache()) as place:
                unfinished = Path(place, name)
                lib, classes = unfinished / "lib", unfinished / "classes"
                copy = [DEPENDENCIES, "-DincludeScope=runtime", f"-DoutputDirectory={lib}"]
                run([maven, "-q", "-B", "-f", str(pom), *copy])
                run([javac, "-nowarn", "-cp", f"{lib}/*", "-d", str(classes), str(source)])
                arrange(unfinished)
                shutil.move(unfinished, folder)
    return folder


def command(
    folder: Path, launcher: str, *arguments: str, heap: str, temporary: Path
) -> tuple[str, ...]:
    """Return the command that starts `launcher` from the `built` folder.

    Args:
        folder: What `built` returned.
        launcher: The class.
        arguments: Of the launcher.
        heap: The most memory for objects, such as `256m`.
        temporary: Where it unpacks libraries and the like.
    """
    temporary.mkdir(exist_ok=True)
    options = [f"-Xmx{heap}", f"-Djava.io.tmpdir={temporary}", f"-Djava.library.path={folder}/lib"]
    classes = ["-cp", f"{folder}/classes:{folder}/lib/*"]
    return (program("java", JDK), *OPTIONS, *options, *classes, launcher, *arguments)
