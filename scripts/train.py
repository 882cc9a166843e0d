"""python -m scripts.train: the lecture's network by hand and in torch.nn, side by side on MNIST."""

import shlex
import sys

import torch
import tyro
from tqdm import tqdm

from scripts.harness import data, folder
from scripts.harness.board import open_board
from scripts.harness.comparison import Comparison
from scripts.harness.config import DTYPES, Config, resolve
from scripts.harness.learners import Learner, ManualLearner, TorchLearner, prepare
from scripts.harness.loop import Epoch, Training
from scripts.harness.program import status
from scripts.harness.report import epoch_line, summarize, table


def main() -> int:
    """Status 0 after a whole run, 1 if it diverged, 2 for what the user can mend."""
    config = tyro.cli(tyro.conf.OmitArgPrefixes[Config], prog="python -m scripts.train")
    return status(lambda: train(config), "what was logged is kept; a smaller --lr may help a loss that is not finite")


def train(config: Config) -> None:
    """Check everything, then make the run's folder, then train."""
    config = resolve(config)
    folder.check(config.run.out)
    torch.set_num_threads(int(config.run.threads))
    device, dtype = torch.device(config.run.device), DTYPES[config.run.dtype]
    images = data.load(config.data.dataset, config.data.data_dir, config.data.train_size, device, dtype)
    network, loss, optimizer = prepare(config)
    manual = ManualLearner(network, loss, optimizer) if ManualLearner.name in config.run.engines else None
    reference = TorchLearner(network, loss, optimizer) if TorchLearner.name in config.run.engines else None
    learners: list[Learner] = [learner for learner in (manual, reference) if learner]
    comparison = Comparison(manual, reference) if manual and reference else None
    out = folder.make(config)

    updates = config.training.epochs * -(-config.data.train_size // config.training.batch_size)
    with (
        open_board(out, config) as board,
        tqdm(total=updates, unit=" updates", unit_scale=True, disable=not sys.stderr.isatty(), leave=False) as bar,
    ):
        training = Training(config, images, learners, comparison, board)

        def on_epoch(epoch: Epoch) -> None:
            bar.write(epoch_line(epoch, compared=comparison is not None))

        board.start(shlex.join(["python", "-m", "scripts.train", *sys.argv[1:]]), learners, training.updates)
        validation = training.run(bar.update, on_epoch)
        test = {learner.name: training.evaluate(learner, images.test) for learner in learners}
        summary = summarize(learners, validation, test, comparison)
        board.end(learners, images.test, summary["engines"], table(summary, out), training.updates)

    if training.stopped:
        print(training.stopped)
    folder.write_json(out / "summary.json", summary)
    print(table(summary, out))


if __name__ == "__main__":
    sys.exit(main())
