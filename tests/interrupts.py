"""python -m tests.interrupts: Ctrl-C at 20 moments of the start of each program, while it imports
and when it begins to work.

Each has to end with one line and status 130. The tests do a few, at the imports of certain modules.
"""

import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

import tyro
from PIL import Image

ROOT = Path(__file__).parent.parent
MINE = "def forward(x):\n    return x * x\n\n\ndef backward(dy, x):\n    return 2 * x * dy\n"
PROGRAMS = {
    "scripts.train": "--epochs 100 --compare-every 1 --data-dir {data} --out run{i}",
    "scripts.compare": "",
    "scripts.check": "mine.py::forward mine.py::backward --shape 200 500",
    "scripts.prove": "",
    "scripts.walkthrough": "",
    "scripts.page": "run --out page{i}.html",
    "scripts.predict": "run pictures",
    "scripts.runs": "",
    "scripts.learning_curve": "--data-dir {data} --out curve{i}",
    "scripts.reproduce": "--data-dir {data} --out published{i}",
    "scripts.ladder": "--data-dir {data} --out ladder{i}",
    "scripts.bench": "--quick --data-dir {data}",
}
FIRST = 0.25  # seconds: before this, Python itself is still starting, and says what it likes


class Ended(NamedTuple):
    """How a program ended."""

    status: int
    err: str

    @property
    def before(self) -> bool:
        """The work was done when the signal came."""
        return (self.status, self.err) == (0, "")

    @property
    def well(self) -> bool:
        """With one line, as a person who typed Ctrl-C wants it."""
        return (
            self.status == 128 + signal.SIGINT
            and self.err.startswith("interrupted")
            and self.err.count("\n") == 1
        )


def interrupted(program: str, options: str, after: float, folder: Path) -> Ended:
    """Ctrl-C so many seconds after the start, to the program and all that it has started, as a
    terminal does it.
    """
    command = [sys.executable, "-m", program, *options.split()]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    out, err = subprocess.DEVNULL, subprocess.PIPE
    with subprocess.Popen(
        command,
        cwd=folder,
        env=environment,
        stdout=out,
        stderr=err,
        text=True,
        start_new_session=True,
    ) as process:
        time.sleep(after)
        os.killpg(process.pid, signal.SIGINT)
        _, said = process.communicate(timeout=60)
    return Ended(process.returncode, said)


def main(moments: int = 20, last: float = 8.0) -> int:
    """Interrupt every program; status 1 if one ended otherwise.

    Args:
        moments: of each program, evenly.
        last: of them, in seconds after the start; of a program that is done by then, up to three
        quarters of its time.
    """
    bad = 0
    with tempfile.TemporaryDirectory() as scratch:
        Path(scratch, "mine.py").write_text(MINE)
        prepare(Path(scratch))
        for program, options in PROGRAMS.items():
            until = min(
                last,
                0.75
                * seconds(
                    program, options.format(data=ROOT / "data", i="whole"), last, Path(scratch)
                ),
            )
            good = before = 0
            for i in range(moments):
                after = FIRST + (until - FIRST) * i / (moments - 1)
                ended = interrupted(
                    program, options.format(data=ROOT / "data", i=i), after, Path(scratch)
                )
                good += ended.well
                before += ended.before
                if not (ended.well or ended.before):
                    print(f"{program} after {after:.2f} s: status {ended.status}\n{ended.err}")
            left = moments - before
            done = f"; it was done before the other {before}" if before else ""
            print(f"{program}: {good} of {left} moments up to {until:.1f} s{done}", flush=True)
            bad += good < left
    return int(bad > 0)


def prepare(folder: Path) -> None:
    """A run and a picture for scripts.predict, in the folder."""
    options = [
        "--epochs",
        "1",
        "--train-size",
        "100",
        "--board",
        "off",
        "--data-dir",
        str(ROOT / "data"),
        "--out",
        "run",
    ]
    command = [sys.executable, "-m", "scripts.train", *options]
    subprocess.run(
        command,
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        check=True,
    )
    (folder / "pictures").mkdir()
    picture = Image.new("L", (4000, 3000))
    picture.paste(255, (1000, 1000, 1200, 2000))
    picture.save(folder / "pictures" / "one.png")


def seconds(program: str, options: str, most: float, folder: Path) -> float:
    """How long it takes by itself, `most` if longer."""
    start = time.perf_counter()
    command = [sys.executable, "-m", program, *options.split()]
    try:
        environment = os.environ | {"PYTHONPATH": str(ROOT)}
        subprocess.run(
            command, cwd=folder, env=environment, capture_output=True, timeout=most + 1, check=False
        )
    except subprocess.TimeoutExpired:
        return most
    return time.perf_counter() - start


if __name__ == "__main__":
    sys.exit(tyro.cli(main, prog="python -m tests.interrupts"))
