"""The slides' own program ("A look in the code"), whole: it needs nothing else of this package.

    net = Network([784, 30, 10])
    net.SGD(training_data, 30, 10, 3.0, test_data=test_data)

The names are the slides'; the Python is today's, and a mini-batch is a matrix with a row for each
sample, (B, 784), where the slides go from sample to sample. w[i, j] joins unit i to unit j.
"""

from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor


class Network:
    """Fully connected sigmoid layers of these sizes, inputs first; w, b are drawn from N(0, 1)."""

    def __init__(self, sizes: Sequence[int], seed: int = 0) -> None:
        self.generator = torch.Generator().manual_seed(seed)
        self.num_layers = len(sizes)
        self.weights, self.biases = [], []
        for inputs, outputs in pairwise(sizes):
            self.weights.append(torch.randn(outputs, inputs, generator=self.generator).T)
            self.biases.append(torch.randn(outputs, generator=self.generator))

    def feedforward(self, a: Tensor) -> Tensor:
        """The output for the inputs a, (B, 784) -> (B, 10)."""
        for w, b in zip(self.weights, self.biases, strict=True):
            a = sigmoid(torch.addmm(b, a, w))  # sigmoid(a w + b)
        return a

    def SGD(  # noqa: N802
        self,
        training_data: Any,
        epochs: int,
        mini_batch_size: int,
        eta: float,
        test_data: Any = None,
    ) -> None:
        """Mini-batch stochastic gradient descent; after each epoch a line says how many are right.

        Data are pairs (x, y), each x of 784 numbers and y of 10, or in `test_data` y a label; or
        two tensors (n, 784), (n, 10).
        """
        x, y = matrices(training_data)
        for j in range(epochs):
            order = torch.randperm(len(x), generator=self.generator)
            for k in range(0, len(x), mini_batch_size):
                rows = order[k : k + mini_batch_size]
                self.update_mini_batch(x[rows], y[rows], eta)
            result = "complete"
            if test_data:
                result = f"{self.evaluate(test_data)} / {len(matrices(test_data)[0])}"
            print(f"Epoch {j}: {result}")  # noqa: T201

    def update_mini_batch(self, x: Tensor, y: Tensor, eta: float) -> None:
        """One step downhill: w <- w - eta dC/dw, b <- b - eta dC/db."""
        nabla_b, nabla_w = self.backprop(x, y)
        weights = zip(self.weights, nabla_w, strict=True)
        biases = zip(self.biases, nabla_b, strict=True)
        self.weights = [torch.sub(w, nw, alpha=eta) for w, nw in weights]
        self.biases = [torch.sub(b, nb, alpha=eta) for b, nb in biases]

    def backprop(self, x: Tensor, y: Tensor) -> tuple[list[Tensor], list[Tensor]]:
        """dC/db and dC/dw of each layer for the cost C = 1/2 |a - y|^2, the mini-batch's mean."""
        activation, activations, zs = x, [x], []
        for w, b in zip(self.weights, self.biases, strict=True):
            zs.append(torch.addmm(b, activation, w))  # z = a w + b
            activation = sigmoid(zs[-1])
            activations.append(activation)
        nabla_b, nabla_w = [], []
        da = self.cost_derivative(activations[-1], y) * (1 / len(x))
        for k in range(self.num_layers - 2, -1, -1):  # from the last layer to the first
            delta = sigmoid_prime(zs[k], da)  # dC/dz = dC/da sigmoid'(z)
            nabla_b.append(delta.sum(0))  # dC/db = delta
            nabla_w.append((delta.T @ activations[k]).T)  # dC/dw_ij = a_i delta_j
            if k > 0:
                da = delta @ self.weights[k].T  # dC/da_i = sum_j w_ij delta_j
        return nabla_b[::-1], nabla_w[::-1]

    def evaluate(self, test_data: Any) -> int:
        """How many inputs get the right answer: the unit with the largest output."""
        x, y = matrices(test_data)
        answers = self.feedforward(x).argmax(dim=1)
        return int((answers == (y if y.ndim == 1 else y.argmax(dim=1))).sum())

    def cost_derivative(self, output_activations: Tensor, y: Tensor) -> Tensor:
        """dC/da of a sample, a - y."""
        return output_activations - y


def sigmoid(z: Tensor) -> Tensor:
    """1 / (1 + e^-z)."""
    return torch.sigmoid(z)


def sigmoid_prime(z: Tensor, factor: Tensor | float = 1.0) -> Tensor:
    """s (1 - s) for s = sigmoid(z); times a factor, multiplied in torch's order."""
    s = sigmoid(z)
    return factor * (1 - s) * s


def matrices(data: Any) -> tuple[Tensor, Tensor]:
    """x (n, 784), and y (n, 10) or labels (n,)."""
    x, y = data if isinstance(data[0], Tensor) else map(_stacked, zip(*data, strict=True))
    return x, y


def _stacked(column: Iterable[Any]) -> Tensor:
    rows = torch.stack([torch.as_tensor(each).flatten() for each in column])
    return rows.squeeze(1) if rows.shape[1] == 1 else rows.float()
