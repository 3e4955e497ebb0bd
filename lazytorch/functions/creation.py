"""Tensors from Python data, NumPy arrays, constants and sequences."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from codegen import dtype as dt
from codegen.dtype import DType
from codegen.ir.node import Node, Shape, TensorType
from codegen.ops import elementwise as ew
from codegen.ops.indexing import empty as empty_node
from codegen.ops.leaves import iota
from codegen.ops.movement import pad_to, permute, reshape
from codegen.ops.reduction import broadcast
from codegen.ops.reduction import full as full_node
from codegen.ops.strided import contiguous_strides
from codegen.runtime.memory import Buffer
from lazytorch import core
from lazytorch.defaults import defaults
from lazytorch.device import device_name
from lazytorch.dtypes import CLASS_NAMES, as_dtype
from lazytorch.expression import Attributes, Expression, Function, scalar
from lazytorch.functions.arguments import check_number, integers, size_argument, wrap_dims
from lazytorch.functions.registration import operation, write_out
from lazytorch.storage import ForeignMemory, Storage, from_array, share_array
from lazytorch.tensor import Tensor, apply, legacy_constructor, record, wrap, wrap_dim

EMPTY = Function("empty", empty_node)
CONSTANT = Function("constant", lambda value, shape, dtype: full_node(value, shape, dtype))


def _full(value: Node, shape: Shape, dtype: DType) -> Node:
    return broadcast(ew.cast(value, dtype), shape, ())


FULL = Function("full", _full)


def make(
    function: Function,
    numbers: Sequence[float | int | bool],
    attributes: Attributes,
    device: Any = None,
    requires_grad: bool = False,
    out: Tensor | None = None,
) -> Tensor:
    """A new tensor from a function of numbers alone."""
    place = device_name(device)
    expression = record(function, tuple([scalar(n, place) for n in numbers]), attributes, False)[0]
    if place != "cpu":
        expression.device = place
    made = wrap(expression)
    if out is not None:
        write_out(out, made)
        made = out
    return _leaf(made) if requires_grad else made


def _type(dtype: Any, out: Tensor | None = None) -> DType:
    if dtype is None:
        return defaults.dtype if out is None else out.dtype
    return as_dtype(dtype)


# ---- constants ----------------------------------------------------------------------------


def _constant(
    name: str, value: float | None, args: tuple[Any, ...], options: dict[str, Any]
) -> Tensor:
    size, out = options.pop("size", None), options.pop("out", None)
    dtype, device = options.pop("dtype", None), options.pop("device", None)
    requires_grad = options.pop("requires_grad", False)
    _ignore(name, options)
    shape = size_argument(args, size, name)
    if value is None:
        return make(EMPTY, (), (shape, _type(dtype, out)), device, requires_grad, out)
    attributes = (value, shape, _type(dtype, out))
    return make(CONSTANT, (), attributes, device, requires_grad, out)


_IGNORED = ("layout", "pin_memory", "memory_format", "names", "non_blocking")


def _ignore(name: str, options: dict[str, Any]) -> None:
    for key in options:
        if key not in _IGNORED:
            raise TypeError(f"{name}() got an unexpected keyword argument '{key}'")


@operation(method=False)
def empty(*size: Any, **options: Any) -> Tensor:
    """A tensor of undefined values."""
    return _constant("empty", None, size, options)


@operation(method=False)
def zeros(*size: Any, **options: Any) -> Tensor:
    """A tensor of zeros.

    >>> torch.zeros(2, 3)
    tensor([[0., 0., 0.],
            [0., 0., 0.]])
    """
    return _constant("zeros", 0, size, options)


@operation(method=False)
def ones(*size: Any, **options: Any) -> Tensor:
    """A tensor of ones."""
    return _constant("ones", 1, size, options)


@operation(method=False)
def full(size: Any, fill_value: Any, **options: Any) -> Tensor:
    """A tensor of one number, whose type it takes by default."""
    out, dtype = options.pop("out", None), options.pop("dtype", None)
    device, requires_grad = options.pop("device", None), options.pop("requires_grad", False)
    _ignore("full", options)
    shape = size_argument((), size, "full")
    if isinstance(fill_value, Tensor):
        if fill_value.ndim:
            raise TypeError("full(): argument 'fill_value' must be Number, not Tensor")
        fill_value = fill_value.item()
    kind = dt.bool_ if isinstance(fill_value, bool) else (
        dt.int64 if isinstance(fill_value, (int, np.integer)) else defaults.dtype
    )  # fmt: skip
    chosen = as_dtype(dtype) if dtype is not None else kind if out is None else out.dtype
    check_number(fill_value, chosen)
    return make(FULL, (_number(fill_value),), (shape, chosen), device, requires_grad, out)


def _number(value: Any) -> Any:
    return value.item() if isinstance(value, (np.generic, Tensor)) else value


def _like(
    input: Tensor, name: str, value: float | None, shape: Any, options: dict[str, Any]
) -> Tensor:
    dtype, device = options.pop("dtype", None), options.pop("device", None)
    requires_grad = options.pop("requires_grad", False)
    _ignore(name, options)
    chosen = input.dtype if dtype is None else as_dtype(dtype)
    device = input._storage.device if device is None else device
    if value is None:
        return make(EMPTY, (), (shape, chosen), device, requires_grad)
    return make(CONSTANT, (), (value, shape, chosen), device, requires_grad)


@operation(method=False)
def empty_like(input: Tensor, **options: Any) -> Tensor:
    return _like(input, "empty_like", None, input._type.shape, options)


@operation(method=False)
def zeros_like(input: Tensor, **options: Any) -> Tensor:
    return _like(input, "zeros_like", 0, input._type.shape, options)


@operation(method=False)
def ones_like(input: Tensor, **options: Any) -> Tensor:
    return _like(input, "ones_like", 1, input._type.shape, options)


@operation(method=False)
def full_like(input: Tensor, fill_value: Any, **options: Any) -> Tensor:
    options["dtype"] = options.get("dtype") or input.dtype
    options["device"] = options.get("device") or input._storage.device
    return full(input._type.shape, fill_value, **options)  # type: ignore[no-any-return]


@operation(function=False)
def new_empty(self: Tensor, *size: Any, **options: Any) -> Tensor:
    shape = size_argument(size, options.pop("size", None), "new_empty")
    return _like(self, "new_empty", None, shape, options)


@operation(function=False)
def new_zeros(self: Tensor, *size: Any, **options: Any) -> Tensor:
    shape = size_argument(size, options.pop("size", None), "new_zeros")
    return _like(self, "new_zeros", 0, shape, options)


@operation(function=False)
def new_ones(self: Tensor, *size: Any, **options: Any) -> Tensor:
    shape = size_argument(size, options.pop("size", None), "new_ones")
    return _like(self, "new_ones", 1, shape, options)


@operation(function=False)
def new_full(self: Tensor, size: Any, fill_value: Any, **options: Any) -> Tensor:
    options["dtype"] = options.get("dtype") or self.dtype
    options["device"] = options.get("device") or self._storage.device
    return full(size, fill_value, **options)  # type: ignore[no-any-return]


@operation(function=False)
def new_tensor(self: Tensor, data: Any, **options: Any) -> Tensor:
    options["dtype"] = options.get("dtype") or self.dtype
    options["device"] = options.get("device") or self._storage.device
    return tensor(data, **options)  # type: ignore[no-any-return]


@operation(function=False, names=("new",))
def _new(self: Tensor, *args: Any, **options: Any) -> Tensor:
    if not args:
        return _like(self, "new", None, (0,), options)
    if isinstance(args[0], (list, tuple, np.ndarray)) and not isinstance(args[0], type(self.shape)):
        return new_tensor(self, args[0])  # type: ignore[no-any-return]
    return _like(self, "new", None, size_argument(args, None, "new"), options)


@operation(method=False)
def empty_strided(size: Any, stride: Any, **options: Any) -> Tensor:
    """Undefined values in memory of the given strides."""
    shape, strides = integers((size,), "empty_strided"), integers((stride,), "empty_strided")
    if len(shape) != len(strides):
        raise RuntimeError(
            f"dimensionality of sizes ({len(shape)}) must match dimensionality of strides "
            f"({len(strides)})"
        )
    requires_grad = options.pop("requires_grad", False)
    base = empty(_reach(shape, strides), **options)
    made: Tensor = base._view(shape, strides, 0)
    return made.requires_grad_() if requires_grad else made


def _reach(shape: Sequence[int], strides: Sequence[int]) -> int:
    if 0 in shape:
        return 0
    return 1 + sum([(n - 1) * s for n, s in zip(shape, strides, strict=True)])


@operation(method=False)
def scalar_tensor(s: Any, **options: Any) -> Tensor:
    options["dtype"] = options.get("dtype") or defaults.dtype
    return full((), s, **options)  # type: ignore[no-any-return]


# ---- sequences ----------------------------------------------------------------------------


def _arange(start: Node, step: Node, size: int, dtype: DType) -> Node:
    compute = dt.int64 if dtype.kind == "int" else dt.float64
    first = broadcast(ew.cast(start, compute), (size,), ())
    steps = broadcast(ew.cast(step, compute), (size,), ())
    return ew.cast(ew.add(first, ew.mul(iota(size, compute), steps)), dtype)


ARANGE = Function("arange", _arange)


@operation(method=False)
def arange(
    start: Any,
    end: Any = None,
    step: Any = 1,
    *,
    out: Tensor | None = None,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
    **options: Any,
) -> Tensor:
    """start, start + step, … below end.

    >>> torch.arange(4)
    tensor([0, 1, 2, 3])
    """
    _ignore("arange", options)
    if end is None:
        start, end = 0, start
    start, end, step = _number(start), _number(end), _number(step)
    whole = isinstance(start, int) and isinstance(end, int) and isinstance(step, int)
    chosen = as_dtype(dtype) if dtype is not None else (
        out.dtype if out is not None else dt.int64 if whole else defaults.dtype
    )  # fmt: skip
    if chosen is dt.bool_:
        raise RuntimeError('"arange_cpu_out" not implemented for \'Bool\'')
    if step == 0:
        raise RuntimeError("step must be nonzero")
    if not (math.isfinite(start) and math.isfinite(end)):
        raise RuntimeError(f"unsupported range: {start} -> {end}")
    if (end - start) * step < 0:
        raise RuntimeError("upper bound and lower bound inconsistent with step sign")
    if whole:
        size = len(range(start, end, step))
    else:
        size = math.ceil((end - start) / step)
    if chosen.kind == "int":
        start, step = int(start), int(step)
        if step == 0:
            raise ValueError("step must be nonzero")
    return make(ARANGE, (start, step), (size, chosen), device, requires_grad, out)


@operation(method=False)
def range_(start: Any = 0, end: Any = None, step: Any = 1, **options: Any) -> Tensor:
    """As ``arange``, with the end included; deprecated, as in PyTorch."""
    warnings.warn(
        "torch.range is deprecated and will be removed in a future release because its behavior "
        "is inconsistent with Python's range builtin. Instead, use torch.arange, which produces "
        "values in [start, end).",
        stacklevel=2,
    )
    size = math.floor((end - start) / step) + 1
    options["dtype"] = options.get("dtype") or defaults.dtype
    return arange(start, start + step * (size - 0.5), step, **options)  # type: ignore[no-any-return]


def _linspace(start: Node, end: Node, steps: int, dtype: DType) -> Node:
    """From both ends towards the middle, so that both are exact."""
    compute = dtype if dtype.kind == "float" and dtype.itemsize > 2 else dt.float64
    if dtype.itemsize == 2 and dtype.kind == "float":
        compute = dt.float32
    shape = (steps,)
    first, last = ew.cast(start, compute), ew.cast(end, compute)
    if steps == 1:
        return ew.cast(broadcast(first, shape, ()), dtype)
    step = ew.div(ew.sub(last, first), ew.full_like(first, max(steps - 1, 1)))
    first, last, step = (broadcast(n, shape, ()) for n in (first, last, step))
    place = iota(steps, compute)
    rest = ew.sub(ew.full_like(place, steps - 1), place)
    near = ew.lt(place, ew.full_like(place, steps // 2))
    ahead, back = ew.add(first, ew.mul(step, place)), ew.sub(last, ew.mul(step, rest))
    return ew.cast(ew.where(near, ahead, back), dtype)


def _logspace(start: Node, end: Node, base: Node, steps: int, dtype: DType) -> Node:
    compute = dt.float64 if dtype.kind == "int" or dtype is dt.float64 else dt.float32
    power = _linspace(start, end, steps, compute)
    return ew.cast(ew.pow_(broadcast(ew.cast(base, compute), (steps,), ()), power), dtype)


LINSPACE = Function("linspace", _linspace)
LOGSPACE = Function("logspace", _logspace)


def _steps(steps: int, name: str) -> int:
    if steps < 0:
        raise RuntimeError("number of steps must be non-negative")
    return steps


@operation(method=False)
def linspace(
    start: Any, end: Any, steps: int, *, out: Tensor | None = None, dtype: Any = None,
    device: Any = None, requires_grad: bool = False, **options: Any,
) -> Tensor:  # fmt: skip
    """``steps`` numbers evenly from start to end, both included."""
    _ignore("linspace", options)
    numbers = (_number(start), _number(end))
    attributes = (_steps(steps, "linspace"), _type(dtype, out))
    return make(LINSPACE, numbers, attributes, device, requires_grad, out)


@operation(method=False)
def logspace(
    start: Any, end: Any, steps: int, base: float = 10.0, *, out: Tensor | None = None,
    dtype: Any = None, device: Any = None, requires_grad: bool = False, **options: Any,
) -> Tensor:  # fmt: skip
    """base to the powers of ``linspace(start, end, steps)``."""
    _ignore("logspace", options)
    numbers = (_number(start), _number(end), base)
    attributes = (_steps(steps, "logspace"), _type(dtype, out))
    return make(LOGSPACE, numbers, attributes, device, requires_grad, out)


# ---- matrices with a diagonal ---------------------------------------------------------------


def _rows_and_columns(n: int, m: int) -> tuple[Node, Node]:
    return broadcast(iota(n), (n, m), (0,)), broadcast(iota(m), (n, m), (1,))


EYE = Function("eye", lambda n, m, dtype: ew.cast(ew.eq(*_rows_and_columns(n, m)), dtype))


@operation(method=False)
def eye(
    n: int, m: int | None = None, *, out: Tensor | None = None, dtype: Any = None,
    device: Any = None, requires_grad: bool = False, **options: Any,
) -> Tensor:  # fmt: skip
    """Ones on the diagonal of an n by m matrix of zeros."""
    _ignore("eye", options)
    if n < 0 or (m is not None and m < 0):
        size, letter = (n, "n") if n < 0 else (m, "m")
        raise RuntimeError(f"{letter} must be greater or equal to 0, got {size}")
    attributes = (n, n if m is None else m, _type(dtype, out))
    return make(EYE, (), attributes, device, requires_grad, out)


def _triangle(x: Node, diagonal: Node, lower: bool) -> Node:
    n, m = x.shape[-2:]
    rows, columns = _rows_and_columns(n, m)
    limit = ew.add(rows, broadcast(ew.cast(diagonal, dt.int64), (n, m), ()))
    kept = ew.le(columns, limit) if lower else ew.ge(columns, limit)
    rank = len(x.shape)
    return ew.where(broadcast(kept, x.shape, (rank - 2, rank - 1)), x, ew.full_like(x, 0))


TRIL = Function("tril", lambda x, diagonal: _triangle(x, diagonal, True))
TRIU = Function("triu", lambda x, diagonal: _triangle(x, diagonal, False))


@operation(inplace=True, out=True)
def tril(input: Tensor, diagonal: int = 0) -> Tensor:
    """The elements on and below a diagonal; zero elsewhere."""
    _need_matrix(input, "tril")
    return apply(TRIL, (input, diagonal))  # type: ignore[no-any-return]


@operation(inplace=True, out=True)
def triu(input: Tensor, diagonal: int = 0) -> Tensor:
    """The elements on and above a diagonal; zero elsewhere."""
    _need_matrix(input, "triu")
    return apply(TRIU, (input, diagonal))  # type: ignore[no-any-return]


def _need_matrix(input: Tensor, name: str) -> None:
    if input.ndim < 2:
        raise RuntimeError(f"{name}: input tensor must have at least 2 dimensions")


@operation(method=False)
def tril_indices(
    row: int, col: int, offset: int = 0, *, dtype: Any = None, device: Any = None, **options: Any
) -> Tensor:
    """Row and column numbers of the lower triangle, as a 2 by N tensor."""
    return _triangle_indices(np.tril(np.ones((row, col), bool), offset), dtype, device)


@operation(method=False)
def triu_indices(
    row: int, col: int, offset: int = 0, *, dtype: Any = None, device: Any = None, **options: Any
) -> Tensor:
    """Row and column numbers of the upper triangle, as a 2 by N tensor."""
    return _triangle_indices(np.triu(np.ones((row, col), bool), offset), dtype, device)


def _triangle_indices(mask: NDArray[Any], dtype: Any, device: Any) -> Tensor:
    chosen = dt.int64 if dtype is None else as_dtype(dtype)
    return of_array(np.stack(np.nonzero(mask)), chosen, device_name(device))


def _diag_embed(x: Node, offset: int, dim1: int, dim2: int) -> Node:
    *batch, length = x.shape
    n = length + abs(offset)
    first = offset if offset >= 0 else -offset * n
    core_ = reshape(x, (math.prod(batch), length))
    flat = pad_to(core_, (core_.shape[0], n * n), (0, first), (1, n + 1)) if length else (
        full_node(0, (core_.shape[0], n * n), x.dtype)
    )  # fmt: skip
    square = reshape(flat, (*batch, n, n))
    others = [i for i in range(len(batch) + 2) if i not in (dim1, dim2)]
    order = [0] * (len(batch) + 2)
    for source, target in enumerate([*others, dim1, dim2]):
        order[target] = source
    return permute(square, order)


DIAG_EMBED = Function("diag_embed", _diag_embed)


@operation()
def diag_embed(input: Tensor, offset: int = 0, dim1: int = -2, dim2: int = -1) -> Tensor:
    """The last dimension laid along the diagonal of new square matrices."""
    first, second = wrap_dim(dim1, input.ndim + 1), wrap_dim(dim2, input.ndim + 1)
    if first == second:
        raise RuntimeError(
            f"diagonal dimensions cannot be identical {dim1}, {dim2}"
        )
    return apply(DIAG_EMBED, (input,), (offset, first, second))  # type: ignore[no-any-return]


@operation()
def diagonal(input: Tensor, offset: int = 0, dim1: int = 0, dim2: int = 1) -> Tensor:
    """A view of a diagonal of two dimensions, as the last dimension."""
    rank = input.ndim
    first, second = wrap_dim(dim1, rank), wrap_dim(dim2, rank)
    if first == second:
        raise RuntimeError(f"diagonal dimensions cannot be identical {dim1}, {dim2}")
    shape, strides = input._type.shape, input._strides()
    n, m = shape[first], shape[second]
    length = max(min(n, m - offset) if offset >= 0 else min(n + offset, m), 0)
    start = input.storage_offset()
    if length:
        start += offset * strides[second] if offset >= 0 else -offset * strides[first]
    kept = [i for i in range(rank) if i not in (first, second)]
    return input._view(
        (*[shape[i] for i in kept], length),
        (*[strides[i] for i in kept], strides[first] + strides[second]),
        start,
        "Diagonal",
    )


@operation(out=True)
def diag(input: Tensor, diagonal: int = 0) -> Tensor:
    """A vector as the diagonal of a matrix, or the diagonal of a matrix as a vector."""
    if input.ndim == 1:
        return diag_embed(input, diagonal)  # type: ignore[no-any-return]
    if input.ndim == 2:
        return apply(core.IDENTITY, (_diagonal(input, diagonal),))  # type: ignore[no-any-return]
    raise RuntimeError("diag(): Supports 1D or 2D tensors. Got " + f"{input.ndim}D")


_diagonal = diagonal


@operation()
def diagflat(input: Tensor, offset: int = 0) -> Tensor:
    """The elements, in row-major order, as the diagonal of a matrix."""
    return diag_embed(input.reshape(-1), offset)  # type: ignore[no-any-return,attr-defined]


@operation(method=False)
def meshgrid(*tensors: Any, indexing: str | None = None) -> tuple[Tensor, ...]:
    """Vectors repeated over the grid that they span, as views."""
    parts = tensors[0] if len(tensors) == 1 and isinstance(tensors[0], (tuple, list)) else tensors
    if indexing is None:
        warnings.warn(
            "torch.meshgrid: in an upcoming release, it will be required to pass the indexing "
            "argument.",
            stacklevel=2,
        )
    elif indexing not in ("ij", "xy"):
        raise RuntimeError(
            "torch.meshgrid: indexing must be one of \"xy\" or \"ij\", but received: " + indexing
        )
    for t in parts:
        if t.ndim > 1:
            raise RuntimeError(
                "torch.meshgrid: Expected 0D or 1D tensor in the tensor list but got:  "
                + "  ".join(["1"] * t.ndim)
            )
        if t.dtype is not parts[0].dtype:
            raise RuntimeError("torch.meshgrid expects all tensors to have the same dtype")
    shape = tuple([t.numel() for t in parts])
    result = []
    for axis, t in enumerate(parts):
        stride = t._strides()[0] if t.ndim else 1
        order = list(range(len(parts)))
        if indexing == "xy" and len(parts) > 1:
            order[0], order[1] = 1, 0
        sizes = tuple([shape[i] for i in order])
        strides = tuple([stride if i == axis else 0 for i in order])
        result.append(t._view(sizes, strides, t.storage_offset(), "Expand"))
    return tuple(result)


# ---- data -----------------------------------------------------------------------------------


def of_array(array: NDArray[Any], dtype: DType, device: str = "cpu") -> Tensor:
    """A tensor holding a copy of an array, converted."""
    type_ = TensorType(array.shape, dtype)
    if dtype is dt.bfloat16:
        plain = from_array(array, TensorType(array.shape, dt.float32), device).expression
        return wrap(record(core.CAST, (plain,), (dtype,), False)[0])
    made = object.__new__(Tensor)
    made._storage = from_array(array, type_, device)
    made._type = type_
    return made


_NUMPY_UNSUPPORTED = (
    "can't convert np.ndarray of type {}. The only supported types are: float64, float32, "
    "float16, complex64, complex128, int64, int32, int16, int8, uint64, uint32, uint16, uint8, "
    "and bool."
)


def array_dtype(array: NDArray[Any]) -> DType:
    """The element type of an array; TypeError in PyTorch's words where there is none."""
    try:
        return dt.from_numpy(array.dtype)
    except KeyError:
        kind = array.dtype.type
        name = f"{kind.__module__}.{kind.__qualname__}"
        raise TypeError(_NUMPY_UNSUPPORTED.format(name)) from None


def _infer(data: Any) -> DType:
    """The element type of nested Python data, by its widest category."""
    if isinstance(data, bool):
        return dt.bool_
    if isinstance(data, float):
        return dt.from_numpy(data.dtype) if isinstance(data, np.generic) else defaults.dtype
    if isinstance(data, int):
        return dt.int64
    if isinstance(data, Tensor):
        return data.dtype
    if isinstance(data, (np.ndarray, np.generic)):
        return array_dtype(np.asarray(data))
    if isinstance(data, str):
        raise TypeError(f"new(): invalid data type '{type(data).__name__}'")
    if isinstance(data, Sequence) or hasattr(data, "__getitem__"):
        found: DType | None = None
        for item in data:
            kind = _infer(item)
            found = kind if found is None or found is kind else _wider(found, kind)
        return defaults.dtype if found is None else found
    if hasattr(data, "__array__"):
        return array_dtype(np.asarray(data))
    raise RuntimeError(f"Could not infer dtype of {type(data).__name__}")


def _wider(x: DType, y: DType) -> DType:
    from_rank = {"bool": 0, "int": 1, "float": 2}
    if from_rank[x.kind] != from_rank[y.kind]:
        return x if from_rank[x.kind] > from_rank[y.kind] else y
    return x if x.itemsize >= y.itemsize else y


def _check_nesting(data: Any, shape: tuple[int, ...] = ()) -> None:
    """Raise PyTorch's error for the first sequence that differs from its neighbours in length."""

    def lengths(item: Any) -> list[int]:
        found = []
        while isinstance(item, (list, tuple)) or (isinstance(item, np.ndarray) and item.ndim):
            found.append(len(item))
            if not len(item):
                break
            item = item[0]
        return found

    wanted = lengths(data)

    def visit(item: Any, depth: int) -> None:
        nested = isinstance(item, (list, tuple)) or (isinstance(item, np.ndarray) and item.ndim)
        if depth == len(wanted):
            if nested:
                raise TypeError(
                    f"'{type(item).__name__}' object cannot be interpreted as an integer"
                )
            if isinstance(item, str):
                raise ValueError("too many dimensions 'str'")
            if item is None:
                raise TypeError("must be real number, not NoneType")
            return
        if not nested:
            raise TypeError(
                f"expected sequence of length {wanted[depth]} at dim {depth} (got "
                f"{type(item).__name__})"
            )
        if len(item) != wanted[depth]:
            raise ValueError(
                f"expected sequence of length {wanted[depth]} at dim {depth} (got {len(item)})"
            )
        for part in item:
            visit(part, depth + 1)

    visit(data, 0)


def _plain(data: Any) -> Any:
    """Nested data with tensors replaced by what NumPy reads."""
    if isinstance(data, Tensor):
        return data.tolist()
    if isinstance(data, (list, tuple)):
        return [_plain(item) for item in data]
    return data


def _has_tensors(data: Any) -> bool:
    while isinstance(data, (list, tuple)) and data:
        if any([isinstance(item, Tensor) for item in data]):
            return True
        data = data[0]
    return isinstance(data, Tensor)


_KINDS = {"f": "float", "i": "int", "b": "bool", "u": "int"}


def data_array(data: Any, dtype: DType | None) -> tuple[NDArray[Any], DType]:
    """Python data as an array, and the element type to give it."""
    kind = type(data)
    if dtype is None:
        if kind is float:
            dtype = defaults.dtype
        elif kind is int:
            dtype = dt.int64
        elif kind is bool:
            dtype = dt.bool_
    if kind is list or kind is tuple:
        if _has_tensors(data):
            dtype = dtype or _infer(data)
            data = _plain(data)
        try:
            array = np.array(data)
        except ValueError:
            _check_nesting(data)
            raise
        if array.dtype.kind not in "fibu":
            _check_nesting(data)
            if dtype is None:
                dtype = _infer(data)
            if array.dtype.kind == "O":
                raise ValueError("Overflow when unpacking long long")
            raise TypeError(f"new(): invalid data type '{array.dtype.type.__name__}'")
        if array.dtype == np.uint64:
            raise ValueError("Overflow when unpacking long long")
        if dtype is None:
            dtype = _list_dtype(data, array)
        return array, dtype
    if isinstance(data, (np.ndarray, np.generic)):
        array = np.asarray(data)
        found = array_dtype(array)
        return array, found if dtype is None else dtype
    if isinstance(data, (float, int)):
        if isinstance(data, int) and not -(1 << 63) <= data < 1 << 63:
            raise ValueError("Overflow when unpacking long long")
        return np.array(data), dtype if dtype is not None else _infer(data)
    if isinstance(data, str):
        raise TypeError(f"new(): invalid data type '{kind.__name__}'")
    if hasattr(data, "__array__") or hasattr(data, "__array_interface__"):
        return data_array(np.asarray(data), dtype)
    if isinstance(data, Sequence) or hasattr(data, "__len__"):
        return data_array(list(data), dtype)
    raise RuntimeError(f"Could not infer dtype of {kind.__name__}")


def _list_dtype(data: Any, array: NDArray[Any]) -> DType:
    """The type that PyTorch infers: of plain numbers the default one of their category."""
    if array.size == 0:
        return defaults.dtype
    first = data
    while isinstance(first, (list, tuple)):
        first = first[0]
    if isinstance(first, (np.ndarray, np.generic)):
        return _infer(data)
    if array.dtype.kind == "f":
        return defaults.dtype
    return dt.bool_ if array.dtype.kind == "b" else dt.int64


@operation(method=False)
def tensor(
    data: Any,
    *,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
    pin_memory: bool = False,
) -> Tensor:
    """A tensor holding a copy of ``data``: numbers, nested sequences, arrays.

    >>> torch.tensor([[1, 2], [3, 4]])
    tensor([[1, 2],
            [3, 4]])
    """
    if isinstance(data, Tensor):
        warnings.warn(
            "To copy construct from a tensor, it is recommended to use sourceTensor.detach()."
            "clone() or sourceTensor.detach().clone().requires_grad_(True), rather than "
            "torch.tensor(sourceTensor).",
            stacklevel=2,
        )
        made = copied(data.detach(), dtype, device)
    else:
        chosen = None if dtype is None else as_dtype(dtype)
        array, found = data_array(data, chosen)
        made = of_array(array, found, device_name(device))
    return _leaf(made) if requires_grad else made


def _leaf(made: Tensor) -> Tensor:
    if made.dtype.kind != "float":
        raise RuntimeError("Only Tensors of floating point and complex dtype can require gradients")
    return made.requires_grad_()


def copied(source: Tensor, dtype: Any = None, device: Any = None) -> Tensor:
    """A copy, of another type or on another device if given."""
    chosen = source.dtype if dtype is None else as_dtype(dtype)
    if chosen is source.dtype:
        made = apply(core.IDENTITY, (source,))
    else:
        made = apply(core.CAST, (source,), (chosen,))
    if device is not None:
        made._storage.expression.device = device_name(device)
    return made  # type: ignore[no-any-return]


@operation(method=False)
def as_tensor(data: Any, dtype: Any = None, device: Any = None) -> Tensor:
    """``data`` as a tensor, sharing a tensor's or an array's memory where its type stays."""
    if isinstance(data, Tensor):
        same_type = dtype is None or as_dtype(dtype) is data.dtype
        if same_type and (device is None or device_name(device) == data._storage.device):
            return data
        return copied(data, dtype, device)
    if isinstance(data, np.ndarray) and data.flags.writeable and min(data.strides, default=0) >= 0:
        found = array_dtype(data)
        if (dtype is None or as_dtype(dtype) is found) and device_name(device) == "cpu":
            return from_numpy(data)  # type: ignore[no-any-return]
    return tensor(data, dtype=dtype, device=device)  # type: ignore[no-any-return]


@operation(method=False)
def asarray(
    obj: Any, *, dtype: Any = None, device: Any = None, copy: bool | None = None,
    requires_grad: bool = False,
) -> Tensor:  # fmt: skip
    """``obj`` as a tensor; ``copy`` says whether its memory must (not) be copied."""
    if isinstance(obj, Tensor):
        made = as_tensor(obj, dtype, device)
        if copy is False and made is not obj:
            raise ValueError("can't alias tensor with another dtype.")
        if copy and made is obj:
            made = copied(obj)
        if not requires_grad and made.requires_grad:
            made = made.detach()
    elif isinstance(obj, np.ndarray) and copy:
        made = tensor(obj, dtype=dtype, device=device)
    elif hasattr(obj, "__dlpack__") and not isinstance(obj, np.ndarray):
        made = as_tensor(from_dlpack(obj), dtype, device)
    else:
        if copy is False and not isinstance(obj, np.ndarray):
            raise ValueError(f"can't alias arbitrary sequence into a tensor.")  # noqa: F541
        made = as_tensor(obj, dtype, device)
    return made.requires_grad_() if requires_grad and not made.requires_grad else made


@operation(method=False)
def from_numpy(ndarray: Any) -> Tensor:
    """A tensor over an array's own memory: each sees what is written to the other."""
    if not isinstance(ndarray, np.ndarray):
        raise TypeError(f"expected np.ndarray (got {type(ndarray).__name__})")
    dtype = array_dtype(ndarray)
    if not ndarray.flags.writeable:
        warnings.warn(
            "The given NumPy array is not writable, and PyTorch does not support non-writable "
            "tensors. This means writing to this tensor will result in undefined behavior. You "
            "may want to copy the array to protect its data or make it writable before converting "
            "it to a tensor. This type of warning will be suppressed for the rest of this program.",
            stacklevel=2,
        )
    if ndarray.flags.c_contiguous:
        storage = share_array(ndarray, TensorType(ndarray.shape, dtype), "cpu")
        return _over(storage, storage.expression.type)
    if min(ndarray.strides) < 0:
        raise ValueError(
            "At least one stride in the given numpy array is negative, and tensors with negative "
            "strides are not currently supported. (You can probably work around this by making a "
            "copy of your array  with array.copy().) "
        )
    if any(s % dtype.itemsize for s in ndarray.strides):
        raise ValueError(
            "given numpy array strides not a multiple of the element byte size. Copy the numpy "
            "array to reallocate the memory."
        )
    buffer = Buffer.wrapping(ndarray)
    flat = TensorType((buffer.nbytes // dtype.itemsize,), dtype)
    storage = Storage(Expression(flat, "cpu", value=buffer))
    storage.shared = ForeignMemory(ndarray)
    strides = [s // dtype.itemsize for s in ndarray.strides]
    return _over(storage, flat)._view(ndarray.shape, strides, 0)


def _over(storage: Storage, type_: TensorType) -> Tensor:
    made = object.__new__(Tensor)
    made._storage, made._type = storage, type_
    return made


@operation(method=False)
def frombuffer(
    buffer: Any, *, dtype: Any, count: int = -1, offset: int = 0, requires_grad: bool = False
) -> Tensor:
    """A 1-D tensor over the memory of an object with the buffer protocol."""
    chosen = as_dtype(dtype)
    view = memoryview(buffer).cast("B")
    if view.nbytes == 0 or count == 0:
        raise ValueError(
            f"both buffer length ({view.nbytes}) and count ({count}) must not be 0"
        )
    if not 0 <= offset < view.nbytes:
        raise ValueError(
            f"offset ({offset} bytes) must be non-negative and no greater than buffer length "
            f"({view.nbytes} bytes) minus 1"
        )
    if count < 0 and (view.nbytes - offset) % chosen.itemsize:
        raise ValueError(
            f"buffer length ({view.nbytes - offset} bytes) after offset ({offset} bytes) must be a "
            f"multiple of element size ({chosen.itemsize})"
        )
    if count > 0 and offset + count * chosen.itemsize > view.nbytes:
        raise ValueError(
            f"requested buffer length ({count} * {chosen.itemsize} bytes) after offset ({offset} "
            f"bytes) must not be greater than actual buffer length ({view.nbytes} bytes)"
        )
    if view.readonly:
        warnings.warn(
            "The given buffer is not writable, and PyTorch does not support non-writable tensors. "
            "This means you can write to the underlying (supposedly non-writable) buffer using "
            "the tensor. You may want to copy the buffer to protect its data or make it writable "
            "before converting it to a tensor. This type of warning will be suppressed for the "
            "rest of this program.",
            stacklevel=2,
        )
    array = np.frombuffer(buffer, chosen.numpy, count, offset)
    storage = share_array(array, TensorType(array.shape, chosen), "cpu")
    made = _over(storage, storage.expression.type)
    return made.requires_grad_() if requires_grad else made


class _Legacy:
    """DLPack's older form, a capsule, in the shape that NumPy reads."""

    def __init__(self, capsule: Any) -> None:
        self._capsule = capsule

    def __dlpack__(self, **_: Any) -> Any:
        return self._capsule

    def __dlpack_device__(self) -> tuple[int, int]:
        return (1, 0)


@operation(method=False)
def from_dlpack(ext_tensor: Any, **options: Any) -> Tensor:
    """A tensor over the memory of another library's array."""
    if isinstance(ext_tensor, Tensor):
        return ext_tensor.detach()
    source = ext_tensor if hasattr(ext_tensor, "__dlpack__") else _Legacy(ext_tensor)
    array = np.from_dlpack(source)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if not array.flags.writeable:
            array = np.lib.stride_tricks.as_strided(array, writeable=False)
        return from_numpy(array)  # type: ignore[no-any-return]


# ---- classes by element type ----------------------------------------------------------------


def _legacy(dtype: DType, args: tuple[Any, ...], options: dict[str, Any]) -> Tensor:
    """Tensor(2, 3) is uninitialised; Tensor([1, 2]) holds values."""
    device = options.pop("device", None)
    if len(args) == 1 and isinstance(args[0], Tensor):
        source = args[0]
        if source.dtype is not dtype:
            raise TypeError(
                f"expected {CLASS_NAMES[dtype]} (got torch.{CLASS_NAMES[source.dtype]})"
            )
        return source.detach()
    sizes = all([isinstance(a, (int, np.integer)) for a in args])
    if sizes or (len(args) == 1 and type(args[0]).__name__ == "Size"):
        shape = size_argument(args, None, "Tensor") if args else (0,)
        return make(EMPTY, (), (shape, dtype), device)
    if len(args) == 1:
        return tensor(args[0], dtype=dtype, device=device)  # type: ignore[no-any-return]
    raise TypeError(
        "new() received an invalid combination of arguments - got "
        f"({', '.join([type(a).__name__ for a in args])})"
    )


legacy_constructor.append(lambda *args, **options: _legacy(defaults.dtype, args, options))


class _TypedClass(type):
    """torch.FloatTensor and its like: made for one element type, whose tensors are instances."""

    dtype: DType

    def __instancecheck__(cls, instance: Any) -> bool:
        return isinstance(instance, Tensor) and instance.dtype is cls.dtype

    def __call__(cls, *args: Any, **options: Any) -> Tensor:
        return _legacy(cls.dtype, args, options)

    def __repr__(cls) -> str:
        return f"<class 'torch.{cls.__name__}'>"


TYPED_CLASSES: dict[str, Any] = {
    name: _TypedClass(name, (), {"dtype": dtype, "__module__": "torch"})
    for dtype, name in CLASS_NAMES.items()
}


@operation(method=False)
def set_default_tensor_type(t: Any) -> None:
    """Make the element type of a tensor class the default one."""
    from_name = str(t).rpartition(".")[2] if isinstance(t, str) else t.__name__
    defaults_type = {name: dtype for dtype, name in CLASS_NAMES.items()}[from_name]
    if defaults_type.kind != "float":
        raise TypeError("only floating-point types are supported as the default type")
    defaults.dtype = defaults_type


__all__ = ["Tensor", "contiguous_strides", "copied", "of_array", "wrap_dims"]
