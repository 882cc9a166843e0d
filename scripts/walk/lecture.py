"""The lecture's worked 2-2-1 example: its numbers, what the slides print for each, and the slides'
own slips.
"""

import torch

from manual.losses import HalfSquaredError
from manual.network import NetworkSpec
from scripts.walk.example import Example

# Each begins with the titles of its slides.
_SLIPS = {
    1: (
        '"Example: Backward": '
        r"about twenty slides print $z_{2}^{(1)}$ as -0.019; it is -0.09. Nothing after it uses "
        r"that value."
    ),
    2: (
        '"Example: Forward": '
        r"$z_{1}^{(2)}$ is first printed -0.124615; it is +0.1246. The slide's $\frac{1}{1 + "
        r"e^{0.1246}}$ would be 0.4689; "
        r"the 0.5311 it shows is $\frac{1}{1 + e^{-0.1246}}$."
    ),
    3: (
        '"Example: Backward": '
        r"printed values are cut off, not rounded, and not what is computed with. $0.9 \cdot "
        r"(-0.1167)$ is -0.10503, not "
        r"the -0.10509 shown, which comes from the whole value."
    ),
    4: (
        '"Example: Backward": '
        r"$(1 - 0.0897^{2})(-0.03503)$ is labelled $\frac{\partial Div}{\partial z_{1}}$; it is "
        r"$\frac{\partial Div}{\partial z_{2}}$."
    ),
    5: (
        '"Exercise", "Loss Functions and total Error": '
        r"$\hat{y}$ is the target in the worked example and the prediction in MSE and binary "
        r"cross-entropy; the exercise's "
        r"$(y_{i} - \hat{y}_{i})$ leaves its sign open. Here t is the target, and the derivative "
        r"is y - t."
    ),
    6: (
        '"Loss Functions and total Error": '
        r"the cross-entropy with $\frac{1}{N}$ lost its minus; it is $-\frac{1}{N} \sum_{i} "
        r"\sum_{j} t_{j}~\log p_{j}$."
    ),
    7: (
        '"Softmax": '
        r"the text numbers the inputs $z_{0}, ..., z_{K}$ while the sum runs from 1 to K: K "
        r"inputs, not K + 1."
    ),
    8: (
        '"Calculus Refresher: Distributed Chain rule": '
        r"$g_{1}$ is written twice; it is $y = f(g_{1}(x), g_{2}(x), ..., g_{M}(x))$."
    ),
    9: (
        '"Exercise": '
        r"in the table, softplus's name and derivative stand in ReLU's row. ReLU's f' is left "
        r"blank; here, as in torch, it "
        r"is 1 above 0 and 0 elsewhere."
    ),
    10: (
        '"Backpropagation with Softmax / Cross Entropy": '
        r"$t_{1} + t_{2} = 1$ is said to hold because t is one-hot; it holds for every "
        r"distribution, and so does h (o - t)."
    ),
    11: (
        '"Loss Functions and total Error", "Exercise", "Digit classification": '
        r"$\frac{1}{2}$, $\frac{1}{N}$ and $\frac{1}{m}$ are mixed. With 10 outputs, $\eta = 3.0$ "
        r"under "
        r"$\frac{1}{2} (y - t)^{2}$, averaged over a batch, is a learning rate of 15 under torch's "
        r"MSELoss, which divides "
        r"by all entries, and of 1.5 under $\frac{1}{m} \sum_{i} (\hat{y}_{i} - y_{i})^{2}$."
    ),
    12: (
        '"How to minimize a function?", "General approach", "Overall Gradient Descent Algorithm": '
        r"there are three stopping rules: almost no change, we don't move any more, and "
        r"$f(x^{k+1})$ against $f(x^{k})$. "
        r"The last needs a step before its first test."
    ),
    13: (
        '"Forward Computation", "A look in the code": '
        r"the biases are dropped from the equations: $b_{j}^{(k)}$ is added to $z_{j}^{(k)}$, and "
        r"zero in the worked "
        r"example. $w_{ij}$ is [in, out] in the equations and [out, in] in the code."
    ),
    14: (
        '"A look in the code": '
        r"the code is Python 2. It is annotated with adding errors from all the training data, but "
        r"it adds gradients. It "
        r"watches the test set every epoch and has no validation set, though the outline asks for "
        r"one."
    ),
}
SLIPS = {n: f"Slip {n} of the slides, {text}" for n, text in _SLIPS.items()}
ERRATA = (SLIPS[12], SLIPS[14])  # they concern no number

_PRINTED = {
    "z1[1]": ("0.17",),
    "z1[2]": ("-0.09", "-0.019"),
    "y1[1]": ("0.1683",),
    "y1[2]": ("-0.0897",),
    "z2[1]": ("-0.124615", "0.1246"),
    "y2[1]": ("0.531113", "0.5311"),
    "dy2[1]": ("-0.4688",),
    "dz2[1]": ("-0.1167",),
    "dy1[1]": ("-0.10509",),
    "dy1[2]": ("-0.03503",),
    "dz1[1]": ("-0.1021",),
    "dz1[2]": ("-0.0347",),
    "dw2[1,1]": ("-0.01966",),
    "dw2[2,1]": ("0.010481",),
    "dw1[1,1]": ("-0.1123",),
    "dw1[1,2]": ("-0.03822",),
    "dw1[2,1]": ("-0.04084",),
    "dw1[2,2]": ("-0.013899",),
}
_REMARKS = {
    "forward1": SLIPS[13],
    "z1[2]": SLIPS[1],
    "z2[1]": SLIPS[2],
    "div": SLIPS[11],
    "dy2[1]": SLIPS[5],
    "dy1[1]": SLIPS[3],
    "dz1[2]": SLIPS[4],
}


def worked_example(lr: float) -> Example:
    """x = (1.1, 0.4), expected output 1, tanh then logistic, no biases (slides "Example: Forward"
    and "Example: Backward").
    """
    values = {"w1": [[0.3, -0.3], [-0.4, 0.6]], "b1": [0.0, 0.0], "w2": [[0.9], [0.3]], "b2": [0.0]}
    return Example(
        NetworkSpec((2, 2, 1), ("tanh", "sigmoid")),
        {name: torch.tensor(value, dtype=torch.float64) for name, value in values.items()},
        torch.tensor([1.1, 0.4], dtype=torch.float64),
        label=0,  # of one output: t = (1)
        loss=HalfSquaredError(),
        lr=lr,
        biases=False,
        slides={
            "given": "Exercise",
            "forward": "Example: Forward",
            "loss": "Example: Backward",
            "backward": "Example: Backward",
            "update": "Learning rate",
        },
        printed=_PRINTED,
        remarks=_REMARKS,
    )
