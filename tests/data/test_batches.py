"""Images as they are read from disk, and their batches."""

import gzip

import pytest
import torch

from scripts.learners.blocks import Blocks
from scripts.training import data
from tests.data.archives import CPU, ORIGINAL


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
    with gzip.open(ORIGINAL / "train-labels-idx1-ubyte.gz") as file:
        labels = torch.frombuffer(bytearray(file.read()[8:]), dtype=torch.uint8)
    assert torch.equal(mnist.train.labels, labels[:50_000].long())
    assert torch.equal(mnist.validation.labels, labels[50_000:].long())


def test_pixels_are_divided_by_255(mnist: data.Data) -> None:
    with gzip.open(ORIGINAL / "train-images-idx3-ubyte.gz") as file:
        first = torch.frombuffer(bytearray(file.read(16 + 784)[16:]), dtype=torch.uint8)
    assert torch.equal(mnist.train.images[0], first / 255)


def test_order_is_a_permutation_and_a_pure_function_of_seed_and_epoch() -> None:
    orders = {
        (seed, epoch): data.order(seed, epoch, 1000, CPU) for seed in (0, 1) for epoch in (1, 2)
    }
    for key, order in orders.items():
        assert torch.equal(order.sort().values, torch.arange(1000))
        assert torch.equal(order, data.order(*key, 1000, CPU))
    assert len({tuple(order.tolist()) for order in orders.values()}) == 4


def test_blocks_hold_each_sample_once_with_a_ragged_last_batch() -> None:
    images, targets = torch.arange(23.0).reshape(23, 1), torch.arange(23)
    blocks, indices, seen, places = Blocks(images, targets, 5), data.order(0, 1, 23, CPU), [], set()
    for rows in (indices[:10], indices[10:]):
        block = blocks.fetch(rows)
        assert [len(x) for x, _ in block] == ([5, 5] if len(rows) == 10 else [5, 5, 3])
        for x, t in block:
            assert torch.equal(x[:, 0].long(), t)
            seen += t.tolist()
            places.add(x.data_ptr())
    assert seen == indices.tolist()
    assert len(places) == 3, "the second block lies where the first lay"
    assert blocks.fetch(indices[:10]) is blocks.fetch(indices[13:]), "one place for a size"


@pytest.mark.parametrize(("batch_size", "size"), [(1, 64), (10, 64), (11, 58), (128, 5), (1000, 1)])
def test_a_block_stays_in_the_cache(batch_size: int, size: int) -> None:
    blocks = Blocks(torch.zeros(2000, 1), torch.zeros(2000), batch_size)
    assert blocks.size == size
    assert len(list(blocks.fetch(torch.arange(size * batch_size)))) == size
