"""The document that scripts.walkthrough prints."""

import dataclasses
import io
import math
import sys

from scripts.harness.program import UserError, whole
from scripts.walk import classification, lecture, refresher
from scripts.walk.derivation import Walk
from scripts.walk.exercise import fresh
from scripts.walk.record import Document
from scripts.walk.render import FORMATS
from scripts.walkthrough import Options


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
        return Document("Backpropagation with the lecture's numbers", example.given(), sections, lecture.ERRATA)
    try:
        example = fresh(options.sizes, options.activations, options.loss, options.seed, options.lr)
        sections = Walk(example).sections()
    except ValueError as error:
        raise UserError(f"--{error}") from None
    solved = Document(f"Backpropagation by hand, exercise {options.seed}", example.given(), sections)
    return solved.without_solution() if options.exercise else solved
