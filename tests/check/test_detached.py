"""What torch can't differentiate in a forward or a reference, and a forward that is not the
reference.
"""

import pytest
import torch
from torch import Tensor

from torch_ref.cases import random
from torch_ref.check import check_gradients

X = torch.arange(1.0, 21, dtype=torch.float64).reshape(5, 4) / 8
NOTE = (
    "the gradient that torch finds in the reference is not its slope by x: is something detached "
    "there, or computed outside torch?"
)


def product(x: Tensor) -> Tensor:
    """x e^x, of which torch sees the second factor alone."""
    return x.detach() * x.exp()


def outside(x: Tensor) -> Tensor:
    return torch.tensor(x.tolist(), dtype=x.dtype).exp()


def test_what_is_expected_is_the_slope_where_a_part_is_detached() -> None:
    assert check_gradients(product, lambda dy, x: dy * (1 + x) * x.exp(), X).ok
    report = check_gradients(product, lambda dy, x: dy * x * x.exp(), X)
    slope = (1 + X) * X.exp()
    assert report.diagnosis["x"].endswith(f", and should be {slope[0, 0].item():.4g}")


def test_what_is_expected_is_the_slope_where_all_is_computed_outside_torch() -> None:
    report = check_gradients(outside, lambda dy, x: dy * (1.5 + x), X)
    assert report.diagnosis["x"].endswith(f", and should be {X.exp()[0, 0].item():.4g}")


def test_a_reference_that_is_detached_is_doubted_where_backward_is_not_its_gradient() -> None:
    report = check_gradients(torch.exp, lambda dy, x: dy * x.exp(), X, outside)
    assert not report.ok
    assert NOTE in report.notes
    as_torch_does = check_gradients(product, lambda dy, x: dy * x * x.exp(), X, product)
    assert as_torch_does.ok
    assert as_torch_does.notes == []
    wrong = check_gradients(torch.exp, lambda dy, x: dy * x, X, torch.exp)
    assert NOTE not in wrong.notes


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
def test_a_reference_is_not_doubted_for_its_precision(dtype: torch.dtype) -> None:
    def forward(x: Tensor) -> Tensor:
        return torch.tanh(x.to(dtype)).double()

    report = check_gradients(forward, lambda dy, x: dy * x, X, forward)
    assert not report.ok
    assert NOTE not in report.notes


def test_a_reference_is_not_doubted_for_kinks_that_are_many() -> None:
    x = random((500, 20), torch.float64, 1)
    report = check_gradients(torch.relu, lambda dy, x: 2 * dy * (x > 0), x, torch.relu)
    assert not report.ok
    assert report.notes == []


def test_a_fault_has_its_name_where_forward_is_not_the_reference() -> None:
    def forward(x: Tensor) -> Tensor:
        return x.square().mean(0) + 1

    report = check_gradients(forward, lambda dy, x: 2 * x * dy, X, lambda x: x.square().mean(0))
    assert "B, the number of samples" in report.diagnosis["x"]
    assert report.notes == []


def test_where_forward_is_another_function_at_other_sizes_they_say_nothing() -> None:
    def forward(x: Tensor) -> Tensor:
        return x.exp() if x.shape == X.shape else x.sin()

    report = check_gradients(forward, lambda dy, x: dy * x.exp(), X, torch.exp)
    assert report.ok
    assert report.notes == [
        "only the sizes given were tried: at others something fails, or forward is another function"
    ]
