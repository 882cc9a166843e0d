"""Text files of what tests compare: a part for each name, headed by "== " and its name.

The test that owns one writes it anew as a program; read what has changed in it.
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Sheet:
    """`made` gives the lines of a part, without its head."""

    path: Path
    names: Collection[str]
    made: Callable[[str], list[str]]

    def parts(self) -> dict[str, list[str]]:
        """The lines that stand in the file, by name. ValueError where it has other parts."""
        head, *parts = ("\n" + self.path.read_text()).split("\n== ")
        found = {lines[0]: lines[1:] for lines in (part.splitlines() for part in parts)}
        if head or list(found) != list(self.names):
            raise ValueError(f"{self.path.name} has other parts: write it anew")
        return found

    def write(self) -> None:
        """All parts, as they are made now."""
        lines = [line for name in self.names for line in (f"== {name}", *self.made(name))]
        self.path.write_text("\n".join(lines) + "\n")
