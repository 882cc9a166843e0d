"""python -m scripts.benchmark.worker CONTENDER CASE: one contender, ready in a process of its own.

Every line on its standard input is a time in seconds; it makes steps for at least so long and
answers with one line, a `Round` in JSON. It ends with its input, so also when the process that
started it is no more.
"""

import json
import pkgutil
import resource
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from scripts.benchmark.case import CONTENDERS, Case, Step


@dataclass(frozen=True)
class Round:
    """Seconds per step, and the most memory that the process has held so far: its own, or on a GPU
    what it had there.
    """

    seconds: float
    peak_bytes: int


def main() -> None:
    """Answer until the input ends."""
    contender, case = sys.argv[1], Case.from_json(sys.argv[2])
    with pkgutil.resolve_name(CONTENDERS[contender])(case) as step:
        for line in sys.stdin:
            seconds = seconds_per_step(step, float(line), _synchronize(case.device))
            _fall_asleep()
            print(json.dumps(asdict(Round(seconds, _peak_bytes(case.device)))), flush=True)


def seconds_per_step(step: Step, least: float, synchronize: Callable[[], object]) -> float:
    """The mean over as many steps as fill `least` seconds, one at least. Reading the clock costs
    less than 0.1 us a step.
    """
    synchronize()
    steps, start = 0, time.perf_counter()
    while True:
        step.call()
        steps += step.updates
        if time.perf_counter() - start >= least:
            break
    synchronize()
    return (time.perf_counter() - start) / steps


def _synchronize(device: str) -> Callable[[], object]:
    if device == "cpu":
        return lambda: None
    synchronize: Callable[[], object] = pkgutil.resolve_name("torch.cuda:synchronize")
    return synchronize


def _peak_bytes(device: str) -> int:
    if device != "cpu":
        on_device: int = pkgutil.resolve_name("torch.cuda:max_memory_reserved")()
        return on_device
    status = Path("/proc/self/status")
    if status.exists():  # ru_maxrss is no less than the memory of whoever started this process
        return next(
            int(line.split()[1]) * 1024
            for line in status.read_text(encoding="utf-8").splitlines()
            if line.startswith("VmHWM")
        )
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def _fall_asleep() -> None:
    """Return when this process's threads are idle: those of OpenMP and OpenBLAS spin for a while
    after their work is done, and the next contender would be measured against them.
    """
    while True:
        start = time.process_time()
        time.sleep(0.01)
        if time.process_time() - start < 0.001:
            return


if __name__ == "__main__":
    main()
