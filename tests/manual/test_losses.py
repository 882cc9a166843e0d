"""The losses against torch's: gradients equal to the last bit, values where the same kernels are
reached, and their edges.
"""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from manual.losses import (
    BinaryCrossEntropy,
    BinaryCrossEntropyOfLogits,
    CrossEntropyLoss,
    CrossEntropyOfProbabilities,
    HalfSquaredError,
    Loss,
    MSELoss,
    SquaredError,
)
from torch_ref.compare import compare
from torch_ref.twins import twin

DTYPES = [torch.float32, torch.float64]
EXACT = [SquaredError, CrossEntropyOfProbabilities, BinaryCrossEntropy, BinaryCrossEntropyOfLogits]
# Value against torch's, in eps of itself: largest seen over 600 random batches. Torch's kernels of
# binary cross-entropy take the logarithm of one number at a time, or its own exponential; torch.log
# and torch.exp many, and round differently.
VALUE = {
    SquaredError: 0,
    CrossEntropyOfProbabilities: 0,
    BinaryCrossEntropy: 2,
    BinaryCrossEntropyOfLogits: 2,
}


def batch(loss: Loss, seed: int, dtype: torch.dtype, scale: float) -> tuple[Tensor, Tensor]:
    """Outputs as this loss takes them, of a random shape, and targets that are labels or soft."""
    generator = torch.Generator().manual_seed(seed)
    rows, columns = (int(torch.randint(1, high, (), generator=generator)) for high in (131, 40))
    z = torch.randn(rows, columns, generator=generator, dtype=dtype) * scale
    y = torch.sigmoid(z) if loss.of_probabilities else z
    if seed % 2:
        return y, torch.rand(rows, columns, generator=generator, dtype=dtype)
    return y, loss.targets(torch.randint(0, columns, (rows,), generator=generator), columns, dtype)


@pytest.mark.parametrize("scale", [1, 30])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("cls", EXACT)
def test_gradient_has_the_bits_of_autograd(
    cls: type[Loss], dtype: torch.dtype, scale: float
) -> None:
    loss, reference = cls(), twin(cls())
    for seed in range(50):
        y, t = batch(loss, seed, dtype, scale)
        leaf = y.clone().requires_grad_()
        expected = reference(leaf, t)
        expected.backward()
        div, dy = loss(y, t)
        assert leaf.grad is not None
        assert torch.equal(dy, leaf.grad), compare(dy, leaf.grad)
        assert compare(div, expected.detach()).max_rel <= VALUE[cls] * torch.finfo(dtype).eps


@pytest.mark.parametrize("name", Loss.named())
def test_no_loss_is_0_and_not_minus_0(name: str) -> None:
    """Where every output is right and certain; printed, -0 reads as a mistake."""
    loss, labels = Loss.named()[name](), torch.arange(3)
    y = torch.eye(3) * 1e4 - 5e3 if loss.of_logits else torch.eye(3)
    div, _ = loss(y, loss.targets(labels, 3, y.dtype))
    assert str(div.item()) == "0.0"


@pytest.mark.parametrize("dtype", DTYPES)
def test_binary_cross_entropy_at_the_ends_is_torchs(dtype: torch.dtype) -> None:
    y, t = (
        torch.tensor([[0, 1, 0, 1, 0.5]], dtype=dtype),
        torch.tensor([[1, 0, 0, 1, 1]], dtype=dtype),
    )
    leaf = y.clone().requires_grad_()
    expected = nn.BCELoss(reduction="sum")(leaf, t)
    expected.backward()
    div, dy = BinaryCrossEntropy()(y, t)
    assert div == expected
    assert div > 200  # two logarithms of 0, each taken as -100
    assert leaf.grad is not None
    assert torch.equal(dy, leaf.grad)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("z", [0.0, 40.0, 1e4, -1e4])
def test_binary_cross_entropy_of_logits_is_finite(z: float, dtype: torch.dtype) -> None:
    for target in (0.0, 1.0):
        y, t = torch.full((1, 1), z, dtype=dtype), torch.full((1, 1), target, dtype=dtype)
        div, dy = BinaryCrossEntropyOfLogits()(y, t)
        wrong = z * (1 - 2 * target)  # how far z points away from the target
        assert div.item() == pytest.approx(max(wrong, 0) + math.log1p(math.exp(-abs(z))), rel=1e-6)
        assert dy.item() == torch.sigmoid(y).item() - target


@pytest.mark.parametrize("dtype", DTYPES)
def test_cross_entropy_of_probabilities_is_nllloss_of_log_o(dtype: torch.dtype) -> None:
    o = torch.softmax(torch.randn(9, 5, dtype=dtype, generator=torch.Generator().manual_seed(0)), 1)
    labels = torch.arange(9) % 5
    leaf = o.clone().requires_grad_()
    nn.NLLLoss()(leaf.log(), labels).backward()
    loss = CrossEntropyOfProbabilities()
    _, dy = loss(o, loss.targets(labels, 5, dtype))
    assert leaf.grad is not None
    assert torch.equal(dy + 0, leaf.grad)  # + 0: -t/o is -0 where t is 0


def test_cross_entropy_of_probabilities_stays_finite_at_zero() -> None:
    o = torch.tensor([[0.0, 1.0]])
    for t in (torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, 1.0]])):
        div, dy = CrossEntropyOfProbabilities()(o, t)
        assert div.isfinite()
        assert dy.isfinite().all()


@pytest.mark.parametrize(
    ("y", "t", "printed"), [((0.4, 0.4, 0.2), (0, 1, 0), 0.92), ((0.1, 0.2, 0.7), (0, 0, 1), 0.36)]
)
def test_slide_cross_entropy_of_one_sample(
    y: tuple[float, ...], t: tuple[float, ...], printed: float
) -> None:
    rows = (torch.tensor([row], dtype=torch.float64) for row in (y, t))
    div, dy = CrossEntropyOfProbabilities()(*rows)
    assert div.item() == pytest.approx(printed, abs=0.005)
    assert dy.flatten().tolist() == pytest.approx(
        [-target / output for target, output in zip(t, y, strict=True)]
    )


def test_through_softmax_both_cross_entropies_agree() -> None:
    z = torch.randn(7, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    labels = torch.arange(7) % 4
    o = torch.softmax(z, 1)
    loss = CrossEntropyOfProbabilities()
    div, do = loss(o, loss.targets(labels, 4, z.dtype))
    together, dz = CrossEntropyLoss()(z, labels)
    assert div.item() == pytest.approx(together.item(), rel=1e-14)
    through = o * (do - (do * o).sum(1, keepdim=True))
    assert torch.allclose(through, dz, rtol=0, atol=4 * torch.finfo(z.dtype).eps / len(z))


def test_through_sigmoid_both_binary_cross_entropies_agree() -> None:
    z = torch.randn(7, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    t = torch.rand(7, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    y = torch.sigmoid(z)
    div, dy = BinaryCrossEntropy()(y, t)
    together, dz = BinaryCrossEntropyOfLogits()(z, t)
    assert div.item() == pytest.approx(together.item(), rel=1e-14)
    assert torch.allclose(dy * (1 - y) * y, dz, rtol=0, atol=4 * torch.finfo(z.dtype).eps / len(z))


# lr of the first loss that makes the lecture's eta 3.0 with Div = 1/2 ||y - t||^2 over 10 outputs
@pytest.mark.parametrize(
    ("loss", "lr"), [(HalfSquaredError(), 3.0), (SquaredError(), 1.5), (MSELoss(), 15.0)]
)
@given(seed=st.integers(0, 2**32), rows=st.integers(1, 64))
def test_conventions_differ_by_a_factor_that_a_learning_rate_carries(
    loss: Loss, lr: float, seed: int, rows: int
) -> None:
    generator = torch.Generator().manual_seed(seed)
    y, t = (torch.rand(rows, 10, dtype=torch.float64, generator=generator) for _ in range(2))
    _, lectures = HalfSquaredError()(y, t)
    _, dy = loss(y, t)
    assert torch.allclose(lr * dy, 3.0 * lectures, rtol=1e-15, atol=0)


@pytest.mark.parametrize("cls", EXACT)
@pytest.mark.parametrize("shapes", [((3, 1), (3,)), ((2, 3), (3, 2)), ((0, 3), (0, 3))])
def test_shapes_that_differ_or_are_empty_are_refused(
    cls: type[Loss], shapes: tuple[tuple[int, ...], ...]
) -> None:
    y, t = (torch.full(shape, 0.5) for shape in shapes)
    with pytest.raises(ValueError, match="must have one shape"):
        cls()(y, t)
