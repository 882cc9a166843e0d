"""One function that needs no other: it returns its gradient as well, or torch differentiates it."""

from collections.abc import Callable
from typing import Any, final

import torch
from torch import Tensor

from torch_ref.check.attributes import Parameters
from torch_ref.check.binding import is_output
from torch_ref.check.forms import Form, times
from torch_ref.check.outputs import Output
from torch_ref.check.returned import Gradients
from torch_ref.check.throughautograd import ThroughAutograd
from torch_ref.check.values import Arguments, Point


@final
class LossAndGradient(Form):
    """One function that returns a loss and its gradient or gradients; as a method, also those of its object's parameters."""

    def __init__(self, function: Callable[..., Any], arguments: Arguments, result: Any) -> None:
        super().__init__(arguments)
        self.forward_function = function
        self.parameters = Parameters(getattr(function, "__self__", None), arguments, result[1])

    def _run(self, point: Point) -> Any:
        self.parameters.put(point)
        return self.forward_function(*self.arguments.build(point))

    def forward(self, point: Point) -> Output:
        return Output.read(self._run(point)[0])

    def backward(self, point: Point, dy: Tensor, layout: str = "contiguous") -> Gradients:  # noqa: ARG002
        _, *found = self._run(point)
        return times(self.read(found[0] if len(found) == 1 else tuple(found)), dy)


@final
class Closure(Form):
    """One function that returns its output and a function of dy: the gradients."""

    def __init__(self, function: Callable[..., Any], arguments: Arguments) -> None:
        super().__init__(arguments)
        self.forward_function = function

    def forward(self, point: Point) -> Output:
        return Output.read(self.forward_function(*self.arguments.build(point))[0])

    def backward(self, point: Point, dy: Tensor, layout: str = "contiguous") -> Gradients:
        result, backward = self.forward_function(*self.arguments.build(point))
        return self.read(backward(Output.read(result).upstream(dy, layout)))


def is_loss_and_gradient(result: Any) -> bool:
    """(a number, gradients that torch doesn't know of)."""
    if not isinstance(result, list | tuple) or len(result) < 2 or not is_output(result[0]):
        return False
    loss = result[0]
    if isinstance(loss, Tensor) and loss.requires_grad and isinstance(result[1], Tensor) and result[1].requires_grad:
        return False
    try:
        return Output.read(loss).is_scalar
    except ValueError:
        return False


def of_function(forward: Callable[..., Any], arguments: Arguments) -> Form:
    """(loss, gradient), (output, a function of dy), or what torch differentiates. ValueError for what is none of these."""
    result = forward(*arguments.build(arguments.given))
    if is_loss_and_gradient(result):
        form = LossAndGradient(forward, arguments, result)
        form.backward(arguments.given, torch.ones(()))
        return form
    if isinstance(result, list | tuple) and len(result) == 2 and callable(result[1]) and is_output(result[0]):
        closure = Closure(forward, arguments)
        closure.backward(arguments.given, torch.ones_like(closure.forward(arguments.given).y))
        return closure
    by_torch = ThroughAutograd(forward, arguments)
    of_torch = any(leaf.kind == "torch" for leaf in arguments.leaves.values())
    if not of_torch or not by_torch.differentiable():
        raise ValueError(
            "no backward was given, and forward returns neither (loss, gradient) nor a tensor that torch can differentiate: "
            "give backward(dy, *inputs)"
        )
    return by_torch
