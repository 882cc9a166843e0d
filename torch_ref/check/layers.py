"""A layer as an object: forward(x) keeps what backward(dy) needs, and gradients are left in attributes of it."""

import inspect
from typing import Any, final

import numpy as np
import torch
from torch import Tensor, nn

from torch_ref.check.attributes import CONTAINER, Path, arrays, get, gradient_path, put
from torch_ref.check.binding import Plan, is_output, parameters, plans
from torch_ref.check.forms import Form, Functions, values_of
from torch_ref.check.outputs import Output
from torch_ref.check.returned import Gradients
from torch_ref.check.values import Arguments, Leaf, Point, as_real, is_array, kind_of, matching, read

FORWARD = ("forward", "forward_pass", "forward_prop", "forward_propagation", "fprop", "fwd", "__call__")
BACKWARD = (
    "backward",
    "backward_pass",
    "back_prop",
    "backprop",
    "backward_prop",
    "backpropagation",
    "bprop",
    "bwd",
    "backpropagate",
)
RESULT = ("output", "outputs", "out", "Y", "y", "result", "a", "A", "loss")


def owner_of(forward: Any, backward: Any) -> tuple[Any, str, str] | None:
    """(the object, its forward's name, its backward's name), where a layer or its two methods were given."""
    if backward is None or backward is forward:
        if isinstance(forward, type):
            forward = _made(forward)
        ours = not inspect.isroutine(forward) and not isinstance(forward, nn.Module)
        there = [
            next((name for name in names if callable(getattr(forward, name, None))), None) for names in (FORWARD, BACKWARD)
        ]
        return (forward, there[0], there[1]) if ours and there[0] and there[1] else None
    first, second = getattr(forward, "__self__", None), getattr(backward, "__self__", None)
    if first is None or first is not second or isinstance(first, type | nn.Module) or inspect.ismodule(first):
        return None
    return first, forward.__name__, backward.__name__


def _made(cls: type) -> Any:
    """An object of the class; ValueError where only its author knows how to make one."""
    if not any(callable(getattr(cls, name, None)) for name in BACKWARD):
        return cls
    try:
        return cls()
    except TypeError as error:
        raise ValueError(f"{cls.__name__} needs arguments: give an object of it, such as {cls.__name__}(3, 2)") from error


@final
class Layer(Form):
    """An object whose parameters are inputs too, by the names of its attributes."""

    def __init__(self, owner: Any, forward: str, backward: str, arguments: Arguments, plan: Plan | None = None) -> None:
        super().__init__(arguments)
        self.owner, self.forward_name = owner, forward
        self._forward, self._backward = getattr(owner, forward), getattr(owner, backward)
        self._plan = plan or Plan((("dy", None),))
        self.inputs = list(arguments.names)
        self._call_arguments: Arguments | None = None
        self.where: dict[str, tuple[Path, Path]] = {}

    @classmethod
    def of(cls, owner: Any, forward: str, backward: str, inputs: Any) -> Form:
        """Of an object at the given inputs: its parameters are what a gradient is left for."""
        function = getattr(owner, forward)
        arguments = Arguments.of(*values_of(function, inputs))
        before = {path: _number(value) for path, value in arrays(owner)}
        result = function(*arguments.build(arguments.given))
        output = Output.read(_result(owner, result))
        method = getattr(owner, backward)
        found = parameters(method)
        number = None if found is None else sum(p.default is inspect.Parameter.empty for p in found)
        stateful = number is not None and (number == 1 or (number == 0 and not (found and not output.is_scalar)))
        if not stateful or isinstance(result, tuple):
            plan = next(iter(plans(method, arguments.names, result, scalar=output.is_scalar)), None)
            if plan is None:
                raise ValueError(f"{backward} of {type(owner).__name__} can't be called: write {backward}(dy)")
        else:
            plan = Plan((("dy", None),)[: 1 if found else 0])
        layer = cls(owner, forward, backward, arguments, plan)
        layer._call(arguments.given, torch.ones_like(output.y), "contiguous")
        layer._find(before)
        if not layer.where and not any(kind == "dy" for kind, _ in plan.slots[:1]) and len(plan.slots) > 1:
            return Functions(function, method, arguments, plan)
        return layer

    def _find(self, before: dict[Path, float]) -> None:
        """Arrays that were there before forward was called and for which there is now a gradient."""
        after = dict(arrays(self.owner))
        candidates = [path for path in after if path not in before or "grad" in str(path).lower() or _marked(path)]
        for path in before:
            if path not in after or any(str(part).lower() in CONTAINER for part in path):
                continue
            value, other = after[path], gradient_path(path, candidates)
            if other is None or other in {where for where, _ in self.where.values()}:
                continue
            name = next((part for part in reversed(path) if isinstance(part, str) and part not in {"data", "value", "val"}), "")
            if isinstance(path[-1], int):
                name = f"{name}[{path[-1]}]"
            kind = "torch" if isinstance(value, Tensor) else "numpy" if is_array(value) else "number"
            if name in self.arguments.leaves or (len(path) > 2 and isinstance(path[1], int)):  # one of several layers
                name = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path).lstrip(".")
            self.arguments.leaves[name] = Leaf(name, as_real(read(value, name)), kind)
            self.where[name] = (path, other)

    def _run(self, point: Point) -> tuple[Output, Any]:
        for name, (path, gradient) in self.where.items():
            leaf, old = self.arguments.leaves[name], get(self.owner, path)
            new = leaf.hand_over(point[name])
            if isinstance(old, Tensor):
                new = new.requires_grad_(old.requires_grad)
                new.grad = old.grad if gradient == (*path, "grad") and old.grad is not None else None
            put(self.owner, path, new)
        result = self._forward(*self.arguments.build(point))
        return Output.read(self.result_of(self.owner, result)), result

    def forward(self, point: Point) -> Output:
        return self._run(point)[0]

    def result_of(self, owner: Any, result: Any) -> Any:
        """The output, out of what forward of this object returned."""
        if self._plan.outputs is not None:
            return result[0] if self._plan.outputs == 1 else tuple(result[: self._plan.outputs])
        return _result(owner, result)

    def _call(self, point: Point, dy: Tensor, layout: str) -> Any:
        for name in ("zero_grad", "zero_grads", "zero_gradients"):
            if callable(getattr(self.owner, name, None)):
                getattr(self.owner, name)()
        output, whole = self._run(point)
        upstream = output.upstream(dy, layout)
        arguments = dict(zip(self.inputs, self.arguments.build(point), strict=True))
        handed = [
            upstream if kind == "dy" else arguments[which] if kind == "input" else whole if which is None else whole[-1]
            for kind, which in self._plan.slots
        ]
        return self._backward(*handed)

    def backward(self, point: Point, dy: Tensor, layout: str = "contiguous") -> Gradients:
        result = self._call(point, dy, layout)
        scale = 1.0 if self._plan.needs_dy else dy.item()
        found: Gradients = {name: None for name, leaf in self.arguments.leaves.items() if leaf.is_float}
        inputs = self._of_call()
        whole = result is not None and not (self.where and isinstance(result, tuple) and len(result) > len(self.inputs))
        if not any(leaf.is_float for leaf in inputs.leaves.values()):
            pass
        elif whole:
            found |= self._read_inputs(result, inputs)
        elif result is not None:
            found |= self.read(result)
        else:
            found |= self._left(inputs)
        for name, (_, path) in self.where.items():
            if found[name] is None:
                value = get(self.owner, path)
                found[name] = None if value is None else as_real(read(value, f"d{name}").cpu())
        if all(value is None for value in found.values()):
            raise ValueError("backward returned None and left no gradient in an attribute such as self.dx: return dx")
        return {name: None if g is None else g * scale for name, g in found.items()}

    def _of_call(self) -> Arguments:
        """The arguments without the parameters."""
        if self._call_arguments is None:
            own = {name: leaf for name, leaf in self.arguments.leaves.items() if name not in self.where}
            self._call_arguments = Arguments(self.inputs, self.arguments.template, own, self.arguments.by_argument)
        return self._call_arguments

    def _read_inputs(self, result: Any, inputs: Arguments) -> Gradients:
        from torch_ref.check.returned import gradients  # noqa: PLC0415

        found, notes = gradients(result, inputs)
        self.notes = list(dict.fromkeys([*self.notes, *notes]))
        return found

    def _left(self, inputs: Arguments) -> Gradients:
        """Gradients of the inputs that are left in attributes such as self.dx."""
        taken = {path for _, path in self.where.values()}
        floats = [name for name, leaf in inputs.leaves.items() if leaf.is_float]
        found: Gradients = {}
        for path, value in arrays(self.owner):
            name = matching(str(path[-1]), floats) if path not in taken else None
            if (
                name is None
                and path not in taken
                and len(floats) == 1
                and str(path[-1]).lower() in {"dx", "dinput", "grad_input"}
            ):
                name = floats[0]
            if name is not None and str(path[-1]) != name and is_output(value):
                found[name] = as_real(read(value, f"d{name}").cpu())
        return found


def _marked(path: Path) -> bool:
    return isinstance(path[-1], str) and path[-1][:1].lower() in {"d", "g"}


def _number(value: Any) -> float:
    return float(np.size(value.detach().cpu() if isinstance(value, Tensor) else value))


def _result(owner: Any, result: Any) -> Any:
    """What forward returned, or left in an attribute such as self.output."""
    if result is not None:
        return result
    for name in RESULT:
        if is_output(getattr(owner, name, None)):
            return getattr(owner, name)
    raise ValueError(f"forward returned {kind_of(None)}: it must return the output")
