"""The network of a sheet as a drawing (SVG), with the given numbers on it, in millimetres."""

from itertools import pairwise
from typing import Any

WIDTH, HEIGHT, RADIUS, MARGIN, TOP = 190, 62, 4.7, 12, 6
TARGETS = 22  # room for them at the right
CLOSE, SHIFT = 12, 9  # labels that have room in a column; how far another column is


def drawing(given: dict[str, Any]) -> str:
    """Units as circles, inputs at the left; weights on the edges, biases above the units, targets
    at the right.
    """
    sizes = given["sizes"]
    gap = (WIDTH - 2 * MARGIN - TARGETS) / (len(sizes) - 1)

    def place(k: int, i: int) -> tuple[float, float]:
        return MARGIN + k * gap, TOP + (HEIGHT - TOP) * (i + 0.5) / sizes[k]

    lines, circles, labels = [], [], []
    for k, (inputs, outputs) in enumerate(pairwise(sizes), start=1):
        along = 1 / (inputs + 1)  # of the edge: there the labels of all edges are evenly spaced
        aside = SHIFT if inputs * outputs > CLOSE else 0  # of every other one, and of its edge
        for i in range(inputs):
            for j in range(outputs):
                (x1, y1), (x2, y2) = place(k - 1, i), place(k, j)
                x, y = x1 + along * gap + aside * (j % 2), y1 + along * (y2 - y1)
                lines.append(f'<polyline points="{x1},{y1:.2f} {x:.2f},{y:.2f} {x2},{y2:.2f}"/>')
                labels.append(_text(x, y + 1.1, given[f"w{k}"][i][j]))
    columns = ("x", *(f"layer {k}: {name}" for k, name in enumerate(given["activations"], start=1)))
    for k, (size, column) in enumerate(zip(sizes, columns, strict=True)):
        labels.append(_text(place(k, 0)[0], 3.5, column))
        for i in range(size):
            x, y = place(k, i)
            circles.append(f'<circle cx="{x}" cy="{y:.2f}" r="{RADIUS}"/>')
            labels.append(
                _text(x, y + 1.1, given["x"][i]) if k == 0 else _text(x, y + 1.1, i + 1, "number")
            )
            if f"b{k}" in given:
                labels.append(_text(x, y - RADIUS - 1, f"b = {_shown(given[f'b{k}'][i])}"))
            if k == len(sizes) - 1:
                labels.append(_text(x + RADIUS + 8, y + 1.1, f"t = {_shown(given['t'][i])}"))
    parts = "\n".join((*lines, *circles, *labels))
    box = f"0 0 {WIDTH} {HEIGHT}"
    return f'<svg viewBox="{box}" role="img" aria-label="The network">\n{parts}\n</svg>\n'


def _text(x: float, y: float, content: str | float, kind: str = "") -> str:
    return f'<text x="{x:.2f}" y="{y:.2f}" class="{kind}">{_shown(content)}</text>'


def _shown(value: str | float) -> str:
    return value if isinstance(value, str) else f"{value:.6g}".replace("-", "\u2212")
