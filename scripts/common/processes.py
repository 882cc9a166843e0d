"""The processes that share a run: here a process that runs alone, in torchrun.py one of several."""

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
    """The W = `size` processes of a run as process `rank` sees them; `local_size` of them share its
    machine. This class is for W = 1.

    All call the same methods in the same order, on tensors of the same shapes. `launcher`: the
    command that starts as many again.
    """

    rank, size, local_size = 0, 1, 1
    launcher = "python"

    @property
    def is_rank_zero(self) -> bool:
        """Whether this is the process that prints, and writes the files of the run."""
        return self.rank == 0

    def rank_zero_prints(self) -> AbstractContextManager[object]:
        """Inside, what ranks above 0 print is dropped, but for a traceback that leaves this
        context. Where rank 0 is lost, one of the others prints its errors at its end.
        """
        return contextlib.nullcontext()

    def connected(self, device: torch.device) -> AbstractContextManager[object]:
        """Inside, they work together on devices of this type. UserError for too few; Stopped where
        one of them is lost.
        """
        return contextlib.nullcontext()

    def require_equal(self, values: Mapping[str, object]) -> None:
        """UserError that names a value that differs between processes."""

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
        """Leave the run's folder to the processes that torchrun starts where these have failed."""

    def folder_before(self) -> Path | None:
        """The folder that the processes before these have left, if there were any."""
        return None

    def shard(self, indices: Tensor, batch_size: int) -> Tensor:
        """The rank's share of the samples (n,): of each batch B / W, in their order."""
        return indices

    def all_reduce_mean(self, values: Tensor) -> Tensor:
        """(1/W) sum over the processes, in place: it makes the batch's gradient of those of equal
        shards.
        """
        return values

    def all_reduce_sum(self, values: Tensor) -> Tensor:
        """The sum over the processes, in place."""
        return values

    def all_gather(self, values: Tensor) -> Tensor:
        """The values (n, ...) of all processes, one after another (W n, ...)."""
        return values

    def own_part(self, values: Tensor) -> Tensor:
        """The rank's part of what was gathered."""
        return values.chunk(self.size)[self.rank]

    def all_agree(self, yes: bool) -> bool:  # noqa: FBT001 - one answer
        """Whether all say yes; waits for the device."""
        return yes

    def data_parallel(self, model: nn.Module) -> nn.Module:
        """`model` with a backward that averages its gradients."""
        return model


ALONE = Processes()
