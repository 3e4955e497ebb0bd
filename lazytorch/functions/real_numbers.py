"""What concerns complex numbers, of the real ones: parts, conjugates, angles."""

from __future__ import annotations

import math
from typing import Any

from codegen.ir.node import Node
from codegen.ops import elementwise as ew
from codegen.ops.calls import detach
from lazytorch.functions.arguments import require_tensor
from lazytorch.functions.families import in_float, unary
from lazytorch.functions.registration import FOUND_DTYPE, PUBLIC, operation
from lazytorch.tensor import Tensor


def _itself(name: str, documentation: str, method: bool = True) -> Any:
    def public(input: Tensor) -> Tensor:
        require_tensor(name, input)
        return input

    public.__name__ = public.__qualname__ = name
    public.__doc__ = documentation
    return operation(method=method)(public)


conj = _itself("conj", "The conjugate, which is the input itself.")
resolve_conj = _itself("resolve_conj", "The input, which is never stored conjugated.")
resolve_neg = _itself("resolve_neg", "The input, which is never stored negated.")
real = _itself("real", "The real part, which is the input itself.", method=False)


@operation(out=FOUND_DTYPE)
def conj_physical(input: Tensor) -> Tensor:
    """The conjugate, which is the input itself."""
    require_tensor("conj_physical", input)
    return input


@operation(function=False)
def conj_physical_(self: Tensor) -> Tensor:
    """The tensor itself."""
    return self


Tensor.conj_physical_ = PUBLIC["conj_physical_"] = conj_physical_  # type: ignore[attr-defined]


@operation(method=False)
def imag(input: Tensor) -> Tensor:
    """Real numbers have no imaginary part to show: a RuntimeError, as in PyTorch."""
    require_tensor("imag", input)
    raise RuntimeError("imag is not implemented for tensors with non-complex dtypes.")


def _angle(x: Node) -> Node:
    """0, or π below 0; NaN stays."""
    zero = ew.full_like(x, 0)
    turned = ew.where(ew.lt(x, zero), ew.full_like(x, math.pi), zero)
    return ew.where(ew.ne(x, x), detach(x), turned)


angle = unary("angle", in_float(_angle), "The angle in the complex plane.", inplace=False)


@operation()
def is_conj(input: Tensor) -> bool:
    return False


@operation()
def is_neg(input: Tensor) -> bool:
    return False


def _real_part(self: Tensor) -> Tensor:
    return self


Tensor.real = property(_real_part)  # type: ignore[attr-defined]
Tensor.imag = property(imag)  # type: ignore[attr-defined]
__all__ = ["angle", "conj", "conj_physical", "imag", "real"]
