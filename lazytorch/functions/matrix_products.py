"""Products and views that torch.linalg has under names of its own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from codegen.dtype import DType
from lazytorch.autocasting import in_lower_precision
from lazytorch.functions import creation, einsum, norms, products
from lazytorch.functions.arguments import require_tensor
from lazytorch.functions.matrices import linalg, need_same_type
from lazytorch.functions.reductions import Dims
from lazytorch.tensor import Tensor, wrap_dim
from lazytorch.type_names import c_name


@linalg
def matmul(input: Tensor, other: Tensor) -> Tensor:
    """As ``torch.matmul``."""
    return products.matmul(input, other)


@linalg
def cross(input: Tensor, other: Tensor, *, dim: int = -1) -> Tensor:
    """The vector product along a dimension of extent 3."""
    require_tensor("linalg_cross", input)
    require_tensor("linalg_cross", other, "other", 2)
    if input.ndim != other.ndim:
        raise RuntimeError("linalg.cross: inputs must have the same number of dimensions.")
    wrap_dim(dim, input.ndim)
    return einsum.linalg_cross(input, other, dim=dim)


def diagonal(A: Tensor, *, offset: int = 0, dim1: int = -2, dim2: int = -1) -> Tensor:
    """A view of a diagonal of the matrices in two dimensions."""
    require_tensor("linalg_diagonal", A, "A")
    return creation.diagonal(A, offset, dim1, dim2)


@linalg
@in_lower_precision
def vecdot(x: Tensor, y: Tensor, *, dim: int = -1) -> Tensor:
    """The sum of products along a dimension."""
    require_tensor("linalg_vecdot", x, "x")
    require_tensor("linalg_vecdot", y, "y", 2)
    need_same_type("linalg.vecdot", x, y, ("x", "y"))
    if x.ndim == 1 and y.ndim == 1 and dim in (0, -1):
        return products.dot(x, y)
    return (x * y).sum(dim)  # type: ignore[no-any-return]


@linalg
def vector_norm(
    x: Tensor, ord: float = 2, dim: Dims = None, keepdim: bool = False, *,
    dtype: DType | None = None,
) -> Tensor:  # fmt: skip
    """The norm of all elements, or of those along ``dim``, of any order."""
    return norms.vector_norm(x, ord, dim, keepdim, dtype=dtype)


def _check_chain(given: Sequence[Tensor]) -> None:
    name = "multi_dot()"
    last = len(given) - 1
    for i, x in enumerate(given):
        if i in (0, last):
            which = "first" if i == 0 else "last"
            if not 1 <= x.ndim <= 2:
                raise RuntimeError(
                    f"{name}: the {which} tensor must be 1D or 2D but got {x.ndim}D"
                )  # fmt: skip
        elif x.ndim != 2:
            raise RuntimeError(f"{name}: tensor {i} must be 2D but got {x.ndim}D")
        if x.dtype is not given[0].dtype:
            raise RuntimeError(
                f"{name}: all tensors must have be the same dtype but tensor 0 is "
                f"{c_name(given[0].dtype)} and tensor {i} {c_name(x.dtype)}"
            )
    shapes = [list(x.shape) for x in given]
    if len(shapes[0]) == 1:
        shapes[0] = [1, *shapes[0]]
    if len(shapes[-1]) == 1:
        shapes[-1] = [*shapes[-1], 1]
    for i in range(last):
        if shapes[i][1] != shapes[i + 1][0]:
            raise RuntimeError(
                f"{name}: tensors {i} and {i + 1} with shapes {shapes[i]} and {shapes[i + 1]} "
                "cannot be multiplied"
            )


@linalg
def multi_dot(tensors: Sequence[Any]) -> Tensor:
    """The product of several matrices, in the order that costs least; the first and the last may
    be vectors."""
    given = list(tensors)
    if len(given) < 2:
        raise RuntimeError(f"multi_dot(): expected at least 2 tensors but got {len(given)}")
    _check_chain(given)
    return products.multiply_chain(given)
