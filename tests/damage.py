"""Random damages of the data files, and what comes of each. The tests do a few.

Data is trained on as published, or not at all.
"""

import gzip
import random
import tempfile
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

import torch
from torchvision.datasets import MNIST

from scripts.run.config import TRAINING_IMAGES
from scripts.training import data

Change: TypeAlias = Callable[[bytes], bytes]
Outcome: TypeAlias = Literal["refused", "repaired", "not needed", "trained on"]

UNPACKED = tuple(data.MD5["mnist"])
ARCHIVES = tuple(f"{name}.gz" for name in UNPACKED)


@dataclass(frozen=True)
class Case:
    """One damage: its kind, the files that are there before, and what some of them are instead
    (None: no file at all).
    """

    kind: str
    there: tuple[str, ...]
    instead: dict[str, Callable[[Path], bytes] | None]


def case(number: int) -> Case:
    """A pure function of the number; of len(KINDS) in a row each is of another kind."""
    rng = random.Random(number)  # noqa: S311 - not for secrets
    kind, damaged = list(KINDS.items())[number % len(KINDS)]
    there = (UNPACKED + ARCHIVES, UNPACKED, ARCHIVES)[rng.randrange(3)]
    return Case(kind, there, damaged(rng, there))


def _of_one(
    change: Callable[[random.Random], Change],
) -> Callable[..., dict[str, Callable[[Path], bytes] | None]]:
    def damaged(
        rng: random.Random, there: tuple[str, ...]
    ) -> dict[str, Callable[[Path], bytes] | None]:
        name, changed = rng.choice(there), change(rng)
        return {name: lambda originals: changed((originals / name).read_bytes())}

    return damaged


def _flip(rng: random.Random) -> Change:
    where, bit = rng.random(), 1 << rng.randrange(8)

    def flip(good: bytes) -> bytes:
        at = int(where * len(good))
        return good[:at] + bytes([good[at] ^ bit]) + good[at + 1 :]

    return flip


def _truncate(rng: random.Random) -> Change:
    share = rng.choice((0.0, rng.random(), 1.0))
    return lambda good: good[: min(int(share * len(good)), len(good) - 1)]


def _lengthen(rng: random.Random) -> Change:
    more = rng.choice((b"\0", rng.randbytes(1), rng.randbytes(rng.randrange(2, 5000))))
    return lambda good: good + more


def _exchange(rng: random.Random, _: tuple[str, ...]) -> dict[str, Callable[[Path], bytes] | None]:
    """Two of the eight, each with what the other holds: train and t10k, images and labels, packed
    and unpacked.
    """
    one, other = rng.sample(UNPACKED + ARCHIVES, 2)
    return {
        one: lambda originals: (originals / other).read_bytes(),
        other: lambda originals: (originals / one).read_bytes(),
    }


def _plausible(change: Change) -> Callable[..., dict[str, Callable[[Path], bytes] | None]]:
    """A labels file that is well made in itself, packed and unpacked."""

    def damaged(
        rng: random.Random, _: tuple[str, ...]
    ) -> dict[str, Callable[[Path], bytes] | None]:
        name = rng.choice([name for name in UNPACKED if "labels" in name])
        return {
            name: lambda originals: change((originals / name).read_bytes()),
            f"{name}.gz": lambda originals: gzip.compress(change((originals / name).read_bytes())),
        }

    return damaged


def _remove(
    rng: random.Random, there: tuple[str, ...]
) -> dict[str, Callable[[Path], bytes] | None]:
    return {rng.choice(there): None}


KINDS: dict[
    str, Callable[[random.Random, tuple[str, ...]], dict[str, Callable[[Path], bytes] | None]]
] = {
    "bit flipped": _of_one(_flip),
    "truncated": _of_one(_truncate),
    "lengthened": _of_one(_lengthen),
    "exchanged": _exchange,
    "one label fewer": _plausible(
        lambda good: good[:4] + (len(good) - 9).to_bytes(4, "big") + good[8:-1]
    ),
    "a label of 10": _plausible(lambda good: good[:-1] + b"\x0a"),
    "labels shifted": _plausible(lambda good: good[:8] + good[9:] + good[8:9]),
    "removed": _remove,
}


def outcome(case: Case, originals: Path, root: Path, true: data.Data) -> Outcome:
    """What `data.load` makes of the damaged files. There must be nowhere to download from."""
    raw = root / "MNIST" / "raw"
    raw.mkdir(parents=True)
    for name in {*case.there, *case.instead}:
        contents = case.instead.get(name)
        if contents:
            (raw / name).write_bytes(contents(originals))
        elif name not in case.instead:
            (raw / name).symlink_to((originals / name).resolve())
    try:
        found = data.load("mnist", root, TRAINING_IMAGES, torch.device("cpu"), torch.float32)
    except data.DataError:
        return "refused"
    if not same(found, true):
        return "trained on"
    damaged = [name for name in case.instead if name in UNPACKED]
    return "repaired" if damaged else "not needed"


def same(one: data.Data, other: data.Data) -> bool:
    """Whether all images and labels are equal."""
    return all(
        torch.equal(getattr(getattr(one, split), part), getattr(getattr(other, split), part))
        for split in ("train", "validation", "test")
        for part in ("images", "labels")
    )


def outcomes(number: int) -> Counter[Outcome]:
    """How often each came of that many damages. There is nowhere to download from afterwards."""
    MNIST.mirrors = []  # nothing is to be mended from elsewhere
    root = Path(__file__).parent.parent / "data"
    true = data.load("mnist", root, TRAINING_IMAGES, torch.device("cpu"), torch.float32)
    found = Counter[Outcome]()
    for i in range(number):
        with tempfile.TemporaryDirectory() as scratch:
            found[outcome(case(i), root / "MNIST" / "raw", Path(scratch), true)] += 1
    return found
