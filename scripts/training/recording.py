"""A step written down once as a straight line of kernel calls, then replayed: the same bits without
Python's part.

Plain code makes every result anew: `dy * (1 - y) * y` takes memory three times and gives it back,
and each time Python looks for the kernel again. In a small step that costs more than the
arithmetic. Here buffers and views lie ready. It knows nothing of networks: any step can be recorded
that calls the same kernels each time, torch.nn's too.
"""

import copy
import functools
import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Self

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_iter, tree_map_only

aten = torch.ops.aten  # where torch names its kernels
# Of the tensor that they are given they take dtype and device alone. lift_fresh is
# torch.tensor(1.0).
MADE_OF_NOTHING = {
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


class Blank(Tensor):
    """A tensor of the step while it is written down: shape, layout and dtype, but no numbers that
    anyone could read.

    `root`: the blank in whose memory it lies, itself if that is its own. `found_by`: otherwise, the
    call that finds it there.
    """

    root: "Blank"
    found_by: "Call | None"
    __torch_function__ = torch._C._disabled_torch_function_impl  # type: ignore[assignment]

    @staticmethod
    def __new__(  # noqa: PYI034
        cls: "type[Blank]",
        like: Tensor,
        root: "Blank | None" = None,
        found_by: "Call | None" = None,
    ) -> "Blank":
        blank: Blank = Tensor._make_wrapper_subclass(
            cls, like.size(), strides=like.stride(), dtype=like.dtype, device=like.device
        )
        blank.root, blank.found_by = blank if root is None else root, found_by
        return blank

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
    """A call of a kernel. `outs`: the tensors it writes to, where it `writes`, or else its new
    results.

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
        """As torch has it: addmm, mul_."""
        return str(self.func._schema.name.split("::")[1])

    @property
    def roots(self) -> set[Blank]:
        """In whose memory lies what it reads and writes."""
        return _roots((self.args, self.kwargs, self.outs))

    @property
    def random(self) -> bool:
        """Whether it draws random numbers."""
        return torch.Tag.nondeterministic_seeded in self.func.tags


class Recorder(TorchDispatchMode):
    """Writes each kernel call down. No number is computed, none changed: a kernel runs on memory
    that holds nothing, which shows the layout of its result.
    """

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[Call] = []

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """Torch would import its compiler (a second, 150 MB) to keep it out of here."""
        return False

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        # 1 - y, for which torch has no function with out=
        if func is aten.rsub.Scalar and len(args) == 2:
            func, args = aten.sub.Tensor, (args[1], args[0])
        call = Call(func, args, kwargs)
        _refuse(call)
        tensors = [each for each in tree_iter((args, kwargs)) if isinstance(each, Tensor)]
        if func in MADE_OF_NOTHING or not (tensors or call.random):
            made = _tried(call)  # copied each time: it may be written to
            return self._write(Call(aten.clone.default, (made,), {}, constant=True), made)
        if func.is_view and not _roots(tensors):
            return func(*args, **kwargs)  # of a tensor that outlives the step
        parameters = func._schema.arguments
        given = {
            parameter.name: each for parameter, each in zip(parameters, args, strict=False)
        } | kwargs
        call.outs = tuple(
            tree_iter([given.get(parameter.name) for parameter in parameters if parameter.is_write])
        )
        if call.outs:
            call.writes, call.args = True, _with_tensors(call, call.outs[0])
            self.calls.append(call)
            results = call.outs[: len(func._schema.returns)]
            return results[0] if len(results) == 1 else results or None
        result = _tried(call)
        if func.is_view:
            return Blank(result, _roots(tensors).pop(), call)
        call.args = _with_tensors(call, result)
        return self._write(call, result)

    def _write(self, call: Call, result: Any) -> Any:
        """Down, with results like this one."""
        blanks = tree_map_only(Tensor, Blank, result)
        call.outs = tuple(tree_iter(blanks))
        self.calls.append(call)
        return blanks


class Recording:
    """What `step` does to `inputs`, and returns, as recorded: a call of it is that step, on the
    numbers that lie there by then.

    Python's own numbers are part of it, as they were. Results lie in its buffers: the next call
    overwrites them. What leads to nothing is left out. Tensors that outlive the step must stay
    where they are; `names` are theirs, for printing. ValueError for a step that depends on the
    numbers it works on.
    """

    @torch.inference_mode(mode=False)
    def __init__(
        self, step: Callable[..., Any], *inputs: Tensor, names: Mapping[str, Tensor] | None = None
    ) -> None:
        self._inputs = {
            Blank(each): name
            for each, name in zip(inputs, inspect.signature(step).parameters, strict=True)
        }
        self._names = names or {}
        with Recorder() as recorder:
            self._returned = step(*self._inputs)
        wanted = _roots(self._returned) | self._inputs.keys()
        self._line, constants = _without_constants(_needed(recorder.calls, wanted))
        self._buffers = _buffers(self._line, kept=wanted)
        self._ready = constants | self._buffers
        self._bind(inputs)

    def __call__(self) -> Any:
        for call in self._calls:
            call()
        return self._results

    def at(self, *inputs: Tensor) -> Self:
        """The same step, in the same buffers, on inputs that lie elsewhere. ValueError for another
        shape, layout or dtype.
        """
        for blank, each in zip(self._inputs, inputs, strict=True):
            if _layout(blank) != _layout(each):
                raise ValueError(
                    f"recorded for an input of {_layout(blank)} (shape, strides, dtype), not of "
                    f"{_layout(each)}"
                )
        other = copy.copy(self)
        other._bind(inputs)
        return other

    @torch.inference_mode(mode=False)
    def _bind(self, inputs: Sequence[Tensor]) -> None:
        tensors = self._ready | dict(zip(self._inputs, inputs, strict=True))

        def find(blank: Blank) -> Tensor:
            if blank not in tensors:
                assert blank.found_by
                args, kwargs = tree_map_only(
                    Blank, find, (blank.found_by.args, blank.found_by.kwargs)
                )
                tensors[blank] = blank.found_by.func(*args, **kwargs)
            return tensors[blank]

        self._calls = [
            _bound(call, *tree_map_only(Blank, find, (call.args, call.kwargs, call.outs)))
            for call in self._line
        ]
        self._results = tree_map_only(Blank, find, self._returned)
        self._tensors = tensors

    def __str__(self) -> str:
        """A call a line, with the shape of its result; #1, #2, ... are buffers."""
        spots = {
            spot: n
            for n, spot in enumerate(
                dict.fromkeys(each.data_ptr() for each in self._buffers.values()), start=1
            )
        }
        named = [(f"#{spots[each.data_ptr()]}", each) for each in self._buffers.values()]
        named += [(name, self._tensors[blank]) for blank, name in self._inputs.items()] + list(
            self._names.items()
        )
        labels = {_place(each.T): f"{name}.T" for name, each in named if each.ndim == 2}
        labels |= {_place(each): name for name, each in named}

        def label(each: Tensor) -> str:
            each = self._tensors[each] if isinstance(each, Blank) else each
            return labels.get(_place(each)) or (
                f"{each.item():.6g}" if each.ndim == 0 else f"tensor {tuple(each.shape)}"
            )

        def said(each: Any) -> str:
            return label(each) if isinstance(each, Tensor) else str(each)

        lines = []
        for call in self._line:
            options = [
                f"{name}={said(each)}"
                for name, each in call.kwargs.items()
                if each is not call.outs[0]
            ]
            given = ", ".join([*map(said, call.args), *options])
            lines.append(
                (f"{label(call.outs[0])} {tuple(call.outs[0].shape)}", f"{call.name}({given})")
            )
        width = max((len(result) for result, _ in lines), default=0)
        return "\n".join(f"{result:{width}} = {made}" for result, made in lines)


def _roots(tree: Any) -> set[Blank]:
    return {each.root for each in tree_iter(tree) if isinstance(each, Blank)}


def _layout(tensor: Tensor) -> tuple[Any, ...]:
    return tuple(tensor.shape), tensor.stride(), tensor.dtype


def _place(tensor: Tensor) -> tuple[Any, ...]:
    return tensor.data_ptr(), *_layout(tensor)


def _memory(blank: Blank) -> Tensor:
    """Memory of its layout, which holds nothing."""
    memory = torch.empty_strided(
        blank.size(), blank.stride(), dtype=blank.dtype, device=blank.device
    )
    return memory if memory.is_floating_point() else memory.zero_()  # an index has to be one


def _tried(call: Call) -> Any:
    """What the kernel makes of such memory."""
    args, kwargs = tree_map_only(Blank, _memory, (call.args, call.kwargs))
    return call.func(*args, **kwargs)


def _refuse(call: Call) -> None:
    """ValueError for what could be something else the next time."""
    if call.func is aten.index.Tensor and all(
        each is None or each.dtype == torch.int64 for each in call.args[1]
    ):
        return  # y[rows, labels], which has the shape of the indices
    for tag in REFUSED.keys() & set(call.func.tags):
        raise ValueError(f"a step that calls {call.name} cannot be recorded: it {REFUSED[tag]}")


def _with_tensors(call: Call, result: Any) -> tuple[Any, ...]:
    """Its arguments, a number in the place of a tensor as one: torch would wrap it anew in each
    call.
    """
    if not isinstance(result, Tensor) or not result.is_floating_point():
        return call.args
    return tuple(
        torch.full((), each, dtype=result.dtype, device=result.device)
        if str(parameter.type) == "Tensor" and isinstance(each, int | float)
        else each
        for parameter, each in zip(call.func._schema.arguments, call.args, strict=False)
    )


def _needed(calls: list[Call], wanted: set[Blank]) -> list[Call]:
    """Those that change what outlives the step or draw random numbers, and those that lead to what
    is wanted.
    """
    line, wanted = [], set(wanted)
    for call in reversed(calls):
        if call.random or any(
            not isinstance(out, Blank) or out.root in wanted for out in call.outs
        ):
            line.append(call)
            wanted |= call.roots
    return line[::-1]


def _without_constants(line: list[Call]) -> tuple[list[Call], dict[Blank, Tensor]]:
    """The line without the copies of constants that nothing writes to, and these constants."""
    written = _roots([call.outs for call in line if call.writes])
    constants = {
        call.outs[0]: call.args[0] for call in line if call.constant and call.outs[0] not in written
    }
    return [call for call in line if constants.keys().isdisjoint(call.outs)], constants


def _buffers(line: list[Call], kept: set[Blank]) -> dict[Blank, Tensor]:
    """Memory for each new result: the same for several, where one has been read for the last time
    before the next is made.

    An elementwise result is written over what it is made of, where that has its layout and is not
    read again.
    """
    last = {root: i for i, call in enumerate(line) for root in call.roots} | dict.fromkeys(
        kept, len(line)
    )
    spots: dict[Blank, int] = {}
    sizes: list[int] = []  # in bytes, by spot
    free: list[int] = []
    for i, call in enumerate(line):
        ending = {root for root in call.roots & spots.keys() if last[root] == i}
        for out in () if call.writes else call.outs:
            size = out.numel() * out.itemsize
            heirs = [root for root in ending if _may_be_written_over(root, call, out)]
            if heirs:
                spots[out] = spots[heirs[0]]
                ending.discard(heirs[0])
            elif free:
                spots[out] = min(
                    free, key=lambda spot: (sizes[spot] < size, abs(sizes[spot] - size))
                )
                free.remove(spots[out])
            else:
                spots[out] = len(sizes)
                sizes.append(0)
            sizes[spots[out]] = max(sizes[spots[out]], size)
        free += [spots[root] for root in ending]
        free += [spots[out] for out in call.outs if not call.writes and last[out] == i]
    memory = {
        spot: torch.empty(sizes[spot], dtype=torch.uint8, device=out.device)
        for out, spot in spots.items()
    }
    return {
        out: memory[spot][: out.numel() * out.itemsize]
        .view(out.dtype)
        .as_strided(out.size(), out.stride())
        for out, spot in spots.items()
    }


def _may_be_written_over(root: Blank, call: Call, out: Blank) -> bool:
    """Whether each entry of `out` is made of the same entry of `root`, and of no other."""
    elementwise = torch.Tag.pointwise in call.func.tags and _layout(root) == _layout(out)
    return elementwise and all(
        each is root for each in tree_iter((call.args, call.kwargs)) if root in _roots(each)
    )


def _bound(call: Call, args: Any, kwargs: Any, outs: Any) -> Callable[[], object]:
    """The call with all that it needs, by the cheapest way to its kernel: a function of torch's
    rather than an overload.
    """
    if call.writes:
        return partial(
            getattr(Tensor if call.name.endswith("_") else torch, call.name, call.func),
            *args,
            **kwargs,
        )
    in_place = getattr(Tensor, f"{call.name}_", None)
    if in_place and isinstance(args[0], Tensor) and _place(args[0]) == _place(outs[0]):
        return partial(in_place, *args, **kwargs)
    overload = _overload_with_out(call.func)
    if overload is None:
        return partial(_copy, partial(call.func, *args, **kwargs), outs)
    if hasattr(torch, call.name) and torch.Tag.generated not in overload.tags:
        return partial(
            getattr(torch, call.name), *args, **kwargs, out=outs[0] if len(outs) == 1 else outs
        )
    places = [each.name for each in overload._schema.arguments if each.is_out]
    return partial(overload, *args, **kwargs, **dict(zip(places, outs, strict=True)))


@functools.cache
def _overload_with_out(func: Any) -> Any:
    """The kernel's overload that takes the same, and a place for each result; None where there is
    none.
    """
    inputs = [(each.name, str(each.type)) for each in func._schema.arguments]
    for overload in (
        getattr(func.overloadpacket, name) for name in func.overloadpacket.overloads()
    ):
        arguments = overload._schema.arguments
        places = sum(each.is_out for each in arguments)
        taken = [(each.name, str(each.type)) for each in arguments if not each.is_out]
        if places == len(func._schema.returns) and taken == inputs:
            return overload
    return None


def _copy(results: Callable[[], Any], outs: Sequence[Tensor]) -> None:
    for out, result in zip(outs, tree_iter(results()), strict=True):
        out.copy_(result)
