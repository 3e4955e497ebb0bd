"""Discrete Fourier transforms as host routines, SciPy's, over pairs of real numbers, times a scale.

Complex arrays come and go as their memory, with a last axis of 2. Axes count from the end, of the
complex array, so that leading dimensions are a batch. NumPy's take two to six times as long in
float32: SciPy's transform several rows in one vector.
"""

from __future__ import annotations

import functools
import importlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from codegen.ops.lapack import Array, Result, Shape, routine


@functools.cache
def _scipy() -> Any:
    return importlib.import_module("scipy.fft")  # which takes a while, so when it is first used


def _complex(pairs: Array) -> Array:
    kind = np.complex64 if pairs.dtype == np.float32 else np.complex128
    return np.ascontiguousarray(pairs).view(kind)[..., 0]


def _pairs(z: Array) -> Array:
    half = np.float32 if z.dtype == np.complex64 else np.float64
    return np.ascontiguousarray(z)[..., None].view(half)


def _scaled(x: Array, scale: float) -> Array:
    return x if scale == 1 else x * x.dtype.type(scale)


@routine(lambda shapes, _axes, _forward, _scale: [(shapes[0], None)])
def fft_complex(x: Array, axes: Sequence[int], forward: bool, scale: float) -> Sequence[Array]:
    """sum x[j] exp(∓2πi jk/n) over each axis; + unless ``forward``."""
    z = _complex(x)
    if not z.size:
        return (x,)
    transform = _scipy().fftn if forward else _scipy().ifftn
    found = transform(z, axes=tuple(axes), norm="backward" if forward else "forward")
    return (_scaled(_pairs(found), scale),)


def _spectrum(shapes: Sequence[Shape], _scale: float, whole: bool) -> list[Result]:
    *rest, n = shapes[0]
    return [((*rest, n if whole else n // 2 + 1, 2), None)]


@routine(_spectrum)
def fft_of_real(x: Array, scale: float, whole: bool) -> Sequence[Array]:
    """The forward transform of real numbers along the last axis: its first n // 2 + 1 elements, or,
    with ``whole``, the others too, which are conjugates of those."""
    if not x.size:
        return (np.zeros(_spectrum([x.shape], scale, whole)[0][0], x.dtype),)
    transform = _scipy().fft if whole else _scipy().rfft
    return (_scaled(_pairs(transform(x)), scale),)


@routine(lambda shapes, n, _scale: [((*shapes[0][:-2], n), None)])
def fft_to_real(x: Array, n: int, scale: float) -> Sequence[Array]:
    """The backward transform of n // 2 + 1 elements, of which the others are conjugates."""
    if not x.size:
        return (np.zeros((*x.shape[:-2], n), x.dtype),)
    return (_scaled(_scipy().irfft(_complex(x), n, norm="forward"), scale),)
