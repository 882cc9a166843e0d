"""A graph rewritten to operations for which people write a backward: torch's large ones are split,
and formulas such as a sigmoid's become one.
"""

import math
import operator
import sys
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, fx

aten = torch.ops.aten


def _normalized(x: Tensor, axes: list[int], eps: float) -> tuple[Tensor, Tensor, Tensor]:
    mean = x.mean(axes, keepdim=True)
    r = (x.var(axes, unbiased=False, keepdim=True) + eps).rsqrt()
    return (x - mean) * r, mean, r


def _affine(y: Tensor, w: Tensor | None, b: Tensor | None) -> Tensor:
    y = y if w is None else y * w
    return y if b is None else y + b


def _layer_norm(
    x: Tensor, shape: list[int], w: Tensor | None, b: Tensor | None, eps: float
) -> tuple[Tensor, Tensor, Tensor]:
    y, mean, r = _normalized(x, list(range(x.ndim - len(shape), x.ndim)), eps)
    return _affine(y, w, b), mean, r


def _batch_norm(  # noqa: PLR0913, PLR0917 - as torch has it
    x: Tensor, w: Tensor | None, b: Tensor | None, rm: Tensor | None,
    rv: Tensor | None, training: bool, _: float, eps: float  # noqa: FBT001
) -> tuple[Tensor, Tensor, Tensor]:  # fmt: skip
    axes, shape = [i for i in range(x.ndim) if i != 1], [1, -1] + [1] * (x.ndim - 2)
    mean = x.mean(axes) if training or rm is None else rm
    var = x.var(axes, unbiased=False) if training or rv is None else rv
    r = (var + eps).rsqrt()
    w, b = (None if part is None else part.view(shape) for part in (w, b))
    return _affine((x - mean.view(shape)) * r.view(shape), w, b), mean, r


def _group_norm(  # noqa: PLR0913, PLR0917 - as torch has it
    x: Tensor, w: Tensor | None, b: Tensor | None, n: int, c: int, _: int, groups: int, eps: float
) -> tuple[Tensor, Tensor, Tensor]:
    y, mean, r = _normalized(x.reshape(n, groups, -1), [2], eps)
    w, b = (None if part is None else part.view([1, c] + [1] * (x.ndim - 2)) for part in (w, b))
    return _affine(y.reshape(x.shape), w, b), mean, r


def _attention(  # noqa: PLR0913 - as torch has it
    q: Tensor, k: Tensor, v: Tensor,
    p: float = 0.0, causal: bool = False, *,  # noqa: FBT001, FBT002, ARG001
    attn_mask: Tensor | None = None, scale: float | None = None
) -> tuple[Tensor, Tensor]:  # fmt: skip
    scores = (q @ k.mT) * (1 / math.sqrt(q.shape[-1]) if scale is None else scale)
    if causal:
        scores = scores.masked_fill(
            ~torch.ones(scores.shape[2:], dtype=torch.bool, device=q.device).tril(), -math.inf
        )
    scores = scores if attn_mask is None else scores + attn_mask
    return scores.softmax(-1) @ v, scores  # the second is for a backward of torch alone


def _reduced(terms: Tensor, reduction: int) -> Tensor:
    return terms if reduction == 0 else terms.mean() if reduction == 1 else terms.sum()


def _nll(
    x: Tensor, t: Tensor, w: Tensor | None, reduction: int, ignore: int
) -> tuple[Tensor, Tensor]:
    kept = t != ignore
    t = t.masked_fill(~kept, 0)
    weight = kept.to(x.dtype) if w is None else w[t] * kept
    terms, total = -x.gather(1, t.unsqueeze(1)).squeeze(1) * weight, weight.sum()
    return (
        terms if reduction == 0 else terms.sum() / total if reduction == 1 else terms.sum()
    ), total


def _norm(
    x: Tensor,
    p: float = 2,
    axes: list[int] | None = None,
    keepdim: bool = False,  # noqa: FBT001, FBT002 aten's
    dtype: Any = None,  # noqa: ARG001
) -> Tensor:
    axes = list(range(x.ndim)) if axes is None else axes
    if p == 2:
        return (x**2).sum(axes, keepdim=keepdim).sqrt()
    return (x.abs() ** p).sum(axes, keepdim=keepdim) ** (1 / p)


def _bce(p: Tensor, t: Tensor, w: Tensor | None = None, reduction: int = 1) -> Tensor:
    return _reduced(_affine(-(t * p.log() + (1 - t) * (1 - p).log()), w, None), reduction)


PARTS: dict[Any, Callable[..., Any]] = {
    aten.native_layer_norm.default: _layer_norm,
    aten.native_batch_norm.default: _batch_norm,
    aten.native_group_norm.default: _group_norm,
    aten._scaled_dot_product_flash_attention_for_cpu.default: _attention,  # noqa: SLF001
    aten.nll_loss_forward.default: _nll,
    aten.linalg_vector_norm.default: _norm,
    aten.mse_loss.default: lambda x, t, reduction=1: _reduced((x - t) ** 2, reduction),
    aten.binary_cross_entropy.default: _bce,
    aten.silu.default: lambda x: x * torch.sigmoid(x),
    aten.addmm.default: lambda b, x, w, *, beta=1, alpha=1: beta * b + alpha * (x @ w),
    aten.sigmoid_.default: torch.sigmoid,
}


def op(node: fx.Node) -> str:
    """The name of its operation: tanh for aten.tanh.default."""
    if node.target is operator.getitem:
        return "getitem"
    return (
        str(node.target).removeprefix("aten.").split(".")[0].rstrip("_")
        if node.op == "call_function"
        else node.op
    )


def number_in(value: Any) -> float | None:
    """The number in a constant: in a number, or in a tensor of one that is part of the graph."""
    if isinstance(value, int | float):
        return float(value)
    if isinstance(value, fx.Node) and value.op == "get_attr":
        tensor = getattr(value.graph.owning_module, str(value.target), None)
        return float(tensor) if isinstance(tensor, Tensor) and tensor.numel() == 1 else None
    if _is(
        value, "lift_fresh_copy", "_to_copy", "clone", "scalar_tensor", "full", "detach", "alias"
    ):
        return number_in(value.args[1] if _is(value, "full") else value.args[0])
    return None


def rewrite(graph: fx.Graph) -> None:
    """1 / (1 + e^-z) is a sigmoid, e^z / sum(e^z) a softmax, max(z, 0) a relu, log(1 + e^z) a
    softplus, log(sum(e^z)) a logsumexp: so that mistakes in them have names. x[:] is x, and a
    copy of a constant that constant.
    """
    for node in list(graph.nodes):
        if _is(node, "_linalg_check_errors"):  # computes nothing
            graph.erase_node(node)
            continue
        if _is_whole(node) or _is_constant(node):
            node.replace_all_uses_with(node.args[0])
            continue
        if _is(node, "add", "sub", "pow"):
            numbers = [number_in(part) if isinstance(part, fx.Node) else None for part in node.args]
            node.args = tuple(
                part if n is None else n for part, n in zip(node.args, numbers, strict=True)
            )
            if _is(node, "pow") and isinstance(node.args[1], float):
                node.target = aten.pow.Tensor_Scalar
        for formula in (_sigmoid, _softmax, _relu, _softplus, _logsumexp):
            found = formula(node)
            if found is not None:
                with graph.inserting_before(node):
                    node.replace_all_uses_with(graph.call_function(*found))


def _is_whole(node: fx.Node) -> bool:
    """x[:]"""
    return _is(node, "slice") and node.args[2:] in {(), (0,), (0, sys.maxsize)}


def _is_constant(node: fx.Node) -> bool:
    """A tensor that forward makes of numbers."""
    copied = [each.op for each in node.all_input_nodes]
    return _is(node, "lift_fresh_copy", "detach") and copied == ["get_attr"]


Call = tuple[Any, tuple[Any, ...]]  # of a kernel, with its arguments


def _is(node: Any, *names: str) -> bool:
    # with its underscore, if it has one: an operation in place is another
    kernel = (
        str(node.target).removeprefix("aten.").split(".")[0] if isinstance(node, fx.Node) else ""
    )
    return kernel in names and node.op == "call_function"


def _parts(node: Any) -> tuple[float | None, Any]:
    """A number and the other operand of a sum, product or quotient, in either order."""
    a, b = (*node.args[:2], None, None)[:2]
    if b is None:
        return None, None
    return (
        (number_in(a), b)
        if number_in(a) is not None
        else (number_in(b), a)
        if number_in(b) is not None
        else (None, None)
    )


def _one_and_exp(node: Any) -> Any:
    """The z of 1 + e^z."""
    one, power = _parts(node) if _is(node, "add") else (None, None)
    return power.args[0] if one == 1 and power is not None and _is(power, "exp") else None


def _exp_in_sum(node: Any) -> Any:
    """The e^z of its sum along axes."""
    return (
        node.args[0]
        if _is(node, "sum") and len(node.args) > 1 and _is(node.args[0], "exp")
        else None
    )


def _sigmoid(node: fx.Node) -> Call | None:
    below = node.args[0] if _is(node, "reciprocal") else None
    below = node.args[1] if _is(node, "div") and number_in(node.args[0]) == 1 else below
    z = _one_and_exp(below)
    return (aten.sigmoid.default, (z.args[0],)) if _is(z, "neg") else None


def _softmax(node: fx.Node) -> Call | None:
    if _is(node, "_safe_softmax"):  # where no row is all -inf
        return aten._softmax.default, (*node.args[:2], False)  # noqa: SLF001
    power, total = node.args[:2] if _is(node, "div") else (None, None)
    axis = total.args[1] if _is(total, "unsqueeze") else None  # type: ignore[union-attr]
    total = total.args[0] if _is(total, "unsqueeze") else total  # type: ignore[union-attr]
    if power is None or _exp_in_sum(total) is not power:
        return None
    axes, keepdim = (*total.args[1:3], False)[:2]  # type: ignore[union-attr]
    value = power.meta.get("val")  # type: ignore[union-attr]
    if not isinstance(axes, list) or len(axes) != 1 or value is None:
        return None
    (one,) = axes
    # each sum beside its own row: kept, put back at its place, or broadcast as the first axis is
    along = keepdim or axis == one or (axis is None and one % value.ndim == 0)
    x = power.args[0]  # type: ignore[union-attr]
    return (aten._softmax.default, (x, one, False)) if along else None  # noqa: SLF001


def _relu(node: fx.Node) -> Call | None:
    number, other = _parts(node) if _is(node, "maximum", "clamp_min") else (None, None)
    return (aten.relu.default, (other,)) if number == 0 and isinstance(other, fx.Node) else None


def _softplus(node: fx.Node) -> Call | None:
    if _is(node, "log1p") and _is(node.args[0], "exp"):
        return aten.softplus.default, (node.args[0].args[0],)  # type: ignore[union-attr]
    z = _one_and_exp(node.args[0]) if _is(node, "log") else None
    return (aten.softplus.default, (z,)) if z is not None else None


def _logsumexp(node: fx.Node) -> Call | None:
    total = node.args[0] if _is(node, "log") else None
    power = _exp_in_sum(total)
    if power is None:
        return None
    return aten.logsumexp.default, (power.args[0], *total.args[1:3])  # type: ignore[union-attr]
