"""The messages between the judge and a submission's process: plain numbers and words, whose types
are checked when they are read.
"""

import math
import socket
import time
from dataclasses import dataclass, field
from typing import Any, Literal, Self, TypeVar, cast

import msgspec
import torch
from torch import Tensor

from torch_ref.check import Report
from torch_ref.forms.arguments import Arguments
from torch_ref.forms.forms import Form
from torch_ref.forms.values import Leaf, Point

M = TypeVar("M")
LARGEST = 2**30  # bytes of a message
A_DAY = 86400.0  # seconds; more than a socket may wait for is an error
Layout = Literal["contiguous", "transposed", "expanded"]
Kind = Literal["torch", "numpy", "matrix", "list", "number"]
Dtype = Literal[
    "float16", "bfloat16", "float32", "float64", "bool", "uint8", "int8", "int16", "int32", "int64"
]


@dataclass(frozen=True)
class Numbers:
    """A tensor as its bytes."""

    dtype: Dtype
    shape: tuple[int, ...]
    content: bytes

    @classmethod
    def of(cls, tensor: Tensor) -> Self:
        """The bytes of a tensor on any device."""
        flat = tensor.detach().cpu().contiguous().reshape(-1)
        content = flat.view(torch.uint8).numpy().tobytes() if flat.numel() else b""
        dtype: Any = str(tensor.dtype).removeprefix("torch.")
        return cls(dtype, tuple(tensor.shape), content)

    def tensor(self) -> Tensor:
        """The tensor. ValueError where the bytes are not of that shape."""
        dtype: torch.dtype = getattr(torch, self.dtype)
        if (
            len(self.content) != math.prod(self.shape) * dtype.itemsize
            or min(self.shape, default=0) < 0
        ):
            raise ValueError(f"{len(self.content)} bytes are not {self.shape} of {self.dtype}")
        flat = (
            torch.frombuffer(bytearray(self.content), dtype=dtype)
            if self.content
            else torch.empty(0, dtype=dtype)
        )
        return flat.reshape(self.shape)


def packed(point: dict[str, Tensor]) -> dict[str, Numbers]:
    """Tensors ready to be sent."""
    return {name: Numbers.of(value) for name, value in point.items()}


def tensors(numbers: dict[str, Numbers]) -> Point:
    """The tensors that were sent."""
    return {name: value.tensor() for name, value in numbers.items()}


@dataclass(frozen=True)
class Input:
    """A leaf of the arguments."""

    value: Numbers
    kind: Kind
    is_complex: bool


@dataclass(frozen=True)
class Described:
    """A form of the other process: its arguments, and how a reference takes them."""

    names: list[str]
    template: list[Any]
    leaves: dict[str, Input]
    by_argument: dict[str, list[str]]
    autograd: bool
    calls_with: int

    @classmethod
    def of(cls, form: Form) -> Self:
        """The description of a form in this process."""
        arguments = form.arguments
        leaves = {
            name: Input(Numbers.of(leaf.value), cast("Kind", leaf.kind), leaf.is_complex)
            for name, leaf in arguments.leaves.items()
        }
        template = [_outline(part) for part in arguments.template]
        return cls(
            arguments.names, template, leaves, arguments.by_argument, form.autograd, form.calls_with
        )

    def arguments(self) -> Arguments:
        """The arguments of the form in the other process."""
        leaves = {
            name: Leaf(name, leaf.value.tensor(), leaf.kind, leaf.is_complex)
            for name, leaf in self.leaves.items()
        }
        return Arguments(
            self.names, [_filled(part, leaves) for part in self.template], leaves, self.by_argument
        )


def _outline(part: Any) -> Any:
    """Of a template: leaves by their names; what is neither nested nor plain is left out, for a
    reference alone needs it.
    """
    if isinstance(part, Leaf):
        return {"leaf": part.name}
    if isinstance(part, dict):
        return {"dict": {str(key): _outline(value) for key, value in part.items()}}
    if isinstance(part, list | tuple):
        return {"list": [_outline(value) for value in part]}
    return {
        "plain": part
        if isinstance(part, str | bool | float | None)
        or (isinstance(part, int) and abs(part) < 2**63)
        else None
    }


def _filled(part: Any, leaves: dict[str, Leaf]) -> Any:
    ((kind, value),) = part.items()
    if kind == "leaf":
        return leaves[value]
    if kind == "dict":
        return {key: _filled(each, leaves) for key, each in value.items()}
    return [_filled(each, leaves) for each in value] if kind == "list" else value


@dataclass(frozen=True)
class Examined:
    """What a submission's own process found: a report and the form, to be asked for numbers, or why
    there is none.
    """

    report: Report | None = None
    form: Described | None = None
    error: str = ""


@dataclass(frozen=True)
class Question:
    """What forward gives at a point; with dy, what backward does."""

    point: dict[str, Numbers]
    dy: Numbers | None = None
    layout: Layout = "contiguous"


@dataclass(frozen=True)
class Answer:
    """y and whether it is one array, or gradients and which inputs were written over; or the
    exception's kind and message.
    """

    y: Numbers | None = None
    single: bool = True
    gradients: dict[str, Numbers | None] = field(default_factory=dict)
    overwrites: list[str] = field(default_factory=list)
    exception: tuple[str, str] | None = None


class Channel:
    """One end of the connection. `until`: when it stops waiting, by time.monotonic."""

    def __init__(self, line: socket.socket, until: float) -> None:
        self._line, self._until = line, until

    def send(self, message: object) -> None:
        """OSError where nobody takes it, TimeoutError where nobody does in time."""
        content = msgspec.msgpack.encode(message)
        self._line.settimeout(self._left())
        self._line.sendall(len(content).to_bytes(8, "big") + content)

    def receive(self, kind: type[M]) -> M:
        """The next message. EOFError at the end, TimeoutError where none comes in time, ValueError
        for what is none.
        """
        size = int.from_bytes(self._read(8), "big")
        if size > LARGEST:
            raise ValueError(f"a message of {size} bytes")
        return msgspec.msgpack.decode(self._read(size), type=kind)

    def _read(self, size: int) -> bytes:
        content = bytearray()
        while len(content) < size:
            self._line.settimeout(self._left())
            if not (piece := self._line.recv(min(size - len(content), 2**20))):
                raise EOFError
            content += piece
        return bytes(content)

    def _left(self) -> float:
        if (left := self._until - time.monotonic()) <= 0:
            raise TimeoutError
        return min(left, A_DAY)
