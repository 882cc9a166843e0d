"""One of the W processes that torchrun started: each takes its share of every batch, and they
average their gradients.
"""

import contextlib
import io
import json
import os
import socket
import sys
from collections.abc import Callable, Iterator, Mapping
from datetime import timedelta
from functools import cached_property
from pathlib import Path
from typing import TypeVar, final

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from scripts.common.processes import ALONE, Processes
from scripts.common.program import Stopped, UserError, as_typed
from scripts.common.ranks import Ranks
from scripts.common.signals import Signals

REDUCE_TIMEOUT = timedelta(minutes=5)  # rank 0 draws and writes between two updates
ANSWER_TIMEOUT = timedelta(seconds=8)

T = TypeVar("T")


@final
class DataParallel(Processes):
    """One of the processes that torchrun started, as its environment says. They talk by NCCL on
    CUDA, each on a device of its own, else by gloo.
    """

    def __init__(self) -> None:
        names = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE")
        self.rank, self.size, self._local_rank, self.local_size = map(_number, names)
        where = "--standalone" if self.local_size == self.size else "(as before)"
        self.launcher = f"torchrun {where} --nproc-per-node {self.local_size}"
        self._turns = 0

    @cached_property
    def _ranks(self) -> Ranks:
        return Ranks(self.rank, self.size)

    @contextlib.contextmanager
    def rank_zero_prints(self) -> Iterator[None]:
        ranks = self._ranks
        if self.rank == 0:
            try:
                yield
            finally:
                with contextlib.suppress(dist.DistError):
                    ranks.tell("end")
            return
        errors = io.StringIO()
        try:
            with (
                Path(os.devnull).open("w") as nobody,
                contextlib.redirect_stdout(nobody),
                contextlib.redirect_stderr(errors),
            ):
                yield
        finally:
            *_, last = (errors.getvalue() or str(sys.exception() or "")).splitlines() or [""]
            # torchrun ends all as soon as one has failed: rank 0 prints its error before
            with Signals(), contextlib.suppress(dist.DistError):
                ranks.tell("end", last)
                try:
                    ranks.hear(0, "end", ANSWER_TIMEOUT)
                except Stopped:
                    if ranks.claim("print"):
                        print(errors.getvalue(), end="", file=sys.stderr)

    @contextlib.contextmanager
    def connected(self, device: torch.device) -> Iterator[None]:
        backend = {"cpu": "gloo", "cuda": "nccl"}[device.type]
        if device.type == "cuda":
            if self.local_size > torch.cuda.device_count():
                raise UserError(
                    f"--nproc-per-node {self.local_size}: there are {torch.cuda.device_count()} "
                    "CUDA devices for as many "
                    "processes; start one for each, or use --device cpu"
                )
            torch.cuda.set_device(self._local_rank)  # what "cuda" means from here on
        if self.local_size == self.size:  # none needs to listen to other machines
            loopback = next(name for _, name in socket.if_nameindex() if name.startswith("lo"))
            for library in ("GLOO", "NCCL"):
                os.environ.setdefault(f"{library}_SOCKET_IFNAME", loopback)
        self._device = device
        with self._naming_the_lost():
            dist.init_process_group(
                backend,
                store=self._ranks.store,
                rank=self.rank,
                world_size=self.size,
                timeout=REDUCE_TIMEOUT,
            )
            try:
                yield
            finally:
                # NCCL waits here for the others, which may not come
                if backend == "gloo" or sys.exception() is None:
                    dist.destroy_process_group()

    @contextlib.contextmanager
    def _naming_the_lost(self) -> Iterator[None]:
        """Inside, what fails because another process is lost becomes Stopped, and names it."""
        try:
            yield
        except BaseException as error:
            # torchrun soon ends the others too, perhaps while one looks for the reason
            for each in (error, error.__context__):
                if isinstance(each, Stopped):
                    raise each from each.__cause__
                if isinstance(each, dist.DistError) or "gloo" in str(each):
                    with Signals():
                        raise Stopped(self._ranks.lost()) from each
            raise

    def require_equal(self, values: Mapping[str, object]) -> None:
        self._turns += 1
        given = f"given in {self._turns}"
        told = {
            name: as_typed(value) if isinstance(value, list) else str(value)
            for name, value in values.items()
        }
        self._ranks.tell(given, json.dumps(told))
        every = [
            json.loads(self._ranks.hear(rank, given, REDUCE_TIMEOUT)) for rank in range(self.size)
        ]
        differing = [
            f"{name} {value} on rank 0, {theirs.get(name)} on rank {rank}"
            for rank, theirs in enumerate(every)
            for name, value in every[0].items()
            if theirs.get(name) != value
        ]
        if differing:
            raise UserError(f"{'; '.join(differing)}: start all with the same")

    def rank_zero_first(self, work: Callable[[], T], timeout: timedelta | None = None) -> T:
        self._turns += 1
        turn = str(self._turns)

        def hear(rank: int) -> None:
            if error := self._ranks.hear(rank, turn, timeout or REDUCE_TIMEOUT):
                raise UserError(error)

        if self.rank > 0:
            hear(0)
        try:
            result = work()
        except (UserError, OSError) as error:
            self._ranks.tell(turn, str(error))
            raise
        self._ranks.tell(turn)
        for rank in range(self.size):
            hear(rank)
        return result

    def rank_zero_only(self, work: Callable[[], object]) -> str:
        what = f"said in {self._turns + 1}"

        def say() -> None:
            self._ranks.tell(what, str(work()))

        self.rank_zero_first(say if self.rank == 0 else lambda: None)
        return self._ranks.hear(0, what, REDUCE_TIMEOUT)

    def set_folder(self, out: Path) -> None:
        self._ranks.leave(str(out))

    def folder_before(self) -> Path | None:
        out = self._ranks.left()
        return None if out is None else Path(out)

    def shard(self, indices: Tensor, batch_size: int) -> Tensor:
        return torch.cat([batch.chunk(self.size)[self.rank] for batch in indices.split(batch_size)])

    def all_reduce_mean(self, values: Tensor) -> Tensor:
        # scaled first, as DistributedDataParallel does
        return self.all_reduce_sum(values.mul_(1 / self.size))

    def all_reduce_sum(self, values: Tensor) -> Tensor:
        dist.all_reduce(values)
        return values

    def all_gather(self, values: Tensor) -> Tensor:
        every = [torch.empty_like(values) for _ in range(self.size)]
        dist.all_gather(every, values)
        return torch.cat(every)

    def all_agree(self, yes: bool) -> bool:  # noqa: FBT001
        answers = torch.tensor(int(yes), device=self._device)
        return int(self.all_reduce_sum(answers)) == self.size

    def data_parallel(self, model: nn.Module) -> nn.Module:
        return DistributedDataParallel(model)


def _number(name: str) -> int:
    """A number that torchrun has put into the environment."""
    value = os.environ.get(name, "")
    if not value.isdecimal():
        raise UserError(
            f"{name} is {value or 'not set'} though TORCHELASTIC_RUN_ID is set, as torchrun does: "
            "start by it, or unset it"
        )
    return int(value)


def processes() -> Processes:
    """The processes that this one was started with."""
    return DataParallel() if dist.is_torchelastic_launched() else ALONE
