"""What is claimed of each operation of manual/, and how it is run on symbols."""

import dataclasses
from collections.abc import Iterator
from typing import Any

import numpy as np
import sympy as sp
import torch

from manual.activations import Activation
from manual.layers import BatchNorm1d, FrozenBatchNorm1d
from manual.losses import Loss
from manual.network import Network, NetworkSpec
from scripts.proving import definitions
from scripts.proving.algebra import sigma
from scripts.proving.cases import REALS, UNIT, symbols
from scripts.proving.claims import Pairs, Run, Verdict, claim, merged, unchanged
from scripts.proving.symbols import Symbolic

# a batch of 3: its variance has another correction than 2, or its square
B, I, O = 3, 2, 2  # noqa: E741


def lemma() -> Verdict:
    """The verdict on sigma, by whose derivative everything else is differentiated."""
    z = symbols("z", 1)
    definition = 1 / (1 + sp.exp(-z[0]))
    equal: Pairs = [("sigma'", sigma(z[0]).fdiff().rewrite(sp.exp), sp.diff(definition, z[0]))]
    return claim(
        "sigma",
        "sigma' = sigma (1 - sigma) of 1 / (1 + e^-z)",
        lambda: Run([], [], {}, equal),
        {"z": z},
    )


def activation(cls: type[Activation]) -> Iterator[Verdict]:
    """y = f(z) as it is defined, and dDiv/dz = f'(z) dDiv/dy."""
    z, dy = symbols("z", B, 2), symbols("g", B, 2)

    def run() -> Run:
        f: Any = cls()
        given = [Symbolic(each.copy()) for each in (z, dy)]
        y = f.forward(given[0])
        before = y.entries.copy()
        dz = f.backward(given[1], given[0], y)
        equal: Pairs = [
            ("y after backward", y.entries, before),
            *unchanged(("z", "dDiv/dy"), given, (z, dy)),
        ]
        if cls in definitions.ACTIVATIONS:
            equal.append(("y", before, definitions.ACTIVATIONS[cls](z)))
        stated = {"z": definitions.STATED[cls](dy, z)} if cls in definitions.STATED else {}
        return Run(before, dy, {"z": dz.entries}, equal, stated)

    yield claim(f"activation {cls.name}", f"y, dDiv/dz for any z ({B}, 2)", run, {"z": z})


def loss(cls: type[Loss]) -> Iterator[Verdict]:
    """Div(y, t) as it is defined, and dDiv/dy; t any numbers, or every label."""
    shape, instance = (2, 3), cls()
    domain, facts = (UNIT, {"positive": True}) if cls.of_probabilities else (REALS, {})
    y = symbols("y", *shape, **facts)
    targets: list[Any] = [symbols("t", *shape)]
    if instance.targets(torch.zeros(1, dtype=torch.int64), 3, torch.float64).ndim == 1:
        targets = [np.array(labels) for labels in np.ndindex(3, 3)]

    def run(t: Any) -> Run:
        ours: Any = cls()
        given = Symbolic(y.copy())
        div, dy = ours(given, torch.from_numpy(t) if t.dtype == np.int64 else Symbolic(t.copy()))
        equal = unchanged(("y",), [given], (y,))
        if cls in definitions.LOSSES:
            equal.append(("Div", div.entries, definitions.LOSSES[cls](y, t)))
        stated = {"y": definitions.STATED[cls](y, t)} if cls in definitions.STATED else {}
        return Run(div.entries, np.array(1), {"y": dy.entries}, equal, stated)

    where = "y within (0, 1)" if cls.of_probabilities else "y"
    what = f"Div, dDiv/dy for any {where} {shape}, any {'labels' if len(targets) > 1 else 't'}"
    yield merged(
        [claim(f"loss {cls.name}", what, run, {"y": y}, t, domain=domain) for t in targets]
    )


def layer(cls: Any) -> Iterator[Verdict]:
    """z as it is defined, dDiv/dx, the gradient of each parameter, running statistics; with and
    without each optional one.
    """
    fields = {each.name: each for each in dataclasses.fields(cls)}
    optional = (
        [name for name in cls.shapes(1, 1) if "None" in str(fields[name].type)]
        if cls is not FrozenBatchNorm1d
        else []
    )
    for inputs, outputs in ((I, 3), (O, O)) if optional else ((O, O),):
        for left_out in ((), *((name,) for name in optional)):
            yield _layer(cls, inputs, outputs, left_out)


def _layer(cls: Any, inputs: int, outputs: int, left_out: tuple[str, ...]) -> Verdict:
    """The verdicts on a layer of one shape."""
    made: Any = BatchNorm1d if cls is FrozenBatchNorm1d else cls
    shapes = {
        name: shape for name, shape in made.shapes(inputs, outputs).items() if name not in left_out
    }
    x, dz = symbols("x", B, inputs), symbols("g", B, outputs)
    values: dict[str, Any] = {name: symbols(name, *shape) for name, shape in shapes.items()}
    buffers = {
        name: symbols(name, outputs, **{"positive": True} if value else {})
        for name, value in made.buffers().items()
    }
    numbers = {
        each.name: sp.Symbol(each.name, positive=True)
        for each in dataclasses.fields(made)
        if isinstance(each.default, float)
    }

    def run() -> Run:
        given = {name: Symbolic(array.copy()) for name, array in (values | buffers).items()}
        gradients = {
            f"d{name}": Symbolic(symbols(f"old_{name}", *shape)) for name, shape in shapes.items()
        }
        without = {key: None for name in left_out for key in (name, f"d{name}")}
        ours: Any = made(**given, **gradients, **without, **numbers)
        ours = ours.frozen() if made is not cls else ours
        input_, upstream = Symbolic(x.copy()), Symbolic(dz.copy())
        z, saved = ours.forward(input_)
        output = z.entries.copy()
        dx = ours.input_gradient(upstream, saved)
        ours.backward(upstream, saved)
        equal = unchanged(
            ("x", "dDiv/dz", *values),
            [input_, upstream, *map(given.get, values)],
            (x, dz, *values.values()),
        )
        if cls in definitions.LAYERS:
            equal.append(("z", output, definitions.LAYERS[cls](x, **values, **buffers, **numbers)))
        after = (
            definitions.RUNNING[cls](x, **buffers, **numbers)
            if cls in definitions.RUNNING
            else buffers
        )
        equal += [(f"running {name}", given[name].entries, array) for name, array in after.items()]
        found = {name: gradients[f"d{name}"].entries for name in shapes}
        return Run(output, dz, {"x": dx.entries, **found}, equal)

    running = [f"running {name}" for name in buffers if cls in definitions.RUNNING]
    parts = ", ".join(["z", "dDiv/dx", *(f"d{name}" for name in shapes), *running])
    above_0 = "".join(
        f", {name} > 0"
        for name in [*numbers, *(name for name, value in made.buffers().items() if value)]
    )
    what = f"{parts} for any x ({B}, {inputs}) -> ({B}, {outputs}){above_0}"
    return claim(f"layer {cls.name}", what, run, {"x": x, **values})


NETWORKS = [
    # the slides' own
    (NetworkSpec((2, 2, 1), ("sigmoid", "sigmoid"), "default"), "half-squared", 1),
    (
        NetworkSpec((1, 2, 1), ("sigmoid", "identity"), "default", batch_norm=True),
        "half-squared",
        3,
    ),
    (NetworkSpec((2, 2, 2, 1), ("tanh", "relu", "sigmoid"), "default"), "mse", 2),
    (NetworkSpec((2, 2, 2, 2), ("softplus", "sigmoid", "identity"), "default"), "cross-entropy", 2),
]


def network(spec: NetworkSpec, loss_name: str, batch: int) -> Verdict:
    """The whole of backward, dDiv/dx, and predict, of Network's own functions."""
    loss_cls: Any = Loss.named()[loss_name]
    x = symbols("x", batch, spec.sizes[0])
    shapes = {
        f"{name}{k}": shape
        for k, step in enumerate(spec.layers, start=1)
        for name, shape in step.shapes.items()
    }
    values = {name: symbols(name, *shape) for name, shape in shapes.items()}
    t = (
        torch.arange(batch)
        if loss_cls().targets(torch.zeros(1, dtype=torch.int64), 2, torch.float64).ndim == 1
        else None
    )

    def run() -> Run:
        ours: Any = Network(spec, dtype=torch.float64)
        for name, array in values.items():
            ours.parameters.values[name].entries[...] = array
        given = Symbolic(x.copy())
        tape: Any = ours.forward(given)
        target: Any = t if t is not None else Symbolic(symbols("t", batch, spec.sizes[-1]))
        div, dy = loss_cls()(tape.output, target)
        dx = ours.input_gradient(dy, tape)
        ours.backward(dy, tape)
        found = {name: each.entries for name, each in ours.parameters.gradients.items()}
        predicted = ours.predict(given)
        equal: Pairs = (
            [] if spec.batch_norm else [("predict", predicted.entries, tape.output.entries)]
        )
        return Run(div.entries, np.array(1), {"x": dx.entries, **found}, equal)

    layers = " ".join((*spec.activations, *(("batch-norm",) if spec.batch_norm else ())))
    what = f"network {'-'.join(map(str, spec.sizes))} {layers}, {loss_name}"
    verdict = claim(
        what,
        f"the gradient of every parameter and of x, a batch of {batch}",
        run,
        {"x": x, **values},
    )
    units = any(Activation.named()[name].kinks for name in spec.activations)
    return dataclasses.replace(
        verdict, remark=verdict.remark or ("no z at a kink" if units else "")
    )
