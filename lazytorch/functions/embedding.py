"""Rows of a table by number: embedding, and one-hot vectors."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from codegen import dtype as dt
from codegen.ir.node import Node
from codegen.ops import elementwise as ew
from codegen.ops.indexing import gather, scatter
from codegen.ops.reduction import broadcast, expand_back, full, one_hot_mask
from codegen.runtime.memory import Buffer
from lazytorch.autograd.grad_mode import no_grad
from lazytorch.expression import Function
from lazytorch.functions.bodies import apply_one, number
from lazytorch.functions.distance import general_norm
from lazytorch.functions.registration import assign
from lazytorch.levels import is_unknown, refuses_examples
from lazytorch.storage import buffer_array
from lazytorch.tensor import Tensor
from lazytorch.type_names import type_name


def _rows(index: Node, columns: int) -> Node:
    """The row of each wanted element."""
    index = ew.cast(index, dt.int64)
    return broadcast(index, (*index.shape, columns), tuple(range(len(index.shape))))


def _embedding(index: Node, weight: Node, *_rest: Any) -> Node:
    return gather(weight, _rows(index, weight.shape[1]))


def _embedding_rule(
    inputs: Sequence[Node], _outputs: Any, cotangents: Any, has_padding: bool, by_frequency: bool
) -> Sequence[Node | None]:
    index, weight, padding = inputs
    g = cotangents[0]
    wide = ew.cast(index, dt.int64)
    last = (len(index.shape),)
    if by_frequency:
        rows = full(0, (weight.shape[0],), weight.dtype)
        ones = ew.full_like(ew.cast(wide, weight.dtype), 1)
        count = gather(scatter(rows, wide, ones, "add"), wide)
        g = ew.div(g, expand_back(count, g.shape, last))
    if has_padding:
        skipped = expand_back(ew.eq(wide, number(padding, wide)), g.shape, last)
        g = ew.where(skipped, ew.full_like(g, 0), g)
    base = full(0, weight.shape, weight.dtype)
    return None, scatter(base, _rows(index, weight.shape[1]), g, "add"), None


def _renormalized(index: Node, weight: Node, limit: Node, power: Node) -> Node:
    """The table with every row that ``index`` names cut down to the norm ``limit``."""
    places = ew.cast(index, dt.int64)
    unused = full(0, (weight.shape[0],), dt.int64)
    named = scatter(unused, places, ew.full_like(places, 1), "set")
    norm = general_norm(weight, (1,), power)
    most = number(limit, norm)
    scale = ew.div(most, ew.add(norm, ew.full_like(norm, 1e-7)))
    wanted = ew.and_(ew.gt(norm, most), ew.gt(named, ew.full_like(named, 0)))
    factor = ew.where(wanted, scale, ew.full_like(scale, 1))
    return ew.mul(weight, expand_back(factor, weight.shape, (1,)))


EMBEDDING = Function("embedding", _embedding, _embedding_rule)
RENORMALIZED = Function("embedding_renorm", _renormalized)


# What gives ``weight`` a sparse gradient: sparse/gradients.py puts it here.
with_sparse_gradient: list[Callable[..., Tensor]] = []


def _known(index: Tensor) -> Any:
    """The numbers, where they are computed already."""
    value = index._storage.expression.value
    if not isinstance(value, Buffer) or not value.is_reachable or not index._type.size:
        return None
    return index._within(buffer_array(value, index._storage.expression.type))


def embedding(
    input: Tensor, weight: Tensor, padding_idx: int | None = None, max_norm: float | None = None,
    norm_type: float = 2.0, scale_grad_by_freq: bool = False, sparse: bool = False,
) -> Tensor:  # fmt: skip
    """weight[input]: (*) numbers and (rows, columns) -> (*, columns).

    ``sparse`` makes the gradient of ``weight`` a COO tensor of the rows that were read.
    No gradient flows to row ``padding_idx``; rows in use above ``max_norm`` are cut down in place.
    """
    if weight.dim() != 2:
        raise RuntimeError("'weight' must be 2-D")
    if input.dtype not in (dt.int64, dt.int32):
        raise RuntimeError(
            "Expected tensor for argument #1 'indices' to have one of the following scalar types: "
            f"Long, Int; but got torch.{type_name(input.dtype)}Tensor instead (while checking "
            "arguments for embedding)"
        )
    rows = weight._type.shape[0]
    if padding_idx is not None:
        if not -rows <= padding_idx < rows:
            raise AssertionError("Padding_idx must be within num_embeddings")
        padding_idx %= rows
    known = _known(input)
    if known is not None and (known.min() < 0 or known.max() >= rows):
        raise IndexError("index out of range in self")
    if max_norm is not None:
        with no_grad():
            inputs = (input, weight.detach(), float(max_norm), float(norm_type))
            assign(weight, apply_one(RENORMALIZED, inputs))
    padding = -1 if padding_idx is None else padding_idx
    attributes = (padding_idx is not None, bool(scale_grad_by_freq))
    if sparse:
        read = apply_one(EMBEDDING, (input, weight.detach(), padding), attributes)
        return with_sparse_gradient[0](read, input, weight, padding_idx, bool(scale_grad_by_freq))
    return apply_one(EMBEDDING, (input, weight, padding), attributes)


def _one_hot(index: Node, classes: int) -> Node:
    shape = (*index.shape, classes)
    return ew.cast(one_hot_mask(index, shape, len(index.shape)), dt.int64)


ONE_HOT = Function("one_hot", _one_hot)


@refuses_examples(
    "When vmap-ing torch.nn.functional.one_hot, please provide an explicit positive num_classes "
    "argument."
)
def one_hot(tensor: Tensor, num_classes: int = -1) -> Tensor:
    """(*) class numbers -> (*, classes): 1 at the class, 0 elsewhere."""
    if tensor.dtype is not dt.int64:
        raise RuntimeError("one_hot is only applicable to index tensor of type LongTensor.")
    if num_classes > 0 and is_unknown(tensor._read()):
        return apply_one(ONE_HOT, (tensor,), (num_classes,))
    known = tensor.realize()._array()
    if not known.size and num_classes <= 0:
        raise RuntimeError("Can not infer total number of classes from empty tensor.")
    if known.size and known.min() < 0:
        raise RuntimeError("Class values must be non-negative.")
    if num_classes == -1:
        num_classes = int(known.max()) + 1
    elif known.size and known.max() >= num_classes:
        raise RuntimeError("Class values must be smaller than num_classes.")
    return apply_one(ONE_HOT, (tensor,), (num_classes,))
