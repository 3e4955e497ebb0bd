"""Attention of several heads with its projections: multi_head_attention_forward."""

from __future__ import annotations

from typing import Any

from codegen import dtype as dt
from lazytorch.functions.attention import scaled_dot_product_attention
from lazytorch.functions.creation import zeros, zeros_like
from lazytorch.functions.dropout import dropout
from lazytorch.functions.joining import cat
from lazytorch.functions.padding import pad
from lazytorch.functions.products import baddbmm, bmm, linear
from lazytorch.functions.softmax import softmax
from lazytorch.tensor import Tensor

Optional = Tensor | None


def _additive(mask: Optional, name: str, dtype: dt.DType) -> Optional:
    """A mask as numbers to add: true becomes minus infinity."""
    if mask is None:
        return None
    if mask.dtype is dt.bool_:
        return zeros_like(mask, dtype=dtype).masked_fill_(mask, float("-inf"))  # type: ignore[no-any-return]
    if not mask.is_floating_point():
        raise AssertionError(f"only bool and floating types of {name} are supported")
    return mask


def _projected(
    query: Tensor, key: Tensor, value: Tensor, weights: tuple[Optional, ...], bias: Optional
) -> list[Tensor]:
    """query, key and value by their own weights, or by one matrix that holds all three."""
    together, *apart = weights
    if together is not None:
        apart = list(together.chunk(3))
    biases = [None] * 3 if bias is None else list(bias.chunk(3))
    if together is not None and query is key and key is value:
        return list(linear(query, together, bias).chunk(3, -1))
    return [
        linear(x, w, b)  # type: ignore[arg-type]
        for x, w, b in zip((query, key, value), apart, biases, strict=True)
    ]


def _check_shapes(query: Tensor, key: Tensor, value: Tensor, embed: int, heads: int) -> None:
    if query.ndim not in (2, 3):
        raise AssertionError(
            f"query should be unbatched 2D or batched 3D tensor but received {query.ndim}-D query "
            "tensor"
        )
    if key.ndim != query.ndim or value.ndim != query.ndim:
        kind = "batched" if query.ndim == 3 else "unbatched"
        raise AssertionError(
            f"For {kind} (3-D) `query`, expected `key` and `value` to be {query.ndim}-D but found "
            f"{key.ndim}-D and {value.ndim}-D tensors respectively"
        )
    if query.shape[-1] != embed:
        raise AssertionError(
            f"was expecting embedding dimension of {embed}, but got {query.shape[-1]}"
        )
    if embed % heads:
        raise AssertionError(f"embed_dim {embed} not divisible by num_heads {heads}")


def multi_head_attention_forward(
    query: Tensor, key: Tensor, value: Tensor, embed_dim_to_check: int, num_heads: int,
    in_proj_weight: Optional, in_proj_bias: Optional, bias_k: Optional, bias_v: Optional,
    add_zero_attn: bool, dropout_p: float, out_proj_weight: Tensor, out_proj_bias: Optional,
    training: bool = True, key_padding_mask: Optional = None, need_weights: bool = True,
    attn_mask: Optional = None, use_separate_proj_weight: bool = False,
    q_proj_weight: Optional = None, k_proj_weight: Optional = None,
    v_proj_weight: Optional = None, static_k: Optional = None, static_v: Optional = None,
    average_attn_weights: bool = True, is_causal: bool = False,
) -> tuple[Tensor, Optional]:  # fmt: skip
    """query (L, B, E), key (S, B, ·) and value (S, B, ·), or without B: the output (L, B, E), and
    the weights (B, L, S), or of each head (B, H, L, S), where they are needed.

    Masks are bool, true where not to look, or are added: ``attn_mask`` (L, S) or (B·H, L, S),
    ``key_padding_mask`` (B, S).
    """
    _check_shapes(query, key, value, embed_dim_to_check, num_heads)
    if is_causal and attn_mask is None:
        raise RuntimeError(
            "Need attn_mask if specifying the is_causal hint. You may use the Transformer module "
            "method `generate_square_subsequent_mask` to create this mask."
        )
    batched = query.ndim == 3
    if not batched:
        same = query is key, key is value
        query = query.unsqueeze(1)
        key = query if same[0] else key.unsqueeze(1)
        value = key if same[1] else value.unsqueeze(1)
        if key_padding_mask is not None:
            key_padding_mask = key_padding_mask.unsqueeze(0)
    target, batch, embed = query.shape
    weights = (
        (None, q_proj_weight, k_proj_weight, v_proj_weight)
        if use_separate_proj_weight
        else (in_proj_weight, None, None, None)
    )
    q, k, v = _projected(query, key, value, weights, in_proj_bias)
    mask = _additive(attn_mask, "attn_mask", query.dtype)
    padding = _additive(key_padding_mask, "key_padding_mask", query.dtype)
    if mask is not None and mask.ndim == 2:
        mask = mask.unsqueeze(0)

    def one_more(x: Optional) -> Optional:
        return None if x is None else pad(x, (0, 1))

    if bias_k is not None and bias_v is not None:
        k, v = cat([k, bias_k.repeat(1, batch, 1)]), cat([v, bias_v.repeat(1, batch, 1)])
        mask, padding = one_more(mask), one_more(padding)
    groups, width = batch * num_heads, embed // num_heads

    def by_head(x: Tensor) -> Tensor:
        return x.reshape(x.shape[0], groups, width).transpose(0, 1)  # type: ignore[no-any-return]

    q = by_head(q)
    k = by_head(k) if static_k is None else static_k
    v = by_head(v) if static_v is None else static_v
    if add_zero_attn:
        nothing = zeros(groups, 1, width, dtype=k.dtype, device=k.device)
        k, v = cat([k, nothing], 1), cat([v, nothing], 1)
        mask, padding = one_more(mask), one_more(padding)
    source = k.shape[1]
    if padding is not None:
        if tuple(padding.shape) != (batch, source):
            raise AssertionError(
                f"Expected key_padded_mask.shape[1] to be {source}, but got {padding.shape[1]}"
            )
        spread = padding.reshape(batch, 1, 1, source).expand(-1, num_heads, -1, -1)
        spread = spread.reshape(groups, 1, source)
        mask = spread if mask is None else mask + spread
    chance = dropout_p if training else 0.0
    if need_weights:
        scaled = q * (1.0 / width) ** 0.5
        keys = k.transpose(1, 2)
        scores = bmm(scaled, keys) if mask is None else baddbmm(mask, scaled, keys)
        share: Any = softmax(scores, -1)
        if chance > 0:
            share = dropout(share, chance)
        found = bmm(share, v)
    else:
        if mask is not None:
            shared = mask.shape[0] == 1
            mask = mask.unsqueeze(0) if shared else mask.reshape(batch, num_heads, -1, source)
        shape = (batch, num_heads, -1, width)
        found = scaled_dot_product_attention(
            q.reshape(shape), k.reshape(shape), v.reshape(shape), mask, chance
        ).reshape(groups, target, width)
        share = None
    joined = found.transpose(0, 1).reshape(target * batch, embed)
    output = linear(joined, out_proj_weight, out_proj_bias).reshape(target, batch, -1)
    if share is not None:
        share = share.reshape(batch, num_heads, target, source)
        share = share.mean(1) if average_attn_weights else share
    if not batched:
        output = output.squeeze(1)
        share = None if share is None else share.squeeze(0)
    return output, share


__all__ = ["multi_head_attention_forward"]
