"""The walkthrough as a page: a network to step through, to change and to break (scripts/pages/)."""

import dataclasses
import html
from collections.abc import Iterable

from scripts.pages.file import one_file, part, program
from scripts.walk.mathml import ATOMS, GROUPS, words
from scripts.walk.notation import ACTIVATIONS, LOSSES
from scripts.walk.record import Document

SCRIPTS = ("network.js", "formulas.js", "walkthrough.js")


def as_page(document: Document) -> str:
    """One HTML file that needs nothing else, on the numbers given in the document."""
    about = {
        section.title: f"<cite>slide “{html.escape(section.slide)}”</cite>"
        + _remarks(section.remarks)
        for section in document.sections
    }
    for step in document.steps():
        printed = (
            f'<span class="printed">slides: {", ".join(step.printed)}</span>'
            if step.printed
            else ""
        )
        about[step.name] = printed + _remarks([step.remark] if step.remark else [])
    data = {
        "given": document.given,
        "about": {name: remark for name, remark in about.items() if remark},
        "activations": ACTIVATIONS,
        "losses": {name: dataclasses.asdict(formula) for name, formula in LOSSES.items()},
        "updates": document.updates,
        "mathml": [
            [(pattern, put.replace("\\", "$")) for pattern, put in rules]
            for rules in (ATOMS, GROUPS)
        ],
    }
    body = part("walkthrough.html").replace("{title}", html.escape(document.title))
    return one_file(document.title, ("page.css", "walkthrough.css"), body + program(SCRIPTS, data))


def _remarks(remarks: Iterable[str]) -> str:
    return "".join(f'<span class="remark">{words(remark)}</span>' for remark in remarks)
