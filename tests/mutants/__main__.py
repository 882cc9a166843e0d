"""python -m tests.mutants: judges the tests. Of all small mistakes a sample is planted, one at a
time in a copy of the tree, and the tests that concern the file have to notice.

Prints those that lived, and of each room how many were killed. Mutants that are equal in effect
stand with the reason in tests/mutants/equal.toml; they count neither way.
"""

import os
import random
import sys
import tempfile
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import tyro
from tqdm import tqdm

from tests.mutants.mutator import Mutant, mutants
from tests.mutants.trials import ROOT, Hearing, KnownTest, Planted, copied, side_by_side

EQUAL = tomllib.loads(Path(__file__).with_name("equal.toml").read_text())["mutant"]
# Room -> its folders, and how many of its mutants are tried.
ROOMS = {
    "manual": (("manual",), 150),
    "torch_ref": (("torch_ref",), 150),
    "scripts": (tuple(f"scripts/{room}" for room in ("common", "run", "training", "display")), 100),
}
# What a path begins with -> the tests that concern it.
TESTS = {
    "manual": ("tests/manual", "tests/torch_ref/test_cuda.py"),
    "torch_ref": ("tests/torch_ref", "tests/manual", "tests/training/test_wrong.py"),
    "torch_ref/check": ("tests/check",),
    "torch_ref/diagnosis": ("tests/check",),
    "torch_ref/evidence": ("tests/check",),
    "torch_ref/evidence/report.py": ("tests/check", "tests/house/test_readme.py"),
    "torch_ref/forms": ("tests/check",),
    "scripts/common": ("tests/programs", "tests/training", "tests/display"),
    "scripts/run": ("tests/run", "tests/training", "tests/programs"),
    "scripts/training": ("tests/training", "tests/run", "tests/data"),
    "scripts/display": ("tests/display", "tests/training"),
}
PRELOADED = ("torch", "numpy", "torchvision", "matplotlib.pyplot")


class Row(NamedTuple):
    """Of a room: how many mutants were drawn, how many of them make a difference, and lived."""

    room: str
    drawn: int
    tried: int
    lived: int

    def __str__(self) -> str:
        killed = self.tried - self.lived
        return (
            f"| {self.room} | {self.drawn} | {self.drawn - self.tried} | {killed} of {self.tried} "
            f"| {killed / max(1, self.tried):.1%} |"
        )


def main(
    room: tuple[str, ...] = tuple(ROOMS),
    /,
    *,
    only: str = "",
    sample: int | None = None,
    seed: int = 0,
    processes: int = os.cpu_count() or 1,
) -> int:
    """Plant mistakes and see whether the tests notice; status 1 if one is not noticed.

    Args:
        room: manual, torch_ref, scripts.
        only: of files whose path begins so.
        sample: how many of each room; 150, 150 and 100 where not given.
        seed: which.
        processes: run at once, each on one core.
    """
    for module in PRELOADED:
        __import__(module)  # once, before the processes are forked
    rows = []
    print("| lived at | before | after |\n|---|---|---|", flush=True)
    for name in room:
        folders, usual = ROOMS[name]
        chosen = draw(folders, only, usual if sample is None else sample, seed)
        tried = [mutant for mutant in chosen if not equal(mutant)]
        lived = 0
        for mutant in try_out(tried, processes):
            lived += 1
            row = f"| {mutant.file}:{mutant.line} | `{mutant.before}` | `{mutant.after}` |"
            tqdm.write(row, file=sys.stdout)
            sys.stdout.flush()
        rows.append(Row(name, len(chosen), len(tried), lived))
    print("\n| room | mutants | equal in effect | killed | |\n|---|---|---|---|---|")
    print("\n".join(map(str, rows)))
    return int(any(row.lived for row in rows))


def draw(folders: tuple[str, ...], only: str, number: int, seed: int) -> list[Mutant]:
    """A sample of the mutants of all files of these folders."""
    files = sorted(path for folder in folders for path in (ROOT / folder).rglob("*.py"))
    names = [str(path.relative_to(ROOT)) for path in files]
    found = [
        mutant
        for name in names
        if name.startswith(only)
        for mutant in mutants(name, (ROOT / name).read_text())
    ]
    chance = random.Random(seed)  # noqa: S311 - no secret
    return sorted(chance.sample(found, min(number, len(found))), key=lambda each: each.file)


def equal(mutant: Mutant) -> bool:
    """Whether it is known to make no difference, as all of its line or this one of them."""
    return any(
        (mutant.file, mutant.code) == (known["file"], known["code"])
        and mutant.after == known.get("after", mutant.after)
        for known in EQUAL
    )


def concerned(file: str) -> tuple[str, ...]:
    """The files of tests that concern a file."""
    return TESTS[max((begin for begin in TESTS if file.startswith(begin)), key=len)]


def in_order(mutant: Mutant, tests: list[KnownTest]) -> list[KnownTest]:
    """Those that call its function, or any of its file where it is in none, then the others, which
    may do so in a process of their own; the shortest first.
    """

    def calls(test: KnownTest) -> bool:
        return any(
            file == mutant.file and mutant.function in {0, line} for file, line in test.calls
        )

    return sorted(tests, key=lambda test: (not calls(test), test.seconds))


def try_out(tried: list[Mutant], processes: int) -> Iterator[Mutant]:
    """Those that the tests let live. ValueError for tests that fail where nothing is planted."""
    with tempfile.TemporaryDirectory() as scratch:
        folders = [copied(Path(scratch, str(i))) for i in range(processes)]
        hearings = [Hearing(files) for files in sorted({concerned(m.file) for m in tried})]
        tests = {hearing.files: hearing.tests for hearing in side_by_side(hearings, folders)}
        trials = [Planted(each, in_order(each, tests[concerned(each.file)])) for each in tried]
        done = side_by_side(trials, folders)
        hidden = not sys.stderr.isatty()
        for trial in tqdm(done, total=len(tried), unit=" mutants", disable=hidden):
            if trial.lived:
                yield trial.mutant


if __name__ == "__main__":
    sys.exit(tyro.cli(main, prog="python -m tests.mutants"))
