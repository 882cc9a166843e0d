"""Whatever comes in, by the command line or from a file, is done or refused in clear words; no
traceback, nothing written.
"""

import gzip
import json
from pathlib import Path
from types import ModuleType
from typing import NoReturn

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from scripts import bench, check, compare, ladder, learning_curve, reproduce, train, walkthrough
from scripts.common.program import UserError
from scripts.run import checkpoint, folder
from scripts.run.checkpoint import Checkpoint, Checkpoints
from scripts.run.config import Config
from scripts.run.progress import Progress
from scripts.run.resolve import resolve
from scripts.training import data
from tests.conftest import ROOT, Call
from tests.programs.test_bad_input import contents

fuzz = settings(
    deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)

OPTIONS = {
    train: "lr epochs batch-size train-size compare-every seed threads sizes activations "
    "initializer loss optimizer engines device dtype dataset data-dir out momentum "
    "nesterov weight-decay decay stop-below batch-norm schedule warm-up drop-last",
    learning_curve: "train-sizes seeds goal dataset data-dir sizes activations loss lr epochs "
    "batch-size seed out",
    ladder: "only quick search seeds data-dir out",
    reproduce: "only quick seeds data-dir out",
    compare: "network activations loss batch-size dtype device markdown json",
    check: "shape argument reference labels between data arrays dtype seed "
    "no-autograd json timeout",
    walkthrough: "sizes activations loss seed exercise lr format",
    bench: "quick markdown json plot data-dir",
}

# Numbers are small, or so large that no machine has the memory: nothing in between, which a test
# would have to wait for.
values = (
    st.sampled_from(
        [
            "0",
            "1",
            "2",
            "3",
            "10",
            "30",
            "784",
            "-1",
            "1e400",
            "nan",
            "-inf",
            str(10**11),
            str(2**63),
            str(10**400),
        ]
    )
    | st.sampled_from(
        [
            "sigmoid",
            "tanh",
            "cross-entropy",
            "binary-cross-entropy",
            "adam",
            "lecture",
            "auto",
            "cpu",
            "all",
            "json",
        ]
    )
    | st.sampled_from(
        [
            "used",
            "used/old",
            "nowhere",
            "/dev/null",
            "/proc/x",
            ".",
            "x" * 300,
            "a.png",
            "--",
            "-",
            "",
            "é\n",
        ]
    )
    | st.sampled_from(
        [
            "mine.py::softplus",
            "mine.py::right",
            "mine.py::",
            "::",
            "torch.nn.Tanh",
            "torch.nn.functional.softplus",
        ]
    )
    | st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=5)
)


class Reached(BaseException):
    """The work would begin now."""


def reach(*_: object, **__: object) -> NoReturn:
    raise Reached


@pytest.fixture
def idle(mine: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a few files, in which every program stops before its work."""
    (mine / "used").mkdir()
    (mine / "used" / "old").write_text("precious")
    monkeypatch.setattr(data, "load", reach)
    monkeypatch.setattr("scripts.benchmark.run.run", reach)
    monkeypatch.setattr("scripts.checking.verdict.Apart", reach)
    monkeypatch.setattr("scripts.comparing.table.Network", reach)
    monkeypatch.setattr("scripts.comparing.table.operation_rows", reach)
    return mine


@pytest.mark.parametrize(
    "program", OPTIONS, ids=lambda program: program.__name__.removeprefix("scripts.")
)
@settings(fuzz, max_examples=40)
@given(given_=st.data())
def test_command_line(program: ModuleType, idle: Path, call: Call, given_: st.DataObject) -> None:
    """One that starts the work is as good as one that is refused."""
    before = contents(idle)
    words = ["mine.py::softplus", "mine.py::right", "--shape", "2", "3"] if program is check else []
    for name in given_.draw(
        st.lists(st.sampled_from(OPTIONS[program].split()), min_size=1, max_size=4)
    ):
        words += [f"--{name}", *given_.draw(st.lists(values, max_size=3))]
    try:
        ended = call(program, *words)
    except Reached:
        pass
    else:
        assert ended.status in {0, 2}
        assert "Traceback" not in ended.err
        assert ended.err.startswith("error: ") or ended.status == 0
    assert contents(idle) == before


def spoil(good: bytes) -> st.SearchStrategy[bytes]:
    """The bytes with a few pieces replaced, left out or put in."""
    piece = st.tuples(st.integers(0, len(good)), st.integers(0, 20), st.binary(max_size=20))

    def spoiled(pieces: list[tuple[int, int, bytes]]) -> bytes:
        bad = good
        for at, gone, new in pieces:
            bad = bad[:at] + new + bad[at + gone :]
        return bad

    return st.lists(piece, min_size=1, max_size=4).map(spoiled) | st.binary(max_size=100)


LABELS = "t10k-labels-idx1-ubyte"
ARCHIVE = (ROOT / "data" / "MNIST" / "raw" / f"{LABELS}.gz").read_bytes()
TRUE = gzip.decompress(ARCHIVE)


@pytest.mark.parametrize(
    ("name", "good"), [(LABELS, TRUE), (f"{LABELS}.gz", ARCHIVE)], ids=["unpacked", "gz"]
)
@settings(fuzz, max_examples=200)
@given(given_=st.data())
def test_data_file(name: str, good: bytes, tmp_path: Path, given_: st.DataObject) -> None:
    (tmp_path / name).write_bytes(given_.draw(spoil(good)))
    assert data._content("mnist", tmp_path / name) in {None, TRUE}


CONFIG = json.dumps(Config().to_dict()).encode()
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3)
    ),
)


@settings(fuzz, max_examples=200)
@given(given_=st.data())
def test_config_file(tmp_path: Path, given_: st.DataObject) -> None:
    """Bytes spoiled, or a field replaced: a config that the command line would take too, or a line
    that says why not.
    """
    content = given_.draw(spoil(CONFIG))
    if given_.draw(st.booleans()):
        groups = Config().to_dict()
        group = given_.draw(st.sampled_from(sorted(groups)))
        groups[group][given_.draw(st.sampled_from(sorted(groups[group])))] = given_.draw(
            json_values
        )
        content = json.dumps(groups).encode()
    (tmp_path / folder.CONFIG).write_bytes(content)
    try:
        resolve(folder.config_of(tmp_path))
    except UserError as refused:
        assert "\n" not in str(refused)  # noqa: PT017 - both endings are good


@pytest.fixture(scope="module")
def payload(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A checkpoint without its header."""
    out = tmp_path_factory.mktemp("out")
    state = {
        "learners": {"manual": {"theta": torch.arange(4.0), "seconds": 1.5}},
        "comparison": None,
    }
    Checkpoints(out).save(Progress(), Config().decisive(), state)
    (path,) = (out / "checkpoints").iterdir()
    return path.read_bytes()[len(checkpoint._header(b"")) :]


@pytest.mark.parametrize("header", ["of the spoiled", "of the good"])
@settings(fuzz, max_examples=100)
@given(given_=st.data())
def test_checkpoint_file(
    header: str, payload: bytes, tmp_path: Path, given_: st.DataObject
) -> None:
    """With the old header it is refused; a digest made for it does not help it to more than a
    checkpoint or a reason.
    """
    spoiled = given_.draw(spoil(payload).filter(lambda content: content != payload))
    path = tmp_path / "000000007.checkpoint"
    path.write_bytes(
        checkpoint._header(spoiled if header == "of the spoiled" else payload) + spoiled
    )
    try:
        found = checkpoint.read(path)
    except ValueError:
        return
    assert header == "of the spoiled"
    assert type(found) is Checkpoint
