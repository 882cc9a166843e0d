"""Samples for several updates at a time, fetched into buffers from which a recorded step reads.

Shapes: n samples of 784 pixels, B batch.
"""

import time
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

# Fetched at a time, at most: enough batches to make the clock cheap, few enough images to stay in
# the cache.
MAX_BATCHES, MAX_IMAGES = 64, 640


@dataclass(frozen=True, eq=False)
class Block:
    """n samples x (n, 784) with targets t, in batches: views of buffers that the next block
    overwrites.
    """

    x: Tensor
    t: Tensor
    batch_size: int

    @property
    def updates(self) -> int:
        """How many batches."""
        return -(-len(self.x) // self.batch_size)

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        """(x (B, 784), t) of each batch; the last one is perhaps smaller."""
        return zip(self.x.split(self.batch_size), self.t.split(self.batch_size), strict=True)


class Blocks:
    """Blocks of at most `size` batches from a data set, one after another in the same buffers.
    `seconds`: spent in fetching so far.
    """

    def __init__(self, images: Tensor, targets: Tensor, batch_size: int) -> None:
        self._images, self._targets, self._batch_size = images, targets, batch_size
        self.size = max(1, min(MAX_BATCHES, MAX_IMAGES // batch_size))
        places = min(self.size * batch_size, len(images))
        self._x, self._t = (each.new_empty(places, *each.shape[1:]) for each in (images, targets))
        self._made: dict[int, Block] = {}
        self.seconds = 0.0

    def fetch(self, indices: Tensor) -> Block:
        """The samples of these indices (n,)."""
        start, n = time.perf_counter(), len(indices)
        block = self._made.get(n) or self._made.setdefault(
            n, Block(self._x[:n], self._t[:n], self._batch_size)
        )
        torch.index_select(self._images, 0, indices, out=block.x)
        torch.index_select(self._targets, 0, indices, out=block.t)
        self.seconds += time.perf_counter() - start
        return block
