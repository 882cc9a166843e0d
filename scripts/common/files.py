"""Files that are whole at any moment, whatever interrupts the process that writes them."""

import csv
import errno
import glob
import io
import json
import os
import secrets
import stat
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO

from scripts.common.program import UserError


@contextmanager
def results(where: Path) -> Iterator[None]:
    """Inside, an OSError of this thread, or of one that it starts, becomes a UserError."""
    failures: list[threading.ExceptHookArgs] = []
    hook, threading.excepthook = threading.excepthook, failures.append
    try:
        yield
        if failures and failures[0].exc_value:
            raise failures[0].exc_value
    except OSError as error:
        raise UserError(
            f"{where} cannot be written ({error.strerror or error}): all that was found stands "
            "above"
        ) from error
    finally:
        threading.excepthook = hook


def write_json(path: Path, contents: dict[str, Any]) -> None:
    """Write a JSON file, indented for people."""
    write(path, (json.dumps(contents, indent=2) + "\n").encode())


def write_out(path: Path, text: str, option: str = "--out") -> None:
    """Write the file that an option names, or into the pipe or terminal that it is. UserError where
    it can't be written.
    """
    try:
        if path.exists() and not path.is_file():  # such as /dev/stdout
            path.write_text(text, encoding="utf-8")
        else:
            write(Path(os.path.realpath(path)), text.encode())  # a link stays one
    except OSError as error:
        raise UserError(
            f"{option} {path}: cannot be written ({error.strerror}); name another"
        ) from error


def as_csv(rows: Iterable[Sequence[object]]) -> str:
    """A line for each row."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()


def write(path: Path, *content: bytes | memoryview) -> None:
    """Replace the file by one of this content: a reader, also after a crash, finds the old one or
    the new one, whole.

    OSError where it can't be written; the old one stays. One process at a time may write a file.
    """
    new = unfinished(path)
    try:
        with new.open("xb") as file:  # a new one: no link is followed, and no FIFO waited for
            file.writelines(content)
            file.flush()
            os.fsync(file.fileno())
        new.replace(path)
    except BaseException:
        new.unlink(missing_ok=True)
        raise
    tidy(path.parent, path.name)
    parent = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(parent)  # the new name, too, is on the disk
    finally:
        os.close(parent)


def unfinished(path: Path) -> Path:
    """Where a file is written before it gets its name: beside it, hidden, under a random name."""
    return path.with_name(f".{path.name}.{secrets.token_hex(8)}.unfinished")


def leftovers(folder: Path, name: str = "*") -> list[Path]:
    """The unfinished files of processes that were killed while they wrote a file of this name."""
    return list(folder.glob(f".{name if name == '*' else glob.escape(name)}.*.unfinished"))


def tidy(folder: Path, name: str = "*") -> None:
    """Remove the leftovers."""
    for path in leftovers(folder, name):
        with suppress(OSError):  # a folder, or somebody else's
            path.unlink()


def opened(path: Path) -> BinaryIO:
    """A regular file, open to be read. OSError for anything else: a FIFO would be waited for."""
    number = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    if not stat.S_ISREG(os.fstat(number).st_mode):
        os.close(number)
        raise OSError(errno.EINVAL, "it is no regular file", str(path))
    return os.fdopen(number, "rb")


def read(path: Path) -> bytes:
    """What is in a regular file. OSError as from `opened`."""
    with opened(path) as file:
        return file.read()
