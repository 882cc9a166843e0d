"""Trials: runs of the hand-written network, alone or beside torch.nn, one a core; each result is
kept on disk as it comes.
"""

import dataclasses
import functools
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

import msgspec
import torch
from tqdm import tqdm

from scripts.common import files
from scripts.common.command_line import option, pasted
from scripts.common.program import UserError, as_typed
from scripts.learners.base import Learner
from scripts.learners.by_hand import ManualLearner
from scripts.learners.parts import assemble, prepare
from scripts.run import folder
from scripts.run.config import TRAINING_IMAGES, Config, RunConfig
from scripts.run.progress import Epoch, Progress
from scripts.run.resolve import cores, resolve
from scripts.training import data
from scripts.training.divergence import Diverged, FiniteCheck
from scripts.training.loop import Loop

MOST_SEEDS = 1000  # of one setting: each is a run


@dataclass(frozen=True)
class Job:
    """A run to make. Its accuracy on `splits` is taken after each epoch, or `scores` times, evenly,
    if there are more.
    """

    name: str
    config: Config
    splits: tuple[str, ...]
    scores: int

    @property
    def title(self) -> str:
        """A name that no other job of a script has; its file is called so."""
        return f"{self.name}-seed{self.config.network.seed}"

    @property
    def key(self) -> dict[str, Any]:
        """What the result depends on."""
        groups = self.config.to_dict()
        groups["data"].pop("data_dir")
        return {
            **{name: groups[name] for name in ("data", "network", "training")},
            "engines": groups["run"]["engines"],
            "scores": self.scores,
        }


@dataclass(frozen=True)
class Beside:
    """torch.nn in the same run, on the same batches: accuracy in percent at the end by split,
    seconds of training, and of the gradients compared how many were equal to the last bit; `wrong`
    says which was farther off than rounding can take it.
    """

    accuracy: dict[str, float]
    seconds: float
    compared: int
    equal: int
    wrong: str | None


@dataclass(frozen=True)
class Trial:
    """The results of a run by hand: accuracy in percent by split after each of `epochs`, on the
    training images at the end; seconds in all, and of training alone: batches fetched, forward,
    backward, update.
    """

    epochs: tuple[int, ...]
    accuracy: dict[str, tuple[float, ...]]
    training_accuracy: float
    seconds: float
    training_seconds: float
    beside: Beside | None = None


@dataclass(frozen=True)
class _TrialFile:
    """What a trial's file holds."""

    options: dict[str, Any]
    trial: Trial


def alone(config: Config, engines: tuple[str, ...] = (ManualLearner.name,)) -> Config:
    """The config of one run among many: resolved, by hand, on one thread of the CPU. UserError as
    `resolve`.
    """
    return resolve(
        dataclasses.replace(config, run=RunConfig(engines=engines, device="cpu", threads=1))
    )


def run(job: Job) -> Trial:
    """Make the run, on one thread. Diverged where a loss becomes nan or infinite."""
    start = time.perf_counter()
    torch.set_num_threads(1)
    config = job.config
    images = _images(config.data.dataset, config.data.data_dir)
    first = slice(config.data.train_size)
    images = dataclasses.replace(
        images, train=data.Split(images.train.images[first], images.train.labels[first])
    )
    learners, comparison = assemble(config, prepare(config))
    manual, *others = learners
    loop = Loop(config, images, learners, Progress())

    def percent(split: str, learner: Learner = manual) -> float:
        chosen: data.Split = getattr(images, split)
        score = learner.evaluate(chosen.images, chosen.labels)
        return 100 * score.correct / score.n

    last = config.training.epochs
    every = -(-last // job.scores)
    accuracy: dict[str, list[float]] = {split: [] for split in job.splits}

    def after_epoch(progress: Progress, _: Epoch) -> None:
        if progress.epochs % every == 0 or progress.epochs == last:
            for split in job.splits:
                accuracy[split].append(percent(split))

    if comparison:
        loop.after_updates.append(comparison.after_updates)
    loop.after_updates.append(FiniteCheck(learners, config.updates_per_epoch).after_updates)
    loop.after_epoch.append(after_epoch)
    loop.run()
    taken = {split: tuple(values) for split, values in accuracy.items()}
    beside = None
    if comparison:
        (reference,) = others
        beside = Beside(
            {split: percent(split, reference) for split in job.splits},
            loop.batches.seconds + reference.seconds,
            comparison.steps,
            comparison.bitwise_steps,
            str(comparison.wrong) if comparison.wrong else None,
        )
    return Trial(
        (*range(every, last, every), last),
        taken,
        percent("train"),
        time.perf_counter() - start,
        loop.batches.seconds + manual.seconds,
        beside,
    )


@functools.cache
def _images(dataset: str, root: Path) -> data.Data:
    """All images, read once by each process."""
    return data.load(dataset, root, TRAINING_IMAGES, torch.device("cpu"), torch.float32)


def run_all(
    jobs: Sequence[Job],
    out: Path,
    describe: Callable[[Trial], str],
    *,
    at_once: int | None = None,
) -> dict[Job, Trial]:
    """The trials of all jobs, in the order given; those that `out` holds from an earlier time are
    not made again. So many run `at_once`: as many as there are cores, where it isn't said.

    A line for each as it comes. Stopped by an error or Ctrl-C, it ends its processes and keeps what
    is done. UserError for a folder in other use.
    """
    if not os.access(out / "trials", os.F_OK):  # False, and no error, for a name too long
        folder.check_new(out)
    done = {job: trial for job in jobs if (trial := _read(job, out))}
    todo = [job for job in jobs if job not in done]
    if done:
        print(f"{len(done)} of {len(jobs)} runs are in {out} already")
    if not todo:
        return done
    # what may be missing, damaged or too large shows here, before there is a folder
    source = todo[0].config.data
    data.load(source.dataset, source.data_dir, 1, torch.device("cpu"), torch.float32)
    prepare(todo[0].config)
    try:
        (out / "trials").mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"--out {out}: {error.strerror}; name another") from error
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])  # torch is imported once for all
    with (
        folder.claim(out),
        ProcessPoolExecutor(
            min(at_once or cores(), len(todo)), context, initializer=_live_with_parent
        ) as pool,
        tqdm(total=len(jobs), initial=len(done), unit="run", disable=None, leave=False) as bar,
    ):
        try:
            mask = signal.pthread_sigmask(
                signal.SIG_BLOCK, {signal.SIGINT}
            )  # as the processes inherit it: Ctrl-C is for this one
            # nor does the Python of their server take a user's random.py for its own
            with mock.patch.dict(os.environ, PYTHONSAFEPATH="1"):
                futures = {pool.submit(run, job): job for job in todo}
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
            for future in as_completed(futures):
                job = futures[future]
                try:
                    done[job] = trial = future.result()
                except Diverged as error:
                    raise Diverged(f"{job.title}: {error}") from None
                except BrokenProcessPool:
                    raise UserError(
                        "a process was ended from outside, perhaps for want of memory; go on with "
                        f"{pasted(*option('--out', out))}"
                    ) from None
                _write(job, trial, out)
                bar.write(f"{job.title}: {describe(trial)}, {trial.seconds:.0f} s")
                bar.update()
        except BaseException:
            for process in multiprocessing.active_children():
                process.terminate()
            raise  # and the pool is waited for: Python's own end may trip over one that is not done
    return {job: done[job] for job in jobs}


def _live_with_parent() -> None:
    """End this process when its parent has ended, in whichever way."""
    parent = multiprocessing.parent_process()
    assert parent

    def wait() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=wait, daemon=True).start()


def _file(job: Job, out: Path) -> Path:
    return out / "trials" / f"{job.title}.json"


def _write(job: Job, trial: Trial, out: Path) -> None:
    path = _file(job, out)
    try:
        files.write_json(path, dataclasses.asdict(_TrialFile(job.key, trial)))
    except OSError as error:
        raise UserError(
            f"--out {out}: {path} cannot be written ({error.strerror}); what is done before is kept"
        ) from error


def _read(job: Job, out: Path) -> Trial | None:
    """The result of an earlier run. UserError if it is of other options, or no result at all."""
    path = _file(job, out)
    if not path.exists():
        return None
    try:
        kept = msgspec.json.decode(files.read(path), type=_TrialFile)
    except (OSError, ValueError) as error:
        raise UserError(
            f"--out {out}: {path} is damaged ({error}); remove it, or name another folder"
        ) from error
    scores = kept.trial.accuracy.values()
    whole = kept.trial.accuracy.keys() == set(job.splits) and all(
        len(each) == len(kept.trial.epochs) > 0 for each in scores
    )
    if not whole or not all(0 <= score <= 100 for each in scores for score in each):
        raise UserError(
            f"--out {out}: {path} is damaged (no scores of {as_typed(job.splits)}); remove it, or "
            "name another folder"
        )
    if kept.options != job.key:
        raise UserError(f"--out {out}: {path} is of other options; name another folder")
    return kept.trial
