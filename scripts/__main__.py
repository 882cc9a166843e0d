"""backprop, or python -m scripts: all programs under one name."""

import ast
import importlib
import sys
import textwrap
from pathlib import Path

from scripts.common.program import UserError, status


def programs() -> dict[str, str]:
    """Name -> what it is for, of each module here whose docstring tells how it is started."""
    found = {}
    for path in sorted(Path(__file__).parent.glob("[a-z]*.py")):
        docstring = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
        start, _, purpose = " ".join(docstring.partition("\n\n")[0].split()).partition(": ")
        if start == f"python -m scripts.{path.stem}":
            found[path.stem] = purpose
    return found


def main() -> int:
    """The status of the program that the first word names; 0 after the list of all, 2 for a word
    that names none.
    """
    found = programs()
    if len(sys.argv) < 2 or sys.argv[1] in {"-h", "--help"}:
        lines = (
            textwrap.fill(f"{name:15} {purpose}", 80, subsequent_indent=" " * 16)
            for name, purpose in found.items()
        )
        return status(lambda: print(*lines, sep="\n"))
    name = sys.argv.pop(1).replace("-", "_")
    if name not in found:
        return status(lambda: refuse(name, found))
    started: int = importlib.import_module(f"scripts.{name}").main()
    return started


def refuse(name: str, found: dict[str, str]) -> None:
    """UserError with the choices."""
    raise UserError(f"{name}: there is no such program; choose from {', '.join(found)}")


if __name__ == "__main__":
    sys.exit(main())
