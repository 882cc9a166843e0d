"""One of the W processes that torchrun started: each takes its share of every batch, and they
average their gradients.
"""

import contextlib
import json
import os
import socket
import sys
from collections.abc import Callable, Iterator, Mapping
from datetime import timedelta
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar, final

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.rendezvous import rendezvous
from torch.nn.parallel import DistributedDataParallel

from scripts.common.processes import ALONE, Processes
from scripts.common.program import Stopped, UserError

DOWNLOAD_TIMEOUT = timedelta(hours=1)
REDUCE_TIMEOUT = timedelta(minutes=5)  # rank 0 draws and writes between two updates
ANSWER_TIMEOUT = timedelta(seconds=8)
ALIVE_TIMEOUT = timedelta(seconds=1)

T = TypeVar("T")


@final
class DataParallel(Processes):
    """One of those that torchrun started, as its environment says; by NCCL on CUDA, each on its own
    device, else by gloo.
    """

    def __init__(self) -> None:
        names = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE")
        self.rank, self.size, self._local_rank, self.local_size = map(_number, names)
        where = "--standalone" if self.local_size == self.size else "(as before)"
        self.launcher = f"torchrun {where} --nproc-per-node {self.local_size}"
        self._calls = 0
        self._restarts = os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")
        self.restarted = self._restarts != "0"

    @cached_property
    def _store(self) -> Any:
        """torchrun's, which all can read and write."""
        store, *_ = next(rendezvous("env://"))
        return dist.PrefixStore(self._restarts, store)  # type: ignore[attr-defined]

    @contextlib.contextmanager
    def rank_zero_prints(self) -> Iterator[None]:
        if self.rank == 0:
            try:
                yield
            finally:
                self._store.set("spoken", "")
            return
        try:
            with (
                Path(os.devnull).open("w") as nobody,
                contextlib.redirect_stdout(nobody),
                contextlib.redirect_stderr(nobody),
            ):
                yield
        finally:
            # torchrun ends all as soon as one has failed: let the first speak before
            with contextlib.suppress(dist.DistError):
                self._store.wait(["spoken"], ANSWER_TIMEOUT)

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
        if self.local_size == self.size:  # on one machine nothing needs to listen to others
            loopback = next(name for _, name in socket.if_nameindex() if name.startswith("lo"))
            for library in ("GLOO", "NCCL"):
                os.environ.setdefault(f"{library}_SOCKET_IFNAME", loopback)
        self._device = device
        dist.init_process_group(
            backend, store=self._store, rank=self.rank, world_size=self.size, timeout=REDUCE_TIMEOUT
        )
        try:
            yield
        except RuntimeError as error:
            if isinstance(error, dist.DistError) or "gloo" in str(error):
                raise Stopped(
                    f"{self._missing()} of the {self.size} processes has ended, or stands still"
                ) from error
            raise
        finally:
            # NCCL waits here for the others, which may not come
            if backend == "gloo" or sys.exception() is None:
                dist.destroy_process_group()

    def _missing(self) -> str:
        """Words for who says nothing any more."""
        self._store.set(f"alone/{self.rank}", "")
        silent = []
        for rank in range(self.size):
            try:
                self._store.wait([f"alone/{rank}"], ALIVE_TIMEOUT)
            except dist.DistError:
                silent.append(rank)
        return " and ".join(f"rank {rank}" for rank in silent) or "one"

    def require_equal(self, values: Mapping[str, object]) -> None:
        self._calls += 1
        self._store.set(
            f"{self._calls}/given/{self.rank}",
            json.dumps({name: str(value) for name, value in values.items()}),
        )
        every = []
        for rank in range(self.size):
            try:
                self._store.wait([f"{self._calls}/given/{rank}"], ANSWER_TIMEOUT)
            except dist.DistError:
                raise UserError(
                    f"rank {rank} of the {self.size} processes says nothing: is it there?"
                ) from None
            every.append(json.loads(self._store.get(f"{self._calls}/given/{rank}")))
        for rank, theirs in enumerate(every):
            for name, value in every[0].items():
                if theirs.get(name) != value:
                    raise UserError(
                        f"{name} {value} on rank 0, {theirs.get(name)} on rank {rank}: start all "
                        "with the same"
                    )

    def rank_zero_first(self, work: Callable[[], T]) -> T:
        self._calls += 1
        if self.rank > 0:
            self._wait_for(0)
        try:
            result = work()
        except (UserError, OSError) as error:
            self._report_error(str(error))
            raise
        self._report_error("")
        for rank in range(self.size):
            self._wait_for(rank)
        return result

    def rank_zero_only(self, work: Callable[[], object]) -> str:
        def say() -> None:
            self._store.set(f"{self._calls}/said", str(work()))

        self.rank_zero_first(say if self.rank == 0 else lambda: None)
        text: str = self._store.get(f"{self._calls}/said").decode()
        return text

    def _report_error(self, error: str) -> None:
        self._store.set(f"{self._calls}/{self.rank}", error)

    def _wait_for(self, rank: int) -> None:
        """Wait for that rank. UserError if it met one."""
        self._store.wait([f"{self._calls}/{rank}"], DOWNLOAD_TIMEOUT)
        if error := self._store.get(f"{self._calls}/{rank}").decode():
            raise UserError(error)

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
    """Of this process, as torchrun puts it into the environment."""
    value = os.environ.get(name, "")
    if not value.isdecimal():
        raise UserError(
            f"{name} is {value or 'not set'} though TORCHELASTIC_RUN_ID is set, as torchrun does: "
            "start by it, or unset it"
        )
    return int(value)


def processes() -> Processes:
    """Those that this one was started with."""
    return DataParallel() if dist.is_torchelastic_launched() else ALONE
