"""What torch differentiates by itself: a Function, a module, any function of tensors. Finite differences judge it."""

import copy
from collections.abc import Callable
from typing import Any, final

import torch
from torch import Tensor, nn

from torch_ref.check.forms import Form, values_of
from torch_ref.check.outputs import Output
from torch_ref.check.returned import Gradients
from torch_ref.check.values import Arguments, Leaf, Point, as_real, is_array


def function_of(forward: Any) -> type[torch.autograd.Function] | None:
    """The torch.autograd.Function that forward is, or is the apply of."""
    owner = forward if isinstance(forward, type) else getattr(forward, "__self__", None)
    return owner if isinstance(owner, type) and issubclass(owner, torch.autograd.Function) else None


@final
class ThroughAutograd(Form):
    """forward alone: its backward is what autograd finds in it."""

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
            inputs, values = arguments[: self.calls_with], arguments[self.calls_with :]
            buffers = {name: buffer.clone() for name, buffer in self._module.named_buffers()}
            named = dict(zip(self.arguments.names[self.calls_with :], values, strict=True))
            own = copy.copy(self._module)
            return torch.func.functional_call(own, {**named, **buffers}, tuple(inputs)), leaves

    def differentiable(self) -> bool:
        """The output is made of the inputs as torch sees it."""
        try:
            result, _ = self._run(self.arguments.given, gradient=True)
        except Exception:  # noqa: BLE001 - NumPy, say, refuses what requires a gradient
            return False
        return any(tensor.requires_grad for tensor in _tensors(result))

    def forward(self, point: Point) -> Output:
        return Output.read(self._run(point, gradient=False)[0])

    def backward(self, point: Point, dy: Tensor, layout: str = "contiguous") -> Gradients:
        result, leaves = self._run(point, gradient=True)
        output = Output.read(result)
        outputs, upstream = _tensors(result), _tensors(output.upstream(dy, layout))
        pairs = [(y, d) for y, d in zip((o for o in outputs if _has_slope(o)), upstream, strict=True) if y.requires_grad]
        names = [name for name, leaf in self.arguments.leaves.items() if leaf.is_float and name in leaves]
        found: Gradients = {name: None for name, leaf in self.arguments.leaves.items() if leaf.is_float}
        if pairs:
            handed = [d for _, d in pairs]
            before = [d.clone() for d in handed]
            given = self._own(outputs, handed, leaves) or torch.autograd.grad(
                [y for y, _ in pairs], [leaves[name] for name in names], handed, allow_unused=True
            )
            if any(not torch.equal(a.nan_to_num(), b.nan_to_num()) for a, b in zip(before, handed, strict=True)):
                self.overwrites.add("dy")
            found |= {name: None if g is None else as_real(g.detach().cpu()) for name, g in zip(names, given, strict=True)}
        return found

    def _own(self, outputs: list[Tensor], dy: list[Tensor], leaves: dict[str, Tensor]) -> list[Any] | None:
        """What the Function's own backward returns: the engine would sum a gradient that is too large, or refuse it."""
        if self._function is None or len(outputs) != len(dy):
            return None
        node = outputs[0].grad_fn
        if (
            node is None
            or type(node).__name__ != f"{self._function.__name__}Backward"
            or any(y.grad_fn is not node for y in outputs)
        ):
            return None
        result = node.apply(*dy)  # type: ignore[attr-defined]
        returned = list(result) if isinstance(result, tuple) else [result]
        arguments = self.arguments
        if len(returned) < len(arguments.names):
            return None  # its engine says why
        by_argument = dict(zip(arguments.names, returned, strict=False))
        return [by_argument.get(name) for name in arguments.leaves if arguments.leaves[name].is_float and name in leaves]


def _has_slope(tensor: Tensor) -> bool:
    return tensor.is_floating_point() or tensor.is_complex()


def _tensors(result: Any) -> list[Tensor]:
    if isinstance(result, Tensor):
        return [result]
    if isinstance(result, dict):
        result = list(result.values())
    return [tensor for part in result for tensor in _tensors(part)] if isinstance(result, list | tuple) else []


def of_module(module: nn.Module, inputs: Any) -> ThroughAutograd:
    """With its parameters as inputs by their names."""
    names, values = values_of(module.forward, inputs)
    own = dict(module.named_parameters())
    values = [torch.as_tensor(value) if is_array(value) and not isinstance(value, Tensor) else value for value in values]
    arguments = Arguments.of([*names, *own], [*values, *(parameter.detach() for parameter in own.values())])
    return ThroughAutograd(module, arguments, module=module)
