"""scripts.bench: its contenders do the same work, its figures have their shape, its processes end.
No time is asserted.
"""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from torch.utils._python_dispatch import TorchDispatchMode

from manual.losses import HalfSquaredError
from scripts import bench
from scripts.benchmark import floor, plot, process, run, table, worker
from scripts.benchmark.case import (
    CONTENDERS,
    DEEP,
    LECTURE,
    WIDE,
    Case,
    Step,
    full_grid,
    quick_grid,
)
from scripts.benchmark.engines import loop, manual, plain, ready, reference_compiled
from scripts.benchmark.measure import measure, peak_bytes
from scripts.benchmark.numpy_mlp import NumpyMLP
from scripts.benchmark.result import Cell, Report, Spread
from scripts.benchmark.worker import Round
from scripts.common.program import UserError
from tests.conftest import ROOT, Call

TINY = Case((7, 5, 4, 3), 6)


def report(*cases: Case) -> Report:
    """Made-up figures: torch twice as slow, the floor half as much, in three rounds of which the
    last was slow.
    """
    factors = dict.fromkeys(CONTENDERS, 1.5) | {"manual": 1.0, "torch": 2.0, "floor": 0.5}
    cells = tuple(
        Cell.of(
            case,
            [
                {name: Round(factors[name] * s, 10**6) for name in case.contenders}
                for s in (1e-4, 2e-4, 8e-4)
            ],
        )
        for case in cases
    )
    epoch = {"manual": Spread.of([0.5]), "torch": Spread.of([2.0])}
    return Report(
        {"cpu": "a CPU", "torch": "2"},
        cells,
        epoch,
        DEEP,
        {"manual": 3 * 10**9, "torch": 4 * 10**9},
    )


class TestContenders:
    @pytest.mark.parametrize(("dtype", "eps"), [("float32", 2.0**-23), ("float64", 2.0**-52)])
    def test_numpy_finds_the_gradient_of_the_manual_network(self, dtype: str, eps: float) -> None:
        network, x, t = ready(Case((784, 30, 20, 10), 10, dtype))
        tape = network.forward(x)
        _, dy = HalfSquaredError()(tape.output, t)
        network.backward(dy, tape)
        values, gradients = network.parameters.values, network.parameters.gradients
        mlp = NumpyMLP(
            [values[f"w{k}"].numpy() for k in (1, 2, 3)],
            [values[f"b{k}"].numpy() for k in (1, 2, 3)],
            0.1,
        )
        dws, dbs = mlp.gradients(x.numpy(), t.numpy())
        for k in (1, 2, 3):
            for actual, name in ((dws[k - 1], f"w{k}"), (dbs[k - 1], f"b{k}")):
                expected = gradients[name].numpy()
                assert actual.dtype == expected.dtype
                # two BLAS and two exp: at most 3.0 eps of the largest entry over 200 networks and
                # batches
                assert np.abs(actual - expected).max() <= 8 * eps * np.abs(expected).max(), name

    def test_numpy_takes_a_step_down(self) -> None:
        _, x, t = ready(TINY)
        rng = np.random.default_rng(0)
        weights = [rng.normal(size=shape) for shape in ((7, 5), (5, 3))]
        mlp = NumpyMLP([w.copy() for w in weights], [np.zeros(5), np.zeros(3)], 0.1)
        dws, _ = mlp.gradients(x.numpy(), t.numpy())
        mlp.step(x.numpy(), t.numpy())
        np.testing.assert_array_equal(mlp.weights[0], weights[0] - 0.1 * dws[0])

    @pytest.mark.parametrize("case", [TINY, Case((7, 3), 1), Case((20, 30, 10), 10, "float64")])
    def test_the_floor_makes_the_products_of_the_manual_step(self, case: Case) -> None:
        expected = products(manual(case))
        assert products(floor.floor(case)) == expected == products(plain(case))
        assert (
            sum(
                2 * rows * inner * columns
                for _, (rows, inner), (_, columns) in map(shapes, expected)
            )
            == case.flops
        )

    def test_contenders_are_measured_in_processes_of_their_own(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Of them those whose figures are most asked for."""
        monkeypatch.setattr(Case, "contenders", ("manual", "torch", "numpy"))
        case = Case((7, 5, 4, 3), 6, "float64")
        cell = measure(case, rounds=2, least=0.001)
        assert (
            list(cell.seconds) == list(cell.ratio) == list(cell.peak_bytes) == list(case.contenders)
        )
        assert cell.ratio["manual"] == Spread(1, 1, 1)
        assert all(
            0 < spread.low <= spread.median <= spread.high for spread in cell.seconds.values()
        )
        assert cell.peak_bytes["numpy"] < cell.peak_bytes["manual"], (
            "NumPy's process has loaded torch, or counts its parent"
        )
        assert all(10**7 < peak < 10**10 for peak in cell.peak_bytes.values())

    def test_the_others_make_a_step(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Compiling takes some ten seconds: here the compiled function is the function itself."""
        monkeypatch.setattr("torch.compile", lambda function: function)
        for contender in (reference_compiled(TINY), loop(Case(LECTURE, 1000))):
            with contender as step:
                assert step.updates == 1
                step.call()
        with loop(Case(LECTURE, 10)) as step:
            assert step.updates == 64

    def test_compiling_needs_a_compiler(self, monkeypatch: pytest.MonkeyPatch) -> None:
        assert "torch_compiled" not in Case(LECTURE, 10, "float64").contenders
        monkeypatch.setattr("shutil.which", lambda _: "/usr/bin/g++")
        assert "torch_compiled" in Case(LECTURE, 10).contenders
        assert "C++" not in table.render(report(TINY), markdown=False)
        monkeypatch.setattr("shutil.which", lambda _: None)
        assert "torch_compiled" not in Case(LECTURE, 10).contenders
        assert "torch.compile: not measured, for it needs a C++ compiler" in table.render(
            report(TINY), markdown=False
        )

    def test_memory_of_a_few_steps(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Of both engines the last: what a process says is held above."""
        sizes = iter(range(4))
        alone = SimpleNamespace(round=lambda least: Round(least, next(sizes)))
        monkeypatch.setattr("scripts.benchmark.measure.worker", lambda *_: nullcontext(alone))
        assert peak_bytes(TINY, steps=2) == {"manual": 1, "torch": 3}


def test_the_grid() -> None:
    grid = full_grid(2, cpu=True, cuda=True)
    assert len(grid) == len(set(grid)) == 4 * 4 * 2 * 3
    assert {case.where for case in grid} == {"1 thread", "2 threads", "cuda"}
    assert len(full_grid(1, cpu=True, cuda=False)) == 4 * 4 * 2
    assert {case.where for case in full_grid(2, cpu=False, cuda=True)} == {"cuda"}
    assert "numpy" not in grid[-1].contenders
    assert set(quick_grid()) < set(grid)
    assert Case.from_json(grid[0].to_json()) == grid[0]


class TestResult:
    def test_ratios_are_taken_within_a_round(self) -> None:
        rounds = [
            {"manual": Round(s, 1), "torch": Round(r * s, 2)}
            for r, s in ((2, 1), (3, 100), (4, 10))
        ]
        cell = Cell.of(Case(WIDE, 10), rounds)
        assert cell.ratio["torch"] == Spread(3, 2.5, 3.5)
        assert cell.seconds["manual"] == Spread(10, 5.5, 55)

    def test_text(self) -> None:
        text = table.render(
            report(Case(WIDE, 128), Case((784, 30, 10), 10, "float64", device="cuda")),
            markdown=False,
        )
        lines = text.splitlines()
        assert lines[0] == "cpu a CPU; torch 2"
        for part in (
            "[784, 512, 512, 10]",
            "128",
            "float32",
            "1 thread",
            "200 (150 to 500)",
            "2.00 (2.00 to 2.00)",
            "50 %",
            "3.00",
        ):
            assert part in lines[3]
        assert "cuda" in lines[4]
        assert "4.00 times as long" in text
        assert "3000 MB, torch 4000 MB, 0.75 of torch's" in text

    def test_markdown(self) -> None:
        lines = table.render(report(*quick_grid()), markdown=True).splitlines()
        rows = [line for line in lines if line.startswith("|")]
        assert len(rows) == 2 + len(quick_grid())
        assert len({row.count("|") for row in rows}) == 1

    def test_json(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        run.publish(report(*quick_grid()), bench.Options(json="-"))
        printed = json.loads(capsys.readouterr().out)
        assert printed["machine"]["cpu"] == "a CPU"
        cell = printed["cells"][0]
        assert cell["case"] == {
            "sizes": [784, 30, 10],
            "batch_size": 1,
            "dtype": "float32",
            "threads": 1,
            "device": "cpu",
        }
        assert cell["ratio"]["torch"] == {"median": 2.0, "low": 2.0, "high": 2.0}
        assert cell["gflops"] == pytest.approx(flops_of_a_sample(784, 30, 10) / 2e-4 / 1e9)
        file = tmp_path / "report.json"
        run.publish(report(*quick_grid()), bench.Options(json=str(file)))
        assert json.loads(file.read_text()) == printed
        assert "by hand, us" in capsys.readouterr().out

    def test_plot(self, tmp_path: Path) -> None:
        plot.draw(report(*full_grid(2, cpu=True, cuda=True)), tmp_path / "ratio.png")
        assert (tmp_path / "ratio.png").read_bytes().startswith(b"\x89PNG")


class TestProcesses:
    def test_a_worker_ends_with_the_block_that_fails(self) -> None:
        pids = []

        def fail() -> None:
            with process.worker("numpy", TINY) as alone:
                alone.round(0)
                pids.append(alone._process.pid)
                raise UserError

        with pytest.raises(UserError):
            fail()
        assert not alive(pids[0])

    def test_workers_end_when_their_parent_is_killed(self) -> None:
        command = [sys.executable, "-c"]
        command.append(
            "import time\n"
            "from scripts.benchmark.process import worker\n"
            "from scripts.benchmark.case import Case\n"
            "with worker('numpy', Case((7, 3), 2)) as alone:\n"
            "    alone.round(0)\n"
            "    print(alone._process.pid, flush=True)\n"
            "    time.sleep(60)\n"
        )
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as parent:
            assert parent.stdout
            pid = int(parent.stdout.readline())
            assert alive(pid)
            parent.send_signal(signal.SIGKILL)
        assert until(lambda: not alive(pid))

    def test_a_worker_that_fails_says_why_in_one_line(self) -> None:
        with (
            process.worker("numpy", Case((7, 3), -2)) as alone,
            pytest.raises(process.Failed) as failed,
        ):
            alone.round(0)
        assert str(failed.value).startswith('numpy on {"sizes": [7, 3], "batch_size": -2')
        assert (
            "ended with status 1: error: ValueError: negative dimensions are not allowed; that is"
            in str(failed.value)
        )

    def test_a_failure_is_the_programs_status(
        self, monkeypatch: pytest.MonkeyPatch, call: Call
    ) -> None:
        def run(*_: object, **__: object) -> Report:
            raise process.Failed("torch ended")

        monkeypatch.setattr("scripts.benchmark.run.run", run)
        assert call(bench, "--quick", "--data-dir", str(ROOT / "data")) == (
            1,
            "",
            "stopped: torch ended\n",
        )

    def test_a_round_lasts_as_long_as_asked_and_makes_a_step_at_least(self) -> None:
        steps: list[int] = []
        assert worker.seconds_per_step(Step(lambda: steps.append(0)), 0, lambda: None) > 0
        assert len(steps) == 1
        start = time.perf_counter()
        worker.seconds_per_step(Step(lambda: steps.append(0)), 0.02, lambda: None)
        assert time.perf_counter() - start >= 0.02


Product = tuple[str, tuple[tuple[tuple[int, ...], tuple[int, ...]], ...]]


def products(contender: AbstractContextManager[Step]) -> list[Product]:
    """The matrix products of its step: name, and shape and strides of each factor."""
    found: list[Product] = []

    class Record(TorchDispatchMode):
        def __torch_dispatch__(
            self, func: Any, types: Any, args: Any = (), kwargs: Any = None
        ) -> Any:
            name = func.overloadpacket.__name__
            if name in ("mm", "addmm"):
                found.append((name, tuple((tuple(a.shape), a.stride()) for a in args)))
            return func(*args, **kwargs or {})

    with contender as step:
        step.call()  # where a recording is made
        with Record():
            step.call()
    return found


def shapes(product: Product) -> tuple[str, tuple[int, ...], tuple[int, ...]]:
    """Name and the shapes of the two matrices."""
    name, factors = product
    return name, factors[-2][0], factors[-1][0]


def flops_of_a_sample(inputs: int, hidden: int, outputs: int) -> int:
    """Of one sample, written out: z, dw of both layers, dx of the second."""
    return 2 * (2 * inputs * hidden + 3 * hidden * outputs)


def alive(pid: int) -> bool:
    """Whether the process runs; one that only waits to be reaped does not."""
    try:
        os.kill(pid, 0)
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except (ProcessLookupError, FileNotFoundError):
        return False


def until(condition: Callable[[], bool], seconds: float = 10) -> bool:
    """Whether the condition comes true in time."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.02)
    return True
