"""What a walkthrough is, however it is printed: sections of steps.

Formulas are LaTeX; remarks are words with LaTeX in $...$.
"""

import dataclasses
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Self

from torch import Tensor

UPDATE = "Update"  # title of the section


@dataclass(frozen=True)
class Step:
    """One number: what it is, the formula for it, the same with numbers put in, and what came out
    of both engines.

    name: for programs, such as dw1[2,1] (layer 1, from unit 2 to unit 1).  left: the same in the
    lecture's notation. printed: every value that the slides print for it.  derived: the formula in
    what is given alone, where asked for. A result is None where the solution is left out.
    """

    name: str
    left: str
    by_hand: float | None
    by_autograd: float | None
    formula: str = ""
    numbers: str = ""
    printed: tuple[str, ...] = ()
    remark: str = ""
    derived: str = ""

    def blank(self) -> Self:
        """The step without its answer."""
        return dataclasses.replace(
            self,
            by_hand=None,
            by_autograd=None,
            formula="",
            numbers="",
            printed=(),
            derived="",
            remark="",
        )


# name, left, by hand (), by autograd (), formula, numbers
Row = tuple[str, str, Tensor, Tensor, str, str]


def steps(rows: Iterable[Row]) -> tuple[Step, ...]:
    """A step of each row."""
    return tuple(
        Step(name, left, hand.item(), autograd.item(), formula, numbers)
        for name, left, hand, autograd, formula, numbers in rows
    )


@dataclass(frozen=True)
class Section:
    """Steps that belong together: the slide they are on, the rules they apply, remarks on all of
    them.
    """

    title: str
    slide: str
    steps: tuple[Step, ...] = ()
    rules: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()


@dataclass(frozen=True)
class Document:
    """A whole walkthrough. given: the network and its numbers, as they are.  errata: slips of the
    slides shown nowhere else.
    """

    title: str
    given: dict[str, Any]
    sections: tuple[Section, ...]
    errata: tuple[str, ...] = field(default=())

    def without_solution(self) -> Self:
        """The exercise: what is given, the rules, and what is asked for."""
        sections = tuple(
            dataclasses.replace(section, steps=tuple(step.blank() for step in section.steps))
            for section in self.sections
        )
        return dataclasses.replace(self, sections=sections)

    def without_update(self) -> Self:
        """The document up to the gradients."""
        return dataclasses.replace(
            self, sections=tuple(section for section in self.sections if section.title != UPDATE)
        )

    @property
    def updates(self) -> bool:
        """Whether the document goes on to an update."""
        return any(section.title == UPDATE for section in self.sections)

    def steps(self) -> Iterator[Step]:
        """All steps, in order."""
        for section in self.sections:
            yield from section.steps

    def largest_difference(self) -> float | None:
        """max |by hand - autograd|, where a formula of the slides did not fail; None without the
        solution.
        """
        differences = [
            abs(step.by_hand - step.by_autograd)
            for step in self.steps()
            if step.by_hand is not None and step.by_autograd is not None
        ]
        return max(filter(math.isfinite, differences), default=None)
