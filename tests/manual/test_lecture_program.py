"""The slides' program in one file: the bits of manual.Network, the slides' data and lines, the
published accuracy.
"""

import ast
import sys
from pathlib import Path

import pytest
import torch

from manual import lecture
from manual.losses import HalfSquaredError
from manual.network import Network, NetworkSpec
from manual.optimizers import SGD
from scripts.training import data
from tests.cases import batches


def test_it_needs_nothing_else_of_the_package() -> None:
    text = Path(lecture.__file__).read_text()
    imported = set[str | None]()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            imported |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0
            imported.add(node.module and node.module.partition(".")[0])
    assert imported - sys.stdlib_module_names == {"torch"}
    assert len(text.splitlines()) <= 115


@pytest.mark.parametrize("sizes", [[784, 30, 10], [784, 35, 17, 10]])
def test_same_bits_as_the_network_of_this_package(sizes: list[int], mnist: data.Data) -> None:
    network, slides = (
        Network(NetworkSpec(tuple(sizes), ("sigmoid",) * (len(sizes) - 1))),
        lecture.Network(sizes),
    )
    loss, sgd, parameters = HalfSquaredError(), SGD(3.0), network.parameters.values
    targets = loss.targets(mnist.train.labels, 10, torch.float32)
    for x, t in batches(torch.arange(3005), 10, mnist.train.images, targets):
        tape = network.forward(x)
        sgd.step(network.parameters.theta, network.backward(loss(tape.output, t)[1], tape))
        slides.update_mini_batch(x, t, 3.0)
        for k, (w, b) in enumerate(zip(slides.weights, slides.biases, strict=True), start=1):
            assert torch.equal(w, parameters[f"w{k}"])
            assert torch.equal(b, parameters[f"b{k}"])
    images = mnist.test.images
    assert torch.equal(slides.feedforward(images), network.predict(images))


def test_the_slides_pairs_are_as_good_as_tensors(
    mnist: data.Data, capsys: pytest.CaptureFixture[str]
) -> None:
    x, labels = mnist.train.images[:500], mnist.train.labels[:500]
    y = torch.eye(10)[labels]
    pairs = [
        (image.view(784, 1).double().numpy(), one.view(10, 1).double().numpy())
        for image, one in zip(x, y, strict=True)
    ]
    test_pairs = [(image, int(label)) for (image, _), label in zip(pairs, labels, strict=True)]
    printed = []
    for training_data, test_data in ((pairs, test_pairs), ((x, y), (x, labels)), ((x, y), (x, y))):
        net = lecture.Network([784, 30, 10])
        net.SGD(training_data, 3, 10, 3.0, test_data=test_data)
        printed.append(capsys.readouterr().out)
        assert net.evaluate(test_data) == int(printed[-1].split()[-3])
    assert printed[0] == printed[1] == printed[2]
    assert [line.split(":")[0] for line in printed[0].splitlines()] == [
        "Epoch 0",
        "Epoch 1",
        "Epoch 2",
    ]
    lecture.Network([784, 30, 10]).SGD((x, y), 1, 10, 3.0)
    assert capsys.readouterr().out == "Epoch 0: complete\n"


def test_the_slides_call_learns_as_published(
    mnist: data.Data, capsys: pytest.CaptureFixture[str]
) -> None:
    """Published is 95.42 %, in the best of 30 epochs of the best of three runs. This run comes to
    95.20 %, half a minute's work (docs/lecture.ipynb); after four epochs, to 93 % and more.
    """
    training_data = mnist.train.images, torch.eye(10)[mnist.train.labels]
    lecture.Network([784, 30, 10]).SGD(
        training_data, 4, 10, 3.0, test_data=(mnist.test.images, mnist.test.labels)
    )
    correct = [int(line.split()[2]) for line in capsys.readouterr().out.splitlines()]
    assert len(correct) == 4
    assert 9300 <= max(correct) <= 9542
