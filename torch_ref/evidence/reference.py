"""Right gradients from a reference: a function or a module of torch, differentiated by autograd."""

import copy
from collections.abc import Callable
from typing import Any, final

import torch
from torch import Tensor, nn

from torch_ref.evidence.slopes import Source
from torch_ref.forms.binding import parameters
from torch_ref.forms.forms import Form
from torch_ref.forms.outputs import Output
from torch_ref.forms.values import Leaf, Point, as_real, double, has_slope, parts


@final
class Autograd(Source):
    """A torch function or a module of the same inputs, differentiated in float64."""

    # eps of float32 / 32 = 2^24 eps of float64. Rounding in float64 stays below it even where terms
    # a million times as large cancel; float32 arithmetic inside a float64 backward does not, so it
    # shows. torch's own softplus, off by 2e-9 above its threshold of 20, stays below it, too.
    slack = 2.0**-28
    noise = 2.0**-42  # 2^10 eps of float64, where the gradient is 0 and its terms are not

    def __init__(self, reference: Callable[..., Any], form: Form, *, whole: bool = False) -> None:
        """whole: the reference takes the parameters of a layer, too."""
        # a copy: a module may have parameters in float32, and update statistics
        self._reference = (
            copy.deepcopy(reference).double() if isinstance(reference, nn.Module) else reference
        )
        self._arguments, names, kept = form.arguments, form.arguments.names, form.arguments.kept
        takes = parameters(reference.forward if isinstance(reference, nn.Module) else reference)
        if whole or (kept and takes is not None and len(takes) == len(names) + len(kept)):
            self._number = len(names) + len(kept)
        else:
            self._number = form.calls_with if isinstance(reference, nn.Module) else len(names)
        self._covered = {
            leaf for name in names[: self._number] for leaf in self._arguments.by_argument[name]
        }
        self._covered |= set(kept if self._number > len(names) else [])

    def covers(self, name: str) -> bool:
        return name in self._covered

    def output(self, point: Point) -> Tensor:
        with torch.no_grad():
            return Output.read(self._run(double(point))[0], whose="the reference").y.double()

    def nearest(
        self,
        point: Point,
        dy: Tensor,
        name: str,
        actual: Tensor,  # noqa: ARG002
    ) -> Tensor:
        return self.vjp(point, dy, name)

    def vjp(self, point: Point, dy: Tensor, name: str) -> Tensor:
        return self.all(point, dy)[name]

    def all(
        self, point: Point, dy: Tensor, dtype: torch.dtype = torch.float64
    ) -> dict[str, Tensor]:
        """The gradient of every input that it covers, computed in `dtype`."""
        result, tensors = self._run(
            {k: v.to(dtype) if v.is_floating_point() else v for k, v in point.items()}
        )
        names = [name for name in tensors if tensors[name].requires_grad]
        y = _flat(result)
        if not y.requires_grad:  # y is made of no input at all
            return {name: torch.zeros(point[name].shape, dtype=torch.float64) for name in names}
        grads = torch.autograd.grad(
            (y * dy.reshape(-1).to(y.device, y.dtype)).sum(),
            [tensors[name] for name in names],
            materialize_grads=True,
        )
        return {
            name: as_real(g.detach()).double().cpu() for name, g in zip(names, grads, strict=True)
        }

    def _run(self, point: Point) -> tuple[Any, dict[str, Tensor]]:
        tensors: dict[str, Tensor] = {}

        def give(leaf: Leaf, value: Tensor) -> Tensor:
            value = labels(value)
            own = torch.view_as_complex(value.contiguous()) if leaf.is_complex else value
            if leaf.is_float and leaf.name in self._covered:
                own = tensors[leaf.name] = (
                    own.detach().clone().requires_grad_(torch.is_grad_enabled())
                )
            return own

        return self._call(point, give), tensors

    def _call(self, point: Point, give: Callable[[Leaf, Tensor], Tensor]) -> Any:
        arguments = self._arguments.build(point, give)
        if self._number > len(arguments):  # the parameters of a layer, too
            arguments += [
                give(self._arguments.leaves[name], point[name]) for name in self._arguments.kept
            ]
        return self._reference(*arguments[: self._number])

    def function(self, point: Point) -> Tensor:
        """y as a function of the point that torch can trace: no copies, nothing detached."""
        result = self._call(
            point, lambda leaf, value: torch.view_as_complex(value) if leaf.is_complex else value
        )
        floats = _floats_in(result)
        return floats[0] if len(floats) == 1 and not floats[0].is_complex() else _flat(result)

    def low(self, point: Point, dy: Tensor, dtype: torch.dtype) -> dict[str, Tensor]:
        """The gradients computed in a smaller dtype; none where the reference can't."""
        try:
            return self.all(point, dy, dtype)
        except Exception:  # noqa: BLE001 - a module in float64, a kernel that has no such dtype
            return {}


def labels(value: Tensor) -> Tensor:
    """Integers as torch wants them, int64."""
    return value if value.is_floating_point() or value.dtype == torch.bool else value.long()


def _floats_in(result: Any) -> list[Tensor]:
    return [part for part in parts(result) if isinstance(part, Tensor) and has_slope(part)]


def _flat(result: Any) -> Tensor:
    return torch.cat([as_real(part).reshape(-1) for part in _floats_in(result)])
