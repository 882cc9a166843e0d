"""Many submissions: which they are, a line for each, and a table of all."""

import glob
from dataclasses import dataclass
from pathlib import Path

from scripts.common import files
from scripts.common.program import UserError


@dataclass(frozen=True)
class Mark:
    """The mark of one submission: points by input, what is wrong, whether torch's autograd did the
    work; error: why there are no points.
    """

    submission: str
    verdicts: dict[str, str]
    sentences: list[str]
    autograd: bool
    error: str = ""

    @property
    def points(self) -> int:
        """A point for each right gradient."""
        return sum(verdict == "ok" for verdict in self.verdicts.values())

    @property
    def of(self) -> int:
        """The number of gradients that were asked for."""
        return sum(verdict != "data" for verdict in self.verdicts.values())

    def __str__(self) -> str:
        if self.error:
            return f"{self.submission}: {self.error}"
        points = " ".join(
            f"{name}={verdict.replace(' ', '-')}"
            for name, verdict in self.verdicts.items()
            if verdict != "data"
        )
        remarks = "; ".join([*self.sentences, *(["calls autograd"] if self.autograd else [])])
        return f"{self.submission}: {self.points}/{self.of} {points}" + (
            f" ({remarks})" if remarks else ""
        )


def pairs(forward: str, backward: str | None) -> list[tuple[str, str | None]]:
    """A pair of places for each file that the patterns before :: fit; UserError where they fit
    none, or not as many.
    """
    first = _files(forward)
    if backward is None:
        return [(place, None) for place in first]
    second = _files(backward)
    if len(first) != len(second):
        raise UserError(
            f"{forward} fits {len(first)} files and {backward} {len(second)}: they must fit the "
            "same"
        )
    return list(zip(first, second, strict=True))


def is_pattern(place: str) -> bool:
    """Whether it stands for several files."""
    return glob.has_magic(place.partition("::")[0])


def _files(place: str) -> list[str]:
    pattern, _, name = place.partition("::")
    # the shell's own patterns
    found = sorted(path for path in glob.glob(pattern) if path.endswith(".py"))  # noqa: PTH207
    if not found:
        raise UserError(f"{place}: no .py file fits {pattern}")
    return [f"{path}::{name}" for path in found]


def write(path: Path, found: list[Mark]) -> None:
    """A line for each submission: its points, the verdict of each input, what is wrong."""
    names = list(dict.fromkeys(name for mark in found for name in mark.verdicts))
    rows: list[list[object]] = [["submission", "points", "of", *names, "autograd", "remarks"]]
    for mark in found:
        remarks = mark.error or "; ".join(mark.sentences)
        autograd = "" if mark.error else "yes" if mark.autograd else "no"
        verdicts = [mark.verdicts.get(name, "") for name in names]
        points = ("", "") if mark.error else (mark.points, mark.of)
        rows.append([mark.submission, *points, *verdicts, autograd, remarks])
    files.write_out(path, files.as_csv(rows), "--csv")
