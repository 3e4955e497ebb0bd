"""New tensors of constants and sequences, matrices with a diagonal, and the typed classes."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from codegen import dtype as dt
from codegen.dtype import DType
from codegen.ir.node import Node, Shape
from codegen.ops import complex_numbers as cn
from codegen.ops import elementwise as ew
from codegen.ops.indexing import empty as empty_node
from codegen.ops.leaves import iota
from codegen.ops.movement import pad_to, permute, reshape
from codegen.ops.reduction import broadcast
from codegen.ops.reduction import full as full_node
from lazytorch import core
from lazytorch.application import apply
from lazytorch.defaults import defaults
from lazytorch.device import device_name
from lazytorch.dtypes import CLASS_NAMES, as_dtype
from lazytorch.expression import Attributes, Function, scalar
from lazytorch.functions.arguments import check_number, integers, require_tensor, size_argument
from lazytorch.functions.data import leaf, of_array, tensor
from lazytorch.functions.promotion import default_complex
from lazytorch.functions.registration import operation, write_out
from lazytorch.layouts import strides_in_format
from lazytorch.levels import by_example
from lazytorch.result_layouts import lay_out
from lazytorch.tensor import Tensor, legacy_constructor, record, wrap, wrap_dim
from lazytorch.type_names import type_name

EMPTY = Function("empty", empty_node)
CONSTANT = Function("constant", lambda value, shape, dtype: full_node(value, shape, dtype))


def _full(value: Node, shape: Shape, dtype: DType) -> Node:
    return broadcast(ew.cast(value, dtype), shape, ())


FULL = Function("full", _full)


def make(
    function: Function,
    numbers: Sequence[float | int | bool | Tensor],
    attributes: Attributes,
    device: Any = None,
    requires_grad: bool = False,
    out: Tensor | None = None,
) -> Tensor:
    """A new tensor from a function of numbers alone."""
    place = device_name(device)
    inputs = [n._read() if isinstance(n, Tensor) else scalar(n, place) for n in numbers]
    expression = record(function, tuple(inputs), attributes, False)[0]
    if place != "cpu":
        expression.device = place
    made = wrap(expression)
    if out is not None:
        write_out(out, made)
        made = out
    return leaf(made) if requires_grad else made


def _type(dtype: Any, out: Tensor | None = None) -> DType:
    if dtype is None:
        return defaults.dtype if out is None else out.dtype
    found = as_dtype(dtype)
    if out is not None and out.dtype is not found:
        raise RuntimeError(
            f"dtype {type_name(found)} does not match dtype of out parameter "
            f"({type_name(out.dtype)})"
        )
    return found


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
    made = _constant("empty", None, size, options)
    memory_format = options.get("memory_format")
    if memory_format is None:
        return made
    return lay_out(made, strides_in_format(made._type.shape, made._strides(), memory_format.name))


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
        default_complex() if isinstance(fill_value, complex) else
        dt.int64 if isinstance(fill_value, (int, np.integer)) else defaults.dtype
    )  # fmt: skip
    chosen = kind if dtype is None and out is None else _type(dtype, out)
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


def lying_as(made: Tensor, input: Tensor, memory_format: Any) -> Tensor:
    """A new tensor of the input's shape, which lies as that does, or in a memory format."""
    if memory_format is None and input._geometry is None and input._storage.special is None:
        return made
    name = "preserve_format" if memory_format is None else memory_format.name
    return lay_out(made, strides_in_format(input._type.shape, input._strides(), name))


def _made_like(name: str, value: float | None) -> Callable[..., Tensor]:
    def like(input: Tensor, **options: Any) -> Tensor:
        require_tensor(name, input)
        made = _like(input, name, value, input._type.shape, options)
        return lying_as(made, input, options.get("memory_format"))

    like.__name__ = like.__qualname__ = name
    like.__doc__ = "A tensor of the input's shape, type and device, which lies as it does."
    return operation(method=False)(like)


empty_like = _made_like("empty_like", None)
zeros_like = _made_like("zeros_like", 0)
ones_like = _made_like("ones_like", 1)


@operation(method=False)
def full_like(input: Tensor, fill_value: Any, **options: Any) -> Tensor:
    require_tensor("full_like", input)
    options["dtype"] = options.get("dtype") or input.dtype
    options["device"] = options.get("device") or input._storage.device
    made: Tensor = full(input._type.shape, fill_value, **options)
    return lying_as(made, input, options.get("memory_format"))


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
    return full(size, fill_value, **options)


@operation(function=False)
def new_tensor(self: Tensor, data: Any, **options: Any) -> Tensor:
    options["dtype"] = options.get("dtype") or self.dtype
    options["device"] = options.get("device") or self._storage.device
    return tensor(data, **options)


@operation(function=False, names=("new",))
def _new(self: Tensor, *args: Any, **options: Any) -> Tensor:
    if not args:
        return _like(self, "new", None, (0,), options)
    if isinstance(args[0], (list, tuple, np.ndarray)) and not isinstance(args[0], type(self.shape)):
        return new_tensor(self, args[0])
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
    return made._require_grad_() if requires_grad else made


@operation(function=False)
def new_empty_strided(self: Tensor, size: Any, stride: Any, **options: Any) -> Tensor:
    """As ``empty_strided``, of this tensor's type and device."""
    options["dtype"] = options.get("dtype") or self.dtype
    options["device"] = options.get("device") or self._storage.device
    return empty_strided(size, stride, **options)


@operation(method=False)
def empty_permuted(size: Any, physical_layout: Any, **options: Any) -> Tensor:
    """Undefined values whose dimensions lie in memory in the given order, outermost first."""
    shape = integers((size,), "empty_permuted")
    order = integers((physical_layout,), "empty_permuted", "physical_layout")
    if len(order) != len(shape):
        raise RuntimeError(
            f"Number of dimensions in size does not match the length of the physical_layout; i.e. "
            f"len(size) = {len(shape)} is not equal to len(physical_layout) = {len(order)}"
        )
    for place, axis in enumerate(order):
        if not 0 <= axis < len(shape):
            raise RuntimeError(
                f"Dimension out of range (expected to be between 0 and {len(shape) - 1}, but got "
                f"{axis} at index {place}).  NB: negative dims not currently supported; file an "
                "issue if you want it."
            )
        if axis in order[:place]:
            raise RuntimeError(f"Duplicate dim not allowed (got {axis} at index {place})")
    strides, step = [0] * len(shape), 1
    for axis in reversed(order):
        strides[axis] = step
        step *= max(shape[axis], 1)
    return empty_strided(shape, strides, **options)


def _reach(shape: Sequence[int], strides: Sequence[int]) -> int:
    if 0 in shape:
        return 0
    return 1 + sum([(n - 1) * s for n, s in zip(shape, strides, strict=True)])


@operation(method=False)
def scalar_tensor(s: Any, **options: Any) -> Tensor:
    options["dtype"] = options.get("dtype") or defaults.dtype
    return full((), s, **options)


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
    natural = dt.int64 if whole else defaults.dtype
    chosen = natural if dtype is None and out is None else _type(dtype, out)
    if chosen.is_complex:
        raise NotImplementedError(f"\"arange_cpu\" not implemented for '{type_name(chosen)}'")
    if chosen is dt.bool_:
        raise RuntimeError("\"arange_cpu_out\" not implemented for 'Bool'")
    if step == 0:
        raise RuntimeError("step must be nonzero")
    if not (math.isfinite(start) and math.isfinite(end)):
        raise RuntimeError(f"unsupported range: {start} -> {end}")
    if (end - start) * step < 0:
        raise RuntimeError("upper bound and lower bound inconsistent with step sign")
    if chosen.kind == "int" and not whole:
        start, end, step = int(start), int(end), int(step)
        if step == 0:
            raise ValueError("step must be nonzero")
        whole = True
    if whole:
        size = len(range(start, end, step))
    else:
        size = math.ceil((end - start) / step)
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
    return arange(start, start + step * (size - 0.5), step, **options)


def _linspace(start: Node, end: Node, steps: int, dtype: DType) -> Node:
    """From both ends towards the middle, so that both are exact."""
    compute = dtype if dtype.kind == "float" and dtype.itemsize > 2 else dt.float64
    if dtype.kind != "float":
        start, end = ew.cast(start, dtype), ew.cast(end, dtype)
    if dtype.itemsize == 2 and dtype.kind == "float":
        compute = dt.float32
    shape = (steps,)
    if dtype.is_complex:
        half = dt.HALF_OF_COMPLEX[dtype]
        ends = zip(cn.parts(start), cn.parts(end), strict=True)
        return cn.complex_(*[_linspace(a, b, steps, half) for a, b in ends])
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
    if dtype.is_complex:
        compute = dtype
    if not dtype.differentiable:
        start, end = ew.cast(start, dtype), ew.cast(end, dtype)
    power = _linspace(start, end, steps, compute)
    return ew.cast(ew.pow_(broadcast(ew.cast(base, compute), (steps,), ()), power), dtype)


LINSPACE = Function("linspace", _linspace)
LOGSPACE = Function("logspace", _logspace)


def _steps(start: Any, end: Any, steps: int, name: str) -> int:
    if not isinstance(steps, int):
        kinds = ", ".join([type(x).__name__ for x in (start, end, steps)])
        raise TypeError(
            f"{name}() received an invalid combination of arguments - got ({kinds}), but expected "
            "steps to be an int"
        )
    ranks = [x.ndim if isinstance(x, Tensor) else 0 for x in (start, end)]
    if any(ranks):
        raise RuntimeError(
            f"{name} only supports 0-dimensional start and end tensors, but got start with "
            f"{ranks[0]} dimension(s) and end with {ranks[1]} dimension(s)."
        )
    if steps < 0:
        raise RuntimeError("number of steps must be non-negative")
    return steps


def _between(start: Any, end: Any, dtype: Any, out: Tensor | None) -> DType:
    """The type of numbers between two."""
    if dtype is None and out is None:
        ends = [x.dtype.is_complex if isinstance(x, Tensor) else isinstance(x, complex)
                for x in (start, end)]  # fmt: skip
        if any(ends):
            return default_complex()
    return _type(dtype, out)


@operation(method=False)
@by_example
def linspace(
    start: Any, end: Any, steps: int, *, out: Tensor | None = None, dtype: Any = None,
    device: Any = None, requires_grad: bool = False, **options: Any,
) -> Tensor:  # fmt: skip
    """``steps`` numbers evenly from start to end, both included."""
    _ignore("linspace", options)
    count = _steps(start, end, steps, "linspace")
    numbers, attributes = (_number(start), _number(end)), (count, _between(start, end, dtype, out))
    return make(LINSPACE, numbers, attributes, device, requires_grad, out)


@operation(method=False)
@by_example
def logspace(
    start: Any, end: Any, steps: int, base: float = 10.0, *, out: Tensor | None = None,
    dtype: Any = None, device: Any = None, requires_grad: bool = False, **options: Any,
) -> Tensor:  # fmt: skip
    """base to the powers of ``linspace(start, end, steps)``."""
    _ignore("logspace", options)
    count = _steps(start, end, steps, "logspace")
    chosen = _between(start, end, dtype, out)
    numbers, attributes = (_number(start), _number(end), base), (count, chosen)
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


TRIL = Function("tril", lambda x, diagonal: _triangle(x, diagonal, True), keeps_numbers=True)
TRIU = Function("triu", lambda x, diagonal: _triangle(x, diagonal, False), keeps_numbers=True)


@operation(inplace=True, out="same type")
def tril(input: Tensor, diagonal: int = 0) -> Tensor:
    """The elements on and below a diagonal; zero elsewhere."""
    _need_matrix(input, "tril")
    return apply(TRIL, (input, diagonal))  # type: ignore[no-any-return]


@operation(inplace=True, out="same type")
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


def diag_embed_node(x: Node, offset: int, dim1: int, dim2: int) -> Node:
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


DIAG_EMBED = Function("diag_embed", diag_embed_node)


@operation()
def diag_embed(input: Tensor, offset: int = 0, dim1: int = -2, dim2: int = -1) -> Tensor:
    """The last dimension laid along the diagonal of new square matrices."""
    first, second = wrap_dim(dim1, input.ndim + 1), wrap_dim(dim2, input.ndim + 1)
    if first == second:
        raise RuntimeError(f"diagonal dimensions cannot be identical {dim1}, {dim2}")
    return apply(DIAG_EMBED, (input,), (offset, first, second))  # type: ignore[no-any-return]


@operation()
def diagonal(input: Tensor, offset: int = 0, dim1: int = 0, dim2: int = 1) -> Tensor:
    """A view of a diagonal of two dimensions, as the last dimension."""
    rank = input.ndim
    first, second = wrap_dim(dim1, rank), wrap_dim(dim2, rank)
    if first == second:
        raise RuntimeError(f"diagonal dimensions cannot be identical {dim1}, {dim2}")
    shape, strides = input._type.shape, input._steps()
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


@operation(out="same type")
def diag(input: Tensor, diagonal: int = 0) -> Tensor:
    """A vector as the diagonal of a matrix, or the diagonal of a matrix as a vector."""
    if input.ndim == 1:
        return diag_embed(input, diagonal)
    if input.ndim == 2:
        return apply(core.IDENTITY, (_diagonal(input, diagonal),))  # type: ignore[no-any-return]
    raise RuntimeError("diag(): Supports 1D or 2D tensors. Got " + f"{input.ndim}D")


_diagonal = diagonal


@operation()
def diagflat(input: Tensor, offset: int = 0) -> Tensor:
    """The elements, in row-major order, as the diagonal of a matrix."""
    return diag_embed(input.reshape(-1), offset)


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
            'torch.meshgrid: indexing must be one of "xy" or "ij", but received: ' + indexing
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
        stride = t._steps()[0] if t.ndim else 1
        order = list(range(len(parts)))
        if indexing == "xy" and len(parts) > 1:
            order[0], order[1] = 1, 0
        sizes = tuple([shape[i] for i in order])
        strides = tuple([stride if i == axis else 0 for i in order])
        result.append(t._view(sizes, strides, t.storage_offset(), "Expand"))
    return tuple(result)


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
    sizes = all(isinstance(a, (int, np.integer)) for a in args)
    if sizes or (len(args) == 1 and type(args[0]).__name__ == "Size"):
        shape = size_argument(args, None, "Tensor") if args else (0,)
        return make(EMPTY, (), (shape, dtype), device)
    if len(args) == 1:
        return tensor(args[0], dtype=dtype, device=device)
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
