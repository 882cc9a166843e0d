"""What a run has learned: for each engine a state dict of torch, readable without this project."""

import io
from collections.abc import Sequence
from pathlib import Path

import torch

from manual.network import Network
from scripts.common import files
from scripts.common.command_line import option, typed
from scripts.common.program import UserError
from scripts.learners.base import Learner
from scripts.run.config import Config
from torch_ref.model import build, copy_to_network


def save(out: Path, learners: Sequence[Learner]) -> None:
    """Write manual.pt and torch.pt, or the one of the engine that trained, on the CPU, so that
    either is read where there is no GPU. OSError where they can't be written.
    """
    for learner in learners:
        state = {name: value.cpu() for name, value in learner.state_dict().items()}
        content = io.BytesIO()
        torch.save(state, content)
        with content.getbuffer() as written:
            files.write(out / f"{learner.name}.pt", written)


def load(out: Path, config: Config) -> Network:
    """The network that the run in `out` ended with: by hand, or if torch.nn alone was trained,
    torch's.

    UserError where the run has not ended, or the file is not what it left.
    """
    paths = [out / f"{engine}.pt" for engine in config.run.engines]
    path = next((path for path in paths if path.exists()), None)
    if path is None:
        raise UserError(
            f"RUN {out}: it has not come to its end; go on with  "
            f"{typed('scripts.train', *option('--resume', out))}"
        )
    network = Network(config.spec, dtype=getattr(torch, config.run.dtype))
    model = build(network)
    try:
        with files.opened(path) as file:
            model.load_state_dict(torch.load(file, map_location="cpu", weights_only=True))
    except Exception as error:  # whatever torch.load makes of what is no state dict
        raise UserError(
            f"{path}: is damaged, or not of this run ({type(error).__name__}); train it again"
        ) from error
    copy_to_network(model, network)
    return network
