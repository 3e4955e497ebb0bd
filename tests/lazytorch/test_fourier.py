"""Generated Fourier transforms beside NumPy's in double precision, of every form that they have."""

from __future__ import annotations

import numpy as np
import pytest

import lazytorch as torch
from codegen.loops.fourier import convolved_size, halves, is_long, radices, row_form

# Butterflies alone, several passes, two halves, large primes; what fills no vectors.
SIZES = (1, 2, 3, 6, 7, 16, 31, 32, 37, 45, 100, 210, 256, 360, 509, 1000, 1024)
TOLERANCE = {"complex64": 1e-6, "complex128": 4e-15}


def _numbers(*shape: int) -> np.ndarray:
    draws = np.random.default_rng(0).standard_normal((*shape, 2))
    return draws[..., 0] + 1j * draws[..., 1]


def _check(found: torch.Tensor, wanted: np.ndarray, dtype: str) -> None:
    assert found.shape == wanted.shape
    error = np.abs(found.numpy() - wanted).max() / np.abs(wanted).max()
    assert error < TOLERANCE[dtype], error


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("n", SIZES)
def test_rows_and_columns(n: int, dtype: str) -> None:
    """More rows than a vector has elements, and not a multiple of that: the last are fewer."""
    x = _numbers(19, n)
    z = torch.tensor(x.astype(dtype))
    _check(torch.fft.fft(z), np.fft.fft(x), dtype)
    _check(torch.fft.ifft(z, norm="ortho"), np.fft.ifft(x, norm="ortho"), dtype)
    turned = torch.tensor(x.T.astype(dtype).copy())
    _check(torch.fft.fft(turned, dim=0), np.fft.fft(x.T, axis=0), dtype)
    real = torch.tensor(z.numpy().real.copy())
    _check(torch.fft.rfft(real), np.fft.rfft(x.real), dtype)
    _check(torch.fft.fft(real), np.fft.fft(x.real), dtype)
    half = z[:, : n // 2 + 1]
    _check(torch.fft.irfft(half, n), np.fft.irfft(x[:, : n // 2 + 1], n), dtype)


@pytest.mark.parametrize("shape", [(2, 20, 24, 3), (3, 41, 17), (2, 16, 64), (8, 9, 40)])
def test_several_axes(shape: tuple[int, ...]) -> None:
    """Of the same memory one after another, with few neighbouring columns and many."""
    x = _numbers(*shape)
    z = torch.tensor(x)
    _check(torch.fft.fftn(z), np.fft.fftn(x), "complex128")
    _check(
        torch.fft.fftn(z.real, norm="forward"), np.fft.fftn(x.real, norm="forward"), "complex128"
    )
    _check(torch.fft.fft2(z, dim=(0, 1)), np.fft.fft2(x, axes=(0, 1)), "complex128")
    _check(torch.fft.irfftn(torch.fft.rfftn(z.real), shape), x.real, "complex128")


def test_a_long_row_in_two_kernels() -> None:
    n = 1 << 17
    assert is_long(1, n, 8, 1)
    x = _numbers(2, n)
    _check(torch.fft.fft(torch.tensor(x)), np.fft.fft(x), "complex128")


def test_a_transform_is_as_many_butterflies_as_there_must_be() -> None:
    assert radices(1024) == (8, 8, 16)
    assert radices(32) == (4, 8)
    assert radices(1000) == (10, 10, 10)
    assert halves(1024, 16) == (32, 32)
    assert row_form(1009, 16).kind == "convolution"
    assert convolved_size(1009, 16) == 2048
