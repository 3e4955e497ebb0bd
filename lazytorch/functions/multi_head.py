"""Multi-head attention: projections around scaled dot-product attention, masks, extra keys."""

from __future__ import annotations

import math
import warnings
from typing import Any

from codegen import dtype as dt
from codegen.dtype import DType
from lazytorch.functions.attention import scaled_dot_product_attention
from lazytorch.functions.creation import zeros_like
from lazytorch.functions.dropout import dropout
from lazytorch.functions.joining import cat
from lazytorch.functions.padding import pad
from lazytorch.functions.products import linear
from lazytorch.functions.registration import PUBLIC
from lazytorch.tensor import Tensor


def canonical_mask(
    mask: Tensor | None,
    mask_name: str,
    other_type: DType | None,
    other_name: str,
    target_type: DType,
    check_other: bool = True,
) -> Tensor | None:
    """A mask as numbers to add to the scores: True, which forbids, becomes -inf."""
    if mask is None:
        return None
    if mask.dtype is not dt.bool_ and not mask.is_floating_point():
        raise AssertionError(f"only bool and floating types of {mask_name} are supported")
    if check_other and other_type is not None and mask.dtype is not other_type:
        warnings.warn(
            f"Support for mismatched {mask_name} and {other_name} is deprecated. "
            "Use same type for both instead.",
            stacklevel=3,
        )
    if mask.dtype is dt.bool_:
        filled: Tensor = zeros_like(mask, dtype=target_type).masked_fill(mask, -math.inf)
        return filled
    return mask


def none_or_dtype(input: Tensor | None) -> DType | None:
    """The element type of a tensor that may be absent."""
    if input is None:
        return None
    if isinstance(input, Tensor):
        return input.dtype
    raise RuntimeError("input to _none_or_dtype() must be None or torch.Tensor")


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise AssertionError(message)


def _check_ranks(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    key_padding_mask: Tensor | None,
    attn_mask: Tensor | None,
    num_heads: int,
) -> bool:
    """Whether the input is a batch; AssertionError where ranks do not fit together."""
    rank = query.dim()
    if rank not in (2, 3):
        raise AssertionError(
            f"query should be unbatched 2D or batched 3D tensor but received {rank}-D query tensor"
        )
    kind = "batched (3-D)" if rank == 3 else "unbatched (2-D)"
    if key.dim() != rank or value.dim() != rank:
        raise AssertionError(
            f"For {kind} `query`, expected `key` and `value` to be {rank}-D but found "
            f"{key.dim()}-D and {value.dim()}-D tensors respectively"
        )
    if key_padding_mask is not None and key_padding_mask.dim() != rank - 1:
        raise AssertionError(
            f"For {kind} `query`, expected `key_padding_mask` to be `None` or {rank - 1}-D but "
            f"found {key_padding_mask.dim()}-D tensor instead"
        )
    if attn_mask is not None:
        if attn_mask.dim() not in (2, 3):
            raise AssertionError(
                f"For {kind} `query`, expected `attn_mask` to be `None`, 2-D or 3-D but found "
                f"{attn_mask.dim()}-D tensor instead"
            )
        if rank == 2 and attn_mask.dim() == 3:
            expected = (num_heads, query.shape[0], key.shape[0])
            _require(
                attn_mask.shape == expected,
                f"Expected `attn_mask` shape to be {expected} but got {attn_mask.shape}",
            )
    return rank == 3


class Weights:
    """The parameters of a multi-head attention and what depends on them alone.

    in_proj_weight (3E, E), or q_proj_weight (E, E), k_proj_weight (E, kdim) and v_proj_weight
    (E, vdim); in_proj_bias (3E); bias_k and bias_v (1, 1, E), one more key and value.
    """

    def __init__(
        self,
        packed: Tensor | None,
        separate: tuple[Tensor | None, Tensor | None, Tensor | None] | None,
        bias: Tensor | None,
        bias_k: Tensor | None,
        bias_v: Tensor | None,
        out_weight: Tensor,
        out_bias: Tensor | None,
    ) -> None:
        self.packed = packed
        self.separate = separate
        self.bias = bias
        self.bias_k = bias_k
        self.bias_v = bias_v
        self.out_weight = out_weight
        self.out_bias = out_bias

    def project(self, query: Tensor, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Queries, keys and values (…, E) of the inputs; what is one input is one product."""
        if self.separate is not None:
            return self._project_separately(query, key, value)
        size = query.size(-1)
        if self.packed is None:
            raise AssertionError("use_separate_proj_weight is False but in_proj_weight is None")
        weight, bias = self.packed, self.bias
        if key is value and query is key:
            q, k, v = linear(query, weight, bias).split(size, -1)
            return q, k, v
        if key is value:
            w_q, w_kv = weight.split([size, 2 * size])
            b_q, b_kv = (None, None) if bias is None else bias.split([size, 2 * size])
            k, v = linear(key, w_kv, b_kv).split(size, -1)
            return linear(query, w_q, b_q), k, v
        w_q, w_k, w_v = weight.split(size)
        b_q, b_k, b_v = (None,) * 3 if bias is None else bias.split(size)
        return linear(query, w_q, b_q), linear(key, w_k, b_k), linear(value, w_v, b_v)

    def _project_separately(
        self, query: Tensor, key: Tensor, value: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        size = query.size(-1)
        assert self.separate is not None
        biases = (None,) * 3 if self.bias is None else self.bias.split(size)
        projected = []
        # All weights are asked for before any is looked at.
        for letter, weight in zip("qkv", self.separate, strict=True):
            _require(
                weight is not None,
                f"use_separate_proj_weight is True but {letter}_proj_weight is None",
            )
        inputs = (("query", query), ("key", key), ("value", value))
        for (name, x), weight in zip(inputs, self.separate, strict=True):
            assert weight is not None
            expected = (size, x.size(-1))
            _require(
                weight.shape == expected,
                f"expecting {name} weights shape of {expected}, but got {weight.shape}",
            )
        for (_, x), weight, bias in zip(inputs, self.separate, biases, strict=True):
            assert weight is not None
            projected.append(linear(x, weight, bias))
        q, k, v = projected
        return q, k, v

    def has_extra_key(self) -> bool:
        """Whether there is one more key and value in all sequences."""
        _require(self.bias_k is None or self.bias_v is not None, "bias_k is set but bias_v is None")
        _require(self.bias_v is None or self.bias_k is not None, "bias_v is set but bias_k is None")
        return self.bias_k is not None


def _checked_mask(mask: Tensor, batch: int, heads: int, rows: int, columns: int) -> Tensor:
    """A mask (rows, columns) or (batch * heads, rows, columns) with four dimensions."""
    expected = (rows, columns) if mask.dim() == 2 else (batch * heads, rows, columns)
    if mask.shape != expected:
        raise RuntimeError(
            f"The shape of the {mask.dim()}D attn_mask is {mask.shape}, but should be {expected}."
        )
    if mask.dim() == 2:
        return mask[None, None]
    shaped: Tensor = mask.reshape(batch, heads, rows, columns)
    return shaped


def _merged_masks(attn_mask: Tensor | None, padding: Tensor | None, shape: Any) -> Tensor | None:
    """The sum of both masks, broadcastable to (N, H, L, S); ``padding`` is (N, S)."""
    if padding is None:
        return attn_mask
    batch, columns = shape
    for axis, size in enumerate((batch, columns)):
        _require(
            padding.shape[axis] == size,
            f"Expected key_padded_mask.shape[{axis}] to be {size}, but got {padding.shape[axis]}",
        )
    padding = padding[:, None, None]
    return padding if attn_mask is None else attn_mask + padding


def _checked_static(static: Tensor, letter: str, batch: int, heads: int, size: int) -> Tensor:
    """A key or value (N * H, S, D) that is used instead of a projected one."""
    for axis, expected in ((0, batch * heads), (2, size)):
        _require(
            static.size(axis) == expected,
            f"expecting static_{letter}.size({axis}) of {expected}, but got {static.size(axis)}",
        )
    shaped: Tensor = static.reshape(batch, heads, static.size(1), size)
    return shaped


def attend(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    weights: Weights,
    num_heads: int,
    *,
    embed_dim: int,
    batch_axis: int,
    add_zero_attn: bool = False,
    dropout_p: float = 0.0,
    key_padding_mask: Tensor | None = None,
    need_weights: bool = True,
    attn_mask: Tensor | None = None,
    statics: tuple[Tensor | None, Tensor | None] = (None, None),
    average_attn_weights: bool = True,
    is_causal: bool = False,
) -> tuple[Tensor, Tensor | None]:
    """Attention of query (L, N, E) to key (S, N, kdim) and value (S, N, vdim), with the batch at
    ``batch_axis`` instead, or without one: ((L, N, E), weights (N, L, S) or (N, H, L, S))."""
    is_batched = _check_ranks(query, key, value, key_padding_mask, attn_mask, num_heads)
    if not is_batched:
        batch_axis = 1
        same_key, same_value = key is query, value is key
        query = query.unsqueeze(1)
        key = query if same_key else key.unsqueeze(1)
        value = key if same_value else value.unsqueeze(1)
        if key_padding_mask is not None:
            key_padding_mask = key_padding_mask.unsqueeze(0)
    time_axis = 1 - batch_axis
    rows, columns = query.size(time_axis), key.size(time_axis)
    batch, size = query.size(batch_axis), query.size(2)
    key_padding_mask = canonical_mask(
        key_padding_mask, "key_padding_mask", none_or_dtype(attn_mask), "attn_mask", query.dtype
    )
    if is_causal and attn_mask is None:
        raise RuntimeError(
            "Need attn_mask if specifying the is_causal hint. You may use the Transformer module "
            "method `generate_square_subsequent_mask` to create this mask."
        )
    if is_causal and key_padding_mask is None and not need_weights:
        attn_mask = None
    else:
        is_causal = False
        attn_mask = canonical_mask(attn_mask, "attn_mask", None, "", query.dtype, False)
    _require(size == embed_dim, f"was expecting embedding dimension of {embed_dim}, but got {size}")
    head_size = size // num_heads
    _require(
        head_size * num_heads == size, f"embed_dim {size} not divisible by num_heads {num_heads}"
    )
    if weights.separate is None:
        _require(
            key.shape == value.shape,
            f"key shape {key.shape} does not match value shape {value.shape}",
        )
    else:
        _require(
            key.shape[:2] == value.shape[:2],
            f"key's sequence and batch dims {key.shape[:2]} do not match value's {value.shape[:2]}",
        )
    q, k, v = weights.project(query, key, value)
    if attn_mask is not None:
        attn_mask = _checked_mask(attn_mask, batch, num_heads, rows, columns)
    extra = 0
    if weights.has_extra_key():
        _require(statics[0] is None, "bias cannot be added to static key.")
        _require(statics[1] is None, "bias cannot be added to static value.")
        assert weights.bias_k is not None and weights.bias_v is not None
        shape = [1, 1, size]
        shape[batch_axis] = batch
        k = cat([k, weights.bias_k.expand(shape)], time_axis)
        v = cat([v, weights.bias_v.expand(shape)], time_axis)
        extra += 1

    def split_heads(x: Tensor) -> Tensor:
        # (…, E) -> (N, H, S, D)
        order = (0, 2, 1, 3) if batch_axis == 0 else (1, 2, 0, 3)
        parted: Tensor = x.unflatten(-1, (num_heads, head_size)).permute(order)
        return parted

    q = split_heads(q)
    k, v = (
        split_heads(x)
        if static is None
        else _checked_static(static, letter, batch, num_heads, head_size)
        for x, static, letter in ((k, statics[0], "k"), (v, statics[1], "v"))
    )
    if add_zero_attn:
        k, v = (pad(x, (0, 0, 0, 1)) for x in (k, v))
        extra += 1
    if extra:
        attn_mask = attn_mask if attn_mask is None else pad(attn_mask, (0, extra))
        if key_padding_mask is not None:
            key_padding_mask = pad(key_padding_mask, (0, extra))
    mask = _merged_masks(attn_mask, key_padding_mask, (batch, k.size(2)))
    back = (0, 2, 1, 3) if batch_axis == 0 else (2, 0, 1, 3)
    shown: Tensor | None = None
    if need_weights:
        scores = (q * math.sqrt(1.0 / head_size)) @ k.transpose(-2, -1)
        if mask is not None:
            scores = scores + mask.to(scores.dtype)
        shown = PUBLIC["softmax"](scores, -1)
        if dropout_p > 0.0:
            shown = dropout(shown, dropout_p)
        attended = shown @ v
        if average_attn_weights:
            shown = shown.mean(1)
        if not is_batched:
            shown = shown.squeeze(0)
    else:
        attended = scaled_dot_product_attention(q, k, v, mask, dropout_p, is_causal)
    joined = attended.permute(back).reshape(*query.shape[:2], size)
    output = linear(joined, weights.out_weight, weights.out_bias)
    if not is_batched:
        output = output.squeeze(1)
    return output, shown


def multi_head_attention_forward(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    embed_dim_to_check: int,
    num_heads: int,
    in_proj_weight: Tensor | None,
    in_proj_bias: Tensor | None,
    bias_k: Tensor | None,
    bias_v: Tensor | None,
    add_zero_attn: bool,
    dropout_p: float,
    out_proj_weight: Tensor,
    out_proj_bias: Tensor | None,
    training: bool = True,
    key_padding_mask: Tensor | None = None,
    need_weights: bool = True,
    attn_mask: Tensor | None = None,
    use_separate_proj_weight: bool = False,
    q_proj_weight: Tensor | None = None,
    k_proj_weight: Tensor | None = None,
    v_proj_weight: Tensor | None = None,
    static_k: Tensor | None = None,
    static_v: Tensor | None = None,
    average_attn_weights: bool = True,
    is_causal: bool = False,
) -> tuple[Tensor, Tensor | None]:
    """Multi-head attention over given parameters.

    query (L, N, E), key (S, N, kdim), value (S, N, vdim), or all without N, to the output
    (L, N, E) and the weights of the heads' mean (N, L, S), of each head (N, H, L, S) without
    ``average_attn_weights``, or None without ``need_weights``. ``key_padding_mask`` (N, S) and
    ``attn_mask`` (L, S) or (N * H, L, S) are True where attention is forbidden, or numbers to be
    added to the scores. ``is_causal`` says that ``attn_mask`` is the causal one.
    """
    separate = (q_proj_weight, k_proj_weight, v_proj_weight) if use_separate_proj_weight else None
    weights = Weights(
        in_proj_weight, separate, in_proj_bias, bias_k, bias_v, out_proj_weight, out_proj_bias
    )
    return attend(
        query, key, value, weights, num_heads, embed_dim=embed_dim_to_check, batch_axis=1,
        add_zero_attn=add_zero_attn, dropout_p=dropout_p if training else 0.0,
        key_padding_mask=key_padding_mask, need_weights=need_weights, attn_mask=attn_mask,
        statics=(static_k, static_v), average_attn_weights=average_attn_weights,
        is_causal=is_causal,
    )  # fmt: skip
