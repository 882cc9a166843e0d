"""What is probably wrong with gradients: hypotheses, from the certain to the vague.

A hypothesis counts if it gives the user's numbers at every point. Guesses at the whole gradient are
in guesses.py, changes of the reference's own backward in mutations.py.
"""

import dataclasses
from collections.abc import Callable
from functools import partial
from itertools import islice

from torch import Tensor

from torch_ref.diagnosis import patterns
from torch_ref.diagnosis.factors import MEASURED, at_each, meaning, times
from torch_ref.diagnosis.guesses import guessed
from torch_ref.diagnosis.mutations import Found, Mutations, operations
from torch_ref.evidence.reference import Autograd
from torch_ref.evidence.report import Finding
from torch_ref.evidence.trials import Fault, Trial, common_factor

# guesses before a change that explains everything
BEFORE_CHANGES = {"mask", "transposed"}


def diagnose(
    faults: dict[str, Fault], right: dict[str, list[Tensor]], worked: Callable[[Fault], str]
) -> dict[str, Finding]:
    """What is wrong, by input. right: the gradients of the other inputs. worked: gives a small case
    of a fault in words.
    """
    made_of = operations(next(iter(faults.values())))
    faults = {
        name: dataclasses.replace(fault, operations=made_of) for name, fault in faults.items()
    }
    found = {name: _certain(fault, faults) for name, fault in faults.items()}
    findings = {name: one for name, one in found.items() if one is not None}
    # each of the shape of its input, for another shape is certain
    left = {name: fault for name, fault in faults.items() if name not in findings}
    findings |= _factors(left, right)
    left = {name: fault for name, fault in left.items() if name not in findings}
    changed = _changes(left, right)
    for name, fault in left.items():
        findings[name] = (
            _best(fault, [change for change in changed if name in change.names], faults)
            or _exchanged(fault, set(fault.trials[0].expected))
            or next(patterns.vague(fault), None)
            or Finding("wrong", patterns.entries(fault) + worked(fault))
        )
    return {
        name: Finding(verdict, text + patterns.only_drawn(faults[name]))
        for name, (verdict, text) in findings.items()
    }


def _certain(fault: Fault, faults: dict[str, Fault]) -> Finding | None:
    """A finding after which no other is looked for."""
    found = next(patterns.certain(fault), None) or _exchanged(fault, set(faults))
    if found is not None or fault.same_shape:
        return found
    found = next((guess for guess in guessed(fault) if guess.verdict != "f' missing"), None)
    return found or _exchanged(fault, set(fault.trials[0].expected)) or patterns.of_shape(fault)


def _exchanged(fault: Fault, among: set[str]) -> Finding | None:
    for other in fault.trials[0].expected:
        expected = [trial.expected[other] for trial in fault.trials]
        if other == fault.name or other not in among or any(map(_unlike, fault.actual, expected)):
            continue
        if abs((common_factor(fault.actual, expected, fault.tolerance) or 0) - 1) < 1e-6:
            return Finding(
                "exchanged",
                f"{fault.d} is the gradient of {other}: return the gradients in the order of the "
                "inputs",
            )
    return None


def _unlike(one: Tensor, other: Tensor) -> bool:
    return one.shape != other.shape


def _factors(faults: dict[str, Fault], right: dict[str, list[Tensor]]) -> dict[str, Finding]:
    """What is wrong with gradients that are right but for a number: a size of the inputs, or else
    what forward multiplies or divides by.
    """
    findings: dict[str, Finding] = {}
    nameless: dict[str, str] = {}
    for name, fault in faults.items():
        factor = common_factor(fault.actual, fault.expected, fault.tolerance)
        if factor is None:
            continue
        sentence = f"{fault.d} is {times(factor)}"
        findings[name] = Finding("factor", sentence)
        if abs(factor + 1) >= MEASURED:
            what = meaning(factor, fault, at_each(fault, factor, partial(_expected, name)))
            findings[name] = Finding(
                "factor", f"{sentence} ({what.words})" if what.words else sentence
            )
            nameless |= {} if what.named else {name: sentence}
    for found in _changes({name: faults[name] for name in nameless}, right):
        if found.verdict in {"factor missing", "factor twice"}:
            for name in found.names & set(nameless):
                findings[name] = Finding("factor", f"{nameless.pop(name)} ({found.sentence})")
    return findings


def _expected(name: str, trial: Trial) -> Tensor:
    return trial.expected[name]


def _changes(faults: dict[str, Fault], right: dict[str, list[Tensor]]) -> list[Found]:
    source = next((fault.source for fault in faults.values()), None)
    if not isinstance(source, Autograd):
        return []
    try:
        return Mutations(source, faults, right).search()
    except Exception:  # noqa: BLE001 - what torch can't trace has no graph to change
        return []


def _best(fault: Fault, changed: list[Found], faults: dict[str, Fault]) -> Finding | None:
    """One mistake that explains all wrong gradients, or else one of this gradient; two that fit
    equally well are both named.
    """
    guesses = list(islice(guessed(fault), 2))
    everywhere = bool(changed) and changed[0].all and changed[0].rank <= 3
    if guesses and (not everywhere or guesses[0].verdict in BEFORE_CHANGES):
        different = [guess for guess in guesses if guess.verdict != guesses[0].verdict]
        return Finding(
            guesses[0].verdict, "; or ".join(guess.sentence for guess in [guesses[0], *different])
        )
    if not changed:
        return None
    best = changed[0]
    same = [
        f
        for f in changed
        if (f.all, f.rank, f.names) == (best.all, best.rank, best.names)
        and f.verdict != best.verdict
    ]
    *some, last = [faults[name].d for name in sorted(best.names)] if best.all else [fault.d]
    d = f"{', '.join(some)} and {last}" if some else last
    return Finding(
        best.verdict, f"{d}: " + "; or ".join(found.sentence for found in [best, *same[:1]])
    )
