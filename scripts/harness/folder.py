"""The folder that a run leaves its logs in."""

import json
import os
from datetime import datetime
from pathlib import Path
from typing import Any

from scripts.harness.config import Config
from scripts.harness.program import UserError


def check(out: Path | None) -> None:
    """UserError for a folder that is in use or can't be written; makes nothing."""
    if out is None:
        return
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UserError(f"--out {out}: exists and is not an empty folder; name a new one")
    parent = next(path for path in (out, *out.absolute().parents) if path.exists())
    if not parent.is_dir() or not os.access(parent, os.W_OK | os.X_OK):
        raise UserError(f"--out {out}: {parent} is not a folder that can be written; name another")


def make(config: Config) -> Path:
    """The folder of a resolved config, new or empty, with its config.json in it."""
    out = config.run.out or fresh(_name(config))
    try:
        out.mkdir(parents=True, exist_ok=True)
        write_json(out / "config.json", config.to_dict())
    except OSError as error:
        raise UserError(f"--out {out}: {error.strerror}; name another") from error
    return out


def write_json(path: Path, contents: dict[str, Any]) -> None:
    """A file that people and programs read."""
    path.write_text(json.dumps(contents, indent=2) + "\n")


def fresh(name: str) -> Path:
    """A folder under runs/ that does not exist yet, named after the time and `name`."""
    stamped = f"{datetime.now():%Y%m%d-%H%M%S}-{name}"  # noqa: DTZ005 - the user's clock
    out = Path("runs") / stamped
    attempt = 1
    while out.exists():
        attempt += 1
        out = Path("runs") / f"{stamped}-{attempt}"
    return out


def _name(config: Config) -> str:
    sizes = "x".join(map(str, config.network.sizes))
    activations = "-".join(dict.fromkeys(config.network.activations))
    return f"{config.data.dataset}-{sizes}-{activations}-{config.training.loss}"
