"""What manual/ may not do, where no import shows it: call the kernels with which torch does the work itself."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from manual.network import Network, NetworkSpec
from manual.operation import Operation
from manual.optimizers import Optimizer
from tests.cases import ACTIVATIONS, LOSSES
from torch_ref.cases import random, random_targets

FORBIDDEN = ("backward", "native_batch_norm", "_softmax")


class Listener(TorchDispatchMode):
    """Hears the name of every kernel called."""

    def __init__(self) -> None:
        super().__init__()
        self.called: set[str] = set()

    def __torch_dispatch__(
        self, func: Any, types: Sequence[type], args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        self.called.add(str(func))
        return func(*args, **(kwargs or {}))


def forbidden(work: Callable[[], object]) -> list[str]:
    with Listener() as listener:
        work()
    assert listener.called, "nothing was heard"
    return [name for name in listener.called if any(word in name for word in FORBIDDEN)]


@pytest.mark.parametrize("loss_name", LOSSES)
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_no_ready_made_derivative(activation: str, loss_name: str) -> None:
    def step() -> None:
        network = Network(NetworkSpec((6, 5, 4), (activation, activation)))
        loss = LOSSES[loss_name]()
        tape = network.forward(random((7, 6), torch.float32, seed=1))
        _, dy = loss(tape.output, random_targets(loss, (7, 4), torch.float32, seed=2))
        grad = network.backward(dy, tape)
        for optimizer in Optimizer.named().values():
            optimizer(0.1).step(network.parameters.theta, grad)

    assert forbidden(step) == []


def test_the_listener_hears_what_is_forbidden() -> None:
    z = torch.zeros(2, 3)
    assert forbidden(lambda: torch.softmax(z, dim=1)) == ["aten._softmax.default"]
    assert forbidden(lambda: torch.sigmoid(z.clone().requires_grad_()).sum().backward()) == ["aten.sigmoid_backward.default"]


def families() -> list[type[Operation]]:
    return list(Operation.__subclasses__())


@pytest.mark.parametrize("family", families(), ids=lambda family: family.__name__)
def test_a_class_is_abstract_or_final(family: type[Operation]) -> None:
    names = [operation.name for operation in family.__subclasses__()]
    assert len(set(names)) == len(names), "each has a name of its own"
    for operation in family.__subclasses__():
        assert getattr(operation, "__final__", False), f"{operation.__name__} is not @final"


def test_manual_stays_small() -> None:
    lengths = {path.name: len(path.read_text().splitlines()) for path in (Path(__file__).parent.parent / "manual").glob("*.py")}
    assert max(lengths.values()) <= 250, lengths
