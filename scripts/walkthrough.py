"""python -m scripts.walkthrough: backpropagation with numbers, by hand and by autograd, beside the lecture's own."""

import dataclasses
import io
import math
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from manual.activations import Activation
from manual.losses import Loss
from scripts.harness import command_line, files
from scripts.harness.command_line import shown_as
from scripts.harness.program import UserError, status, whole, words
from scripts.walk import classification, lecture, refresher
from scripts.walk.classroom import ENDINGS, seeds_of, write_class
from scripts.walk.derivation import Walk
from scripts.walk.exercise import fresh
from scripts.walk.notebook import as_notebook
from scripts.walk.page import as_page
from scripts.walk.record import Document
from scripts.walk.render import as_json, as_markdown, as_text
from scripts.walk.sheet import as_sheet

FORMATS = {"text": as_text, "markdown": as_markdown, "json": as_json, "html": as_page, "notebook": as_notebook}

SHEETS = {"html": as_sheet}  # of an exercise, where it is not what FORMATS makes of a solution
OF_EXERCISES = {"activations", "loss", "seed", "seeds", "exercise"}  # options
LARGEST_DRAWN = (4, 4, 3)  # units
EXAMPLES = {
    "an exercise with its solution": "--sizes 3 4 2 --activations tanh sigmoid --loss mse",
    "its sheet, to print": "--sizes 3 4 2 --exercise --format html --out sheet.html",
    "the lecture's example as a page to step through, to change and to break": "--format html --out page.html",
    "sheets, solutions and an answer key for a class": "--sizes 2 2 1 --format html --seeds 1..60 --out exercises",
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
    seeds: Annotated[str | None, shown_as("FIRST..LAST")] = None
    """An exercise for each of these: sheets, solutions and an answer key (CSV) in the new folder --out."""
    exercise: bool = False
    """Leave the solution out; in html a sheet of one page to print and to write on."""
    update: bool = True
    """Stop at the gradients."""
    lr: float = 0.5
    """Learning rate of the update at the end, the slides' eta."""
    format: Annotated[str, shown_as("NAME", FORMATS)] = "text"
    """text for a terminal, markdown with LaTeX formulas to paste, json with every number in full, html for a browser:
    a page whose network can be stepped through, changed and broken; notebook (Jupyter) for the lecture's path."""
    out: Annotated[Path | None, shown_as("PATH")] = None
    """File to write, instead of printing; with --seeds a new folder."""


def main() -> int:
    """Status 0, or 2 for what the user can mend."""
    options = command_line.parse(Options, "scripts.walkthrough", EXAMPLES)
    return status(lambda: walk(options))


def walk(options: Options) -> None:
    """Check the options, then print or write the document, or those of a class."""
    check(options)
    if options.seeds:
        every = {seed: document(dataclasses.replace(options, seed=seed)) for seed in seeds_of(options.seeds)}
        solution = FORMATS[options.format]
        write_class(every, SHEETS.get(options.format, solution), solution, ENDINGS[options.format], options.out or Path())
        return
    written = (SHEETS if options.exercise and options.format in SHEETS else FORMATS)[options.format](document(options))
    if options.out:
        save(options.out, written)
        return
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(encoding="utf-8")  # the formulas need it, whatever the locale
    print(written)


def save(path: Path, text: str) -> None:
    """UserError where it can't be written."""
    try:
        files.write(path, text.encode())
    except OSError as error:
        raise UserError(f"--out {path}: cannot be written ({error.strerror}); name another") from error


def check(options: Options) -> None:
    """UserError names an option whose value will not do, or that has no meaning without --sizes."""
    if options.format not in FORMATS:
        raise UserError(f"--format {options.format}: choose from {', '.join(FORMATS)}")
    if not (math.isfinite(options.lr) and options.lr > 0):
        raise UserError(f"--lr {options.lr}: must be a finite number above 0, such as 0.5")
    whole("--seed", options.seed, 0, 2**63 - 1)
    if not options.sizes:
        for field in dataclasses.fields(options):
            if field.name in OF_EXERCISES and getattr(options, field.name) != field.default:
                raise UserError(f"--{field.name}: is for an exercise of your own; name its network, such as --sizes 3 4 2")
    check_form(options)


def check_form(options: Options) -> None:
    """UserError for a form that has no room for this network, or for files without a place."""
    if options.format == "html" and options.sizes and not drawable(options.sizes):
        raise UserError(f"--sizes {words(options.sizes)}: html draws three sizes of at most 4, 4 and 3; take another --format")
    if options.format == "notebook" and (options.sizes or not options.update):
        raise UserError("--format notebook: is of the lecture's own path; leave --sizes and --no-update out")
    if options.seeds:
        seeds_of(options.seeds)
        if options.seed or options.exercise:
            raise UserError("--seeds: names all seeds, and writes sheets and solutions; leave --seed and --exercise out")
        if not options.out:
            raise UserError("--seeds: writes many files; name a new folder, such as --out exercises")


def drawable(sizes: tuple[int, ...]) -> bool:
    """Whether the numbers have room in a drawing: inputs, one hidden layer, outputs."""
    return len(sizes) == 3 and all(size <= most for size, most in zip(sizes, LARGEST_DRAWN, strict=True))


def document(options: Options) -> Document:
    """The lecture's walkthrough, or an exercise of these options."""
    if not options.sizes:
        example = lecture.worked_example(options.lr)
        sections = (*Walk(example).sections(), *refresher.sections(), *classification.sections())
        solved = Document("Backpropagation with the lecture's numbers", example.given(), sections, lecture.ERRATA)
        return solved if options.update else solved.without_update()
    try:
        example = fresh(options.sizes, options.activations, options.loss, options.seed, options.lr)
        sections = Walk(example).sections()
    except ValueError as error:
        raise UserError(f"--{error}") from None
    solved = Document(f"Backpropagation by hand, exercise {options.seed}", example.given(), sections)
    solved = solved if options.update else solved.without_update()
    return solved.without_solution() if options.exercise else solved


if __name__ == "__main__":
    sys.exit(main())
