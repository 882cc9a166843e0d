"""Right gradients from a reference: what it is a function of, and in which precision."""

# ruff: noqa: ARG005 - a backward overlooks what it is given

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from tests.check.test_layers import Plain
from torch_ref.check.recognition import recognise
from torch_ref.evidence.reference import Autograd, labels
from torch_ref.forms.alone import of_module
from torch_ref.forms.arguments import Arguments
from torch_ref.forms.binding import Plan
from torch_ref.forms.forms import Functions

X = torch.linspace(-1, 2, 6, dtype=torch.float64).reshape(2, 3)
W = X + 3
ONES = torch.ones(2, 3, dtype=torch.float64)


def of(reference: Any, **inputs: Any) -> tuple[Autograd, dict[str, Tensor]]:
    """A reference of these inputs, and these as a point."""
    arguments = Arguments.of(list(inputs), list(inputs.values()))
    return Autograd(reference, Functions(torch.add, torch.add, arguments, Plan())), arguments.given


def plain(gradients: dict[str, Tensor]) -> dict[str, list[float]]:
    return {name: g.reshape(-1).tolist() for name, g in gradients.items()}


def test_the_gradients_of_all_inputs() -> None:
    reference, point = of(lambda x, w, n: x * w**2 + n, x=X, w=W, n=torch.arange(3))
    found = reference.all(point, ONES)
    assert plain(found) == plain({"x": W**2, "w": 2 * X * W})
    assert torch.equal(reference.vjp(point, 2 * ONES, "x"), 2 * W**2)
    assert torch.equal(reference.nearest(point, ONES, "w", X), 2 * X * W)
    assert torch.equal(reference.output(point), X * W**2 + torch.arange(3))
    assert not reference.output(point).requires_grad
    assert (reference.covers("x"), reference.covers("w"), reference.covers("other")) == (
        True,
        True,
        False,
    )


def test_what_an_output_does_not_depend_on_has_a_gradient_of_zeros() -> None:
    reference, point = of(lambda x, w: x * 2 + 0 * w.detach(), x=X, w=W)
    assert plain(reference.all(point, ONES)) == plain({"x": 2 * ONES, "w": 0 * ONES})
    nothing, there = of(lambda x: torch.ones(2), x=X)
    found = nothing.all(there, torch.ones(2))
    assert plain(found) == plain({"x": 0 * ONES})
    assert found["x"].dtype == torch.float64


def test_several_outputs_and_complex_ones() -> None:
    reference, point = of(lambda x: (x.sum(), "text", {"a": 2 * x}), x=X)
    dy = torch.arange(7.0, dtype=torch.float64)
    assert plain(reference.all(point, dy)) == plain({"x": 2 * dy[1:].reshape(2, 3) + dy[0]})
    z = torch.complex(X, X + 1)
    turned, there = of(lambda z: z * 1j, z=z)
    pairs = torch.arange(12.0, dtype=torch.float64)
    wanted = torch.stack([pairs[1::2], -pairs[::2]], -1).reshape(2, 3, 2)
    assert torch.equal(turned.all(there, pairs)["z"], wanted)
    assert turned.function(there).shape == (12,)


def test_a_precision_that_it_does_not_take_gives_none() -> None:
    def forward(x: Tensor) -> Tensor:
        if x.dtype == torch.float16:
            raise TypeError("no float16")
        return x.exp()

    reference, point = of(forward, x=X)
    assert reference.low(point, ONES, torch.float16) == {}
    found = reference.low(point, ONES, torch.float32)["x"]
    assert found.dtype == torch.float64
    assert torch.equal(found, X.float().exp().double())
    assert reference.all({"x": X.float()}, ONES)["x"].dtype == torch.float64


def test_what_is_traced_is_a_function_of_the_point() -> None:
    reference, point = of(lambda x, w: x * w, x=X, w=W)
    leaf = X.clone().requires_grad_()
    assert reference.function(point | {"x": leaf}).requires_grad
    assert reference.function(point).shape == (2, 3)
    of_two, there = of(lambda x: (x, x.sum()), x=X)
    assert of_two.function(there).shape == (7,)


def test_a_module_is_copied_and_computes_in_float64() -> None:
    module = nn.Linear(3, 2)
    before = module.weight.detach().clone()
    form = of_module(module, X.float())
    reference = Autograd(module, form)
    point = form.arguments.given
    found = reference.all(point, torch.ones(2, 2, dtype=torch.float64))
    assert set(found) == {"input"}
    wanted = torch.ones(2, 2, dtype=torch.float64) @ before.double()
    assert torch.equal(found["input"], wanted)
    assert module.weight.dtype == torch.float32
    assert torch.equal(module.weight, before)


@pytest.mark.parametrize(
    ("given", "dtype"),
    [
        (torch.uint8, torch.int64),
        (torch.int32, torch.int64),
        (torch.int64, torch.int64),
        (torch.bool, torch.bool),
        (torch.float32, torch.float32),
    ],
)
def test_labels_are_integers_as_torch_wants_them(given: torch.dtype, dtype: torch.dtype) -> None:
    assert labels(torch.ones(2, dtype=given)).dtype == dtype


def of_two(x: Tensor, w: Tensor, b: Tensor) -> Tensor:
    return x * w + b


@pytest.mark.parametrize(
    ("reference", "whole", "covered"),
    [
        (of_two, False, ["x", "w", "b"]),
        (lambda x: x, False, ["x"]),
        (lambda *every: every[0], False, ["x"]),
        (lambda *every: of_two(*every), True, ["x", "w", "b"]),  # noqa: PLW0108
        (nn.Identity(), False, ["x"]),
    ],
)
def test_the_parameters_of_a_layer_are_its_own_where_it_takes_them(
    reference: Any, *, whole: bool, covered: list[str]
) -> None:
    form = recognise(Plain(), None, X.numpy())
    found = Autograd(reference, form, whole=whole)
    assert [name for name in ("x", "w", "b") if found.covers(name)] == covered
    gradients = found.all(form.arguments.given, ONES)
    assert list(gradients) == covered
    w = form.arguments.given["w"]
    assert torch.equal(gradients["x"], ONES * w if "w" in covered else ONES)


def test_an_output_without_floats_is_the_references() -> None:
    reference, point = of(lambda x: torch.arange(3), x=X)
    with pytest.raises(ValueError, match=r"^the reference returned int64: "):
        reference.output(point)
