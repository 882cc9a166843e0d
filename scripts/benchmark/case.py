"""What is measured: a training step of one network on one batch, and the contenders.

Shapes: B batch, O_k outputs of layer k, O_0 inputs. Nothing is imported here that would count as a
contender's memory.
"""

import json
import os
import shutil
from collections.abc import Callable
from dataclasses import asdict, dataclass
from itertools import pairwise, product
from typing import NamedTuple, Self

# Each by the function that makes a case ready: a context in which its step may be called. Inference
# mode is such a context: training enters it once for many steps, so that its entry (2 to 4 us) is
# no part of a step.
CONTENDERS = {
    "manual": "scripts.benchmark.engines:manual",
    "plain": "scripts.benchmark.engines:plain",
    "torch": "scripts.benchmark.engines:reference",
    "torch_recorded": "scripts.benchmark.engines:reference_recorded",
    "torch_compiled": "scripts.benchmark.engines:reference_compiled",
    "numpy": "scripts.benchmark.numpy_mlp:numpy_mlp",
    "floor": "scripts.benchmark.floor:floor",
    "numpy_floor": "scripts.benchmark.numpy_mlp:products",
    "loop": "scripts.benchmark.engines:loop",
}

# small: however many steps are made, no number grows or vanishes, which could change their cost
LEARNING_RATE = 1e-3


class Step(NamedTuple):
    """What is timed; one call makes so many `updates`."""

    call: Callable[[], object]
    updates: int = 1


@dataclass(frozen=True)
class Case:
    """One step: forward, half the squared error, backward, update; sigmoid everywhere, as in the
    lecture.
    """

    sizes: tuple[int, ...]
    batch_size: int
    dtype: str = "float32"
    threads: int = 1
    device: str = "cpu"

    @property
    def contenders(self) -> tuple[str, ...]:
        """The contenders that can make it. NumPy and recordings are for the CPU; torch.compile,
        which takes some 10 s a case, and the training loop are tried on one thread in float32, the
        loop at the lecture's sizes.
        """
        cpu = self.device == "cpu"
        small = cpu and self.threads == 1 and self.dtype == "float32"
        left_out = {
            "plain": not cpu,
            "torch_recorded": not cpu,
            "torch_compiled": not small or compiler() is None,
            "numpy": not cpu,
            "numpy_floor": not cpu,
            "loop": not small or self.sizes != LECTURE,
        }
        return tuple(name for name in CONTENDERS if not left_out.get(name))

    @property
    def where(self) -> str:
        """The device, for a CPU by its threads."""
        return (
            self.device
            if self.device != "cpu"
            else f"{self.threads} thread{'s' if self.threads > 1 else ''}"
        )

    @property
    def flops(self) -> int:
        """Floating-point operations of the matrix products: two for each weight and sample in z, in
        dw, and (k > 1) in dx.
        """
        weights = [inputs * outputs for inputs, outputs in pairwise(self.sizes)]
        return 2 * self.batch_size * (3 * sum(weights) - weights[0])

    def to_json(self) -> str:
        """The case as one line of JSON."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, line: str) -> Self:
        """The case that `to_json` wrote."""
        fields = json.loads(line)
        return cls(**fields | {"sizes": tuple(fields["sizes"])})


def compiler() -> str | None:
    """The C++ compiler that torch.compile would use, if there is one."""
    return shutil.which(os.environ.get("CXX", "g++")) or shutil.which("clang++")


LECTURE = (784, 30, 10)
WIDE = (784, 512, 512, 10)
BATCHES = (1, 10, 128, 1024)


def full_grid(threads: int, *, cpu: bool, cuda: bool) -> list[Case]:
    """Every network, batch and dtype on one CPU thread, on all of `threads`, and on a GPU."""
    networks = (LECTURE, (784, 100, 10), WIDE, (784, 2048, 2048, 2048, 10))
    places = [(count, "cpu") for count in dict.fromkeys((1, threads)) if cpu] + (
        [(1, "cuda")] if cuda else []
    )
    return [
        Case(sizes, batch_size, dtype, count, device)
        for (count, device), dtype, sizes, batch_size in product(
            places, ("float32", "float64"), networks, BATCHES
        )
    ]


def quick_grid(device: str = "cpu") -> list[Case]:
    """The lecture's network at every batch, and a wider one, on one thread."""
    return [
        *(Case(LECTURE, batch_size, device=device) for batch_size in BATCHES),
        Case(WIDE, 128, device=device),
    ]


# what autograd keeps for backward weighs most where deep and wide
DEEP = Case((784, *(2048,) * 8, 10), 8192)
