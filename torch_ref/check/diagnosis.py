"""What is probably wrong with gradients: hypotheses, from the certain to the vague, each a sentence or nothing.

A hypothesis counts if it gives the user's numbers at every point. Guesses at the whole gradient are in guesses.py, changes of
the reference's own backward in mutations.py.
"""

import dataclasses
from collections.abc import Callable, Iterator

from torch import Tensor

from torch_ref.check.factors import at_each, times
from torch_ref.check.guesses import guesses, is_guess
from torch_ref.check.mutations import Found, Mutations, operations
from torch_ref.check.patterns import CERTAIN, SHAPES, VAGUE, entries, only_drawn
from torch_ref.check.rearranged import Guess
from torch_ref.check.reference import Autograd
from torch_ref.check.trials import Fault, common_factor

NAMED = ("the number of", "the size of", "the sign")  # in the sentence of a factor that has a name already
Said = tuple[str, str]  # (verdict in a word or two, what is probably wrong in a sentence)


def diagnose(faults: dict[str, Fault], right: dict[str, list[Tensor]], worked: Callable[[Fault], str]) -> dict[str, Said]:
    """A verdict and a sentence for each fault. right: the gradients of the other inputs. worked: a small case in words."""
    said: dict[str, Said] = {}
    made_of = operations(next(iter(faults.values()))) if faults else None
    faults = {name: dataclasses.replace(fault, operations=made_of) for name, fault in faults.items()}
    for name, fault in faults.items():
        found = _certain(fault, faults)
        if found is not None:
            said[name] = found
    _name_factors(said, faults, right)
    left = {name: fault for name, fault in faults.items() if name not in said}
    changed = _changes({n: f for n, f in left.items() if f.same_shape}, right)
    for name, fault in left.items():
        found = _best(fault, list(_guessed(fault)), [f for f in changed if name in f.names], faults)
        if found is None:
            found = next((("exchanged", s) for s in _exchanged(fault, set(fault.trials[0].expected))), None)
        if found is None:
            found = next(((v, s) for v, sentences in VAGUE for s in sentences(fault)), None)
        if found is None:
            found = entries(fault)
            found = found[0], found[1] + worked(fault)
        said[name] = found[0], found[1]
    return {name: (verdict, sentence + only_drawn(faults[name])) for name, (verdict, sentence) in said.items()}


def _name_factors(said: dict[str, Said], faults: dict[str, Fault], right: dict[str, list[Tensor]]) -> None:
    """A number that is no size of these inputs may be one that forward multiplies or divides by."""
    nameless = {
        n: faults[n] for n, (verdict, text) in said.items() if verdict == "factor" and not any(name in text for name in NAMED)
    }
    for found in _changes(nameless, right):
        if found.verdict in {"factor missing", "factor twice"} and found.rank < 6:
            for name in found.names & set(nameless):
                verdict, sentence = said[name]
                said[name] = verdict, f"{sentence.partition(' (')[0]} ({found.sentence})"
                nameless.pop(name)


def _certain(fault: Fault, faults: dict[str, Fault]) -> Said | None:  # noqa: PLR0911
    """After these, what else fits says no more."""
    for verdict, sentences in CERTAIN:
        for sentence in sentences(fault):
            return verdict, sentence
    for sentence in _exchanged(fault, set(faults)):
        return "exchanged", sentence
    if not fault.same_shape:
        for verdict, sentence, guess in guesses(fault):
            end = is_guess(fault, guess)
            if end is not None and verdict != "f' missing":
                return verdict, sentence.format(d=fault.d, than=fault.than, x=fault.name) + end
        for sentence in _exchanged(fault, set(fault.trials[0].expected)):
            return "exchanged", sentence
        return next(((verdict, sentence) for verdict, sentences in SHAPES for sentence in sentences(fault)), None)
    factor = common_factor(fault.actual, fault.expected, fault.tolerance)
    if factor is not None:
        return "factor", f"{fault.d} is {times(factor, fault, at_each(fault, factor))}"
    return None


def _exchanged(fault: Fault, among: set[str]) -> Iterator[str]:
    others = [other for other in fault.trials[0].expected if other != fault.name and other in among]
    for other in others:
        pairs = [(a, trial.expected[other]) for a, trial in zip(fault.actual, fault.trials, strict=True)]
        if (
            all(a.shape == e.shape for a, e in pairs)
            and abs((common_factor(*_columns(pairs), fault.tolerance) or 0) - 1) < 1e-6
        ):
            yield f"{fault.d} is the gradient of {other}: return the gradients in the order of the inputs"
            return


def _columns(pairs: list[tuple[Tensor, Tensor]]) -> tuple[list[Tensor], list[Tensor]]:
    return [a for a, _ in pairs], [e for _, e in pairs]


def _guessed(fault: Fault) -> Iterator[Said]:
    """At most two."""
    count = 0
    for verdict, sentence, guess in guesses(fault):
        end = is_guess(fault, guess)
        if end is not None:
            yield verdict, sentence.format(d=fault.d, than=fault.than, x=fault.name) + end
            count += 1
            if count > 1:
                return


def _changes(faults: dict[str, Fault], right: dict[str, list[Tensor]]) -> list[Found]:
    first = next(iter(faults.values()), None)
    if first is None or not isinstance(first.source, Autograd):
        return []
    try:
        return Mutations(first.source, faults, right).search()
    except Exception:  # noqa: BLE001 - what torch can't trace has no graph to change
        return []


def _best(fault: Fault, guessed: list[Said], changed: list[Found], faults: dict[str, Fault]) -> Said | None:
    """One mistake for all wrong gradients before one of its own; of two that fit equally, both are said."""
    everywhere = bool(changed) and changed[0].all and changed[0].rank <= 3
    if guessed and not (everywhere and guessed[0][0] not in {"dy ignored", "mask", "dy overwritten", "transposed"}):
        plain = [guessed[0]]
        if len(guessed) > 1 and guessed[1][0] != guessed[0][0]:
            plain.append(guessed[1])
        return plain[0][0], "; or ".join(sentence for _, sentence in plain)
    if not changed:
        return None
    best = changed[0]
    same = [
        f for f in changed[1:] if (f.all, f.rank, f.names) == (best.all, best.rank, best.names) and f.verdict != best.verdict
    ]
    d = _listed([faults[name].d for name in sorted(best.names)]) if best.all else fault.d
    return best.verdict, f"{d}: " + "; or ".join(found.sentence for found in [best, *same[:1]])


def _listed(names: list[str]) -> str:
    *some, last = names
    return f"{', '.join(some)} and {last}" if some else last


__all__ = ["Guess", "diagnose"]
