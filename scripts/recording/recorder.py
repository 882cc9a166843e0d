"""Recording: a step written down as a list of kernel calls, without computing a number.

Any step can be recorded that calls the same kernels each time: nothing here knows of networks.
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_iter, tree_map_only

aten = torch.ops.aten  # where torch names its kernels
# They make constants: of a given tensor they use shape, dtype and device alone. lift_fresh is
# torch.tensor(1.0).
FACTORIES = {
    aten.lift_fresh.default, aten.new_ones.default, aten.new_zeros.default, aten.new_full.default,
    aten.ones_like.default, aten.zeros_like.default, aten.full_like.default,
}  # fmt: skip
REFUSED = {
    torch.Tag.data_dependent_output: "asks for a number, which may be another one next time",
    torch.Tag.dynamic_output_shape: (
        "has a result whose shape depends on numbers, which may be others next time"
    ),
    torch.Tag.inplace_view: "changes the shape of a tensor in place",
}


class Placeholder(Tensor):
    """A tensor of the step while it is recorded: shape, layout and dtype, without numbers.

    `root`: the placeholder in whose memory it lies, itself unless it is a view. `found_by`: of a
    view, the call that makes it.
    """

    root: "Placeholder"
    found_by: "Call | None"
    __torch_function__ = torch._C._disabled_torch_function_impl  # type: ignore[assignment]

    @staticmethod
    def __new__(  # noqa: PYI034
        cls: "type[Placeholder]",
        like: Tensor,
        root: "Placeholder | None" = None,
        found_by: "Call | None" = None,
    ) -> "Placeholder":
        placeholder: Placeholder = Tensor._make_wrapper_subclass(
            cls, like.size(), strides=like.stride(), dtype=like.dtype, device=like.device
        )
        placeholder.root, placeholder.found_by = placeholder if root is None else root, found_by
        return placeholder

    def __repr__(self) -> str:  # type: ignore[override]
        return (
            f"<{tuple(self.shape)} of {self.dtype} in a step that is being recorded: no numbers "
            "yet>"
        )

    @classmethod
    def __torch_dispatch__(  # type: ignore[override]
        cls, func: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        raise ValueError(
            f"{func}: a tensor of a recorded step has no numbers outside of it; return what is "
            "wanted of them"
        )


@dataclass(eq=False)
class Call:
    """A call of a kernel. `outs`: the given tensors that it writes to, where it `writes`, or else
    its new results.

    `constant`: it copies its argument, which was made when the step was recorded.
    """

    func: Any
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    outs: tuple[Any, ...] = ()
    writes: bool = False
    constant: bool = False

    @property
    def name(self) -> str:
        """The kernel's name in torch: addmm, mul_."""
        return str(self.func._schema.name.split("::")[1])

    @property
    def roots(self) -> set[Placeholder]:
        """The placeholders in whose memory it reads and writes."""
        return roots((self.args, self.kwargs, self.outs))

    @property
    def random(self) -> bool:
        """Whether it draws random numbers."""
        return torch.Tag.nondeterministic_seeded in self.func.tags


class Recorder(TorchDispatchMode):
    """Writes each kernel call down. No number is computed or changed: a kernel runs on empty
    memory, to show the layout of its result.
    """

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[Call] = []

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """False, or torch would import its compiler (a second, 150 MB) to keep it out of here."""
        return False

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        # 1 - y is rsub, for which torch has no function with out=
        if func is aten.rsub.Scalar and len(args) == 2:
            func, args = aten.sub.Tensor, (args[1], args[0])
        call = Call(func, args, kwargs)
        _refuse(call)
        tensors = [each for each in tree_iter((args, kwargs)) if isinstance(each, Tensor)]
        if func in FACTORIES or not (tensors or call.random):
            made = _run_on_empty_memory(call)  # copied each time: it may be written to
            return self._write(Call(aten.clone.default, (made,), {}, constant=True), made)
        if func.is_view and not roots(tensors):
            return func(*args, **kwargs)  # of a tensor that outlives the step
        parameters = func._schema.arguments
        given = {
            parameter.name: each for parameter, each in zip(parameters, args, strict=False)
        } | kwargs
        call.outs = tuple(
            tree_iter([given.get(parameter.name) for parameter in parameters if parameter.is_write])
        )
        if call.outs:
            call.writes, call.args = True, _numbers_as_tensors(call, call.outs[0])
            self.calls.append(call)
            results = call.outs[: len(func._schema.returns)]
            return results[0] if len(results) == 1 else results or None
        result = _run_on_empty_memory(call)
        if func.is_view:
            return Placeholder(result, roots(tensors).pop(), call)
        call.args = _numbers_as_tensors(call, result)
        return self._write(call, result)

    def _write(self, call: Call, result: Any) -> Any:
        """Write a call down, with placeholders for results like this one."""
        placeholders = tree_map_only(Tensor, Placeholder, result)
        call.outs = tuple(tree_iter(placeholders))
        self.calls.append(call)
        return placeholders


def roots(tree: Any) -> set[Placeholder]:
    return {each.root for each in tree_iter(tree) if isinstance(each, Placeholder)}


def layout(tensor: Tensor) -> tuple[Any, ...]:
    return tuple(tensor.shape), tensor.stride(), tensor.dtype


def _memory(placeholder: Placeholder) -> Tensor:
    """Empty memory of its layout."""
    memory = torch.empty_strided(
        placeholder.size(), placeholder.stride(), dtype=placeholder.dtype, device=placeholder.device
    )
    return memory if memory.is_floating_point() else memory.zero_()  # an index must be in range


def _run_on_empty_memory(call: Call) -> Any:
    """The kernel's results on empty memory: their layout alone means something."""
    args, kwargs = tree_map_only(Placeholder, _memory, (call.args, call.kwargs))
    return call.func(*args, **kwargs)


def _refuse(call: Call) -> None:
    """ValueError for what could be something else the next time."""
    if call.func is aten.index.Tensor and all(
        each is None or each.dtype == torch.int64 for each in call.args[1]
    ):
        return  # y[rows, labels], which has the shape of the indices
    for tag in REFUSED.keys() & set(call.func.tags):
        raise ValueError(f"a step that calls {call.name} cannot be recorded: it {REFUSED[tag]}")


def _numbers_as_tensors(call: Call, result: Any) -> tuple[Any, ...]:
    """Its arguments, with tensors for numbers in the place of tensors: torch would wrap these anew
    in each call.
    """
    if not isinstance(result, Tensor) or not result.is_floating_point():
        return call.args
    return tuple(
        torch.full((), each, dtype=result.dtype, device=result.device)
        if str(parameter.type) == "Tensor" and isinstance(each, int | float)
        else each
        for parameter, each in zip(call.func._schema.arguments, call.args, strict=False)
    )
