"""MNIST and Fashion-MNIST as tensors on the device, and batches of them.

Shapes: n images of 28 x 28 = 784 pixels, B batch.
"""

import hashlib
import shutil
import tempfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torchvision.datasets import MNIST, FashionMNIST

from scripts.harness.program import UserError

DATASETS: dict[str, type[MNIST]] = {"mnist": MNIST, "fashion-mnist": FashionMNIST}
TRAINING_IMAGES, VALIDATION_IMAGES, TEST_IMAGES = 50_000, 10_000, 10_000
PIXELS, CLASSES = 28 * 28, 10

# Of MNIST's unpacked files; torchvision knows those of the .gz alone, and reads unpacked ones unchecked.
_MD5 = {
    "train-images-idx3-ubyte": "6bbc9ace898e44ae57da46a324031adb",
    "train-labels-idx1-ubyte": "a25bea736e30d166cdddb491f175f624",
    "t10k-images-idx3-ubyte": "2646ac647ad5339dbf082846283269ea",
    "t10k-labels-idx1-ubyte": "27ae3e4e09519cfbb04c329615203637",
}


class DataError(UserError):
    """Data that is missing or damaged: one line that says where, and what to do."""


@dataclass(frozen=True)
class Split:
    """images (n, 784) in [0, 1], labels (n,) in 0..9."""

    images: Tensor
    labels: Tensor

    def __len__(self) -> int:
        return len(self.labels)


@dataclass(frozen=True)
class Data:
    """50,000 training images or the first of them, the last 10,000 of the training file to validate, 10,000 to test."""

    train: Split
    validation: Split
    test: Split


def load(dataset: str, root: Path, train_size: int, device: torch.device, dtype: torch.dtype) -> Data:
    """The data set in `root`, unpacked or downloaded if need be. DataError if it can't be had or is damaged."""
    _unpack(dataset, root)
    images, labels = _read(dataset, root, train=True)
    test_images, test_labels = _read(dataset, root, train=False)

    def split(images: Tensor, labels: Tensor) -> Split:
        pixels = images.reshape(len(images), PIXELS).to(device, dtype).div_(255)
        return Split(pixels, labels.to(device))

    return Data(
        train=split(images[:train_size], labels[:train_size]),
        validation=split(images[TRAINING_IMAGES:], labels[TRAINING_IMAGES:]),
        test=split(test_images, test_labels),
    )


def _unpack(dataset: str, root: Path) -> None:
    """Put the four unpacked files into root/<name>/raw where one is missing or, of MNIST, damaged.

    torchvision checks the .gz files, downloads those that are missing and unpacks them, in a folder of its own: what
    appears in raw/ is whole, whatever is interrupted and however many do this at once.
    """
    raw = root / DATASETS[dataset].__name__ / "raw"
    wanted = [name for name in _MD5 if not _good(dataset, raw / name)]
    if not wanted:
        return
    made = next((path for path in (root, raw.parent, raw) if not path.exists()), None)
    try:
        raw.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".unpacking-", dir=raw) as scratch:
            scratch_raw = Path(scratch, raw.parent.name, raw.name)
            scratch_raw.mkdir(parents=True)
            for archive in raw.glob("*-ubyte.gz"):
                shutil.copyfile(archive, scratch_raw / archive.name)
            DATASETS[dataset](scratch, download=True)
            for name in wanted:
                (scratch_raw / name).replace(raw / name)
            for archive in scratch_raw.glob("*.gz"):
                archive.replace(raw / archive.name)
    except (OSError, RuntimeError, EOFError, zlib.error) as error:
        if made:
            shutil.rmtree(made, ignore_errors=True)
        reason = " ".join(str(error).split()) or type(error).__name__
        raise DataError(
            f"{dataset}: {raw / wanted[0]} is missing or damaged and cannot be made ({reason}); "
            f"put {wanted[0]}.gz there, or name another --data-dir"
        ) from error


def _good(dataset: str, path: Path) -> bool:
    """Whether an unpacked file is there and, where its md5 is known, whole."""
    if not path.is_file():
        return False
    return dataset != "mnist" or hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest() == _MD5[path.name]


def _read(dataset: str, root: Path, *, train: bool) -> tuple[Tensor, Tensor]:
    """Images (n, 28, 28) uint8 and labels (n,) of the training or the test file, checked."""
    folder = root / DATASETS[dataset].__name__
    damaged = f"{folder / 'raw'} is damaged ({{}}): remove its unpacked files, or name another --data-dir"
    if (folder / "processed").exists():
        raise DataError(f"{folder / 'processed'} is left from an old torchvision, which would read it instead: remove it")
    try:
        files = DATASETS[dataset](root, train=train)
    except (OSError, RuntimeError, ValueError, AssertionError) as error:
        raise DataError(damaged.format(" ".join(str(error).split()) or "not in MNIST's format")) from error
    images, labels = files.data, files.targets
    expected = TRAINING_IMAGES + VALIDATION_IMAGES if train else TEST_IMAGES
    if images.shape != (expected, 28, 28) or labels.shape != (expected,):
        raise DataError(
            damaged.format(f"images {tuple(images.shape)} and labels {tuple(labels.shape)}, not {expected} of each")
        )
    if int(labels.min()) < 0 or int(labels.max()) >= CLASSES:
        raise DataError(damaged.format(f"labels from {int(labels.min())} to {int(labels.max())}, not 0 to {CLASSES - 1}"))
    return images, labels


def order(seed: int, epoch: int, size: int, device: torch.device) -> Tensor:
    """A permutation of 0..size-1: a pure function of seed and epoch, drawn on the CPU whatever the device."""
    permutation = np.random.default_rng([seed, epoch]).permutation(size)
    return torch.from_numpy(permutation).to(device)


def batches(indices: Tensor, batch_size: int, images: Tensor, targets: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
    """(x (B, 784), t) for one batch of `indices` after another, the last one perhaps smaller."""
    for batch in indices.split(batch_size):
        yield images.index_select(0, batch), targets.index_select(0, batch)
