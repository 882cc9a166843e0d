"""python -m scripts.page: a page on which a run's trained network reads a digit that you draw."""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from scripts.common import command_line
from scripts.common.command_line import shown_as
from scripts.common.program import loading, status

EXAMPLES = {
    "the page of a run that `make train` left": "runs/lecture",
    "under another name": "runs/lecture --out digit.html",
}


@dataclass(frozen=True)
class Options:
    """Draw a digit and see what a trained network makes of it: outputs, hidden units, backward.

    The page is one file that needs nothing else. On it the hand-written network of a run on MNIST
    can also learn what you draw, by one update at a time.
    """

    run: Annotated[Path, tyro.conf.Positional, shown_as("RUN")]
    """Folder of the run, as scripts.train left it."""
    out: Annotated[Path | None, shown_as("PATH")] = None
    """File to write; by default digit.html in the run's folder."""


def main() -> int:
    """Status 0 with the page, 2 for what the user can mend."""
    options = command_line.parse(Options, "scripts.page", EXAMPLES)
    with loading():
        from scripts.pages.digit import write
    return status(lambda: write(options))


if __name__ == "__main__":
    sys.exit(main())
