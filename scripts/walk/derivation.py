"""Forward, backward for k = N..1 and one update of an example, number by number.

Shapes: I inputs, O outputs of a layer; one sample, so values of a layer are (O,), weights (I, O).
"""

from collections.abc import Iterable
from itertools import pairwise
from itertools import product as product_of

from torch import Tensor

from manual.activations import Activation
from scripts.walk.example import Example, by_autograd, by_hand
from scripts.walk.notation import (
    ANY_LOSS,
    LOSSES,
    LossFormula,
    activation,
    activation_rule,
    chain,
    dotted,
    factor,
    gradient,
    number,
    product,
    symbol,
    total,
)
from scripts.walk.record import UPDATE, Section, Step
from torch_ref.twins import twin

Z = r"z_{j}^{(k)} = \sum_{i} w_{ij}^{(k)}~y_{i}^{(k-1)}"
Z_BIASED = Z + " + b_{j}^{(k)}"
Y = "y_{j}^{(k)} = f_{k}(z_{j}^{(k)})"
CHAIN = (
    r"\frac{\partial Div}{\partial z_{i}^{(k)}} = f_{k}'(z_{i}^{(k)})~\frac{\partial Div}{\partial "
    r"y_{i}^{(k)}}"
)
JACOBIAN = (  # of softmax, whose outputs o = y^(k) all depend on each z
    r"\frac{\partial Div}{\partial z_{i}^{(k)}} = "
    r"\sum_{j} \frac{\partial o_{j}}{\partial z_{i}}~\frac{\partial Div}{\partial y_{j}^{(k)}}"
)
BACK = (
    (
        r"\frac{\partial Div}{\partial y_{i}^{(k-1)}} = \sum_{j} w_{ij}^{(k)}~\frac{\partial "
        r"Div}{\partial z_{j}^{(k)}}"
    ),
)
WEIGHT = (
    r"\frac{\partial Div}{\partial w_{ij}^{(k)}} = y_{i}^{(k-1)}~\frac{\partial Div}{\partial "
    r"z_{j}^{(k)}}"
)
BIAS = r"\frac{\partial Div}{\partial b_{j}^{(k)}} = \frac{\partial Div}{\partial z_{j}^{(k)}}"


class Walk:
    """The sections of an example: what is given, forward, loss, backward, update."""

    def __init__(self, example: Example) -> None:
        self.example, self.sizes = example, example.spec.sizes
        self.hand, self.autograd = by_hand(example), by_autograd(example)
        for values in (self.hand, self.autograd):
            values["old_div"] = values["div"]

    def sections(self) -> tuple[Section, ...]:
        layers = range(1, len(self.sizes))
        return (
            self._given(),
            *(self._forward(k) for k in layers),
            self._loss(),
            *(self._backward(k) for k in reversed(layers)),
            self._update(),
        )

    def _given(self) -> Section:
        example = self.example
        rows = [_row([f"x_{{{i}}}" for i in _units(example.x)], example.x)]
        for k, (inputs, outputs) in enumerate(pairwise(self.sizes), start=1):
            w = example.values[f"w{k}"]
            rows += [
                _row([symbol("w", k, i + 1, j + 1) for j in range(outputs)], w[i])
                for i in range(inputs)
            ]
            if example.biases:
                rows.append(
                    _row([symbol("b", k, j + 1) for j in range(outputs)], example.values[f"b{k}"])
                )
        rows.append(_row([f"t_{{{i}}}" for i in _units(example.one_hot)], example.one_hot))
        rows.append(rf"\eta = {number(example.lr)}")
        return self._section("given", f"Given: {self._description()}", [], tuple(rows))

    def _description(self) -> str:
        spec = self.example.spec
        layers = ", ".join(f"layer {k} {name}" for k, name in enumerate(spec.activations, start=1))
        return f"{'-'.join(map(str, spec.sizes))} network, {layers}, loss {self.example.loss.name}"

    def _forward(self, k: int) -> Section:
        name, biases = self.example.spec.activations[k - 1], self.example.biases
        w, previous, z = self.example.values[f"w{k}"], self._output(k - 1), self.hand[f"z{k}"]
        steps = []
        for j in range(len(z)):
            terms = [
                f"{symbol('w', k, i + 1, j + 1)}~{symbol('y', k - 1, i + 1)}"
                for i in range(len(previous))
            ]
            numbers = [product(w[i, j].item(), previous[i].item()) for i in range(len(previous))]
            if biases:
                terms.append(symbol("b", k, j + 1))
                numbers.append(number(self.example.values[f"b{k}"][j].item()))
            steps.append(
                self._step(f"z{k}", symbol("z", k, j + 1), total(terms), total(numbers), j)
            )
        for j in range(len(z)):
            formula, numbers_in = (
                activation(name, j, self._symbols("z", k)),
                activation(name, j, _factors(z)),
            )
            steps.append(self._step(f"y{k}", symbol("y", k, j + 1), formula, numbers_in, j))
        rule = Z_BIASED if biases else Z
        return self._section(
            "forward", f"Forward, layer {k} ({name})", steps, (rule, Y, *activation_rule(name)), k
        )

    def _loss(self) -> Section:
        loss, N = self.example.loss, len(self.sizes) - 1
        y, t = self._symbols("y", N), [f"t_{{{i}}}" for i in _units(self.example.one_hot)]
        y_numbers, t_numbers = _factors(self._output(N)), _factors(self.example.one_hot)
        formula = LOSSES.get(loss.name, ANY_LOSS)
        steps, o, o_numbers = self._inner(formula)
        value, put_in = formula.value(y, t, o), formula.value(y_numbers, t_numbers, o_numbers)
        steps.append(self._step("div", "Div", value, dotted(put_in)))
        for i in range(len(y)):
            slope, put_in = (
                formula.derivative(i, y, t, o),
                formula.derivative(i, y_numbers, t_numbers, o_numbers),
            )
            steps.append(self._step(f"dy{N}", gradient(y[i]), slope, dotted(put_in), i))
        return self._section("loss", f"Loss ({loss.name})", steps, formula.rules(), N)

    def _inner(self, formula: LossFormula) -> tuple[list[Step], list[str], list[str]]:
        """The activation inside a loss of logits: steps for o, its symbols and its numbers; y where
        there is none.
        """
        N = len(self.sizes) - 1
        symbols, y = self._symbols("y", N), self._output(N)
        if formula.output is None:
            return [], symbols, _factors(y)
        f = Activation.named()[formula.output]()
        o, reference = f.forward(y.unsqueeze(0)), twin(f)(self.autograd[f"y{N}"].unsqueeze(0))
        self.hand["o"], self.autograd["o"] = o[0], reference[0]
        steps = [
            self._step(
                "o",
                f"o_{{{j + 1}}}",
                activation(f.name, j, symbols),
                activation(f.name, j, _factors(y)),
                j,
            )
            for j in range(len(y))
        ]
        return steps, [step.left for step in steps], _factors(o[0])

    def _backward(self, k: int) -> Section:
        name, previous = self.example.spec.activations[k - 1], self._output(k - 1)
        w, dz = self.example.values[f"w{k}"], self.hand[f"dz{k}"]
        z, y, dy = (
            self._symbols("z", k),
            self._symbols("y", k),
            [gradient(each) for each in self._symbols("y", k)],
        )
        numbers = (
            _factors(self.hand[f"z{k}"]),
            _factors(self.hand[f"y{k}"]),
            _factors(self.hand[f"dy{k}"]),
        )
        left = [gradient(each) for each in z]
        inputs, outputs = range(len(previous)), range(len(dz))
        steps = [
            self._step(
                f"dz{k}", left[j], chain(name, j, z, y, dy), dotted(chain(name, j, *numbers)), j
            )
            for j in outputs
        ]
        if k > 1:
            for i in inputs:
                formula = total([f"{symbol('w', k, i + 1, j + 1)}~{left[j]}" for j in outputs])
                put_in = total([product(w[i, j].item(), dz[j].item()) for j in outputs])
                steps.append(
                    self._step(
                        f"dy{k - 1}", gradient(symbol("y", k - 1, i + 1)), formula, put_in, i
                    )
                )
        for i in inputs:
            for j in outputs:
                formula = f"{symbol('y', k - 1, i + 1)}~{left[j]}"
                put_in = product(previous[i].item(), dz[j].item())
                steps.append(
                    self._step(
                        f"dw{k}", gradient(symbol("w", k, i + 1, j + 1)), formula, put_in, i, j
                    )
                )
        if self.example.biases:
            steps += [
                self._step(f"db{k}", gradient(symbol("b", k, j + 1)), left[j], "", j)
                for j in outputs
            ]
        rules = (JACOBIAN if name == "softmax" else CHAIN, *(BACK if k > 1 else ()), WEIGHT)
        rules += (BIAS,) if self.example.biases else ()
        return self._section("backward", f"Backward, k = {k} ({name})", steps, rules, k)

    def _update(self) -> Section:
        lr, steps = self.example.lr, [self._step("old_div", r"Div\text{ before}", "", "")]
        for name, value in self.example.values.items():
            if name.startswith("b") and not self.example.biases:
                continue
            for index in product_of(*map(range, value.shape)):
                w = symbol(name[0], int(name[1:]), *(i + 1 for i in index))
                change = rf"{number(lr)} \cdot {factor(self.hand[f'd{name}'][index].item())}"
                put_in = f"{number(value[index].item())} - {change}"
                steps.append(
                    self._step(
                        f"new_{name}",
                        rf"\text{{new }}{w}",
                        rf"{w} - \eta~{gradient(w)}",
                        put_in,
                        *index,
                    )
                )
        steps.append(self._step("new_div", r"Div\text{ after}", "", ""))
        return self._section(
            "update", UPDATE, steps, (r"\text{new }w = w - \eta~\frac{\partial Div}{\partial w}",)
        )

    def _step(self, key: str, left: str, formula: str, numbers: str, *index: int) -> Step:
        name = key + (f"[{','.join(str(i + 1) for i in index)}]" if index else "")
        hand, autograd = self.hand[key][index].item(), self.autograd[key][index].item()
        printed, remark = self.example.printed.get(name, ()), self.example.remarks.get(name, "")
        return Step(name, left, hand, autograd, formula, numbers, printed, remark)

    def _section(
        self, part: str, title: str, steps: list[Step], rules: tuple[str, ...], k: int = 0
    ) -> Section:
        remark = self.example.remarks.get(f"{part}{k}")
        return Section(
            title, self.example.slides[part], tuple(steps), rules, (remark,) if remark else ()
        )

    def _output(self, k: int) -> Tensor:
        return self.hand[f"y{k}"] if k else self.example.x

    def _symbols(self, letter: str, k: int) -> list[str]:
        return [symbol(letter, k, j + 1) for j in range(self.sizes[k])]


def _units(values: Tensor) -> range:
    return range(1, len(values) + 1)


def _factors(values: Tensor) -> list[str]:
    return [factor(value) for value in values.tolist()]


def _row(symbols: Iterable[str], values: Tensor) -> str:
    """Some given numbers on one line."""
    return r" \quad ".join(
        f"{name} = {number(value)}" for name, value in zip(symbols, values.tolist(), strict=True)
    )
