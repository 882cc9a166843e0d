"""A recorded step replayed: the same kernels in the same order, so the same bits.

Plain code makes every result anew: `dy * (1 - y) * y` takes memory three times and gives it back,
and each time torch looks for the kernel again. In a small step that costs more than the
arithmetic. Here kernels, buffers and views are ready.
"""

import copy
import functools
import inspect
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Self

import torch
from torch import Tensor
from torch.utils._pytree import tree_iter, tree_map_only

from scripts.recording import memory
from scripts.recording.recorder import Call, Placeholder, Recorder, layout, roots


class Recording:
    """`step(*inputs)`, recorded: a call does that step on what the inputs hold by then, and returns
    its results.

    Python's own numbers stay as they were. Results lie in its buffers: the next call overwrites
    them. What leads to no result is left out. Tensors that outlive the step must stay where they
    are; `names` are theirs, for printing. ValueError for a step that depends on the numbers it
    works on.
    """

    @torch.inference_mode(mode=False)
    def __init__(
        self, step: Callable[..., Any], *inputs: Tensor, names: Mapping[str, Tensor] | None = None
    ) -> None:
        self._inputs = {
            Placeholder(each): name
            for each, name in zip(inputs, inspect.signature(step).parameters, strict=True)
        }
        self._names = names or {}
        with Recorder() as recorder:
            self._returned = step(*self._inputs)
        wanted = roots(self._returned) | self._inputs.keys()
        self._line, constants = memory.without_constants(memory.needed(recorder.calls, wanted))
        self._buffers = memory.buffers(self._line, kept=wanted)
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
        for placeholder, each in zip(self._inputs, inputs, strict=True):
            if layout(placeholder) != layout(each):
                raise ValueError(
                    f"recorded for an input of {layout(placeholder)} (shape, strides, dtype), not "
                    f"of {layout(each)}"
                )
        other = copy.copy(self)
        other._bind(inputs)
        return other

    @torch.inference_mode(mode=False)
    def _bind(self, inputs: Sequence[Tensor]) -> None:
        tensors = self._ready | dict(zip(self._inputs, inputs, strict=True))

        def find(placeholder: Placeholder) -> Tensor:
            if placeholder not in tensors:
                assert placeholder.found_by
                args, kwargs = tree_map_only(
                    Placeholder, find, (placeholder.found_by.args, placeholder.found_by.kwargs)
                )
                tensors[placeholder] = placeholder.found_by.func(*args, **kwargs)
            return tensors[placeholder]

        self._calls = [
            _bound(call, *tree_map_only(Placeholder, find, (call.args, call.kwargs, call.outs)))
            for call in self._line
        ]
        self._results = tree_map_only(Placeholder, find, self._returned)
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
        named += [
            (name, self._tensors[placeholder]) for placeholder, name in self._inputs.items()
        ] + list(self._names.items())
        labels = {place(each.T): f"{name}.T" for name, each in named if each.ndim == 2}
        labels |= {place(each): name for name, each in named}

        def label(each: Tensor) -> str:
            each = self._tensors[each] if isinstance(each, Placeholder) else each
            return labels.get(place(each)) or (
                f"{each.item():.6g}" if each.ndim == 0 else f"tensor {tuple(each.shape)}"
            )

        def shown(each: Any) -> str:
            return label(each) if isinstance(each, Tensor) else str(each)

        lines = []
        for call in self._line:
            options = [
                f"{name}={shown(each)}"
                for name, each in call.kwargs.items()
                if each is not call.outs[0]
            ]
            given = ", ".join([*map(shown, call.args), *options])
            lines.append(
                (f"{label(call.outs[0])} {tuple(call.outs[0].shape)}", f"{call.name}({given})")
            )
        width = max((len(result) for result, _ in lines), default=0)
        return "\n".join(f"{result:{width}} = {made}" for result, made in lines)


def place(tensor: Tensor) -> tuple[Any, ...]:
    return tensor.data_ptr(), *layout(tensor)


def _bound(call: Call, args: Any, kwargs: Any, outs: Any) -> Callable[[], object]:
    """The call with its arguments and place for results, by the cheapest way to its kernel: a
    function of torch's rather than an overload.
    """
    if call.writes:
        return partial(
            getattr(Tensor if call.name.endswith("_") else torch, call.name, call.func),
            *args,
            **kwargs,
        )
    in_place = getattr(Tensor, f"{call.name}_", None)
    if in_place and isinstance(args[0], Tensor) and place(args[0]) == place(outs[0]):
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
    """The kernel's overload with the same arguments and out= for each result; None where there is
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
