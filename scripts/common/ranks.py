"""Messages between the processes that torchrun started, through its store, and what has become of
a process that sends none.
"""

import os
import signal
import time
from collections.abc import Iterable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any, final

import torch.distributed as dist
from torch.distributed.rendezvous import rendezvous

from scripts.common.program import Stopped

ALIVE_TIMEOUT = timedelta(seconds=1)
STILL, SILENT = "stands still", "has ended, or stands still"


@final
class Ranks:
    """The `size` processes as process `rank` sees them. A message stays, for all to read."""

    def __init__(self, rank: int, size: int) -> None:
        self._rank, self._size = rank, size
        self._machine = os.environ.get("GROUP_RANK", "")
        attempt = os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")
        self._all: Any = next(rendezvous("env://"))[0]
        self.store: Any = dist.PrefixStore(attempt, self._all)  # type: ignore[attr-defined]
        self.tell("process", f"{os.getpid()} {self._machine}")

    def tell(self, what: str, text: str = "") -> None:
        """Leave a message for all; once for each `what`."""
        self.store.set(f"{what}/{self._rank}", text)

    def hear(self, rank: int, what: str, timeout: timedelta) -> str:
        """The message of another rank. Stopped where that has ended without it, or takes longer."""
        start, pause = time.monotonic(), 0.001
        while not self._told(rank, what):
            fate, late = self._fate(rank), time.monotonic() > start + timeout.total_seconds()
            # it may have left it just before its end
            if (late or fate not in {None, STILL}) and not self._told(rank, what):
                self.tell("misses another")
                raise Stopped(self._words(rank, fate or SILENT))
            time.sleep(pause)
            pause = min(2 * pause, 0.1)
        text: str = self.store.get(f"{what}/{rank}").decode()
        return text

    def _told(self, rank: int, what: str) -> bool:
        return bool(self.store.check([f"{what}/{rank}"]))

    def claim(self, what: str) -> bool:
        """Whether this process is the first to ask for it."""
        return int(self.store.add(f"claim/{what}", 1)) == 1

    def leave(self, text: str) -> None:
        """Leave a text for the processes that torchrun starts after these (--max-restarts)."""
        self._all.set("left", text)

    def left(self) -> str | None:
        """The text that the processes before these left, if any."""
        return self._all.get("left").decode() if self._all.check(["left"]) else None

    def lost(self) -> str:
        """Words for who is missing, as far as one can see: a rank that misses nobody itself."""
        try:
            self.tell("misses another")
            others = [rank for rank in range(self._size) if not self._told(rank, "misses another")]
            fates = {rank: found for rank in others if (found := self._fate(rank))}
            if not fates:
                silent = list(self._silent(others))
                fates = {rank: self._fate(rank) or SILENT for rank in silent}
        except dist.DistError:
            return "torchrun, which started this process, has ended"
        sentence = ", ".join(self._words(rank, found) for rank, found in fates.items())
        return sentence or f"the {self._size} processes have lost each other"

    def _silent(self, ranks: Iterable[int]) -> Iterator[int]:
        """Those of them that do not say, as this process does, that they miss another."""
        for rank in ranks:
            try:
                self.hear(rank, "misses another", ALIVE_TIMEOUT)
            except Stopped:
                yield rank

    def _fate(self, rank: int) -> str | None:
        """What has become of a rank that has left its "end", or is on this machine; None for
        others.
        """
        if self._told(rank, "end"):
            last = self.store.get(f"end/{rank}").decode()
            return f"has ended: {last}" if last else "has ended"
        if not self._told(rank, "process"):
            return None
        pid, machine = self.store.get(f"process/{rank}").decode().split(" ")
        return fate(int(pid)) if machine == self._machine else None

    def _words(self, rank: int, fate: str) -> str:
        return f"rank {rank} of the {self._size} processes {fate}"


def fate(pid: int) -> str | None:
    """What has become of a process of this machine; None where it is at work, or /proc is missing.

    The signal that ended it can be seen until torchrun, its parent, has waited for it.
    """
    try:
        state, *fields = (
            Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
        )
    except (FileNotFoundError, ProcessLookupError):
        return "has ended" if Path("/proc/self").exists() else None
    if state in "ZX":
        code = int(fields[-1])
        by = os.WTERMSIG(code)
        return f"was ended by signal {by} ({signal.strsignal(by)})" if by else "has ended"
    return STILL if state in "Tt" else None
