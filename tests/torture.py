"""python -m tests.torture: what befalls real runs, many times over, with a table at its end. The
tests do a few of each.

Processes are killed at random moments and files are damaged at random places; `--seed` chooses
which.
"""

import json
import logging
import random
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any

import torch
import tyro
from torch import Tensor
from tqdm import tqdm

from scripts import train
from scripts.run import checkpoint
from tests import damage
from tests.processes import start
from tests.runs import scalars

ROOT = Path(__file__).parent.parent
# A checkpoint every 4 updates, so that many a kill falls into the writing of one.
OPTIONS = ("--threads", "1", "--device", "cpu")
RUN = ("--epochs", "2", "--train-size", "1003", "--compare-every", "10", "--checkpoint-every", "4")
UPDATES = 2 * 101


@dataclass(frozen=True)
class Row:
    """Of the table: what was done how often, and how often it ended as it should."""

    what: str
    wanted: int
    good: int
    note: str = ""


def main(kills: int = 25, damages: int = 200, seed: int = 0) -> int:  # noqa: D417
    """Torture the project; status 1 if anything was lost.

    Args:
        kills: of a training run, by SIGKILL.
        damages: of a checkpoint, each a bit flipped, an end cut off or added, and as many of the
        data files. seed: of the moments of kills and the places in checkpoints.
    """
    # what it says of a run that went on is as it should be
    logging.getLogger("tensorboard").setLevel(logging.ERROR)
    with tempfile.TemporaryDirectory() as scratch:
        expected = Path(scratch, "expected")
        trained("--out", str(expected), *RUN)
        rows = [
            kill_row(expected, kills, seed),
            damage_row(expected, damages, seed),
            data_row(damages),
        ]
    width = max(len(row.what) for row in rows)
    for row in rows:
        print(f"{row.what:{width}}  {row.good} of {row.wanted}  {row.note}")
    return int(any(row.good < row.wanted for row in rows))


def training(*options: str) -> ForkServerProcess:
    """A run in a process of its own."""
    return start(train, *OPTIONS, *options)


def trained(*options: str) -> None:
    """A run that has to end well."""
    process = training(*options)
    process.join()
    assert process.exitcode == 0


# Kills


def kill_row(expected: Path, number: int, seed: int) -> Row:
    """Kill a run like `expected` at random moments; each goes on to the same parameters, summary
    and events.
    """
    good, where = 0, Counter[str]()
    for i in tqdm(range(number), unit=" kills", disable=not sys.stderr.isatty()):
        with tempfile.TemporaryDirectory(dir=expected.parent) as scratch:
            chance = random.Random(f"{seed} {i}")  # noqa: S311 - no secret
            moment, found = kill(expected, Path(scratch), chance, unpacking=i % 5 == 0)
            where[moment] += 1
            good += not found
            for line in found:
                print(f"kill {i}, {moment}: {line}")
    note = "equal bits, summary and events; killed " + ", ".join(
        f"{n} x {moment}" for moment, n in where.most_common()
    )
    return Row("SIGKILL at a random moment of a run, then resumed", number, good, note)


def kill(
    expected: Path, scratch: Path, chance: random.Random, *, unpacking: bool
) -> tuple[str, list[str]]:
    """(when a run was killed, how it differed in the end). `unpacking`: of its data, which it has
    to unpack first.
    """
    out, where = scratch / "out", ROOT / "data"
    if unpacking:
        where = scratch / "data"
        shutil.copytree(ROOT / "data", where, ignore=shutil.ignore_patterns("*-ubyte"))
    options = (*RUN, "--data-dir", str(where), "--out", str(out))
    process, update = training(*options), chance.randrange(UPDATES)
    while process.exitcode is None:
        if (where / "MNIST/raw/.lock").exists() if unpacking else reached(out) >= update:
            break
        time.sleep(0.001)
    time.sleep(chance.random() * (0.5 if unpacking else 0.02))
    process.kill()
    process.join()
    moment = "after its end" if process.exitcode == 0 else describe(out, where)
    if (out / "config.json").exists():
        trained("--resume", str(out))
    else:  # there was nothing yet
        trained(*options)
    return moment, unequal(out, expected)


def reached(out: Path) -> int:
    """The number of updates in the newest checkpoint, -1 without one."""
    return max((int(path.stem) for path in out.glob("checkpoints/*.checkpoint")), default=-1)


def describe(out: Path, where: Path) -> str:
    """What the process was at when it was killed, as far as its files show."""
    if (where / "MNIST/raw/.lock").exists():
        return "unpacking the data"
    if not (out / "config.json").exists():
        return "starting"
    if any(out.glob("checkpoints/.*.unfinished")):
        return "writing a checkpoint"
    return "between checkpoints"


def newest(out: Path) -> Path:
    """The last checkpoint of a run."""
    return max((out / "checkpoints").glob("*.checkpoint"))


def unequal(out: Path, expected: Path) -> list[str]:
    """How the run in `out` differs from another in parameters and all other state, in summary and
    events; but for times.
    """
    ours, theirs = (
        {
            "state": checkpoint.read(newest(run)).state,
            "progress": vars(checkpoint.read(newest(run)).progress),
            "summary": json.loads((run / "summary.json").read_text()),
            "events": {
                folder.name: curves(run, folder.name)
                for folder in run.iterdir()
                if any(folder.glob("events*"))
            },
        }
        for run in (out, expected)
    )
    return list(differences("", ours, theirs))


TIMES = {
    "seconds",
    "taken",
    "train_seconds",
    "speedup",
    "time/epoch-seconds",
    "result/train-seconds",
}


def differences(name: str, a: Any, b: Any) -> Iterator[str]:
    """Names of what is not equal in two nested structures."""
    if isinstance(a, dict) and isinstance(b, dict):
        for key in sorted({*a, *b} - TIMES, key=str):
            yield from differences(f"{name} {key}", a.get(key), b.get(key))
    elif not (torch.equal(a, b) if isinstance(a, Tensor) and isinstance(b, Tensor) else a == b):
        yield f"{name.strip()} differs"


def curves(out: Path, name: str) -> dict[str, list[tuple[int, float]]]:
    """Every point that TensorBoard shows, by tag. Of results the last: a run that goes on to more
    epochs has several.
    """
    return {
        tag: points[-1:] if tag.startswith("result/") else points
        for tag, points in scalars(out, name).items()
    }


# Damage


def damaged(content: bytes, chance: random.Random) -> bytes:
    """The content with one bit flipped, cut off at some place, or with some bytes more."""
    kind = chance.choice(("flip", "cut", "add"))
    if kind == "flip":
        at = chance.randrange(len(content))
        return content[:at] + bytes([content[at] ^ 1 << chance.randrange(8)]) + content[at + 1 :]
    if kind == "cut":
        return content[: chance.randrange(len(content))]
    return content + chance.randbytes(chance.randint(1, 1000))


def damage_row(run: Path, number: int, seed: int) -> Row:
    """Damage a checkpoint at random; none is read."""
    content, path = newest(run).read_bytes(), run / "damaged"
    refused = 0
    for i in range(number):
        path.write_bytes(damaged(content, random.Random(f"{seed} {i}")))  # noqa: S311 - no secret
        try:
            checkpoint.read(path)
        except ValueError:
            refused += 1
    return Row("a checkpoint with a bit flipped, cut off or lengthened", number, refused, "refused")


def data_row(number: int) -> Row:
    """Damage the data files, packed and unpacked; none is trained on."""
    found = damage.outcomes(number)
    good = found.total() - found["trained on"]
    return Row(
        "data files damaged",
        number,
        good,
        ", ".join(f"{n} {outcome}" for outcome, n in found.most_common()),
    )


if __name__ == "__main__":
    sys.exit(tyro.cli(main, prog="python -m tests.torture"))
