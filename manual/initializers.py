"""Initial values of a layer's weights and biases (the lecture's outline, "Initialization").

Numbers are drawn on the CPU in the order and layout of torch.nn.init, into weight (O, I) and bias
(O,): on one machine the same seed gives the same values there and here, for the CPU and for a GPU.
Another instruction set (AVX2, none) draws others.
"""

import math
from abc import abstractmethod
from typing import final

from torch import Generator, Tensor

from manual.operation import Operation


class Initializer(Operation):
    """Draws the initial weight and bias of one layer."""

    @abstractmethod
    def __call__(self, weight: Tensor, bias: Tensor, generator: Generator) -> None:
        """Fill weight (O, I), then bias (O,), in place."""


@final
class Normal(Initializer, name="normal"):
    """N(0, 1) for weights and biases: the lecture's np.random.randn."""

    def __call__(self, weight: Tensor, bias: Tensor, generator: Generator) -> None:
        weight.normal_(generator=generator)
        bias.normal_(generator=generator)


@final
class ScaledNormal(Initializer, name="scaled-normal"):
    """N(0, 1/sqrt(I)), the standard deviation, for weights and N(0, 1) for biases: the later
    default of Nielsen's book.
    """

    def __call__(self, weight: Tensor, bias: Tensor, generator: Generator) -> None:
        weight.normal_(std=1 / math.sqrt(weight.shape[1]), generator=generator)
        bias.normal_(generator=generator)


@final
class XavierUniform(Initializer, name="xavier-uniform"):
    """U(-a, a) with variance 2 / (I + O) for weights, as sigmoid and tanh like it, and biases 0.
    Glorot and Bengio, 2010.
    """

    def __call__(self, weight: Tensor, bias: Tensor, generator: Generator) -> None:
        # U(-a, a) has the standard deviation a / sqrt(3)
        bound = math.sqrt(3) * math.sqrt(2 / sum(weight.shape))
        weight.uniform_(-bound, bound, generator=generator)
        bias.zero_()


@final
class XavierNormal(Initializer, name="xavier-normal"):
    """N(0, sqrt(2 / (I + O))) for weights and biases 0. Glorot and Bengio, 2010."""

    def __call__(self, weight: Tensor, bias: Tensor, generator: Generator) -> None:
        weight.normal_(std=math.sqrt(2 / sum(weight.shape)), generator=generator)
        bias.zero_()


@final
class KaimingUniform(Initializer, name="kaiming-uniform"):
    """U(-a, a) of variance 2 / I for weights, as ReLU likes it; biases 0. He and others, 2015."""

    def __call__(self, weight: Tensor, bias: Tensor, generator: Generator) -> None:
        bound = math.sqrt(3) * (math.sqrt(2) / math.sqrt(weight.shape[1]))
        weight.uniform_(-bound, bound, generator=generator)
        bias.zero_()


@final
class KaimingNormal(Initializer, name="kaiming-normal"):
    """N(0, sqrt(2 / I)) for weights and biases 0. He and others, 2015."""

    def __call__(self, weight: Tensor, bias: Tensor, generator: Generator) -> None:
        weight.normal_(std=math.sqrt(2) / math.sqrt(weight.shape[1]), generator=generator)
        bias.zero_()


@final
class Default(Initializer, name="default"):
    """nn.Linear's own: U(-1/sqrt(I), 1/sqrt(I)) for both. Torch takes the weights' bound from
    Kaiming He's with a = sqrt(5).
    """

    def __call__(self, weight: Tensor, bias: Tensor, generator: Generator) -> None:
        root = math.sqrt(weight.shape[1])
        bound = 1 / root
        rounded = math.sqrt(3) * (math.sqrt(2 / (1 + math.sqrt(5) ** 2)) / root)  # as torch does
        weight.uniform_(-rounded, rounded, generator=generator)
        bias.uniform_(-bound, bound, generator=generator)
