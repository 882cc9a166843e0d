"""What results are summed from: as large as they, entry by entry, and larger where rounding is."""

from collections.abc import Iterator

import pytest
import torch

from manual.activations import Activation, Softmax, Softplus
from manual.layers import BatchNorm1d, FrozenBatchNorm1d, Layer, Linear
from manual.losses import BinaryCrossEntropy, CrossEntropyLoss
from manual.network import Network, NetworkSpec
from manual.operation import Operation
from tests.cases import LOSSES
from tests.conftest import ROOT
from torch_ref.budgets import (
    BUDGETS,
    CUDA_BUDGET,
    NETWORK_BUDGET,
    _normalized,
    budget,
    gradient_terms,
    loss_terms,
    network_budget,
    ratio,
)
from torch_ref.cases import Case, layer_cases, random, random_targets
from torch_ref.results import of_batch, of_case


@pytest.mark.parametrize("batch_norm", [False, True])
@pytest.mark.parametrize("activation", Activation.named())
def test_no_gradient_of_a_network_is_larger_than_its_terms(
    activation: str, *, batch_norm: bool
) -> None:
    spec = NetworkSpec((5, 4, 3), (activation, activation), batch_norm=batch_norm)
    network, loss = Network(spec, dtype=torch.float64), LOSSES["mse"]()
    x, t = random((7, 5), torch.float64, 1), random_targets(loss, (7, 3), torch.float64, 2)
    for name, by_hand, _, terms in of_batch(network, loss, x, t):
        sizes = terms.T if name.startswith("w") else terms
        assert sizes.shape == by_hand.shape, name
        assert (by_hand.abs() <= sizes).all(), name


ON_THE_PAGE: dict[str, tuple[type[Operation], str]] = {
    "softplus": (Softplus, "yz"),
    "softmax": (Softmax, "yz"),
    "cross-entropy": (CrossEntropyLoss, "div y"),
    "batch normalization": (BatchNorm1d, "z x weight bias"),
    "the same, frozen": (FrozenBatchNorm1d, "z x weight bias"),
}


@pytest.mark.parametrize("words", ON_THE_PAGE)
def test_the_page_of_what_is_identical_has_the_budgets(words: str) -> None:
    cls, results = ON_THE_PAGE[words]
    page = (ROOT / "docs" / "identical.md").read_text()
    row = next(line for line in page.splitlines() if line.startswith(f"| {words} |"))
    told = row.split("|")[3].strip()
    names = results.split() if " " in results else list(results)
    assert told == "; ".join(f"{BUDGETS[cls, name].k:g}" for name in names)


def test_a_budget_is_that_of_the_layout_first_and_of_cuda_at_least() -> None:
    assert budget(Linear, "x", "cpu") == 0
    assert budget(Linear, "x", "cpu", "transposed") == 2
    assert budget(Linear, "weight", "cpu", "strided") == 2
    assert budget(Linear, "weight", "cpu", "expanded") == 2
    assert budget(Softmax, "y", "cpu") == 4
    assert budget(Softmax, "y", "cuda") == budget(Linear, "x", "cuda") == CUDA_BUDGET.k == 16
    assert NETWORK_BUDGET == 1.5  # as the page says


def test_a_ratio_is_counted_in_eps_of_the_largest_term() -> None:
    eps = torch.finfo(torch.float32).eps
    one, terms = torch.ones(2), torch.tensor([0.25, -4.0])
    assert ratio(one + 2 * eps, one, terms) == 0.5
    tiny = torch.finfo(torch.float32).tiny
    assert ratio(torch.tensor([tiny * eps]), torch.zeros(1), torch.zeros(1)) == 1


def test_the_terms_of_a_loss_are_those_of_its_gradient() -> None:
    y = torch.tensor([[0.25, 0.5], [0.0, 0.75]])
    size = torch.tensor([[1.0, 2.0], [3.0, 4.0]])
    assert loss_terms(LOSSES["mse"](), y, size).tolist() == [[1, 1.5], [2, 2.5]]
    eps = torch.finfo(torch.float32).eps
    of_probabilities = loss_terms(BinaryCrossEntropy(), y, size)
    assert torch.equal(of_probabilities, 1 / (2 * torch.tensor([[3 / 16, 1 / 4], [eps, 3 / 16]])))


def cases() -> Iterator[Case]:
    for name in Layer.named():
        yield from layer_cases(name, torch.float64, "cpu")


def test_no_result_of_a_layer_is_larger_than_its_terms() -> None:
    for case in cases():
        for name, by_hand, _, terms in of_case(case):
            assert by_hand.abs().max() <= terms.abs().max() * (1 + 1e-9), (case.operation, name)


def test_rounding_of_x_is_counted_in_sigma_too() -> None:
    x = random((7, 5), torch.float64, 1)
    rstd = 1 / x.std(dim=0, correction=0)
    x_hat = (x - x.mean(dim=0)) * rstd
    in_x_and_mu = (x.abs() + x.abs().mean(dim=0)) * rstd
    assert (_normalized(x.abs(), x_hat, rstd) > in_x_and_mu).all()


@pytest.mark.parametrize(
    ("sizes", "batch", "k"),
    [
        ((5, 4, 3), 7, 0.0),
        ((5, 4, 3), 1, 0.0),
        ((5, 1, 3), 7, 0.0),
        ((1, 4, 3), 1, NETWORK_BUDGET),
        ((5, 1, 3), 1, NETWORK_BUDGET),
        ((5, 4, 1), 1, 0.0),
    ],
)
def test_a_network_has_a_budget_where_an_input_is_its_own_transpose(
    sizes: tuple[int, ...], batch: int, k: float
) -> None:
    network = Network(NetworkSpec(sizes, ("tanh", "relu")))
    assert network_budget(network, LOSSES["mse"](), batch) == k


@pytest.mark.parametrize(("activation", "bends"), [("identity", 0), ("relu", 0), ("tanh", 1)])
def test_what_rounding_of_z_does_to_a_slope_counts_where_it_bends(
    activation: str, bends: int
) -> None:
    network = Network(NetworkSpec((5, 3), (activation,)), dtype=torch.float64)
    x, dy = random((7, 5), torch.float64, 1), random((7, 3), torch.float64, 2).abs()
    tape = network.forward(x)
    (w, b), f = network.parameters.values.values(), network.layers[0][1]
    z = x.abs() @ w.abs() + b.abs() + 1
    dz = f.backward(dy, tape.z[1], tape.y[1]).abs() + bends * dy * z / 4
    terms = gradient_terms(network, tape, dy)
    assert torch.equal(terms["w1"], x.abs().T @ dz)
    assert torch.equal(terms["b1"], dz.sum(dim=0))
    assert torch.equal(terms["x"], dz @ w.abs().T)
