"""A short run, and what the board shows of it."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from scripts.run.config import Config, DataConfig, RunConfig, TrainingConfig
from scripts.training import session
from tests.conftest import ROOT

ENGINES = ("manual", "torch")
SHOWN_AS = ("by-hand", "torch")
PICTURES_SHOWN = [
    "pictures/1-weights-of-layer-1",
    "pictures/2-weights-minus-start",
    "pictures/3-mistakes",
    "pictures/4-taken-for",
]
PARAMETERS = ("w1", "b1", "w2", "b2")


def run(out: Path, **options: Any) -> dict[str, Any]:
    """The summary of two epochs of 101 updates, the last of 3 samples, of both engines."""
    config = Config(
        data=DataConfig(data_dir=ROOT / "data", train_size=1003),
        training=TrainingConfig(epochs=2),
        run=RunConfig(out=out, compare_every=30, threads=1, **options),
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["train", "--epochs", "2"])
        session.train(config)
    summary: dict[str, Any] = json.loads((out / "summary.json").read_text())
    return summary
