"""The ladder: its rungs, its figures, and the search for its settings."""

import dataclasses
import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from scripts import ladder as program
from scripts.common.program import Stopped
from scripts.experiments import ladder, rungs, search, trials
from scripts.experiments.rungs import RUNGS, Rung, by_itself, on_the_ladder, with_options
from scripts.experiments.trials import Beside, Job, Trial
from scripts.run.config import Config
from tests.conftest import ROOT, Call

SMALL = (
    Rung("lecture", "A look in the code", {"train_size": 300, "epochs": 1}),
    Rung("relu", "Activations", {"activations": ("relu",), "initializer": "default", "lr": 0.5},
        {"lr": (0.2, 0.5)}, {"batch_size": 20, "train_size": 300, "epochs": 1}),
)  # fmt: skip


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Two rungs on few images, in this process; the lecture's run, for those alone, as few."""

    def here(
        jobs: Sequence[Job], out: Path, describe: Callable[[Trial], str], **_: int
    ) -> dict[Job, Trial]:
        out.mkdir(exist_ok=True)
        done = {job: trials.run(job) for job in jobs}
        assert all(describe(trial) for trial in done.values())
        return done

    for module in (ladder, rungs, search):
        monkeypatch.setattr(module, "RUNGS", SMALL)
    monkeypatch.setattr(trials, "run_all", here)
    monkeypatch.setattr(search, "SEEDS", range(1000, 1001))
    lectures = with_options(Config(), {"train_size": 300, "epochs": 1})
    alone = {rung: with_options(lectures, rung.alone) for rung in SMALL}
    monkeypatch.setattr(ladder, "by_itself", alone.__getitem__)
    yield
    trials._images.cache_clear()


@pytest.mark.parametrize("rung", RUNGS, ids=lambda rung: rung.name)
def test_a_rung_is_a_run_of_the_trainer_and_differs_from_the_one_below(rung: Rung) -> None:
    assert trials.alone(on_the_ladder(rung))
    assert trials.alone(by_itself(rung))
    if rung is not RUNGS[0]:
        below = RUNGS[RUNGS.index(rung) - 1]
        assert on_the_ladder(rung) != on_the_ladder(below)
        assert by_itself(rung) != Config()
        assert all(rung.change[name] in values for name, values in rung.grid.items())
    else:
        assert on_the_ladder(rung) == by_itself(rung) == Config()


def test_search_and_report_share_no_seed() -> None:
    assert search.SEEDS.start >= trials.MOST_SEEDS


@pytest.mark.parametrize(
    ("n", "t"), [(2, 12.7062), (3, 4.3027), (10, 2.2622), (30, 2.0452), (100, 1.9842)]
)
def test_interval_is_students(n: int, t: float) -> None:
    """Tables of t for 95 % on both sides."""
    values = [float(i % 2) for i in range(n)]
    low, high = ladder.interval(values) or (0.0, 0.0)
    mean = sum(values) / n
    sd = (sum((value - mean) ** 2 for value in values) / (n - 1)) ** 0.5
    assert (low + high) / 2 == pytest.approx(mean)
    assert (high - low) / 2 == pytest.approx(t * sd / n**0.5, rel=1e-4)
    assert ladder.interval([97.0]) is None


def trial(test: float, seconds: float, torchs: float = 0.0) -> Trial:
    beside = Beside({"validation": 0.0, "test": test + 0.1}, torchs, 10, 9, None)
    accuracy: dict[str, tuple[float, ...]] = {"validation": (test + 1,), "test": (test,)}
    return Trial((1,), accuracy, 99.0, 60.0, seconds, beside if torchs else None)


def test_row_of_a_rung() -> None:
    row = ladder.summarize(
        RUNGS[1],
        [trial(95.0, 9.0), trial(96.0, 9.0)],
        [trial(95.0, 2.0, 5.0), trial(96.0, 4.0, 8.0), trial(97.0, 3.0, 9.0)],
        [trial(94.0, 8.0)],
        [trial(93.0, 10.0)],
    )
    assert (row.validation, row.test, row.by_seed) == (96.5, 95.5, [95.0, 96.0])
    assert (row.seconds, row.torch_seconds, row.times) == (3.0, 8.0, 2.5)
    assert row.torch_difference == pytest.approx(0.1)
    assert (row.compared, row.equal, row.wrong) == (30, 27, None)
    assert row.alone == (1.0, -2.0)
    (_, _, line) = ladder.table([row]).splitlines()
    assert "95.50 ± 0.71 [89.15, 101.85]" in line
    assert "27 of 30" in line
    assert "+1.00, -2.0 s" in line


@pytest.mark.usefixtures("small")
def test_climbs_and_writes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = program.Options(seeds=2, data_dir=ROOT / "data", out=tmp_path)
    ladder.climb(options, tmp_path / "out")
    printed = capsys.readouterr().out
    rows = json.loads((tmp_path / "out" / "table.json").read_text())["rows"]
    assert [row["rung"] for row in rows] == ["lecture", "relu"]
    for row, rung in zip(rows, SMALL, strict=True):
        jobs = ladder._jobs(rung.name, on_the_ladder(rung), 2, options)
        assert row["by_seed"] == [trials.run(job).accuracy["test"][-1] for job in jobs]
        assert row["compared"] == 0  # none comes in so few updates
        assert row["torch_difference"] == 0
    assert rows[0]["alone"] is None
    assert len(rows[1]["alone"]) == 2
    assert "| relu" in printed
    assert (tmp_path / "out" / "table.md").read_text().count("| relu") == 2
    assert (tmp_path / "out" / "ladder.png").read_bytes()[:4] == b"\x89PNG"
    assert list((tmp_path / "out").glob("events.*"))


@pytest.mark.usefixtures("small")
def test_a_wrong_gradient_is_said_after_the_table(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    right = trials.run

    def wrong(job: Job) -> Trial:
        found = right(job)
        if found.beside:
            return dataclasses.replace(
                found, beside=dataclasses.replace(found.beside, wrong="WRONG: dw1")
            )
        return found

    monkeypatch.setattr(trials, "run", wrong)
    with pytest.raises(Stopped, match="lecture: WRONG: dw1"):
        ladder.climb(program.Options(seeds=1, data_dir=ROOT / "data"), tmp_path / "out")
    assert "written to" in capsys.readouterr().out


@pytest.mark.usefixtures("small")
def test_search_looks_at_validation_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    search.search(program.Options(search=True, data_dir=ROOT / "data"), tmp_path / "out")
    printed = capsys.readouterr().out
    assert printed.count("| relu ") == 2
    assert printed.count("best") >= 1
    assert (tmp_path / "out" / "search.md").exists()
    (config,) = list(search._choices(SMALL[1]).values())[:1]
    (job,) = search._jobs("relu", config, ROOT / "data")
    assert job.splits == ("validation",)
    assert job.config.network.seed == 1000
    assert job.config.training.lr == 0.2


def test_quick_has_its_own_seeds(call: Call, tmp_path: Path) -> None:
    ended = call(program, "--quick", "--seeds", "5", "--out", str(tmp_path / "out"))
    assert ended.status == 2
    assert "--quick: has its own seeds and rungs" in ended.err
    assert not (tmp_path / "out").exists()
