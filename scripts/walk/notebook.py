"""The lecture's path as a Jupyter notebook: its example step by step, the slides' program on MNIST,
a checked backward.
"""

import inspect
import json
from textwrap import dedent
from typing import Any

from manual import lecture
from scripts.walk.record import Document, Section
from scripts.walk.render import heading

# Code by the section of the walkthrough that it follows, in the lecture's letters.
EXAMPLE = {
    "Given": """
        x, t, eta = torch.tensor([1.1, 0.4], dtype=torch.float64), 1.0, 0.5
        w1 = torch.tensor([[0.3, -0.3], [-0.4, 0.6]], dtype=torch.float64)  # from unit i to j
        w2 = torch.tensor([[0.9], [0.3]], dtype=torch.float64)
    """,
    "Forward, layer 1": """
        z1 = x @ w1
        y1 = torch.tanh(z1)
        z1, y1
    """,
    "Forward, layer 2": """
        z2 = y1 @ w2
        y2 = torch.sigmoid(z2)
        z2, y2
    """,
    "Loss": """
        div = (y2 - t).square().sum() / 2
        dy2 = y2 - t
        div, dy2
    """,
    "Backward, k = 2": """
        dz2 = y2 * (1 - y2) * dy2
        dw2 = torch.outer(y1, dz2)
        dy1 = w2 @ dz2
        dz2, dw2, dy1
    """,
    "Backward, k = 1": """
        dz1 = (1 - y1**2) * dy1
        dw1 = torch.outer(x, dz1)
        dz1, dw1
    """,
    "Update": """
        new_w1, new_w2 = w1 - eta * dw1, w2 - eta * dw2
        new_y2 = torch.sigmoid(torch.tanh(x @ new_w1) @ new_w2)
        div, (new_y2 - t).square().sum() / 2  # before and after
    """,
}
AUTOGRAD = """
    leaves = [w.clone().requires_grad_() for w in (w1, w2)]
    found = torch.sigmoid(torch.tanh(x @ leaves[0]) @ leaves[1])
    ((found - t).square().sum() / 2).backward()
    [torch.allclose(leaf.grad, dw, rtol=0, atol=1e-15) for leaf, dw in zip(leaves, (dw1, dw2))]
"""
TRAIN = """
    import manual
    from scripts.training import data

    torch.set_num_threads(1)
    EPOCHS = 30  # of the lecture; 1 shows that it learns
    folder = Path(manual.__file__).parents[1] / "data"
    images = data.load("mnist", folder, 50_000, torch.device("cpu"), torch.float32)
    training_data = images.train.images, torch.eye(10)[images.train.labels]
    test_data = images.test.images, images.test.labels
    net = Network([784, 30, 10])
    net.SGD(training_data, EPOCHS, 10, 3.0, test_data=test_data)
"""
MISTAKES = """
    answers = net.feedforward(images.test.images).argmax(dim=1)
    wrong = (answers != images.test.labels).nonzero()[:10, 0]
    figure, axes = plt.subplots(1, 10, figsize=(10, 1.6))
    for axis, i in zip(axes, wrong):
        axis.imshow(images.test.images[i].view(28, 28), cmap="gray")
        axis.set_title(f"{images.test.labels[i]} as {answers[i]}", fontsize=9)
        axis.axis("off")
"""
CHECK = """
    from torch_ref.check import check_gradients


    def forward(x, w, b):
        return np.tanh(x @ w + b)


    def backward(dy, x, w, b):
        dz = dy * (1 - forward(x, w, b) ** 2)
        return dz @ w.T, x.T @ dz, dz.sum(0)


    rng = np.random.default_rng(0)
    inputs = rng.normal(size=(10, 4)), rng.normal(size=(4, 3)), rng.normal(size=3)
    report = check_gradients(
        forward, backward, inputs, reference=lambda x, w, b: torch.tanh(x @ w + b)
    )
    report.ok, report.diagnosis
"""
BOARD = """
    %load_ext tensorboard
    %tensorboard --logdir runs --host 127.0.0.1
"""


def as_notebook(document: Document) -> str:
    """An .ipynb (nbformat 4.5) without outputs, of the lecture's walkthrough."""
    cells = [
        _words(
            f"# {document.title}\n\nEach cell is a step of the lecture; change a number and run it "
            "again."
        ),
        _code(
            "from pathlib import Path\n\nimport matplotlib.pyplot as plt\nimport numpy as "
            "np\nimport torch"
        ),
    ]
    for title, code in EXAMPLE.items():
        (section,) = (
            section
            for section in document.sections
            if section.title.split(" (")[0].split(":")[0] == title
        )
        cells += [_words(_text(section)), _code(code)]
    cells += [
        _words(
            "## By autograd\n\nPyTorch finds the derivatives by itself: the same to the last "
            "digits."
        ),
        _code(AUTOGRAD),
        _words(f"## The slides' program\n\n{inspect.getdoc(lecture)}"),
        _code(inspect.getsource(lecture).split('"""', 2)[2].strip()),
        _words(
            "## MNIST\n\nThe lecture's run, about a second an epoch, and ten images that it gets "
            "wrong."
        ),
        _code(TRAIN),
        _code(MISTAKES),
        _words(
            "## A backward of your own\n\nWrite one, and hold it to autograd. Put a mistake in, "
            "and read what it says."
        ),
        _code(CHECK),
        _words(
            "## TensorBoard\n\nOf the runs that `make train` left, where the notebook's page can "
            "show it."
        ),
        _code(BOARD) | {"metadata": {"tags": ["skip-execution"]}},
    ]
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    contents = {"metadata": {"kernelspec": kernel}, "nbformat": 4, "nbformat_minor": 5}
    numbered = [{"id": f"cell-{i}"} | cell for i, cell in enumerate(cells)]
    return json.dumps({"cells": numbered} | contents, indent=1, ensure_ascii=False)


def _text(section: Section) -> str:
    remarks = [step.remark for step in section.steps if step.remark]
    return "\n\n".join([*heading(section), *remarks])


def _words(text: str) -> dict[str, Any]:
    return {"cell_type": "markdown", "metadata": {}, "source": text}


def _code(text: str) -> dict[str, Any]:
    return {
        "cell_type": "code",
        "execution_count": None,
        "metadata": {},
        "outputs": [],
        "source": dedent(text).strip(),
    }
