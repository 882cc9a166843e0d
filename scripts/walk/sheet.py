"""An exercise to print and to write on: one page, with the network drawn and room for every
number.
"""

import html
import math

from scripts.pages.file import one_file
from scripts.walk.drawing import drawing
from scripts.walk.mathml import mathml
from scripts.walk.notation import number
from scripts.walk.record import Document, Section, Step

COLUMNS = 7  # that the style sheet makes of A4 and letter
ROOM, LOWEST, HIGHEST = 126, 8.6, 14  # mm: of all rows on a letter page, and of a row
HEAD = """<header><h1>{title}</h1><span>Name _________________________________</span></header>
<p>Work from top to bottom and keep 4 digits. {letters} joins unit i to unit j of layer k;
t is the target{eta}.</p>
"""


def as_sheet(document: Document) -> str:
    """One HTML file that prints on A4 and on letter. Its document has no solution."""
    rate = mathml(rf"\eta = {number(document.given['lr'])}")
    eta = f", and {rate}" if document.updates else ""
    head = HEAD.format(title=html.escape(document.title), letters=mathml("w_{ij}^{(k)}"), eta=eta)
    sections = [section for section in document.sections if section.steps]
    rows = sum(math.ceil(len(_asked(section)) / COLUMNS) for section in sections)
    high = min(HIGHEST, max(LOWEST, ROOM / rows))
    parts = "".join(map(_part, sections))
    body = f'<main style="--row: {high:.1f}mm">\n{head}{drawing(document.given)}{parts}</main>\n'
    return one_file(document.title, ("page.css", "sheet.css"), body)


def _asked(section: Section) -> list[Step]:
    return [step for step in section.steps if step.name != "old_div"]  # which is Div once more


def _part(section: Section) -> str:
    rules = "".join(map(mathml, section.rules))
    rooms = "".join(f"<div>{mathml(step.left + ' = ')}</div>" for step in _asked(section))
    return f'<h2>{html.escape(section.title)}{rules}</h2>\n<div class="room">{rooms}</div>\n'
