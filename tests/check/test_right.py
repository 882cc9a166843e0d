"""Every right gradient is accepted."""

import pytest
import torch

from tests.check.functions import RIGHT, B, C, draw
from torch_ref.check import assert_gradients

DRAWS = 2  # of each right function; 200 were tried, none was refused


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("referenced", [True, False], ids=["autograd", "differences"])
@pytest.mark.parametrize("name", RIGHT)
def test_right_gradients_are_accepted(name: str, dtype: str, *, referenced: bool) -> None:
    case = RIGHT[name]
    domain = (0.0, 1.0) if name == "binary cross-entropy" else None
    for seed in range(DRAWS):
        reference = case.reference if referenced else None
        assert_gradients(
            case.forward,
            case.backward,
            draw(name, dtype, seed),
            reference,
            domain=domain,
            seed=seed,
        )


@pytest.mark.parametrize("size", [30, 1e4])
@pytest.mark.parametrize("referenced", [True, False])
def test_a_right_gradient_is_accepted_where_it_vanishes(size: float, *, referenced: bool) -> None:
    z = size * torch.randn(B, C, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    for name, inputs in {
        "our cross-entropy": (z, z.argmax(1)),
        "our sigmoid": (z.abs(),),
        "our softmax": (z.float(),),
    }.items():
        case = RIGHT[name]
        assert_gradients(
            case.forward, case.backward, inputs, case.reference if referenced else None
        )
