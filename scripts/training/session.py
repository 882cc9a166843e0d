"""A training run from its beginning to its end: checked, made a folder of, trained, summed up."""

import dataclasses
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from datetime import timedelta
from pathlib import Path
from typing import Any

import torch

from scripts.common import files
from scripts.common.processes import ALONE, Processes
from scripts.common.program import Stopped, UserError, printable
from scripts.display import report
from scripts.display.board import Board
from scripts.learners.base import Learner
from scripts.learners.comparison import Comparison
from scripts.learners.parts import Parts, assemble, prepare
from scripts.run import folder
from scripts.run.checkpoint import Checkpoint, Checkpoints
from scripts.run.config import Config
from scripts.run.progress import Progress
from scripts.run.resolve import resolve
from scripts.training import data, learned
from scripts.training.checkpointing import resume_command
from scripts.training.divergence import explained
from scripts.training.loop import Loop
from scripts.training.observers import observed

DOWNLOAD_TIMEOUT = timedelta(hours=1)


def train(config: Config, processes: Processes = ALONE) -> int:
    """Check everything, then make the run's folder or go on in it, then train. 1 where a gradient
    was wrong.
    """
    config = resolve(_restarted(config, processes), processes)
    torch.set_num_threads(int(config.run.threads))
    more = {
        "--epochs": config.training.epochs,
        "--checkpoint-every": config.run.checkpoint_every,
        "--resume": config.run.resume,
        "torch": torch.__version__,
    }
    processes.require_equal(config.decisive() | more)
    with processes.connected(torch.device(config.run.device)):
        images, learners, comparison = _prepare(config, processes)
        out = Path(processes.rank_zero_only(lambda: config.run.resume or folder.make(config)))
        processes.set_folder(out)
        with _claimed(out, processes):
            saved, finished = processes.rank_zero_first(lambda: _look_back(config, out))
            if finished:
                return 0
            processes.rank_zero_only(lambda: folder.begin(config, out))
            print(report.layers(config.spec), end="\n\n")
            loop = Loop(config, images, learners, saved.progress if saved else Progress())
            with observed(loop, comparison, out, saved) as board:
                with explained(loop, comparison, out):
                    loop.run()
                summary = _summary(loop, comparison, board)
            _leave(loop, out, summary)
            return int(summary["wrong"] is not None)


def _restarted(config: Config, processes: Processes) -> Config:
    """The config of a run that goes on, where torchrun has started its processes once more."""
    run, out = config.run, processes.folder_before()
    if out and (out / folder.CONFIG).exists():
        run = dataclasses.replace(run, out=None, resume=out, processes=processes.size)
    return dataclasses.replace(config, run=run)


def _prepare(
    config: Config, processes: Processes
) -> tuple[data.Data, list[Learner], Comparison | None]:
    """The images, who learns from them, and how they are compared, where there are two."""

    def load() -> tuple[data.Data, Parts]:
        folder.check(config)
        device, dtype = torch.device(config.run.device), getattr(torch, config.run.dtype)
        source = config.data
        images = data.load(source.dataset, source.data_dir, source.train_size, device, dtype)
        return images, prepare(config)

    images, parts = processes.rank_zero_first(load, DOWNLOAD_TIMEOUT)
    return images, *assemble(config, parts, processes)


@contextmanager
def _claimed(out: Path, processes: Processes) -> Iterator[None]:
    """Inside, the folder is this run's alone; what can't be written there any more is said with the
    way to go on.
    """
    try:
        with folder.claim(out) if processes.is_rank_zero else nullcontext():
            yield
    except BrokenPipeError as error:
        raise Stopped(
            f"nobody reads what it says any more; go on with  {resume_command(out, processes)}"
        ) from error
    except OSError as error:
        if not out.is_dir():
            raise UserError(f"{out} is gone: nothing more can be kept there") from error
        raise UserError(
            f"{out}: {error.strerror or error}; its checkpoints are whole, and when it can be "
            f"written again go on with  {resume_command(out, processes)}"
        ) from error


def _look_back(config: Config, out: Path) -> tuple[Checkpoint | None, bool]:
    """What there is to go on from, and whether nothing is left to do, which is said. UserError
    where the run cannot go on as `config` wants.
    """
    saved = Checkpoints(out).latest() if config.run.resume else None
    if saved is None:
        return None, False
    saved.check(config, out)
    progress = saved.progress
    finished = progress.finished(config.training.epochs) and (out / folder.SUMMARY).exists()
    if finished:
        done = f"all of its {progress.epochs} epochs are done; --epochs may be more"
        print(printable(f"nothing is left to do in {out}: {progress.stopped or done}"))
    return saved, finished


def _summary(loop: Loop, comparison: Comparison | None, board: Board | None) -> dict[str, Any]:
    """What the run came to, which the board shows too."""
    test, updates = loop.data.test, loop.progress.updates
    validation_scores, test_scores = (
        {learner.name: learner.evaluate(split.images, split.labels) for learner in loop.learners}
        for split in (loop.data.validation, test)
    )
    summary = report.summarize(loop.learners, validation_scores, test_scores, comparison)
    if board:
        verdict = report.verdict(summary, updates)
        board.end(test.images, test.labels, summary["engines"], verdict, updates)
    return summary


def _leave(loop: Loop, out: Path, summary: dict[str, Any]) -> None:
    """What was learned and the summary in their files, and the end of the run in lines."""
    if loop.progress.stopped:
        print(loop.progress.stopped)
    loop.processes.rank_zero_only(lambda: learned.save(out, loop.learners))
    loop.processes.rank_zero_only(lambda: files.write_json(out / folder.SUMMARY, summary))
    print(report.table(summary, out, board=loop.config.run.board != "off"))
