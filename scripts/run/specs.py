"""The network that a user asks for with sizes, activations and a loss."""

from manual.activations import Activation
from manual.losses import Loss
from manual.network import NetworkSpec


def spec_for(
    loss: type[Loss],
    sizes: tuple[int, ...],
    activations: tuple[str, ...],
    initializer: str = "normal",
    *,
    batch_norm: bool = False,
) -> NetworkSpec:
    """A spec whose output is what `loss` takes. One activation stands for every layer, but for the
    last of a loss of logits, which is linear; a full list is taken as it is. ValueError for what
    NetworkSpec refuses, or where a loss of probabilities gets none.
    """
    layers = len(sizes) - 1
    if len(activations) == 1 and layers > 0:
        activations *= layers
        if loss.of_logits:
            activations = (*activations[:-1], "identity")
    spec = NetworkSpec(sizes, activations, initializer, batch_norm)
    if loss.of_probabilities and not Activation.named()[activations[-1]].probabilities:
        choices = " or ".join(
            name for name, activation in Activation.named().items() if activation.probabilities
        )
        raise ValueError(
            f"loss {loss.name}: takes outputs between 0 and 1, not of {activations[-1]}; end with "
            f"{choices}"
        )
    return spec
