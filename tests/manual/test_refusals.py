"""What will not do is refused in one whole sentence that names it."""

from collections.abc import Callable
from typing import Any

import pytest
import torch

from manual.layers import BatchNorm1d
from manual.losses import CrossEntropyLoss, HalfSquaredError
from manual.network import Network, NetworkSpec
from manual.optimizers import SGD, Adam, RMSprop
from manual.schedules import OneCycle

NETWORK = Network(NetworkSpec((4, 3, 2), ("tanh", "sigmoid")))
OTHER = Network(NETWORK.spec)


def norm(**fields: Any) -> BatchNorm1d:
    return BatchNorm1d(*torch.ones(6, 3), **fields)


LABELS = torch.tensor([0, 1, 3])
ZEROS = torch.zeros(3, 4)

SENTENCES: list[tuple[Callable[[], Any], str]] = [
    (
        lambda: HalfSquaredError()(ZEROS, ZEROS.T),
        (
            "output (3, 4) of torch.float32 and target (4, 3) of torch.float32 must have one shape "
            "(B, C), with B at least 1, and one dtype"
        ),
    ),
    (
        lambda: HalfSquaredError().targets(LABELS.int(), 4, torch.float32),
        "labels (3,) of torch.int32 must be (n,) of torch.int64",
    ),
    (
        lambda: HalfSquaredError().targets(LABELS, 3, torch.float32),
        "label 3 is out of range: with 3 classes labels are 0 to 2",
    ),
    (
        lambda: CrossEntropyLoss()(ZEROS, LABELS.int()),
        (
            "logits (3, 4) and labels (3,) of torch.int32 must be (B, C) and (B,) of torch.int64, "
            "with B at least 1"
        ),
    ),
    (
        lambda: CrossEntropyLoss()(ZEROS, LABELS - 1),
        "label -1 is out of range: with 4 classes labels are 0 to 3",
    ),
    (lambda: SGD(-1.0), "lr -1.0 must be at least 0.0 and below inf"),
    (lambda: SGD(1.0, momentum=torch.inf), "momentum inf must be at least 0.0 and below inf"),
    (
        lambda: SGD(1.0, weight_decay=-1.0),
        "weight_decay -1.0 must be at least 0.0 and below inf",
    ),
    (lambda: SGD(1.0, nesterov=True), "nesterov needs a momentum above 0"),
    (lambda: RMSprop(1.0, alpha=1.0), "alpha 1.0 must be at least 0.0 and below 1.0"),
    (lambda: RMSprop(1.0, eps=0.0), "eps 0.0 must be at least 5e-324 and below inf"),
    (lambda: Adam(1.0, betas=(0.9, 1.0)), "betas 1.0 must be at least 0.0 and below 1.0"),
    (
        lambda: OneCycle(1.0, 10, 0.1),
        "warm_up 0.1 must be at least 0, below 1 and of more than one of 10 updates",
    ),
    (lambda: norm(eps=0.0), "eps 0.0 must be above 0"),
    (lambda: norm().forward(ZEROS), "input (3, 4) must be (B, 3)"),
    (lambda: norm().frozen().forward(ZEROS), "input (3, 4) must be (B, 3)"),
    (
        lambda: norm().forward(torch.ones(1, 3)),
        "Expected more than 1 value per channel when training, got input size torch.Size([1, 3])",
    ),
    (
        lambda: NetworkSpec((4,), ()),
        "sizes [4] must be two or more positive whole numbers, inputs first",
    ),
    (
        lambda: NetworkSpec((4, 3, 2), ("tanh",)),
        "activations ['tanh'] must be one for each of 2 layers",
    ),
    (
        lambda: NetworkSpec((4, 3), ("tan",)),
        (
            "activations 'tan' is unknown; choose from identity, sigmoid, tanh, relu, softplus, "
            "softmax"
        ),
    ),
    (
        lambda: NetworkSpec((4, 3), ("tanh",), "zero"),
        (
            "initializer 'zero' is unknown; choose from normal, scaled-normal, xavier-uniform, "
            "xavier-normal, kaiming-uniform, kaiming-normal, default"
        ),
    ),
    (
        lambda: Network(NETWORK.spec, dtype=torch.float16),
        "dtype torch.float16 must be torch.float32 or torch.float64",
    ),
    (
        lambda: NETWORK.forward(ZEROS.T),
        "input (4, 3) of torch.float32 must be (B, 4), with B at least 1, of torch.float32",
    ),
    (
        lambda: NETWORK.predict(ZEROS.T),
        "input (4, 3) of torch.float32 must be (B, 4), with B at least 1, of torch.float32",
    ),
    (
        lambda: NETWORK.backward(ZEROS, NETWORK.forward(ZEROS)),
        "gradient (3, 4) of torch.float32 must be (B, 2), with B at least 1, of torch.float32",
    ),
    (
        lambda: NETWORK.backward(ZEROS, OTHER.forward(ZEROS)),
        "the tape is of another network: backward takes one of its own forward",
    ),
    (
        lambda: NETWORK.forward(ZEROS.clone().requires_grad_()),
        (
            "input must not require grad, nor be under torch.autocast, which would round "
            "products in silence"
        ),
    ),
]


@pytest.mark.parametrize(("call", "sentence"), SENTENCES, ids=[said for _, said in SENTENCES])
def test_the_sentence(call: Callable[[], Any], sentence: str) -> None:
    with pytest.raises((ValueError, IndexError)) as refused:
        call()
    assert str(refused.value) == sentence
