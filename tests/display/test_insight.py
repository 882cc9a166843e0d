"""What is looked at: outputs that stand still, norms, answers, pictures."""

from collections.abc import Iterator

import pytest
import torch

from manual.activations import Activation
from manual.losses import CrossEntropyLoss, HalfSquaredError, Loss
from manual.network import Network, NetworkSpec
from manual.optimizers import SGD
from scripts.display import insight, pictures
from scripts.display.insight import Answers
from scripts.learners.base import Learner
from scripts.learners.blocks import Block
from scripts.learners.by_hand import ManualLearner
from scripts.learners.in_torch import TorchLearner
from scripts.training import data
from tests.display.short import PARAMETERS


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("identity", []),
        ("sigmoid", [0, 1]),
        ("tanh", [-1, 1]),
        ("relu", [0]),
        ("softplus", [0]),
        ("softmax", [0, 1]),
    ],
)
def test_limits(name: str, expected: list[float]) -> None:
    assert insight.limits(Activation.named()[name]()).tolist() == expected


def learners(activations: tuple[str, str]) -> Iterator[Learner]:
    network = Network(NetworkSpec((2, 3, 2), activations))
    network.parameters.values["w1"].copy_(torch.tensor([[1.0, -1, 2.8], [1, -1, 0]]))
    network.parameters.values["b1"].zero_()
    for kind in (ManualLearner, TorchLearner):
        yield kind(network, HalfSquaredError(), SGD(1.0))


def test_outputs_that_stand_still() -> None:
    """Of three ReLU units one lives for both images, one for none, one for one of them; tanh leaves
    no dead one.
    """
    images = torch.tensor([[1.0, 1], [0, 1]])
    for learner in learners(("relu", "identity")):
        still = insight.saturation(learner, NetworkSpec((2, 3, 2), ("relu", "identity")), images)
        assert still == {"8-saturated/layer1": 3 / 6, "9-dead/layer1": pytest.approx(1 / 3)}
    for learner in learners(("tanh", "identity")):  # 0.96 and 0.76, likewise negative, 0.993 and 0
        still = insight.saturation(learner, NetworkSpec((2, 3, 2), ("tanh", "identity")), images)
        assert still == {"8-saturated/layer1": pytest.approx(1 / 6), "9-dead/layer1": 0}


def test_norms() -> None:
    x, t = torch.tensor([[1.0, 2], [3, 4]]), torch.eye(2)
    manual, reference = learners(("tanh", "identity"))
    for learner in (manual, reference):
        before = learner.parameters()["w2"].clone()
        learner.train(Block(x, t, len(x)))
        norms = insight.norms(learner)
        assert set(norms) == {
            f"{what}/{name}"
            for what in ("6-norm-of-parameter", "7-norm-of-gradient")
            for name in PARAMETERS
        }
        step = learner.parameters()["w2"] - before
        assert norms["7-norm-of-gradient/w2"] == pytest.approx(float(step.norm()), rel=1e-5), (
            "lr is 1"
        )
        assert norms["6-norm-of-parameter/w2"] == pytest.approx(
            float(learner.parameters()["w2"].norm())
        )
    assert insight.norms(manual) == insight.norms(reference)
    for name, value in manual.parameters().items():
        assert torch.equal(value, reference.parameters()[name])


def test_looking_changes_nothing() -> None:
    """Batch normalization is looked at with its running statistics, which stay, and trains on with
    the batch's.
    """
    x, t = torch.tensor([[1.0, 2], [3, 4], [0, 1]]), torch.eye(2)[[0, 1, 0]]
    spec = NetworkSpec((2, 3, 2), ("tanh", "identity"), batch_norm=True)
    network = Network(spec)
    manual, reference = (
        ManualLearner(network, HalfSquaredError(), SGD(1.0)),
        TorchLearner(network, HalfSquaredError(), SGD(1.0)),
    )
    for learner in (manual, reference):
        learner.train(Block(x, t, len(x)))
        with torch.no_grad():
            answer = learner.predict(x[:1])
            insight.saturation(learner, spec, x)
            first, second = learner.outputs(x[:1]), learner.outputs(x[:1])
        assert [y.shape for y in first] == [(1, 3), (1, 3), (1, 2)]
        assert all(torch.equal(*pair) for pair in zip(first, second, strict=True))
        assert torch.equal(first[-1], answer)
        learner.train(Block(x, t, len(x)))
    for name, value in manual.parameters().items():
        # its sums round otherwise
        torch.testing.assert_close(value, reference.parameters()[name], rtol=1e-4, atol=1e-6)
    for mine, its in zip(manual.outputs(x), reference.outputs(x), strict=True):
        torch.testing.assert_close(mine, its.detach(), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("loss", [HalfSquaredError(), CrossEntropyLoss()])
def test_answers(loss: Loss) -> None:
    """Of logits a softmax, of a squared error the outputs as they are."""
    split = data.Split(torch.tensor([[1.0, 1], [0, 1], [-2, 0]]), torch.tensor([0, 1, 1]))
    for learner in learners(("tanh", "identity")):
        y = learner.predict(split.images).detach()
        p = torch.softmax(y, dim=1) if loss.of_logits else y
        answers = insight.answers(learner, loss, split.images, split.labels)
        assert torch.equal(answers.given, y.argmax(dim=1))
        torch.testing.assert_close(answers.probability, p.amax(dim=1), rtol=1e-6, atol=0)
        assert torch.equal(answers.true, split.labels)


def test_picture_of_the_first_layer() -> None:
    """Pixel for pixel where the image has it: red for the largest weight, blue for its negative,
    white for 0.
    """
    w = torch.zeros(784, 3)
    w[28 * 5 + 7, 0], w[0, 2] = 2.0, -2.0
    figure = pictures.first_layer(w, "Weights")
    (shown,) = figure.images
    picture = torch.as_tensor(shown.get_array())[..., :3]
    red, blue = picture[6 + 5, 6 + 7], picture[6, 6 + 2 * 34]
    assert red[0] > 90 > red[2]
    assert blue[2] > 90 > blue[0]
    assert (picture < 200).any(dim=2).sum() == 2
    (text,) = figure.texts
    assert text.get_text() == "Weights\nred: above 0, blue: below"


def test_a_layer_that_learned_nothing_is_white() -> None:
    """Of more units than are shown, as wide as a card of the board."""
    figure = pictures.first_layer(torch.zeros(784, 120), "")
    (shown,) = figure.images
    picture = torch.as_tensor(shown.get_array())
    assert picture.min() > 240
    assert picture.shape[1] <= figure.bbox.width == 350


def test_figures_name_the_mistakes() -> None:
    answers = Answers(
        torch.tensor([3, 1, 2, 5]), torch.tensor([0.9, 0.8, 0.7, 0.99]), torch.tensor([3, 2, 2, 6])
    )
    figure = pictures.worst_mistakes(torch.rand(4, 784), answers)
    assert [ax.get_title().splitlines()[0] for ax in figure.axes if ax.get_title()] == [
        "6 taken for 5",
        "2 taken for 1",
    ]
    assert pictures.worst_mistakes(
        torch.rand(2, 784), Answers(*(values[[0, 2]] for values in answers))
    ), "none is no error"
    ax = pictures.confusion(answers, 10).axes[0]
    cells = {text.get_position(): text.get_text() for text in ax.texts}
    assert cells == {(3, 3): "1", (2, 2): "1", (1, 2): "1", (5, 6): "1"}, (
        "across: given, down: true"
    )
    (colours,) = ax.images
    assert torch.from_numpy(colours.get_array()).nonzero().tolist() == [[2, 1], [6, 5]], "mistakes"
