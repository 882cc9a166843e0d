"""python -m scripts.walkthrough: backpropagation with numbers, by hand and by autograd, beside the lecture's own."""

import dataclasses
import io
import math
import sys
from dataclasses import dataclass
from typing import Annotated

from manual.activations import Activation
from manual.losses import Loss
from scripts.harness import command_line
from scripts.harness.command_line import shown_as
from scripts.harness.program import UserError, status, whole
from scripts.walk import classification, lecture, refresher, symbolic
from scripts.walk.derivation import Walk
from scripts.walk.exercise import fresh
from scripts.walk.record import Document
from scripts.walk.render import FORMATS

EXAMPLES = {
    "the lecture's example, and its other numbers": "",
    "an exercise with its solution": "--sizes 3 4 2 --activations tanh sigmoid --loss mse",
    "its sheet, to hand out": "--sizes 3 4 2 --activations tanh sigmoid --loss mse --exercise",
}


@dataclass(frozen=True)
class Options:
    """Backpropagation with numbers: each step as a formula, by hand and by autograd.

    Without options: the lecture's 2-2-1 example, then its other numbers, with remarks at the slips of its slides.
    """

    sizes: Annotated[tuple[int, ...], shown_as("INT ...")] = ()
    """Units per layer, inputs first: a fresh exercise for this network instead, with its solution."""
    activations: Annotated[tuple[str, ...], shown_as("NAME ...", Activation.named())] = ("sigmoid",)
    """One per layer; or one for all, after which a loss of logits (cross-entropy) still gets its last layer linear."""
    loss: Annotated[str, shown_as("NAME", Loss.named())] = "half-squared"
    """The divergence of output and target."""
    seed: int = 0
    """Another seed, another exercise."""
    exercise: bool = False
    """Leave the solution out."""
    derive: bool = False
    """Write each step as one formula in w, x and t too, before any number is put in; for networks up to 3 4 2."""
    lr: float = 0.5
    """Learning rate of the update at the end, the slides' eta."""
    format: Annotated[str, shown_as("NAME", FORMATS)] = "text"
    """text for a terminal, markdown with LaTeX formulas to paste, json with every number in full."""


def main() -> int:
    """Status 0, or 2 for what the user can mend."""
    options = command_line.parse(Options, "scripts.walkthrough", EXAMPLES)
    return status(lambda: walk(options))


def walk(options: Options) -> None:
    """Check the options, then print the document."""
    check(options)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(encoding="utf-8")  # the formulas need it, whatever the locale
    print(FORMATS[options.format](document(options)))


def check(options: Options) -> None:
    """UserError names an option whose value will not do, or that has no meaning without --sizes."""
    if options.format not in FORMATS:
        raise UserError(f"--format {options.format}: choose from {', '.join(FORMATS)}")
    if not (math.isfinite(options.lr) and options.lr > 0):
        raise UserError(f"--lr {options.lr}: must be a finite number above 0, such as 0.5")
    whole("--seed", options.seed, 0, 2**63 - 1)
    if not options.sizes:
        for field in dataclasses.fields(options):
            if field.name in {"activations", "loss", "seed", "exercise"} and getattr(options, field.name) != field.default:
                raise UserError(f"--{field.name}: is for an exercise of your own; name its network, such as --sizes 3 4 2")


def document(options: Options) -> Document:
    """The lecture's walkthrough, or an exercise of these options."""
    if not options.sizes:
        example = lecture.worked_example(options.lr)
        sections = (*Walk(example).sections(), *refresher.sections(), *classification.sections())
        walked = Document("Backpropagation with the lecture's numbers", example.given(), sections, lecture.ERRATA)
        return symbolic.derive(walked, example) if options.derive else walked
    try:
        example = fresh(options.sizes, options.activations, options.loss, options.seed, options.lr)
        solved = Document(f"Backpropagation by hand, exercise {options.seed}", example.given(), Walk(example).sections())
        solved = symbolic.derive(solved, example) if options.derive else solved
    except ValueError as error:
        raise UserError(f"--{error}") from None
    return solved.without_solution() if options.exercise else solved


if __name__ == "__main__":
    sys.exit(main())
