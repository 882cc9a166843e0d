"""Files that are whole at any moment, whatever interrupts who writes them."""

import json
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from scripts.harness.program import UserError


@contextmanager
def results(where: Path) -> Iterator[None]:
    """UserError where what is written inside, by this thread or one that it starts, finds no room."""
    failures: list[threading.ExceptHookArgs] = []
    hook, threading.excepthook = threading.excepthook, failures.append
    try:
        yield
        if failures and failures[0].exc_value:
            raise failures[0].exc_value
    except OSError as error:
        raise UserError(f"{where} cannot be written ({error.strerror or error}): all that was found stands above") from error
    finally:
        threading.excepthook = hook


def write_json(path: Path, contents: dict[str, Any]) -> None:
    """A file that people and programs read."""
    write(path, (json.dumps(contents, indent=2) + "\n").encode())


def write(path: Path, *content: bytes | memoryview) -> None:
    """Replace the file by one of this content: a reader, or who comes after a crash, finds the old one or the new, whole.

    OSError where it can't be written; the old one stays.
    """
    new = unfinished(path)
    try:
        with new.open("wb") as file:
            file.writelines(content)
            file.flush()
            os.fsync(file.fileno())
        new.replace(path)
    except BaseException:
        new.unlink(missing_ok=True)
        raise
    parent = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(parent)  # the new name, too, is on the disk
    finally:
        os.close(parent)


def unfinished(path: Path) -> Path:
    """Where a file is written before it has its name: beside it, hidden."""
    return path.with_name(f".{path.name}.unfinished")
