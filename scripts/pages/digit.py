"""The page on which a run's network reads a digit that is drawn."""

import base64
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from manual.layers import BatchNorm1d, Linear
from manual.network import Network
from scripts.common import files
from scripts.common.program import UserError
from scripts.page import Options
from scripts.pages.file import one_file, part, program
from scripts.run import folder
from scripts.run.config import CLASSES, Config
from scripts.training import data, learned

SCRIPTS = ("network.js", "digit.js")


def write(options: Options) -> None:
    """Write the page. UserError where there is no trained network, or it can't be written."""
    out = options.out or options.run / "digit.html"
    config = config_of(options.run)
    page = as_page(learned.load(options.run, config), config, examples(config))
    files.write_out(out, page)
    print(f"written to {out}: open it in a browser")


def config_of(run: Path) -> Config:
    """The config of a run on MNIST. UserError where `run` is none."""
    config = folder.config_of(run, "RUN")
    if config.data.dataset != "mnist":
        raise UserError(
            f"RUN {run}: learned {config.data.dataset}; name a run on mnist, whose digits can be "
            "drawn"
        )
    return config


def examples(config: Config) -> list[str]:
    """The first test image of each digit, (784,) of bytes."""
    test = data.load("mnist", config.data.data_dir, 1, torch.device("cpu"), torch.float32).test
    first = [test.images[test.labels == digit][0] for digit in range(CLASSES)]
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
    """w (I, O) and b (O,) of z = x w + b before each activation: a frozen batch normalization is
    part of the w and b before it.

    With r = gamma / sqrt(var + eps): gamma (x w - mean) / sqrt(var + eps) + beta = x (w r) + beta -
    mean r.
    """
    layers: list[tuple[Tensor, Tensor]] = []
    for layer, _ in network.layers:
        if isinstance(layer, Linear):
            layers.append(
                (layer.w, layer.w.new_zeros(layer.w.shape[1]) if layer.b is None else layer.b)
            )
        elif isinstance(layer, BatchNorm1d):
            w, _ = layers.pop()
            r = layer.gamma * torch.rsqrt(layer.var + layer.eps)
            layers.append((w * r, layer.beta - layer.mean * r))
    return layers


def _base64(values: Tensor) -> str:
    """The numbers in reading order, little-endian, in base64."""
    return base64.b64encode(values.contiguous().numpy().tobytes()).decode()
