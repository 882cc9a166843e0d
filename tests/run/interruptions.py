"""Ways to stop, kill and damage a run, for its tests."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from scripts.learners.blocks import Block
from scripts.run import checkpoint
from scripts.training.loop import Loop

OPTIONS = [
    "",
    "--optimizer adam --lr 0.01 --batch-norm --decay all --weight-decay 1e-3",
    "--engines torch --momentum 0.9 --lr 1",
]
# 21 updates an epoch; without histograms and pictures, which nothing here looks at and which take
# most of the time
SHORT = (
    "--epochs 2 --train-size 203 --compare-every 7 --checkpoint-every 9 --threads 1 --board scalars"
)


class Killed(BaseException):
    """Stands for the end of the process."""


def at_update(monkeypatch: pytest.MonkeyPatch, number: int, event: Callable[[], object]) -> None:
    """Let `event` happen in the block of updates that reaches `number`."""
    update = Loop.update

    def updated(self: Loop, block: Block) -> None:
        before = self.progress.updates
        update(self, block)
        if before < number <= self.progress.updates:
            event()

    monkeypatch.setattr(Loop, "update", updated)


def die() -> None:
    raise Killed


def crafted(path: Path, contents: object) -> None:
    torch.save(contents, path)
    payload = path.read_bytes()
    path.write_bytes(checkpoint._header(payload) + payload)
