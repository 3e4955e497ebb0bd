"""Fourier transforms: what torch.fft's functions record, and their gradients."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod, sqrt

from codegen import dtype as dt
from codegen.ir.node import Node, Shape, TensorType
from codegen.ops import complex_numbers as cn
from codegen.ops import elementwise as ew
from codegen.ops.host import host_call
from codegen.ops.movement import inverse_order, pad_to, permute, slice_
from lazytorch.expression import Function
from lazytorch.functions.bodies import call_function

Nodes = Sequence["Node | None"]

# ---- transforms -------------------------------------------------------------------------------
# A transform's adjoint is another one; the formulas are those of PyTorch's FunctionsManual.cpp
# (fft_r2c_backward, fft_c2r_backward).


def _of_complex(z: Node, axes: Shape, forward: bool, scale: float) -> Node:
    from_end = tuple([a - len(z.shape) for a in axes])
    return cn.as_complex(host_call([cn.as_real(z)], "fft_complex", from_end, forward, scale)[0])


def _of_complex_gradient(
    _inputs: Sequence[Node], _outputs: Sequence[Node], given: Nodes, axes: Shape, forward: bool,
    scale: float,
) -> Nodes:  # fmt: skip
    (g,) = given
    return [None if g is None else call_function(OF_COMPLEX, (g,), (axes, not forward, scale))]


def _of_real(x: Node, scale: float, whole: bool) -> Node:
    return cn.as_complex(host_call([x], "fft_of_real", scale, whole)[0])


def _of_real_gradient(
    inputs: Sequence[Node], _outputs: Sequence[Node], given: Nodes, scale: float, _whole: bool
) -> Nodes:
    (x,), (g,) = inputs, given
    if g is None:
        return [None]
    axis = len(x.shape) - 1
    padded = resized(g, axis, x.shape[axis])
    return [cn.real(call_function(OF_COMPLEX, (padded,), ((axis,), False, scale)))]


def _to_real(z: Node, n: int, scale: float) -> Node:
    return host_call([cn.as_real(z)], "fft_to_real", n, scale)[0]


def _to_real_gradient(
    _inputs: Sequence[Node], _outputs: Sequence[Node], given: Nodes, n: int, scale: float
) -> Nodes:
    (g,) = given
    if g is None:
        return [None]
    half = call_function(OF_REAL, (g,), (scale, False))
    # All but the first element, and the middle one of an even number, stand for two.
    axis, twice = len(half.shape) - 1, (n - 1) // 2
    sizes, starts, steps = list(half.shape), [0] * len(half.shape), [1] * len(half.shape)
    sizes[axis], starts[axis] = twice, 1
    doubled = slice_(half, starts, sizes, steps) if twice else None
    if doubled is None:
        return [half]
    return [ew.add(half, pad_to(doubled, half.shape, starts, steps))]


OF_COMPLEX = Function("fft_c2c", _of_complex, gradient=_of_complex_gradient)
OF_REAL = Function("fft_r2c", _of_real, gradient=_of_real_gradient)
TO_REAL = Function("fft_c2r", _to_real, gradient=_to_real_gradient)


# ---- what the functions are made of -----------------------------------------------------------


def resized(x: Node, axis: int, size: int) -> Node:
    """Cut, or filled up with zeros, to so many elements along an axis."""
    extent = x.shape[axis]
    zeros, ones, shape = [0] * len(x.shape), [1] * len(x.shape), list(x.shape)
    shape[axis] = size
    if size < extent:
        return slice_(x, zeros, shape, ones)
    return pad_to(x, shape, zeros, ones)


def _scale(count: int, norm: str) -> float:
    """One over the number of points, over its root, or one."""
    return {"none": 1.0, "all": 1 / count, "root": 1 / sqrt(count)}[norm]


def _last(x: Node, axis: int) -> tuple[Node, list[int]]:
    """With an axis behind all others, and the order that does it."""
    order = [i for i in range(len(x.shape)) if i != axis] + [axis]
    return permute(x, order), order


def complex_to_complex(
    x: Node, axes: Shape, sizes: Shape, norm: str, forward: bool, dtype: dt.DType
) -> Node:
    """fftn and its inverse; ``norm``: none, all or root, of what it is divided by."""
    rank, scale = len(x.shape), _scale(prod(sizes), norm)
    if rank - 1 in axes and forward and not x.dtype.is_complex:
        # Half of what it is along the last axis says the rest.
        x = ew.cast(x, dt.HALF_OF_COMPLEX[dtype])
        for axis, size in zip(axes, sizes, strict=True):
            x = resized(x, axis, size)
        z = call_function(OF_REAL, (x,), (scale, True))
        others = tuple([a for a in axes if a != rank - 1])
        return call_function(OF_COMPLEX, (z,), (others, True, 1.0)) if others else z
    z = ew.cast(x, dtype)
    for axis, size in zip(axes, sizes, strict=True):
        z = resized(z, axis, size)
    if axes:
        z = call_function(OF_COMPLEX, (z,), (axes, forward, scale))
    return z


def real_to_complex(
    x: Node, axes: Shape, sizes: Shape, norm: str, forward: bool, dtype: dt.DType
) -> Node:
    """rfftn, and ihfftn if not ``forward``; half of the last of the axes comes out."""
    x = ew.cast(x, dtype)
    for axis, size in zip(axes, sizes, strict=True):
        x = resized(x, axis, size)
    moved, order = _last(x, axes[-1])
    z = permute(
        call_function(OF_REAL, (moved,), (_scale(prod(sizes), norm), False)), inverse_order(order)
    )
    if not forward:
        z = cn.conj(z)
    if len(axes) > 1:
        z = call_function(OF_COMPLEX, (z,), (axes[:-1], forward, 1.0))
    return z


def complex_to_real(
    x: Node, axes: Shape, sizes: Shape, norm: str, forward: bool, dtype: dt.DType
) -> Node:
    """irfftn, and hfftn if ``forward``; ``sizes`` are those of the result."""
    z = ew.cast(x, dtype)
    for axis, size in zip(axes[:-1], sizes[:-1], strict=True):
        z = resized(z, axis, size)
    z = resized(z, axes[-1], sizes[-1] // 2 + 1)
    if len(axes) > 1:
        z = call_function(OF_COMPLEX, (z,), (axes[:-1], forward, 1.0))
    if forward:
        z = cn.conj(z)
    moved, order = _last(z, axes[-1])
    attributes = (sizes[-1], _scale(prod(sizes), norm))
    return permute(call_function(TO_REAL, (moved,), attributes), inverse_order(order))


def _saved_of_real(
    types: Sequence[TensorType], _: frozenset[int], axes: Shape, sizes: Shape, *__: object
) -> tuple[int, ...]:
    """The operand, unless it is resized first or cast."""
    fits = not types[0].dtype.is_complex and sizes == tuple([types[0].shape[a] for a in axes])
    return (0,) if fits else ()


def _saved_of_complex(
    types: Sequence[TensorType], _: frozenset[int], axes: Shape, sizes: Shape, *__: object
) -> tuple[int, ...]:
    """Along one axis real numbers are transformed as such."""
    return _saved_of_real(types, _, axes, sizes) if len(axes) == 1 else ()


FFT = Function(
    "fft", complex_to_complex, gradient_name="FftC2CBackward0", saves_exactly=_saved_of_complex
)
RFFT = Function(
    "rfft", real_to_complex, gradient_name="FftR2CBackward0", saves_exactly=_saved_of_real
)
IRFFT = Function("irfft", complex_to_real, gradient_name="FftC2RBackward0")
