"""A document as plain text, as Markdown with LaTeX, or as JSON."""

import dataclasses
import json
import math
import re
import textwrap
from collections.abc import Iterable

from scripts.walk.notation import number, plain, plain_words
from scripts.walk.record import Document, Section, Step

_WIDTH = 80
_FORMULA = 54  # columns of a formula, before those of the numbers
_NEW_LINE = r" \\ "
_APPROXIMATELY = r"\approx"


def as_text(document: Document) -> str:
    """For a terminal 80 wide: under each step its formula, and the numbers put in beside what came
    out.
    """
    lines = [document.title]
    for section in document.sections:
        title = textwrap.wrap(section.title, _WIDTH, break_on_hyphens=False)
        lines += ["", *title, "-" * len(title[0]), f'slide "{section.slide}"']
        lines += [
            line for rule in section.rules for line in _fill(plain(rule), "  ", "    ", _WIDTH)
        ]
        lines += _remarks(section.remarks)
        if any(step.by_hand is not None for step in section.steps):
            lines.append(f"{'':{_FORMULA}}{'by hand':>13}{'autograd':>13}")
        lines += [line for step in section.steps for line in _text_step(step)]
    if document.errata:
        lines += ["", "Errata", "------", *_remarks(document.errata)]
    return "\n".join(line.rstrip().replace("\u00a0", " ") for line in [*lines, *_closing(document)])


def _text_step(step: Step) -> list[str]:
    left = f"  {plain(step.left)}"
    if step.by_hand is None or step.by_autograd is None:
        return [f"{left} = ____________"]
    lines: list[str] = []
    formulas = [plain(each) for each in (step.formula, step.derived, step.numbers) if each]
    for formula in dict.fromkeys(formulas):
        relation = " " if formula.startswith("≈") else " = "
        lines += _fill(
            formula,
            (" " * len(left) if lines else left) + relation,
            " " * (len(left) + 3),
            _FORMULA - 1 if formula == formulas[-1] else _WIDTH,
        )
    last = lines.pop() if lines else left
    lines.append(f"{last:{_FORMULA}}{_cell(step.by_hand):>13}{_cell(step.by_autograd):>13}")
    if step.printed:
        lines.append(f"slides: {', '.join(step.printed)}".rjust(_WIDTH))
    return [*lines, *_remarks([step.remark] if step.remark else [])]


def _fill(formula: str, first: str, later: str, width: int) -> list[str]:
    """Broken where it has to be, so that what stands in parentheses stays on a line if it can, and
    indented by how many it stands in.
    """
    lines, indent, inside = list[str](), first, 0
    while len(indent) + len(formula) > width and (at := _last_break(formula, width - len(indent))):
        lines.append(indent + formula[:at])
        inside += _depth(formula[:at])
        formula, indent = formula[at:].lstrip(), later + "  " * inside
    return [*lines, indent + formula]


def _last_break(formula: str, room: int) -> int:
    """The space in the fewest parentheses, before a plus or minus rather than between two factors,
    and of these the last; 0 where there is none.
    """
    spaces = re.finditer(r"(?<![-+=≈\s])\s+(?![=\s])", formula)

    def rank(at: int) -> tuple[int, bool, int]:
        return _depth(formula[:at]), not formula[at:].lstrip().startswith(("+", "- ")), -at

    return min((at for space in spaces if (at := space.start()) <= room), key=rank, default=0)


def _depth(formula: str) -> int:
    """How many parentheses are open at its end."""
    return formula.count("(") - formula.count(")")


def _remarks(remarks: Iterable[str]) -> list[str]:
    return [
        line
        for remark in remarks
        for line in textwrap.wrap(
            re.sub(r"(?<= [-+=]) |(?= =) ", "\u00a0", plain_words(remark)),
            _WIDTH,
            initial_indent="    ! ",
            subsequent_indent="      ",
            break_on_hyphens=False,
        )
    ]


def _cell(value: float) -> str:
    return plain(number(value))


def as_markdown(document: Document) -> str:
    """Formulas in $$...$$, results in a table, to paste into lecture notes."""
    blocks = [f"# {document.title}"]
    for section in document.sections:
        blocks += heading(section)
        solved = [
            step
            for step in section.steps
            if step.by_hand is not None and step.by_autograd is not None
        ]
        for step in section.steps:
            blocks += [_aligned(step)] if step not in solved or step.formula else []
            blocks += [step.remark] if step.remark else []
        if solved:
            blocks.append(_table(solved))
    blocks += ["## Errata", *document.errata] if document.errata else []
    return "\n\n".join([*blocks, *_closing(document)])


def heading(section: Section) -> list[str]:
    """Its title, slide, rules and remarks, in Markdown."""
    return [
        f"## {section.title}",
        f'*Slide "{section.slide}"*',
        *(f"$${rule}$$" for rule in section.rules),
        *section.remarks,
    ]


def _aligned(step: Step) -> str:
    if step.by_hand is None:
        return rf"$${step.left} = \ldots$$"
    right = [
        *dict.fromkeys(each for each in (step.formula, step.derived, step.numbers) if each),
        number(step.by_hand),
    ]
    rows = ["&" + each if each.startswith(_APPROXIMATELY) else "&= " + each for each in right]
    return rf"$$\begin{{aligned}} {step.left} {_NEW_LINE.join(rows)} \end{{aligned}}$$"


def _table(steps: list[Step]) -> str:
    """What came out, and what the slides print where they do."""
    columns = ["by hand", "autograd", *(["slides"] if any(step.printed for step in steps) else [])]
    rows = [f"| | {' | '.join(columns)} |", f"|---|{'---:|' * len(columns)}"]
    for step in steps:
        cells = [
            f"${number(value)}$" for value in (step.by_hand, step.by_autograd) if value is not None
        ]
        cells += [", ".join(step.printed)] if "slides" in columns else []
        rows.append(f"| ${step.left}$ | {' | '.join(cells)} |")
    return "\n".join(rows)


def as_json(document: Document) -> str:
    """Every number in full; formulas and remarks in LaTeX; "nan" and "inf", which JSON has no
    numbers for, as strings.
    """
    contents = dataclasses.asdict(document) | {"largest_difference": document.largest_difference()}
    for section in contents["sections"]:
        for step in section["steps"]:
            for result in ("by_hand", "by_autograd"):
                if step[result] is not None and not math.isfinite(step[result]):
                    step[result] = str(step[result])
    return json.dumps(contents, indent=2, ensure_ascii=False, allow_nan=False)


def _closing(document: Document) -> list[str]:
    difference = document.largest_difference()
    if difference is None:
        return []
    results = [each for step in document.steps() for each in (step.by_hand, step.by_autograd)]
    finite = all(math.isfinite(each) for each in results if each is not None)
    where = "" if finite else ", where both are finite"
    return ["", f"Largest difference between by hand and autograd{where}: {difference:.2g}"]
