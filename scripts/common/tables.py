"""Tables as text, for a terminal or to paste."""

import math
from collections.abc import Collection, Mapping, Sequence


def columns(lines: Sequence[Sequence[str]], right: Collection[int] = ()) -> str:
    """Lines of cells as aligned columns; those with a number in `right` are flush right."""
    return "\n".join("  ".join(line).rstrip() for line in _padded(lines, right, 0))


def markdown(lines: Sequence[Sequence[str]], right: Collection[int] = ()) -> str:
    """The same as a table in Markdown, the first line its head."""
    head, *body = _padded(lines, right, least=3)  # the rule is dashes, three as most readers want
    rule = [
        "-" * (len(cell) - 1) + ":" if at in right else "-" * len(cell)
        for at, cell in enumerate(head)
    ]
    return "\n".join(f"| {' | '.join(line)} |" for line in (head, rule, *body))


def figure(value: float | None) -> str:
    """A number in two digits; a dash for None, nan and infinity."""
    return f"{value:.2g}" if value is not None and math.isfinite(value) else "-"


def finite(figures: Mapping[str, float]) -> dict[str, float | None]:
    """The same with None for nan and infinity, which JSON doesn't have."""
    return {name: value if math.isfinite(value) else None for name, value in figures.items()}


def _padded(lines: Sequence[Sequence[str]], right: Collection[int], least: int) -> list[list[str]]:
    widths = [max(least, *map(len, column)) for column in zip(*lines, strict=True)]
    return [
        [
            cell.rjust(width) if at in right else cell.ljust(width)
            for at, (cell, width) in enumerate(zip(line, widths, strict=True))
        ]
        for line in lines
    ]
