"""python -m scripts.train: the lecture's network by hand and in torch.nn, side by side on MNIST."""

import dataclasses
import os
import sys

from scripts.common import command_line
from scripts.common.program import exit_on_user_error, loading, status
from scripts.run import folder, past
from scripts.run.config import Config

EXAMPLES = {
    "a quick look: one pass over the images": "--epochs 1",
    "another network": "--activations relu --loss cross-entropy --initializer default --lr 0.1",
    "by hand alone, into a folder of your own": "--engines manual --out runs/by-hand",
    "the rest of a run that was stopped, and ten epochs more": "--resume runs/by-hand --epochs 40",
}


def main() -> int:
    """Status 0 after a whole run, 1 if a gradient was wrong or it could not go on, 2 for what the
    user can mend, 128 + its number after a signal.
    """
    # under torchrun only rank 0 prints, and which process that is takes torch to find out
    config = None if "TORCHELASTIC_RUN_ID" in os.environ else parse()
    with loading():
        from scripts.common import torchrun
        from scripts.training import session
    with exit_on_user_error():
        processes = torchrun.processes()
    with processes.rank_zero_prints():
        return status(
            lambda: session.train(config or parse(), processes), "what was logged is kept"
        )


def parse() -> Config:
    """The config of the command line. With --resume the defaults are the options of that run."""
    config = command_line.parse(Config, "scripts.train", EXAMPLES)
    if config.run.resume is None:
        return config
    with exit_on_user_error():
        resume = past.find(config.run.resume, "--resume", resumable=True)
        saved = folder.config_of(resume)
    # the folder may have been moved since
    saved = dataclasses.replace(saved, run=dataclasses.replace(saved.run, out=None))
    config = command_line.parse(Config, "scripts.train", EXAMPLES, saved)
    return dataclasses.replace(config, run=dataclasses.replace(config.run, resume=resume))


if __name__ == "__main__":
    sys.exit(main())
