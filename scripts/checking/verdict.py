"""One submission or many, judged as the command line asks.

A submission is examined in a process of its own, which has its code at hand and so can say best
what is wrong. Where it finds a gradient right it is not believed: a judge, in whose process none of
the code ever runs, asks it for the numbers of forward and backward, and holds these to the
reference or to finite differences itself.
"""

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
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
from torch_ref.check.inputs import Asked
from torch_ref.check.recognition import recognise
from torch_ref.evidence.report import NOT_CHECKED, OK
from torch_ref.forms.arguments import Arguments
from torch_ref.forms.subject import Subject
from torch_ref.forms.values import Leaf

ARRAYS = {"numpy", "torch"}  # kinds of leaves


def judge(options: Options) -> int:
    """Print what is found; 0 where all is right, 1 where something is wrong; of many that are not
    wrong 2 where one could not be judged. UserError where a single one could not.
    """
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
            if report.ok or any(row.verdict == OK for row in report.rows):
                # in a process of its own: with a GPU autograd starts threads, after which no fork,
                # such as the next submission's, can use it
                with Apart(lambda: _by_numbers(options, submission, form), options.timeout) as it:
                    report = _confirmed(options, report, it.receive(Examined))
    except Lost as lost:
        raise _not_judged(options, lost) from None
    return refused(report) if options.no_autograd and report.autograd else report


def _not_judged(options: Options, why: object) -> UserError:
    file, _, _ = options.forward.partition("::")
    return UserError(f"{file}: could not be judged: {why}")


def _examined(examined: Examined) -> tuple[Report, Described]:
    """What the submission's process sent. UserError where it met an error."""
    if examined.error:
        raise UserError(printable(examined.error))
    if examined.report is None or examined.form is None:
        raise Lost("its process sends what is no answer")
    return examined.report, examined.form


def _confirmed(options: Options, report: Report, judged: Examined) -> Report:
    """The report with the judge's rows for all that it calls right. UserError where it calls
    everything right, and the judge does not.
    """
    if report.ok and judged.error:
        raise UserError(judged.error)
    by_judge = judged.report or Report([], {})
    if report.ok and not by_judge.ok:
        found = "; ".join(dict.fromkeys(by_judge.diagnosis.values()))
        raise _not_judged(
            options,
            f"its own process found all right, but by its numbers {printable(found)}",
        )
    confirmed = {row.name: row for row in by_judge.rows}
    rows = [
        confirmed.get(row.name, dataclasses.replace(row, verdict=NOT_CHECKED))
        if row.verdict == OK
        else row
        for row in report.rows
    ]
    return dataclasses.replace(report, rows=by_judge.rows if report.ok else rows)


def _by_numbers(options: Options, submission: Apart, described: Described) -> tuple[Examined, None]:
    """In the judge's process: the report that numbers alone give. UserError where they give
    none.
    """
    reference = None if options.reference is None else Loader().reference(options.reference)
    try:
        form = Remote(submission, described)
        if not _begins_with(form.arguments, _drawn(options)):
            raise _not_judged(
                options, "its process was given other inputs than those that were drawn"
            )
        given = form.arguments.given
        ranges = dict.fromkeys(
            (name for name, x in given.items() if x.is_floating_point()), options.between
        )
        domain = {name: bounds for name, bounds in ranges.items() if bounds is not None}
        asked = Asked(set(options.data), domain)
        report = Check(form, reference, seed=options.seed).report(asked)
    except UserError:
        raise
    except Lost as lost:
        raise _not_judged(options, lost) from None
    except FAILURES as error:
        raise _not_judged(options, printable(in_a_line(error))) from error
    return Examined(report), None


def _begins_with(arguments: Arguments, drawn: list[Tensor]) -> bool:
    """Whether the first arrays that forward takes are those that were drawn, none as integers."""
    arrays = [part for part in arguments.template if isinstance(part, Leaf) and part.kind in ARRAYS]
    return len(arrays) >= len(drawn) and all(
        torch.equal(leaf.value.double(), x.double())
        and leaf.is_float >= x.is_floating_point()
        and not leaf.is_complex
        for leaf, x in zip(arrays, drawn, strict=False)
    )


def _examine(options: Options) -> tuple[Examined, Subject]:
    """In the submission's process: the report, and what can be asked for numbers."""
    loader = Loader()
    forward = loader.named(options.forward)
    backward = None if options.backward is None else loader.named(options.backward)
    reference = None if options.reference is None else loader.reference(options.reference)
    inputs = _inputs(options, loader, forward)
    # whatever the file has set; an overflow shows in the gradient, where it is diagnosed
    with torch.enable_grad(), np.errstate(all="ignore"):
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
    """A line for each submission, as soon as it is there; the worst status of all, 1 before 2."""
    if options.csv is not None:
        many.write(Path(options.csv), [])  # before the work: it can be written
    found = []
    for forward, backward in many.pairs(options.forward, options.backward):
        mark = _mark(dataclasses.replace(options, forward=forward, backward=backward))
        print(json.dumps(vars(mark)) if options.json else printable(str(mark)), flush=True)
        found.append(mark)
        if options.csv is not None:
            many.write(Path(options.csv), found)
    if any(mark.sentences for mark in found):
        return 1
    return 2 if any(mark.error for mark in found) else 0


def _mark(options: Options) -> many.Mark:
    submission = options.forward.partition("::")[0]
    try:
        report = verdict(options)
    except UserError as error:
        message = str(error).removeprefix(f"{submission}: ")
        return many.Mark(submission, {}, [], autograd=False, error=message)
    verdicts = {row.name: row.verdict for row in report.rows}
    sentences = list(dict.fromkeys(report.diagnosis.values()))
    return many.Mark(submission, verdicts, sentences, autograd=report.autograd)
