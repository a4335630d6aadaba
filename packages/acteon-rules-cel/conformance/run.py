"""How many of the public conformance cases of CEL pass, with each engine alone and with ours.

python packages/acteon-rules-cel/conformance/run.py [ARCHIVE]

It ends with 1 if ours pass fewer than their engine alone. The cases are the simple tests of CEL's
specification, as the source distribution of cel-python has them; without an archive it is fetched
with pip. Results are to be of the very type and value, times to the microsecond; where an error is
expected, any will do.
"""

import subprocess
import sys
import tarfile
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Final

from cases import Case, read_cases
from columns import COLUMNS, Verdict, judge

HERE: Final = Path(__file__).resolve().parent
CACHE: Final = HERE.parents[2] / ".nox" / "cel-cases"
PAIRS: Final = (
    ("cel-python alone", "Acteon, python"),
    ("cel-expr-python alone", "Acteon, native"),
)
"""The engines, and what we make of them."""
MAX_SHOWN: Final = 40


def main() -> None:
    """Run all cases and print what came of them."""
    archive = Path(sys.argv[1]) if sys.argv[1:] else fetched()
    cases, left_out = read_cases(files_of(archive))
    verdicts = {column: judged(column, cases) for column in COLUMNS}
    print_rates(cases, verdicts)
    print(f"\n{left_out.total()} cases are left out, for what they are about:")
    for reason, count in left_out.most_common():
        print(f"{count:6}  {reason}")
    for engine, ours in PAIRS:
        print_lost(engine, ours, cases, verdicts)
    below = [
        f"{ours}: {passed(verdicts[ours])} cases pass; {engine}: {passed(verdicts[engine])}"
        for engine, ours in PAIRS
        if passed(verdicts[ours]) < passed(verdicts[engine])
    ]
    if below:
        sys.exit("\n".join(["", "below the engine alone:", *below]))


def fetched() -> Path:
    """Return the archive that holds the cases; pip fetches it once, and checks its hash."""
    if not any(CACHE.glob("*.tar.gz")):
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
        # Only this one: what its build needs may come as wheels.
        command += ["--no-binary", "cel-python", "--dest", str(CACHE)]
        command += ["--requirement", str(HERE / "requirements.txt")]
        if subprocess.run(command, check=False).returncode:
            sys.exit("the cases cannot be fetched; that takes pip, or name an archive of them")
    (archive,) = CACHE.glob("*.tar.gz")
    return archive


def files_of(archive: Path) -> dict[str, str]:
    """Return the files of cases in `archive`, by name."""
    found: dict[str, str] = {}
    with tarfile.open(archive) as members:
        for member in members:
            path = Path(member.name)
            content = members.extractfile(member) if path.suffix == ".textproto" else None
            if content is not None and path.parent.name == "features":
                found[path.stem] = content.read().decode()
    return found


def judged(column: str, cases: Sequence[Case]) -> list[Verdict]:
    """Return what becomes of each case in `column`, found in a process of its own."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(judge, column, cases).result()


def passed(verdicts: Sequence[Verdict]) -> int:
    """Return how many cases passed."""
    return sum(verdict.passed for verdict in verdicts)


def print_rates(cases: Sequence[Case], verdicts: Mapping[str, Sequence[Verdict]]) -> None:
    """Print how many cases of each file passed in each column, as a table in Markdown."""
    files = Counter(case.file for case in cases)
    print("| file | cases | " + " | ".join(COLUMNS) + " |")
    print("| --- | ---: |" + " ---: |" * len(COLUMNS))
    for file, count in files.items():
        rates = [
            sum(
                verdict.passed
                for case, verdict in zip(cases, verdicts[column], strict=True)
                if case.file == file
            )
            for column in COLUMNS
        ]
        print(f"| {file} | {count} | " + " | ".join(map(str, rates)) + " |")
    totals = [passed(verdicts[column]) for column in COLUMNS]
    shown = [f"{total} ({100 * total / len(cases):.1f} %)" for total in totals]
    print(f"| **all** | {len(cases)} | " + " | ".join(shown) + " |")


def print_lost(
    engine: str, ours: str, cases: Sequence[Case], verdicts: Mapping[str, Sequence[Verdict]]
) -> None:
    """Print the cases that pass with the engine alone and not with ours."""
    lost = [
        f"  {case.file}/{case.name}: {' '.join(case.text.split())[:70]}\n      {own.found[:110]}"
        for case, own, alone in zip(cases, verdicts[ours], verdicts[engine], strict=True)
        if alone.passed and not own.passed
    ]
    if lost:
        print(f"\n{len(lost)} cases pass with {engine}, but not with {ours}:")
        print("\n".join(lost[:MAX_SHOWN]))


if __name__ == "__main__":
    main()
