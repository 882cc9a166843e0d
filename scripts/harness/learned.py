"""What a run has learned, by engine a state dict of torch, which neither needs this project to be read."""

import io
from collections.abc import Sequence
from pathlib import Path

import torch

from scripts.harness import files
from scripts.harness.learners import Learner


def save(out: Path, learners: Sequence[Learner]) -> None:
    """Write manual.pt and torch.pt, or that of the one who trained. OSError where they can't be written."""
    for learner in learners:
        content = io.BytesIO()
        torch.save(learner.state_dict(), content)
        files.write(out / f"{learner.name}.pt", content.getbuffer())
