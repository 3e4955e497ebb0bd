"""The memory of a tensor as elements of another type: ``x.view(dtype)``."""

from __future__ import annotations

from codegen import dtype as dt
from codegen.dtype import DType
from codegen.ir.node import TensorType
from lazytorch.storage import share_array
from lazytorch.tensor import Geometry, Tensor
from lazytorch.type_names import type_name


def as_type(x: Tensor, dtype: DType) -> Tensor:
    """The bits of a tensor as another element type, in memory that both share from now on. No
    gradient goes through, and autograd knows no view in it."""
    if x._geometry is not None and x._geometry.changes_values:
        kind = (
            "conjugate view tensors" if x._geometry.conjugated else "tensors with negative bit set"
        )
        raise RuntimeError(
            f"torch.Tensor.view is not supported for {kind} when converting to a different dtype."
        )
    old, new = x.dtype.itemsize, dtype.itemsize
    shape, strides, offset = list(x._type.shape), list(x._strides()), x.storage_offset()
    if old != new:
        if not shape:
            raise RuntimeError(
                f"self.dim() cannot be 0 to view {type_name(x.dtype)} as {type_name(dtype)} "
                "(different element sizes)"
            )
        if strides[-1] != 1 and shape[-1] != 1:
            raise RuntimeError(
                f"self.stride(-1) must be 1 to view {type_name(x.dtype)} as {type_name(dtype)} "
                f"(different element sizes), but got {strides[-1]}"
            )
        ratio = max(old, new) // min(old, new)
        if new > old:
            if shape[-1] % ratio:
                raise RuntimeError(
                    f"self.size(-1) must be divisible by {ratio} to view {type_name(x.dtype)} as "
                    f"{type_name(dtype)} (different element sizes), but got {shape[-1]}"
                )
            if offset % ratio or any(s % ratio for s in strides[:-1]):
                raise RuntimeError(
                    f"self.storage_offset() and strides must be divisible by {ratio} to view "
                    f"{type_name(x.dtype)} as {type_name(dtype)}"
                )
            shape[-1] //= ratio
            strides = [*[s // ratio for s in strides[:-1]], 1]
            offset //= ratio
        else:
            shape[-1] *= ratio
            strides = [*[s * ratio for s in strides[:-1]], 1]
            offset *= ratio
    of_parts = dt.HALF_OF_COMPLEX.get(x.dtype), dt.COMPLEX_OF.get(x.dtype)
    x = x.detach()
    if dtype is x.dtype or dtype in of_parts:
        x._geometry = Geometry(tuple(shape), tuple(strides), offset)
        x._type = TensorType(tuple(shape), dtype)
        return x
    x.realize()
    array = x._storage.flat(x._storage.exported_array()).view(dtype.numpy)
    storage = share_array(array, TensorType(array.shape, dtype), x._storage.device)
    made = object.__new__(Tensor)
    made._storage, made._type = storage, storage.expression.type
    return made._view(shape, strides, offset)
