"""The LaTeX used here as MathML, which browsers draw, by rules of pattern and replacement.

The walkthrough's page takes the same rules along (scripts/pages/formulas.js).
"""

import html
import re

# Of an atom the first that fits it whole; a fraction waits for its groups.
ATOMS = (
    (r"\\frac", "<mfrac>"),
    (r"\\text\{([^}]*)\}", r"<mtext>\1</mtext>"),
    (r"\\hat\{y\}", "<mi>ŷ</mi>"),
    (r"\\sum", "<mo>∑</mo>"),
    (r"\\cdot", "<mo>·</mo>"),
    (r"\\approx", "<mo>≈</mo>"),
    (r"\\quad", "<mo>\u2003</mo>"),
    (r"\\ldots", "<mo>…</mo>"),
    (r"\\partial", '<mi mathvariant="normal">∂</mi>'),
    (r"\\Delta", '<mi mathvariant="normal">Δ</mi>'),
    (r"\\eta", '<mi mathvariant="normal">η</mi>'),
    (r"\\sigma", '<mi mathvariant="normal">σ</mi>'),  # noqa: RUF001 - a sigma is what it is
    (r"\\infty", '<mi mathvariant="normal">∞</mi>'),
    (r"\\([A-Za-z]+)", r'<mi mathvariant="normal">\1</mi>'),
    (r"([A-Za-z]+)'", "<mi>\\1\u2032</mi>"),
    (r"([A-Za-z]+)", r"<mi>\1</mi>"),
    (r"([\d.]+)", r"<mn>\1</mn>"),
    (r"~", '<mspace width="0.2em"/>'),
    (r"([+=-]) ", r'<mo form="infix">\1</mo>'),
    (r"([+=-])", r'<mo form="prefix">\1</mo>'),
    (r">", "<mo>&gt;</mo>"),
    (r"([()\[\],])", r"<mo>\1</mo>"),
)
# Then all of these, again and again: fractions and indices from the innermost outwards.
GROUP, BASE = r"\{([^{}]*)\}", r"(<m[ino][^<]*</m[ino]>)"
GROUPS = (
    (r"(<mo [^>]*>)-", "\\1\u2212"),
    (r"(<mtext>[^<]*) ", "\\1\u00a0"),
    (rf"<mo>∑</mo>_{GROUP}", r"<munder><mo>∑</mo><mrow>\1</mrow></munder>"),
    (rf"{BASE}_{GROUP}\^{GROUP}", r"<msubsup>\1<mrow>\2</mrow><mrow>\3</mrow></msubsup>"),
    (rf"{BASE}_{GROUP}'", "<msubsup>\\1<mrow>\\2</mrow><mo>\u2032</mo></msubsup>"),
    (rf"{BASE}_{GROUP}(?!\^)", r"<msub>\1<mrow>\2</mrow></msub>"),
    (rf"{BASE}\^{GROUP}", r"<msup>\1<mrow>\2</mrow></msup>"),
    (rf"<mfrac>{GROUP}{GROUP}", r"<mfrac><mrow>\1</mrow><mrow>\2</mrow></mfrac>"),
)
_ATOM = re.compile("|".join(pattern for pattern, _ in ATOMS))


def mathml(latex: str) -> str:
    """The formula as one <math>."""
    before, math = "", _ATOM.sub(_atom, latex)
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


def _atom(found: re.Match[str]) -> str:
    fitting = ((re.fullmatch(pattern, found[0]), put) for pattern, put in ATOMS)
    return next(match.expand(put) for match, put in fitting if match)
