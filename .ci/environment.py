"""Make an environment, whole or not at all: `python3 .ci/environment.py .venv`.

.venv has the releases that requirements.txt pins, .venv-lowest the lowest that pyproject.toml
allows, .venv-newest the newest. Who comes second waits, and finds it made.
"""

import fcntl
import shutil
import signal
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).parent.parent
PROJECT = ROOT / "pyproject.toml"
PINNED = ROOT / ".ci" / "requirements.txt"


def main(folder: str) -> None:
    """Status 0 with a whole environment in ROOT/folder, else that of the command that failed."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # pip says that it was cancelled
    environment = ROOT / folder
    made = environment / "installed"
    with Path(f"{environment}.lock").open("a+") as lock:
        # Every command below inherits it: it is free when all have ended, even by kill -9.
        fcntl.flock(lock, fcntl.LOCK_EX)
        if made.exists() and made.stat().st_mtime >= max(
            path.stat().st_mtime for path in (PROJECT, PINNED)
        ):
            return
        lock.seek(0)
        if lock.read() and environment.exists():
            shutil.rmtree(environment)
        lock.write("not whole\n")
        lock.flush()
        made.unlink(missing_ok=True)
        pip = [str(environment / "bin" / "python"), "-m", "pip", "install", "--quiet"]
        for command in (
            [sys.executable, "-m", "venv", str(environment)],
            [*pip, *releases(folder)],
            [*pip, "--no-deps", "--no-build-isolation", "--editable", str(ROOT)],
        ):
            ended = subprocess.run(command, pass_fds=[lock.fileno()], check=False)  # noqa: S603
            if ended.returncode:
                sys.exit(ended.returncode)
        made.touch()
        lock.truncate(0)


def releases(folder: str) -> list[str]:
    """What pip is asked for."""
    project = tomllib.loads(PROJECT.read_text(encoding="utf-8"))["project"]
    ranges = [*project["dependencies"], *project["optional-dependencies"]["dev"]]
    return {
        ".venv": ["--require-hashes", "--requirement", str(PINNED)],
        ".venv-lowest": [each.replace(">=", "==") for each in ranges],
        ".venv-newest": ranges,
    }[folder]


if __name__ == "__main__":
    main(sys.argv[1])
