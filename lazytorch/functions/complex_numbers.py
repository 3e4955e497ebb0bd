"""Complex tensors: made of parts, their parts as views, conjugates, angles."""

from __future__ import annotations

import math
from typing import Any

from codegen import dtype as dt
from codegen.dtype import DType
from codegen.ir.node import Node
from codegen.ops import complex_functions as cf
from codegen.ops import complex_numbers as cn
from codegen.ops import elementwise as ew
from codegen.ops.calls import detach
from lazytorch.autocasting import in_float32
from lazytorch.expression import Function
from lazytorch.functions import views
from lazytorch.functions.arguments import require_tensor
from lazytorch.functions.bodies import apply_one
from lazytorch.functions.conversion import clone
from lazytorch.functions.families import in_float
from lazytorch.functions.promotion import broadcast_together
from lazytorch.functions.registration import FOUND_DTYPE, PUBLIC, SCALAR_TYPE, in_place, operation
from lazytorch.geometry import ONE
from lazytorch.tensor import Tensor
from lazytorch.type_names import type_name

# ---- from parts ----------------------------------------------------------------------------------


def _check_parts(name: str, first: Node, second: Node, names: tuple[str, str]) -> None:
    if first.dtype not in dt.COMPLEX_OF or second.dtype not in dt.COMPLEX_OF:
        raise RuntimeError(
            "Expected both inputs to be Half, Float or Double tensors but got "
            f"{type_name(first.dtype)} and {type_name(second.dtype)}"
        )
    if first.dtype is not second.dtype:
        raise RuntimeError(
            f"Expected object of scalar type {type_name(first.dtype)} but got scalar type "
            f"{type_name(second.dtype)} for second argument"
        )


def _complex(real: Node, imag: Node) -> Node:
    _check_parts("complex", real, imag, ("real", "imag"))
    return cn.complex_(*broadcast_together(real, imag))


def _polar(size: Node, angle: Node) -> Node:
    _check_parts("polar", size, angle, ("abs", "angle"))
    size, angle = broadcast_together(size, angle)
    return cn.complex_(ew.mul(size, ew.cos(angle)), ew.mul(size, ew.sin(angle)))


COMPLEX = Function("complex", _complex, saves_exactly=lambda _, tracked: sorted(tracked))
POLAR = Function("polar", _polar, saves_exactly=lambda *_: (~0,))


@operation(method=False, out=SCALAR_TYPE)
def complex(real: Tensor, imag: Tensor) -> Tensor:
    """real + i imag, of two float32 or float64 tensors that broadcast together.

    >>> torch.complex(torch.tensor([1.0, 2.0]), torch.tensor([3.0, 4.0]))
    tensor([1.+3.j, 2.+4.j])
    """
    require_tensor("complex", real, "real")
    require_tensor("complex", imag, "imag", 2)
    return apply_one(COMPLEX, (real, imag))


@operation(method=False, out=SCALAR_TYPE)
@in_float32
def polar(abs: Tensor, angle: Tensor) -> Tensor:
    """abs * exp(i angle), of two float32 or float64 tensors that broadcast together."""
    require_tensor("polar", abs, "abs")
    require_tensor("polar", angle, "angle", 2)
    return apply_one(POLAR, (abs, angle))


# ---- views ---------------------------------------------------------------------------------------


def _changes(x: Tensor) -> tuple[bool, bool]:
    """Whether a tensor shows its memory conjugated, and negated."""
    return (False, False) if x._geometry is None else (x._geometry.conjugated, x._geometry.negated)


def _part(z: Tensor, number: int) -> Tensor:
    strides = [2 * s for s in z._steps()]
    place = 2 * z.storage_offset() + number * (ONE if z._overlaps else 1)
    conjugated, negated = _changes(z)
    return z._view(z._type.shape, strides, place, "Select", dt.HALF_OF_COMPLEX[z.dtype],
                   (False, negated != (conjugated and number == 1)))  # fmt: skip


def _real(self: Tensor) -> Tensor:
    """The real parts, as a view; a real tensor itself."""
    return _part(self, 0) if self.dtype.is_complex else self


def _imag(self: Tensor) -> Tensor:
    """The imaginary parts, as a view; RuntimeError of a real tensor."""
    require_tensor("imag", self)
    if not self.dtype.is_complex:
        raise RuntimeError("imag is not implemented for tensors with non-complex dtypes.")
    return _part(self, 1)


def _set_part(get: Any) -> Any:
    def write(self: Tensor, value: Any) -> None:
        get(self).copy_(value)

    return write


@operation(method=False)
def real(input: Tensor) -> Tensor:
    """The real parts, in the same memory; a real tensor itself.

    >>> z = torch.tensor([1 + 2j])
    >>> z.real = 5
    >>> z
    tensor([5.+2.j])
    """
    require_tensor("real", input)
    return _real(input)


@operation(method=False)
def imag(input: Tensor) -> Tensor:
    """The imaginary parts, in the same memory; RuntimeError of a real tensor."""
    return _imag(input)


@operation(method=False)
def view_as_real(input: Tensor) -> Tensor:
    """The memory of complex numbers: a view of shape (*, 2), real parts first."""
    require_tensor("view_as_real", input)
    if not input.dtype.is_complex:
        raise RuntimeError("view_as_real is only supported for complex tensors")
    if _changes(input)[0]:
        raise RuntimeError(
            "view_as_real doesn't work on unresolved conjugated tensors.  To resolve the conjugate "
            "tensor so you can view it as real, use self.resolve_conj(); however, be warned that "
            "the resulting tensor will NOT alias the original."
        )
    strides = [*[2 * s for s in input._steps()], ONE if input._overlaps else 1]
    return input._view(
        (*input._type.shape, 2), strides, 2 * input.storage_offset(), "ViewAsReal",
        dt.HALF_OF_COMPLEX[input.dtype],
    )  # fmt: skip


@operation(method=False)
@in_float32
def view_as_complex(input: Tensor) -> Tensor:
    """Pairs along the last dimension, which must lie side by side, as complex numbers: a view.

    >>> torch.view_as_complex(torch.tensor([[1.0, 2.0], [3.0, 4.0]]))
    tensor([1.+2.j, 3.+4.j])
    """
    require_tensor("view_as_complex", input)
    dtype = input.dtype
    if dtype not in dt.COMPLEX_OF:
        raise RuntimeError(
            "view_as_complex is only supported for half, float and double tensors, but got a "
            f"tensor of scalar type: {type_name(dtype)}"
        )
    shape, strides = input._type.shape, input._steps()
    if not shape:
        raise RuntimeError("Input tensor must have one or more dimensions")
    if shape[-1] != 2:
        raise RuntimeError("Tensor must have a last dimension of size 2")
    if strides[-1] != 1:
        raise RuntimeError("Tensor must have a last dimension with stride 1")
    for s in strides[:-1]:
        if s % 2:
            raise RuntimeError(
                "Tensor must have a stride divisible by 2 for all but last dimension"
            )
    if input.storage_offset() % 2:
        raise RuntimeError("Tensor must have a storage_offset divisible by 2")
    halves = [s // 2 for s in strides[:-1]]
    return input._view(
        shape[:-1], halves, input.storage_offset() // 2, "ViewAsComplex", dt.COMPLEX_OF[dtype]
    )


# ---- conjugates ----------------------------------------------------------------------------------


def _conj_physical(x: Node) -> Node:
    return cn.conj(x) if x.dtype.is_complex else ew.cast(x, x.dtype)


CONJ_PHYSICAL = Function("conj_physical", _conj_physical)


@operation()
def conj(input: Tensor) -> Tensor:
    """The complex conjugate, as a view; a real tensor itself.

    >>> z = torch.tensor([1 + 2j])
    >>> z.conj().mul_(2).is_conj(), z
    (True, tensor([2.+4.j]))
    """
    require_tensor("conj", input)
    if not input.dtype.is_complex:
        return input
    conjugated, negated = _changes(input)
    return _as_it_lies(input, "Conj", (not conjugated, negated))


@operation()
def _neg_view(input: Tensor) -> Tensor:
    """The negated elements, as a view."""
    conjugated, negated = _changes(input)
    return _as_it_lies(input, "NegView", (conjugated, not negated))


def _as_it_lies(x: Tensor, name: str, changes: tuple[bool, bool]) -> Tensor:
    return x._view(x._type.shape, x._steps(), x.storage_offset(), name, changes=changes)


@operation(out=FOUND_DTYPE)
def conj_physical(input: Tensor) -> Tensor:
    """The complex conjugate in memory of its own; a real tensor itself."""
    require_tensor("conj_physical", input)
    return apply_one(CONJ_PHYSICAL, (input,)) if input.dtype.is_complex else input


Tensor.conj_physical_ = PUBLIC["conj_physical_"] = in_place(  # type: ignore[attr-defined]
    lambda x: apply_one(CONJ_PHYSICAL, (x,)), "conj_physical_"
)


@operation()
def resolve_conj(input: Tensor) -> Tensor:
    """The tensor itself, or a copy where it shows its memory conjugated."""
    require_tensor("resolve_conj", input)
    return clone(input) if _changes(input)[0] else input


@operation()
def resolve_neg(input: Tensor) -> Tensor:
    """The tensor itself, or a copy where it shows its memory negated."""
    require_tensor("resolve_neg", input)
    return clone(input) if _changes(input)[1] else input


@operation()
def is_conj(input: Tensor) -> bool:
    """Whether it shows its memory conjugated, as what ``conj`` gives does."""
    return _changes(input)[0]


@operation()
def is_neg(input: Tensor) -> bool:
    """Whether it shows its memory negated, as the imaginary part of such a tensor does."""
    return _changes(input)[1]


def _conjugate_transposed(self: Tensor) -> Tensor:
    """The conjugate of a matrix's transpose."""
    if self.ndim not in (0, 2):
        more = " For batches of matrices, consider using tensor.mH" if self.ndim > 2 else ""
        raise RuntimeError(
            f"tensor.H is only supported on matrices (2-D tensors). Got {self.ndim}-D tensor.{more}"
        )
    return conj(views.transpose(self, 0, 1) if self.ndim else self)


def _adjoint_matrices(self: Tensor) -> Tensor:
    return _adjoint(self, "tensor.mH")


def _adjoint(x: Tensor, name: str) -> Tensor:
    if x.ndim == 1:
        raise RuntimeError(
            f"{name} is only supported on matrices or batches of matrices. Got 1-D tensor."
        )
    return conj(x if not x.ndim else views.transpose(x, -2, -1))


@operation()
def adjoint(input: Tensor) -> Tensor:
    """The conjugate of the transpose of matrices: a view of real ones."""
    require_tensor("adjoint", input)
    return _adjoint(input, "tensor.adjoint()")


Tensor.H = property(_conjugate_transposed)  # type: ignore[attr-defined]
Tensor.mH = property(_adjoint_matrices)  # type: ignore[attr-defined]

# ---- angles --------------------------------------------------------------------------------------


def _angle(x: Node) -> Node:
    """Of real numbers 0, or π below 0; NaN stays."""
    if x.dtype.is_complex:
        return cf.angle(x)
    zero = ew.full_like(x, 0)
    turned = ew.where(ew.lt(x, zero), ew.full_like(x, math.pi), zero)
    return ew.where(ew.ne(x, x), detach(x), turned)


# By two names, since of complex numbers the angles lie in rows, however those lie.
ANGLE = Function("angle", in_float(_angle), saves=lambda *_: (0,))
ANGLE_OF_COMPLEX = Function(
    "angle_of_complex", _angle, gradient_name="AngleBackward0", saves=lambda *_: (0,)
)


@operation(out=True)
def angle(input: Tensor) -> Tensor:
    """The angle in the complex plane."""
    require_tensor("angle", input)
    return apply_one(ANGLE_OF_COMPLEX if input.dtype.is_complex else ANGLE, (input,))


Tensor.real = property(_real, _set_part(_real))  # type: ignore[attr-defined]
Tensor.imag = property(_imag, _set_part(_imag))  # type: ignore[attr-defined]


def half_of(dtype: DType) -> DType:
    """The type of the parts of complex numbers; a real type itself."""
    return dt.HALF_OF_COMPLEX.get(dtype, dtype)


__all__ = ["angle", "complex", "conj", "conj_physical", "half_of", "imag", "polar", "real"]
