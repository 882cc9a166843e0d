"""python -m tests.torture: what befalls real runs, many times over, with a table at its end. The
tests do a few of each.

Moments and places are random; `--seed` chooses which.
"""

import logging
import random
import sys
import tempfile
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import tyro
from tqdm import tqdm

from scripts.run import checkpoint
from tests import damage, mishaps
from tests.mishaps import OF_TWO, PAIR, RUN, Mishap, train
from tests.runs import newest


@dataclass(frozen=True)
class Row:
    """Of the table: what was done how often, and how often it ended as it should."""

    what: str
    wanted: int
    good: int
    note: str = ""


def main(kills: int = 25, more: int = 25, damages: int = 200, seed: int = 0) -> int:  # noqa: D417
    """Torture the project; status 1 if anything was lost.

    Args:
        kills: of a training run, by SIGKILL; and as many with another clock afterwards.
        more: of each other mishap: a rank, a right or a stream that is lost.
        damages: of a checkpoint, each a bit flipped, an end cut off or added, and as many of the
        data files. seed: of the moments of kills and the places in checkpoints.
    """
    # what it says of a run that went on is as it should be
    logging.getLogger("tensorboard").setLevel(logging.ERROR)
    with tempfile.TemporaryDirectory() as scratch:
        one, two = Path(scratch, "one"), Path(scratch, "two")
        train("--out", str(one), *RUN)
        train("--out", str(two), *RUN, *OF_TWO, command=PAIR)
        rows = [
            row("SIGKILL at a random moment, then resumed", mishaps.kill, one, kills, seed),
            row("the same, and the clock moved by a day", mishaps.clock, one, kills, seed),
            row("SIGKILL to one of two processes", mishaps.rank, two, more, seed),
            row("SIGKILL, and a right taken away", mishaps.permission, one, more, seed),
            row("stdout or stderr lost", mishaps.stream, one, more, seed),
            damage_row(one, damages, seed),
            data_row(damages),
        ]
    width = max(len(each.what) for each in rows)
    for each in rows:
        print(f"{each.what:{width}}  {each.good} of {each.wanted}  {each.note}")
    return int(any(each.good < each.wanted for each in rows))


def row(what: str, mishap: Mishap, expected: Path, number: int, seed: int) -> Row:
    """Let it befall so many runs like `expected`; each has to end with the same parameters,
    summary and events.
    """
    good, kinds = 0, Counter[str]()
    for i in tqdm(range(number), what, disable=not sys.stderr.isatty()):
        with tempfile.TemporaryDirectory(dir=expected.parent) as scratch:
            chance = random.Random(f"{seed} {i}")  # noqa: S311 - no secret
            kind, found = mishap(expected, Path(scratch), chance)
            kinds[kind] += 1
            good += not found
            for line in found:
                print(f"{what}, {i}, {kind}: {line}", flush=True)
    said = ", ".join(f"{n} x {kind}" for kind, n in kinds.most_common())
    return Row(what, number, good, f"equal bits, summary and events; {said}")


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
