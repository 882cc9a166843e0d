"""What is measured: a training step of one network on one batch, and the four that make it.

Shapes: B batch, O_k outputs of layer k, O_0 inputs. Nothing is imported here that would count as a contender's memory.
"""

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from itertools import pairwise, product
from typing import Self, TypeAlias

# Each by the function that makes a case ready: a context in which its step may be called. Inference mode is such a context:
# training enters it once for many steps, so that its entry (2 to 4 us) is no part of a step.
CONTENDERS = {
    "manual": "scripts.benchmark.engines:manual",
    "torch": "scripts.benchmark.engines:reference",
    "numpy": "scripts.benchmark.numpy_mlp:numpy_mlp",
    "floor": "scripts.benchmark.floor:floor",
}

LEARNING_RATE = 1e-3  # small: however many steps are made, no number grows or vanishes, which could change their cost


Step: TypeAlias = Callable[[], object]


@dataclass(frozen=True)
class Case:
    """One step: forward, half the squared error, backward, update; sigmoid everywhere, as in the lecture."""

    sizes: tuple[int, ...]
    batch_size: int
    dtype: str = "float32"
    threads: int = 1
    device: str = "cpu"

    @property
    def contenders(self) -> tuple[str, ...]:
        """Who can make it: NumPy on the CPU alone."""
        return tuple(name for name in CONTENDERS if name != "numpy" or self.device == "cpu")

    @property
    def where(self) -> str:
        """The device, for a CPU by its threads."""
        return self.device if self.device != "cpu" else f"{self.threads} thread{'s' if self.threads > 1 else ''}"

    @property
    def flops(self) -> int:
        """Floating-point operations of the matrix products: two for each weight and sample in z, in dw, and (k > 1) in dx."""
        weights = [inputs * outputs for inputs, outputs in pairwise(self.sizes)]
        return 2 * self.batch_size * (3 * sum(weights) - weights[0])

    def to_json(self) -> str:
        """One line."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, line: str) -> Self:
        """The case that `to_json` came from."""
        fields = json.loads(line)
        return cls(**fields | {"sizes": tuple(fields["sizes"])})


LECTURE = (784, 30, 10)
WIDE = (784, 512, 512, 10)
BATCHES = (1, 10, 128, 1024)


def full_grid(threads: int, *, cuda: bool) -> list[Case]:
    """Every network, batch and dtype on one CPU thread, on all of `threads`, and on a GPU where there is one."""
    networks = (LECTURE, (784, 100, 10), WIDE, (784, 2048, 2048, 2048, 10))
    places = [(count, "cpu") for count in dict.fromkeys((1, threads))] + ([(1, "cuda")] if cuda else [])
    return [
        Case(sizes, batch_size, dtype, count, device)
        for (count, device), dtype, sizes, batch_size in product(places, ("float32", "float64"), networks, BATCHES)
    ]


def quick_grid() -> list[Case]:
    """The lecture's network at every batch, and a wider one: under a minute together, one thread."""
    return [*(Case(LECTURE, batch_size) for batch_size in BATCHES), Case(WIDE, 128)]


DEEP = Case((784, *(2048,) * 8, 10), 8192)  # what autograd keeps for backward weighs most where deep and wide
