"""All that the checker tells of each mistake and each planted fault, word for word: told.txt. First
where it can trace forward or has a reference, then where it has the slopes of forward alone.

`python -m tests.check.told` writes that file anew; read what has changed in it.
"""

import functools
import re
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from tests.check.functions import RIGHT, Function
from tests.check.mistakes import MISTAKES, Mistake
from tests.check.planted import CHANGED, PLANTED, Changed, Planted
from torch_ref.check import check_gradients
from torch_ref.evidence.report import Report

SHEET = Path(__file__).with_name("told.txt")
Wrong = Mistake | Planted | Changed
WRONG: list[Wrong] = [*MISTAKES, *PLANTED, *CHANGED]
ROUNDING = re.compile(r"off by \S+ of")  # each processor has its own
OUT_OF_SIGHT = ", out of sight"  # of torch, and of a reference
DECIMALS = re.compile(r"-?\d+\.\d+")


def hidden(forward: Function) -> Function:
    """The same, computed outside torch and NumPy as far as they can see: no graph of it is had."""

    # the names of its inputs alone: a function that says it is NumPy's is taken for that
    @functools.wraps(forward, assigned=())
    def out_of_sight(*inputs: Any) -> Any:
        return forward(*map(_copied, inputs))

    return out_of_sight


def _copied(x: Any) -> Any:
    if isinstance(x, Tensor):
        return torch.tensor(x.tolist(), dtype=x.dtype)
    return np.frombuffer(x.tobytes(), x.dtype).reshape(x.shape)


def report_of(wrong: Wrong, *, out_of_sight: bool = False) -> Report:
    """What the checker says of it; out_of_sight: by the slopes of a forward that it can't trace."""
    reference: Function | None
    if isinstance(wrong, Planted):
        case = RIGHT[wrong.function]
        inputs = case.inputs(np.random.default_rng(0), 1.0)
        forward, backward, reference = case.forward, wrong.backward, case.reference
    else:
        forward, inputs = wrong.forward, wrong.inputs
        backward, reference = (
            (wrong.wrong, wrong.reference)
            if isinstance(wrong, Mistake)
            else (wrong.backward, wrong.forward)
        )
    if out_of_sight:
        forward, reference = hidden(forward), None
    return check_gradients(forward, backward, inputs, reference)


def told(name: str, report: Report) -> str:
    """The name, the verdict of each input, each sentence once, the notes; three digits of numbers
    that are no integers.
    """
    sentences = [*dict.fromkeys(report.diagnosis.values()), *report.notes]
    verdicts = "; ".join(f"{row.name} {row.verdict}" for row in report.rows)
    lines = ROUNDING.sub("off by ... of", "\n   ".join([f"{name} | {verdicts}", *sentences]))
    return DECIMALS.sub(lambda found: f"{float(found[0]):.3g}", lines)


def sheet() -> dict[str, str]:
    """What stands in the file, by name."""
    parts = SHEET.read_text().removeprefix("== ").removesuffix("\n").split("\n== ")
    return {part.split(" | ")[0]: part for part in parts}


if __name__ == "__main__":
    torch.set_num_threads(1)
    parts = [
        told(each.name + OUT_OF_SIGHT * hides, report_of(each, out_of_sight=hides))
        for hides in (False, True)
        for each in WRONG
    ]
    SHEET.write_text("".join(f"== {part}\n" for part in parts))
