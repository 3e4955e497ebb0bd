"""Attention whose scores and mask are functions: ``flex_attention`` and its block masks.

The functions are mapped over all places by ``vmap``, so that they become part of the graph: with
the products and the softmax they are fused as attention is that has been written out by hand. A
BlockMask's tables say which blocks hold anything; what is computed follows from its function alone.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any, NamedTuple

import lazytorch
from lazytorch.tensor import Tensor

__all__ = [
    "AuxOutput", "AuxRequest", "BlockMask", "FlexKernelOptions", "and_masks", "create_block_mask",
    "create_mask", "flex_attention", "noop_mask", "or_masks",
]  # fmt: skip

torch: Any = lazytorch  # whose names are made when it is imported
Function = Callable[..., Any]
FlexKernelOptions = dict[str, Any]
_DEFAULT_SPARSE_BLOCK_SIZE = 128


class AuxRequest(NamedTuple):
    """Which results besides the output are wanted."""

    lse: bool = False
    max_scores: bool = False


class AuxOutput(NamedTuple):
    """What was asked for: (batch, heads, queries), float32; None where it was not."""

    lse: Tensor | None = None
    max_scores: Tensor | None = None


def noop_mask(batch: Tensor, head: Tensor, token_q: Tensor, token_kv: Tensor) -> Any:
    """A mask that leaves everything."""
    return batch.new_ones(size=(), dtype=torch.bool, device=batch.device)


def and_masks(*mask_mods: Function) -> Function:
    """The mask that leaves what all of these leave."""
    return _joined(mask_mods, True, torch.logical_and)


def or_masks(*mask_mods: Function) -> Function:
    """The mask that leaves what any of these leaves."""
    return _joined(mask_mods, False, torch.logical_or)


def _joined(mask_mods: tuple[Function, ...], start: bool, join: Function) -> Function:
    if not all([callable(mod) for mod in mask_mods]):
        raise RuntimeError(f"All inputs should be callable mask_mods: {mask_mods}")

    def mask(b: Tensor, h: Tensor, q_idx: Tensor, kv_idx: Tensor) -> Any:
        result = b.new_full((), start, dtype=torch.bool)
        for mod in mask_mods:
            result = join(result, mod(b, h, q_idx, kv_idx))
        return result

    return mask


def _over_places(function: Function, with_scores: bool) -> Function:
    """A function of (score,) b, h, q and kv places mapped over ranges of each."""
    for dims in ((None, None, None, 0), (None, None, 0, None), (None, 0, None, None),
                 (0, None, None, None)):  # fmt: skip
        function = torch.vmap(function, (0, *dims) if with_scores else dims)
    return function


def create_mask(
    mod_fn: Function, B: int | None, H: int | None, Q_LEN: int, KV_LEN: int, device: Any = None
) -> Any:
    """The mask, or score's change, of each place: (B or 1, H or 1, Q_LEN, KV_LEN).

    mod_fn  (b, h, q, kv) -> bool, or (score, b, h, q, kv) -> score, of 0-d tensors; a score's
            change begins with zeros.

    >>> torch.nn.attention.flex_attention.create_mask(
    ...     lambda b, h, q, kv: q >= kv, None, None, 2, 3).int().tolist()
    [[[[1, 0, 0], [1, 1, 0]]]]
    """
    sizes = B or 1, H or 1, Q_LEN, KV_LEN
    places = [torch.arange(n, device=device) for n in sizes]
    if _takes_scores(mod_fn):
        return _over_places(mod_fn, True)(torch.zeros(sizes, device=device), *places)
    return _over_places(mod_fn, False)(*places).expand(sizes)


def _takes_scores(function: Any) -> bool:
    code = getattr(function, "__code__", None)
    return code is not None and code.co_argcount - len(function.__defaults__ or ()) == 5


class BlockMask:
    """A mask, and which blocks of queries and keys it leaves anything of.

    Of the blocks of a row (``kv_…``) or a column (``q_…``), the first ``num_blocks`` of
    ``indices`` are those of which something is left, the ``full`` ones those left whole.
    """

    def __init__(
        self,
        seq_lengths: tuple[int, int],
        kv_num_blocks: Tensor,
        kv_indices: Tensor,
        full_kv_num_blocks: Tensor | None,
        full_kv_indices: Tensor | None,
        q_num_blocks: Tensor | None,
        q_indices: Tensor | None,
        full_q_num_blocks: Tensor | None,
        full_q_indices: Tensor | None,
        BLOCK_SIZE: tuple[int, int] = (_DEFAULT_SPARSE_BLOCK_SIZE, _DEFAULT_SPARSE_BLOCK_SIZE),
        mask_mod: Function = noop_mask,
    ) -> None:
        if kv_indices.dim() < 2:
            raise RuntimeError("BlockMask must have at least 2 dimensions")
        self.seq_lengths = seq_lengths
        self.kv_num_blocks, self.kv_indices = kv_num_blocks, kv_indices
        self.full_kv_num_blocks, self.full_kv_indices = full_kv_num_blocks, full_kv_indices
        self.q_num_blocks, self.q_indices = q_num_blocks, q_indices
        self.full_q_num_blocks, self.full_q_indices = full_q_num_blocks, full_q_indices
        self.BLOCK_SIZE, self.mask_mod = BLOCK_SIZE, mask_mod

    _TABLES = (
        "kv_num_blocks", "kv_indices", "full_kv_num_blocks", "full_kv_indices",
        "q_num_blocks", "q_indices", "full_q_num_blocks", "full_q_indices",
    )  # fmt: skip

    @classmethod
    def from_kv_blocks(
        cls,
        kv_num_blocks: Tensor,
        kv_indices: Tensor,
        full_kv_num_blocks: Tensor | None = None,
        full_kv_indices: Tensor | None = None,
        BLOCK_SIZE: int | tuple[int, int] = _DEFAULT_SPARSE_BLOCK_SIZE,
        mask_mod: Function | None = None,
        seq_lengths: tuple[int, int] | None = None,
        compute_q_blocks: bool = True,
    ) -> BlockMask:
        """A mask of its rows' tables; the columns' follow from them."""
        if kv_indices.dim() < 2:
            raise RuntimeError("BlockMask must have at least 2 dimensions")
        if (full_kv_num_blocks is None) != (full_kv_indices is None):
            raise AssertionError(
                "full_kv_num_blocks and full_kv_indices must be both provided or omitted"
            )
        size = _pair(BLOCK_SIZE)
        if seq_lengths is None:
            rows, columns = kv_indices.shape[-2:]
            seq_lengths = rows * size[0], columns * size[1]
        tables: Any = [None] * 4
        if compute_q_blocks:
            tables[:2] = _ordered(_dense(kv_num_blocks, kv_indices).transpose(-2, -1))
            if full_kv_num_blocks is not None and full_kv_indices is not None:
                dense = _dense(full_kv_num_blocks, full_kv_indices)
                tables[2:] = _ordered(dense.transpose(-2, -1))
        return cls(
            seq_lengths, kv_num_blocks, kv_indices, full_kv_num_blocks, full_kv_indices,
            tables[0], tables[1], tables[2], tables[3], size,
            noop_mask if mask_mod is None else mask_mod,
        )  # fmt: skip

    def as_tuple(self, flatten: bool = True) -> tuple[Any, ...]:
        """Lengths, tables, block sizes and mask in a row."""
        tables = [getattr(self, name) for name in self._TABLES]
        if flatten:
            return (*self.seq_lengths, *tables, *self.BLOCK_SIZE, self.mask_mod)
        return (self.seq_lengths, *tables, self.BLOCK_SIZE, self.mask_mod)

    @property
    def shape(self) -> tuple[int, ...]:
        return (*self.kv_indices.shape[:-2], *self.seq_lengths)

    def numel(self) -> int:
        """The places of the mask."""
        count = 1
        for n in self.shape:
            count *= n
        return count

    def sparsity(self) -> float:
        """The percentage of places in blocks of which nothing is left."""
        blocks = int(self.kv_num_blocks.sum().item())
        if self.full_kv_num_blocks is not None:
            blocks += int(self.full_kv_num_blocks.sum().item())
        return 100 * (1 - blocks * self.BLOCK_SIZE[0] * self.BLOCK_SIZE[1] / self.numel())

    def to_dense(self) -> Any:
        """1 for each block of which something is left, else 0: int32."""
        dense = _dense(self.kv_num_blocks, self.kv_indices)
        if self.full_kv_num_blocks is None or self.full_kv_indices is None:
            return dense
        return dense | _dense(self.full_kv_num_blocks, self.full_kv_indices)

    def to(self, device: Any) -> BlockMask:
        """The mask with its tables on another device."""
        tables = [getattr(self, name) for name in self._TABLES]
        made = copy.copy(self)
        for name, table in zip(self._TABLES, tables, strict=True):
            setattr(made, name, None if table is None else table.to(device))
        return made

    def __getitem__(self, index: Any) -> BlockMask:
        """The mask of some batches, heads and blocks of queries."""
        index = index if isinstance(index, tuple) else (index,)
        index = tuple([slice(i, i + 1) if isinstance(i, int) else i for i in index])
        kept = [getattr(self, name) for name in self._TABLES[:4]]
        parts: Any = [None if t is None else t[index] for t in kept]
        num, indices, full_num, full_indices = parts
        lengths = (
            (indices.shape[-2] * self.BLOCK_SIZE[0], self.seq_lengths[1])
            if len(index) > 2
            else self.seq_lengths
        )
        return BlockMask.from_kv_blocks(
            num, indices, full_num, full_indices, self.BLOCK_SIZE, self.mask_mod, lengths,
            self.q_indices is not None,
        )  # fmt: skip

    def __repr__(self) -> str:
        return f"BlockMask(shape={self.shape}, sparsity={self.sparsity():.2f}%)"


def _pair(size: int | tuple[int, int]) -> tuple[int, int]:
    return (size, size) if isinstance(size, int) else size


def _ordered(dense: Tensor) -> tuple[Tensor, Tensor]:
    """How many blocks of each row are there, and their places before those of the others."""
    dense = dense.to(torch.int32)
    places = torch.argsort(dense, dim=-1, descending=True, stable=True)
    return dense.sum(-1).to(torch.int32), places.to(torch.int32)


def _dense(num_blocks: Tensor, indices: Tensor) -> Any:
    """The tables as zeros and ones."""
    columns = torch.arange(indices.shape[-1], device=indices.device)
    there = (columns < num_blocks.unsqueeze(-1)).to(torch.int32)
    return torch.zeros_like(indices).scatter(-1, indices.long(), there)


def create_block_mask(
    mask_mod: Function,
    B: int | None,
    H: int | None,
    Q_LEN: int,
    KV_LEN: int,
    device: Any = None,
    BLOCK_SIZE: int | tuple[int, int] = _DEFAULT_SPARSE_BLOCK_SIZE,
    _compile: bool = False,
    separate_full_blocks: bool = True,
    compute_dq_write_order: bool = False,
    dq_kv_order: bool = True,
) -> BlockMask:
    """The block mask of a function of places, (b, h, q, kv) -> bool.

    B, H    how many batches and heads the mask tells apart, or None for one of all
    device  where its tables are: the default device where it is not given

    >>> from lazytorch.nn.attention.flex_attention import create_block_mask
    >>> create_block_mask(lambda b, h, q, kv: q >= kv, None, None, 256, 256).to_dense().tolist()
    [[[[1, 0], [1, 1]]]]
    """
    rows, columns = _pair(BLOCK_SIZE)
    mask = create_mask(mask_mod, B, H, Q_LEN, KV_LEN, device)
    padded = torch.nn.functional.pad(mask, (0, -KV_LEN % columns, 0, -Q_LEN % rows))
    blocks = padded.unflatten(-1, (-1, columns)).unflatten(-3, (-1, rows)).transpose(-3, -2)
    counts = blocks.sum((-2, -1))
    full = counts == rows * columns
    some = counts > 0
    if separate_full_blocks:
        some = some & ~full
    num, indices = _ordered(some)
    full_tables: Any = _ordered(full) if separate_full_blocks else (None, None)
    return BlockMask.from_kv_blocks(
        num,
        indices,
        full_tables[0],
        full_tables[1],
        BLOCK_SIZE=(rows, columns),
        mask_mod=mask_mod,
        seq_lengths=(Q_LEN, KV_LEN),
    )


def _check_shapes(query: Tensor, key: Tensor, value: Tensor, enable_gqa: bool) -> None:
    if query.dim() != 4 or key.dim() != 4 or value.dim() != 4:
        raise NotImplementedError("NYI: query, key, and value must be 4D tensors")
    if query.dtype != key.dtype or query.dtype != value.dtype:
        raise ValueError(
            "Expected query, key, and value to have the same dtype, but got query.dtype: "
            f"{query.dtype}, key.dtype: {key.dtype}, and value.dtype: {value.dtype} instead."
        )
    heads, key_heads = query.size(-3), key.size(-3)
    if not enable_gqa and heads != key_heads:
        raise ValueError(
            f"Expect query and key/value to have the same number of heads but got Hq={heads} and "
            f"Hkv={key_heads}. Try setting enable_gqa=True for GQA."
        )
    if enable_gqa and heads % key_heads:
        raise ValueError(
            "Expect number of query heads to be a multiple of kv heads for GQA but got "
            f"Hq={heads} and Hkv={key_heads}."
        )


def flex_attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    score_mod: Function | None = None,
    block_mask: BlockMask | None = None,
    scale: float | None = None,
    enable_gqa: bool = False,
    return_lse: bool = False,
    kernel_options: FlexKernelOptions | None = None,
    *,
    return_aux: AuxRequest | None = None,
) -> Any:
    """softmax(score_mod(query keyᵀ scale) where block_mask leaves it) value.

    query       (batch, heads, queries, width)
    key, value  (batch, heads, keys, width); with ``enable_gqa`` fewer heads, each for several of
                the query's
    score_mod   (score, b, h, q, kv) -> score, of 0-d tensors
    scale       1 / sqrt(width) where it is not given

    With ``return_lse`` also the logarithm of each row's sum of exponentials; ``return_aux`` asks
    for that, or the largest scores, by name. A row of which nothing is left gives zeros.

    >>> from lazytorch.nn.attention.flex_attention import flex_attention
    >>> x = torch.eye(2).reshape(1, 1, 2, 2)
    >>> flex_attention(x, x, x, lambda s, b, h, q, kv: s + (q == kv) * 200.0)
    tensor([[[[1., 0.],
              [0., 1.]]]])
    """
    _check_shapes(query, key, value, enable_gqa)
    heads, width = query.shape[1], query.shape[3]
    if enable_gqa:
        group = heads // key.size(-3)
        key, value = key.repeat_interleave(group, 1), value.repeat_interleave(group, 1)
    work = torch.float64 if query.dtype == torch.float64 else torch.float32
    scores: Any = (query @ key.transpose(-2, -1)).to(work) * (
        width**-0.5 if scale is None else scale
    )
    sizes = *scores.shape[:3], key.size(-2)
    places = [torch.arange(n, device=query.device) for n in sizes]
    if score_mod is not None:
        scores = _over_places(score_mod, True)(scores, *places).to(work)
    if block_mask is not None:
        left = _over_places(block_mask.mask_mod, False)(*places)
        scores = scores.masked_fill(~left, float("-inf"))
    # Rows without any place left: zeros, where softmax alone would give NaN.
    empty = (scores == float("-inf")).all(-1, keepdim=True)
    weights = torch.softmax(scores.masked_fill(empty, 0.0), -1).masked_fill(empty, 0.0)
    result = weights.to(query.dtype) @ value
    if not return_lse and return_aux is None:
        return result
    lse = scores.logsumexp(-1)
    if return_aux is None:
        return result, lse
    largest = scores.amax(-1) if return_aux.max_scores else None
    return result, AuxOutput(lse if return_aux.lse else None, largest)
