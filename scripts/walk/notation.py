"""The lecture's notation in LaTeX: symbols, numbers, the formulas of activations and losses; and
LaTeX as plain text.

Formulas with <z>, <y>, ... are filled once with symbols and once with numbers, so both are typed
once.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass


def symbol(letter: str, k: int, *indices: int) -> str:
    """w_ij^(k) and the like, counted from 1; y^(0) is x."""
    index = "".join(map(str, indices))
    return f"x_{{{index}}}" if (letter, k) == ("y", 0) else f"{letter}_{{{index}}}^{{({k})}}"


def gradient(of: str) -> str:
    """dDiv/d(of)."""
    return rf"\frac{{\partial Div}}{{\partial {of}}}"


def number(value: float) -> str:
    """Six significant digits."""
    mantissa, e, exponent = f"{value + 0.0:.6g}".partition("e")  # -0 + 0 is 0
    return rf"{mantissa} \cdot 10^{{{int(exponent)}}}" if e else mantissa


def factor(value: float) -> str:
    """A number to stand behind an operator: in parentheses where it is negative."""
    return f"({number(value)})" if value < 0 else number(value)


def product(a: float, b: float) -> str:
    """a times b, with a at the head of a term."""
    return rf"{number(a)} \cdot {factor(b)}"


def dotted(formula: str) -> str:
    """A product of numbers, with a dot where symbols stand side by side."""
    return formula.replace("~", r" \cdot ")


def total(terms: Sequence[str]) -> str:
    """The sum of terms, a minus sign instead of + -."""
    return " + ".join(terms).replace("+ -", "- ")


def fill(template: str, **values: str) -> str:
    """The template with a value for each <name>; a negative number at its head or after a bracket
    needs none.
    """
    for name, value in values.items():
        template = template.replace(f"<{name}>", value)
    return re.sub(r"(^|[(\[])\((-[^()]*)\)(?!\^)", r"\1\2", template)


# f(z), and f'(z) by z or y = f(z) (slide "Activations and their derivatives")
ACTIVATIONS = {
    "identity": ("<z>", "1"),
    "sigmoid": (r"\frac{1}{1 + e^{-<z>}}", "<y>~(1 - <y>)"),
    "tanh": (r"\tanh(<z>)", "(1 - (<y>)^{2})"),
    "relu": (r"\max(<z>, 0)", "[<z> > 0]"),
    "softplus": (r"\log(1 + e^{<z>})", r"\frac{1}{1 + e^{-<z>}}"),
}
ELEMENTWISE = ("f(<z>)", "f'(<z>)")  # of an activation that is not in the table


def activation(name: str, j: int, z: Sequence[str]) -> str:
    """y_j = f(z)_j, for symbols or numbers z of a layer."""
    if name == "softmax":
        return rf"\frac{{e^{{{z[j]}}}}}{{{' + '.join(f'e^{{{each}}}' for each in z)}}}"
    return fill(ACTIVATIONS.get(name, ELEMENTWISE)[0], z=z[j])


def activation_at_i(name: str) -> str:
    """f(y)_i of a whole layer."""
    return (
        r"\frac{e^{y_{i}}}{\sum_{j} e^{y_{j}}}"
        if name == "softmax"
        else activation(name, 0, ["y_{i}"])
    )


def activation_rule(name: str) -> tuple[str, ...]:
    """f and f' as the slides state them."""
    if name == "softmax":
        return (
            r"o_{i} = \frac{e^{z_{i}}}{\sum_{j} e^{z_{j}}}",
            r"\frac{\partial o_{i}}{\partial z_{i}} = o_{i}~(1 - o_{i})",
            r"\frac{\partial o_{i}}{\partial z_{j}} = -o_{i}~o_{j}",
        )
    f, derivative = ACTIVATIONS.get(name, ELEMENTWISE)
    rule = f"f(z) = {fill(f, z='z')} \\quad f'(z) = {fill(derivative, z='z', y='f(z)')}"
    return (rule + r" \quad \text{(1 for z above 0, else 0)}" if name == "relu" else rule,)


def chain(name: str, j: int, z: Sequence[str], y: Sequence[str], dy: Sequence[str]) -> str:
    """dDiv/dz_j: f'(z_j) dDiv/dy_j; for softmax, whose outputs all depend on z_j, the sum over its
    Jacobian's column.
    """
    if name == "softmax":
        return total(
            [
                f"{y[j]}~(1 - {y[j]})~{dy[j]}" if i == j else f"-{y[i]}~{y[j]}~{dy[i]}"
                for i in range(len(y))
            ]
        )
    return f"{fill(ACTIVATIONS.get(name, ELEMENTWISE)[1], z=z[j], y=y[j])}~{dy[j]}"


@dataclass(frozen=True)
class LossFormula:
    """Div = factor (sum_i term_i) and dDiv/dy_i = slope_i, of y, the target <t> and the <C>
    outputs.

    output: the activation inside a loss of logits, whose result is <o>.
    """

    factor: str
    term: str
    slope: str
    output: str | None = None

    def rules(self) -> tuple[str, ...]:
        """What the loss is, and its derivative, for unit i of C."""
        y, t, o = "y_{i}", "t_{i}", "o_{i}"
        term = fill(self.term, y=y, t=t, o=o)
        term = f"({term})" if " + " in term else term
        inside = (rf"o_{{i}} = {activation_at_i(self.output)}",) if self.output else ()
        return (
            *inside,
            rf"Div = {fill(self.factor, C='C')}\sum_{{i}} {term}",
            rf"{gradient(y)} = {fill(self.slope, y=y, t=t, o=o, C='C')}",
        )

    def value(self, y: Sequence[str], t: Sequence[str], o: Sequence[str]) -> str:
        """Div, for symbols or numbers."""
        terms = total([fill(self.term, y=a, t=b, o=c) for a, b, c in zip(y, t, o, strict=True)])
        factor = fill(self.factor, C=str(len(y)))
        return (
            f"{factor}({terms})"
            if factor and (len(y) > 1 or " + " in terms)
            else f"{factor}{terms}"
        )

    def derivative(self, i: int, y: Sequence[str], t: Sequence[str], o: Sequence[str]) -> str:
        """dDiv/dy_i, for symbols or numbers."""
        return fill(self.slope, y=y[i], t=t[i], o=o[i], C=str(len(y)))


# By the loss's name, for one sample.
LOSSES = {
    "half-squared": LossFormula(r"\frac{1}{2}~", "(<y> - <t>)^{2}", "<y> - <t>"),
    "mse": LossFormula(r"\frac{1}{<C>}~", "(<y> - <t>)^{2}", r"\frac{2}{<C>}~(<y> - <t>)"),
    "squared": LossFormula("", "(<y> - <t>)^{2}", "2~(<y> - <t>)"),
    "cross-entropy": LossFormula("-", r"<t>~\log <o>", "<o> - <t>", output="softmax"),
    "cross-entropy-of-probabilities": LossFormula("-", r"<t>~\log <y>", r"-\frac{<t>}{<y>}"),
    "binary-cross-entropy": LossFormula(
        "-", r"<t>~\log <y> + (1 - <t>)~\log(1 - <y>)", r"\frac{<y> - <t>}{<y>~(1 - <y>)}"
    ),
    "binary-cross-entropy-of-logits": LossFormula(
        "-", r"<t>~\log <o> + (1 - <t>)~\log(1 - <o>)", "<o> - <t>", output="sigmoid"
    ),
}
# one that is not in the table
ANY_LOSS = LossFormula("", r"\text{loss}(<y>, <t>)", r"\text{loss}'(<y>, <t>)")

_WORDS = {
    r"\partial ": "∂",
    r"\Delta ": "Δ",
    r"\eta": "η",
    r"\sigma": "σ",  # noqa: RUF001 - a sigma is what it is
    r"\sum": "Σ",
    r"\hat{y}": "ŷ",
    r"\infty": "∞",
    r"\approx": "≈",
    r" \cdot ": "·",
    r"\tanh": "tanh",
    r"\log ": "log\u00a0",
    r"\log": "log",
    r"\ln": "ln",
    r"\max": "max",
    r" \quad ": "     ",
    "~": "\u00a0",
}
_SCRIPTS = {
    "_": str.maketrans("0123456789ijk", "₀₁₂₃₄₅₆₇₈₉ᵢⱼₖ"),
    "^": str.maketrans("0123456789+-()ijkN", "⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁽⁾ⁱʲᵏᴺ"),
}
_INNERMOST = re.compile(r"([_^])\{([^{}]*)\}|\\frac\{([^{}]*)\}\{([^{}]*)\}|\\text\{([^{}]*)\}")


def plain(latex: str) -> str:
    """The formula for a terminal: fractions with a slash, small digits as Unicode has them. Knows
    the LaTeX used here.
    """
    for word, text in _WORDS.items():
        latex = latex.replace(word, text)
    while (replaced := _INNERMOST.sub(_plain_group, latex)) != latex:
        latex = replaced
    return latex


def plain_words(remark: str) -> str:
    """Words with the LaTeX between dollar signs made plain."""
    return re.sub(r"\$(.*?)\$", lambda match: plain(match[1]), remark)


def _plain_group(match: re.Match[str]) -> str:
    script, content, above, below, text = match.groups()
    if text is not None:
        return text
    if script is None:
        return f"{_enclosed(above, ' ')}/{_enclosed(below, ' ·')}"
    small = _SCRIPTS[script]
    if all(ord(character) in small for character in content):
        return content.translate(small)
    return script + _enclosed(content, " -+./·")


def _enclosed(content: str, operators: str) -> str:
    closed = re.fullmatch(r"\([^()]*\)", content)
    return (
        f"({content})"
        if not closed and any(operator in content for operator in operators)
        else content
    )
