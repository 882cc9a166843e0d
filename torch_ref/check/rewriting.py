"""A forward as operations that people write a backward for: torch's large ones split, formulas put together."""

import math
import sys
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, fx

aten = torch.ops.aten


def _layer_norm(x: Tensor, shape: list[int], w: Tensor | None, b: Tensor | None, eps: float) -> tuple[Tensor, Tensor, Tensor]:
    axes = list(range(x.ndim - len(shape), x.ndim))
    mean = x.mean(axes, keepdim=True)
    r = (x.var(axes, unbiased=False, keepdim=True) + eps).rsqrt()
    y = (x - mean) * r
    y = y if w is None else y * w
    return (y if b is None else y + b), mean, r


def _batch_norm(  # noqa: PLR0913, PLR0917 - as torch has it
    x: Tensor, w: Tensor | None, b: Tensor | None, rm: Tensor | None, rv: Tensor | None, training: bool, _: float, eps: float  # noqa: FBT001
) -> tuple[Tensor, Tensor, Tensor]:  # fmt: skip
    axes, shape = [i for i in range(x.ndim) if i != 1], [1, -1] + [1] * (x.ndim - 2)
    mean = x.mean(axes) if training or rm is None else rm
    var = x.var(axes, unbiased=False) if training or rv is None else rv
    r = (var + eps).rsqrt()
    y = (x - mean.view(shape)) * r.view(shape)
    y = y if w is None else y * w.view(shape)
    return (y if b is None else y + b.view(shape)), mean, r


def _attention(  # noqa: PLR0913 - as torch has it
    q: Tensor, k: Tensor, v: Tensor, p: float = 0.0, causal: bool = False, *,  # noqa: FBT001, FBT002, ARG001
    attn_mask: Tensor | None = None, scale: float | None = None
) -> tuple[Tensor, Tensor]:  # fmt: skip
    scores = (q @ k.mT) * (1 / math.sqrt(q.shape[-1]) if scale is None else scale)
    if causal:
        scores = scores.masked_fill(~torch.ones(scores.shape[-2:], dtype=torch.bool, device=q.device).tril(), -math.inf)
    scores = scores if attn_mask is None else scores + attn_mask
    return scores.softmax(-1) @ v, scores.logsumexp(-1)


def _nll(x: Tensor, t: Tensor, w: Tensor | None, reduction: int, ignore: int) -> tuple[Tensor, Tensor]:
    kept = t != ignore
    chosen = -x.gather(1, t.masked_fill(~kept, 0).unsqueeze(1)).squeeze(1)
    weight = kept.to(x.dtype) if w is None else w[t.masked_fill(~kept, 0)] * kept
    terms, total = chosen * weight, weight.sum()
    return (terms if reduction == 0 else terms.sum() / total if reduction == 1 else terms.sum()), total


def _norm(
    x: Tensor, p: float = 2, axes: list[int] | None = None, keepdim: bool = False, dtype: Any = None  # noqa: FBT001, FBT002, ARG001
) -> Tensor:  # fmt: skip
    axes = list(range(x.ndim)) if axes is None else axes
    if p == 2:
        return (x**2).sum(axes, keepdim=keepdim).sqrt()
    return (x.abs() ** p).sum(axes, keepdim=keepdim) ** (1 / p)


def _mse(x: Tensor, t: Tensor, reduction: int = 1) -> Tensor:
    terms = (x - t) ** 2
    return terms if reduction == 0 else terms.mean() if reduction == 1 else terms.sum()


def _bce(p: Tensor, t: Tensor, w: Tensor | None = None, reduction: int = 1) -> Tensor:
    terms = -(t * p.log() + (1 - t) * (1 - p).log())
    terms = terms if w is None else terms * w
    return terms if reduction == 0 else terms.mean() if reduction == 1 else terms.sum()


def _group_norm(  # noqa: PLR0913, PLR0917 - as torch has it
    x: Tensor, w: Tensor | None, b: Tensor | None, n: int, c: int, _: int, groups: int, eps: float
) -> tuple[Tensor, Tensor, Tensor]:
    parts, shape = x.reshape(n, groups, -1), [1, c] + [1] * (x.ndim - 2)
    mean = parts.mean(2, keepdim=True)
    r = (parts.var(2, unbiased=False, keepdim=True) + eps).rsqrt()
    y = ((parts - mean) * r).reshape(x.shape)
    y = y if w is None else y * w.view(shape)
    return (y if b is None else y + b.view(shape)), mean, r


PARTS: dict[Any, Callable[..., Any]] = {
    aten.native_layer_norm.default: _layer_norm,
    aten.native_batch_norm.default: _batch_norm,
    aten.native_group_norm.default: _group_norm,
    aten._scaled_dot_product_flash_attention_for_cpu.default: _attention,  # noqa: SLF001
    aten.nll_loss_forward.default: _nll,
    aten.linalg_vector_norm.default: _norm,
    aten.mse_loss.default: _mse,
    aten.binary_cross_entropy.default: _bce,
    aten.silu.default: lambda x: x * torch.sigmoid(x),
    aten.addmm.default: lambda b, x, w, *, beta=1, alpha=1: beta * b + alpha * (x @ w),
    aten.sigmoid_.default: torch.sigmoid,
}


def rewrite(graph: fx.Graph) -> None:
    """1 / (1 + e^-z) is a sigmoid, e^z / sum(e^z) a softmax, max(z, 0) a relu, log(1 + e^z) a softplus, log(sum(e^z)) a
    logsumexp: so that mistakes in them have names. x[:] is x.
    """
    for node in list(graph.nodes):
        if node.op != "call_function":
            continue
        if _is(node, "slice") and node.args[2:3] in {(), (0,)} and (len(node.args) < 4 or node.args[3] == sys.maxsize):
            node.replace_all_uses_with(node.args[0])
            continue
        if _is(node, "add", "sub", "mul", "div", "pow"):
            numbers = [number_in(part) if isinstance(part, fx.Node) else None for part in node.args]
            node.args = tuple(part if n is None else n for part, n in zip(node.args, numbers, strict=True))
            if _is(node, "pow") and isinstance(node.args[1], float):
                node.target = aten.pow.Tensor_Scalar
        found = _sigmoid(node) or _softmax(node) or _relu(node) or _softplus(node) or _logsumexp_of(node)
        if found is not None:
            target, arguments = found
            with graph.inserting_before(node):
                new = graph.call_function(target, arguments)
            node.replace_all_uses_with(new)


def _is(node: Any, *names: str) -> bool:
    return (
        isinstance(node, fx.Node)
        and node.op == "call_function"
        and str(node.target).removeprefix("aten.").split(".")[0] in names
    )


def number_in(value: Any) -> float | None:
    """Of a constant: a number, or a tensor of one that is part of the graph."""
    if isinstance(value, int | float):
        return float(value)
    if isinstance(value, fx.Node) and value.op == "get_attr":
        tensor = getattr(value.graph.owning_module, str(value.target), None)
        return float(tensor) if isinstance(tensor, Tensor) and tensor.numel() == 1 else None
    if _is(value, "lift_fresh_copy", "_to_copy", "clone", "scalar_tensor", "full", "detach", "alias"):
        inner = value.args[1] if _is(value, "full") else value.args[0]
        return number_in(inner)
    return None


def _parts(node: Any) -> tuple[Any, Any]:
    """A number and the other operand of a sum, product or quotient, in either order."""
    if len(node.args) < 2:
        return None, None
    a, b = node.args[:2]
    if number_in(a) is not None:
        return number_in(a), b
    return (number_in(b), a) if number_in(b) is not None else (None, None)


def _sigmoid(node: fx.Node) -> tuple[Any, tuple[Any, ...]] | None:
    if _is(node, "reciprocal"):
        below = node.args[0]
    elif _is(node, "div") and number_in(node.args[0]) == 1:
        below = node.args[1]
    elif _is(node, "mul") and _parts(node)[0] == 1:
        return None
    else:
        return None
    if not _is(below, "add"):
        return None
    one, power = _parts(below)
    if one != 1 or not _is(power, "exp"):
        return None
    inner = power.args[0]
    if _is(inner, "neg"):
        return aten.sigmoid.default, (inner.args[0],)
    return None


def _softmax(node: fx.Node) -> tuple[Any, tuple[Any, ...]] | None:
    if _is(node, "_safe_softmax"):  # where no row is all -inf
        return aten._softmax.default, (*node.args[:2], False)  # noqa: SLF001
    if not _is(node, "div") or not _is(node.args[0], "exp"):
        return None
    power, total = node.args[:2]
    unsqueezed = _is(total, "unsqueeze")
    axis = total.args[1] if unsqueezed else None  # type: ignore[union-attr]
    total = total.args[0] if unsqueezed else total  # type: ignore[union-attr]
    if not _is(total, "sum") or len(total.args) < 2 or total.args[0] is not power:  # type: ignore[union-attr]
        return None
    axes = total.args[1]  # type: ignore[union-attr]
    keepdim = len(total.args) > 2 and bool(total.args[2])  # type: ignore[union-attr]
    value = power.meta.get("val")  # type: ignore[union-attr]
    if not isinstance(axes, list) or len(axes) != 1 or value is None:
        return None
    (one,) = axes
    same = keepdim or axis == one or one % value.ndim == 0
    return (aten._softmax.default, (power.args[0], one, False)) if same else None  # type: ignore[union-attr]  # noqa: SLF001


def _relu(node: fx.Node) -> tuple[Any, tuple[Any, ...]] | None:
    if _is(node, "maximum", "clamp_min"):
        number, other = _parts(node)
        if number == 0 and isinstance(other, fx.Node):
            return aten.relu.default, (other,)
    return None


def _softplus(node: fx.Node) -> tuple[Any, tuple[Any, ...]] | None:
    power = node.args[0] if _is(node, "log1p") else None
    if _is(node, "log") and _is(node.args[0], "add"):
        one, other = _parts(node.args[0])
        power = other if one == 1 else None
    return (aten.softplus.default, (power.args[0],)) if isinstance(power, fx.Node) and _is(power, "exp") else None


def _logsumexp_of(node: fx.Node) -> tuple[Any, tuple[Any, ...]] | None:
    total = node.args[0] if _is(node, "log") else None
    if not isinstance(total, fx.Node) or not _is(total, "sum") or len(total.args) < 2 or not _is(total.args[0], "exp"):
        return None
    power = total.args[0]
    assert isinstance(power, fx.Node)
    return aten.logsumexp.default, (power.args[0], *total.args[1:3])
