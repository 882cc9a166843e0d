"""Whether the same question gets the same answer: forward and backward called again, and after
another backward.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from torch_ref.evidence.report import Finding
from torch_ref.forms.subject import Subject, reseed
from torch_ref.forms.values import Point

SAME = 1e-6  # of the largest: what threads that sum in another order may differ by
RANDOM, STATE, ACCUMULATES = "random", "state", "accumulates"
OF_FORWARD = {
    RANDOM: "forward gives another output at each call with the same inputs: it draws random "
    "numbers. Seed the generator in forward, or pass the mask or the noise in as an input",
    STATE: "forward gives another output when it is called again with the same inputs: something "
    "kept from call to call (a running mean, a counter) enters it. Set it back before each call, "
    "or pass it in",
}
OF_BOTH = (
    "forward and backward each draw random numbers of their own: backward needs those that forward "
    "drew. Keep them in forward, or pass them in"
)
OF_BACKWARD = {
    RANDOM: "{d} is another at each call of backward with the same dy and inputs: random numbers "
    "enter it. Use those that forward drew",
    STATE: "{d} is another when backward is called again: something kept from call to call "
    "enters it. Set it back in forward",
    ACCUMULATES: "{d} grows with each call of backward: it is added to what was there (+=). Set it "
    "to zero before each call, or assign it (=)",
}


def same(a: Tensor | None, b: Tensor | None, scale: Tensor | None = None) -> bool:
    """Whether two answers are equal up to the order in which threads sum, measured by the largest
    entry, of `scale` too. None equals everything.
    """
    if a is None or b is None:
        return True
    if a.shape != b.shape:
        return False
    size = max(
        (
            t.double().nan_to_num().abs().max().item()
            for t in (a, scale)
            if t is not None and t.numel()
        ),
        default=0.0,
    )
    return bool(((a.double().nan_to_num() - b.double().nan_to_num()).abs() <= SAME * size).all())


def unsteady(subject: Subject, point: Point) -> dict[str, Finding]:
    """What is wrong, by input, where the same call gives another answer: for all inputs if forward
    does, else for those whose gradient changes.

    Sets subject.seeded where forward's answers differ: that makes them alike, or is told.
    """
    first, *again = (subject.forward(point) for _ in range(3))
    if not all(same(first, other) for other in again):
        subject.seeded = True
        if not same(subject.forward(point), subject.forward(point)):
            verdict = STATE if _is_steady([first, *again]) else RANDOM
            return dict.fromkeys(subject.floats, Finding(verdict, OF_FORWARD[verdict]))
    dy = _dy(first, 1)
    if subject.seeded and subject.form.code and not subject.calls_of_forward(point, dy):
        # numbers that backward draws by itself are others than forward's in a program that doesn't
        # seed
        a = subject.backward(point, dy)
        reseeding, subject.form.before_backward = subject.form.before_backward, _nothing
        b = subject.backward(point, dy)
        subject.form.before_backward = reseeding
        if not all(same(a[name], b[name]) for name in a):
            return dict.fromkeys(subject.floats, Finding(RANDOM, OF_BOTH))
    return _of_backward(subject, point, dy)


def _is_steady(outputs: list[Tensor]) -> bool:
    """Whether each entry moves by equal or ever smaller steps, as random numbers do not."""
    one, two, three = (y.double() for y in outputs)
    before, after = two - one, three - two
    return same(before, after) or bool((after.abs() <= 0.97 * before.abs()).all())


def _of_backward(subject: Subject, point: Point, dy: Tensor) -> dict[str, Finding]:
    a, b = (subject.backward(point, dy) for _ in range(2))
    subject.backward(point, _dy(dy, 2))
    c = subject.backward(point, dy)
    names: dict[str, list[str]] = {}
    for name in a:
        one, two, three = a[name], b[name], c[name]
        if (
            one is None
            or two is None
            or three is None
            or one.shape != two.shape
            or (same(one, two) and same(one, three))
        ):
            continue
        verdict = ACCUMULATES if _adds(subject, point, dy, name) else STATE
        names.setdefault(verdict, []).append(name)
    if STATE in names and not subject.seeded and _is_random(subject, point, dy, names[STATE][0]):
        names[RANDOM] = names.pop(STATE)
    return {
        name: Finding(
            verdict, OF_BACKWARD[verdict].format(d=" and ".join(f"d{other}" for other in found))
        )
        for verdict, found in names.items()
        for name in found
    }


def _adds(subject: Subject, point: Point, dy: Tensor, name: str) -> bool:
    """Whether each call adds the same to the gradient."""
    one, two, three = (
        g.double() for _ in range(3) if (g := subject.backward(point, dy)[name]) is not None
    )
    return same(two - one, three - two) and not same(one, two)


def _is_random(subject: Subject, point: Point, dy: Tensor, name: str) -> bool:
    """Whether the same random numbers give the same gradient, and others another."""

    def again(before: Callable[[], None]) -> Tensor | None:
        before()
        return subject.backward(point, dy)[name]

    return same(again(reseed), again(reseed)) and not same(again(_nothing), again(_nothing))


def _nothing() -> None:
    pass


def _dy(y: Tensor, seed: int) -> Tensor:
    return torch.randn(y.shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
