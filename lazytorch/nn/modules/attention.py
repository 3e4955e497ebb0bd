"""MultiheadAttention: several attentions side by side, each over a part of the embedding."""

from __future__ import annotations

from typing import Any

from lazytorch.functions.creation import empty
from lazytorch.functions.multi_head import Weights, attend, canonical_mask, none_or_dtype
from lazytorch.nn import init
from lazytorch.nn.modules.linear import NonDynamicallyQuantizableLinear
from lazytorch.nn.modules.module import Module
from lazytorch.nn.parameter import Parameter
from lazytorch.tensor import Tensor

__all__ = ["MultiheadAttention"]


class MultiheadAttention(Module):
    """Attention of query (L, N, E) to key (S, N, kdim) and value (S, N, vdim), E = embed_dim.

    With `batch_first` the batch N is the first dimension; it may be missing. Gives the output,
    shaped as query, and the weights: their mean over the heads (N, L, S), those of each head
    (N, num_heads, L, S) without `average_attn_weights`, None without `need_weights` (faster).
    Masks are True where attention is forbidden, or numbers added to the scores:
    `key_padding_mask` (N, S), `attn_mask` (L, S) or (N * num_heads, L, S).

    >>> attention = torch.nn.MultiheadAttention(16, 4, batch_first=True)
    >>> x = torch.randn(2, 5, 16)
    >>> output, weights = attention(x, x, x)
    """

    bias_k: Tensor | None
    bias_v: Tensor | None
    in_proj_weight: Tensor | None
    in_proj_bias: Tensor | None

    def __init__(
        self,
        embed_dim: int,
        num_heads: int,
        dropout: float = 0.0,
        bias: bool = True,
        add_bias_kv: bool = False,
        add_zero_attn: bool = False,
        kdim: int | None = None,
        vdim: int | None = None,
        batch_first: bool = False,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        if embed_dim <= 0 or num_heads <= 0:
            raise ValueError(
                "embed_dim and num_heads must be greater than 0, got "
                f"embed_dim={embed_dim} and num_heads={num_heads} instead"
            )
        super().__init__()
        self.embed_dim = embed_dim
        self.kdim = kdim if kdim is not None else embed_dim
        self.vdim = vdim if vdim is not None else embed_dim
        self._qkv_same_embed_dim = self.kdim == embed_dim and self.vdim == embed_dim
        self.num_heads = num_heads
        self.dropout = dropout
        self.batch_first = batch_first
        self.head_dim = embed_dim // num_heads
        if self.head_dim * num_heads != embed_dim:
            raise AssertionError("embed_dim must be divisible by num_heads")
        self._add_parameters(bias, add_bias_kv, device, dtype)
        self.add_zero_attn = add_zero_attn
        self._reset_parameters()

    def _add_parameters(self, bias: bool, add_bias_kv: bool, device: Any, dtype: Any) -> None:
        size = self.embed_dim

        def add(name: str, shape: tuple[int, ...] | None) -> None:
            parameter = None if shape is None else Parameter(empty(shape, **place))
            self.register_parameter(name, parameter)

        place = {"device": device, "dtype": dtype}
        separate = {"q": size, "k": self.kdim, "v": self.vdim}
        if self._qkv_same_embed_dim:
            add("in_proj_weight", (3 * size, size))
        for letter, width in separate.items():
            add(f"{letter}_proj_weight", None if self._qkv_same_embed_dim else (size, width))
        if not self._qkv_same_embed_dim:
            add("in_proj_weight", None)
        add("in_proj_bias", (3 * size,) if bias else None)
        self.out_proj = NonDynamicallyQuantizableLinear(size, size, bias=bias, **place)
        for name in ("bias_k", "bias_v"):
            if add_bias_kv:
                add(name, (1, 1, size))
            else:
                setattr(self, name, None)

    def _reset_parameters(self) -> None:
        """Draw new initial values."""
        for name in ("in_proj_weight", "q_proj_weight", "k_proj_weight", "v_proj_weight"):
            if getattr(self, name) is not None:
                init.xavier_uniform_(getattr(self, name))
        if self.in_proj_bias is not None:
            init.constant_(self.in_proj_bias, 0.0)
            assert self.out_proj.bias is not None
            init.constant_(self.out_proj.bias, 0.0)
        for extra in (self.bias_k, self.bias_v):
            if extra is not None:
                init.xavier_normal_(extra)

    def __setstate__(self, state: dict[str, Any]) -> None:
        # Files of PyTorch 1.1 lack it.
        state.setdefault("_qkv_same_embed_dim", True)
        super().__setstate__(state)

    def forward(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        key_padding_mask: Tensor | None = None,
        need_weights: bool = True,
        attn_mask: Tensor | None = None,
        average_attn_weights: bool = True,
        is_causal: bool = False,
    ) -> tuple[Tensor, Tensor | None]:
        key_padding_mask = canonical_mask(
            key_padding_mask, "key_padding_mask", none_or_dtype(attn_mask), "attn_mask",
            query.dtype,
        )  # fmt: skip
        attn_mask = canonical_mask(attn_mask, "attn_mask", None, "", query.dtype, False)
        separate = None
        if not self._qkv_same_embed_dim:
            separate = (self.q_proj_weight, self.k_proj_weight, self.v_proj_weight)
        weights = Weights(
            self.in_proj_weight, separate, self.in_proj_bias, self.bias_k, self.bias_v,
            self.out_proj.weight, self.out_proj.bias,
        )  # fmt: skip
        return attend(
            query, key, value, weights, self.num_heads, embed_dim=self.embed_dim,
            batch_axis=0 if self.batch_first else 1, add_zero_attn=self.add_zero_attn,
            dropout_p=self.dropout if self.training else 0.0, key_padding_mask=key_padding_mask,
            need_weights=need_weights, attn_mask=attn_mask,
            average_attn_weights=average_attn_weights, is_causal=is_causal,
        )  # fmt: skip

    def merge_masks(
        self, attn_mask: Tensor | None, key_padding_mask: Tensor | None, query: Tensor
    ) -> tuple[Tensor | None, int | None]:
        """Both masks as one (N, num_heads, L, L), and its kind: 1 for padding alone, else 2."""
        if attn_mask is None:
            return key_padding_mask, None if key_padding_mask is None else 1
        batch, length, _ = query.shape
        if attn_mask.dim() == 3:
            merged: Tensor = attn_mask.view(batch, -1, length, length)
        else:
            merged = attn_mask.view(1, 1, length, length).expand(batch, self.num_heads, -1, -1)
        if key_padding_mask is not None:
            merged = merged + key_padding_mask.view(batch, 1, 1, length)
        return merged, 2
