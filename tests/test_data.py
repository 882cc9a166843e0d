"""The data set on disk, and batches of it."""

import gzip
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from scripts.harness import data
from tests.conftest import ROOT

CPU = torch.device("cpu")


def load(root: Path, dataset: str = "mnist") -> data.Data:
    return data.load(dataset, root, data.TRAINING_IMAGES, CPU, torch.float32)


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    """A data folder with the four .gz files alone."""
    folder = tmp_path / "MNIST" / "raw"
    folder.mkdir(parents=True)
    for archive in (ROOT / "data" / "MNIST" / "raw").glob("*.gz"):
        shutil.copy(archive, folder)
    return folder


def test_counts(mnist: data.Data) -> None:
    assert [len(mnist.train), len(mnist.validation), len(mnist.test)] == [50_000, 10_000, 10_000]
    assert mnist.train.images.shape == (50_000, 784)
    for split in (mnist.train, mnist.validation, mnist.test):
        assert (float(split.images.min()), float(split.images.max())) == (0, 1)
        assert split.labels.unique().tolist() == list(range(10))
    # the published counts of the digit 0 in the 60,000 and in the 10,000
    assert (mnist.train.labels == 0).sum() + (mnist.validation.labels == 0).sum() == 5923
    assert (mnist.test.labels == 0).sum() == 980


def test_validation_is_the_end_of_the_training_file(mnist: data.Data) -> None:
    with gzip.open(ROOT / "data/MNIST/raw/train-labels-idx1-ubyte.gz") as file:
        labels = torch.frombuffer(bytearray(file.read()[8:]), dtype=torch.uint8)
    assert torch.equal(mnist.train.labels, labels[:50_000].long())
    assert torch.equal(mnist.validation.labels, labels[50_000:].long())


def test_pixels_are_divided_by_255(mnist: data.Data) -> None:
    with gzip.open(ROOT / "data/MNIST/raw/train-images-idx3-ubyte.gz") as file:
        first = torch.frombuffer(bytearray(file.read(16 + 784)[16:]), dtype=torch.uint8)
    assert torch.equal(mnist.train.images[0], first / 255)


def test_order_is_a_permutation_and_a_pure_function_of_seed_and_epoch() -> None:
    orders = {(seed, epoch): data.order(seed, epoch, 1000, CPU) for seed in (0, 1) for epoch in (1, 2)}
    for key, order in orders.items():
        assert torch.equal(order.sort().values, torch.arange(1000))
        assert torch.equal(order, data.order(*key, 1000, CPU))
    assert len({tuple(order.tolist()) for order in orders.values()}) == 4


def test_batches_hold_each_sample_once_with_a_ragged_last_one() -> None:
    images, targets = torch.arange(23.0).reshape(23, 1), torch.arange(23)
    sizes, seen = [], []
    for x, t in data.batches(data.order(0, 1, 23, CPU), 5, images, targets):
        assert torch.equal(x[:, 0].long(), t)
        sizes.append(len(x))
        seen += t.tolist()
    assert sizes == [5, 5, 5, 5, 3]
    assert sorted(seen) == list(range(23))


def test_unpacks_without_network_and_leaves_nothing_else(raw: Path) -> None:
    load(raw.parent.parent)
    assert sorted(path.name for path in raw.iterdir()) == sorted(name + end for name in data._MD5 for end in ("", ".gz"))


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


@pytest.mark.parametrize("damage", [flip, truncate, Path.unlink])
@pytest.mark.parametrize("name", ["train-images-idx3-ubyte", "t10k-labels-idx1-ubyte"])
def test_damaged_unpacked_file_is_made_anew(raw: Path, name: str, damage: Callable[[Path], None]) -> None:
    load(raw.parent.parent)
    good = (raw / name).read_bytes()
    damage(raw / name)
    load(raw.parent.parent)
    assert (raw / name).read_bytes() == good


@pytest.mark.parametrize("damage", [flip, truncate, Path.unlink])
def test_damaged_archive_is_named(raw: Path, damage: Callable[[Path], None], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torchvision.datasets.MNIST.mirrors", [])  # nowhere to download from
    damage(raw / "t10k-labels-idx1-ubyte.gz")
    before = sorted(path.name for path in raw.iterdir())
    with pytest.raises(data.DataError, match=r"t10k-labels-idx1-ubyte|train-images-idx3-ubyte"):
        load(raw.parent.parent)
    assert sorted(path.name for path in raw.iterdir()) == before


def test_no_data_leaves_no_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torchvision.datasets.MNIST.mirrors", [])
    with pytest.raises(data.DataError, match="train-images-idx3-ubyte"):
        load(tmp_path / "new")
    assert not list(tmp_path.iterdir())


def test_folder_of_an_old_torchvision_is_refused(raw: Path) -> None:
    (raw.parent / "processed").mkdir()
    with pytest.raises(data.DataError, match=r"processed.*remove"):
        load(raw.parent.parent)


@pytest.fixture
def fashion(raw: Path) -> Path:
    """Files in the format of Fashion-MNIST, unpacked, whose md5 nobody knows."""
    load(raw.parent.parent)
    folder = raw.parent.parent / "FashionMNIST" / "raw"
    folder.mkdir(parents=True)
    for name in data._MD5:
        shutil.copy(raw / name, folder)
    return folder


def test_fashion_mnist_reads_unpacked_files(fashion: Path, mnist: data.Data) -> None:
    assert torch.equal(load(fashion.parent.parent, "fashion-mnist").test.images, mnist.test.images)


def shorten(path: Path) -> None:
    """One label fewer, and a header that says so."""
    content = bytearray(path.read_bytes()[:-1])
    content[4:8] = (len(content) - 8).to_bytes(4, "big")
    path.write_bytes(content)


def mislabel(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-1] = 77
    path.write_bytes(content)


def spoil_header(path: Path) -> None:
    path.write_bytes(b"nonsense" + path.read_bytes()[8:])


@pytest.mark.parametrize(
    ("damage", "named"),
    [(truncate, "shape"), (shorten, "59999|9999"), (mislabel, "77"), (spoil_header, "MNIST's format|invalid|damaged")],
)
@pytest.mark.parametrize("name", ["train-labels-idx1-ubyte", "t10k-labels-idx1-ubyte"])
def test_damage_without_md5_is_seen_in_the_contents(
    fashion: Path, name: str, damage: Callable[[Path], None], named: str
) -> None:
    damage(fashion / name)
    with pytest.raises(data.DataError, match=named):
        load(fashion.parent.parent, "fashion-mnist")
