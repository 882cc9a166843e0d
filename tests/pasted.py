"""python -m tests.pasted: every command block of README and docs, as a reader pastes it.

In a fresh clone, page after page, each in a terminal of its own. The README's `make train` makes
the environment, so all takes an hour, and 6 GB of the temporary folder.
"""

import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pexpect

from tests.conftest import ROOT
from tests.docs import PAGES

LIMIT = 300  # seconds, after which a command has begun well, and is ended with Ctrl-C
# However long they take: what comes after uses what they leave.
WHOLE = ("make train", "python -m scripts.train", "torchrun --standalone")
ACTIVATE = "source .venv/bin/activate"
COLOURS = re.compile(r"\x1b\[[\d;]*[A-Za-z]")
# What a page has its reader paste into a terminal, and what save as a file.
PASTED = re.compile(
    rf"`(?P<line>{ACTIVATE})`"
    r"|^```sh\n(?P<block>.*?)^```"
    r"|`(?P<file>\w+\.py)`:\n\n```py\n(?P<text>.*?)^```",
    re.MULTILINE | re.DOTALL,
)


class Ended(NamedTuple):
    """How a command ended, and the last line that it printed."""

    status: int
    over: bool  # it took longer than LIMIT
    seconds: float
    last: str

    def __str__(self) -> str:
        how = "too long" if self.over else "FAILS" if self.status else "runs"
        return f"{how} (status {self.status}, {self.seconds:.0f} s): {self.last}"


class Terminal:
    """A reader's shell, in the folder of the clone."""

    def __init__(self, folder: Path) -> None:
        own = {name: os.environ[name] for name in ("HOME", "PATH", "TERM") if name in os.environ}
        own["VIRTUAL_ENV_DISABLE_PROMPT"] = "1"
        options = ["--norc", "--noprofile", "--noediting"]
        self.shell = pexpect.spawn(
            "bash", options, cwd=str(folder), env=own, encoding="utf-8", echo=False
        )
        self.paste(r"PS1='\nstatus $?> '")
        self.ended(10)

    def paste(self, command: str) -> None:
        self.shell.sendline(command)
        self.began = time.monotonic()

    def ended(self, limit: float | None) -> Ended:
        """What was pasted last, ended with Ctrl-C after so many seconds."""
        prompt = r"\nstatus (\d+)> "
        over = self.shell.expect([prompt, pexpect.TIMEOUT], timeout=limit) == 1
        seconds = time.monotonic() - self.began
        lines = self.shell.before.split("\n")
        if over:
            self.shell.sendintr()
            self.shell.expect(prompt, timeout=60)
        said = [COLOURS.sub("", line).rstrip().split("\r")[-1] for line in lines]
        return Ended(int(self.shell.match[1]), over, seconds, ["", *filter(None, said)][-1][-80:])


def pasted(page: Path, clone: Path) -> Iterator[tuple[str, Ended]]:
    """The commands of the page, one after another, and how each ended."""
    terminal = Terminal(clone)
    for found in PASTED.finditer(page.read_text()):
        if found["file"]:
            (clone / found["file"]).write_text(found["text"])
        for command in (found["line"] or found["block"] or "").splitlines():
            limit = None if command.startswith(WHOLE) else LIMIT
            here = command.replace("HOST", "localhost")
            if here != command:  # typed on two machines: the second is a terminal more
                other = Terminal(clone)
                other.paste(f"{ACTIVATE}; {here}")
            terminal.paste(here)
            yield command, terminal.ended(limit)


def main() -> int:
    """A line for each command; status 1 where one failed."""
    failed = 0
    with tempfile.TemporaryDirectory() as scratch:
        clone = Path(scratch, "backprop")
        subprocess.run(["git", "clone", "--quiet", str(ROOT), str(clone)], check=True)  # noqa: S607
        for page in PAGES:
            for command, ended in pasted(page, clone):
                print(f"{page.name:12} {command[:70]:70} {ended}", flush=True)
                failed += ended.status != 0 and not ended.over
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())
