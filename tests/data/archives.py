"""The published files of MNIST."""

from pathlib import Path

import torch

from scripts.training import data
from tests.conftest import ROOT

CPU = torch.device("cpu")
ORIGINAL = ROOT / "data" / "MNIST" / "raw"
NAMES = tuple(data.MD5["mnist"])


def load(root: Path, dataset: str = "mnist") -> data.Data:
    """With few images to train, since most of the time would go to those."""
    return data.load(dataset, root, 10, CPU, torch.float32)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


EIGHT = sorted(name + end for name in NAMES for end in ("", ".gz"))
LABELS, ARCHIVE = "t10k-labels-idx1-ubyte", "t10k-labels-idx1-ubyte.gz"
