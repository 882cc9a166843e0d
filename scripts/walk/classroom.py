"""Sheets, solutions and an answer key for a class: a seed for each student."""

import re
from collections.abc import Callable, Mapping
from pathlib import Path

from scripts.common import files
from scripts.common.program import UserError
from scripts.run import folder
from scripts.walk.record import Document

ENDINGS = {"text": "txt", "markdown": "md", "json": "json", "html": "html"}
KEY = "key.csv"
MOST = 1000


def seeds_of(text: str) -> range:
    """1..60 as a range of seeds. UserError for what is none, or for too many."""
    found = re.fullmatch(r"(\d{1,18})\.\.(\d{1,18})", text)
    seeds = range(int(found[1]), int(found[2]) + 1) if found else range(0)
    if not 0 < len(seeds) <= MOST:
        raise UserError(
            f"--seeds {text}: must be the first and the last of at most {MOST}, such as 1..60"
        )
    return seeds


def write_class(
    documents: Mapping[int, Document],
    sheet: Callable[[Document], str],
    solution: Callable[[Document], str],
    ending: str,
    out: Path,
) -> None:
    """sheet-SEED and solution-SEED for each, and key.csv: seed, name of the number, number.
    UserError for a folder in use.
    """
    folder.check_new(out)
    out.mkdir(parents=True, exist_ok=True)
    width = len(str(max(documents)))
    rows: list[tuple[object, ...]] = [("seed", "name", "value")]
    for seed, document in documents.items():
        files.write(
            out / f"sheet-{seed:0{width}}.{ending}", sheet(document.without_solution()).encode()
        )
        files.write(out / f"solution-{seed:0{width}}.{ending}", solution(document).encode())
        rows += [(seed, step.name, step.by_hand) for step in document.steps()]
    files.write(out / KEY, files.as_csv(rows).encode())
