"""python -m tests.checkers: what gradient checkers make of the same backwards: refused, wrongly
refused, named.

gradcheck is torch.autograd.gradcheck, slow and fast, of the backward as an autograd.Function;
cs231n is the centered difference of that course, entry by entry, with its usual bound of 1e-6;
assert_close compares with autograd at the inputs given, where forward is torch's. Each gets every
mistake of tests/check/mistakes/ in its wrong and its right form.
"""

import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from scripts.common import tables
from tests.check.mistakes import MISTAKES, Function, Mistake
from torch_ref.check import check_gradients

# whether it accepts a backward; None where it can't be asked
Judge = Callable[[Mistake, Function], bool | None]


def main() -> int:
    """Print the table."""
    rows = [["", "wrong ones refused", "right ones refused", "mistakes named"]]
    for name, judge in JUDGES.items():
        asked = [(judge(m, m.wrong), judge(m, m.right)) for m in MISTAKES]
        wrong, right = (
            [verdict for verdict in verdicts if verdict is not None]
            for verdicts in zip(*asked, strict=True)
        )
        named = sum(is_named(m) for m in MISTAKES) if judge is ours else 0
        rows.append(
            [
                name,
                f"{wrong.count(False)} of {len(wrong)}",
                f"{right.count(False)} of {len(right)}",
                str(named),
            ]
        )
    sys.stdout.write(tables.markdown(rows) + "\n")
    return 0


def is_named(mistake: Mistake) -> bool:
    """The words of the mistake are in the diagnosis of `check_gradients`."""
    report = check_gradients(mistake.forward, mistake.wrong, mistake.inputs, mistake.reference)
    return mistake.says in " ".join(report.diagnosis.values())


def ours(mistake: Mistake, backward: Function) -> bool:
    """`check_gradients`, as in the README."""
    return check_gradients(mistake.forward, backward, mistake.inputs, mistake.reference).ok


def gradcheck(mistake: Mistake, backward: Function, *, fast: bool = False) -> bool:
    """torch.autograd.gradcheck."""
    own = as_function(mistake, backward)
    leaves = [as_leaf(x) for x in mistake.inputs]
    return bool(torch.autograd.gradcheck(own.apply, leaves, fast_mode=fast, raise_exception=False))


def as_function(mistake: Mistake, backward: Function) -> type[torch.autograd.Function]:
    """forward and backward as torch's users write them; NumPy's get and give arrays."""
    of_torch = any(isinstance(x, Tensor) for x in mistake.inputs)

    def give(x: Tensor) -> Any:
        return x.detach() if of_torch else x.detach().numpy()

    class Own(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, *inputs: Tensor) -> Tensor:
            ctx.save_for_backward(*inputs)
            return torch.as_tensor(mistake.forward(*map(give, inputs)))

        @staticmethod
        def backward(ctx: Any, dy: Tensor) -> Any:
            found = backward(give(dy), *map(give, ctx.saved_tensors))
            found = found if isinstance(found, tuple) else (found,)
            return tuple(None if g is None else torch.as_tensor(array(g)) for g in found)

    return Own


def array(x: Any) -> Any:
    """A copy in NumPy."""
    return x.detach().numpy().copy() if isinstance(x, Tensor) else np.array(x)


def as_leaf(x: Any) -> Tensor:
    """What has float entries other than 0 and 1 has a gradient."""
    leaf = torch.as_tensor(x).clone()
    return leaf.requires_grad_(leaf.is_floating_point() and not ((leaf == 0) | (leaf == 1)).all())


def cs231n(mistake: Mistake, backward: Function) -> bool:
    """Centered differences with a step of 1e-5 at the inputs given, relative error below 1e-6."""
    inputs = [array(x) for x in mistake.inputs]
    of_torch = any(isinstance(x, Tensor) for x in mistake.inputs)

    def call(function: Function, *arguments: Any) -> Any:
        return function(*(map(torch.as_tensor, arguments) if of_torch else arguments))

    y = array(call(mistake.forward, *inputs))
    dy = np.random.default_rng(0).normal(size=y.shape)
    found = call(backward, dy, *inputs)
    for x, g in zip(inputs, found if isinstance(found, tuple) else (found,), strict=True):
        if g is None:
            continue
        slopes = np.zeros_like(x)
        for i in np.ndindex(x.shape):
            ends = []
            for step in (1e-5, -1e-5):
                x[i] += step
                ends.append(array(call(mistake.forward, *inputs)))
                x[i] -= step
            slopes[i] = ((ends[0] - ends[1]) * dy).sum() / 2e-5
        mine = array(g)
        if (
            mine.shape != x.shape
            or not (
                np.abs(mine - slopes) <= 1e-6 * np.maximum(1e-8, np.abs(mine) + np.abs(slopes))
            ).all()
        ):
            return False
    return True


def assert_close(mistake: Mistake, backward: Function) -> bool | None:
    """torch.testing.assert_close with autograd's gradients for one dy."""
    if mistake.reference is None:
        return None
    leaves = [as_leaf(x) for x in mistake.inputs]
    y = mistake.reference(*leaves)
    dy = torch.randn(y.shape, dtype=y.dtype, generator=torch.Generator().manual_seed(0))
    y.backward(dy)
    found = backward(dy, *(leaf.detach() for leaf in leaves))
    for leaf, g in zip(leaves, found if isinstance(found, tuple) else (found,), strict=True):
        try:
            torch.testing.assert_close(g, leaf.grad if g is not None else None)
        except AssertionError:
            return False
    return True


JUDGES: dict[str, Judge] = {
    "check_gradients": ours,
    "gradcheck": gradcheck,
    "gradcheck, fast": lambda mistake, backward: gradcheck(mistake, backward, fast=True),
    "cs231n": cs231n,
    "assert_close with autograd": assert_close,
}

if __name__ == "__main__":
    sys.exit(main())
