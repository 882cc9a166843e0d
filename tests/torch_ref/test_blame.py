"""What is said of an operation that is wrong in several places."""

import dataclasses

import torch
from torch import Tensor

from torch_ref.blame import of_operation
from torch_ref.cases import Pullback, linear_cases


def test_all_that_is_wrong_with_a_method_is_said_of_it() -> None:
    case = next(c for c in linear_cases(torch.float64, "cpu") if c.inputs["x"].shape == (7, 13))

    def by_hand(inputs: dict[str, Tensor]) -> tuple[Tensor, Pullback]:
        z, pullback = case.by_hand(inputs)
        factors = {"x": 1, "weight": 2, "bias": -3}
        return z, lambda dz: {name: factors[name] * g for name, g in pullback(dz).items()}

    assert of_operation(case) == {}
    assert of_operation(dataclasses.replace(case, by_hand=by_hand)) == {
        "Linear.backward in manual/layers.py": (
            "dw is 2 times too large: divide by 2 (a 2 too many, or the 1/2 of a square forgotten)"
            "; db is of the wrong sign and 3 times too large: divide by -3"
        )
    }
