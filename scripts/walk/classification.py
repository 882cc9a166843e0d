"""The lecture's numbers outside its worked example, second part: softmax, cross-entropy, and both
together.

By hand: manual/'s classes, or the slide's formula where that is the point. By autograd: torch.nn
and torch.autograd.
"""

from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.autograd import grad

from manual.activations import Softmax
from manual.losses import CrossEntropyLoss
from scripts.walk.lecture import SLIPS
from scripts.walk.notation import activation, factor, number, product, total
from scripts.walk.record import Row, Section, Step, steps
from scripts.walk.refresher import row
from torch_ref.twins import twin


def sections() -> tuple[Section, ...]:
    """The sections in the order of the lecture."""
    return (_softmax(), _cross_entropy(), _together())


def _softmax() -> Section:
    f, found = Softmax(), []
    for vector, printed in (((1.2, 0.3), ("0.71", "0.29")), ((-0.62, 8.12, 2.53), ())):
        z, numbers = row(*vector), [factor(value) for value in vector]
        o, reference = f.forward(z)[0].tolist(), twin(f)(z)[0].tolist()
        for j in range(len(vector)):
            name, formula = f"softmax({_listed(vector)})[{j + 1}]", activation(f.name, j, numbers)
            found.append(
                Step(
                    name,
                    rf"\sigma_{{{j + 1}}}",
                    o[j],
                    reference[j],
                    formula,
                    printed=printed[j : j + 1],
                )
            )
    rules = (r"\sigma_{i} = \frac{e^{z_{i}}}{\sum_{j} e^{z_{j}}}",)
    return Section(
        "Softmax of (1.2, 0.3) and (-0.62, 8.12, 2.53)", "Softmax", tuple(found), rules, (SLIPS[7],)
    )


def _cross_entropy() -> Section:
    found = []
    for vector, label, printed in (((0.4, 0.4, 0.2), 1, "0.92"), ((0.1, 0.2, 0.7), 2, "0.36")):
        y, t = row(*vector), torch.eye(len(vector), dtype=torch.float64)[label]
        div = -(t * y.log()).sum().item()
        reference = nn.NLLLoss()(y.log(), torch.tensor([label])).item()
        numbers = total(
            [rf"-{number(t[j].item())} \cdot \ln {value}" for j, value in enumerate(vector)]
        )
        left, name = f"L({_listed(vector)})", f"cross-entropy({_listed(vector)})"
        found.append(
            Step(name, left, div, reference, r"-\sum_{j} t_{j}~\ln y_{j}", numbers, (printed,))
        )
    rules = (
        r"L = -\frac{1}{N} \sum_{i} \sum_{j} t_{j}~\log p_{j}",
        r"\text{one sample: }L = -\sum_{j} t_{j}~\log p_{j}",
    )
    return Section(
        "Cross-entropy", "Loss Functions and total Error", tuple(found), rules, (SLIPS[6],)
    )


def _together() -> Section:
    """Three hidden units h, two classes; weights of our own that give the softmax slide's logits y
    = (1.2, 0.3).
    """
    h, label, t = row(1.0, 0.5, 2.0), torch.tensor([0]), row(1.0, 0.0)
    w = torch.tensor([[0.6, 0.3], [0.8, -0.4], [0.1, 0.1]], dtype=torch.float64)
    given = [
        rf"w_{{{i + 1}{j + 1}}} = {number(w[i, j].item())}" for i in range(3) for j in range(2)
    ]
    rules = (
        r"h = (1, 0.5, 2) \quad t = (1, 0)",
        r" \quad ".join(given),
        r"\frac{\partial L}{\partial w_{21}} = h_{2}~(o_{1} - t_{1})",
    )
    rows = _apart_and_together(_by_hand(h, w, t, label), _by_autograd(h, w, t, label), h, w, t)
    title = "Softmax and cross-entropy, apart and together"
    return Section(
        title, "Backpropagation with Softmax / Cross Entropy", steps(rows), rules, (SLIPS[10],)
    )


def softmax_jacobian(o: Tensor) -> Tensor:
    """do_i/dz_j, (B, C) -> (B, C, C): o_i (1 - o_i) on the diagonal, -o_i o_j beside it."""
    return torch.diag_embed(o) - o.unsqueeze(2) * o.unsqueeze(1)


def _by_hand(h: Tensor, w: Tensor, t: Tensor, label: Tensor) -> dict[str, Tensor]:
    """y, o, div (), do = dL/do, jacobian do_i/dy_j, and dy and dw, by the Jacobian and by manual/'s
    fused loss.
    """
    f, y = Softmax(), h @ w
    o = f.forward(y)
    do, jacobian = -t / o, softmax_jacobian(o)[0]
    div, fused = CrossEntropyLoss()(y, label)
    apart = do @ jacobian
    values = {"y": y[0], "o": o[0], "div": div, "do": do[0], "jacobian": jacobian}
    return values | {
        "dy": apart[0],
        "fused dy": fused[0],
        "dw": h.T @ apart,
        "fused dw": h.T @ fused,
    }


def _by_autograd(h: Tensor, w: Tensor, t: Tensor, label: Tensor) -> dict[str, Tensor]:
    """The same values as `_by_hand`, by autograd."""
    leaf = w.clone().requires_grad_()
    y = h @ leaf
    o: Tensor = twin(Softmax())(y)
    apart, fused = -(t * o.log()).sum(), twin(CrossEntropyLoss())(y, label)
    (do,) = grad(apart, o, retain_graph=True)
    jacobian = torch.stack([grad(each, y, retain_graph=True)[0][0] for each in o[0]])
    values = {"y": y[0], "o": o[0], "div": fused, "do": do[0], "jacobian": jacobian}
    for prefix, loss in (("", apart), ("fused ", fused)):
        dy, dw = grad(loss, (y, leaf), retain_graph=True)
        values |= {f"{prefix}dy": dy[0], f"{prefix}dw": dw}
    return values


def _apart_and_together(
    hand: dict[str, Tensor], autograd: dict[str, Tensor], h: Tensor, w: Tensor, t: Tensor
) -> Iterator[Row]:
    rows = hand["o"], t[0], h[0]
    O, T, H = ([number(value) for value in row.tolist()] for row in rows)  # noqa: E741
    do, jacobian = hand["do"].tolist(), hand["jacobian"].tolist()

    def found(name: str, key: str, left: str, formula: str, *index: int, numbers: str) -> Row:
        return (
            f"softmax + cross-entropy {name}",
            left,
            hand[key][index],
            autograd[key][index],
            formula,
            numbers,
        )

    for j in (0, 1):
        formula = total([f"w_{{{i + 1}{j + 1}}}~h_{{{i + 1}}}" for i in range(3)])
        numbers = total([product(w[i, j].item(), h[0, i].item()) for i in range(3)])
        yield found(f"y[{j + 1}]", "y", f"y_{{{j + 1}}}", formula, j, numbers=numbers)
    for j in (0, 1):
        y = [number(value) for value in hand["y"].tolist()]
        formula, numbers = activation("softmax", j, ["y_{1}", "y_{2}"]), activation("softmax", j, y)
        yield found(f"o[{j + 1}]", "o", f"o_{{{j + 1}}}", formula, j, numbers=numbers)
    numbers = rf"-{T[0]} \cdot \log {O[0]} - {T[1]} \cdot \log {O[1]}"
    yield found("L", "div", "L", r"-t_{1}~\log o_{1} - t_{2}~\log o_{2}", numbers=numbers)
    for j in (0, 1):
        formula, numbers = (
            rf"-\frac{{t_{{{j + 1}}}}}{{o_{{{j + 1}}}}}",
            rf"-\frac{{{T[j]}}}{{{O[j]}}}",
        )
        yield found(
            f"do[{j + 1}]", "do", _slope("L", f"o_{{{j + 1}}}"), formula, j, numbers=numbers
        )
    numbers = rf"{O[0]} \cdot (1 - {O[0]})"
    yield found(
        "do1/dy1", "jacobian", _slope("o_{1}", "y_{1}"), "o_{1}~(1 - o_{1})", 0, 0, numbers=numbers
    )
    yield found(
        "do2/dy1",
        "jacobian",
        _slope("o_{2}", "y_{1}"),
        "-o_{2}~o_{1}",
        1,
        0,
        numbers=rf"-{O[1]} \cdot {O[0]}",
    )
    for j in (0, 1):
        y_j, left = f"y_{{{j + 1}}}", _slope("L", f"y_{{{j + 1}}}")
        formula = total([f"{_slope('L', o)}~{_slope(o, y_j)}" for o in ("o_{1}", "o_{2}")])
        numbers = total([product(do[i], jacobian[i][j]) for i in (0, 1)])
        yield found(f"dy[{j + 1}] by the Jacobian", "dy", left, formula, j, numbers=numbers)
        formula, numbers = f"o_{{{j + 1}}} - t_{{{j + 1}}}", f"{O[j]} - {T[j]}"
        yield found(f"dy[{j + 1}] together", "fused dy", left, formula, j, numbers=numbers)
    formula = total([f"{_slope('L', o)}~{_slope(o, 'y_{1}')}~h_{{2}}" for o in ("o_{1}", "o_{2}")])
    numbers = total([rf"{product(do[i], jacobian[i][0])} \cdot {H[1]}" for i in (0, 1)])
    yield found(
        "dw[2,1] by the Jacobian", "dw", _slope("L", "w_{21}"), formula, 1, 0, numbers=numbers
    )
    for i in range(3):
        for j in (0, 1):
            formula, numbers = (
                f"h_{{{i + 1}}}~(o_{{{j + 1}}} - t_{{{j + 1}}})",
                rf"{H[i]} \cdot ({O[j]} - {T[j]})",
            )
            left = _slope("L", f"w_{{{i + 1}{j + 1}}}")
            yield found(
                f"dw[{i + 1},{j + 1}] together", "fused dw", left, formula, i, j, numbers=numbers
            )


def _slope(of: str, by: str) -> str:
    return rf"\frac{{\partial {of}}}{{\partial {by}}}"


def _listed(vector: tuple[float, ...]) -> str:
    return ", ".join(map(str, vector))
