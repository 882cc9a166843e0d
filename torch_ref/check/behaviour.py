"""Whether the same question gets the same answer: forward and backward called again, and after another backward."""

from collections.abc import Iterator

import torch
from torch import Tensor

from torch_ref.check.subject import Subject
from torch_ref.check.values import Point

SAME = 1e-6  # of the largest: what threads that sum in another order may differ by
RANDOM, STATE, ACCUMULATES = "random", "state", "accumulates"


def same(a: Tensor, b: Tensor, scale: Tensor | None = None) -> bool:
    """But for the order in which threads sum, and in a size of which `scale` has entries, too."""
    if a.shape != b.shape:
        return False
    size = max(t.double().nan_to_num().abs().max().item() if t is not None and t.numel() else 0.0 for t in (a, scale))
    return bool(((a.double().nan_to_num() - b.double().nan_to_num()).abs() <= SAME * size).all())


def unsteady(subject: Subject, point: Point) -> Iterator[tuple[str, str, list[str]]]:
    """(verdict, sentence, the inputs whose gradient it spoils), where an answer changes; the first says it all.

    Sets subject.seeded where that makes forward's answers alike.
    """
    first = subject.forward(point)
    again = [subject.forward(point) for _ in range(2)]
    if not all(same(first, other) for other in again):
        subject.seeded = True
        if not same(subject.forward(point), subject.forward(point)):
            subject.seeded = False
            yield _changing(first, again, subject.floats)
            return
    dy = _dy(first, 1)
    if subject.seeded and not subject.backward_calls_forward(point, dy):
        # numbers that backward draws by itself are others than forward's in a program that doesn't seed
        subject.seeded = False
        a, b = subject.backward(point, dy), subject.backward(point, dy)
        subject.seeded = True
        if any(x is not None and y is not None and not same(x, y) for x, y in zip(a.values(), b.values(), strict=True)):
            yield (
                RANDOM,
                (
                    "forward and backward each draw random numbers of their own: backward needs those that forward drew. Keep "
                    "them in forward, or pass them in"
                ),
                subject.floats,
            )
            return
    yield from _of_backward(subject, point, dy)


def _changing(first: Tensor, again: list[Tensor], floats: list[str]) -> tuple[str, str, list[str]]:
    steps = [a.double() - b.double() for a, b in zip([*again], [first, *again[:-1]], strict=True)]
    sizes = [step.abs().max().item() for step in steps]
    if sizes[1] < 0.97 * sizes[0] or same(steps[0], steps[1]):
        return (
            STATE,
            (
                "forward gives another output when it is called again with the same inputs: something kept from call to call "
                "(a running mean, a counter) enters it. Set it back before each call, or pass it in"
            ),
            floats,
        )
    return (
        RANDOM,
        (
            "forward gives another output at each call with the same inputs: it draws random numbers. Seed the generator in "
            "forward, or pass the mask or the noise in as an input"
        ),
        floats,
    )


def _of_backward(subject: Subject, point: Point, dy: Tensor) -> Iterator[tuple[str, str, list[str]]]:
    calls = [subject.backward(point, dy) for _ in range(2)]
    subject.backward(point, _dy(dy, 2))
    calls.append(subject.backward(point, dy))
    names = [name for name, g in calls[0].items() if g is not None]
    grown: list[str] = []
    other: list[str] = []
    for name in names:
        a, b, c = (call[name] for call in calls)
        if a is None or b is None or c is None or a.shape != b.shape or (same(a, b) and same(a, c)):
            continue
        third = c.double() - b.double()
        is_sum = same(b.double(), 2 * a.double()) or same(b.double() - a.double(), a.double())
        (grown if is_sum or (third.abs().max() > 0 and _adds(subject, point, dy, name)) else other).append(name)
    if grown:
        d = " and ".join(f"d{name}" for name in grown)
        yield (
            ACCUMULATES,
            (
                f"{d} grows with each call of backward: it is added to what was there (+=). Set it to zero before each "
                "call, or "
                "assign it (=)"
            ),
            grown,
        )
    if other:
        d = " and ".join(f"d{name}" for name in other)
        if not subject.seeded and _differs_at_random(subject, point, dy, other[0]):
            yield (
                RANDOM,
                (
                    f"{d} is another at each call of backward with the same dy and inputs: random numbers enter it. Use those "
                    "that forward drew"
                ),
                other,
            )
        else:
            yield (
                STATE,
                (
                    f"{d} is another when backward is called again: something kept from call to call enters it. Set it back "
                    "in forward"
                ),
                other,
            )


def _adds(subject: Subject, point: Point, dy: Tensor, name: str) -> bool:
    a, b, c = (subject.backward(point, dy)[name] for _ in range(3))
    assert a is not None
    assert b is not None
    assert c is not None
    return same(b.double() - a.double(), c.double() - b.double())


def _differs_at_random(subject: Subject, point: Point, dy: Tensor, name: str) -> bool:
    from torch_ref.check.subject import reseed  # noqa: PLC0415

    found = []
    for _ in range(2):
        reseed()
        found.append(subject.backward(point, dy)[name])
    a, b = found
    return a is not None and b is not None and same(a, b)


def _dy(y: Tensor, seed: int) -> Tensor:
    return torch.randn(y.shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
