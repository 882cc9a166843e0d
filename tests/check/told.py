"""All that the checker tells of each mistake and each planted fault, word for word: told.txt.

`python -m tests.check.told` writes that file anew; read what has changed in it.
"""

import re
from pathlib import Path

import numpy as np

from tests.check.functions import RIGHT
from tests.check.mistakes import MISTAKES, Mistake
from tests.check.planted import PLANTED, Planted
from torch_ref.check import check_gradients
from torch_ref.evidence.report import Report

SHEET = Path(__file__).with_name("told.txt")
WRONG: list[Mistake | Planted] = [*MISTAKES, *PLANTED]
ROUNDING = re.compile(r"off by \S+ of")  # each processor has its own


def report_of(wrong: Mistake | Planted) -> Report:
    """What the checker says of it."""
    if isinstance(wrong, Mistake):
        return check_gradients(wrong.forward, wrong.wrong, wrong.inputs, wrong.reference)
    case = RIGHT[wrong.function]
    arrays = case.inputs(np.random.default_rng(0), 1.0)
    return check_gradients(case.forward, wrong.backward, arrays, case.reference)


def told(wrong: Mistake | Planted, report: Report) -> str:
    """Its name, the verdict of each input, each sentence once, the notes."""
    sentences = [*dict.fromkeys(report.diagnosis.values()), *report.notes]
    verdicts = "; ".join(f"{row.name} {row.verdict}" for row in report.rows)
    lines = "\n   ".join([f"{wrong.name} | {verdicts}", *sentences])
    return ROUNDING.sub("off by ... of", lines)


def sheet() -> dict[str, str]:
    """What stands in the file, by name."""
    parts = SHEET.read_text().removeprefix("== ").removesuffix("\n").split("\n== ")
    return {part.split(" | ")[0]: part for part in parts}


if __name__ == "__main__":
    parts = (told(each, report_of(each)) for each in WRONG)
    SHEET.write_text("".join(f"== {part}\n" for part in parts))
