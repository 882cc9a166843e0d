"""A recorded step gives the bits of the plain one, batch after batch, or is refused. Shapes: B
batch, C classes.
"""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from manual.losses import CrossEntropyLoss
from manual.network import Network, NetworkSpec
from manual.optimizers import Adam
from scripts.recording.replay import Recording
from tests.cases import EACH, LOSSES, both_dtypes, fits
from torch_ref.cases import random, random_targets
from torch_ref.model import build

BATCHES = (7, 7, 3, 7, 1, 3)  # of several sizes by turns


def step(network: Network, loss: Any) -> Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]:
    """Forward, loss, backward of one batch: the loss and the output."""

    def gradient(x: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
        tape = network.forward(x)
        div, dy = loss(tape.output, t)
        network.backward(dy, tape)
        return div, tape.output

    return gradient


@both_dtypes
@pytest.mark.parametrize("batch_norm", [False, True])
@pytest.mark.parametrize(("activation", "loss_name"), EACH)
def test_replay_has_the_bits_of_the_plain_step(
    activation: str, loss_name: str, dtype: torch.dtype, *, batch_norm: bool
) -> None:
    """Six updates, batches of three sizes by turns, in places of their own; running statistics move
    along.
    """
    loss = LOSSES[loss_name]()
    last = activation if fits(loss, activation) else "sigmoid"
    spec = NetworkSpec((6, 5, 8, 4), (activation, activation, last), "default", batch_norm)
    plain, recorded = Network(spec, dtype=dtype), Network(spec, dtype=dtype)
    adam, same = Adam(0.1), Adam(0.1)
    recordings: dict[int, Recording] = {}
    for number, size in enumerate(BATCHES):
        size += batch_norm  # noqa: PLW2901 - a batch of 1 has no variance
        x, t = random((size, 6), dtype, number), random_targets(loss, (size, 4), dtype, number)
        if size not in recordings:
            recordings[size] = Recording(step(recorded, loss), x, t)
        expected = step(plain, loss)(x, t)
        results = recordings[size].at(x, t)()
        for result, right in zip(results, expected, strict=True):
            assert torch.equal(result, right), number
        assert torch.equal(recorded.parameters.grad, plain.parameters.grad), number
        for name, buffer in plain.buffers.items():
            assert torch.equal(recorded.buffers[name], buffer), name
        adam.step(plain.parameters.theta, plain.parameters.grad)
        same.step(recorded.parameters.theta, recorded.parameters.grad)


def test_the_recording_reads_what_lies_in_its_inputs_by_then() -> None:
    network, loss = Network(NetworkSpec((6, 4), ("sigmoid",))), LOSSES["mse"]()
    x, t = random((7, 6), torch.float32, 1), random((7, 4), torch.float32, 2)
    recording = Recording(step(network, loss), x, t)
    for seed in (3, 4):
        x.copy_(random((7, 6), torch.float32, seed))
        div, y = (result.clone() for result in recording())
        expected = step(network, loss)(x, t)
        assert torch.equal(div, expected[0])
        assert torch.equal(y, expected[1])


def test_the_lectures_step_as_a_line() -> None:
    network = Network(NetworkSpec((784, 30, 10), ("sigmoid", "sigmoid")))

    def gradient(x: Tensor, t: Tensor) -> Tensor:
        tape = network.forward(x)
        network.backward(LOSSES["half-squared"]()(tape.output, t)[1], tape)
        return tape.output

    parameters = network.parameters
    names = parameters.values | {
        f"d{name}": gradient for name, gradient in parameters.gradients.items()
    }
    recording = Recording(gradient, torch.rand(10, 784), torch.rand(10, 10), names=names)
    assert str(recording).splitlines() == [
        "#1 (10, 30)   = addmm(b1, x, w1)",
        "#1 (10, 30)   = sigmoid(#1)",
        "#2 (10, 10)   = addmm(b2, #1, w2)",
        "#2 (10, 10)   = sigmoid(#2)",
        "#3 (10, 10)   = sub(#2, t)",
        "#3 (10, 10)   = mul(#3, 0.1)",
        "#4 (10, 10)   = sub(1, #2)",
        "#3 (10, 10)   = mul(#3, #4)",
        "#3 (10, 10)   = mul(#3, #2)",
        "dw2 (30, 10)  = mm(#1.T, #3)",
        "db2 (10,)     = sum(#3, [0])",
        "#4 (10, 30)   = mm(#3, w2.T)",
        "#3 (10, 30)   = sub(1, #1)",
        "#4 (10, 30)   = mul(#4, #3)",
        "#4 (10, 30)   = mul(#4, #1)",
        "dw1 (784, 30) = mm(x.T, #4)",
        "db1 (30,)     = sum(#4, [0])",
    ]  # the loss's own value, which nobody asks for, is not there


def test_memory_of_a_deep_network() -> None:
    """Of N layers every y is needed in backward, and besides them two buffers: dDiv/dy and 1 -
    y.
    """
    network = Network(NetworkSpec((6, *(5,) * 20), ("sigmoid",) * 20))

    def gradient(x: Tensor, dy: Tensor) -> None:
        network.backward(dy, network.forward(x))

    recording = Recording(
        gradient, random((7, 6), torch.float32, 1), random((7, 5), torch.float32, 2)
    )
    assert len({buffer.data_ptr() for buffer in recording._buffers.values()}) <= 20 + 2


# What a newcomer might write: each a step of x (4, 3), and what it may keep beside.

KEPT = torch.zeros(3)


def in_place(x: Tensor) -> Tensor:
    z = x.abs().neg_().exp_()
    z[:, 0] = 2.0
    z += x
    return z.mul_(x).log1p_()


def constants(x: Tensor) -> Tensor:
    total = torch.zeros(3)
    total += x.sum(dim=0)
    slope = torch.tensor(0.5)
    slope *= 2
    return torch.where(x > 0, x, slope * x) + total + torch.full((3,), 2.0) + x.new_ones(3)


def indices(x: Tensor) -> Tensor:
    rows, columns = torch.arange(4), x.argmax(dim=1)
    return x[rows, columns] + x.gather(1, columns.unsqueeze(1)).squeeze(1)


def several_results(x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    largest, where = x.max(dim=1)
    mean, var = torch.var_mean(x, dim=0)
    return largest, where, (x.T * largest).T - mean * var


def views(x: Tensor) -> Tensor:
    y = torch.tanh(x)
    columns = y.T
    product = columns @ y
    z = y * 2  # y is read again below, through a view
    return (product + columns[:, :3]) @ z.T.reshape(3, 4)


def squares(x: Tensor) -> Tensor:
    y = x.T @ x + torch.arange(9).view(3, 3)
    z = y * y.T  # not over y, though it is not read again: y.T has other entries of the same memory
    return (z @ z).mm(x.T @ x)  # nor a product over a factor


def of_no_out_form(x: Tensor) -> Tensor:
    return (
        torch.cat([x.flip(0), x.roll(1, 0)], dim=1)
        .repeat(1, 2)
        .to(torch.float64)
        .cumsum(dim=1)
        .float()
    )


def to_what_outlives_it(x: Tensor) -> Tensor:
    KEPT.mul_(0.9).add_(x.sum(dim=0), alpha=0.1)
    torch.sum(x, 0, out=KEPT[:])
    return KEPT + 1


STEPS = [
    in_place,
    constants,
    indices,
    several_results,
    views,
    squares,
    of_no_out_form,
    to_what_outlives_it,
]


@both_dtypes
@pytest.mark.parametrize("written", STEPS, ids=lambda written: written.__name__)
def test_what_a_newcomer_writes(written: Callable[[Tensor], Any], dtype: torch.dtype) -> None:
    if dtype != torch.float32 and written is to_what_outlives_it:
        dtype = torch.float32  # of KEPT
    x = random((4, 3), dtype, 0)
    KEPT.zero_()
    recording = Recording(written, x)
    assert not KEPT.any(), "recording a step does not make it"
    for seed in range(3):
        x = random((4, 3), dtype, seed)
        KEPT.fill_(seed)
        expected, kept = written(x), KEPT.clone()
        expected = [
            each.clone() for each in (expected if isinstance(expected, tuple) else (expected,))
        ]
        KEPT.fill_(seed)
        results = recording.at(x)()
        assert torch.equal(KEPT, kept)
        for result, right in zip(
            results if isinstance(results, tuple) else (results,), expected, strict=True
        ):
            assert torch.equal(result, right)


def test_random_numbers_are_drawn_each_time() -> None:
    def dropout(x: Tensor) -> tuple[Tensor, Tensor]:
        return torch.rand(4, 3), x * torch.empty_like(x).bernoulli_(0.5)

    x = random((4, 3), torch.float32, 0)
    recording = Recording(dropout, x)
    for seed in (1, 2):
        torch.manual_seed(seed)
        expected = dropout(x)
        torch.manual_seed(seed)
        for result, right in zip(recording(), expected, strict=True):
            assert torch.equal(result, right)


def test_what_leads_to_nothing_is_left_out() -> None:
    def wasteful(x: Tensor) -> Tensor:
        unused = x.exp()
        unused.add_(1)
        return x + 1

    assert str(Recording(wasteful, random((4, 3), torch.float32, 0))) == "#1 (4, 3) = add(x, 1)"


@pytest.mark.parametrize(
    "asks",
    [
        lambda x: x if x.sum() > 0 else -x,
        lambda x: x * x.max().item(),
        lambda x: x * float(x[0, 0]),
        lambda x: x[x > 0].sum(),
        lambda x: x.nonzero(),
        lambda x: x if torch.equal(x, x + 1) else -x,
        lambda x: x.clone().unsqueeze_(0),
    ],
)
def test_a_step_that_depends_on_numbers_is_refused(asks: Callable[[Tensor], Tensor]) -> None:
    with pytest.raises(ValueError, match=r"cannot be recorded: it (asks|has a result|changes)"):
        Recording(asks, random((4, 3), torch.float32, 0))


@pytest.mark.parametrize(
    "reads", [lambda x: x * x.tolist()[0][0], lambda x: torch.from_numpy(x.numpy()) + x]
)
def test_numbers_cannot_be_read_on_the_way(reads: Callable[[Tensor], Tensor]) -> None:
    with pytest.raises((ValueError, RuntimeError), match=r"subclasses|no numbers|numpy"):
        Recording(reads, random((4, 3), torch.float32, 0))


def test_what_a_step_leaves_behind_has_no_numbers() -> None:
    left: list[Tensor] = []
    Recording(lambda x: left.append(x + 1), random((4, 3), torch.float32, 0))
    assert (
        str(left) == "[<(4, 3) of torch.float32 in a step that is being recorded: no numbers yet>]"
    )
    with pytest.raises(ValueError, match="has no numbers outside of it; return what is wanted"):
        left[0].sum()


@pytest.mark.parametrize(
    ("other", "said"),
    [
        (torch.zeros(3, 4), r"\(4, 3\).*not of \(\(3, 4\)"),
        (torch.zeros(4, 3, dtype=torch.float64), "not of .*float64"),
        (torch.zeros(3, 4).T, r"\(3, 1\).*not of .*\(1, 4\)"),
    ],
)
def test_another_shape_layout_or_dtype_is_refused(other: Tensor, said: str) -> None:
    recording = Recording(lambda x: x + 1, random((4, 3), torch.float32, 0))
    with pytest.raises(ValueError, match=said):
        recording.at(other)


def test_a_step_of_torchs_own_can_be_recorded() -> None:
    """Forward, autograd's backward and a foreach update of nn.Sequential."""
    network = Network(NetworkSpec((6, 5, 4), ("sigmoid", "identity")))
    model, same = build(network), build(network)

    def update(module: nn.Module, x: Tensor, t: Tensor) -> Tensor:
        loss = nn.functional.cross_entropy(module(x), t)
        parameters = list(module.parameters())
        with torch.no_grad():
            torch._foreach_add_(
                tuple(parameters), torch.autograd.grad(loss, parameters), alpha=-0.5
            )
        return loss.detach()

    x, t = (
        random((7, 6), torch.float32, 1),
        random_targets(CrossEntropyLoss(), (7, 4), torch.float32, 2),
    )
    recording = Recording(lambda x, t: update(same, x, t), x, t)
    for _ in range(3):
        with torch.no_grad():
            loss = recording()
        assert torch.equal(loss, update(model, x, t))
    for parameter, other in zip(model.parameters(), same.parameters(), strict=True):
        assert torch.equal(parameter, other)
