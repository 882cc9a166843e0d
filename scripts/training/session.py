"""A training run from beginning to end: check the options, make the folder, train, sum up."""

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
    """Check everything, then make the run's folder or go on in it, then train. Returns the status:
    1 where a gradient was wrong, else 0.
    """
    config = resolve(_restarted(config, processes), processes)
    torch.set_num_threads(int(config.run.threads))
    shared = config.decisive() | {
        "--epochs": config.training.epochs,
        "--checkpoint-every": config.run.checkpoint_every,
        "--resume": config.run.resume,
        "torch": torch.__version__,
    }
    processes.require_equal(shared)
    with processes.connected(torch.device(config.run.device)):
        images, learners, comparison = _prepare(config, processes)
        out = Path(processes.rank_zero_only(lambda: config.run.resume or folder.make(config)))
        processes.set_folder(out)
        with _claimed(out, processes):
            saved, finished = processes.rank_zero_first(lambda: _to_resume(config, out))
            if finished:
                return 0
            processes.rank_zero_only(lambda: folder.begin(config, out))
            print(report.layers(config.spec), end="\n\n")
            loop = Loop(config, images, learners, saved.progress if saved else Progress())
            with observed(loop, comparison, out, saved) as board:
                with explained(loop, comparison, out):
                    loop.run()
                summary = _summary(loop, comparison, board)
            _write_results(loop, out, summary)
            return int(summary["wrong"] is not None)


def _restarted(config: Config, processes: Processes) -> Config:
    """`config`, with --resume where torchrun has restarted the processes of a run."""
    run, out = config.run, processes.folder_before()
    if out and (out / folder.CONFIG).exists():
        run = dataclasses.replace(run, out=None, resume=out, processes=processes.size)
    return dataclasses.replace(config, run=run)


def _prepare(
    config: Config, processes: Processes
) -> tuple[data.Data, list[Learner], Comparison | None]:
    """The images, the learners, and their comparison where there are two."""

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
    """Inside, the folder is this run's alone, and an OSError becomes one line with the command to
    go on.
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


def _to_resume(config: Config, out: Path) -> tuple[Checkpoint | None, bool]:
    """The checkpoint to go on from, if any, and whether nothing is left to train, which is then
    printed. UserError where the run cannot go on as `config` wants.
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
    """The contents of summary.json; the board shows them too."""
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


def _write_results(loop: Loop, out: Path, summary: dict[str, Any]) -> None:
    """Write what was learned and the summary, and print the table at the end of a run."""
    if loop.progress.stopped:
        print(loop.progress.stopped)
    loop.processes.rank_zero_only(lambda: learned.save(out, loop.learners))
    loop.processes.rank_zero_only(lambda: files.write_json(out / folder.SUMMARY, summary))
    print(report.table(summary, out, board=loop.config.run.board != "off"))
