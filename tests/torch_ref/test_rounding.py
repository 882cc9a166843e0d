"""The derived bounds beside the measured budgets: never below what is seen, and at most ten times
as large.
"""

import re
from collections.abc import Iterator

import pytest
import torch

from manual.activations import Activation, Softmax
from manual.layers import Layer, Linear
from manual.losses import Loss
from manual.operation import Operation
from tests.cases import DTYPES
from torch_ref import cases
from torch_ref.budgets import BUDGETS, CUDA_BUDGET, LAYOUT_BUDGETS, Budget, ratio
from torch_ref.cases import Case, random
from torch_ref.results import of_case
from torch_ref.rounding import LIKELY, Rounded, derived

FAMILIES = {Activation: cases.activation_cases, Loss: cases.loss_cases, Layer: cases.layer_cases}
OPERATIONS = [cls for cls in dict.fromkeys(cls for cls, _ in BUDGETS) if cls is not Linear]
SEEN = re.compile(r"\(([\d.]+)\)$")  # at the end of a budget's reason: the largest ratio met so far


def of(cls: type[Operation], layout: str = "contiguous") -> Iterator[Case]:
    family = next(family for family in FAMILIES if issubclass(cls, family))
    for dtype in DTYPES:
        for case in FAMILIES[family](cls.name, dtype, "cpu", layout):
            if all(max(x.shape) < 784 for x in case.inputs.values()):
                yield case


def check(every: Iterator[Case], rows: dict[str, Budget]) -> None:
    """Each result of each case is within its bound, and the largest bound within 1 to 10 times what
    was ever seen.
    """
    largest = dict.fromkeys(rows, 0.0)
    for case in every:
        bounds = derived(case)
        for name, by_hand, in_torch, terms in of_case(case):
            if name in rows and name in bounds:
                assert ratio(by_hand, in_torch, terms) <= bounds[name], (case.operation, name)
                largest[name] = max(largest[name], bounds[name])
    for name, row in rows.items():
        seen = SEEN.search(row.reason)
        assert seen, row
        assert 1 <= largest[name] / float(seen[1]) <= 10, (name, largest[name], seen[1])


@pytest.mark.parametrize("cls", OPERATIONS, ids=lambda cls: cls.__name__)
def test_the_bound_of_each_budget(cls: type[Operation]) -> None:
    check(of(cls), {result: row for (other, result), row in BUDGETS.items() if other is cls})


@pytest.mark.parametrize("layout", ["transposed", "strided", "expanded"])
def test_the_bound_of_each_budget_of_a_layout(layout: str) -> None:
    check(
        of(Linear, layout),
        {result: row for (_, result, where), row in LAYOUT_BUDGETS.items() if where == layout},
    )


def test_every_budget_names_the_kernel_that_rounds_otherwise() -> None:
    for (_, result, *_), row in [*BUDGETS.items(), *LAYOUT_BUDGETS.items()]:
        of_another = re.match(r"as (\w+)", row.reason)
        assert of_another or re.match(r"(torch|autograd)\b", row.reason), (result, row)
        assert row.k > 0
    assert CUDA_BUDGET.reason.startswith("CUDA's kernels ")


def test_bounds_grow_as_torchs_sums_do(monkeypatch: pytest.MonkeyPatch) -> None:
    """With 100,000 rows or columns torch is dozens of eps off, and so beyond k; the derived bound
    knows.
    """
    monkeypatch.setattr(cases, "SHAPES", [(100_000, 2)])
    wide = cases.activation_case(Softmax(), 3 * random((2, 100_000), torch.float32, 1))
    for case in (wide, *cases.layer_cases("batch-norm", torch.float32, "cpu")):
        bounds = derived(case)
        for name, by_hand, in_torch, terms in of_case(case):
            assert ratio(by_hand, in_torch, terms) <= bounds[name]
    assert derived(wide)["y"] > 10 * BUDGETS[Softmax, "y"].k


@pytest.mark.parametrize("n", [100, 10_000])
def test_errors_of_sums_are_as_large_as_said(n: int) -> None:
    numbers = random((1000, n), torch.float32, 1) + 1
    said = torch.sum(Rounded(numbers), dim=1)  # type: ignore[call-overload]
    assert isinstance(said, Rounded)
    errors = (torch.sum(numbers, dim=1) - said.value) / (torch.finfo(torch.float32).eps / 2)
    assert (errors.abs() <= LIKELY * said.error).double().mean() > 0.98
    assert errors.square().mean().sqrt() > said.error.square().mean().sqrt() / 5
