"""What a training run is: its options, and their defaults, which are the lecture's run."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self, TypeAlias, get_args

import msgspec
import tyro

from scripts.common.command_line import one_of, shown_as
from scripts.common.program import UserError, as_typed
from scripts.run.names import names

if TYPE_CHECKING:  # it imports torch, for which a help should not wait
    from manual.network import NetworkSpec

# torchvision's class, and its folder
DATASETS = {"mnist": "MNIST", "fashion-mnist": "FashionMNIST", "kmnist": "KMNIST"}
TRAINING_IMAGES, VALIDATION_IMAGES = 50_000, 10_000
PIXELS, CLASSES = 28 * 28, 10
ENGINES = ("manual", "torch")
# what may change when a run goes on
CHANGEABLE = ("data_dir", "epochs", "board", "checkpoint_every", "out")
MOMENTUM_OPTIONS = ("momentum", "nesterov")  # fields that not every optimizer has
DTYPES = ("float32", "float64")
ACTIVATIONS = names("Activation")

Decay: TypeAlias = Literal["weights", "all"]
Device: TypeAlias = Literal["auto", "cpu", "cuda"]
BoardLevel: TypeAlias = Literal["full", "scalars", "off"]

ActivationNames = Annotated[
    tuple[Annotated[str, *one_of(ACTIVATIONS)], ...], shown_as("NAME ...", ACTIVATIONS)
]
EngineNames = Annotated[tuple[Annotated[str, *one_of(ENGINES)], ...], shown_as("NAME ...", ENGINES)]
DtypeNames = Annotated[tuple[Annotated[str, *one_of(DTYPES)], ...], shown_as("NAME ...", DTYPES)]
DatasetName = Annotated[str, *one_of(DATASETS)]
DtypeName = Annotated[str, *one_of(DTYPES)]
LossName = Annotated[str, *one_of(names("Loss"))]


@dataclass(frozen=True)
class DataConfig:
    """What is learned from."""

    dataset: DatasetName = "mnist"
    """Which of torchvision's data sets."""
    data_dir: Path = Path("data")
    """Folder that holds MNIST/raw/, or FashionMNIST/raw/ and so on; what is missing there is
    downloaded.
    """
    train_size: int = TRAINING_IMAGES
    """Train on the first N of the 50000 training images (the outline's "amount of training
    data").
    """


@dataclass(frozen=True)
class NetworkConfig:
    """What learns."""

    sizes: Annotated[tuple[int, ...], shown_as("INT ...")] = (784, 30, 10)
    """Units per layer, inputs first."""
    activations: ActivationNames = ("sigmoid",)
    """One per layer; or one for all, after which a loss of logits (cross-entropy) still gets its
    last layer linear.
    """
    initializer: Annotated[str, *one_of(names("Initializer"))] = "normal"
    """Initial weights and biases: normal is the lecture's N(0, 1), scaled-normal N(0,
    1/sqrt(inputs)) for weights; xavier-* suits sigmoid and tanh, kaiming-* relu (both with biases
    0); default is that of nn.Linear."""
    batch_norm: bool = False
    """Batch normalization before the activation of each hidden layer."""
    seed: int = 0
    """Of the initial values and of the order of samples."""


@dataclass(frozen=True)
class TrainingConfig:
    """How it learns."""

    loss: LossName = "half-squared"
    """The divergence of output and target."""
    optimizer: Annotated[str, *one_of(names("Optimizer"))] = "sgd"
    """The update of the parameters."""
    lr: float = 3.0
    """Learning rate, the slides' eta; of a schedule, the largest."""
    schedule: Annotated[str, *one_of(names("Schedule"))] = "constant"
    """What eta does from update to update; one-cycle: it rises to --lr and falls to nearly 0."""
    warm_up: float = 0.3
    """Of one-cycle: the share of all updates in which eta rises."""
    momentum: float = 0.0
    """Of sgd and rmsprop: what a step keeps of the one before."""
    nesterov: bool = False
    """Nesterov's momentum, of sgd."""
    weight_decay: float = 0.0
    """L2: lambda of (lambda / 2) sum w^2. Nielsen's book calls its lambda n times this, n being
    --train-size.
    """
    decay: Annotated[Decay, shown_as("NAME", get_args(Decay))] = "weights"
    """What decays: weights alone, as in Nielsen's book, or biases too (and gamma, beta), as is
    torch's default.
    """
    epochs: int = 30
    """Passes over the training images, at most."""
    stop_below: Annotated[float | None, shown_as("FLOAT")] = None
    """Stop after an epoch whose training loss differs by no more than this from that of the epoch
    before; the loss by hand where both engines train (slide "Overall Gradient Descent
    Algorithm")."""
    batch_size: int = 10
    """Samples per update; the last batch of an epoch may be smaller."""
    drop_last: bool = False
    """Leave that one out, so that all batches are of one size."""


@dataclass(frozen=True)
class RunConfig:
    """Who trains, where, and what is kept of it."""

    engines: EngineNames = ENGINES
    """Who trains: by hand, torch.nn with autograd, or both on the same batches."""
    compare_every: int = 100
    """Updates between two comparisons of the gradients (both engines needed)."""
    device: Annotated[Device, shown_as("NAME", get_args(Device))] = "auto"
    """Where to train; auto: cuda where there is one."""
    dtype: DtypeName = "float32"
    """Of parameters and pixels."""
    threads: Annotated[int | Literal["auto"], shown_as("INT|auto")] = "auto"
    """CPU threads of torch; auto decides by sizes and batch."""
    board: Annotated[BoardLevel, shown_as("NAME", get_args(BoardLevel))] = "full"
    """What TensorBoard gets: everything, no histograms and pictures, or nothing."""
    checkpoint_every: Annotated[int | None, shown_as("INT")] = None
    """Updates between two checkpoints, for long epochs; there is one after each epoch besides."""
    processes: tyro.conf.Suppress[int] = 1
    """How many share each batch: as many as torchrun started."""
    out: Annotated[Path | None, shown_as("PATH")] = None
    """New folder for the logs; by default one under runs/ named after time and network."""
    resume: Annotated[Path | None, shown_as("PATH")] = None
    """Go on with the run in this folder (its name in runs/ will do, or latest), from its last
    checkpoint and with its options; --epochs may be more."""


@dataclass(frozen=True)
class Config:
    """Train the hand-written network and torch.nn on the same batches, and compare them.

    Without options: the lecture's Network([784, 30, 10]).SGD(training_data, 30, 10, 3.0) on MNIST.
    """

    data: DataConfig = field(default_factory=DataConfig)
    network: NetworkConfig = field(default_factory=NetworkConfig)
    training: TrainingConfig = field(default_factory=TrainingConfig)
    run: RunConfig = field(default_factory=RunConfig)

    @property
    def spec(self) -> "NetworkSpec":
        """The network of a resolved config."""
        from manual.network import NetworkSpec

        network = self.network
        return NetworkSpec(
            network.sizes, network.activations, network.initializer, network.batch_norm
        )

    @property
    def updates_per_epoch(self) -> int:
        """Batches in an epoch, the last one perhaps smaller."""
        whole, rest = divmod(self.data.train_size, self.training.batch_size)
        return whole + (0 if self.training.drop_last else rest > 0)

    @property
    def samples_per_epoch(self) -> int:
        """Images that are trained on in an epoch."""
        return min(self.data.train_size, self.updates_per_epoch * self.training.batch_size)

    def comparison_due(self, update: int) -> bool:
        """Whether the gradients of this update are compared."""
        return len(self.run.engines) > 1 and update % self.run.compare_every == 0

    def checkpoint_due(self, updates: int) -> bool:
        """Whether a checkpoint is written after so many."""
        every = self.run.checkpoint_every
        return updates % self.updates_per_epoch == 0 or (every is not None and updates % every == 0)

    def to_dict(self) -> dict[str, Any]:
        """Ready for JSON: paths as strings, tuples as lists; without --resume, which is no part of
        a run.
        """
        groups = {
            group: {key: _plain(value) for key, value in options.items()}
            for group, options in dataclasses.asdict(self).items()
        }
        del groups["run"]["resume"]
        return groups

    @classmethod
    def from_json(cls, text: bytes) -> Self:
        """The config whose `to_dict` was written. ValueError says what in `text` is wrong."""
        try:
            config = msgspec.json.decode(text, type=cls, dec_hook=lambda kind, value: kind(value))
            groups = msgspec.json.decode(text, type=dict[str, dict[str, Any]])
        except (msgspec.MsgspecError, RecursionError) as error:
            raise ValueError(str(error)) from error
        known, found = (
            {f"{group}.{key}" for group, options in groups.items() for key in options}
            for groups in (config.to_dict(), groups)
        )
        if known != found:
            lacks, unknown = (", ".join(sorted(names)) for names in (known - found, found - known))
            raise ValueError(f"it has {f'no {lacks}' if lacks else f'an unknown {unknown}'}")
        return config

    def decisive(self) -> dict[str, Any]:
        """By option, what the numbers of a run depend on; --epochs only where the learning rates
        depend on it.
        """
        changeable = {*CHANGEABLE} - ({"epochs"} if self.training.schedule != "constant" else set())
        return {
            f"--{key.replace('_', '-')}": value
            for options in self.to_dict().values()
            for key, value in options.items()
            if key not in changeable
        }

    def check_unchanged(self, then: Mapping[str, Any], where: Path) -> None:
        """UserError for what differs from `then`, the `decisive` options of the run in `where`."""
        changed = [
            f"{option} {_as_text(value)} ({_as_text(then.get(option))} there)"
            for option, value in self.decisive().items()
            if then.get(option) != value
        ]
        if changed:
            raise UserError(
                f"{', '.join(changed)}: the run in {where} goes on with its own options; leave out "
                "what differs"
            )


def _plain(value: Any) -> Any:
    if isinstance(value, Path):
        return str(value)
    return list(value) if isinstance(value, tuple) else value


def _as_text(value: object) -> str:
    return as_typed(value) if isinstance(value, list) else str(value)
