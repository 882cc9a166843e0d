"""Recordings of a step."""

import copy
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from scripts.recording import memory, recorder, replay
from tests.faults.plant import FAULTS, Fault


def wrong_recording(
    what: str, owner: Any, attribute: str
) -> Callable[[Callable[[Any], Any]], None]:
    """Adds a row: the decorated function makes the wrong variant of the right one."""
    return lambda make: FAULTS.append(Fault(f"recording: {what}", owner, attribute, make))


@wrong_recording(
    "a buffer shared too early, while it is still to be read through a view", memory, "buffers"
)
def _(right: Any) -> Any:
    def seen(call: recorder.Call) -> recorder.Call:
        return replace(
            call, args=tuple(each for each in call.args if getattr(each, "found_by", None) is None)
        )

    return lambda line, kept: right([seen(call) for call in line], kept)


@wrong_recording("a result's buffer shared with what is made after it", memory, "buffers")
def _(right: Any) -> Any:
    return lambda line, kept: right(line, kept - kept)


@wrong_recording("a product written over its factor", memory, "may_be_written_over")
def _(_: Any) -> Any:
    return lambda root, _, out: recorder.layout(root) == recorder.layout(out)


@wrong_recording("a result written over what it reads elsewhere too", memory, "may_be_written_over")
def _(_: Any) -> Any:
    return lambda root, call, out: (
        torch.Tag.pointwise in call.func.tags and recorder.layout(root) == recorder.layout(out)
    )


@wrong_recording("a stale input, that of the batch before", replay.Recording, "at")
def _(_: Any) -> Any:
    return lambda self, *_: self


@wrong_recording("a view of the wrong buffer, that of the batch before", replay.Recording, "at")
def _(_: Any) -> Any:
    def wrong(self: Any, *inputs: Tensor) -> Any:
        other = copy.copy(self)
        other._ready = self._tensors
        other._bind(inputs)
        return other

    return wrong


@wrong_recording("a constant frozen, though it is written to", memory, "without_constants")
def _(_: Any) -> Any:
    def wrong(line: list[recorder.Call]) -> Any:
        return [call for call in line if not call.constant], {
            call.outs[0]: call.args[0] for call in line if call.constant
        }

    return wrong


@wrong_recording("an in-place result copied, so that what was to change stays", replay, "_bound")
def _(right: Any) -> Any:
    def wrong(call: recorder.Call, args: Any, kwargs: Any, outs: Any) -> Any:
        return right(
            call,
            (args[0].clone(), *args[1:]) if call.writes and "out" not in kwargs else args,
            kwargs,
            outs,
        )

    return wrong


@wrong_recording("a call dropped that changes only what outlives the step", memory, "needed")
def _(right: Any) -> Any:
    def wrong(calls: list[recorder.Call], wanted: Any) -> Any:
        return [
            call
            for call in right(calls, wanted)
            if any(isinstance(out, recorder.Placeholder) for out in call.outs)
        ]

    return wrong


@wrong_recording("random numbers drawn once for all", recorder.Call, "random")
def _(_: Any) -> Any:
    return property(lambda _: False)
