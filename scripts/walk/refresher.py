"""The lecture's numbers outside its worked example, first part: the chain rule, and activations.

By hand: manual/'s classes, or the slide's formula where that is the point. By autograd: torch.nn
and torch.autograd.
"""

import torch
from torch import Tensor
from torch.autograd import grad

from manual.activations import ReLU, Sigmoid, Softplus, Tanh
from scripts.walk.lecture import SLIPS
from scripts.walk.notation import (
    ACTIVATIONS,
    activation,
    activation_rule,
    dotted,
    factor,
    fill,
    number,
    product,
    total,
)
from scripts.walk.record import Section, Step, steps
from torch_ref.twins import twin


def sections() -> tuple[Section, ...]:
    """The sections in the order of the lecture."""
    return (_chain_rule(), _activations(), _sigmoid_forms())


def row(*values: float) -> Tensor:
    """A batch of one (1, C)."""
    return torch.tensor([values], dtype=torch.float64)


def _chain_rule() -> Section:
    """y = f(g_1(x), g_2(x)) = tanh(x) sigmoid(x): small enough to write out, and x acts through two
    ways.
    """
    x, dx, tanh, sigmoid = row(0.5), row(0.01), Tanh(), Sigmoid()
    g1, g2 = tanh.forward(x), sigmoid.forward(x)
    y = g1 * g2
    slope1, slope2 = (f.backward(torch.ones_like(x), x, g) for f, g in ((tanh, g1), (sigmoid, g2)))
    slope = g2 * slope1 + g1 * slope2
    moved1, moved2 = tanh.forward(x + dx), sigmoid.forward(x + dx)
    delta1, delta2 = moved1 - g1, moved2 - g2

    leaf = x.clone().requires_grad_()
    h1, h2 = twin(tanh)(leaf), twin(sigmoid)(leaf)
    u = h1 * h2
    (t1, t2, t) = grad(u, (h1, h2, leaf), retain_graph=True)
    (s1,), (s2,) = grad(h1, leaf, retain_graph=True), grad(h2, leaf)
    k1, k2 = twin(tanh)(x + dx), twin(sigmoid)(x + dx)

    distributed = (
        r"\frac{\partial y}{\partial g_{1}}~\frac{dg_{1}}{dx} + \frac{\partial y}{\partial "
        r"g_{2}}~\frac{dg_{2}}{dx}"
    )
    rows = (
        ("g1", "g_{1}", g1, h1, r"\tanh(x)", r"\tanh(0.5)"),
        ("g2", "g_{2}", g2, h2, r"\sigma(x)", r"\sigma(0.5)"),
        ("y", "y", y, u, "g_{1}~g_{2}", _times(g1, g2)),
        ("dy/dg1", r"\frac{\partial y}{\partial g_{1}}", g2, t1, "g_{2}", ""),
        ("dy/dg2", r"\frac{\partial y}{\partial g_{2}}", g1, t2, "g_{1}", ""),
        ("dg1/dx", r"\frac{dg_{1}}{dx}", slope1, s1, "1 - (g_{1})^{2}", f"1 - ({_in(g1)})^{{2}}"),
        (
            "dg2/dx",
            r"\frac{dg_{2}}{dx}",
            slope2,
            s2,
            "g_{2}~(1 - g_{2})",
            rf"{_in(g2)} \cdot (1 - {_in(g2)})",
        ),
        (
            "dy/dx",
            r"\frac{dy}{dx}",
            slope,
            t,
            distributed,
            total([_times(g2, slope1), _times(g1, slope2)]),
        ),
        ("delta g1", r"\Delta g_{1}", delta1, k1 - h1, r"\tanh(0.51) - \tanh(0.5)", ""),
        ("delta g2", r"\Delta g_{2}", delta2, k2 - h2, r"\sigma(0.51) - \sigma(0.5)", ""),
        (
            "delta y by g",
            r"\Delta y",
            g2 * delta1 + g1 * delta2,
            t1 * (k1 - h1) + t2 * (k2 - h2),
            (
                r"\approx \frac{\partial y}{\partial g_{1}}~\Delta g_{1} + "
                r"\frac{\partial y}{\partial "
                r"g_{2}}~\Delta g_{2}"
            ),
            total([_times(g2, delta1), _times(g1, delta2)]),
        ),
        (
            "delta y by x",
            r"\Delta y",
            slope * dx,
            t * dx,
            r"\approx \frac{dy}{dx}~\Delta x",
            _times(slope, dx),
        ),
        ("delta y", r"\Delta y", moved1 * moved2 - y, k1 * k2 - u, "y(0.51) - y(0.5)", ""),
    )
    rules = (
        r"y = f(g_{1}(x), g_{2}(x)) = \tanh(x)~\sigma(x) \quad x = 0.5 \quad \Delta x = 0.01",
        (
            r"\Delta y \approx \frac{\partial y}{\partial g_{1}}~\Delta g_{1} + \frac{\partial "
            r"y}{\partial g_{2}}~\Delta g_{2}"
        ),
        rf"\frac{{dy}}{{dx}} = {distributed}",
    )
    closer = r"The two approximations miss $\Delta y$ by what is of second order in $\Delta x$."
    return Section(
        "Small changes and the chain rule",
        "Calculus Refresher",
        steps(rows),
        rules,
        (SLIPS[8], closer),
    )


def _activations() -> Section:
    found, rules = [], []
    for f in (Sigmoid(), Tanh(), ReLU(), Softplus()):
        rules += [rf"\text{{{f.name}: }}{rule}" for rule in activation_rule(f.name)]
        for value in (0.17, -0.09):
            z = row(value)
            leaf = z.clone().requires_grad_()
            y, reference = f.forward(z), twin(f)(leaf)
            slope = f.backward(torch.ones_like(z), z, y)
            at, in_y = factor(value), factor(y.item())
            left = rf"\text{{{f.name}}}"
            derivative = dotted(fill(ACTIVATIONS[f.name][1], z=at, y=in_y))
            found += [
                Step(
                    f"{f.name}({value})",
                    f"{left}({value})",
                    y.item(),
                    reference.item(),
                    activation(f.name, 0, [at]),
                ),
                Step(
                    f"{f.name}'({value})",
                    f"{left}'({value})",
                    slope.item(),
                    grad(reference, leaf)[0].item(),
                    derivative,
                ),
            ]
    return Section(
        "Activations", "Activations and their derivatives", tuple(found), tuple(rules), (SLIPS[9],)
    )


def _sigmoid_forms() -> Section:
    """Both forms at arguments of which the second cannot take all, and softplus as the slides write
    it.
    """
    found = []
    for value in (2.0, -1000.0, 709.0, 710.0, 1000.0):
        z, at = row(value), factor(value)
        first, second = 1 / (1 + torch.exp(-z)), torch.exp(z) / (1 + torch.exp(z))
        reference, left = twin(Sigmoid())(z).item(), f"f({number(value)})"
        fails = (
            ""
            if second.isfinite()
            else r"$e^{z}$ is infinite, and infinity by infinity is nan: this form has no value "
            "here."
        )
        one, two = fill(ACTIVATIONS["sigmoid"][0], z=at), rf"\frac{{e^{{{at}}}}}{{1 + e^{{{at}}}}}"
        found += [
            Step(f"sigmoid form 1({number(value)})", left, first.item(), reference, one),
            Step(
                f"sigmoid form 2({number(value)})",
                left,
                second.item(),
                reference,
                two,
                remark=fails,
            ),
        ]
    z, f = row(1000.0), Softplus()
    reference, left = twin(f)(z).item(), r"\text{softplus}(1000)"
    stable = r"\max(1000, 0) + \log(1 + e^{-1000})"
    remark = "As written on the slides it is infinite here; the next line is how it is computed."
    found += [
        Step(
            "softplus as printed(1000)",
            left,
            z.exp().log1p().item(),
            reference,
            r"\log(1 + e^{1000})",
            remark=remark,
        ),
        Step("softplus(1000)", left, f.forward(z).item(), reference, stable),
    ]
    rules = (r"f(z) = \frac{1}{1 + e^{-z}} = \frac{e^{z}}{1 + e^{z}}",)
    where = (
        r"$e^{z}$ passes the largest number at z = 709.78 in float64 and at 88.72 in float32: "
        r"above it the second form fails. "
        r"The first holds for every z: $\frac{1}{1 + \infty}$ is 0."
    )
    return Section(
        "The sigmoid's two forms",
        "Activations and their derivatives",
        tuple(found),
        rules,
        (where,),
    )


def _in(value: Tensor) -> str:
    return number(value.item())


def _times(a: Tensor, b: Tensor) -> str:
    return product(a.item(), b.item())
