"""Scaled dot-product attention as one call."""

from __future__ import annotations

from collections.abc import Sequence
from math import sqrt
from typing import Any

from codegen.ir.node import Node, TensorType
from codegen.ops import elementwise as ew
from codegen.ops.leaves import iota
from codegen.ops.movement import permute, reshape
from codegen.ops.reduction import broadcast, expand_back, max_, sum_
from lazytorch.core import broadcast_to
from lazytorch.expression import Function
from lazytorch.functions.bodies import apply_one, call_function, in_accumulation_type, number
from lazytorch.functions.dropout import dropout_node
from lazytorch.functions.products import matmul_node
from lazytorch.functions.random import take
from lazytorch.functions.softmax import divided_by_row, softmax_gradient
from lazytorch.tensor import Tensor


def _attention(query: Node, key: Node, value: Node, scale: Node, *rest: Any) -> Node:
    """``rest``: a mask, and p, seed and stream of dropout (where there are such)."""
    *extra, has_mask, causal, has_dropout, grouped = rest
    if grouped:
        key, value = _repeat_heads(key, query.shape[-3]), _repeat_heads(value, query.shape[-3])
    swapped = [*range(len(key.shape) - 2), len(key.shape) - 1, len(key.shape) - 2]
    scores = matmul_node(query, permute(key, swapped))
    scores = ew.mul(scores, number(scale, scores))
    last = (len(scores.shape) - 1,)
    lowest = ew.full_like(scores, -float("inf"))
    if causal:
        rows = broadcast(iota(scores.shape[-2]), scores.shape, (last[0] - 1,))
        columns = broadcast(iota(scores.shape[-1]), scores.shape, last)
        scores = ew.where(ew.ge(rows, columns), scores, lowest)
    if has_mask:
        mask = broadcast_to(extra[0], scores.shape)
        if mask.dtype.kind == "bool":
            scores = ew.where(mask, scores, lowest)
        else:
            scores = ew.add(scores, ew.cast(mask, scores.dtype))
    weights = call_function(ATTENTION_WEIGHTS, (scores,))
    if has_dropout:
        p, seed, stream = extra[int(has_mask) :]
        weights = dropout_node(weights, p, seed, stream, 0)
    return matmul_node(weights, value)


def _weights(scores: Node) -> Node:
    """softmax of each row; a row with nothing to attend to gives zeros, not NaN."""
    last = (len(scores.shape) - 1,)
    top = max_(scores, last)
    void = ew.eq(top, ew.full_like(top, -float("inf")))
    top = ew.where(void, ew.full_like(top, 0), top)
    raised = ew.exp(ew.sub(scores, expand_back(top, scores.shape, last)))
    total = sum_(raised, last)
    total = ew.where(void, ew.full_like(total, 1), total)
    return divided_by_row(raised, total, last)


ATTENTION_WEIGHTS = Function(
    "attention_weights",
    in_accumulation_type(_weights),
    lambda inputs, outputs, g: softmax_gradient(
        inputs, outputs, g, len(outputs[0].shape) - 1, None
    ),
)


def _repeat_heads(x: Node, heads: int) -> Node:
    """Each head of axis -3 as many times as there are queries for it."""
    axis = len(x.shape) - 3
    shape = (*x.shape[: axis + 1], heads // x.shape[axis], *x.shape[axis + 1 :])
    axes = [i if i <= axis else i + 1 for i in range(len(x.shape))]
    return reshape(broadcast(x, shape, axes), (*x.shape[:axis], heads, *x.shape[axis + 1 :]))


def _saved(
    types: Sequence[TensorType], tracked: frozenset[int],
    has_mask: bool, _: bool, has_dropout: bool, __: bool,
) -> tuple[int, ...]:  # fmt: skip
    """PyTorch has one node for images of heads; elsewhere several, which save scaled copies of
    query and key, and the weights."""
    mask = (4,) if has_mask else ()
    if len(types[0].shape) != 4 or has_dropout or not tracked.isdisjoint(mask):
        return (2,) if tracked - {2} else ()
    return (0, 1, 2, *mask, ~0)


ATTENTION = Function(
    "scaled_dot_product_attention", _attention,
    gradient_name="ScaledDotProductFlashAttentionForCpuBackward0", saves_exactly=_saved,
)  # fmt: skip


def scaled_dot_product_attention(
    query: Tensor, key: Tensor, value: Tensor, attn_mask: Tensor | None = None,
    dropout_p: float = 0.0, is_causal: bool = False, scale: float | None = None,
    enable_gqa: bool = False,
) -> Tensor:  # fmt: skip
    """softmax(query @ key.T * scale + mask) @ value.

    query: (…, L, E), key: (…, S, E), value: (…, S, V) -> (…, L, V). A mask of bools tells what to
    attend to; one of floats is added to the scores.
    """
    if is_causal and attn_mask is not None:
        raise RuntimeError(
            "_scaled_dot_product_attention: Explicit attn_mask should not be set when "
            "is_causal=True"
        )
    factor = 1 / sqrt(query.size(-1)) if scale is None else float(scale)
    inputs: tuple[Any, ...] = (query, key, value, factor)
    if attn_mask is not None:
        inputs += (attn_mask,)
    if dropout_p > 0:
        inputs += (float(dropout_p), *take())
    attributes = (attn_mask is not None, bool(is_causal), dropout_p > 0, bool(enable_gqa))
    return apply_one(ATTENTION, inputs, attributes)
