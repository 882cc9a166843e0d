"""The report of a check, as rows and sentences."""

import dataclasses
import json
import math
from dataclasses import dataclass, field
from typing import Any, NamedTuple

OK, DATA, MISSING, NOT_CHECKED = "ok", "data", "missing", "not checked"
FORWARD, BACKWARD = "forward", "backward"
VERDICTS = (  # names of mistakes
    "random", "state", "accumulates", "missing", "exception", "strides", "nan or inf", "kink",
    "zero", "mask", "exchanged", "transposed", "dy ignored", "f' missing", "f' twice", "z for y",
    "y for z", "derivative", "parentheses", "conjugate", "diagonal", "batch sum", "wrong axis",
    "shape", "factor", "dy overwritten", "order", "overwritten", "term", "factor of a term",
    "factor missing", "factor twice", "sign", "other value", "flipped", "repeated index",
    "two mistakes", "clipped", "part missing", "lower precision", "sizes", "wrong",
)  # fmt: skip


class Finding(NamedTuple):
    """A mistake: its name, one of VERDICTS, and a sentence."""

    verdict: str
    sentence: str


@dataclass(frozen=True)
class Row:
    """One input: the largest difference of its gradient from the expected one, over all points but
    those with a row of zeros or with equal entries, and the verdict.

    The figures are those of `compare`, in the input's dtype; nan where shapes differ or nothing was
    compared. of_torch: how many times as far off as torch's own gradient in that dtype, where a
    reference gives one; nan elsewhere.
    """

    name: str
    shape: tuple[int, ...]
    max_abs: float
    max_rel: float
    max_ulp: float
    verdict: str
    of_torch: float = math.nan


@dataclass(frozen=True)
class Report:
    """What `check_gradients` found. `diagnosis`: a sentence for each wrong input, and for "forward"
    if it is not the reference.

    `notes` say what could not be checked, and what is worth knowing though it is not wrong.
    `autograd`: a backward that is written by hand had torch.autograd do the work.
    """

    rows: list[Row]
    diagnosis: dict[str, str]
    notes: list[str] = field(default_factory=list)
    autograd: bool = False

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong."""
        return not self.diagnosis

    def __str__(self) -> str:
        head = ["input", "shape", "max abs", "max rel", "ulp", "verdict"]
        cells = [
            [
                row.name,
                str(row.shape),
                *map(_figure, (row.max_abs, row.max_rel, row.max_ulp)),
                row.verdict,
            ]
            for row in self.rows
        ]
        if any(row.of_torch == row.of_torch for row in self.rows):
            head.insert(5, "of torch's")
            for row, line in zip(self.rows, cells, strict=True):
                line.insert(5, _figure(row.of_torch))
        lines = [head, *cells]
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        table = [
            "  ".join(f"{cell:{width}}" for cell, width in zip(line, widths, strict=True)).rstrip()
            for line in lines
        ]
        sentences = dict.fromkeys(self.diagnosis.values())
        return "\n".join([*table, *sentences, *(f"note: {note}" for note in self.notes)])

    def as_json(self) -> str:
        """The report as JSON; null for a figure that is missing."""
        rows = [
            {key: _plain(value) for key, value in dataclasses.asdict(row).items()}
            for row in self.rows
        ]
        whole = {
            "ok": self.ok,
            "rows": rows,
            "diagnosis": self.diagnosis,
            "notes": self.notes,
            "autograd": self.autograd,
        }
        return json.dumps(whole, indent=2)


def _figure(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:.2g}"


def _plain(value: Any) -> Any:
    if isinstance(value, float):
        return None if math.isnan(value) else str(value) if math.isinf(value) else value
    return list(value) if isinstance(value, tuple) else value
