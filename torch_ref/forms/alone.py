"""Forms of one function alone: it returns its gradient as well, or torch differentiates it."""

import copy
from collections.abc import Callable
from typing import Any, final

import torch
from torch import Tensor, nn

from torch_ref.forms.arguments import Arguments
from torch_ref.forms.attributes import Parameters
from torch_ref.forms.binding import named
from torch_ref.forms.forms import Form, times
from torch_ref.forms.outputs import Output
from torch_ref.forms.returned import Gradients
from torch_ref.forms.values import Leaf, Point, as_real, has_slope, is_array, is_numeric, parts


@final
class LossAndGradient(Form):
    """One function that returns a loss and its gradient or gradients; as a method, also those of
    its object's parameters.
    """

    def __init__(self, function: Callable[..., Any], arguments: Arguments, result: Any) -> None:
        super().__init__(arguments)
        self.function = function
        self.parameters = Parameters(getattr(function, "__self__", None), arguments, result[1])

    def _run(self, point: Point) -> Any:
        self.parameters.put(point)
        return self.function(*self.arguments.build(point))

    def forward(self, point: Point) -> Output:
        return Output.read(self._run(point)[0])

    def backward(
        self,
        point: Point,
        dy: Tensor,
        layout: str = "contiguous",  # noqa: ARG002
    ) -> Gradients:
        _, *found = self._run(point)
        return times(self.read(found[0] if len(found) == 1 else tuple(found)), dy)


@final
class Closure(Form):
    """One function that returns its output and a function of dy: the gradients."""

    def __init__(self, function: Callable[..., Any], arguments: Arguments) -> None:
        super().__init__(arguments)
        self.function = function

    def forward(self, point: Point) -> Output:
        return Output.read(self.function(*self.arguments.build(point))[0])

    def backward(self, point: Point, dy: Tensor, layout: str = "contiguous") -> Gradients:
        result, backward = self.function(*self.arguments.build(point))
        return self.read(backward(Output.read(result).upstream(dy, layout)))


@final
class ThroughAutograd(Form):
    """forward alone, a Function, a module or any function of tensors: its backward is what autograd
    finds in it.
    """

    autograd = True

    def __init__(
        self,
        forward: Callable[..., Any],
        arguments: Arguments,
        *,
        function: type[torch.autograd.Function] | None = None,
        module: nn.Module | None = None,
    ) -> None:
        super().__init__(arguments)
        self._forward, self._function, self._module = forward, function, module
        if module is not None:
            self.calls_with = len(arguments.names) - len(list(module.named_parameters()))

    def _run(self, point: Point, *, gradient: bool) -> tuple[Any, dict[str, Tensor]]:
        leaves: dict[str, Tensor] = {}

        def give(leaf: Leaf, value: Tensor) -> Any:
            if leaf.kind == "number":
                return value.item()
            own = torch.view_as_complex(value.contiguous()) if leaf.is_complex else value
            leaves[leaf.name] = own.detach().clone().requires_grad_(gradient and leaf.is_float)
            return leaves[leaf.name]

        arguments = self.arguments.build(point, give)
        with torch.set_grad_enabled(gradient):
            if self._module is None:
                return self._forward(*arguments), leaves
            own = dict(
                zip(
                    self.arguments.names[self.calls_with :],
                    arguments[self.calls_with :],
                    strict=True,
                )
            )
            own |= {name: buffer.clone() for name, buffer in self._module.named_buffers()}
            inputs = tuple(arguments[: self.calls_with])
            return torch.func.functional_call(copy.copy(self._module), own, inputs), leaves

    def differentiable(self) -> bool:
        """Whether torch sees the output depend on the inputs."""
        try:
            result, _ = self._run(self.arguments.given, gradient=True)
        except Exception:  # noqa: BLE001 - NumPy, say, refuses what requires a gradient
            return False
        return any(tensor.requires_grad for tensor in _tensors(result))

    def forward(self, point: Point) -> Output:
        return Output.read(self._run(point, gradient=False)[0])

    def backward(self, point: Point, dy: Tensor, layout: str = "contiguous") -> Gradients:
        result, leaves = self._run(point, gradient=True)
        outputs = _tensors(result)
        upstream = _tensors(Output.read(result).upstream(dy, layout))
        pairs = [
            (y, d)
            for y, d in zip(filter(has_slope, outputs), upstream, strict=True)
            if y.requires_grad
        ]
        names = [name for name in self.arguments.floats if name in leaves]
        found: Gradients = dict.fromkeys(self.arguments.floats)
        if pairs:
            handed = [d for _, d in pairs]
            before = [d.clone() for d in handed]
            given = self._own(outputs, handed, names) or torch.autograd.grad(
                [y for y, _ in pairs], [leaves[name] for name in names], handed, allow_unused=True
            )
            if any(
                not torch.equal(a.nan_to_num(), b.nan_to_num())
                for a, b in zip(before, handed, strict=True)
            ):
                self.overwrites.add("dy")
            found |= {
                name: None if g is None else as_real(g.detach().cpu())
                for name, g in zip(names, given, strict=True)
            }
        return found

    def _own(self, outputs: list[Tensor], dy: list[Tensor], names: list[str]) -> list[Any] | None:
        """What the Function's own backward returns: the engine would sum a gradient that is too
        large, or refuse it.
        """
        if self._function is None or len(outputs) != len(dy):
            return None
        node = outputs[0].grad_fn
        if type(node).__name__ != f"{self._function.__name__}Backward" or any(
            y.grad_fn is not node for y in outputs
        ):
            return None
        result = node.apply(*dy)  # type: ignore[union-attr]
        returned = list(result) if isinstance(result, tuple) else [result]
        if len(returned) < len(self.arguments.names):
            return None  # torch says why
        by_argument = dict(zip(self.arguments.names, returned, strict=False))
        return [by_argument.get(name) for name in names]


def _tensors(result: Any) -> list[Tensor]:
    return [part for part in parts(result) if isinstance(part, Tensor)]


def function_of(forward: Any) -> type[torch.autograd.Function] | None:
    """The torch.autograd.Function that forward is, or is the apply of."""
    owner = forward if isinstance(forward, type) else getattr(forward, "__self__", None)
    return owner if isinstance(owner, type) and issubclass(owner, torch.autograd.Function) else None


def of_module(module: nn.Module, inputs: Any) -> ThroughAutograd:
    """The form of a module, with its parameters as inputs by their names."""
    names, values = named(module.forward, inputs)
    own = {name: parameter.detach() for name, parameter in module.named_parameters()}
    values = [torch.as_tensor(value) if is_array(value) else value for value in values]
    return ThroughAutograd(
        module, Arguments.of([*names, *own], [*values, *own.values()]), module=module
    )


def of_function(forward: Callable[..., Any], arguments: Arguments) -> Form:
    """The form of a function that returns (loss, gradient) or (output, a function of dy), or that
    torch differentiates. ValueError for any other.
    """
    given = arguments.given
    result = forward(*arguments.build(given))
    if _is_loss_and_gradient(result):
        form = LossAndGradient(forward, arguments, result)
        form.backward(given, torch.ones(()))
        return form
    if (
        isinstance(result, list | tuple)
        and len(result) == 2
        and callable(result[1])
        and is_numeric(result[0])
    ):
        closure = Closure(forward, arguments)
        closure.backward(given, torch.ones_like(closure.forward(given).y))
        return closure
    by_torch = ThroughAutograd(forward, arguments)
    if (
        not any(leaf.kind == "torch" for leaf in arguments.leaves.values())
        or not by_torch.differentiable()
    ):
        raise ValueError(
            "no backward was given, and forward returns neither (loss, gradient) nor a tensor that "
            "torch can differentiate: "
            "give backward(dy, *inputs)"
        )
    return by_torch


def _is_loss_and_gradient(result: Any) -> bool:
    """Whether it is a number with gradients that torch doesn't know of."""
    if not isinstance(result, list | tuple) or len(result) < 2 or not is_numeric(result[0]):
        return False
    if all(isinstance(part, Tensor) and part.requires_grad for part in result[:2]):
        return False
    try:
        return Output.read(result[0]).is_scalar
    except ValueError:
        return False
