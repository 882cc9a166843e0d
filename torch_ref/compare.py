"""How far two tensors, two gradients or two networks are apart."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor, nn

from manual.network import Network
from torch_ref.model import pairs

_INTEGERS = {torch.float32: torch.int32, torch.float64: torch.int64}


@dataclass(frozen=True)
class Difference:
    """The difference of `actual` from `expected`; of several tensors, the largest of each figure.

    max_abs: max |a - e|.  max_rel: max_abs / max |e|.  max_ulp: max_abs in units of the distance
    from max |e| to the next float of the dtype. bitwise: every bit is equal (so a nan equals
    itself, and 0 differs from -0).
    """

    max_abs: float = 0.0
    max_rel: float = 0.0
    max_ulp: float = 0.0
    bitwise: bool = True

    def __or__(self, other: Self) -> "Difference":
        """The larger of each figure."""
        return Difference(
            _larger(self.max_abs, other.max_abs),
            _larger(self.max_rel, other.max_rel),
            _larger(self.max_ulp, other.max_ulp),
            self.bitwise and other.bitwise,
        )


def compare(actual: Tensor, expected: Tensor) -> Difference:
    """The difference of two tensors of one shape, dtype (float32 or float64) and device; waits for
    the device.

    ValueError names shapes, dtypes or devices that differ.
    """
    for what in ("shape", "dtype", "device"):
        a, e = getattr(actual, what), getattr(expected, what)
        if a != e:
            raise ValueError(f"cannot compare: {what} is {a} in one tensor and {e} in the other")
    integer = _INTEGERS[expected.dtype]
    same = actual.contiguous().view(integer) == expected.contiguous().view(integer)
    if same.all().item():
        return Difference()
    # where bits agree the difference is 0, also of an infinity or a nan
    max_abs = torch.where(same, 0, (actual - expected).abs()).max()
    scale = expected.abs().max()
    spacing = torch.nextafter(scale, scale.new_full((), torch.inf)) - scale
    relative = max_abs / scale if max_abs else max_abs  # 0 and -0 differ in a bit, not in value
    return Difference(max_abs.item(), relative.item(), (max_abs / spacing).item(), bitwise=False)


def compare_gradients(network: Network, model: nn.Module) -> dict[str, Difference]:
    """By parameter name, what `network` found by hand against what autograd left in `model`'s
    .grad.

    Let both go backward on one batch first: AssertionError where .grad is None.
    """
    gradients = network.parameters.gradients
    differences = {}
    for name, value, parameter in pairs(network, model):
        assert parameter.grad is not None, "call backward() first"
        gradient = gradients[name]
        differences[name] = compare(gradient.T if value.ndim == 2 else gradient, parameter.grad)
    return differences


def compare_parameters(network: Network, model: nn.Module) -> dict[str, Difference]:
    """By parameter name, the values in `network` against those in `model`."""
    return {
        name: compare(value, parameter.detach()) for name, value, parameter in pairs(network, model)
    }


def largest(differences: Iterable[Difference]) -> Difference:
    """The largest of each figure over `differences`."""
    result = Difference()
    for difference in differences:
        result |= difference
    return result


def _larger(a: float, b: float) -> float:
    return a if a != a or a >= b else b  # noqa: PLR0124 - a nan, once met, stays
