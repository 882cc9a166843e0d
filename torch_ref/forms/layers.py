"""A layer as an object: forward(x) keeps what backward(dy) needs, and its attributes hold the
gradients.
"""

import inspect
from functools import cached_property
from typing import Any, final

import torch
from torch import Tensor, nn

from torch_ref.forms.arguments import Arguments
from torch_ref.forms.attributes import CONTAINER, Path, arrays, get, gradient_path, name_of, put
from torch_ref.forms.binding import Plan, matching, named, plans, stripped
from torch_ref.forms.forms import Form, Functions
from torch_ref.forms.outputs import Output
from torch_ref.forms.returned import Gradients, gradient
from torch_ref.forms.values import Leaf, Point, a_or_none, is_numeric

FORWARD = (
    "forward",
    "forward_pass",
    "forward_prop",
    "forward_propagation",
    "fprop",
    "fwd",
    "__call__",
)
BACKWARD = (
    "backward", "backward_pass", "back_prop", "backprop", "backward_prop", "backpropagation",
    "bprop", "bwd", "backpropagate",
)  # fmt: skip
RESULT = ("output", "outputs", "out", "Y", "y", "result", "a", "A", "loss")
CLEAR = ("zero_grad", "zero_grads", "zero_gradients")
OF_INPUT = {"dx", "dinput", "grad_input"}


def owner_of(forward: Any, backward: Any) -> tuple[Any, str, str] | None:
    """(the object, its forward's name, its backward's name), where a layer or its two methods were
    given.
    """
    if backward is None or backward is forward:
        owner = _made(forward) if isinstance(forward, type) else forward
        there = [
            next((name for name in names if callable(getattr(owner, name, None))), None)
            for names in (FORWARD, BACKWARD)
        ]
        ours = not inspect.isroutine(owner) and not isinstance(owner, nn.Module)
        return (owner, there[0], there[1]) if ours and there[0] and there[1] else None
    first, second = getattr(forward, "__self__", None), getattr(backward, "__self__", None)
    if (
        first is None
        or first is not second
        or isinstance(first, type | nn.Module)
        or inspect.ismodule(first)
    ):
        return None
    return first, forward.__name__, backward.__name__


def _made(cls: type) -> Any:
    """An object of the class; ValueError where only its author knows how to make one."""
    if not any(callable(getattr(cls, name, None)) for name in BACKWARD):
        return cls
    try:
        return cls()
    except TypeError as error:
        raise ValueError(
            f"{cls.__name__} needs arguments: give an object of it, such as {cls.__name__}(3, 2)"
        ) from error


@final
class Layer(Form):
    """An object whose parameters are inputs too, by the names of its attributes. `where`: the paths
    of each and of its gradient.
    """

    def __init__(
        self, owner: Any, forward: str, backward: str, arguments: Arguments, plan: Plan
    ) -> None:
        super().__init__(arguments)
        self.owner, self.forward_name, self._plan = owner, forward, plan
        self._forward, self._backward = getattr(owner, forward), getattr(owner, backward)
        self.inputs = list(arguments.names)
        self.where: dict[str, tuple[Path, Path]] = {}

    @classmethod
    def of(cls, owner: Any, forward: str, backward: str, inputs: Any) -> Form:
        """The form of an object; its parameters are the arrays of which it has a gradient."""
        function, method = getattr(owner, forward), getattr(owner, backward)
        arguments = Arguments.of(*named(function, inputs))
        before = [path for path, _ in arrays(owner)]
        result = function(*arguments.build(arguments.given))
        output = Output.read(_result(owner, result))
        plan = next(plans(method, arguments.names, result, scalar=output.is_scalar), None)
        if plan is None:
            raise ValueError(
                f"{backward} of {type(owner).__name__} can't be called: write {backward}(dy)"
            )
        layer = cls(owner, forward, backward, arguments, plan)
        layer._call(arguments.given, torch.ones_like(output.y), "contiguous")
        layer._find(before)
        if not layer.where and plan.slots and plan.slots[0][0] != "dy":
            return Functions(function, method, arguments, plan)
        return layer

    def _find(self, before: list[Path]) -> None:
        """Find the parameters: arrays from before the first call for which there is a gradient."""
        after = dict(arrays(self.owner))
        candidates = [
            path
            for path in after
            if path not in before or "grad" in str(path).lower() or _is_marked(path)
        ]
        exact = [part for path in candidates for part in stripped(str(path[-1]))]
        # dw is of w before it is of W
        for path in sorted(before, key=lambda path: name_of(path) not in exact):
            if path not in after or any(str(part).lower() in CONTAINER for part in path):
                continue
            other = gradient_path(path, candidates)
            if other is None or any(other in taken for taken in self.where.values()):
                continue
            name = name_of(path) + (f"[{path[-1]}]" if isinstance(path[-1], int) else "")
            # one of several layers
            if name in self.arguments.leaves or (len(path) > 2 and isinstance(path[1], int)):
                name = "".join(
                    f"[{part}]" if isinstance(part, int) else f".{part}" for part in path
                ).lstrip(".")
            self.arguments.leaves[name] = Leaf.of(name, after[path])
            self.where[name] = (path, other)

    def _run(self, point: Point) -> tuple[Output, Any]:
        for name, (path, where) in self.where.items():
            old, new = get(self.owner, path), self.arguments.leaves[name].hand_over(point[name])
            if isinstance(old, Tensor):
                new = new.requires_grad_(old.requires_grad)
                new.grad = old.grad if where == (*path, "grad") else None
            put(self.owner, path, new)
        result = self._forward(*self.arguments.build(point))
        return Output.read(self.result_of(self.owner, result)), result

    def forward(self, point: Point) -> Output:
        return self._run(point)[0]

    def result_of(self, owner: Any, result: Any) -> Any:
        """The output, out of what forward of this object returned."""
        return (
            _result(owner, result) if self._plan.outputs is None else self._plan.output_of(result)
        )

    def _call(self, point: Point, dy: Tensor, layout: str) -> Any:
        for name in CLEAR:
            if callable(getattr(self.owner, name, None)):
                getattr(self.owner, name)()
        output, whole = self._run(point)
        upstream = output.upstream(dy, layout)
        arguments = dict(zip(self.inputs, self.arguments.build(point), strict=True))
        handed = [
            upstream
            if kind == "dy"
            else arguments[which]
            if kind == "input"
            else whole
            if which is None
            else whole[-1]
            for kind, which in self._plan.slots
        ]
        return self._backward(*handed)

    def backward(self, point: Point, dy: Tensor, layout: str = "contiguous") -> Gradients:
        result = self._call(point, dy, layout)
        scale = 1.0 if self._plan.needs_dy else dy.item()
        found: Gradients = dict.fromkeys(self.arguments.floats)
        inputs = self._of_call
        if inputs.floats and result is None:
            found |= self._left(inputs)
        elif inputs.floats:
            parameters_too = (
                self.where and isinstance(result, tuple) and len(result) > len(self.inputs)
            )
            found |= self.read(result, None if parameters_too else inputs)
        for name, (_, path) in self.where.items():
            if found[name] is None:
                found[name] = gradient(get(self.owner, path), self.arguments.leaves[name])
        if all(value is None for value in found.values()):
            raise ValueError(
                "backward returned None and left no gradient in an attribute such as self.dx: "
                "return dx"
            )
        return {name: None if g is None else g * scale for name, g in found.items()}

    @cached_property
    def _of_call(self) -> Arguments:
        """The arguments without the parameters."""
        own = {name: leaf for name, leaf in self.arguments.leaves.items() if name not in self.where}
        return Arguments(self.inputs, self.arguments.template, own, self.arguments.by_argument)

    def _left(self, inputs: Arguments) -> Gradients:
        """Gradients of the inputs that are left in attributes such as self.dx."""
        taken = {path for _, path in self.where.values()}
        found: Gradients = {}
        for path, value in arrays(self.owner):
            last = str(path[-1])
            name = matching(last, inputs.floats)
            if name is None and len(inputs.floats) == 1 and last.lower() in OF_INPUT:
                name = inputs.floats[0]
            if name not in {None, last} and path not in taken and is_numeric(value):
                found[name] = gradient(value, inputs.leaves[name])
        return found


def _is_marked(path: Path) -> bool:
    return isinstance(path[-1], str) and path[-1][:1].lower() in {"d", "g"}


def _result(owner: Any, result: Any) -> Any:
    """What forward returned, or left in an attribute such as self.output."""
    if result is not None:
        return result
    for name in RESULT:
        if is_numeric(getattr(owner, name, None)):
            return getattr(owner, name)
    raise ValueError(f"forward returned {a_or_none(None)}: it must return the output")
