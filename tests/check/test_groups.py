"""Which axes have one size, by how much each is to grow, and the points of other sizes, as they
stand in groups.txt.

`python -m tests.check.test_groups` writes that file anew; read what has changed in it.
"""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F  # noqa: N812 - the field's name
from torch import Tensor

from tests.sheet import Sheet
from torch_ref.evidence import sizes as module
from torch_ref.evidence.points import Domain
from torch_ref.evidence.sizes import Axis, Sizes
from torch_ref.forms.arguments import Arguments
from torch_ref.forms.binding import Plan
from torch_ref.forms.forms import Functions
from torch_ref.forms.subject import Subject

Given = tuple[Callable[..., Tensor], dict[str, Tensor], set[str]]


def a(*shape: int) -> Tensor:
    return torch.linspace(-1, 2, torch.Size(shape).numel(), dtype=torch.float64).reshape(shape)


LABELS, EYE = torch.tensor([0, 2, 1, 2]), torch.eye(3, dtype=torch.float64)
TURN = torch.tensor([[0.6, -0.8], [0.8, 0.6]], dtype=torch.float64)


def refuses(size: int) -> Callable[[Tensor], Tensor]:
    """Of so many columns alone."""

    def forward(x: Tensor) -> Tensor:
        assert x.shape[1] == size
        return x * 2

    return forward


GIVEN: dict[str, Given] = {
    "elementwise": (torch.sin, {"x": a(4, 3)}, set()),
    "two of one shape": (torch.mul, {"x": a(4, 3), "w": a(4, 3)}, set()),
    "broadcast": (torch.mul, {"x": a(4, 3), "w": a(3)}, set()),
    "product": (torch.matmul, {"x": a(4, 3), "w": a(3, 2)}, set()),
    "layer": (lambda x, w, b: x @ w + b, {"x": a(4, 3), "w": a(3, 2), "b": a(2)}, set()),
    "square layer": (lambda x, w, b: x @ w + b, {"x": a(3, 3), "w": a(3, 3), "b": a(3)}, set()),
    "columns as samples": (lambda w, x: w @ x, {"w": a(2, 3), "x": a(3, 4)}, set()),
    "cross-entropy": (F.cross_entropy, {"y": a(4, 3), "t": LABELS}, set()),
    "columns of logits": (lambda y, t: F.cross_entropy(y.T, t), {"y": a(3, 4), "t": LABELS}, set()),
    "targets": (lambda y, t: ((y - t) ** 2).mean(), {"y": a(4, 3), "t": a(4, 3)}, {"t"}),
    "one-hot targets": (lambda y, t: (y * t).sum(), {"y": a(4, 3), "t": EYE[[0, 2, 1, 2]]}, {"t"}),
    "attention": (lambda q, k: (q @ k.T).softmax(1) @ k, {"q": a(4, 3), "k": a(5, 3)}, set()),
    "square attention": (lambda q, k: (q @ k.T).exp() @ k, {"q": a(3, 3), "k": a(3, 3)}, set()),
    "images": (lambda x: x.mean((2, 3)), {"x": a(2, 3, 4, 4)}, set()),
    "windows": (lambda x, k: F.conv1d(x[:, None], k[None, None]), {"x": a(2, 6), "k": a(3)}, set()),
    "a fixed number": (lambda x: x.reshape(2, 6), {"x": a(4, 3)}, set()),
    "a fixed number of columns": (refuses(3), {"x": a(4, 3)}, set()),
    "one row": (torch.sin, {"x": a(1, 3)}, set()),
    "numbers": (lambda x, s: x * s, {"x": a(3), "s": a(1)[0]}, set()),
    "a permutation": (lambda x, i: x[i], {"x": a(4, 3), "i": torch.tensor([2, 0, 3, 1])}, set()),
    "indices": (lambda x, i: x[i], {"x": a(4, 3), "i": torch.tensor([2, 0, 2])}, set()),
    "a rotation": (lambda x, r: x @ r, {"x": a(3, 2), "r": TURN}, set()),
    "a rotation of data": (lambda x, r: x @ r, {"x": a(3, 2), "r": TURN}, {"r"}),
    "a loss of all": (lambda x: (x**2).sum(), {"x": a(4)}, set()),
    "three of one size": (lambda x, y, z: x * y @ z, {"x": a(3), "y": a(3), "z": a(3)}, set()),
    "one entry at other sizes": (lambda x: x[:, : 4 - len(x)], {"x": a(3, 2)}, set()),
    "nan at other sizes": (lambda x: x if len(x) == 3 else x * torch.nan, {"x": a(3, 2)}, set()),
    "another output": (lambda x: x if len(x) == 3 else x.sum(), {"x": a(3, 2)}, set()),
}  # fmt: skip


def sizes_of(name: str) -> Sizes:
    forward, inputs, data = GIVEN[name]
    arguments = Arguments.of(list(inputs), list(inputs.values()))
    subject = Subject(Functions(forward, forward, arguments, Plan()))
    return Sizes(subject, subject.given, data, {"x": Domain(0, 1)} if name == "images" else {})


def plain(group: frozenset[Axis]) -> str:
    return "+".join(f"{name}{axis}" for name, axis in sorted(group))


def axes(name: str) -> list[str]:
    sizes = sizes_of(name)
    found = sizes.groups()
    free, squares = list(found.free), sizes.squares(list(found.free))
    by = sizes.apart(free)
    grown = sizes.point(free, by) if free else {}
    return [
        f"free {' '.join(map(plain, free)) or 'none'}; samples along {plain(found.sample)}",
        f"squares {' '.join(map(plain, squares)) or 'none'}; apart by {by}",
        "; ".join(f"{n} {tuple(x.shape)} {_ends(x)}" for n, x in grown.items()) or "no others",
    ]


def _ends(x: Tensor) -> str:
    numbers = x.double().reshape(-1).tolist()
    return f"from {numbers[0] + 0.0:.3g} to {numbers[-1] + 0.0:.3g}"


SHEET = Sheet(Path(__file__).with_name("groups.txt"), GIVEN, axes)


@pytest.mark.parametrize("name", GIVEN)
def test_groups_are_those_of_the_sheet(name: str) -> None:
    assert axes(name) == SHEET.parts()[name]


@pytest.mark.parametrize(("name", "limit"), [("TRIES", 0), ("SECONDS", -1.0)])
def test_no_sizes_are_free_beyond_the_limits(
    name: str, limit: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, name, limit)
    assert sizes_of("layer").groups().free == ()


if __name__ == "__main__":
    SHEET.write()
