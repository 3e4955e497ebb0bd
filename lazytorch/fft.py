"""torch.fft: discrete Fourier transforms, and the order of their frequencies.

All take ``norm``: "backward" divides the inverse transform by the number of points, "forward" the
forward one, "ortho" both by its root.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from codegen import dtype as dt
from lazytorch.autocasting import in_float32
from lazytorch.defaults import defaults
from lazytorch.expression import Function
from lazytorch.functions.arguments import require_tensor
from lazytorch.functions.bodies import apply_one
from lazytorch.functions.complex_numbers import half_of
from lazytorch.functions.creation import arange
from lazytorch.functions.fourier import FFT, IRFFT, RFFT
from lazytorch.functions.joining import cat, roll
from lazytorch.functions.reductions import Dims, reduced_axes
from lazytorch.functions.registration import with_out
from lazytorch.tensor import Tensor, wrap_dim
from lazytorch.type_names import type_name

Sizes = Sequence[int] | None

# What a transform is divided by: whether it is a forward one, and norm, say so.
_DIVISORS = {
    ("backward", True): "none", ("backward", False): "all", ("forward", True): "all",
    ("forward", False): "none", ("ortho", True): "root", ("ortho", False): "root",
}  # fmt: skip


def _divisor(norm: str | None, forward: bool) -> str:
    found = _DIVISORS.get((norm or "backward", forward))
    if found is None:
        raise RuntimeError(f'Invalid normalization mode: "{norm}"')
    return found


def _half_type(input: Tensor) -> dt.DType:
    """The type of the parts that a transform computes with."""
    half = half_of(input.dtype)
    if half.kind != "float":
        return defaults.dtype
    if half.itemsize < 4:
        raise RuntimeError(f"Unsupported dtype {type_name(half)}")
    return half


def _check_points(n: int) -> None:
    if n < 1:
        raise RuntimeError(f"Invalid number of data points ({n}) specified")


def _wrapped(dim: int, input: Tensor) -> int:
    if not input.ndim:
        raise IndexError(f"Dimension specified as {dim} but tensor has no dimensions")
    return wrap_dim(dim, input.ndim)


def _axes(
    input: Tensor, s: Sizes, dim: Any, to_real: bool = False
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The axes of a transform in several dimensions, and how many points each of them has."""
    rank, shape = input.ndim, input._type.shape
    if isinstance(dim, int):
        dim = (dim,)
    if isinstance(s, int):
        s = (s,)
    if dim is not None:
        axes = tuple([_wrapped(d, input) for d in dim])
        if len(set(axes)) != len(axes):
            raise RuntimeError("FFT dims must be unique")
    if s is not None:
        if dim is not None and len(axes) != len(s):
            raise RuntimeError("When given, dim and shape arguments must have the same length")
        if len(s) > rank:
            raise RuntimeError(
                f"Got shape with {len(s)} values but input tensor only has {rank} dimensions."
            )
        if dim is None:
            axes = tuple(range(rank - len(s), rank))
        sizes = [shape[a] if n == -1 else int(n) for a, n in zip(axes, s, strict=True)]
        if to_real and axes and s[-1] == -1:
            sizes[-1] = 2 * (shape[axes[-1]] - 1)
    else:
        axes = tuple(range(rank)) if dim is None else axes
        sizes = [shape[a] for a in axes]
        if to_real and axes:
            sizes[-1] = 2 * (shape[axes[-1]] - 1)
    for n in sizes:
        _check_points(n)
    return axes, tuple(sizes)


def _apply(
    function: Function, input: Tensor, axes: Sequence[int], sizes: Sequence[int],
    norm: str | None, forward: bool,
) -> Tensor:  # fmt: skip
    divisor = _divisor(norm, forward)
    half = _half_type(input)
    dtype = half if function is RFFT else dt.COMPLEX_OF[half]
    return apply_one(function, (input,), (tuple(axes), tuple(sizes), divisor, forward, dtype))


def _refuse_complex(name: str, input: Tensor) -> None:
    if input.dtype.is_complex:
        if name == "ihfftn":
            raise RuntimeError(
                f"Only supports floating-point dtypes, but found: {type_name(input.dtype)}"
            )
        raise RuntimeError(
            f"{name} expects a real{'-valued' if name.endswith('n') else ''} input tensor, but got "
            f"{type_name(input.dtype)}"
        )


# name -> (function, forward, what it does to n points)
_KINDS: dict[str, tuple[Function, bool, str]] = {
    "fft": (FFT, True, "The discrete Fourier transform"),
    "ifft": (FFT, False, "The inverse of ``fft``"),
    "rfft": (RFFT, True, "``fft`` of real numbers, without what is the conjugate of the rest"),
    "irfft": (IRFFT, False, "The inverse of ``rfft``"),
    "hfft": (IRFFT, True, "The real ``fft`` of numbers given by their first half"),
    "ihfft": (RFFT, False, "The inverse of ``hfft``"),
}


def _along(name: str) -> Callable[..., Tensor]:
    function, forward, text = _KINDS[name]

    def transform(
        input: Tensor, n: int | None = None, dim: int = -1, norm: str | None = None
    ) -> Tensor:
        require_tensor(f"fft_{name}", input)
        if function is RFFT:
            _refuse_complex(name, input)
        axis = _wrapped(dim, input)
        size = input._type.shape[axis]
        if n is None or n == -1:
            n = 2 * (size - 1) if function is IRFFT else size
        _check_points(n)
        return _apply(function, input, (axis,), (n,), norm, forward)

    transform.__doc__ = f"""{text}, along one dimension, which is cut or filled up with zeros to
    ``n`` points."""
    return _named(transform, name)


def _in_several(name: str, dims: Any) -> Callable[..., Tensor]:
    base = name.rstrip("n2")
    function, forward, text = _KINDS[base]

    def transform(
        input: Tensor, s: Sizes = None, dim: Any = dims, norm: str | None = None
    ) -> Tensor:
        require_tensor(f"fft_{name}", input)
        if function is RFFT:
            _refuse_complex(base + "n", input)
        axes, sizes = _axes(input, s, dim, function is IRFFT)
        if function is not FFT and not axes:
            raise RuntimeError(f"{base}n must transform at least one axis")
        return _apply(function, input, axes, sizes, norm, forward)

    where = "the last two dimensions" if dims else "several dimensions, all by default"
    transform.__doc__ = f"""{text}, along {where}, which are cut or filled up with zeros to ``s``
    points."""
    return _named(transform, name)


def _named(transform: Callable[..., Tensor], name: str) -> Callable[..., Tensor]:
    transform.__name__ = transform.__qualname__ = name
    if name not in ("hfft2", "hfftn", "ihfft2", "ihfftn"):
        transform = in_float32(transform)
    return with_out(transform, True)


fft, ifft, rfft, irfft, hfft, ihfft = [_along(name) for name in _KINDS]
fft2, ifft2, rfft2, irfft2, hfft2, ihfft2 = [_in_several(f"{n}2", (-2, -1)) for n in _KINDS]
fftn, ifftn, rfftn, irfftn, hfftn, ihfftn = [_in_several(f"{n}n", None) for n in _KINDS]


# ---- frequencies ------------------------------------------------------------------------------


def _shift(input: Tensor, dim: Dims, back: bool) -> Tensor:
    axes = list(reduced_axes(dim, input.ndim))
    sizes = [input.shape[a] for a in axes]
    return roll(input, [(n + 1) // 2 if back else n // 2 for n in sizes], axes)


def fftshift(input: Tensor, dim: Dims = None) -> Tensor:
    """Zero frequency moved from the start to the middle of the dimensions."""
    return _shift(input, dim, False)


def ifftshift(input: Tensor, dim: Dims = None) -> Tensor:
    """What undoes ``fftshift``."""
    return _shift(input, dim, True)


def fftfreq(n: int, d: float = 1.0, **options: Any) -> Tensor:
    """The frequencies of a transform of ``n`` samples ``d`` apart: positive ones, then negative."""
    positive = arange((n + 1) // 2, **options)
    return cat([positive, arange(-(n // 2), 0, **options)]) / (n * d)


def rfftfreq(n: int, d: float = 1.0, **options: Any) -> Tensor:
    """The frequencies of a transform of ``n`` real samples ``d`` apart."""
    return arange(n // 2 + 1, **options) / (n * d)


__all__ = [
    "fft", "fft2", "fftfreq", "fftn", "fftshift", "hfft", "hfft2", "hfftn", "ifft", "ifft2",
    "ifftn", "ifftshift", "ihfft", "ihfft2", "ihfftn", "irfft", "irfft2", "irfftn", "rfft",
    "rfft2", "rfftfreq", "rfftn",
]  # fmt: skip
