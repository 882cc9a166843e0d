"""The processes that share a run: here the one that runs alone, in torchrun.py one of several."""

import contextlib
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from datetime import timedelta
from pathlib import Path
from typing import TypeVar

import torch
from torch import Tensor, nn

T = TypeVar("T")


class Processes:
    """The W processes of a run as one of them sees it: it is number `rank` of `size`, `local_size`
    of which share its machine. This class is the one process of W = 1.

    All call the same methods in the same order, on tensors of the same shapes. `launcher`: what
    starts as many again.
    """

    rank, size, local_size = 0, 1, 1
    launcher = "python"

    @property
    def is_rank_zero(self) -> bool:
        """Whether this is the one that writes, where writing once is meant."""
        return self.rank == 0

    def rank_zero_prints(self) -> AbstractContextManager[object]:
        """Inside, what the others print is dropped, but for a traceback that leaves this context.
        Where rank 0 is lost, the errors of one other come out at its end.
        """
        return contextlib.nullcontext()

    def connected(self, device: torch.device) -> AbstractContextManager[object]:
        """Inside, they work together on devices of this type. UserError for too few; Stopped where
        one of them is lost.
        """
        return contextlib.nullcontext()

    def require_equal(self, values: Mapping[str, object]) -> None:
        """UserError that names what is another in another process."""

    def rank_zero_first(self, work: Callable[[], T], timeout: timedelta | None = None) -> T:
        """What `work` returns here: rank 0 does it before the others.

        A UserError or an OSError in one of them is raised there, and a UserError of the same text
        in the others. Stopped where one is lost, or is not done in time.
        """
        return work()

    def rank_zero_only(self, work: Callable[[], object]) -> str:
        """What `work` returns in rank 0, which alone does it, as text. Errors as from
        `rank_zero_first`.
        """
        return str(work())

    def set_folder(self, out: Path) -> None:
        """The run's, for the processes that take the place of these once one has ended."""

    def folder_before(self) -> Path | None:
        """That of the processes whose place these have taken."""
        return None

    def shard(self, indices: Tensor, batch_size: int) -> Tensor:
        """Of the samples (n,), those that come here: of each batch B the rank's B / W, in their
        order.
        """
        return indices

    def all_reduce_mean(self, values: Tensor) -> Tensor:
        """(1/W) sum over the processes, in place: of gradients that are means over equal shards,
        the batch's.
        """
        return values

    def all_reduce_sum(self, values: Tensor) -> Tensor:
        """The sum over the processes, in place."""
        return values

    def all_gather(self, values: Tensor) -> Tensor:
        """Those (n, ...) of all processes, one after another (W n, ...)."""
        return values

    def own_part(self, values: Tensor) -> Tensor:
        """Of what was gathered, what came from here."""
        return values.chunk(self.size)[self.rank]

    def all_agree(self, yes: bool) -> bool:  # noqa: FBT001 - one answer
        """Whether all say yes; waits for the device."""
        return yes

    def data_parallel(self, model: nn.Module) -> nn.Module:
        """`model` with a backward that averages its gradients."""
        return model


ALONE = Processes()
