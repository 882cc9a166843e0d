"""The folder of a run: its name, its files, and the process that has it."""

import dataclasses
import os
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from datetime import datetime
from itertools import count
from pathlib import Path

from filelock import FileLock, Timeout

from scripts.common import files
from scripts.common.program import UserError
from scripts.run import naming
from scripts.run.config import Config

CONFIG, SUMMARY, LOCK = "config.json", "summary.json", ".lock"
DIVERGED = "diverged.txt"  # where and why a run diverged
RUNS = Path("runs")  # where runs go without --out


def check(config: Config) -> None:
    """UserError for a folder of a resolved config that is in use or can't be written, or whose run
    it can't go on with.

    Makes nothing.
    """
    out, resume = config.run.out, config.run.resume
    if resume:
        if out not in {None, resume}:
            raise UserError(
                f"--out {out}: --resume {resume} goes on in its own folder; leave --out away"
            )
        config.check_unchanged(config_of(resume).decisive(), resume)
    elif out:
        check_new(out)


def check_new(out: Path) -> None:
    """UserError for a folder that is in use or can't be written; makes nothing."""
    try:
        # of a run that was ended before its first file was whole
        leftovers = {out / LOCK, *files.leftovers(out, CONFIG)}
        used = out.exists() and (
            not out.is_dir() or any(path not in leftovers for path in out.iterdir())
        )
        parent = next(path for path in (out, *out.absolute().parents) if path.exists())
        str(out).encode()
    except UnicodeEncodeError:
        raise UserError(
            f"--out {out}: is not in UTF-8, as TensorBoard needs it; name another"
        ) from None
    except OSError as error:  # a name too long, or a folder that may not be looked into
        raise UserError(f"--out {out}: {error.strerror or error}; name another") from error
    if used:
        raise UserError(f"--out {out}: exists and is not an empty folder; name a new one")
    if not parent.is_dir() or not os.access(parent, os.W_OK | os.X_OK):
        raise UserError(f"--out {out}: {parent} is not a folder that can be written; name another")


def make(config: Config) -> Path:
    """The folder of a resolved config, new or empty."""
    out = config.run.out or fresh(naming.name(config))
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"--out {out}: {error.strerror or error}; name another") from error
    return out


def begin(config: Config, out: Path) -> None:
    """Make `out` the folder of this run, now in progress: its config.json, and until its end no
    summary and no state dicts.

    UserError, and nothing is written, where anything in it can't be.
    """
    for path in (out, *(path for path in out.iterdir() if path.is_dir())):
        if not os.access(path, os.W_OK | os.X_OK):
            raise UserError(
                f"{path} cannot be written: make it a folder of yours; nothing was changed"
            )
    _renumber(out)
    contents = dataclasses.replace(config, run=dataclasses.replace(config.run, out=out)).to_dict()
    try:
        files.write_json(out / CONFIG, contents)
        for end in (out / SUMMARY, out / DIVERGED, *out.glob("*.pt")):
            end.unlink(missing_ok=True)
    except OSError as error:
        raise UserError(f"{out / CONFIG} cannot be written: {error.strerror or error}") from error


def _renumber(out: Path) -> None:
    """Give the event files of `out` the numbers 1, 2, ... in their order, where TensorBoard's
    writer has put the time.

    TensorBoard reads them by number, and so the file of a new writer last, whatever its clock says.
    """
    for folder in (path for path in out.iterdir() if path.is_dir()):
        for number, path in enumerate(sorted(folder.glob("events.out.tfevents.*")), start=1):
            words = path.name.split(".")
            words[3] = f"{number:010}"
            path.rename(path.with_name(".".join(words)))


def config_of(out: Path, option: str = "--resume") -> Config:
    """The config of the run in `out`, which an option names. UserError where there is no run, or
    its config.json is damaged.
    """
    path = out / CONFIG
    try:
        return Config.from_json(files.read(path))
    except OSError as error:
        if isinstance(error, PermissionError) or os.path.lexists(path):
            raise UserError(
                f"{option} {out}: {path} cannot be read ({error.strerror}); make it readable"
            ) from error
        raise UserError(
            f"{option} {out}: no run is there ({path.name}: {error.strerror}); start one with --out"
        ) from error
    except ValueError as error:
        raise UserError(
            f"{option} {out}: {path} is damaged, or of another release ({error}); mend it, or "
            "start a new run"
        ) from error


@contextmanager
def claim(out: Path) -> Iterator[None]:
    """Inside, `out` is this process's alone, unless nothing can be written there. UserError where
    another process has it.
    """
    if not os.access(out, os.W_OK | os.X_OK):
        yield
        return
    try:
        with FileLock(out / LOCK, timeout=0):
            yield
    except Timeout:
        raise UserError(
            f"{out}: another process is training this run; wait for its end, or stop it"
        ) from None


def is_claimed(out: Path) -> bool:
    """Whether a process is training the run in `out`; makes nothing."""
    try:
        with FileLock(out / LOCK, timeout=0) if (out / LOCK).exists() else nullcontext():
            return False
    except Timeout:
        return True
    except OSError:  # this user can't write there, so trains nothing there
        return False


def fresh(name: str) -> Path:
    """A folder under runs/ that does not exist yet, named after the time and `name`."""
    stamped = f"{datetime.now():%m%d-%H%M}-{name}"  # noqa: DTZ005 - the user's clock
    names = (stamped if attempt == 1 else f"{stamped}-{attempt}" for attempt in count(1))
    return next(out for out in map(RUNS.joinpath, names) if not out.exists())
