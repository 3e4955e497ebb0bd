"""Other types, devices and memory: to(), clone, contiguous, copy_, pickling, NumPy and text."""

from __future__ import annotations

import copy as copying
import html
import warnings
import weakref
from collections.abc import Iterator
from typing import Any

import numpy as np

from codegen import dtype as dt
from codegen.dtype import DType
from codegen.ir.node import Node, Shape, TensorType
from codegen.ops import elementwise as ew
from codegen.ops.strided import contiguous_strides
from codegen.runtime.memory import Buffer
from codegen.runtime.opencl import discovery
from lazytorch import core, levels
from lazytorch.application import apply, apply_expressions, written_over
from lazytorch.autograd.grad_mode import state as grad_state
from lazytorch.defaults import defaults
from lazytorch.device import Device, device_name
from lazytorch.dtypes import CLASS_NAMES, NAMES, as_dtype
from lazytorch.expression import FORWARD, Expression, Function, new_expression, scalar
from lazytorch.functions import views
from lazytorch.functions.arguments import check_number, integers
from lazytorch.functions.creation import TYPED_CLASSES
from lazytorch.functions.data import of_array
from lazytorch.functions.promotion import broadcast_shapes
from lazytorch.functions.registration import PUBLIC, operation
from lazytorch.layout import contiguous_format, strided
from lazytorch.layouts import strides_in_format, suggested_strides
from lazytorch.printing import format_tensor
from lazytorch.result_layouts import lay_out
from lazytorch.storage import Storage, from_array, new_storage, share_array
from lazytorch.tensor import OWN_ATTRIBUTES, Geometry, Tensor, record, wrap
from lazytorch.transfer import moved
from lazytorch.type_names import c_name, type_name


def _fit(source: Node, shape: Shape, dtype: DType) -> Node:
    return core.broadcast_to(ew.cast(source, dtype), shape)


# A value in the shape and element type of the place it is written to.
FIT = Function("copy", _fit, gradient_name="CopyBackwards")


def write_value(target: Tensor, value: Any) -> Tensor:
    """Write a tensor or a number, broadcast and converted, into a tensor (or a view)."""
    if isinstance(value, Tensor):
        if value._type.dtype.is_complex:
            warn_of_lost_parts(target._type.dtype)
        if value._type is target._type:
            if value._storage is target._storage and target._write_itself(value):
                return target
            return target._write(_instead_of(target, value._read()))
        shape = target._type.shape
        if value._type.shape != shape:
            views.expanded_geometry(value._type.shape, value._type.shape, shape)
        (fitted,) = apply_expressions(FIT, (value,), (shape, target._type.dtype))
    else:
        if target._write_number(value):
            return target
        attributes = (target._type.shape, target._type.dtype)
        if written_over(FIT, (value,), attributes, [target]):
            return target
        (fitted,) = record(FIT, (scalar(value, "cpu"),), attributes, False)
        fitted.device = target._storage.device
    return target._write(_instead_of(target, fitted))


def _instead_of(target: Tensor, value: Expression) -> Expression:
    """A value to be written over a whole tensor, whose old value then gets a gradient of zero."""
    before = target._storage.expression
    if not (value.tracked and (grad_state.enabled or before.tracked == FORWARD)):
        return value
    if target._has_marker():
        before = target._read()
    elif target._geometry is not None or not target._connected:
        return value
    if before.leaf is not None or not before.tracked:
        return value
    return record(core.OVERWRITE, (value, before), (), before.tracked)[0]


# ---- types and devices ------------------------------------------------------------------------


def converted(x: Tensor, dtype: DType, copy: bool = False) -> Tensor:
    if dtype is x._type.dtype:
        return x if not copy else clone(x)
    if x._type.dtype.is_complex:
        warn_of_lost_parts(dtype)
    return apply(core.CAST, (x,), (dtype,))  # type: ignore[no-any-return]


_LOST_PARTS = "Casting complex values to real discards the imaginary part"
_warned = False


def warn_of_lost_parts(dtype: DType) -> None:
    """Warn, once a process, that a type has no place for imaginary parts."""
    global _warned
    if not (dtype.is_complex or dtype is dt.bool_ or _warned):
        _warned = True
        warnings.warn(_LOST_PARTS, stacklevel=4)


_OPTIONS = ("dtype", "device", "non_blocking", "copy", "memory_format", "other")


@operation(function=False)
def to(self: Tensor, *args: Any, **options: Any) -> Tensor:
    """Another element type or device, or those of another tensor; itself if it has them.

    >>> torch.tensor([1.5]).to(torch.int64)
    tensor([1])
    """
    dtype, device = options.get("dtype"), options.get("device")
    copy = options.get("copy", False)
    for key in options:
        if key not in _OPTIONS:
            raise TypeError("to() received an invalid combination of arguments")
    if "other" in options:
        args = (options["other"], *args)
    rest = list(args)
    if rest:
        first = rest.pop(0)
        if isinstance(first, Tensor):
            dtype, device = first.dtype, first.device
        elif isinstance(first, DType) or first in (float, int, bool, complex):
            dtype = first
        elif first is None or isinstance(first, (str, int, Device)):
            device = first
            if rest and (isinstance(rest[0], DType) or rest[0] is None):
                dtype = rest.pop(0)
        else:
            raise TypeError(
                "to() received an invalid combination of arguments - got "
                f"({type(first).__name__}), but expected one of: (torch.device device = None, "
                "torch.dtype dtype = None, ...), (torch.dtype dtype, ...), (Tensor tensor, ...)"
            )
        if len(rest) > 1:
            copy = copy or bool(rest[1])
    made = self
    if device is not None:
        made = moved(made, device_name(device))
    if dtype is not None:
        made = converted(made, as_dtype(dtype))
    memory_format = options.get("memory_format")
    if memory_format is not None:
        made = _in_format(made, memory_format, self)
    if copy and made is self:
        made = clone(self)
    return made


def _in_format(x: Tensor, memory_format: Any, source: Tensor) -> Tensor:
    """A tensor in a memory format: itself if it counts as having it, else a copy. ``source``: what
    it was converted from, whose order a copy has that is to preserve that."""
    shape, strides = x._type.shape, x._strides()
    name = memory_format.name
    if x is source and name == "preserve_format":
        return x
    wanted = strides_in_format(shape, source._strides(), name)
    if x is source and suggested_strides(shape, strides) == wanted:
        return x
    if strides == wanted:
        return x
    made: Tensor = apply(core.CAST, (x,), (x._type.dtype,))
    made._storage.special = None
    return lay_out(made, wanted)


def _casting(name: str, dtype: DType) -> None:
    def cast(self: Tensor, memory_format: Any = None) -> Tensor:
        made = converted(self, dtype)
        return made if memory_format is None else _in_format(made, memory_format, self)

    cast.__name__ = cast.__qualname__ = name
    cast.__doc__ = f"The numbers as {dtype!r}."
    setattr(Tensor, name, cast)


for _name, _dtype in (
    ("float", dt.float32), ("double", dt.float64), ("half", dt.float16),
    ("bfloat16", dt.bfloat16), ("int", dt.int32), ("long", dt.int64), ("short", dt.int16),
    ("char", dt.int8), ("byte", dt.uint8), ("bool", dt.bool_), ("cfloat", dt.complex64),
    ("cdouble", dt.complex128),
):  # fmt: skip
    _casting(_name, _dtype)


@operation(function=False)
def type(self: Tensor, dtype: Any = None, non_blocking: bool = False, **_: Any) -> Any:
    """The name of the tensor's class, or the numbers in another type."""
    if dtype is None:
        return f"torch.{type_name(self.dtype)}Tensor"
    if isinstance(dtype, str):
        name = dtype.removeprefix("torch.")
        if name not in TYPED_CLASSES:
            raise ValueError(f"invalid type: '{dtype}'")
        return converted(self, TYPED_CLASSES[name].dtype)
    if dtype in TYPED_CLASSES.values():
        return converted(self, dtype.dtype)
    return converted(self, as_dtype(dtype))


@operation(function=False)
def type_as(self: Tensor, other: Tensor) -> Tensor:
    return moved(converted(self, other.dtype), other._storage.device)


@operation(function=False)
def cpu(self: Tensor, memory_format: Any = None) -> Tensor:
    return moved(self, "cpu")


@operation(function=False)
def cuda(
    self: Tensor, device: Any = None, non_blocking: bool = False, memory_format: Any = None
) -> Tensor:
    return moved(self, device_name("cuda" if device is None else device))


@operation(function=False)
def get_device(self: Tensor) -> int:
    device = self.device
    return -1 if device.type in ("cpu", "interpreter") else device.index or 0


# ---- copies ---------------------------------------------------------------------------------


@operation()
def clone(input: Tensor, *, memory_format: Any = None) -> Tensor:
    """A copy in memory of its own, through which gradients flow. It lies as the input does, or in
    the memory format asked for."""
    made: Tensor = apply(core.IDENTITY, (input,))
    if memory_format is None and (
        input.layout is not strided or (input._geometry is None and input._storage.special is None)
    ):
        return made
    name = "preserve_format" if memory_format is None else memory_format.name
    return lay_out(made, strides_in_format(input._type.shape, input._strides(), name))


@operation(function=False)
def contiguous(self: Tensor, memory_format: Any = contiguous_format) -> Tensor:
    """Itself if its elements lie in the memory format, in rows by default; else a copy in which
    they do."""
    if self.is_contiguous() if memory_format is None else self.is_contiguous(memory_format):
        return self
    made: Tensor = apply(core.IDENTITY, (self,))
    if memory_format in (None, contiguous_format):
        return made
    return lay_out(made, strides_in_format(self._type.shape, (), memory_format.name))


def copy_(self: Tensor, src: Any, non_blocking: bool = False) -> Tensor:
    """Write ``src``, broadcast and converted, into this tensor."""
    if not isinstance(src, Tensor):
        if not isinstance(src, (int, float, complex)):
            raise TypeError(
                "copy_(): argument 'other' (position 1) must be Tensor, not "
                f"{src.__class__.__name__}"
            )
        return write_value(self, src)
    if src is self:
        self._refuse_unknown_history()
    try:
        broadcast_shapes(self._type.shape, src._type.shape)
        return write_value(self, src if src._storage.device == self._storage.device else
                           moved(src, self._storage.device))  # fmt: skip
    except RuntimeError:
        self._refuse_before(src.requires_grad)
        raise


Tensor.copy_ = copy_  # type: ignore[attr-defined]


def _fill_(self: Tensor, value: Any) -> Tensor:
    """Write one number everywhere."""
    if isinstance(value, Tensor):
        if value.ndim:
            raise RuntimeError(
                "fill_ only supports 0-dimension value tensor but got tensor with "
                f"{value.ndim} dimensions."
            )
        return write_value(self, value)
    if isinstance(value, np.generic):
        value = value.item()
    if not isinstance(value, (int, float, complex)):
        raise TypeError(
            f"fill_() received an invalid combination of arguments - got "
            f"({value.__class__.__name__})"
        )
    try:
        check_number(value, self.dtype)
    except RuntimeError:
        self._refuse_before(False)
        raise
    write_value(_once_each(self), value)
    return self


def _once_each(x: Tensor) -> Tensor:
    """A view without the repetitions of an expanded tensor, for one number to be written."""
    geometry = x._geometry
    if geometry is None or 0 not in geometry.strides:
        return x
    x._refuse_before(False)  # by its own name
    shape = [min(n, 1) if s == 0 else n
             for n, s in zip(geometry.shape, geometry.strides, strict=True)]  # fmt: skip
    return x._view(shape, geometry.strides, geometry.offset, x._view_name)


def _zero_(self: Tensor) -> Tensor:
    """Write zeros everywhere."""
    write_value(_once_each(self), 0)
    return self


Tensor.fill_ = _fill_  # type: ignore[attr-defined]
Tensor.zero_ = _zero_  # type: ignore[attr-defined]
fill_, zero_ = _fill_, _zero_


@operation(method=False)
def fill(input: Tensor, value: Any) -> Tensor:
    """A tensor like the input, of one value."""
    made = clone(input)
    _fill_(made, value)
    return made


# ---- memory ---------------------------------------------------------------------------------


@operation(function=False)
def is_shared(self: Tensor) -> bool:
    return bool(self.__dict__.get("_in_shared_memory", False))


def _share_memory(self: Tensor) -> Tensor:
    """Kept for scripts: processes get copies."""
    self.__dict__["_in_shared_memory"] = True
    return self


Tensor.share_memory_ = _share_memory  # type: ignore[attr-defined]


@operation(function=False)
def pin_memory(self: Tensor, device: Any = None) -> Tensor:
    """A copy that a GPU can fetch by itself; RuntimeError where there is none, or where the tensor
    is not the host's. Here every tensor of the host is as good: the copy is so in name."""
    if not discovery.gpu_numbers():
        raise RuntimeError("Cannot access accelerator device when none is available.")
    if self._storage.device != "cpu":
        raise RuntimeError(
            f"cannot pin 'torch.{self._storage.device.split(':')[0]}.{CLASS_NAMES[self.dtype]}' "
            "only dense CPU tensors can be pinned"
        )
    if is_pinned(self):
        return self
    made: Tensor = clone(self.detach())
    _pinned.add(made._storage)
    return made


@operation(function=False)
def is_pinned(self: Tensor, device: Any = None) -> bool:
    return self._storage in _pinned


_pinned: weakref.WeakSet[Storage] = weakref.WeakSet()


def grow(x: Tensor, count: int) -> None:
    """Give this tensor a storage of at least ``count`` elements that begins with its old one."""
    x._whole_array()
    old = x._storage.memory()
    whole = np.zeros(count, old.dtype)
    whole[: old.size] = old
    type_ = TensorType((count,), x.dtype)
    made = new_storage(new_expression(type_, x._storage.device, value=Buffer.wrapping(whole)))
    geometry = Geometry(x._type.shape, x._strides(), x.storage_offset())
    x._storage, x._geometry, x._view_cache = made, geometry, None


def _resize(self: Tensor, *sizes: Any, memory_format: Any = None) -> Tensor:
    """Another shape over the same storage, which grows where it must."""
    shape = integers(sizes, "resize_")
    if self.requires_grad:
        raise RuntimeError("cannot resize variables that require grad")
    if shape == self._type.shape:
        return self
    offset = self.storage_offset()
    needed = offset + int(np.prod(shape, dtype=np.int64))
    if needed > self._storage.expression.type.size:
        grow(self, needed)
    self._geometry = Geometry(shape, contiguous_strides(shape), offset)
    self._type = TensorType(shape, self.dtype)
    self._view_cache = None
    return self


def _resize_as(self: Tensor, other: Tensor, memory_format: Any = None) -> Tensor:
    return _resize(self, other._type.shape)


Tensor.resize_ = _resize  # type: ignore[attr-defined]
Tensor.resize_as_ = _resize_as  # type: ignore[attr-defined]


def _public(name: str) -> None:
    """torch.NAME, of a method NAME."""
    method = getattr(Tensor, name)

    def public(input: Tensor, *args: Any, **options: Any) -> Any:
        return method(input, *args, **options)

    public.__name__ = public.__qualname__ = name
    public.__doc__ = f"As ``Tensor.{name}``."
    PUBLIC[name] = public


for _name in ("detach", "detach_", "fill_", "zero_", "resize_as_", "get_device"):
    _public(_name)


@operation(function=False)
def sum_to_size(self: Tensor, *size: Any) -> Tensor:
    """Summed over what it was broadcast along, to a shape that broadcasts to its own."""
    shape, wanted = self._type.shape, integers(size, "sum_to_size")
    rest = shape[len(shape) - len(wanted) :]
    fits = len(wanted) <= len(shape) and all(n in (1, m) for n, m in zip(wanted, rest, strict=True))
    if not fits:
        raise RuntimeError(f"size {{{list(wanted)}}} is not expandable to size {{{list(shape)}}}.")
    first = len(shape) - len(wanted)
    axes = [i for i, n in enumerate(shape) if i < first or (wanted[i - first] == 1 and n != 1)]
    if not axes:
        return self
    summed = self.sum(axes, keepdim=True)
    return views.reshape(summed, wanted)


@operation()
def is_signed(input: Tensor) -> bool:
    """Whether the element type has negative numbers."""
    return input.dtype.is_signed


@operation()
def is_same_size(input: Tensor, other: Tensor) -> bool:
    return input._type.shape == other._type.shape


@operation()
def is_inference(input: Tensor) -> bool:
    """Whether it was made in inference mode."""
    return input._storage.is_inference()


@operation()
def is_distributed(input: Tensor) -> bool:
    return False


@operation()
def is_nonzero(input: Tensor) -> bool:
    """Whether the one element is not zero."""
    if input.numel() != 1:
        few = "no values" if not input.numel() else "more than one value"
        raise RuntimeError(f"Boolean value of Tensor with {few} is ambiguous")
    return bool(input.item())


def _set(
    self: Tensor, source: Any = None, storage_offset: int = 0, size: Any = None, stride: Any = None
) -> Tensor:
    """Show another tensor's (or storage's) memory, under a geometry of its own if given."""
    self._refuse_before(False)
    if source is None:
        source = of_array(np.empty(0, self.dtype.numpy), self.dtype, self._storage.device)
    if not isinstance(source, Tensor):  # a storage
        source = source.as_tensor(self.dtype)
        if size is None:
            size = source._type.shape
    if source.dtype is not self.dtype:
        raise RuntimeError(
            f"Could not set tensor of type {c_name(source.dtype)} to a tensor of type "
            f"{c_name(self.dtype)}"
        )
    if size is not None:
        shape = integers((size,), "set_")
        strides = contiguous_strides(shape) if stride is None else integers((stride,), "set_")
        source = views.as_strided(source, shape, strides, storage_offset)
    self._storage, self._type = source._storage, source._type
    self._geometry, self._view_cache = source._geometry, None
    return self


Tensor.set_ = _set  # type: ignore[attr-defined]


@operation(function=False)
def is_set_to(self: Tensor, tensor: Tensor) -> bool:
    """Whether both show the same memory in the same way."""
    return (
        self._storage is tensor._storage
        and self.storage_offset() == tensor.storage_offset()
        and self._type.shape == tensor._type.shape
        and self._strides() == tensor._strides()
    )


# ---- Python's protocols -----------------------------------------------------------------------


def _deepcopy(self: Tensor, memo: dict[int, Any]) -> Tensor:
    if id(self) in memo:
        return memo[id(self)]  # type: ignore[no-any-return]
    if not self.is_leaf:
        raise RuntimeError(
            "Only Tensors created explicitly by the user (graph leaves) support the deepcopy "
            "protocol at the moment.  If you were attempting to deepcopy a module, this may be "
            "because of a torch.nn.utils.weight_norm usage, see "
            "https://github.com/pytorch/pytorch/pull/103001"
        )
    key = id(self._storage)
    base = memo.get(key)
    if base is None:
        whole = self.detach()
        whole._geometry, whole._type = None, self._storage.expression.type
        copied = record(core.IDENTITY, (whole._read(),), (), False)[0]
        base = memo[key] = wrap(copied, self._storage.layout)
    made = object.__new__(self.__class__)
    made._storage, made._type = base._storage, self._type
    if self._geometry is not None:
        made._geometry, made._overlaps = self._geometry, self._overlaps
        if self._geometry.changes_values:
            made = made.resolve_conj().resolve_neg()
    memo[id(self)] = made
    for name, value in self.__dict__.items():
        if name not in OWN_ATTRIBUTES:
            made.__dict__[name] = copying.deepcopy(value, memo)
    if self._grad is not None:
        made._grad = _deepcopy(self._grad, memo)
    if self.requires_grad:
        made._require_grad_()
    return made


def _copy(self: Tensor) -> Tensor:
    """A leaf over the same memory."""
    made = object.__new__(self.__class__)
    made.__dict__.update(self.detach().__dict__)
    state = {k: v for k, v in self.__dict__.items() if k not in OWN_ATTRIBUTES}
    made.__dict__.update(state)
    made._grad = self._grad
    return made._require_grad_() if self.requires_grad else made


def rebuild(
    cls: Any, array: Any, dtype: DType, requires_grad: bool, state: dict[str, Any],
    device: str = "cpu", strides: tuple[int, ...] | None = None,
) -> Tensor:  # fmt: skip
    """Make a pickled tensor again."""
    if device == "cpu":
        storage = share_array(array, TensorType(array.shape, dtype), "cpu")
        storage.shared = None
    else:
        storage = from_array(array, TensorType(array.shape, dtype), device_name(device))
    made = object.__new__(cls)
    made._storage, made._type = storage, storage.expression.type
    made.__dict__.update(state)
    if strides is not None:
        lay_out(made, strides)
    return made._require_grad_() if requires_grad else made  # type: ignore[no-any-return]


def _reduce(self: Tensor, protocol: Any) -> Any:
    if not self.is_leaf:
        warnings.warn("pickling a non-leaf tensor keeps its values alone", stacklevel=2)
    array = np.array(self.detach()._array(), order="C")
    state = {k: v for k, v in self.__dict__.items() if k not in OWN_ATTRIBUTES}
    device = self._storage.device
    place: tuple[Any, ...] = () if device == "cpu" else (device,)
    if self._storage.layout is not None and self._geometry is None:
        place = (device, self._strides())
    return rebuild, (self.__class__, array, self.dtype, self.requires_grad, state, *place)


def _iterate(self: Tensor) -> Iterator[Tensor]:
    if not self.ndim:
        raise TypeError("iteration over a 0-d tensor")
    return iter(views.unbind(self, 0))


def _contains(self: Tensor, element: Any) -> bool:
    if isinstance(element, (Tensor, int, float, complex)):
        return bool((self == element).any())  # type: ignore[attr-defined]
    raise RuntimeError(
        f"Tensor.__contains__ only supports Tensor or scalar, but you passed in a "
        f"{element.__class__}."
    )


def _reversed(self: Tensor) -> Tensor:
    return self if not self.ndim else self.flip(0)


def _format(self: Tensor, specification: str) -> str:
    if not self.ndim and self.__class__ is Tensor:
        return format(self.item(), specification)
    return object.__format__(self, specification)


def _array_wrap(self: Tensor, array: Any, context: Any = None, return_scalar: bool = False) -> Any:
    """What NumPy's functions give for a tensor: a tensor."""
    if array.dtype == np.bool_:
        array = array.astype(np.uint8)
    return of_array(array, dt.from_numpy(array.dtype))


def text(x: Tensor, prefix: str = "tensor(") -> str:
    """What ``repr`` shows, in PyTorch's words."""
    if levels.state.inside:
        shown = levels.text_over_all_examples[0](x)
        if shown is not None:
            return shown
    tangent = None
    if x._storage.expression.tracked & FORWARD:
        tangent = levels.tangent_of[0](x)
    plain = x.detach()._float_array()
    if plain.dtype == np.float16:
        plain = plain.astype(np.float32)
    grad_fn = x.grad_fn
    device = x._storage.device
    return format_tensor(
        plain,
        repr(x.dtype).removeprefix("torch."),
        default_dtype_name=defaults.dtype.name,
        device=None if device == "cpu" else device,
        requires_grad=x.requires_grad,
        grad_fn_name=None if grad_fn is None else grad_fn.name().split("::")[-1],
        prefix=prefix,
        extra_suffixes=() if tangent is None else (f"tangent={tangent}",),
    )


def _repr(self: Tensor, *, tensor_contents: Any = None) -> str:
    kind = self.__class__
    ours = kind is Tensor or kind.__module__.startswith("lazytorch.")
    return text(self, "tensor(" if ours else f"{kind.__name__}(")


def _repr_html(self: Tensor) -> str:
    """What a notebook shows: the type and the device, and the values as they are printed."""
    shape = "×".join(map(str, self.shape)) or "scalar"
    facts = f"{repr(self.dtype).removeprefix('torch.')}[{shape}] on {self.device}"
    return f"<div>{html.escape(facts)}</div><pre>{html.escape(repr(self))}</pre>"


for _name, _method in (
    ("__copy__", _copy), ("__deepcopy__", _deepcopy), ("__reduce_ex__", _reduce),
    ("__iter__", _iterate), ("__contains__", _contains), ("__reversed__", _reversed),
    ("__format__", _format),
    ("__array_wrap__", _array_wrap), ("__repr__", _repr),
    ("_repr_html_", _repr_html),
):  # fmt: skip
    setattr(Tensor, _name, _method)


@operation(method=False)
def to_dlpack(tensor: Tensor) -> Any:
    """A DLPack capsule of the tensor's memory."""
    return tensor.__dlpack__()


@operation(method=False)
def is_tensor(obj: Any) -> bool:
    return isinstance(obj, Tensor)


@operation(method=False)
def numel(input: Tensor) -> int:
    """Number of elements."""
    return input.numel()


@operation(method=False)
def is_floating_point(input: Tensor) -> bool:
    return input.is_floating_point()


@operation(method=False)
def is_complex(input: Tensor) -> bool:
    return input.dtype.is_complex


__all__ = ["NAMES", "converted", "grow", "moved", "rebuild", "text", "write_value"]
