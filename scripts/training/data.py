"""MNIST and data sets like it as tensors on the device, and the order of the images in an epoch.

Shapes: n images of 28 x 28 = 784 pixels.
"""

import gzip
import hashlib
import os
import zlib
from contextlib import suppress
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path

import numpy as np
import torch
from filelock import FileLock
from torch import Tensor
from torchvision import datasets
from torchvision.datasets.utils import download_url

from scripts.common import files
from scripts.common.program import UserError
from scripts.run.config import DATASETS, PIXELS, TRAINING_IMAGES, VALIDATION_IMAGES

# Of the unpacked files: torchvision knows those of the .gz alone, and reads unpacked ones
# unchecked. A data set that is not here is checked against its .gz, which has to stay.
MD5 = {
    "mnist": {
        "train-images-idx3-ubyte": "6bbc9ace898e44ae57da46a324031adb",
        "train-labels-idx1-ubyte": "a25bea736e30d166cdddb491f175f624",
        "t10k-images-idx3-ubyte": "2646ac647ad5339dbf082846283269ea",
        "t10k-labels-idx1-ubyte": "27ae3e4e09519cfbb04c329615203637",
    },
    "fashion-mnist": {
        "train-images-idx3-ubyte": "f4a8712d7a061bf5bd6d2ca38dc4d50a",
        "train-labels-idx1-ubyte": "9018921c3c673c538a1fc5bad174d6f9",
        "t10k-images-idx3-ubyte": "8181f5470baa50b63fa0f6fddb340f0a",
        "t10k-labels-idx1-ubyte": "15d484375f8d13e6eb1aabb0c3f46965",
    },
}
FILES = tuple(MD5["mnist"])  # every data set has these names
LARGEST = 16 + (TRAINING_IMAGES + VALIDATION_IMAGES) * PIXELS  # bytes of an unpacked file


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
    """50,000 training images or the first of them, the last 10,000 of the training file to
    validate, 10,000 to test.
    """

    train: Split
    validation: Split
    test: Split


def load(
    dataset: str, root: Path, train_size: int, device: torch.device, dtype: torch.dtype
) -> Data:
    """The data set in `root`, unpacked or downloaded if need be. DataError if it can't be had
    whole.

    The four unpacked files are checked each time: by the md5 in MD5, or else against the .gz, whose
    md5 torchvision knows. One that is missing or damaged is made anew from its .gz, and a .gz that
    is missing or damaged is downloaded.
    """
    folder = root / DATASETS[dataset]
    try:
        if (folder / "processed").exists():
            raise DataError(
                f"{folder / 'processed'} is left from an old torchvision, which would read it "
                "instead: remove it"
            )
        _unpack(dataset, folder / "raw")
        train, test = (_torchvisions(dataset)(root, train=train) for train in (True, False))
    except (OSError, ValueError) as error:
        raise DataError(
            f"{folder / 'raw'}: {dataset} cannot be unpacked there ({error}): make it writable, "
            "make room, or name another "
            "--data-dir"
        ) from error

    def split(images: Tensor, labels: Tensor) -> Split:
        pixels = images.reshape(len(images), PIXELS).to(device, dtype).div_(255)
        return Split(pixels, labels.to(device))

    return Data(
        train=split(train.data[:train_size], train.targets[:train_size]),
        validation=split(train.data[TRAINING_IMAGES:], train.targets[TRAINING_IMAGES:]),
        test=split(test.data, test.targets),
    )


def _torchvisions(dataset: str) -> type[datasets.MNIST]:
    """torchvision's class for a data set."""
    found: type[datasets.MNIST] = getattr(datasets, DATASETS[dataset])
    return found


def _unpack(dataset: str, raw: Path) -> None:
    """Make the unpacked files that are missing or damaged. OSError if they can't be written,
    DataError as `load`.

    Each appears under its name whole, whatever is interrupted. Of several processes one makes them
    while the others wait for its lock, which the system takes from one that is killed.
    """
    if not _wanted(dataset, raw):
        return
    made = [path for path in (raw, *raw.parents) if not path.exists()]
    raw.mkdir(parents=True, exist_ok=True)
    lock = raw / ".lock"
    with FileLock(lock):
        try:
            for name in _wanted(dataset, raw):
                _make(dataset, raw / name)
        finally:
            with suppress(OSError):
                # while it is held: who waits for it sees that it is gone, and tries again
                lock.unlink()
                for path in made:
                    path.rmdir()  # where nothing came into it


def _wanted(dataset: str, raw: Path) -> list[str]:
    """The unpacked files that are not there, or not whole."""
    return [name for name in FILES if _content(dataset, raw / name) is None]


def _content(dataset: str, path: Path) -> bytes | None:
    """What an unpacked file or its .gz holds; None where it can't be read or is not what was
    published.
    """
    try:
        with files.opened(path) as raw, gzip.open(raw) if path.suffix == ".gz" else raw as file:
            content = file.read(LARGEST + 1)
    except (OSError, EOFError, zlib.error):
        return None
    return (
        content
        if _md5(content) == _published(dataset, path.with_name(path.name.removesuffix(".gz")))
        else None
    )


def _published(dataset: str, path: Path) -> str | None:
    """The md5 of an unpacked file as it was published; None where that isn't known and no whole .gz
    tells it.
    """
    if dataset in MD5:
        return MD5[dataset][path.name]
    try:
        archive = files.read(path.with_name(f"{path.name}.gz"))
    except OSError:
        return None
    whole = _md5(archive) == dict(_torchvisions(dataset).resources)[f"{path.name}.gz"]
    return _md5(gzip.decompress(archive)) if whole else None


def _md5(content: bytes) -> str:
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


def _make(dataset: str, path: Path) -> None:
    """Make an unpacked file. OSError if it can't be written, DataError if there is nothing to make
    it of.
    """
    archive = path.with_name(f"{path.name}.gz")
    files.write(path, _content(dataset, archive) or _download(dataset, archive))


def _download(dataset: str, archive: Path) -> bytes:
    """Download a .gz; what it holds. DataError if no mirror has it."""
    source, reason = _torchvisions(dataset), "there is no mirror"
    unfinished = files.unfinished(archive)
    for mirror in source.mirrors:
        try:
            download_url(
                f"{mirror}{archive.name}",
                archive.parent,
                unfinished.name,
                dict(source.resources)[archive.name],
            )
            unfinished.replace(archive)
            return gzip.decompress(archive.read_bytes())
        except (OSError, RuntimeError, HTTPException) as error:
            reason = " ".join(str(error).split()) or type(error).__name__
        finally:
            unfinished.unlink(missing_ok=True)
    unpacked = archive.with_suffix("")
    raise DataError(
        f"{unpacked} is {_fault(unpacked)}, {archive.name} beside it is {_fault(archive)} and "
        f"cannot be downloaded ({reason}): "
        f"put the published {archive.name} there, or name another --data-dir"
    )


def _fault(path: Path) -> str:
    """What is wrong with a file that is not whole."""
    if not path.exists():
        return "missing"
    if not path.is_file():
        return "not a file"
    return "damaged" if os.access(path, os.R_OK) else "not readable"


def order(seed: int, epoch: int, size: int, device: torch.device) -> Tensor:
    """A permutation of 0..size-1: a pure function of seed and epoch, drawn on the CPU whatever the
    device.
    """
    permutation = np.random.default_rng([seed, epoch]).permutation(size)
    return torch.from_numpy(permutation).to(device)
