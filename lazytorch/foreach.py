"""``torch._foreach_*``: one operator on each tensor of a list, as optimizers and averages call it.

A list's operations are recorded one after another, and run as few kernels as ever: operators of
one form on tensors of a list are what the compiler joins anyway.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import lazytorch
from lazytorch.functions.arguments import require_tensors
from lazytorch.tensor import Tensor

torch: Any = lazytorch  # whose names are made when it is imported

_UNARY = (
    "abs", "acos", "asin", "atan", "ceil", "clone", "cos", "cosh", "erf", "erfc", "exp", "expm1",
    "floor", "frac", "lgamma", "log", "log10", "log1p", "log2", "max", "neg", "reciprocal",
    "round", "rsqrt", "sigmoid", "sign", "sin", "sinh", "sqrt", "tan", "tanh", "trunc", "zero",
)  # fmt: skip
# With a list, a number, a list of numbers or a 0-d tensor.
_BINARY = (
    "add", "clamp_max", "clamp_min", "copy", "div", "maximum", "minimum", "mm", "mul", "pow", "sub",
)  # fmt: skip
# Methods of other names than the operators, because they take numbers too.
_METHODS = {"maximum": "clamp_min", "minimum": "clamp_max"}
_OTHER = ("other", "scalar", "scalars", "exponent", "mat2", "src")
_WITHOUT_COPY, _ONLY_IN_PLACE = ("max", "clone", "mm"), ("zero", "copy")


def _check_lists(first: Any, *others: Any, name: str) -> None:
    if not isinstance(first, (list, tuple)):
        raise TypeError(
            f"{name}(): argument 'self' (position 1) must be tuple of Tensors, not "
            f"{type(first).__name__}"
        )
    require_tensors(first, 0)
    if not first:
        raise RuntimeError("Tensor list must have at least one tensor.")
    for other in others:
        if len(other) == len(first):
            continue
        if other and isinstance(other[0], Tensor):
            raise RuntimeError(
                "Tensor lists must have the same number of tensors, got "
                f"{len(first)} and {len(other)}"
            )
        raise RuntimeError("Tensor list must have same number of elements as scalar list.")


def _spread(value: Any, count: int) -> Sequence[Any]:
    """One value for each tensor: of a list, of a one-dimensional tensor, or the same for all."""
    if isinstance(value, (list, tuple)):
        return value
    if isinstance(value, Tensor) and value.ndim == 1:
        return list(value.tolist())
    return (value,) * count


def _result(made: list[Tensor], in_place: bool) -> Any:
    return made if in_place else tuple(made)


def _unary(name: str, method: str, in_place: bool) -> Callable[..., Any]:
    def function(self: Sequence[Tensor]) -> Any:
        _check_lists(self, name=name)
        return _result([getattr(t, method)() for t in self], in_place)

    return function


def _binary(name: str, method: str, in_place: bool) -> Callable[..., Any]:
    def function(self: Any, *args: Any, **kwargs: Any) -> Any:
        names = [n for n in _OTHER if n in kwargs]
        if len(args) + len(names) < 1:
            raise TypeError(f"{name}() missing 1 required positional argument: 'other'")
        other = args[0] if args else kwargs.pop(names[0])
        if not isinstance(self, (list, tuple, Tensor)) and name == "_foreach_pow":
            _check_lists(other, name=name)
            return tuple([torch.pow(self, t) for t in other])
        if isinstance(other, Tensor) and other.ndim:
            raise RuntimeError(
                "scalar tensor expected to be 0 dim but it has "
                f"{other.ndim} dimensions and {other.numel()} elements."
            )
        _check_lists(self, name=name)
        values = _spread(other, len(self))
        _check_lists(self, values, name=name)
        made = [getattr(t, method)(v, **kwargs) for t, v in zip(self, values, strict=True)]
        return _result(made, in_place)

    return function


def _ternary(name: str, method: str, in_place: bool) -> Callable[..., Any]:
    def function(
        self: Any, tensor1: Any, tensor2: Any, value: Any = 1, *, scalars: Any = None
    ) -> Any:
        _check_lists(self, tensor1, tensor2, name=name)
        values = _spread(value if scalars is None else scalars, len(self))
        _check_lists(self, values, name=name)
        made = [
            getattr(t, method)(x, y, value=v)
            for t, x, y, v in zip(self, tensor1, tensor2, values, strict=True)
        ]
        return _result(made, in_place)

    return function


def _lerp(name: str, method: str, in_place: bool) -> Callable[..., Any]:
    def function(self: Any, tensors1: Any, weight: Any = None, *, weights: Any = None) -> Any:
        _check_lists(self, tensors1, name=name)
        values = _spread(weight if weights is None else weights, len(self))
        _check_lists(self, values, name=name)
        made = [
            getattr(t, method)(end, w) for t, end, w in zip(self, tensors1, values, strict=True)
        ]
        return _result(made, in_place)

    return function


def _foreach_norm(self: Any, ord: float = 2, dtype: Any = None) -> tuple[Tensor, ...]:
    """The norm of each tensor of a list, all its elements one vector."""
    _check_lists(self, name="_foreach_norm")
    return tuple([torch.linalg.vector_norm(t, ord, dtype=dtype) for t in self])


def _foreach_powsum(self: Any, ord: float = 2, dtype: Any = None) -> tuple[Tensor, ...]:
    """For each tensor of a list, the sum of the powers of its magnitudes."""
    _check_lists(self, name="_foreach_powsum")
    return tuple([t.abs().pow(ord).sum(dtype=dtype) for t in self])


def _define() -> None:
    makers: dict[str, Callable[..., Any]] = dict.fromkeys(_UNARY, _unary)
    makers |= dict.fromkeys(_BINARY, _binary)
    makers |= {"addcmul": _ternary, "addcdiv": _ternary, "lerp": _lerp}
    for operator, maker in makers.items():
        method = _METHODS.get(operator, operator)
        for suffix in ("", "_"):
            if operator in (_WITHOUT_COPY if suffix else _ONLY_IN_PLACE):
                continue
            name = f"_foreach_{operator}{suffix}"
            function = maker(name, method + suffix, bool(suffix))
            function.__name__ = function.__qualname__ = name
            function.__doc__ = f"``{operator}{suffix}`` on each tensor of a list."
            globals()[name] = function


_define()
