"""CUDA: every operation without a GPU, as fake tensors beside which no tensor of the CPU is
allowed; and on a real one.

The tables of test_gradients, test_network and test_extremes have rows for a real CUDA device; here
is what they leave.
"""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as dist
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from manual.losses import CrossEntropyLoss
from manual.network import Network, NetworkSpec
from manual.optimizers import SGD, Optimizer
from scripts.common.torchrun import DataParallel
from scripts.learners.blocks import Blocks
from scripts.learners.by_hand import ManualLearner
from scripts.learners.in_torch import TorchLearner
from scripts.training import learned
from tests.cases import ACTIVATIONS, EACH, LOSSES, both_dtypes, fits, needs_cuda
from torch_ref.cases import OPTIMIZER_FIELDS, random, random_targets, spec_of
from torch_ref.compare import compare_parameters, largest

CUDA = torch.device("cuda", 0)


class NoTensorOfTheCPU(TorchDispatchMode):
    """Refuses every kernel that reads or makes a tensor on the CPU, one of no dimensions too."""

    def __torch_dispatch__(
        self,
        func: Any,
        types: Sequence[type],
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        for leaf in tree_leaves((args, kwargs, result)):
            assert not (isinstance(leaf, Tensor) and leaf.device.type == "cpu"), (
                f"{func} meets a tensor on the CPU"
            )
        return result


@pytest.fixture
def fake_cuda() -> Iterator[None]:
    """Tensors are fake."""
    with FakeTensorMode():
        yield


@pytest.mark.usefixtures("fake_cuda")
@pytest.mark.parametrize("batch_norm", [False, True])
@both_dtypes
@pytest.mark.parametrize(("activation", "loss_name"), EACH)
def test_step_stays_on_the_device(
    activation: str, loss_name: str, dtype: torch.dtype, *, batch_norm: bool
) -> None:
    """Forward, loss, backward, dDiv/dx, prediction."""
    loss = LOSSES[loss_name]()
    network = Network(
        NetworkSpec((6, 5, 4), (activation, activation), batch_norm=batch_norm),
        device=CUDA,
        dtype=dtype,
    )
    x = torch.empty(7, 6, dtype=dtype, device=CUDA)
    t = torch.empty(7, 4, dtype=dtype, device=CUDA)
    if isinstance(loss, CrossEntropyLoss):
        t = torch.empty(7, dtype=torch.int64, device=CUDA)
    with NoTensorOfTheCPU():
        tape = network.forward(x)
        div, dy = loss(tape.output, t)
        grad = network.backward(dy, tape)
        dx = network.input_gradient(torch.empty_like(tape.output), tape)
        y = network.predict(x)
    for tensor, shape in (
        (div, ()),
        (grad, network.parameters.theta.shape),
        (dx, (7, 6)),
        (y, (7, 4)),
    ):
        assert (tensor.shape, tensor.dtype, tensor.device) == (shape, dtype, CUDA)


@pytest.mark.usefixtures("fake_cuda")
@both_dtypes
@pytest.mark.parametrize("decay", [0.0, 0.1])
@pytest.mark.parametrize(("cls", "fields"), OPTIMIZER_FIELDS)
def test_update_stays_on_the_device(
    cls: type[Optimizer], fields: dict[str, Any], decay: float, dtype: torch.dtype
) -> None:
    theta, grad, weights = torch.empty(3, 40, dtype=dtype, device=CUDA)
    for of_weights in (None, weights):
        optimizer = cls(**fields, weight_decay=decay, weights=of_weights)
        with NoTensorOfTheCPU():
            for _ in range(3):
                optimizer.step(theta, grad)
        assert all(buffer.device == CUDA for buffer in optimizer.buffers.values())


@pytest.mark.usefixtures("fake_cuda")
def test_batches_stay_on_the_device() -> None:
    images, targets = torch.empty(25, 6, device=CUDA), torch.empty(25, 4, device=CUDA)
    indices = torch.empty(25, dtype=torch.int64, device=CUDA)
    network = Network(spec_of((6, 4), "sigmoid"), device=CUDA)
    learner = ManualLearner(network, LOSSES["mse"](), SGD(0.1))
    blocks = Blocks(images, targets, 10)
    with NoTensorOfTheCPU():
        for x, t in blocks.fetch(indices):
            learner.step(x, t)


@pytest.mark.usefixtures("fake_cuda")
def test_averaging_stays_on_the_device(monkeypatch: pytest.MonkeyPatch) -> None:
    """One of two processes, whose other says nothing."""
    for name, value in {
        "RANK": "0",
        "WORLD_SIZE": "2",
        "LOCAL_RANK": "0",
        "LOCAL_WORLD_SIZE": "2",
    }.items():
        monkeypatch.setenv(name, value)
    network = Network(spec_of((6, 4), "sigmoid"), device=CUDA)
    learner = ManualLearner(network, LOSSES["mse"](), SGD(0.1), processes=DataParallel())
    x, t = torch.empty(5, 6, device=CUDA), torch.empty(5, 4, device=CUDA)
    averaged: list[torch.device] = []
    monkeypatch.setattr(dist, "all_reduce", lambda values: averaged.append(values.device))
    with NoTensorOfTheCPU():
        learner.step(x, t)
    assert averaged == [CUDA]


@pytest.mark.usefixtures("fake_cuda")
def test_what_was_learned_is_left_for_the_cpu(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """torch.load puts a tensor where it was, and fails where there is no GPU."""
    network = Network(spec_of((6, 4), "sigmoid"), device=CUDA)
    saved = dict[str, Tensor]()
    monkeypatch.setattr(torch, "save", lambda state, _: saved.update(state))
    learned.save(tmp_path, [ManualLearner(network, LOSSES["mse"](), SGD(0.1))])
    assert [value.device.type for value in saved.values()] == ["cpu", "cpu"]
    assert (tmp_path / "manual.pt").exists()


ON_CPU: dict[str, Callable[[Tensor], object]] = {
    "item": lambda x: x.sum().item(),
    "truth": lambda x: bool(x.sum()),
    "tolist": lambda x: x.tolist(),
    "cpu": lambda x: x.cpu(),
    "number on the CPU": lambda x: x * torch.ones(()),
    "stray tensor": lambda _: torch.ones(()),
    "index on the CPU": lambda x: x[torch.tensor([0, 1])],
    "mask": lambda x: x[x > 0],
    "copy from the CPU": lambda x: x.copy_(torch.ones(3, 4)),
    "another device": lambda x: x + torch.ones(3, 4),
}


@pytest.mark.usefixtures("fake_cuda")
@pytest.mark.parametrize("slip", ON_CPU)
def test_what_the_mode_refuses(slip: str) -> None:
    x = torch.empty(3, 4, device=CUDA)
    with NoTensorOfTheCPU(), pytest.raises((AssertionError, RuntimeError)):
        ON_CPU[slip](x)
    with NoTensorOfTheCPU():
        x.mul_(2).sum()


@pytest.mark.usefixtures("fake_cuda")
@pytest.mark.parametrize("name", [name for name in LOSSES if name != "cross-entropy"])
def test_loss_refuses_two_devices(name: str) -> None:
    with pytest.raises(RuntimeError, match=r"cuda:0.*cpu|cpu.*cuda:0"):  # torch's own words
        LOSSES[name]()(torch.rand(3, 4, device=CUDA), torch.rand(3, 4))


@needs_cuda
@both_dtypes
@pytest.mark.parametrize("loss_name", LOSSES)
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_training_on_a_gpu_is_torchs(activation: str, loss_name: str, dtype: torch.dtype) -> None:
    """50 updates by hand and by torch on the GPU, from the parameters with which the CPU starts."""
    loss = LOSSES[loss_name]()
    spec = spec_of((20, 16, 4), "sigmoid", activation if fits(loss, activation) else "sigmoid")
    network = Network(spec, device="cuda", dtype=dtype)
    assert torch.equal(network.parameters.theta.cpu(), Network(spec, dtype=dtype).parameters.theta)
    manual, reference = (
        ManualLearner(network, loss, SGD(0.1)),
        TorchLearner(network, loss, SGD(0.1)),
    )
    for step in range(50):
        x, t = (
            random((16, 20), dtype, step, "cuda"),
            random_targets(loss, (16, 4), dtype, step, "cuda"),
        )
        manual.step(x, t)
        reference.step(x, t)
    difference = largest(compare_parameters(network, reference.model).values())
    # each update adds at most a few units in the last place of a parameter; not measured yet
    assert difference.max_rel <= 50 * 16 * torch.finfo(dtype).eps, difference
