"""Command lines of every program with one thing wrong: status 2, a line that names it, no
traceback, nothing written.
"""

import os
from pathlib import Path
from types import ModuleType

import pytest

from scripts import (
    bench,
    check,
    compare,
    ladder,
    learning_curve,
    page,
    reproduce,
    train,
    walkthrough,
)
from scripts.common.program import UserError
from scripts.run import folder
from tests.conftest import ROOT, Call

LONG = "x" * 300  # bytes, and a name may have 255

ROWS: dict[ModuleType, list[tuple[str, str]]] = {
    train: [
        ("--lr 0", "--lr 0.0"),
        ("--lr -1", "--lr -1.0: must be a finite number above 0, such as 3.0\n"),
        ("--lr 1e39", "such as 3.0, and at most 3.4e+38 in this dtype\n"),
        ("--lr nan", "--lr nan"),
        ("--lr inf", "--lr inf"),
        ("--lr fast", "--lr fast: must be a number"),
        ("--lr", "--lr: must be a number"),
        ("--batch_size=two", "--batch-size two: must be a whole number"),
        ("--epochs 0", "--epochs 0"),
        ("--epochs 1.5", "--epochs"),
        ("--batch-size 0", "--batch-size 0"),
        (f"--batch-size {10**23}", "must be a whole number from 1 to 50000"),
        ("--train-size 50001", "--train-size 50001: must be a whole number from 1 to 50000"),
        ("--compare-every 0", "--compare-every 0"),
        ("--checkpoint-every 0", "--checkpoint-every 0"),
        ("--resume nowhere", "--resume nowhere: no run is there"),
        ("--resume used", "--resume used: no run is there"),
        ("--seed -1", "--seed -1"),
        ("--threads 0", "--threads 0"),
        ("--threads some", "--threads"),
        ("--sizes", "--sizes"),
        ("--sizes 784", "--sizes 784"),
        ("--sizes 784 -5 10", "784, -5, 10"),
        ("--sizes 783 30 10", "--sizes 783 30 10: must begin with 784"),
        ("--sizes 784 30 9", "end with 10"),
        ("--sizes 784 100000000000 10", "too large"),
        (f"--sizes 784 {2**63} 10", "too large"),
        ("--activations sigmond", "sigmond"),
        ("--activations", "--activations"),
        ("--activations sigmoid tanh relu", "one for each of 2 layers"),
        ("--initializer none", "--initializer"),
        ("--loss", "--loss"),
        ("--loss l3", "--loss l3: choose from half-squared, squared, mse,"),
        (
            "--loss binary-cross-entropy --activations tanh",
            "--loss binary-cross-entropy: takes outputs between",
        ),
        ("--optimizer sgdd", "sgdd"),
        (
            "--optimizer adam --momentum 0.9",
            "--momentum: adam has none; use --optimizer sgd or rmsprop",
        ),
        ("--optimizer rmsprop --nesterov", "--nesterov: rmsprop has none; use --optimizer sgd"),
        ("--nesterov", "--nesterov: needs --momentum"),
        ("--momentum 1", "--momentum 1.0: must be"),
        ("--momentum nan", "--momentum nan: must be"),
        ("--weight-decay -0.1", "--weight-decay -0.1: must be"),
        ("--weight-decay inf", "--weight-decay inf: must be"),
        ("--decay all", "--decay all: nothing decays without --weight-decay"),
        ("--stop-below -1", "--stop-below -1.0: must be"),
        ("--stop-below nan", "--stop-below nan: must be"),
        ("--batch-norm --batch-size 1", "--batch-size 1: --batch-norm needs 2 samples"),
        (
            "--batch-norm --train-size 600 --batch-size 599",
            "--batch-size 599: --batch-norm needs 2 samples",
        ),
        ("--batch-norm --train-size 1", "--batch-size 10: --batch-norm needs 2 samples"),
        ("--engines", "--engines"),
        ("--engines manual manual", "--engines manual manual"),
        ("--engines jax", "jax"),
        ("--device tpu", "tpu"),
        ("--device cuda", "--device cuda: torch finds no CUDA device here"),
        ("--dtype float16", "float16"),
        ("--dataset cifar", "cifar"),
        ("--data-dir nowhere", "nowhere/MNIST/raw/train-images-idx3-ubyte is missing"),
        ("--data-dir /dev/null", "/dev/null"),
        ("--out /proc/run", "--out /proc/run"),
        ("--out /dev/null", "--out /dev/null"),
        ("--out /dev/null/run", "--out /dev/null/run"),
        ("--out used", "--out used: exists"),
        (f"--out {LONG}", f"--out {LONG}: File name too long; name another"),
        (f"--out {LONG}/run", "File name too long; name another"),
        (f"--resume {LONG}", f"--resume {LONG}: no run is there"),
        (f"--data-dir {LONG}", "File name too long"),
        (
            "--unknown 3",
            "--unknown: there is no such option; python -m scripts.train --help lists all",
        ),
        ("--epoch 3", "--epoch: there is no such option; did you mean --epochs?"),
        ("surplus", "surplus: there is no such option"),
    ],
    learning_curve: [
        ("--train-sizes", "--train-sizes"),
        ("--train-sizes 100 100", "--train-sizes 100 100: must be"),
        ("--train-sizes 0", "--train-sizes 0"),
        ("--train-sizes 50001", "--train-sizes 50001"),
        ("--train-sizes many", "many"),
        ("--seeds 0", "--seeds 0"),
        (f"--seeds {10**11}", "must be a whole number from 1 to 1000"),
        ("--goal 0", "--goal 0.0"),
        ("--goal 100", "--goal 100.0"),
        ("--goal nan", "--goal nan"),
        ("--epochs 0", "--epochs 0"),
        ("--lr nan", "--lr nan"),
        ("--stop-below 0.1", "--stop-below 0.1: every size sees equally many images"),
        ("--sizes 784 9", "--sizes 784 9"),
        ("--sizes 784 100000000000 10", "too large"),
        ("--batch-norm --train-sizes 101", "--batch-size 10: --batch-norm needs 2 samples"),
        ("--dataset cifar", "cifar"),
        ("--data-dir nowhere", "nowhere/MNIST/raw/train-images-idx3-ubyte is missing"),
        ("--out /proc/curve", "--out /proc/curve"),
        ("--out used", "--out used: exists"),
        (f"--out {LONG}", f"--out {LONG}: File name too long; name another"),
        (f"--data-dir {LONG}", "File name too long"),
        ("--engines torch", "--engines"),
    ],
    ladder: [
        ("--seeds 0", "--seeds 0"),
        ("--only lecure", "lecure"),
        ("--only L2 --quick", "--quick"),
        ("--search maybe", "maybe"),
        ("--data-dir nowhere", "nowhere/MNIST/raw/train-images-idx3-ubyte is missing"),
        ("--search --data-dir nowhere", "nowhere/MNIST/raw/train-images-idx3-ubyte is missing"),
        ("--out /proc/new", "--out /proc/new"),
        ("--out used", "--out used: exists"),
    ],
    reproduce: [
        ("--seeds 0", "--seeds 0"),
        ("--seeds few", "few"),
        (f"--seeds {10**11}", "must be a whole number from 1 to 1000"),
        ("--only lecure", "lecure"),
        ("--only lecture --quick", "--quick"),
        ("--data-dir nowhere", "nowhere/MNIST/raw/train-images-idx3-ubyte is missing"),
        ("--out /proc/new", "--out /proc/new"),
        ("--out /dev/null", "--out /dev/null"),
        ("--out used", "--out used: exists"),
        (f"--out {LONG}", f"--out {LONG}: File name too long; name another"),
        (f"--data-dir {LONG}", "File name too long"),
        ("--lr 3", "--lr"),
    ],
    compare: [
        ("--network 784", "--network [784]"),
        ("--activations relu", "--activations relu: is the network's"),
        ("--loss mse", "--loss mse: is the network's; name its sizes too, such as --network 784"),
        ("--batch-size 7", "--batch-size 7: is the network's"),
        ("--network 784 0 10", "784, 0, 10"),
        (f"--network 3 {10**11}", "--network 3 100000000000 --batch-size 10: too large"),
        (f"--network {2**63} 2", "too large"),
        (f"--network 3 2 --batch-size {10**11}", f"--network 3 2 --batch-size {10**11}: too large"),
        (f"--network 3 2 --batch-size {10**23}", "too large"),
        ("--network 3 2 --dtype", "--dtype (nothing): name one at least of float32 and float64"),
        ("--network 4 3 --activations tanh sigmoid", "one for each of 1 layers"),
        (
            "--network 4 3 --activations tanh --loss binary-cross-entropy",
            "end with sigmoid or softmax",
        ),
        ("--network 4 3 --batch-size 0", "--batch-size 0"),
        ("--dtype float16", "float16"),
        ("--markdown --json", "choose one"),
        ("--device cuda", "no CUDA device"),
    ],
    check: [
        ("mine.py::softplus", "backward"),
        ("mine.py::softplus mine.py::right", "--shape"),
        ("mine.py::softplus mine.py::right --shape 8 five", "five"),
        ("mine.py::softplus mine.py::leaves --shape 8 5", "SystemExit"),
        ("leaves.py::f leaves.py::g --shape 8 5", "leaves.py: cannot be loaded: SystemExit"),
        (
            "mine.py::softplus mine.py::fails --shape 8 5",
            "name 'undefined' is not defined; raised by backward, called with z",
        ),
        (
            "mine.py::softplus mine.py::nothing --shape 8 5",
            "has no function nothing; it has softplus, right",
        ),
        ("mine.py mine.py::right --shape 8 5", "mine.py: must be path/to/file.py::name"),
        (
            "nowhere.py::f mine.py::right --shape 8 5",
            "nowhere.py::f: must be path/to/file.py::name",
        ),
        (
            f"{LONG}.py::f mine.py::right --shape 8 5",
            "must be path/to/file.py::name, of a file that exists",
        ),
        ("broken.py::f mine.py::right --shape 8 5", "broken.py: cannot be loaded: SyntaxError"),
        ("mine.py:: mine.py::right --shape 8 5", "mine.py::: must be path/to/file.py::name"),
        (f"mine.py::softplus mine.py::right --shape {10**11}", "--shape 100000000000: too large"),
        (f"mine.py::softplus mine.py::right --shape {2**63}", "too large"),
        (
            f"mine.py::softplus mine.py::right --shape 3 --seed {2**63}",
            "--seed 9223372036854775808: must be",
        ),
        (
            f"mine.py::softplus mine.py::right --shape 3 --labels {2**63}",
            "--labels 9223372036854775808: must be",
        ),
        ("mine.py::softplus mine.py::right --shape 3 --between -inf inf", "both finite"),
        ("mine.py::softplus mine.py::right --shape 3 --between nan nan", "both finite"),
        (
            "mine.py::softplus mine.py::right --shape 3 --between 0 1e300 --dtype float32",
            "both finite in float32",
        ),
        (
            "mine.py::softplus mine.py::right --shape 8 0",
            "--shape 8 0: must be whole numbers of at least 1",
        ),
        ("mine.py::softplus mine.py::right --shape 8 5 --labels 0", "--labels 0"),
        (
            "mine.py::softplus mine.py::right --shape 8 5 --between 1 0",
            "--between 1.0 0.0: the first number",
        ),
        ("mine.py::softplus mine.py::right --shape 8 5 --dtype int", "int"),
        (
            "mine.py::softplus mine.py::right --shape 8 5 --reference os.system",
            "--reference os.system: must be a function",
        ),
        (
            "mine.py::softplus mine.py::right --shape 8 5 --reference torch.os.system",
            "--reference torch.os.system: must be",
        ),
        (
            "mine.py::softplus mine.py::right --shape 8 5 --reference torch.nn.nothing",
            "--reference torch.nn.nothing: must be",
        ),
        (
            "mine.py::softplus mine.py::right --shape 8 5 --reference torch.nn",
            "--reference torch.nn: must be",
        ),
        (
            "mine.py::softplus mine.py::right --shape 8 5 --reference torch.nn.Linear",
            "torch.nn.Linear: needs arguments",
        ),
        ("mine.py::softplus mine.py::right --shape 8 5 --shape 3", "forward"),
        ("mine.md::softplus mine.py::right --shape 8 5", "mine.md is no .py file"),
        ("n*.py::softplus n*.py::right --shape 8 5", "n*.py::softplus: no .py file fits n*.py"),
        (
            "m*.py::softplus m*.py::right --shape 8 5 --timeout 0",
            "--timeout 0.0: must be a number of seconds above 0",
        ),
        (
            "m*.py::softplus *.py::right --shape 8 5",
            "m*.py::softplus fits 1 files and *.py::right 3",
        ),
        (
            "mine.py::softplus mine.py::right --shape 8 5 --csv marks.csv",
            "--csv marks.csv: is for many submissions",
        ),
        (
            "mine.py::softplus mine.py::right --shape 8 5 --argument eps",
            "--argument eps: must be name=value",
        ),
        (
            "mine.py::softplus mine.py::right --shape 8 5 --argument eps=1",
            "forward has no such parameter; it has z",
        ),
        ("mine.py::softplus mine.py::right --shape 8 5 --data w", "data names w; the inputs are z"),
    ],
    walkthrough: [
        ("--sizes 3", "--sizes [3] must be two or more positive whole numbers"),
        ("--sizes 3 0 2", "--sizes [3, 0, 2] must be two or more positive whole numbers"),
        ("--sizes 784 30 10", "--sizes [784, 30, 10] must be at most 9 layers of at most 9 units"),
        ("--sizes 3 2 --activations swish", "'swish' is unknown; choose from identity, sigmoid"),
        (
            "--sizes 3 2 --activations tanh tanh",
            "--activations ['tanh', 'tanh'] must be one for each of 1 layers",
        ),
        ("--sizes 3 2 --loss hinge", "--loss 'hinge' is unknown; choose from half-squared"),
        ("--sizes 3 1 --loss cross-entropy", "--loss cross-entropy: chooses between classes"),
        ("--exercise", "--exercise: is for an exercise of your own; name its network"),
        ("--seed 7", "--seed: is for an exercise of your own"),
        ("--loss mse", "--loss: is for an exercise of your own"),
        ("--activations tanh", "--activations: is for an exercise of your own"),
        ("--sizes 3 2 --seed -1", "--seed -1: must be a whole number from 0"),
        ("--lr nan", "--lr nan: must be a finite number above 0"),
        ("--lr 0", "--lr 0.0: must be a finite number above 0"),
        ("--format pdf", "--format pdf: choose from text, markdown, json, html, notebook"),
        (
            "--sizes 5 4 2 --format html",
            "--sizes 5 4 2: html draws three sizes of at most 4, 4 and 3",
        ),
        ("--sizes 3 2 --format html", "--sizes 3 2: html draws three sizes"),
        ("--sizes 2 2 1 --format notebook", "--format notebook: is of the lecture's own path"),
        (
            "--out nowhere/page.html",
            "--out nowhere/page.html: cannot be written (No such file or directory)",
        ),
        ("--out used", "--out used: cannot be written (Is a directory)"),
        ("--sizes 3 2 --seeds 1..3", "--seeds: writes many files; name a new folder"),
        ("--seeds 1..3 --out new", "--seeds: is for an exercise of your own; name its network"),
        (
            "--sizes 3 2 --seeds 3..1 --out new",
            "--seeds 3..1: must be the first and the last of at most 1000",
        ),
        ("--sizes 3 2 --seeds 3 --out new", "--seeds 3: must be the first and the last"),
        ("--sizes 3 2 --seeds 1..9999 --out new", "--seeds 1..9999: must be"),
        ("--sizes 3 2 --seeds 1..3 --out used", "--out used: exists and is not an empty folder"),
        ("--sizes 3 2 --seeds 1..3 --out new --exercise", "leave --seed and --exercise out"),
        (
            "--sizes 3 2 --seeds 1..3 --out new --loss binary-cross-entropy --activations relu",
            "end with sigmoid or softmax",
        ),
    ],
    page: [
        ("nowhere", "RUN nowhere: no run is there (config.json: No such file or directory)"),
        ("used", "RUN used: no run is there"),
    ],
    bench: [
        ("--plot ratio.svg", "--plot ratio.svg: must end in .png"),
        (
            "--plot nowhere/ratio.png",
            "--plot nowhere/ratio.png: cannot be written (No such file or directory)",
        ),
        (
            "--plot mine.py/ratio.png",
            "--plot mine.py/ratio.png: cannot be written (Not a directory)",
        ),
        ("--plot /proc/ratio.png", "--plot /proc/ratio.png: cannot be written"),
        (f"--plot {LONG}.png", "cannot be written (File name too long)"),
        (f"--json {LONG}", f"--json {LONG}: cannot be written (File name too long)"),
        ("--json nowhere/report.json", "--json nowhere/report.json: cannot be written"),
        ("--json .", "--json .: cannot be written (Is a directory)"),
        ("--json", "--json"),
        ("--quick maybe", "maybe"),
        ("--data-dir nowhere", "nowhere/MNIST/raw/train-images-idx3-ubyte is missing"),
    ],
}

TRAINS = (train, ladder, learning_curve, reproduce, bench)


@pytest.mark.parametrize(
    ("program", "options", "says"),
    [
        pytest.param(
            program, options, says, id=f"{program.__name__.removeprefix('scripts.')} {options}"
        )
        for program, rows in ROWS.items()
        for options, says in rows
    ],
)
def test_one_thing_wrong(
    program: ModuleType,
    options: str,
    says: str,
    mine: Path,
    monkeypatch: pytest.MonkeyPatch,
    call: Call,
) -> None:
    (mine / "broken.py").write_text("def f(:\n")
    (mine / "leaves.py").write_text("raise SystemExit(0)\n")
    (mine / "used").mkdir()
    (mine / "used" / "old").write_text("precious")
    before = contents(mine)
    monkeypatch.setattr("torchvision.datasets.MNIST.mirrors", [])
    monkeypatch.setattr("scripts.benchmark.run.run", lambda *_, **__: pytest.fail("measured first"))
    given = options.split()
    if program in TRAINS and "--data-dir" not in options:
        given += ["--data-dir", str(ROOT / "data")]
    ended = call(program, *given)
    assert ended.status == 2
    assert ended.out == ""
    assert says in ended.err
    assert not says.startswith("--") or ended.err.startswith(f"error: {says}"), "it comes first"
    assert "Traceback" not in ended.err
    assert ended.err.startswith("error: ")
    assert ended.err.count("\n") == 1
    assert contents(mine) == before


def contents(folder: Path) -> dict[str, str | None]:
    """Every file with its text, every folder."""
    return {str(path): path.read_text() if path.is_file() else None for path in folder.rglob("*")}


def test_a_folder_whose_name_is_not_text() -> None:
    with pytest.raises(UserError, match="is not in UTF-8, as TensorBoard needs it; name another"):
        folder.check_new(Path(os.fsdecode(b"\xff")))
