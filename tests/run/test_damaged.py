"""What is damaged, or of another run, is named, and it is said what to do."""

import io
import random
import shutil
from pathlib import Path

import pytest
import torch

from scripts.run import checkpoint
from tests import torture
from tests.conftest import Call
from tests.run.interruptions import SHORT, crafted
from tests.runs import newest, unequal


@pytest.mark.parametrize("seed", range(3))
def test_damage_anywhere_is_noticed(seed: int, whole: Path) -> None:
    content = newest(whole).read_bytes()
    path, chance = whole / "damaged", random.Random(seed)  # noqa: S311 - no secret
    for _ in range(10):
        path.write_bytes(torture.damaged(content, chance))
        with pytest.raises(ValueError, match="sha256"):
            checkpoint.read(path)
    for end in (0, 1, len(content) - 1):
        path.write_bytes(content[:end])
        with pytest.raises(ValueError, match="sha256"):
            checkpoint.read(path)


def test_damaged_checkpoint_is_named_and_the_one_before_is_used(
    call: Call, whole: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    shutil.copytree(whole, out)
    (out / "summary.json").unlink()
    broken = newest(out)
    broken.write_bytes(broken.read_bytes()[:-1])
    code, _, error = call("--resume", str(out))
    assert code == 0
    older = out / "checkpoints" / "000000036.checkpoint"
    assert (
        error
        == f"{broken} is damaged (its contents do not match their sha256): going back to {older}\n"
    )
    assert unequal(out, whole) == []


def test_every_checkpoint_damaged(call: Call, whole: Path) -> None:
    for path in (whole / "checkpoints").iterdir():
        path.write_bytes(b"")
    code, _, error = call("--resume", str(whole))
    assert code == 2
    assert error.endswith(
        "every checkpoint is damaged; remove this folder to train from the beginning\n"
    )
    assert error.count("is damaged (") == 2
    shutil.rmtree(whole / "checkpoints")
    assert call("--resume", str(whole))[0] == 0


def test_more_tensors_than_a_run_has_are_neither_read_nor_written(
    monkeypatch: pytest.MonkeyPatch, call: Call, whole: Path, tmp_path: Path
) -> None:
    checkpoint.read(newest(whole))
    monkeypatch.setattr(checkpoint, "MOST_TENSORS", 10)
    with pytest.raises(ValueError, match="not of a run's state, ValueError"):
        checkpoint.read(newest(whole))
    code, _, error = call(*SHORT.split(), "--out", str(tmp_path / "out"))
    why = "a checkpoint of so many layers would hold more than 10 tensors; take fewer"
    assert (code, error) == (2, f"error: --sizes: {why}\n")


@pytest.mark.parametrize("contents", [[], {}, {"progress": 1}, torch.zeros(3), None])
def test_something_else_with_a_good_digest(contents: object, tmp_path: Path) -> None:
    crafted(tmp_path / "it", contents)
    with pytest.raises(ValueError, match="not of a run's state"):
        checkpoint.read(tmp_path / "it")


def test_a_state_of_another_network_with_a_good_digest(call: Call, whole: Path) -> None:
    (whole / "summary.json").unlink()
    payload = newest(whole).read_bytes()[len(checkpoint._header(b"")) :]
    found = torch.load(io.BytesIO(payload), weights_only=True)
    found["state"]["learners"]["manual"]["theta"] = torch.zeros(())
    crafted(newest(whole), found)
    code, _, error = call("--resume", str(whole))
    assert code == 2
    assert "is not of a run like this" in error


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ("--lr 2 --seed 3", "--seed 3 (0 there), --lr 2.0 (3.0 there): the run in"),
        ("--sizes 784 20 10", "--sizes 784 20 10 (784 30 10 there)"),
        ("--batch-norm", "--batch-norm True (False there)"),
        ("--engines manual", "--engines manual (manual torch there)"),
        ("--compare-every 8", "--compare-every 8 (7 there)"),
        ("--threads 2", "--threads 2 (1 there)"),
        ("--dtype float64", "--dtype float64 (float32 there)"),
        ("--epochs 1", "--epochs 1: epoch 2 has begun already; give 2 or more"),
        ("--out elsewhere", "--out elsewhere: --resume"),
    ],
)
def test_what_may_not_change(options: str, named: str, call: Call, whole: Path) -> None:
    before = {path: path.read_bytes() for path in whole.rglob("*") if path.is_file()}
    code, _, error = call("--resume", str(whole), *options.split())
    assert code == 2
    assert named in error
    assert {path: path.read_bytes() for path in whole.rglob("*") if path.is_file()} == before


def test_config_changed_by_hand_is_noticed(call: Call, whole: Path) -> None:
    path = whole / "config.json"
    path.write_text(path.read_text().replace('"lr": 3.0', '"lr": 5.0'))
    code, _, error = call("--resume", str(whole))
    assert code == 2
    assert "--lr 5.0 (3.0 there)" in error


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{}",
        b"[]",
        b"\xff",
        b"[" * 100_000,
        b'{"data": 3}',
        b'{"data": {}, "network": {}, "training": {}, "run": {"resume": "x"}}',
    ],
    ids=["empty", "object", "array", "not utf-8", "deep", "number", "resume"],
)
def test_damaged_config(content: bytes, call: Call, whole: Path) -> None:
    (whole / "config.json").write_bytes(content)
    code, _, error = call("--resume", str(whole))
    assert code == 2
    assert error.startswith(f"error: --resume {whole}: {whole / 'config.json'} is damaged, or ")
    assert error.count("\n") == 1


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ('"schedule"', '"decline"', "it has no training.schedule"),
        ('"lr"', '"eta": 1, "lr"', "it has an unknown training.eta"),
    ],
)
def test_config_of_another_release(
    old: str, new: str, expected: str, call: Call, whole: Path
) -> None:
    path = whole / "config.json"
    path.write_text(path.read_text().replace(old, new))
    error = call("--resume", str(whole)).err
    assert f"is damaged, or of another release ({expected}); mend it, or start a new run" in error


def test_config_of_a_wrong_type(call: Call, whole: Path) -> None:
    path = whole / "config.json"
    path.write_text(path.read_text().replace('"epochs": 2', '"epochs": "2"'))
    assert "Expected `int`, got `str` - at `$.training.epochs`" in call("--resume", str(whole))[2]


def test_no_run_there(call: Call, tmp_path: Path) -> None:
    for out in (tmp_path, tmp_path / "nowhere"):
        code, _, error = call("--resume", str(out))
        assert code == 2
        assert error.startswith(f"error: --resume {out}: no run is there")


def test_leftovers_of_a_killed_process_go_with_the_next_checkpoint(call: Call, whole: Path) -> None:
    left = whole / "checkpoints" / ".000000001.checkpoint.0.unfinished"
    left.touch()
    assert call("--resume", str(whole), "--epochs", "5").status == 0
    assert not left.exists()
