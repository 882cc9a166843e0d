"""python -m scripts.walkthrough: backpropagation with numbers, by hand and by autograd, beside the lecture's own."""

import sys
from dataclasses import dataclass
from typing import Annotated, Literal, TypeAlias, get_args

from scripts.harness import command_line
from scripts.harness.command_line import shown_as
from scripts.harness.names import names
from scripts.harness.program import loading, status

EXAMPLES = {
    "the lecture's example, and its other numbers": "",
    "an exercise with its solution": "--sizes 3 4 2 --activations tanh sigmoid --loss mse",
    "its sheet, to hand out": "--sizes 3 4 2 --activations tanh sigmoid --loss mse --exercise",
}


Format: TypeAlias = Literal["text", "markdown", "json"]


@dataclass(frozen=True)
class Options:
    """Backpropagation with numbers: each step as a formula, by hand and by autograd.

    Without options: the lecture's 2-2-1 example, then its other numbers, with remarks at the slips of its slides.
    """

    sizes: Annotated[tuple[int, ...], shown_as("INT ...")] = ()
    """Units per layer, inputs first: a fresh exercise for this network instead, with its solution."""
    activations: Annotated[tuple[str, ...], shown_as("NAME ...", names("Activation"))] = ("sigmoid",)
    """One per layer; or one for all, after which a loss of logits (cross-entropy) still gets its last layer linear."""
    loss: Annotated[str, shown_as("NAME", names("Loss"))] = "half-squared"
    """The divergence of output and target."""
    seed: int = 0
    """Another seed, another exercise."""
    exercise: bool = False
    """Leave the solution out."""
    lr: float = 0.5
    """Learning rate of the update at the end, the slides' eta."""
    format: Annotated[Format, shown_as("NAME", get_args(Format))] = "text"
    """text for a terminal, markdown with LaTeX formulas to paste, json with every number in full."""


def main() -> int:
    """Status 0, or 2 for what the user can mend."""
    options = command_line.parse(Options, "scripts.walkthrough", EXAMPLES)
    with loading():
        from scripts.walk.document import walk
    return status(lambda: walk(options))


if __name__ == "__main__":
    sys.exit(main())
