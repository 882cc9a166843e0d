"""The bias is also a weight: on a constant input 1, x = [x_1, x_2, x_3, 1] (slide "Forward
Computation").
"""

import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from manual.layers import Linear


def whole(generator: torch.Generator, *shape: int) -> Tensor:
    """Small whole numbers, of which sums and products are exact, so that both ways must agree in
    every bit.
    """
    return torch.randint(-9, 10, shape, generator=generator).double()


@given(
    seed=st.integers(0, 2**32),
    rows=st.integers(1, 8),
    inputs=st.integers(1, 6),
    outputs=st.integers(1, 5),
)
def test_a_bias_is_a_weight_on_a_constant_input(
    seed: int, rows: int, inputs: int, outputs: int
) -> None:
    generator = torch.Generator().manual_seed(seed)
    x, w, b = (
        whole(generator, rows, inputs),
        whole(generator, inputs, outputs),
        whole(generator, outputs),
    )
    dz = whole(generator, rows, outputs)
    biased = Linear(w, b, torch.empty_like(w), torch.empty_like(b))
    weights = torch.cat([w, b.unsqueeze(0)])  # the last row of weights is b
    constant = Linear(weights, None, torch.empty_like(weights), None)
    with_one = torch.cat([x, x.new_ones(rows, 1)], dim=1)

    z, saved = biased.forward(x)
    same_z, same_saved = constant.forward(with_one)
    assert torch.equal(z, same_z)

    biased.backward(dz, saved)
    constant.backward(dz, same_saved)
    assert biased.db is not None
    assert torch.equal(torch.cat([biased.dw, biased.db.unsqueeze(0)]), constant.dw)
    assert torch.equal(
        biased.input_gradient(dz, saved), constant.input_gradient(dz, same_saved)[:, :inputs]
    )
