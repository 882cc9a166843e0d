"""The LaTeX used here as MathML, which browsers draw. scripts/pages/formulas.js does so where
numbers change.
"""

import html
import re

GREEK = {"Delta": "Δ", "eta": "η", "sigma": "σ"}  # noqa: RUF001
LETTERS = {"partial": "∂", "infty": "∞"} | GREEK
OPERATORS = {"sum": "∑", "cdot": "·", "approx": "≈", "quad": "\u2003", "ldots": "…"}
ATOM = re.compile(
    r"(?P<fraction>\\frac)|(?P<hat>\\hat\{y\})|\\text\{(?P<words>[^}]*)\}|\\(?P<word>[A-Za-z]+)"
    r"|(?P<letters>[A-Za-z]+'?)|(?P<number>[\d.]+)|(?P<space>~)|(?P<sign>[+=-] "
    r"?)|(?P<other>[()\[\]>,])"
)
GROUP, BASE = r"\{([^{}]*)\}", r"(<m[ino][^<]*</m[ino]>)"
GROUPS = (
    (rf"<mo>∑</mo>_{GROUP}", r"<munder><mo>∑</mo><mrow>\1</mrow></munder>"),
    (rf"{BASE}_{GROUP}\^{GROUP}", r"<msubsup>\1<mrow>\2</mrow><mrow>\3</mrow></msubsup>"),
    (rf"{BASE}_{GROUP}'", "<msubsup>\\1<mrow>\\2</mrow><mo>\u2032</mo></msubsup>"),
    (rf"{BASE}_{GROUP}(?!\^)", r"<msub>\1<mrow>\2</mrow></msub>"),
    (rf"{BASE}\^{GROUP}", r"<msup>\1<mrow>\2</mrow></msup>"),
    (rf"\\frac{GROUP}{GROUP}", r"<mfrac><mrow>\1</mrow><mrow>\2</mrow></mfrac>"),
)


def mathml(latex: str) -> str:
    """The formula as one <math>: its atoms, then fractions and indices from the innermost
    outwards.
    """
    before, math = "", ATOM.sub(_atom, latex)
    while math != before:
        before = math
        for pattern, group in GROUPS:
            math = re.sub(pattern, group, math)
    return f"<math>{math}</math>"


def words(remark: str) -> str:
    """Words with the LaTeX between dollar signs as MathML."""
    parts = remark.split("$")
    return "".join(
        mathml(part) if i % 2 else html.escape(part, quote=False) for i, part in enumerate(parts)
    )


def _atom(match: re.Match[str]) -> str:
    tag, said = "mo", match[0].strip()
    match match.lastgroup:
        case "fraction":
            return said  # until its two groups are ready
        case "space":
            return '<mspace width="0.2em"/>'
        case "hat":
            tag, said = "mi", "ŷ"
        case "words":
            tag, said = "mtext", match["words"].replace(" ", "\u00a0")
        case "word" if (word := match["word"]) not in OPERATORS:
            return f'<mi mathvariant="normal">{LETTERS.get(word, word)}</mi>'
        case "word":
            said = OPERATORS[match["word"]]
        case "letters":
            tag, said = "mi", said.replace("'", "\u2032")
        case "number":
            tag = "mn"
        case "sign":
            form, said = (
                "infix" if match[0].endswith(" ") else "prefix",
                said.replace("-", "\u2212"),
            )
            return f'<mo form="{form}">{said}</mo>'
    return f"<{tag}>{html.escape(said)}</{tag}>"
