"""One definition of an operation, reachable as function, method, in-place form and with out=."""

from __future__ import annotations

import contextlib
import functools
import inspect
import warnings
from collections.abc import Callable
from typing import Any, TypeVar

from codegen.dtype import DType
from lazytorch import autocasting, core
from lazytorch.application import pack_results
from lazytorch.autograd.grad_mode import is_grad_enabled, unusual
from lazytorch.autograd.grad_mode import state as grad_state
from lazytorch.expression import Expression
from lazytorch.storage import Storage
from lazytorch.tensor import Tensor, record, wrap
from lazytorch.type_names import c_name, type_name

F = TypeVar("F", bound=Callable[..., Any])

# Every public function of the torch namespace, by name.
PUBLIC: dict[str, Callable[..., Any]] = {}

# What overrides.py puts here, once a program has overrides, answers a call in a function's place;
# it gives UNANSWERED where there is none for these arguments.
overriding: list[Callable[..., Any]] = []
UNANSWERED = object()
# What it puts here is asked when a call fails: an argument may be no tensor, but know what to do.
refused: list[Callable[..., Any]] = []
# Refusals of an out= tensor of another type than the result's, with both types' names.
SAME = "same type"  # PyTorch's most common one, which has names as in C++
SAME_OF_SEVERAL = "same type of several"  # of one result, any that it can be converted to
OF_CAT = "torch.cat(): input types can't be cast to the desired output type {out}"
INPUT_TYPE = (
    "Expected the dtype for input and out to match, but got {made} for input's dtype and {out} for "
    "out's dtype."
)
FOUND_DTYPE = "Found dtype {out} but expected {made}"
RESULT_DTYPE = "result dtype {out} does not match input dtype {made}"
SCALAR_TYPE = "expected scalar_type {made} but found {out}"

_RANK = {"bool": 0, "int": 1, "float": 2, "complex": 3}


def operation(
    *, function: bool = True, method: bool = True, inplace: bool = False,
    out: bool | str = False, names: tuple[str, ...] = (),
) -> Callable[[F], F]:  # fmt: skip
    """Register a public operation under its own name and ``names``.

    function  as torch.NAME; method  as Tensor.NAME; inplace  as Tensor.NAME_ (and torch.NAME_);
    out       accepts ``out=`` in the function form: tensors of any type that the result can be
              converted to, or, where PyTorch does not convert, of the "same type"; any other
              text is how PyTorch refuses them.
    """

    def enter(definition: F) -> F:
        definition = with_numpy_names(definition)
        visible = with_out(definition, out) if out else definition
        for name in (definition.__name__.rstrip("_"), *names):
            if function:
                PUBLIC[name] = visible
            if method:
                setattr(Tensor, name, definition)
            if inplace:
                written = in_place(definition, name + "_")
                setattr(Tensor, name + "_", written)
                if function:
                    PUBLIC[name + "_"] = written
        return visible

    return enter


# Keywords of NumPy's functions that PyTorch takes for its own.
_NUMPY_NAMES = {"dim": "axis", "keepdim": "keepdims"}


def with_numpy_names(definition: F) -> F:
    """The definition, which also takes ``axis=`` for ``dim=`` and ``keepdims=`` for ``keepdim=``
    where it has those."""
    own = inspect.signature(definition).parameters
    other_names = [(n, k) for k, n in _NUMPY_NAMES.items() if k in own and n not in own]
    if not other_names:
        return definition

    @functools.wraps(definition)
    def accepting(*args: Any, **kwargs: Any) -> Any:
        if kwargs:
            for name, known in other_names:
                if name in kwargs and known not in kwargs:
                    kwargs[known] = kwargs.pop(name)
        return definition(*args, **kwargs)

    return accepting  # type: ignore[return-value]


def in_place(definition: Callable[..., Any], name: str) -> Callable[..., Any]:
    """The form that writes its result into ``self``."""

    def written(self: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        if self._geometry is not None:
            try:
                self._refuse_unknown_history()
            except RuntimeError:
                with contextlib.suppress(RuntimeError, IndexError):
                    # Wrong arguments come first; reading them must not make their nodes.
                    given = [a.detach() if isinstance(a, Tensor) else a for a in (self, *args)]
                    definition(*given, **kwargs)
                raise
        try:
            if unusual.active and grad_state.saved_hooks:
                return assign_made(self, definition, self, *args, **kwargs)
            return assign(self, definition(self, *args, **kwargs))
        except (RuntimeError, IndexError):
            self._refuse_before(any([isinstance(a, Tensor) and a.requires_grad for a in args]))
            raise

    written.__name__ = written.__qualname__ = name
    written.__code__ = written.__code__.replace(co_name=name)  # for tracebacks
    written.__doc__ = f"In-place form of ``{name[:-1]}``."
    return written


def with_out(definition: F, kind: bool | str = True) -> F:
    """The definition with an ``out=`` argument, perhaps of the result's type alone."""

    @functools.wraps(definition)
    def accepting(*args: Any, out: Any = None, **kwargs: Any) -> Any:
        if overriding:
            given = kwargs if out is None else {**kwargs, "out": out}
            answer = overriding[0](accepting, args, given)
            if answer is not UNANSWERED:
                return answer
        try:
            if out is None or not autocasting.active.count:
                result = definition(*args, **kwargs)
            else:  # autocast is not for results that are there already
                with autocasting.off():
                    result = definition(*args, **kwargs)
        except TypeError:
            return refused[0](accepting, args, kwargs)
        if out is None:
            return result
        if kind is not True:
            check_same_type(out, result, str(kind))
        return write_out(out, result)

    accepting.asks_for_overrides = True  # type: ignore[attr-defined]
    return accepting  # type: ignore[return-value]


def check_same_type(out: Any, result: Any, kind: str) -> None:
    """Refuse an out= tensor, or one of several, of another type: ``kind`` says in what words."""
    if kind == OF_CAT:  # converts as others do, but refuses by another exception
        if _RANK[result.dtype.kind] > _RANK[out.dtype.kind]:
            raise TypeError(kind.format(out=type_name(out.dtype)))
        return
    if kind == SAME_OF_SEVERAL:
        if not isinstance(result, tuple):
            return
        kind = SAME
    pairs = zip(out, result, strict=True) if isinstance(result, (tuple, list)) else [(out, result)]
    for target, made in pairs:
        if target.dtype is made.dtype:
            continue
        if kind == SAME:
            raise RuntimeError(
                f"Expected out tensor to have dtype {c_name(made.dtype)}, but got "
                f"{c_name(target.dtype)} instead"
            )
        names = {"made": type_name(made.dtype), "out": type_name(target.dtype)}
        raise RuntimeError(kind.format(**names))


def assign(target: Tensor, result: Tensor) -> Tensor:
    """Write a result of the same shape into a tensor, converting to its element type."""
    if result is target or result._storage is target._storage:
        return target
    if result._type.shape != target._type.shape:
        raise RuntimeError(
            f"output with shape {list(target.shape)} doesn't match the broadcast shape "
            f"{list(result.shape)}"
        )
    check_castable(result.dtype, target.dtype)
    return target._write(_converted(result, target.dtype))


def assign_made(target: Tensor, make: Callable[..., Tensor], *args: Any, **kwargs: Any) -> Tensor:
    """Assign to a tensor what ``make`` makes, of that tensor among others. Hooks on what backward
    saves are given a copy of what is written over, and the target for the result."""
    if not grad_state.saved_hooks:
        return assign(target, make(*args, **kwargs))
    grad_state.written, grad_state.waiting_for_write = target, []
    try:
        result = make(*args, **kwargs)
    finally:
        waiting = grad_state.waiting_for_write
        grad_state.written = grad_state.waiting_for_write = None
    assign(target, result)
    shown = target if target._type == result._type else result
    for call in waiting:
        pack_results[0]([shown if x is result else x for x in call[-1]], call)
    return target


def check_castable(source: DType, target: DType) -> None:
    """Refuse a result of a higher category than the tensor it is written to."""
    if _RANK[source.kind] > _RANK[target.kind]:
        raise RuntimeError(
            f"result type {type_name(source)} can't be cast to the desired output type "
            f"{type_name(target)}"
        )


def _converted(result: Tensor, dtype: DType) -> Expression:
    """A fresh result's expression, given up by the tensor that held it."""
    value = result._read()
    if value.type.dtype is not dtype:
        return record(core.CAST, (value,), (dtype,), value.tracked)[0]
    if value is result._storage.expression and value.leaf is None:
        value.owner = None
    return value


def write_out(out: Any, result: Any) -> Any:
    """Put results into the tensors given as ``out=``, resized where their shape differs."""
    if isinstance(result, tuple):
        for target, value in zip(out, result, strict=True):
            write_out(target, value)
        return out if type(result) is tuple else type(result)(out)
    if is_grad_enabled() and (out.requires_grad or result.requires_grad):
        raise RuntimeError(
            "functions with out=... arguments don't support automatic differentiation, but one of "
            "the arguments requires grad."
        )
    check_castable(result.dtype, out.dtype)
    if any(n > 1 and s == 0 for n, s in zip(out._type.shape, out._strides(), strict=True)):
        raise RuntimeError(
            "unsupported operation: more than one element of the written-to tensor refers to a "
            "single memory location. Please clone() the tensor before performing the operation."
        )
    if out.shape != result.shape:
        if out.numel():
            warnings.warn(
                f"An output with one or more elements was resized since it had shape "
                f"{list(out.shape)}, which does not match the required output shape "
                f"{list(result.shape)}. This behavior is deprecated, and in a future PyTorch "
                "release outputs will not be resized unless they have zero elements. You can "
                "explicitly reuse an out tensor t by resizing it, inplace, to zero elements with "
                "t.resize_(0).",
                stacklevel=3,
            )
        layout = result._storage.layout if result._geometry is None else None
        fresh = wrap(_converted(result, out.dtype), layout)
        out._storage, out._type, out._geometry = fresh._storage, fresh._type, None
        return out
    return out._write(_converted(result, out.dtype))


__all__ = [
    "PUBLIC", "Storage", "assign", "assign_made", "in_place", "operation", "with_out", "write_out",
]  # fmt: skip
