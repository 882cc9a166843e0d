"""One submission or many, checked as the command line asks."""

import dataclasses
import json
import sys
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from scripts.check import Options
from scripts.checking import many
from scripts.checking.loading import FAILURES, Loader, drawn, in_a_line, takes_arrays, with_arguments
from scripts.harness.program import UserError, whole, words
from torch_ref.check import Report, check_gradients


def judge(options: Options) -> int:
    """0 where all is right, else 1."""
    return _many(options) if many.is_pattern(options.forward) else verdict(options)


def verdict(options: Options) -> int:
    """Print it; 0 where all is right, else 1."""
    _valid(options)
    if options.csv is not None:
        raise UserError(f"--csv {options.csv}: is for many submissions, such as submissions/*.py::forward")
    with redirect_stdout(sys.stderr if options.json else sys.stdout):  # what the user's code prints is no JSON
        report = check(options)
    if report.autograd and options.no_autograd:
        report = refused(report)
    print(report.as_json() if options.json else report)
    return 0 if report.ok else 1


def refused(report: Report) -> Report:
    """Nothing in it counts: autograd did the work."""
    rows = [row if row.verdict == "data" else dataclasses.replace(row, verdict="autograd") for row in report.rows]
    sentence = "backward calls torch.autograd: write it by hand"
    return dataclasses.replace(report, rows=rows, diagnosis={"autograd": sentence, **report.diagnosis})


def check(options: Options) -> Report:
    """The report; UserError for an option that will not do, or a function of the user's that cannot be called."""
    loader = Loader()
    forward = loader.named(options.forward)
    backward = None if options.backward is None else loader.named(options.backward)
    reference = None if options.reference is None else loader.reference(options.reference)
    inputs = _inputs(options, loader, forward)
    try:
        return check_gradients(
            forward, backward, inputs, reference, data=options.data, domain=options.between, seed=options.seed
        )
    except FAILURES as error:
        raise UserError(in_a_line(error)) from error


def _inputs(options: Options, loader: Loader, forward: Any) -> Any:
    if not options.shape:
        own = loader.own_inputs(options.forward)
        if own is not None:
            return own
        file = options.forward.partition("::")[0]
        also = "" if options.backward else f", and {file}::backward after FORWARD unless it has one"
        raise UserError(
            f"--shape: give one for each input of forward, such as --shape 8 5 --shape 5 3, or a function inputs() in {file}"
            f"{also}"
        )
    arrays: list[Any] = drawn(options.shape, options.between, options.labels, getattr(torch, options.dtype), options.seed)
    given = with_arguments(forward, arrays, options.argument)
    if options.arrays == "numpy" or (options.arrays == "auto" and takes_arrays(forward, list(given))):
        return tuple(value.numpy() if isinstance(value, Tensor) else value for value in given)
    return given


def _valid(options: Options) -> None:
    for shape in options.shape:
        if any(size < 1 for size in shape):
            raise UserError(f"--shape {words(shape)}: must be whole numbers of at least 1")
    low, high = options.between or (0.0, 1.0)
    if not low < high or max(-low, high, high - low) > torch.finfo(getattr(torch, options.dtype)).max:
        raise UserError(f"--between {low} {high}: the first number must be the smaller, both finite in {options.dtype}")
    if options.labels is not None and not 1 <= options.labels < 2**63:
        raise UserError(f"--labels {options.labels}: must be a whole number of at least 1 that fits 64 bits")
    whole("--seed", options.seed, 0, 2**63 - 1)


def _many(options: Options) -> int:
    """A line for each submission, as soon as it is there; 0 where all are right, else 1."""
    _valid(options)
    if not 0 < options.timeout < 1e6:
        raise UserError(f"--timeout {options.timeout}: must be a number of seconds above 0")
    if options.csv is not None:
        many.write(Path(options.csv), [])  # before the work: it can be written
    found = []
    for mark in many.marks(many.pairs(options.forward, options.backward), _words(options), options.timeout):
        print(json.dumps(vars(mark)) if options.json else mark)
        found.append(mark)
        if options.csv is not None:
            many.write(Path(options.csv), found)
    return 0 if all(mark.ok for mark in found) else 1


def _words(options: Options) -> list[str]:
    """The options of one submission as they are typed."""
    typed = ["--arrays", options.arrays, "--dtype", options.dtype, "--seed", str(options.seed)]
    for shape in options.shape:
        typed += ["--shape", *map(str, shape)]
    for argument in options.argument:
        typed += ["--argument", argument]
    if options.reference is not None:
        typed += ["--reference", options.reference]
    if options.labels is not None:
        typed += ["--labels", str(options.labels)]
    if options.between is not None:
        typed += ["--between", *map(str, options.between)]
    if options.data:
        typed += ["--data", *options.data]
    return typed + ["--no-autograd"] * options.no_autograd
