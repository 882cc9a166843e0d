"""python -m scripts.page RUN: a page on which a run's trained network reads a digit that you draw."""

import base64
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import torch
import tyro
from torch import Tensor

from manual.layers import BatchNorm1d, Linear
from manual.network import Network
from scripts.harness import command_line, data, files
from scripts.harness.checkpoint import Checkpoints
from scripts.harness.command_line import shown_as
from scripts.harness.config import Config
from scripts.harness.folder import CONFIG
from scripts.harness.program import UserError, status
from scripts.pages.file import one_file, part, program

SCRIPTS = ("network.js", "digit.js")
EXAMPLES = {
    "the page of a run that `make train` left": "runs/lecture",
    "under another name": "runs/lecture --out digit.html",
}


@dataclass(frozen=True)
class Options:
    """Draw a digit and see what a trained network makes of it: outputs, hidden units, backward.

    The page is one file that needs nothing else. On it the hand-written network of a run on MNIST can also learn what you
    draw, by one update at a time.
    """

    run: Annotated[Path, tyro.conf.Positional, shown_as("RUN")]
    """Folder of the run, as scripts.train left it."""
    out: Annotated[Path | None, shown_as("PATH")] = None
    """File to write; by default digit.html in the run's folder."""


def main() -> int:
    """Status 0 with the page, 2 for what the user can mend."""
    options = command_line.parse(Options, "scripts.page", EXAMPLES)
    return status(lambda: write(options))


def write(options: Options) -> None:
    """UserError where there is no trained network, or the page can't be written."""
    out = options.out or options.run / "digit.html"
    config = config_of(options.run)
    page = as_page(trained(options.run, config), config, examples(config))
    try:
        files.write(out, page.encode())
    except OSError as error:
        raise UserError(f"--out {out}: cannot be written ({error.strerror}); name another") from error
    print(f"written to {out}: open it in a browser")


def config_of(run: Path) -> Config:
    """Of a run on MNIST by hand. UserError where `run` is none."""
    try:
        config = Config.from_json((run / CONFIG).read_bytes())
    except OSError as error:
        raise UserError(
            f"{run}: no run is there ({CONFIG}: {error.strerror}); name the folder of one, such as runs/lecture"
        ) from error
    except ValueError as error:
        raise UserError(f"{run / CONFIG}: is damaged ({error}); name another run") from error
    if config.data.dataset != "mnist":
        raise UserError(f"{run}: learned {config.data.dataset}; name a run on mnist, whose digits can be drawn")
    if "manual" not in config.run.engines:
        raise UserError(f"{run}: trained torch alone; name a run that trained by hand too")
    return config


def trained(run: Path, config: Config) -> Network:
    """The hand-written network as the run left it, on the CPU."""
    saved = Checkpoints(run).latest()
    if saved is None:
        raise UserError(f"{run}: has no checkpoint; name a run that has trained")
    state = saved.state["learners"]["manual"]
    network = Network(config.spec, dtype=state["theta"].dtype)
    network.parameters.theta.copy_(state["theta"])
    for name, buffer in network.buffers.items():
        buffer.copy_(state["buffers"][name])
    return network


def examples(config: Config) -> list[str]:
    """The first test image of each digit, (784,) of bytes."""
    test = data.load("mnist", config.data.data_dir, 1, torch.device("cpu"), torch.float32).test
    first = [test.images[test.labels == digit][0] for digit in range(data.CLASSES)]
    return [_base64((image * 255).round().to(torch.uint8)) for image in first]


def as_page(network: Network, config: Config, images: list[str]) -> str:
    """One HTML file that needs nothing else."""
    layers = affine(network)
    given: dict[str, Any] = {
        "sizes": network.spec.sizes,
        "activations": network.spec.activations,
        "loss": config.training.loss,
        "lr": config.training.lr if config.training.optimizer == "sgd" else 0.5,
        "parameters": [[_base64(w.float()), _base64(b.float())] for w, b in layers],
        "images": images,
    }
    body = part("digit.html") + program(SCRIPTS, given)
    return one_file("A digit, read by a network", ("page.css", "digit.css"), body)


def affine(network: Network) -> list[tuple[Tensor, Tensor]]:
    """w (I, O) and b (O,) of z = x w + b before each activation: a frozen batch normalization is part of the w and b before it.

    With r = gamma / sqrt(var + eps): gamma (x w - mean) / sqrt(var + eps) + beta = x (w r) + beta - mean r.
    """
    layers: list[tuple[Tensor, Tensor]] = []
    for layer, _ in network.layers:
        if isinstance(layer, Linear):
            layers.append((layer.w, layer.w.new_zeros(layer.w.shape[1]) if layer.b is None else layer.b))
        elif isinstance(layer, BatchNorm1d):
            w, _ = layers.pop()
            r = layer.gamma * torch.rsqrt(layer.var + layer.eps)
            layers.append((w * r, layer.beta - layer.mean * r))
    return layers


def _base64(values: Tensor) -> str:
    """In reading order, little-endian."""
    return base64.b64encode(values.contiguous().numpy().tobytes()).decode()


if __name__ == "__main__":
    sys.exit(main())
