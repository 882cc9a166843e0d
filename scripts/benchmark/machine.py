"""The machine that figures belong to."""

import os
import platform
import re
from datetime import date
from pathlib import Path

import numpy as np
import torch


def describe() -> dict[str, str]:
    """What a figure depends on, by name."""
    blas = np.show_config(mode="dicts")["Build Dependencies"]["blas"]
    machine = {
        "cpu": _cpu(),
        "cores": str(os.cpu_count()),
        "torch": f"{torch.__version__}, {_torch_blas()}",
        "numpy": f"{np.__version__}, {blas['name']} {blas['version']}",
        "python": platform.python_version(),
        "date": date.today().isoformat(),  # noqa: DTZ011 - the user's day
    }
    if torch.cuda.is_available():
        machine["gpu"] = torch.cuda.get_device_name()
    return machine


def _cpu() -> str:
    """The model's name as Linux has it, elsewhere what Python knows, with the widest instruction
    set that torch uses.
    """
    cpuinfo = Path("/proc/cpuinfo")
    named = (
        re.search(r"^model name\s*: (.+)$", cpuinfo.read_text(encoding="utf-8"), re.MULTILINE)
        if cpuinfo.exists()
        else None
    )
    name = named[1] if named else platform.processor() or platform.machine()
    return f"{name}, {torch.backends.cpu.get_cpu_capability()}"


def _torch_blas() -> str:
    mkl = re.search(r"Math Kernel Library Version (\S+)", torch.__config__.show())
    other = re.search(r"BLAS_INFO=(\w+)", torch.__config__.show())
    return f"MKL {mkl[1]}" if mkl else other[1] if other else "an unnamed BLAS"
