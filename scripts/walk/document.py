"""What scripts.walkthrough writes: a document in a form, or the sheets, solutions and key of a
class.
"""

import dataclasses
import io
import math
import sys
from pathlib import Path

from scripts.common import files
from scripts.common.program import UserError, as_typed, printable, require_whole_number
from scripts.walk import classification, lecture, refresher, symbolic
from scripts.walk.classroom import ENDINGS, KEY, seeds_of, write_class
from scripts.walk.derivation import Walk
from scripts.walk.exercise import fresh
from scripts.walk.notebook import as_notebook
from scripts.walk.page import as_page
from scripts.walk.record import Document
from scripts.walk.render import as_json, as_markdown, as_text
from scripts.walk.sheet import as_sheet
from scripts.walkthrough import Options

FORMATS = {
    "text": as_text,
    "markdown": as_markdown,
    "json": as_json,
    "html": as_page,
    "notebook": as_notebook,
}
SHEETS = {"html": as_sheet}  # of an exercise, where it is not what FORMATS makes of a solution
OF_EXERCISES = {"activations", "loss", "seed", "seeds", "exercise"}  # options
LARGEST_DRAWN = (4, 4, 3)  # units


def walk(options: Options) -> None:
    """Check the options, then print or write the document, or those of a class."""
    check(options)
    if options.seeds:
        every = {
            seed: document(dataclasses.replace(options, seed=seed))
            for seed in seeds_of(options.seeds)
        }
        solution = FORMATS[options.format]
        write_class(
            every,
            SHEETS.get(options.format, solution),
            solution,
            ENDINGS[options.format],
            options.out or Path(),
        )
        folder = printable(str(options.out))
        print(f"{len(every)} sheets, as many solutions and {KEY} written to {folder}")
        return
    written = (SHEETS if options.exercise and options.format in SHEETS else FORMATS)[
        options.format
    ](document(options))
    if options.out:
        files.write_out(options.out, written)
        if options.out.is_file():  # and no pipe, in which it would stand below the document
            how = ": open it in a browser" if options.format == "html" else ""
            print(f"written to {printable(str(options.out))}{how}")
        return
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(encoding="utf-8")  # the formulas need it, whatever the locale
    print(written)


def check(options: Options) -> None:
    """UserError names an option whose value will not do, or that has no meaning without --sizes."""
    if options.format not in FORMATS:
        raise UserError(f"--format {options.format}: choose from {', '.join(FORMATS)}")
    if not (math.isfinite(options.lr) and options.lr > 0):
        raise UserError(f"--lr {options.lr}: must be a finite number above 0, such as 0.5")
    require_whole_number("--seed", options.seed, 0, 2**63 - 1)
    if not options.sizes:
        for field in dataclasses.fields(options):
            if field.name in OF_EXERCISES and getattr(options, field.name) != field.default:
                raise UserError(
                    f"--{field.name}: is for an exercise of your own; name its network, such as "
                    "--sizes 3 4 2"
                )
    check_form(options)


def check_form(options: Options) -> None:
    """UserError for a form that has no room for this network, or for files without a place."""
    if options.format == "html" and options.sizes and not drawable(options.sizes):
        raise UserError(
            f"--sizes {as_typed(options.sizes)}: html draws three sizes of at most 4, 4 and 3; "
            "take another --format"
        )
    if options.format == "notebook" and (options.sizes or options.no_update):
        raise UserError(
            "--format notebook: is of the lecture's own path; leave --sizes and --no-update out"
        )
    if options.derive and options.format in {"html", "notebook"}:
        raise UserError(f"--derive: has no place in {options.format}; take text, markdown or json")
    if options.seeds:
        seeds_of(options.seeds)
        if options.seed or options.exercise:
            raise UserError(
                "--seeds: names all seeds, and writes sheets and solutions; leave --seed and "
                "--exercise out"
            )
        if not options.out:
            raise UserError(
                "--seeds: writes many files; name a new folder, such as --out exercises"
            )


def drawable(sizes: tuple[int, ...]) -> bool:
    """Whether the numbers have room in a drawing: inputs, one hidden layer, outputs."""
    return len(sizes) == 3 and all(
        size <= most for size, most in zip(sizes, LARGEST_DRAWN, strict=True)
    )


def document(options: Options) -> Document:
    """The lecture's walkthrough, or an exercise of these options."""
    if not options.sizes:
        example = lecture.worked_example(options.lr)
        sections = (*Walk(example).sections(), *refresher.sections(), *classification.sections())
        solved = Document(
            "Backpropagation with the lecture's numbers", example.given(), sections, lecture.ERRATA
        )
        solved = symbolic.derive(solved, example) if options.derive else solved
        return solved.without_update() if options.no_update else solved
    try:
        example = fresh(options.sizes, options.activations, options.loss, options.seed, options.lr)
        solved = Document(
            f"Backpropagation by hand, exercise {options.seed}",
            example.given(),
            Walk(example).sections(),
        )
        solved = symbolic.derive(solved, example) if options.derive else solved
    except ValueError as error:
        raise UserError(f"--{error}") from None
    solved = solved.without_update() if options.no_update else solved
    return solved.without_solution() if options.exercise else solved
