"""What each rule makes of numbers that carry an error, and the bound of each case, to three digits,
as they stand in derived.txt.

`python -m tests.torch_ref.test_derived` writes that file anew; read what has changed in it.
"""

import math
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.torch_ref.test_rounding import OPERATIONS, of
from torch_ref import rounding
from torch_ref.rounding import RULES, Rounded, derived

SHEET = Path(__file__).with_name("derived.txt")
DOUBLE = torch.float64


def numbers(*values: float, shape: tuple[int, ...] = (2, 2)) -> Tensor:
    return torch.tensor(values, dtype=DOUBLE).reshape(shape)


A = Rounded(numbers(1, -2, 3, 0.5), numbers(0.5, 1, 0, 2))
B = Rounded(numbers(0.25, 4, -1, 2), numbers(1, 0, 3, 0.5))
P = Rounded(numbers(0.5, 2, 3, 1), numbers(0.5, 1, 0, 2))
LONG = Rounded(torch.arange(40.0, dtype=DOUBLE).reshape(2, 20) - 10, torch.full((2, 20), 0.5))
# of the partial sums of 100 ones: six blocks of 16, one of 4 and twelve zeros, and of these sums
SQUARES = (
    6 * sum(n**2 for n in range(2, 17))
    + sum(n**2 for n in (2, 3, 4, *[4] * 12))
    + sum(n**2 for n in (32, 48, 64, 80, 96, 100))
)
INDEX = torch.tensor([[1], [0]])
CALLS: dict[str, tuple[Any, ...]] = {
    "exp": (A,), "log": (P,), "log1p": (P,), "sigmoid": (A,), "square": (A,), "rsqrt": (P,),
    "abs": (A,), "neg": (A,), "t": (A,), "ones_like": (A,), "clamp_min": (A, 0.75),
    "clamp_max": (A, 0.75), "masked_fill": (A, numbers(1, 0, 0, 1).bool(), 7.0),
    "gather": (A, 1, INDEX), "addcmul": (A, B, P), "mm": (A, B), "addmm": (A, B, P),
    "scatter_add": (A, 1, INDEX, Rounded(numbers(-1, -1, shape=(2, 1)))), "lt": (A, B.value),
    "amax": (A, 1, True), "mul_": (A, 3), "add_": (A, B, 2), "add": (A, B), "sub": (A, 2.5),
    "mul": (A, B), "div": (A, B), "sum": (A,), "mean": (A,), "__add__": (A, 1), "__radd__": (A, 1),
    "__mul__": (A, 3), "__rmul__": (A, B.value), "__sub__": (A, B), "__rsub__": (A, 2),
    "__truediv__": (A, B), "__neg__": (A,), "__lt__": (A, B.value),
}  # fmt: skip
MORE: dict[str, Callable[[], Rounded]] = {
    "sum of rows": lambda: RULES["sum"](A, 1),
    "sum of rows, kept": lambda: RULES["sum"](A, dim=[1], keepdim=True),
    "sum of columns": lambda: RULES["sum"](A, dim=0),
    "mean of columns": lambda: RULES["mean"](A, 0),
    "sum of long rows": lambda: RULES["sum"](LONG, 1),
    "sum of all": lambda: RULES["sum"](LONG),
    "sum into another": lambda: _into(lambda out: RULES["sum"](A, 1, out=out)),
    "product into another": lambda: _into(lambda out: RULES["mm"](A, B, out=out)),
    "by operators": lambda: -(2 - (A + 1) * B / 3) - A.T,  # type: ignore[operator]
    "three errors": lambda: Rounded(numbers(1, 2, 3, 4), A.error, B.error, P.error),
}


def _into(rule: Callable[[Rounded], Rounded]) -> Rounded:
    out = Rounded(torch.zeros(1))
    assert rule(out).value is out.value
    return out


def plain(values: Tensor) -> str:
    return " ".join(f"{value + 0.0:.3g}" for value in values.reshape(-1).tolist())


def told(name: str, found: Rounded) -> str:
    return f"{name} {list(found.value.shape)}: {plain(found.value)} within {plain(found.error)}"


def sheet() -> list[str]:
    lines = [told(name, RULES[name](*CALLS[name])) for name in RULES]
    lines += [told(name, make()) for name, make in MORE.items()]
    for cls in OPERATIONS:
        for case in islice(of(cls), 6):
            shapes = " ".join(f"{name}{list(x.shape)}" for name, x in case.inputs.items())
            bounds = ", ".join(f"{name} {bound:.3g}" for name, bound in derived(case).items())
            lines.append(f"{cls.__name__} {shapes}: {bounds}")
    return lines


def test_what_is_derived_is_that_of_the_sheet() -> None:
    assert sheet() == SHEET.read_text().splitlines()


def test_a_sum_in_a_row_rounds_more(monkeypatch: pytest.MonkeyPatch) -> None:
    many = Rounded(torch.ones(2, 100))
    in_blocks = RULES["sum"](many, 1).error
    monkeypatch.setattr(rounding, "_in_a_row", True)
    in_a_row = RULES["sum"](many, 1).error
    assert in_blocks.tolist() == pytest.approx([math.sqrt(SQUARES / 3)] * 2)
    assert in_a_row.tolist() == pytest.approx(
        [math.sqrt(sum(n * n for n in range(2, 101)) / 3)] * 2
    )


def test_what_it_is_made_of_is_asked_of_the_numbers() -> None:
    assert (A.shape, A.ndim, A.is_cuda, len(A), A.device.type) == ((2, 2), 2, False, 2, "cpu")
    assert Rounded(torch.ones(2)).dtype == torch.float32
    assert Rounded(torch.ones(2)).value.dtype == DOUBLE
    with pytest.raises(AttributeError, match=r"^conj$"):
        A.conj()


if __name__ == "__main__":
    SHEET.write_text("\n".join(sheet()) + "\n")
