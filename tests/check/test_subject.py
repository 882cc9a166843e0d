"""Forms as they are called: what is noted of an exception, of the time, of torch's engine, and how
one function alone is told.
"""

# ruff: noqa: ARG001, ARG004, ARG005 - a backward overlooks what it is given

import random
import sys
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.autograd import Function, grad
from torch.autograd.function import once_differentiable

from torch_ref.check.recognition import recognise
from torch_ref.forms.alone import Closure, LossAndGradient, ThroughAutograd, function_of
from torch_ref.forms.forms import called
from torch_ref.forms.subject import Subject, reseed

X = torch.linspace(0.5, 1.5, 3, dtype=torch.float64)
ONES = torch.ones(3, dtype=torch.float64)


def twice(x: Any) -> Any:
    return 2 * x


def left(y: Tensor, x: Tensor, dy: Tensor) -> Tensor | None:
    torch.autograd.backward(y, dy)
    return x.grad


def subject(forward: Any, backward: Any = None, x: Any = X) -> Subject:
    return Subject(recognise(forward, backward, x))


def test_an_exception_has_a_note_of_the_call_and_is_kept() -> None:
    def forward(x: Tensor) -> Tensor:
        if x[0] == 7:
            raise ValueError("seven")
        return 2 * x

    def backward(dy: Tensor, x: Tensor) -> Tensor:
        if dy[0] == 7:
            raise LookupError("seven")
        return 2 * dy

    of = subject(forward, backward)
    with pytest.raises(ValueError, match="seven") as raised:
        of.forward({"x": 7 * ONES})
    assert raised.value.__notes__ == ["raised by forward, called with x (3,) float64"]
    with pytest.raises(LookupError, match="seven") as other:
        of.backward({"x": X}, 7 * ONES)
    assert other.value.__notes__ == ["raised by backward, called with x (3,) float64"]
    assert of.raised == {"forward": raised.value, "backward": other.value}
    with pytest.raises(ValueError, match="seven") as again:
        recognise(forward, backward, 7 * ONES)
    assert again.value.__notes__ == ["raised by forward, called with x (3,) float64"]


def test_the_shortest_call_counts() -> None:
    of = subject(twice, lambda dy, x: 2 * dy)
    assert of.seconds == float("inf")
    of.forward(of.given)
    assert 0 < of.seconds < 1
    of.seconds = 0.0
    of.forward(of.given)
    assert of.seconds == 0


def test_what_takes_no_float64() -> None:
    w = torch.ones(3, 3)

    def forward(x: Tensor) -> Tensor:
        return x @ w

    of = subject(forward, lambda dy, x: dy @ w.T, X.float())
    assert not of.runs_in_float64()
    assert of.in_own_dtypes({"x": X})["x"].dtype == torch.float32
    calls: list[torch.dtype] = []

    def counted(x: Tensor) -> Tensor:
        calls.append(x.dtype)
        return 2 * x

    in_double = subject(counted, lambda dy, x: 2 * dy)
    calls.clear()
    assert in_double.runs_in_float64()
    once = len(calls)
    in_single = subject(counted, lambda dy, x: 2 * dy, X.float())
    calls.clear()
    assert in_single.runs_in_float64()
    assert len(calls) == 2 * once
    assert set(calls) == {torch.float32, torch.float64}


@pytest.mark.parametrize(
    "differentiate",
    [
        lambda y, x, dy: torch.autograd.grad(y, x, dy)[0],
        lambda y, x, dy: grad(y, x, dy)[0],
        lambda y, x, dy: [y.backward(dy), x.grad][1],
        left,
    ],
)
def test_torchs_engine_is_noticed_however_it_is_called(differentiate: Any) -> None:
    def backward(dy: Tensor, x: Tensor) -> Tensor:
        leaf = x.detach().clone().requires_grad_()
        found: Tensor = differentiate(2 * leaf, leaf, dy)
        return found

    of = subject(twice, backward)
    assert of.calls_autograd is False
    engine = torch.autograd.grad, torch.autograd.backward
    assert of.backward(of.given, ONES)["x"] is not None
    assert vars(of)["calls_autograd"]
    assert (torch.autograd.grad, torch.autograd.backward) == engine


def test_the_generators_are_seeded_alike() -> None:
    def drawn() -> tuple[float, ...]:
        reseed()
        return torch.rand(()).item(), np.random.rand(), random.random()  # noqa: NPY002, S311

    assert drawn() == drawn()
    of = subject(lambda x: x * torch.rand(3), lambda dy, x: dy * torch.rand(3))
    assert not torch.equal(of.forward(of.given), of.forward(of.given))
    of.seeded = True
    first = of.forward(of.given)
    assert torch.equal(first, of.forward(of.given))
    assert torch.equal(of.backward(of.given, ONES)["x"] * X, first)  # type: ignore[operator]


def test_the_profiler_is_left_as_it_was() -> None:
    of = subject(twice, lambda dy, x: twice(dy) + 0 * twice(x))
    before = sys.getprofile()
    assert of.calls_of_forward(of.given, ONES) == 2
    assert sys.getprofile() is before


class Square(Function):
    """With what torch calls in a forward besides."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.mark_non_differentiable()
        ctx.set_materialize_grads(True)
        ctx.save_for_backward(x)
        ctx.kept = 3
        return x**2

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dy: Tensor) -> Any:
        (x,) = ctx.saved_tensors
        assert ctx.needs_input_grad == (True,)
        assert ctx.kept == 3
        return 2 * x * dy


def test_the_ctx_of_static_methods_that_are_called_directly() -> None:
    result, ctx = called(Square.forward, [X], with_context=True)
    assert result.tolist() == (X**2).tolist()
    assert ctx is not None
    assert ctx.saved_tensors == (X,)
    assert ctx.needs_input_grad == (True,)
    with pytest.raises(AttributeError, match=r"^other$"):
        ctx.other  # noqa: B018
    assert called(twice, [X], with_context=False)[1] is None
    assert called(Square.forward, [X], with_context=True)[1] is not ctx


def test_a_function_of_torch_is_known_in_all_its_forms() -> None:
    assert function_of(Square) is function_of(Square.apply) is Square
    assert function_of(twice) is function_of(X.sum) is function_of(int) is None
    for forward, backward in [
        (Square, None), (Square.apply, None), (Square, Square), (Square.apply, Square.apply),
        (Square, Square.backward), (Square.apply, Square.backward),
    ]:  # fmt: skip
        form = recognise(forward, backward, X)
        assert isinstance(form, ThroughAutograd)
        found = form.backward({"x": X}, ONES)["x"]
        assert found is not None
        assert found.tolist() == (2 * X).tolist()


def test_one_function_of_a_loss_and_its_gradient() -> None:
    def loss(x: Any) -> Any:
        return (x**2).sum(), 2 * x

    for result in (loss, lambda x: list(loss(x))):
        form = recognise(result, None, X)
        assert isinstance(form, LossAndGradient)
        assert form.forward({"x": X}).y == (X**2).sum()
        found = form.backward({"x": X}, torch.tensor(3.0))["x"]
        assert found is not None
        assert found.tolist() == (6 * X).tolist()

    def of_two(x: Any, w: Any) -> Any:
        return (x * w).sum(), w, x

    both = recognise(of_two, None, (X, X + 1)).backward({"x": X, "w": X + 1}, torch.tensor(2.0))
    assert [g.tolist() for g in both.values() if g is not None] == [
        (2 * X + 2).tolist(),
        (2 * X).tolist(),
    ]


def test_one_function_of_an_output_and_a_backward() -> None:
    def forward(x: Any) -> Any:
        return x**2, lambda dy: 2 * x * dy

    for given in (X, X.numpy()):
        form = recognise(forward, None, given)
        assert isinstance(form, Closure)
        assert form.forward({"x": X}).y.tolist() == (X**2).tolist()
        found = form.backward({"x": X}, 3 * ONES)["x"]
        assert found is not None
        assert found.tolist() == (6 * X).tolist()


@pytest.mark.parametrize(
    ("forward", "x"),
    [
        (lambda x: 2 * x, X.numpy()),
        (lambda x: x.detach() * 2, X),
        (lambda x: (x, x), X.numpy()),
        (lambda x: (x, 3, 4), X.numpy()),
        (lambda x: x.numpy() * 2, X),
    ],
)
def test_a_function_alone_has_to_hold_its_gradient(forward: Any, x: Any) -> None:
    with pytest.raises(ValueError, match=r"^no backward was given, and forward returns neither"):
        recognise(forward, None, x)


def test_a_function_of_tensors_alone_is_differentiated() -> None:
    form = recognise(lambda x, n: (x**n, x.sum()), None, (X, 2))
    assert isinstance(form, ThroughAutograd)
    dy = torch.tensor([1.0, 2, 3, 4], dtype=torch.float64)
    found = form.backward({"x": X}, dy)["x"]
    assert found is not None
    assert found.tolist() == (2 * X * dy[:3] + 4).tolist()
    nothing = recognise(lambda x, w: x * 2 + w.detach(), None, (X, X + 1))
    assert nothing.backward({"x": X, "w": X + 1}, ONES)["w"] is None


def test_a_module_is_left_as_it_was() -> None:
    module = nn.BatchNorm1d(3).double()
    form = recognise(module, None, torch.stack([X, X + 1, X**2]))
    before = {name: value.clone() for name, value in module.state_dict().items()}
    dy = torch.ones(9, dtype=torch.float64).reshape(3, 3)
    found = form.backward(form.arguments.given, dy)
    assert set(found) == {"input", "weight", "bias"}
    assert found["bias"] is not None
    assert found["bias"].tolist() == [3, 3, 3]
    assert all(torch.equal(before[name], value) for name, value in module.state_dict().items())
    assert all(parameter.grad is None for parameter in module.parameters())
    assert form.calls_with == 1


class Overwrites(Function):
    """Writes into its dy."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return 2 * x

    @staticmethod
    def backward(ctx: Any, dy: Tensor) -> Any:
        return dy.mul_(2)


class Returns(Function):
    """Returns what torch's engine would refuse, or sum."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, w: Tensor) -> Tensor:
        return x * w

    @staticmethod
    def backward(ctx: Any, dy: Tensor) -> Any:
        return dy[None].expand(4, 3), None


def test_what_its_backward_returned_is_read_itself() -> None:
    form = recognise(Overwrites, None, X)
    assert form.backward({"x": X}, ONES)["x"].tolist() == [2, 2, 2]  # type: ignore[union-attr]
    assert form.overwrites == {"dy"}
    assert recognise(Square, None, X).overwrites == set()
    found = recognise(Returns, None, (X, X + 1)).backward({"x": X, "w": X + 1}, ONES)
    assert found["x"] is not None
    assert found["x"].shape == (4, 3)
    assert found["w"] is None
