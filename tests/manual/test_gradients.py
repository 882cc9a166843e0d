"""Each operation by itself against autograd, finite differences and gradcheck. Shapes: B batch, C
classes or outputs.
"""

import dataclasses
from collections.abc import Callable, Iterator
from typing import Any, final

import pytest
import torch
from torch import Tensor

from manual.activations import Activation, Softmax
from manual.initializers import Initializer
from manual.layers import Layer, Saved
from manual.losses import Loss
from manual.network import Network
from manual.operation import Operation
from manual.optimizers import Optimizer
from scripts.walk.classification import softmax_jacobian
from tests.cases import (
    ACTIVATIONS,
    LAYERS,
    LOSSES,
    assert_within,
    both_dtypes,
    each_device,
    one_and_two_threads,
)
from torch_ref.budgets import budget
from torch_ref.cases import (
    LAYER_CASES,
    LAYOUTS,
    LINEAR_SIZES,
    OPTIMIZER_FIELDS,
    SHAPES,
    Case,
    activation_cases,
    layer_cases,
    loss_cases,
    random,
    spec_of,
)
from torch_ref.results import of_case, of_optimizer
from torch_ref.twins import twin, twin_initializer, twin_optimizer

each_layout = pytest.mark.parametrize("layout", LAYOUTS)


def check_against_autograd(case: Case) -> None:
    """The output, and the gradient of each input for a random dDiv/d(output), which no pass may
    change.
    """
    before = {name: x.clone() for name, x in case.inputs.items()}
    results = of_case(case)  # the output is looked at after backward, which may not overwrite it
    what = f"{type(case.operation).__name__} of {[tuple(x.shape) for x in case.inputs.values()]}:"
    for name, by_hand, in_torch, terms in results:
        k = budget(type(case.operation), name, by_hand.device.type, case.layout)
        assert_within(by_hand, in_torch, k, terms, f"{what} {name}")
    for name, x in case.inputs.items():
        assert torch.equal(x, before[name]), f"{what} {name} was overwritten"


def check_against_differences(case: Case) -> None:
    """float64, along a random direction v: <gradient, v> = (D(x + h v) - D(x - h v)) / 2h, with D =
    <upstream, output>.
    """
    h = 1e-6
    directions = {
        name: random(tuple(x.shape), x.dtype, 3, x.device.type) for name, x in case.inputs.items()
    }
    output, pullback = case.by_hand(case.inputs)
    upstream = random(tuple(output.shape), output.dtype, 2, output.device.type)
    gradients = {name: gradient.clone() for name, gradient in pullback(upstream).items()}

    def div(step: float) -> Tensor:
        output, _ = case.by_hand(
            {name: x + step * directions[name] for name, x in case.inputs.items()}
        )
        return (upstream * output).sum()

    products = [gradient * directions[name] for name, gradient in gradients.items()]
    slope = torch.stack([product.sum() for product in products]).sum()
    size = (
        torch.stack([product.abs().sum() for product in products]).sum()
        + (upstream * output).abs().sum()
    )
    # the third derivative's share is h^2, that of rounding eps / h: 1e-12 and 1e-10 of the terms
    assert abs((div(h) - div(-h)) / (2 * h) - slope) <= 1e-8 * size, type(case.operation).__name__


class ByHand(torch.autograd.Function):
    """A case as torch's own checker wants it: a function with a backward, ours."""

    @staticmethod
    def forward(ctx: Any, case: Case, *inputs: Tensor) -> Tensor:
        output, ctx.pullback = case.by_hand(dict(zip(case.inputs, inputs, strict=True)))
        return output

    @staticmethod
    def backward(ctx: Any, *upstream: Tensor) -> Any:
        return None, *ctx.pullback(upstream[0]).values()


def check_by_gradcheck(case: Case) -> None:
    """torch.autograd.gradcheck of the whole Jacobian."""
    inputs = tuple(x.clone().requires_grad_() for x in case.inputs.values())
    assert torch.autograd.gradcheck(
        lambda *inputs: ByHand.apply(case, *inputs), inputs, atol=1e-7, rtol=1e-6
    )


@one_and_two_threads
@each_layout
@each_device
@both_dtypes
@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activation_against_autograd(
    name: str, dtype: torch.dtype, device: str, layout: str
) -> None:
    for case in activation_cases(name, dtype, device, layout):
        check_against_autograd(case)


@one_and_two_threads
@each_layout
@each_device
@both_dtypes
@pytest.mark.parametrize("name", LOSSES)
def test_loss_against_autograd(name: str, dtype: torch.dtype, device: str, layout: str) -> None:
    for case in loss_cases(name, dtype, device, layout):
        check_against_autograd(case)


@one_and_two_threads
@each_layout
@each_device
@both_dtypes
@pytest.mark.parametrize("name", LAYERS)
def test_layer_against_autograd(name: str, dtype: torch.dtype, device: str, layout: str) -> None:
    for case in layer_cases(name, dtype, device, layout):
        check_against_autograd(case)


@each_device
@both_dtypes
@pytest.mark.parametrize("decay", ["none", "weights", "all"])
@pytest.mark.parametrize(("cls", "fields"), OPTIMIZER_FIELDS)
def test_optimizer_against_torch(
    cls: type[Optimizer], fields: dict[str, Any], decay: str, dtype: torch.dtype, device: str
) -> None:
    """20 updates from random gradients, of which some are 0."""
    network = Network(spec_of((6, 5, 1), "sigmoid"), device=device, dtype=dtype)
    if decay != "none":
        fields = fields | {
            "weight_decay": 0.1,
            "weights": network.parameters.weights() if decay == "weights" else None,
        }
    optimizer, grad = cls(**fields), network.parameters.grad
    for name, by_hand, in_torch, terms in of_optimizer(optimizer, network, updates=20):
        k = 20 * budget(cls, "theta", device)
        assert_within(by_hand, in_torch, k, terms, name)
    kept = grad.clone()
    optimizer.step(network.parameters.theta, grad)
    assert torch.equal(grad, kept), "the gradient stays as it is"


def cases_of(family: type[Operation], name: str, device: str) -> Iterator[Case]:
    """In float64, where differences tell."""
    if family is Activation:
        return activation_cases(name, torch.float64, device)
    if family is Loss:
        return loss_cases(name, torch.float64, device, scale=1)
    return layer_cases(name, torch.float64, device)


each_operation = pytest.mark.parametrize(
    ("family", "name"),
    [(family, name) for family in (Activation, Loss, Layer) for name in family.named()],
    ids=lambda value: value if isinstance(value, str) else value.__name__,
)


@each_device
@each_operation
def test_operation_against_differences(family: type[Operation], name: str, device: str) -> None:
    for case in cases_of(family, name, device):
        check_against_differences(case)


@each_device
@each_operation
def test_operation_by_gradcheck(family: type[Operation], name: str, device: str) -> None:
    for case in cases_of(family, name, device):
        if sum(x.numel() for x in case.inputs.values()) <= 100:
            check_by_gradcheck(case)


@each_device
@both_dtypes
@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activation_changes_nothing_it_is_given(name: str, dtype: torch.dtype, device: str) -> None:
    f = ACTIVATIONS[name]()
    z, dy = random((7, 5), dtype, 1, device), random((7, 5), dtype, 2, device)
    y = f.forward(z)
    given = [tensor.clone() for tensor in (dy, z, y)]
    f.backward(dy, z, y)
    assert all(
        torch.equal(tensor, before) for tensor, before in zip((dy, z, y), given, strict=True)
    )
    assert torch.equal(z, random((7, 5), dtype, 1, device))


@each_device
@both_dtypes
def test_softmax_jacobian(dtype: torch.dtype, device: str) -> None:
    """o_i (1 - o_i) and -o_i o_j, against autograd's Jacobian and against the backward pass that
    never forms it.
    """
    f = Softmax()
    z, dy = random((4, 5), dtype, 1, device), random((4, 5), dtype, 2, device)
    y, k = f.forward(z), budget(Softmax, "z", device)
    jacobian = softmax_jacobian(y)
    if device == "cpu":
        assert torch.equal(jacobian[2, 1, 1], y[2, 1] - y[2, 1] * y[2, 1])
        assert torch.equal(jacobian[2, 1, 3], -y[2, 1] * y[2, 3])
    for row in range(4):
        expected = torch.autograd.functional.jacobian(lambda v: torch.softmax(v, dim=0), z[row])
        assert_within(jacobian[row], expected, k, y)
    assert_within(f.backward(dy, z, y), torch.einsum("bij,bi->bj", jacobian, dy), k, dy)


def check_every_class_has_its_rows() -> None:
    """LookupError for a class without a twin, AssertionError for one without a row where the class
    alone doesn't say enough.
    """
    for activation in Activation.named().values():
        twin(activation())
    for loss in Loss.named().values():
        twin(loss())
    for initializer in Initializer.named().values():
        twin_initializer(initializer(), torch.nn.Linear(3, 2), torch.Generator())
    assert set(LAYER_CASES) == set(Layer.named().values()), "each layer has a row in LAYER_CASES"
    assert {cls for cls, _ in OPTIMIZER_FIELDS} == set(Optimizer.named().values()), (
        "each optimizer one in OPTIMIZER_FIELDS"
    )
    for cls, fields in OPTIMIZER_FIELDS:
        twin_optimizer(cls(**fields), [torch.nn.Parameter(torch.zeros(1))])
        with_value = {name for other, fields in OPTIMIZER_FIELDS if other is cls for name in fields}
        own = {field.name for field in dataclasses.fields(cls) if field.init} - {
            "weight_decay",
            "weights",
        }
        assert own <= with_value, f"each field of {cls.__name__} has a value in OPTIMIZER_FIELDS"


def test_every_class_has_its_rows() -> None:
    check_every_class_has_its_rows()


def new_activation() -> type[Operation]:
    @final
    class Cube(Activation):
        name = "cube"

        def forward(self, z: Tensor) -> Tensor:
            return z**3

        def backward(self, dy: Tensor, z: Tensor, y: Tensor) -> Tensor:
            return dy * 3 * z * z

    return Cube


def new_loss() -> type[Operation]:
    @final
    class Agreement(Loss):
        name = "agreement"

        def __call__(self, y: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
            return -(y * t).sum(), -t

    return Agreement


def new_layer() -> type[Operation]:
    @final
    class Doubling(Layer):
        name = "doubling"

        def forward(self, x: Tensor) -> tuple[Tensor, Saved]:
            return x * 2, ()

        def backward(self, dz: Tensor, saved: Saved) -> None:
            """It has no parameters."""

        def input_gradient(self, dz: Tensor, saved: Saved) -> Tensor:
            return dz * 2

    return Doubling


def new_optimizer() -> type[Operation]:
    @final
    @dataclasses.dataclass(eq=False)
    class SignDescent(Optimizer):
        name = "sign-descent"

        def step(self, theta: Tensor, grad: Tensor) -> None:
            theta.add_(grad.sign(), alpha=-self.lr)

    return SignDescent


def new_initializer() -> type[Operation]:
    @final
    class Zeros(Initializer):
        name = "zeros"

        def __call__(self, weight: Tensor, bias: Tensor, generator: torch.Generator) -> None:
            weight.zero_(), bias.zero_()

    return Zeros


@pytest.mark.parametrize(
    "define", [new_activation, new_loss, new_layer, new_optimizer, new_initializer]
)
def test_a_new_class_without_rows_is_noticed(define: Callable[[], type[Operation]]) -> None:
    new = define()
    with pytest.raises((LookupError, AssertionError)):
        check_every_class_has_its_rows()
    del new._classes[new.name]
    check_every_class_has_its_rows()


def test_a_batch_and_a_width_of_one_are_tried() -> None:
    """Where a mean over one, or a sum over one, hides what is summed over."""
    for sizes in (SHAPES, LINEAR_SIZES):
        assert {(one == 1, other == 1) for one, other in sizes} == {
            (True, True), (True, False), (False, True), (False, False),
        }  # fmt: skip
