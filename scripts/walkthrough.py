"""python -m scripts.walkthrough: backpropagation with numbers, by hand and by autograd, beside the
lecture's own.
"""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal, TypeAlias, get_args

from scripts.common import command_line
from scripts.common.command_line import shown_as
from scripts.common.program import loading, status
from scripts.run.names import names

EXAMPLES = {
    "an exercise with its solution": "--sizes 3 4 2 --activations tanh sigmoid --loss mse",
    "its sheet, to print": "--sizes 3 4 2 --exercise --format html --out sheet.html",
    "the lecture's example as a page to step through, to change and to break": (
        "--format html --out page.html"
    ),
    "sheets, solutions and an answer key for a class": (
        "--sizes 2 2 1 --format html --seeds 1..60 --out exercises"
    ),
}


Format: TypeAlias = Literal["text", "markdown", "json", "html", "notebook"]


@dataclass(frozen=True)
class Options:
    """Backpropagation with numbers: each step as a formula, by hand and by autograd.

    Without options: the lecture's 2-2-1 example, then its other numbers, with remarks at the slips
    of its slides.
    """

    sizes: Annotated[tuple[int, ...], shown_as("INT ...")] = ()
    """Units per layer, inputs first: a fresh exercise for this network instead, with its
    solution.
    """
    activations: Annotated[tuple[str, ...], shown_as("NAME ...", names("Activation"))] = (
        "sigmoid",
    )
    """One per layer; or one for all, after which a loss of logits (cross-entropy) still gets its
    last layer linear.
    """
    loss: Annotated[str, shown_as("NAME", names("Loss"))] = "half-squared"
    """The divergence of output and target."""
    seed: int = 0
    """Another seed, another exercise."""
    seeds: Annotated[str | None, shown_as("FIRST..LAST")] = None
    """An exercise for each of these: sheets, solutions and an answer key (CSV) in the new folder
    --out.
    """
    exercise: bool = False
    """Leave the solution out; in html a sheet of one page to print and to write on."""
    no_update: bool = False
    """Stop at the gradients."""
    derive: bool = False
    """Write each step as one formula in x, w, b and t too; for up to 30 parameters, as of
    3 4 2.
    """
    lr: float = 0.5
    """Learning rate of the update at the end, the slides' eta."""
    format: Annotated[Format, shown_as("NAME", get_args(Format))] = "text"
    """text for a terminal, markdown with LaTeX formulas to paste, json with every number in full,
    html for a browser: a page whose network can be stepped through, changed and broken; notebook
    (Jupyter) for the lecture's path."""
    out: Annotated[Path | None, shown_as("PATH")] = None
    """File to write, instead of printing; with --seeds a new folder."""


def main() -> int:
    """Status 0, or 2 for what the user can mend."""
    options = command_line.parse(Options, "scripts.walkthrough", EXAMPLES)
    with loading():
        from scripts.walk.document import walk
    return status(lambda: walk(options))


if __name__ == "__main__":
    sys.exit(main())
