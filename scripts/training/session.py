"""A training run: checked, made a folder of, trained, and summed up."""

import dataclasses
import shlex
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import NoReturn

import torch
from tqdm import tqdm

from manual.losses import Loss
from manual.network import Network
from manual.optimizers import Optimizer
from scripts.common import files
from scripts.common.command_line import typed
from scripts.common.processes import ALONE, Processes
from scripts.common.program import Interrupted, Signals, Stopped, UserError, plain
from scripts.display.board import Board, NoBoard, open_board
from scripts.display.report import epoch_line, layers, summarize, table, verdict
from scripts.learners.base import Learner
from scripts.learners.by_hand import ManualLearner
from scripts.learners.comparison import Comparison
from scripts.learners.in_torch import TorchLearner
from scripts.learners.parts import prepare
from scripts.run import folder
from scripts.run.checkpoint import Checkpoint, Checkpoints
from scripts.run.config import Config
from scripts.run.resolve import resolve
from scripts.training import data, learned
from scripts.training.loop import Diverged, Epoch, Training


def train(config: Config, processes: Processes = ALONE) -> int:
    """Check everything, then make the run's folder or go on in it, then train. 1 where a gradient
    was wrong.
    """
    out = config.run.out
    if processes.restarted and out and (out / folder.CONFIG).exists():
        config = dataclasses.replace(
            config, run=dataclasses.replace(config.run, resume=out, processes=processes.size)
        )
    config = resolve(config, processes)
    device, dtype = torch.device(config.run.device), getattr(torch, config.run.dtype)

    def start() -> tuple[data.Data, tuple[Network, Loss, Optimizer]]:
        folder.check(config)
        images = data.load(
            config.data.dataset, config.data.data_dir, config.data.train_size, device, dtype
        )
        return images, prepare(config)

    torch.set_num_threads(int(config.run.threads))
    with processes.connected(device):
        more = {
            "--epochs": config.training.epochs,
            "--checkpoint-every": config.run.checkpoint_every,
            "torch": torch.__version__,
        }
        processes.require_equal(config.decisive() | more)
        images, made = processes.rank_zero_first(start)
        parts = (*made, processes, config.schedule())
        manual = ManualLearner(*parts) if ManualLearner.name in config.run.engines else None
        reference = TorchLearner(*parts) if TorchLearner.name in config.run.engines else None
        learners: list[Learner] = [learner for learner in (manual, reference) if learner]
        comparison = Comparison(manual, reference) if manual and reference else None

        out = Path(processes.rank_zero_only(lambda: config.run.resume or folder.make(config)))
        try:
            with folder.claim(out) if processes.is_rank_zero else nullcontext():
                return _train(config, out, images, learners, comparison)
        except BrokenPipeError as error:
            raise Stopped(
                f"nobody reads what it says any more; go on with  {_resume(out, processes)}"
            ) from error
        except OSError as error:
            if not out.is_dir():
                raise UserError(f"{out} is gone: nothing more can be kept there") from error
            whole = "its checkpoints are whole, and when it can be written again go on with"
            raise UserError(
                f"{out}: {error.strerror or error}; {whole}  {_resume(out, processes)}"
            ) from error


def _train(
    config: Config,
    out: Path,
    images: data.Data,
    learners: list[Learner],
    comparison: Comparison | None,
) -> int:
    """The run in `out`, or the rest of it; 1 where a gradient was wrong. The leading process alone
    writes there.
    """
    checkpoints, processes = Checkpoints(out), learners[0].processes

    saved, finished = processes.rank_zero_first(lambda: _look_back(config, out, checkpoints))
    if finished:
        return 0
    processes.rank_zero_only(lambda: folder.begin(config, out))
    print(layers(config.spec), end="\n\n")
    first_step = saved.progress.updates + 1 if saved and saved.progress.updates else 0
    with (
        Signals() as signals,
        open_board(out, config, first_step) if processes.is_rank_zero else NoBoard() as board,
        tqdm(
            total=config.training.epochs * config.updates_per_epoch,
            initial=saved.progress.updates if saved else 0,
            unit=" updates",
            unit_scale=True,
            disable=None,  # where stderr is no terminal
            leave=False,
        ) as bar,
    ):
        training = Training(config, images, learners, comparison, board)

        def keep() -> None:
            state = training.state()
            processes.rank_zero_only(
                lambda: checkpoints.save(training.progress, config.decisive(), state)
            )

        def at_rest() -> None:
            updates = training.progress.updates
            stop = not processes.all_agree(signals.received is None)
            if config.checkpoint_due(updates) or stop:
                board.flush()  # what a resumed run will not log again has to be there
                keep()
            if stop:
                by, then = (
                    signals.received or signal.SIGTERM,
                    f"go on with  {_resume(out, processes)}",
                )
                raise Interrupted(by, f"all is kept after update {updates}; {then}")

        def on_epoch(epoch: Epoch) -> None:
            bar.write(epoch_line(epoch))

        def on_updates(updates: int) -> None:
            bar.set_description_str(
                f"epoch {training.progress.epochs + 1} of {config.training.epochs}", refresh=False
            )
            bar.update(updates)
            _alarm(comparison, training.progress.updates, bar, board)

        if saved:
            training.load(saved.progress, saved.state)
        else:
            keep()
        board.start(_command(processes, *sys.argv[1:]), learners, training.progress.updates)
        with _explained(out, training, checkpoints, comparison, processes):
            validation = training.run(on_updates, on_epoch, at_rest)
        test = {learner.name: training.evaluate(learner, images.test) for learner in learners}
        summary, updates = (
            summarize(learners, validation, test, comparison),
            training.progress.updates,
        )
        board.end(learners, images.test, summary["engines"], verdict(summary, updates), updates)

    if training.progress.stopped:
        print(training.progress.stopped)
    processes.rank_zero_only(lambda: learned.save(out, learners))
    processes.rank_zero_only(lambda: files.write_json(out / folder.SUMMARY, summary))
    print(table(summary, out, board=config.run.board != "off"))
    return int(summary["wrong"] is not None)


def _alarm(
    comparison: Comparison | None, updates: int, bar: "tqdm[NoReturn]", board: Board
) -> None:
    """Say that a gradient is wrong at the update at which it was first seen."""
    if comparison and comparison.wrong and comparison.wrong.update == updates:
        bar.write(str(comparison.wrong))
        board.wrong(str(comparison.wrong), updates)


@contextmanager
def _explained(
    out: Path,
    training: Training,
    checkpoints: Checkpoints,
    comparison: Comparison | None,
    processes: Processes,
) -> Iterator[None]:
    """Inside, Diverged comes with words about where the numbers first went wrong, and what may
    help, which `out` keeps.
    """
    try:
        yield
    except Diverged as diverged:
        # as it was before the replay, which starts earlier
        wrong = comparison.wrong if comparison else None
        where = processes.rank_zero_only(lambda: _replay(training, checkpoints))
        why = (
            f"the gradient by hand was wrong from update {wrong.update} on"
            if wrong
            else "a smaller --lr may help"
        )
        said = f"{diverged}; {where}; {why}"
        processes.rank_zero_only(lambda: files.write(out / folder.DIVERGED, said.encode()))
        raise Diverged(said) from None


def _look_back(
    config: Config, out: Path, checkpoints: Checkpoints
) -> tuple[Checkpoint | None, bool]:
    """What there is to go on from, and whether nothing is left to do."""
    saved = checkpoints.latest() if config.run.resume else None
    return saved, saved is not None and _nothing_left(config, out, saved)


def _replay(training: Training, checkpoints: Checkpoints) -> str:
    """Where the numbers first went wrong."""
    saved = checkpoints.latest()
    return (
        training.locate(saved.progress, saved.state)
        if saved
        else "it cannot be replayed, for its checkpoints are gone"
    )


def _nothing_left(config: Config, out: Path, saved: Checkpoint) -> bool:
    """Whether the run is finished, and if so a line. UserError where it cannot go on as `config`
    wants.
    """
    saved.check(config, out)
    finished = saved.progress.finished(config.training.epochs) and (out / folder.SUMMARY).exists()
    if finished:
        why = (
            saved.progress.stopped
            or f"all of its {saved.progress.epochs} epochs are done; --epochs may be more"
        )
        print(plain(f"nothing is left to do in {out}: {why}"))
    return finished


def _resume(out: Path, processes: Processes) -> str:
    words = (f"--resume={out}",) if str(out).startswith("-") else ("--resume", str(out))
    return _command(processes, *words)


def _command(processes: Processes, *options: str) -> str:
    """As one types it."""
    return " ".join([typed("scripts.train", processes.launcher), *map(shlex.quote, options)])
