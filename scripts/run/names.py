"""The names of operations, read from the source of their classes: to import these takes torch, for
which a help should not wait.
"""

import ast
from pathlib import Path

import manual

FILES = {
    "Activation": "activations.py",
    "Initializer": "initializers.py",
    "Loss": "losses.py",
    "Optimizer": "optimizers.py",
    "Schedule": "schedules.py",
}


def names(family: str) -> tuple[str, ...]:
    """Those that `named()` of the family's class has, in the same order."""
    path = Path(*manual.__path__) / FILES[family]
    return tuple(
        ast.literal_eval(keyword.value)
        for header in ast.parse(path.read_text(encoding="utf-8")).body
        if isinstance(header, ast.ClassDef)
        and any(isinstance(base, ast.Name) and base.id == family for base in header.bases)
        for keyword in header.keywords
        if keyword.arg == "name"
    )
