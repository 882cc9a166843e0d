"""The whole state of a run after some update, in files that are whole or are not used: what a later
process goes on from.
"""

import hashlib
import io
import os
import re
import sys
import warnings
import zipfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import msgspec
import torch

from scripts.common import files
from scripts.common.program import UserError, printable
from scripts.run.config import Config
from scripts.run.progress import Progress
from scripts.run.states import State

NUMBER_KEPT = 2
MOST_TENSORS = 2**15  # of a state: a fraction of a millisecond goes into reading each
KERNEL_VARIABLES = (
    "MKL_CBWR",
    "MKL_DYNAMIC",
    "MKL_ENABLE_INSTRUCTIONS",
    "NVIDIA_TF32_OVERRIDE",
    "OMP_DYNAMIC",
    "OMP_THREAD_LIMIT",
    "ONEDNN_MAX_CPU_ISA",
    "TORCH_ALLOW_TF32_CUBLAS_OVERRIDE",
)
NAME = re.compile(r"[0-9]{9,18}\.checkpoint")
_HEADER = "checkpoint of Backprop by Hand, sha256 {}\n"


@dataclass(frozen=True)
class Checkpoint:
    """How far a run had come, its options that decide its numbers, its state, and what machinery
    computed it.
    """

    progress: Progress
    options: dict[str, Any]
    state: State
    made_with: str

    def check(self, config: Config, out: Path) -> None:
        """UserError if the run in `out` cannot go on from here as `config` wants."""
        config.check_unchanged(self.options, out)
        begun = -(-self.progress.updates // config.updates_per_epoch)
        if config.training.epochs < begun:
            raise UserError(
                f"--epochs {config.training.epochs}: epoch {begun} has begun already; give {begun} "
                "or more"
            )


class Checkpoints:
    """The last two of the run in `out`, named by the number of updates."""

    def __init__(self, out: Path) -> None:
        self._folder = out / "checkpoints"

    def save(self, progress: Progress, options: dict[str, Any], state: State) -> None:
        """One more, and away with those before the last two. OSError where it can't be written; the
        others stay.
        """
        # not its parent: whoever took that away in mid-run wants it no more
        self._folder.mkdir(exist_ok=True)
        contents = io.BytesIO()
        torch.save(
            asdict(Checkpoint(progress, options, {}, machinery(options))) | {"state": state},
            contents,
        )
        if _tensors(contents) > MOST_TENSORS:
            raise UserError(
                f"--sizes: a checkpoint of so many layers would hold more than {MOST_TENSORS} "
                "tensors; take fewer"
            )
        path = self._folder / f"{progress.updates:09}.checkpoint"
        with contents.getbuffer() as payload:
            files.write(path, _header(payload), payload)
        paths = self._paths()
        # damaged, or the run would be there already
        future = [path for path in paths if int(path.stem) > progress.updates]
        for path in (*future, *paths[len(future) + NUMBER_KEPT :]):
            path.unlink()
        files.tidy(self._folder)

    def latest(self) -> Checkpoint | None:
        """The newest that is whole, None where none was written. Those that are damaged are named
        on stderr.

        UserError where every one is damaged, and where one or their folder cannot be read: it may
        be as good as any.
        """
        paths = self._paths()
        for i, path in enumerate(paths):
            try:
                found = read(path)
                if found.progress.updates != int(path.stem):
                    raise ValueError(f"it is of update {found.progress.updates}")  # noqa: TRY301
            except OSError as error:
                raise UserError(
                    f"{path} cannot be read ({error.strerror}): mend that, or remove it to go on "
                    "from an older one"
                ) from error
            except ValueError as error:
                then = (
                    f"going back to {paths[i + 1]}"
                    if path != paths[-1]
                    else "and there is no older one"
                )
                print(printable(f"{path} is damaged ({error}): {then}"), file=sys.stderr)
                continue
            if found.made_with != (here := machinery(found.options)):
                note = (
                    f"note: {path} is of {found.made_with}, here is {here}: the bits may become "
                    "others"
                )
                print(printable(note), file=sys.stderr)
            return found
        if paths:
            raise UserError(
                f"{self._folder}: every checkpoint is damaged; remove this folder to train from "
                "the beginning"
            )
        return None

    def _paths(self) -> list[Path]:
        """Newest first. UserError where they cannot be listed."""
        try:
            names = os.listdir(self._folder)  # noqa: PTH208
            paths = [self._folder / name for name in names if NAME.fullmatch(name)]
        except FileNotFoundError:
            return []
        except OSError as error:
            raise UserError(
                f"{self._folder} cannot be read ({error.strerror}); make it a folder that can"
            ) from error
        return sorted(paths, key=lambda path: int(path.stem), reverse=True)


def read(path: Path) -> Checkpoint:
    """ValueError says why it is not one, or no longer: a byte too many, too few or another is
    noticed.

    OSError where it is a file that cannot be read.
    """
    if path.exists() and not path.is_file() and not path.is_dir():  # a FIFO or a device
        raise ValueError("it is no regular file")
    try:
        with files.opened(path) as file:
            header = file.read(len(_header(b"")))
            beginning = _HEADER.partition("{}")[0].encode()
            # what is none may be larger than memory
            payload = file.read() if header.startswith(beginning) else b""
        if header != _header(payload):
            raise ValueError("its contents do not match their sha256")
    except MemoryError as error:
        raise ValueError("it is larger than memory") from error
    try:
        return msgspec.convert(_load(io.BytesIO(payload)), Checkpoint)
    except Exception as error:  # whatever torch.load makes of what is no checkpoint
        raise ValueError(f"not of a run's state, {type(error).__name__}") from error


def machinery(options: Mapping[str, Any]) -> str:
    """What the bits depend on besides the options of a run."""
    cuda = options.get("--device") == "cuda"
    device = (
        torch.cuda.get_device_name()
        if cuda
        else f"CPU with {torch.backends.cpu.get_cpu_capability()}"
    )
    told = "".join(
        f", {name}={os.environ[name]}" for name in KERNEL_VARIABLES if name in os.environ
    )
    return f"torch {torch.__version__} on {device}{told}"


def _load(contents: io.BytesIO) -> Any:
    """What torch.save wrote. ValueError for more tensors than a run has."""
    if (number := _tensors(contents)) > MOST_TENSORS:
        raise ValueError(f"{number} tensors")
    contents.seek(0)
    with warnings.catch_warnings(action="ignore"):  # of what a checkpoint of ours has not
        return torch.load(contents, map_location="cpu", weights_only=True)


def _tensors(contents: io.BytesIO) -> int:
    """In a file of torch.save, as its table of contents says."""
    return len(zipfile.ZipFile(contents).infolist())


def _header(payload: bytes | memoryview) -> bytes:
    return _HEADER.format(hashlib.sha256(payload).hexdigest()).encode()
