"""repr of sparse tensors, as PyTorch prints them."""

from __future__ import annotations

from typing import Any

import numpy as np

from lazytorch.defaults import defaults
from lazytorch.printing import append_suffixes, format_values
from lazytorch.sparse.tensors import CompressedTensor, CooTensor, SparseTensor
from lazytorch.tensor import Tensor


def _part(name: str, x: Tensor, indent: int) -> str:
    values = x.detach()._float_array()
    prefix = f"{name}=tensor("
    if not values.size:
        return f"{prefix}[], size={tuple(x.shape)})"
    if values.dtype == np.float16:
        values = values.astype(np.float32)
    return f"{prefix}{format_values(values, indent + len(prefix))})"


def text(x: SparseTensor, *, tensor_contents: Any = None) -> str:
    """Places and values, then size, number of entries, and whatever else is not the default."""
    prefix = "tensor("
    indent = len(prefix)
    suffixes = [] if x.is_cpu else [f"device='{x.device}'"]
    suffixes += [f"size={tuple(x.shape)}", f"nnz={x._nnz()}"]
    name = repr(x.dtype)
    if x.dtype is not defaults.dtype and name not in ("torch.int64", "torch.bool"):
        suffixes.append(f"dtype={name}")
    if isinstance(x, CooTensor):
        parts = [("indices", x._places)]
    else:
        assert isinstance(x, CompressedTensor)
        names = ("crow", "col") if x.is_sparse_csr else ("ccol", "row")
        parts = [(f"{names[0]}_indices", x._starts), (f"{names[1]}_indices", x._plain)]
    lines = [_part(n, p, indent) for n, p in [*parts, ("values", x._entries)]]
    suffixes.append(f"layout={x.layout!r}")
    if x.grad_fn is not None:
        suffixes.append(f"grad_fn=<{x.grad_fn.name()}>")
    elif x.requires_grad:
        suffixes.append("requires_grad=True")
    contents = (",\n" + " " * indent).join(lines)
    # The values of a COO tensor end their line.
    return append_suffixes(prefix + contents, suffixes, indent, isinstance(x, CooTensor))
