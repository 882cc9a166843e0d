"""MNIST and Fashion-MNIST as tensors on the device, and batches of them.

Shapes: n images of 28 x 28 = 784 pixels, B batch.
"""

import hashlib
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torchvision.datasets import MNIST, FashionMNIST

DATASETS: dict[str, type[MNIST]] = {"mnist": MNIST, "fashion-mnist": FashionMNIST}
TRAINING_IMAGES, VALIDATION_IMAGES, TEST_IMAGES = 50_000, 10_000, 10_000
PIXELS, CLASSES = 28 * 28, 10

# Of the unpacked files; torchvision knows those of the .gz alone, and reads unpacked ones unchecked.
_MD5 = {
    "train-images-idx3-ubyte": "6bbc9ace898e44ae57da46a324031adb",
    "train-labels-idx1-ubyte": "a25bea736e30d166cdddb491f175f624",
    "t10k-images-idx3-ubyte": "2646ac647ad5339dbf082846283269ea",
    "t10k-labels-idx1-ubyte": "27ae3e4e09519cfbb04c329615203637",
}


class DataError(Exception):
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
    """The data set in `root`, downloaded by torchvision if it is not there. DataError if it can't be had or is damaged."""
    existed = root.exists()
    try:
        images, labels = _read(dataset, root, train=True)
        test_images, test_labels = _read(dataset, root, train=False)
    except DataError:
        if not existed:
            shutil.rmtree(root, ignore_errors=True)  # nothing was there and nothing could be put there
        raise

    def split(images: Tensor, labels: Tensor) -> Split:
        pixels = images.reshape(len(images), -1).to(device, dtype).div_(255)
        return Split(pixels, labels.to(device))

    return Data(
        train=split(images[:train_size], labels[:train_size]),
        validation=split(images[TRAINING_IMAGES:], labels[TRAINING_IMAGES:]),
        test=split(test_images, test_labels),
    )


def _read(dataset: str, root: Path, *, train: bool) -> tuple[Tensor, Tensor]:
    """Images (n, 28, 28) uint8 and labels (n,) of the training or the test file, checked."""
    folder = root / DATASETS[dataset].__name__
    legacy = folder / "processed"
    if legacy.exists():
        raise DataError(f"{legacy} is left from an old torchvision and would be read in place of {folder / 'raw'}: remove it")
    raw = folder / "raw"
    try:
        files = DATASETS[dataset](root, train=train, download=True)
    except (OSError, RuntimeError, ValueError, AssertionError, EOFError) as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise DataError(
            f"{dataset} cannot be read from {raw} ({reason}): "
            "put its four .gz files there, remove damaged files, or name another --data-dir"
        ) from error
    images, labels = files.data, files.targets
    expected = TRAINING_IMAGES + VALIDATION_IMAGES if train else TEST_IMAGES
    if images.shape != (expected, 28, 28) or labels.shape != (expected,):
        shapes = f"{tuple(images.shape)} and {tuple(labels.shape)}"
        raise DataError(f"{raw} is damaged: images and labels are {shapes}, not {expected} of each; remove the unpacked files")
    if not 0 <= int(labels.min()) <= int(labels.max()) < CLASSES:
        raise DataError(f"{raw} is damaged: a label is {int(labels.max())}, not 0 to {CLASSES - 1}; remove the unpacked files")
    if dataset == "mnist":
        _check_md5(raw, "train-" if train else "t10k-")
    return images, labels


def _check_md5(raw: Path, prefix: str) -> None:
    for name, md5 in _MD5.items():
        if name.startswith(prefix) and hashlib.md5((raw / name).read_bytes(), usedforsecurity=False).hexdigest() != md5:
            raise DataError(
                f"{raw / name} is damaged (its md5 is not MNIST's): remove it, to have it unpacked again from its .gz"
            )


def order(seed: int, epoch: int, size: int, device: torch.device) -> Tensor:
    """A permutation of 0..size-1: a pure function of seed and epoch, drawn on the CPU whatever the device."""
    permutation = np.random.default_rng([seed, epoch]).permutation(size)
    return torch.from_numpy(permutation).to(device)


def batches(indices: Tensor, batch_size: int, images: Tensor, targets: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
    """(x (B, 784), t) for one batch of `indices` after another, the last one perhaps smaller."""
    for batch in indices.split(batch_size):
        yield images.index_select(0, batch), targets.index_select(0, batch)
