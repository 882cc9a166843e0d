"""The whole benchmark: checked before, measured, and written."""

import json
from pathlib import Path

import torch
from tqdm import tqdm

from scripts.bench import Options
from scripts.benchmark import machine, plot, table
from scripts.benchmark.case import DEEP, full_grid, quick_grid
from scripts.benchmark.measure import measure, peak_bytes, seconds_per_epoch
from scripts.benchmark.result import Report
from scripts.common import files
from scripts.common.program import UserError
from scripts.training import data


def bench(options: Options) -> None:
    """Check the files and the data, measure, and write."""
    check(options)
    publish(run(options.data_dir, options.device, quick=options.quick), options)


def check(options: Options) -> None:
    """UserError, before any work, for a file that can't be written or data that can't be had."""
    if options.device == "cuda" and not torch.cuda.is_available():
        raise UserError("--device cuda: there is no CUDA device here; choose cpu or auto")
    if options.plot and options.plot.suffix != ".png":
        raise UserError(f"--plot {options.plot}: must end in .png")
    files = {
        "--plot": options.plot,
        "--json": Path(options.json) if options.json not in (None, "-") else None,
    }
    for option, path in files.items():
        if path:
            try:
                there = path.exists()
                path.open("ab").close()
                if not there:
                    path.unlink()
            except OSError as error:
                raise UserError(
                    f"{option} {path}: cannot be written ({error.strerror}); name another file"
                ) from error
    data.load("mnist", options.data_dir, 1, torch.device("cpu"), torch.float32)


def run(data_dir: Path, device: str, *, quick: bool) -> Report:
    """Measure everything."""
    cpu, cuda = (
        device != "cuda",
        device == "cuda" or (device == "auto" and torch.cuda.is_available()),
    )
    cases = (
        quick_grid("cpu" if cpu else "cuda")
        if quick
        else full_grid(torch.get_num_threads(), cpu=cpu, cuda=cuda)
    )
    runs = 1 if quick else 3
    with tqdm(
        total=len(cases) + 2 * runs + (not quick), unit="case", disable=None, leave=False
    ) as bar:
        cells = []
        for case in cases:
            bar.set_postfix_str(
                f"{list(case.sizes)} batch {case.batch_size} {case.dtype} {case.where}"
            )
            cells.append(measure(case))
            bar.update()
        bar.set_postfix_str("epochs of the lecture's run")
        epoch = seconds_per_epoch(data_dir, runs, epochs=2 if quick else 4, progress=bar.update)
        bar.set_postfix_str("memory")
        deep = {} if quick else peak_bytes(DEEP)
        bar.update(not quick)
    return Report(machine.describe(), tuple(cells), epoch, DEEP, deep)


def publish(report: Report, options: Options) -> None:
    """Print the report, and write the files that were asked for."""
    as_json = json.dumps(report.to_dict(), indent=2)
    print(as_json if options.json == "-" else table.render(report, markdown=options.markdown))
    if options.json not in (None, "-"):
        with files.results(Path(options.json)):
            Path(options.json).write_text(as_json + "\n", encoding="utf-8")
    if options.plot:
        with files.results(options.plot):
            plot.draw(report, options.plot)
