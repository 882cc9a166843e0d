"""One submission or many, judged as the command line asks.

A submission is examined in a process of its own, which has its code at hand and so can say best
what is wrong. That nothing is wrong it is not believed: a judge, in whose process none of the code
ever runs, asks that one for the numbers of forward and backward, and holds them against the
reference or finite differences itself.
"""

import dataclasses
import json
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from scripts.check import Options
from scripts.checking import many
from scripts.checking.loading import (
    FAILURES,
    Loader,
    drawn,
    in_a_line,
    takes_arrays,
    with_arguments,
)
from scripts.checking.messages import Described, Examined
from scripts.checking.submission import Apart, Lost, Remote
from scripts.common.program import UserError, as_typed, printable, require_whole_number
from torch_ref.check import Report, check_gradients
from torch_ref.check.checker import SEEDED, Check
from torch_ref.check.recognition import recognise
from torch_ref.forms.subject import Subject


def judge(options: Options) -> int:
    """Print what is found; 0 where all is right, else 1."""
    _valid(options)
    return _many(options) if many.is_pattern(options.forward) else _one(options)


def _one(options: Options) -> int:
    if options.csv is not None:
        raise UserError(
            f"--csv {options.csv}: is for many submissions, such as submissions/*.py::forward"
        )
    report = verdict(options)
    if options.json:
        print(report.as_json())
    else:
        print(*map(printable, str(report).splitlines()), sep="\n")
    return 0 if report.ok else 1


def verdict(options: Options) -> Report:
    """The report on one submission. UserError where it cannot be judged."""
    try:
        with Apart(lambda: _examine(options), options.timeout) as submission:
            report, form = _examined(submission.receive(Examined))
            if report.ok:
                # autograd begins threads where there is a GPU, and of a process that has, no fork
                # can use it: the next submission's would be one
                with Apart(lambda: _confirm(options, submission, form), options.timeout) as it:
                    error = it.receive(Examined).error
                if error:
                    raise UserError(error)
    except Lost as lost:
        raise _not_judged(options, lost) from None
    return refused(report) if options.no_autograd and report.autograd else report


def _not_judged(options: Options, why: object) -> UserError:
    file, _, _ = options.forward.partition("::")
    return UserError(f"{file}: could not be judged: {why}")


def _examined(examined: Examined) -> tuple[Report, Described]:
    """UserError with the error that it met."""
    if examined.error:
        raise UserError(printable(examined.error))
    if examined.report is None or examined.form is None:
        raise Lost("its process sends what is no answer")
    return examined.report, examined.form


def _confirm(options: Options, submission: Apart, described: Described) -> tuple[Examined, None]:
    """UserError unless numbers alone say the same: that all is right."""
    reference = None if options.reference is None else Loader().reference(options.reference)
    try:
        form = Remote(submission, described)
        given = form.arguments.given
        for x in _drawn(options):
            if not any(
                x.shape == value.shape and torch.equal(x.to(value), value)
                for value in given.values()
            ):
                raise _not_judged(
                    options, "its process was given other inputs than those that were drawn"
                )
        ranges = dict.fromkeys(
            (name for name, x in given.items() if x.is_floating_point()), options.between
        )
        domain = {name: bounds for name, bounds in ranges.items() if bounds is not None}
        report = Check(form, reference, seed=options.seed).report(set(options.data), set(), domain)
    except UserError:
        raise
    except Lost as lost:
        raise _not_judged(options, lost) from None
    except FAILURES as error:
        raise _not_judged(options, printable(in_a_line(error))) from error
    if not report.ok:
        found = "; ".join(dict.fromkeys(report.diagnosis.values()))
        raise _not_judged(
            options,
            f"its own process found all right, but by its numbers {printable(found)}",
        )
    return Examined(), None


def _examine(options: Options) -> tuple[Examined, Subject]:
    """In the submission's process: the report, and what can be asked for numbers."""
    loader = Loader()
    forward = loader.named(options.forward)
    backward = None if options.backward is None else loader.named(options.backward)
    reference = None if options.reference is None else loader.reference(options.reference)
    inputs = _inputs(options, loader, forward)
    with torch.enable_grad():  # whatever the file has set
        report = check_gradients(
            forward,
            backward,
            inputs,
            reference,
            data=options.data,
            domain=options.between,
            seed=options.seed,
        )
        subject = Subject(recognise(forward, backward, inputs))
        subject.seeded = SEEDED in report.notes
        given = subject.given
        calls = subject.calls_of_forward(given, torch.ones_like(subject.forward(given)))
    if calls > 1:
        report.notes.append(f"backward calls forward {calls} times: are these finite differences?")
    return Examined(report, Described.of(subject.form)), subject


def refused(report: Report) -> Report:
    """Nothing in it counts: autograd did the work."""
    rows = [
        row if row.verdict == "data" else dataclasses.replace(row, verdict="autograd")
        for row in report.rows
    ]
    sentence = "backward calls torch.autograd: write it by hand"
    return dataclasses.replace(
        report, rows=rows, diagnosis={"autograd": sentence, **report.diagnosis}
    )


def _drawn(options: Options) -> list[Tensor]:
    if not options.shape:
        return []
    return drawn(
        options.shape, options.between, options.labels, getattr(torch, options.dtype), options.seed
    )


def _inputs(options: Options, loader: Loader, forward: Any) -> Any:
    if not options.shape:
        own = loader.own_inputs(options.forward)
        if own is not None:
            return own
        file = options.forward.partition("::")[0]
        also = "" if options.backward else f", and {file}::backward after FORWARD unless it has one"
        raise UserError(
            "--shape: give one for each input of forward, such as --shape 8 5 --shape 5 3, or a "
            f"function inputs() in {file}"
            f"{also}"
        )
    given = with_arguments(forward, list[Any](_drawn(options)), options.argument)
    if options.arrays == "numpy" or (
        options.arrays == "auto" and takes_arrays(forward, list(given))
    ):
        return tuple(value.numpy() if isinstance(value, Tensor) else value for value in given)
    return given


def _valid(options: Options) -> None:
    for shape in options.shape:
        if any(size < 1 for size in shape):
            raise UserError(f"--shape {as_typed(shape)}: must be whole numbers of at least 1")
    low, high = options.between or (0.0, 1.0)
    if (
        not low < high
        or max(-low, high, high - low) > torch.finfo(getattr(torch, options.dtype)).max
    ):
        raise UserError(
            f"--between {low} {high}: the first number must be the smaller, both finite in "
            f"{options.dtype}"
        )
    if options.labels is not None and not 1 <= options.labels < 2**63:
        raise UserError(
            f"--labels {options.labels}: must be a whole number of at least 1 that fits 64 bits"
        )
    require_whole_number("--seed", options.seed, 0, 2**63 - 1)
    if not 0 < options.timeout < 1e6:
        raise UserError(f"--timeout {options.timeout}: must be a number of seconds above 0")


def _many(options: Options) -> int:
    """A line for each submission, as soon as it is there; 0 where all are right, else 1."""
    if options.csv is not None:
        many.write(Path(options.csv), [])  # before the work: it can be written
    found = []
    for forward, backward in many.pairs(options.forward, options.backward):
        mark = _mark(dataclasses.replace(options, forward=forward, backward=backward))
        print(json.dumps(vars(mark)) if options.json else printable(str(mark)), flush=True)
        found.append(mark)
        if options.csv is not None:
            many.write(Path(options.csv), found)
    return 0 if all(mark.ok for mark in found) else 1


def _mark(options: Options) -> many.Mark:
    submission = options.forward.partition("::")[0]
    try:
        report = verdict(options)
    except UserError as error:
        said = str(error).removeprefix(f"{submission}: ")
        return many.Mark(submission, {}, [], autograd=False, error=said)
    verdicts = {row.name: row.verdict for row in report.rows}
    sentences = list(dict.fromkeys(report.diagnosis.values()))
    return many.Mark(submission, verdicts, sentences, autograd=report.autograd)
