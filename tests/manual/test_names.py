"""What files, tests and the command line know an operation by."""

import pytest

from manual.activations import Activation
from manual.initializers import Initializer
from manual.layers import Layer
from manual.losses import Loss
from manual.operation import Operation
from manual.optimizers import Optimizer
from manual.schedules import Schedule

NAMES: dict[type[Operation], str] = {
    Activation: "identity sigmoid tanh relu softplus softmax",
    Initializer: "normal scaled-normal xavier-uniform xavier-normal kaiming-uniform "
    "kaiming-normal default",
    Layer: "linear batch-norm frozen-batch-norm",
    Loss: "half-squared squared mse cross-entropy cross-entropy-of-probabilities "
    "binary-cross-entropy binary-cross-entropy-of-logits",
    Optimizer: "sgd rmsprop adam",
    Schedule: "constant one-cycle",
}


@pytest.mark.parametrize("family", NAMES, ids=lambda family: family.__name__)
def test_names(family: type[Operation]) -> None:
    """In the order of their definition."""
    assert " ".join(family.named()) == NAMES[family]
    assert all(operation.name == name for name, operation in family.named().items())


def test_facts() -> None:
    """What the rest has to know of an activation and of a loss."""
    assert {name: f.kinks for name, f in Activation.named().items() if f.kinks} == {"relu": (0.0,)}
    assert [name for name, f in Activation.named().items() if f.probabilities] == [
        "sigmoid",
        "softmax",
    ]
    assert [name for name, loss in Loss.named().items() if loss.of_logits] == [
        "cross-entropy",
        "binary-cross-entropy-of-logits",
    ]
    assert [name for name, loss in Loss.named().items() if loss.of_probabilities] == [
        "cross-entropy-of-probabilities",
        "binary-cross-entropy",
    ]


@pytest.mark.parametrize("name", Optimizer.named())
def test_an_optimizer_is_like_no_other(name: str) -> None:
    """It has a state: equal numbers don't make two of them one."""
    one, other = (Optimizer.named()[name](0.1) for _ in range(2))
    assert one != other
    assert len({one, other}) == 2
