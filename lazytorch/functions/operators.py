"""Python's operators on tensors; an operand that is no tensor or number is left to its own type."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from lazytorch.application import apply, of_two, written_over
from lazytorch.expression import Function
from lazytorch.functions.arithmetic import ADD, DIV, MUL, SUB
from lazytorch.functions.products import MATMUL, MATMUL_OF_VIEWS
from lazytorch.functions.registration import PUBLIC
from lazytorch.tensor import Tensor

_OPERANDS = (Tensor, float, int, complex, np.number, np.bool_)


def _forward(function: Callable[..., Any]) -> Callable[[Tensor, Any], Any]:
    def operate(self: Tensor, other: Any) -> Any:
        if not isinstance(other, _OPERANDS):
            return NotImplemented
        return function(self, other)

    return operate


def _reflected(name: str, function: Callable[..., Any]) -> Callable[[Tensor, Any], Any]:
    def operate(self: Tensor, other: Any) -> Any:
        if not isinstance(self, Tensor):
            raise TypeError(
                f"descriptor '{name}' for 'torch._C.TensorBase' objects doesn't apply to a "
                f"'{type(self).__name__}' object"
            )
        if not isinstance(other, _OPERANDS):
            return NotImplemented
        return function(other, self)

    return operate


def _direct(function: Function) -> Callable[[Tensor, Any], Any]:
    """As ``_forward`` of the public function, which would only look for options that are absent."""

    def operate(self: Tensor, other: Any) -> Any:
        if type(other) is Tensor or isinstance(other, _OPERANDS):
            return apply(function, (self, other))
        return NotImplemented

    return of_two(function, operate)


def _assigning(function: Function, otherwise: Callable[[Any, Any], Any]) -> Any:
    """As ``_forward`` of the in-place form; at a third of its cost where nothing is recorded, or
    a part of computed memory is written."""

    def operate(self: Tensor, other: Any) -> Any:
        if self._geometry is not None:
            return self if self._operate_in_memory(function, other) else otherwise(self, other)
        return self if written_over(function, (self, other), (), [self]) else otherwise(self, other)

    return operate


# operator -> the public function; each also reflected and, with its in-place form, assigning.
_ARITHMETIC = {
    "add": "add", "sub": "sub", "mul": "mul", "truediv": "div", "floordiv": "floor_divide",
    "mod": "remainder", "pow": "pow", "and": "bitwise_and", "or": "bitwise_or",
    "xor": "bitwise_xor", "lshift": "bitwise_left_shift", "rshift": "bitwise_right_shift",
    "div": "div",
}  # fmt: skip
_COMPARISONS = ("eq", "ne", "lt", "le", "gt", "ge")
_UNARY = {"neg": "neg", "pos": "positive", "abs": "abs"}


def _contains(self: Tensor, element: Any) -> bool:
    """Whether any element equals this one."""
    if not isinstance(element, _OPERANDS):
        raise RuntimeError(
            "Tensor.__contains__ only supports Tensor or scalar, but you passed in a "
            f"{type(element)}."
        )
    return bool(PUBLIC["any"](PUBLIC["eq"](self, element)).item())


def _over(self: Tensor, other: Any) -> Any:
    """other / self, by way of the reciprocal, as in PyTorch."""
    if not isinstance(other, (*_OPERANDS, np.ndarray)):
        return NotImplemented
    return self.reciprocal() * other


def _equal(self: Tensor, other: Any) -> Any:
    """Where elements are equal; of all comparisons, PyTorch compares with arrays in this alone."""
    if isinstance(other, np.ndarray):
        other = PUBLIC["from_numpy"](other)
    elif not isinstance(other, _OPERANDS):
        return NotImplemented
    return self.eq(other)


def _invert(self: Tensor) -> Any:
    if self.dtype.differentiable:
        raise TypeError(
            "~ (operator.invert) is only implemented on integer and Boolean-type tensors"
        )
    return PUBLIC["bitwise_not"](self)


def _round(self: Tensor, decimals: int = 0) -> Any:
    return PUBLIC["round"](self, decimals=decimals)


def install() -> None:
    """Give Tensor its operators, once every function they call is registered."""
    # The methods, which are shorter ways than the functions: these look for out= first.
    for name, function in _ARITHMETIC.items():
        setattr(Tensor, f"__{name}__", _forward(getattr(Tensor, function)))
        reflected = f"__r{name}__"
        setattr(Tensor, reflected, _reflected(reflected, getattr(Tensor, function)))
        setattr(Tensor, f"__i{name}__", _forward(getattr(Tensor, function + "_")))
    for name, direct in (
        ("add", ADD), ("sub", SUB), ("mul", MUL), ("truediv", DIV), ("div", DIV),
    ):  # fmt: skip
        setattr(Tensor, f"__{name}__", _direct(direct))
        assigning = f"__i{name}__"
        setattr(Tensor, assigning, _assigning(direct, getattr(Tensor, assigning)))
    for name in ("__rtruediv__", "__rdiv__"):
        setattr(Tensor, name, _over)
    for name in _COMPARISONS:
        setattr(Tensor, f"__{name}__", _forward(getattr(Tensor, name)))
    Tensor.__eq__ = _equal  # type: ignore[method-assign,assignment]
    for name, function in _UNARY.items():
        setattr(Tensor, f"__{name}__", getattr(Tensor, function))
    matmul = PUBLIC["matmul"]
    for name, operate in (
        ("__matmul__", of_two(MATMUL, _forward(matmul), MATMUL_OF_VIEWS)),
        ("__rmatmul__", _reflected("__rmatmul__", matmul)),
        ("__contains__", _contains), ("__round__", _round), ("__invert__", _invert),
    ):  # fmt: skip
        setattr(Tensor, name, operate)
