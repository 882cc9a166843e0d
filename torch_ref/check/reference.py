"""Right gradients from a reference: a function or a module of torch, differentiated by autograd."""

import copy
from collections.abc import Callable
from typing import Any, final

import torch
from torch import Tensor, nn

from torch_ref.check.binding import parameters
from torch_ref.check.forms import Form
from torch_ref.check.outputs import Output
from torch_ref.check.slopes import Source
from torch_ref.check.values import Arguments, Leaf, Point, as_real, double


@final
class Autograd(Source):
    """A torch function or a module of the same inputs, differentiated in float64."""

    # eps of float32 / 32 = 2^24 eps of float64. Rounding in float64 stays below it even where terms a million times
    # as large cancel; float32 arithmetic inside a float64 backward does not, so it shows. torch's own softplus, off
    # by 2e-9 above its threshold of 20, stays below it, too.
    slack = 2.0**-28
    noise = 2.0**-42  # 2^10 eps of float64, where the gradient is 0 and its terms are not

    def __init__(self, reference: Callable[..., Any], form: Form, *, whole: bool = False) -> None:
        """whole: it takes the parameters of a layer, too."""
        # a module may keep parameters in float32 and statistics of what it saw
        self._reference = copy.deepcopy(reference).double() if isinstance(reference, nn.Module) else reference
        self._arguments = form.arguments
        self._number = len(_extra(form.arguments)) + len(form.arguments.names) if whole else _taken(reference, form)
        named = form.arguments.names[: self._number]
        self._covered = {leaf for name in named for leaf in form.arguments.by_argument[name]}
        if self._number > len(named):
            self._covered = set(form.arguments.leaves)

    def covers(self, name: str) -> bool:
        return name in self._covered

    def output(self, point: Point) -> Tensor:
        with torch.no_grad():
            return self._run(double(point))[0].double()

    def nearest(self, point: Point, dy: Tensor, name: str, actual: Tensor) -> Tensor:  # noqa: ARG002
        return self.vjp(point, dy, name)

    def vjp(self, point: Point, dy: Tensor, name: str) -> Tensor:
        return self.all(point, dy)[name]

    def all(self, point: Point, dy: Tensor, dtype: torch.dtype = torch.float64) -> dict[str, Tensor]:
        """The gradient of every input that it covers, computed in `dtype`."""
        own = {k: v.to(dtype) if v.is_floating_point() else v for k, v in point.items()}
        tensors: dict[str, Tensor] = {}
        y, raw = self._run(own, tensors)
        names = [name for name in tensors if tensors[name].requires_grad]
        flat = [t for t in raw if t.requires_grad]
        if not flat:  # y is made of no input at all
            return {name: torch.zeros(point[name].shape, dtype=torch.float64) for name in names}
        grads = torch.autograd.grad(
            (torch.cat([as_real(t).reshape(-1) for t in raw]) * dy.reshape(-1).to(y.device, y.dtype)).sum(),
            [tensors[name] for name in names],
            allow_unused=True,
            materialize_grads=True,
        )
        return {name: as_real(g.detach()).double().cpu() for name, g in zip(names, grads, strict=True)}

    def _run(self, point: Point, tensors: dict[str, Tensor] | None = None) -> tuple[Tensor, list[Tensor]]:
        def give(leaf: Leaf, value: Tensor) -> Any:
            value = value if value.is_floating_point() or value.dtype == torch.bool else value.long()
            own = torch.view_as_complex(value.contiguous()) if leaf.is_complex else value
            if tensors is not None and leaf.is_float and leaf.name in self._covered:
                own = own.detach().clone().requires_grad_()
                tensors[leaf.name] = own
            return own

        arguments = self._arguments.build(point, give)
        if self._number > len(arguments):  # the parameters of a layer, too
            arguments += [give(self._arguments.leaves[name], point[name]) for name in _extra(self._arguments)]
        result = self._reference(*arguments[: self._number])
        output = Output.read(result, whose="the reference")
        return output.y, _floats_in(result)

    def function(self, point: Point) -> Tensor:
        """y as a function of the point that torch can trace: no copies, nothing detached."""
        arguments = self._arguments.build(point, lambda leaf, value: torch.view_as_complex(value) if leaf.is_complex else value)
        arguments += [point[name] for name in _extra(self._arguments)]
        floats = _floats_in(self._reference(*arguments[: self._number]))
        if len(floats) == 1 and not floats[0].is_complex():
            return floats[0]
        return torch.cat([as_real(part).reshape(-1) for part in floats])

    def low(self, point: Point, dy: Tensor, dtype: torch.dtype) -> dict[str, Tensor] | None:
        """The gradients computed in a smaller dtype; None where the reference can't."""
        try:
            return self.all(point, dy, dtype)
        except Exception:  # noqa: BLE001 - a module in float64, a kernel that has no such dtype
            return None


def _floats_in(result: Any) -> list[Tensor]:
    if isinstance(result, Tensor):
        return [result] if result.is_floating_point() or result.is_complex() else []
    if isinstance(result, dict):
        result = list(result.values())
    return [tensor for part in result for tensor in _floats_in(part)] if isinstance(result, list | tuple) else []


def _taken(reference: Callable[..., Any], form: Form) -> int:
    """How many arguments the reference takes: those of the call, or the parameters of a layer as well."""
    found = parameters(reference.forward if isinstance(reference, nn.Module) else reference)
    arguments: Arguments = form.arguments
    extra = _extra(arguments)
    if found is not None and len(found) == len(arguments.names) + len(extra) and extra:
        return len(found)
    if isinstance(reference, nn.Module) and form.calls_with < len(arguments.names):
        return form.calls_with
    return len(arguments.names)


def _extra(arguments: Arguments) -> list[str]:
    """The inputs that are no arguments of the call: parameters of a layer."""
    return [name for name in arguments.leaves if not any(name in leaves for leaves in arguments.by_argument.values())]
