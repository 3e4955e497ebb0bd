"""Complex tensors and Fourier transforms beside PyTorch's: values, gradients, views, refusals."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
from pytorch_oracle import torch

import lazytorch

pytestmark = pytest.mark.pytorch

VALUES = """
z + w, z - x, 2 - z, z * w, z * 2, x * 2j, z / w, z / 3, z.reciprocal(), -z, z.conj(), z.square()
z.exp(), z.exp2(), z.expm1(), z.log(), z.log2(), z.log10(), z.log1p(), z.sigmoid(), z.sgn()
z.sqrt(), z.rsqrt(), z ** w, z ** 2, z ** 0.5, 2 ** z, z.abs(), z.angle()
z.sin(), z.cos(), z.tan(), z.sinh(), z.cosh(), z.tanh()
z.asin(), z.acos(), z.atan(), z.asinh(), z.acosh(), z.atanh()
z.sum(), z.sum(1), z.mean(0), z.prod(), z.prod(1), z.cumsum(0), z.cumprod(1), z.var(), z.norm(dim=1)
z @ w.mH, torch.einsum('ij,kj->ik', z, w), torch.outer(z[0], w[1]), torch.vdot(z[0], w[0])
torch.cov(z), torch.float_power(z, 2)
z == w, z != z, z.isfinite(), z.isreal(), torch.isclose(z, w), torch.where(x > 0, z, w), z.bool()
z.T, z[1:, ::2], z.flip(0), z.roll(1, 1), torch.cat([z, w]), torch.stack([z, x]), z.repeat(2, 1)
torch.nn.functional.pad(z, (1, 2)), z[:, 1:].unsqueeze(0), z.index_select(0, i), z.reshape(-1)
torch.complex(x, y), torch.polar(x, y), torch.view_as_real(z)
torch.view_as_complex(p), z.real, z.imag
torch.fft.fft(z), torch.fft.ifft(z, 5, 0, "ortho"), torch.fft.rfft(x, 6)
torch.fft.irfft(z, norm="forward"), torch.fft.rfftn(x)
torch.fft.hfft(z), torch.fft.ihfft(x), torch.fft.fft2(z), torch.fft.irfftn(z, (2, 5))
torch.fft.hfftn(z), torch.fft.ihfftn(x), torch.fft.fftshift(z), torch.fft.fftfreq(5, 0.5)
torch.stft(s, 8, 3, window=h, return_complex=True)
torch.stft(s, 8, normalized=True, return_complex=True)
torch.istft(torch.stft(s, 8, 2, window=h, return_complex=True), 8, 2, window=h, length=20)
"""
# Real scalars, differentiated by z and x.
GRADIENTS = """
(z * w / (z + x)).exp().abs().sum()
(z.real * z.imag).sum() + z.angle().sum() + z.sgn().real.sum()
torch.view_as_real((z @ w.mH).log() * z.mean()).pow(2).sum()
torch.view_as_real(z.sqrt() + z.tan() + z.asin() + z ** w + z.acosh()).pow(3).sum()
torch.view_as_real(z[:, 1:].cumsum(1) + z.prod()).pow(2).sum() + z.norm() + z.var()
torch.polar(x.abs(), x * 2).real.sum() + torch.view_as_real(torch.fft.rfft(x, 6)).pow(2).sum()
torch.view_as_real(torch.fft.fft(z, 5)).pow(3).sum() + torch.fft.irfft2(z).pow(2).sum()
torch.view_as_real(torch.view_as_complex(torch.stack([x, y], -1)) * w).pow(2).sum()
"""
REFUSED = """
z < w
z.max()
z.sort()
z.floor()
z.clamp(0, 1)
z.argmax()
z.exp().sum().backward()
x.add_(1j)
x.fill_(1j)
float(z[0, 0])
torch.arange(3, dtype=torch.complex64)
torch.view_as_complex(x)
torch.view_as_real(x)
x.imag
torch.fft.rfft(z)
torch.fft.fft(x, 0)
torch.fft.fft(x, norm="other")
torch.stft(s, 8)
torch.istft(x, 8)
"""


def _arguments(library: Any) -> dict[str, Any]:
    draw = np.random.default_rng(5)
    names: dict[str, Any] = {"torch": library}
    for name in "zw":
        parts = draw.normal(size=(2, 3, 4))
        names[name] = library.from_numpy((parts[0] + 1j * parts[1]).astype(np.complex64))
    for name, shape in (("x", (3, 4)), ("y", (3, 4)), ("p", (3, 2)), ("s", (20,))):
        names[name] = library.from_numpy(draw.normal(size=shape).astype(np.float32))
    return names | {"i": library.tensor([2, 0]), "h": library.hann_window(8)}


def _array(value: Any) -> Any:
    return np.array(value.detach().resolve_conj().numpy())


def _same(found: Any, expected: Any) -> None:
    assert str(found.dtype) == str(expected.dtype) and tuple(found.shape) == tuple(expected.shape)
    np.testing.assert_allclose(_array(found), _array(expected), rtol=2e-4, atol=2e-5)


@pytest.mark.parametrize("line", VALUES.strip().splitlines())
def test_values(line: str) -> None:
    both = [eval(line, _arguments(library)) for library in (lazytorch, torch)]
    if not isinstance(both[0], tuple):
        both = [(value,) for value in both]
    for found, expected in zip(*both, strict=True):
        _same(found, expected)


@pytest.mark.parametrize("line", GRADIENTS.strip().splitlines())
def test_gradients(line: str) -> None:
    both = []
    for library in (lazytorch, torch):
        names = _arguments(library)
        leaves = [names["z"].requires_grad_(), names["x"].requires_grad_()]
        both.append(library.autograd.grad(eval(line, names), leaves, materialize_grads=True))
    for found, expected in zip(*both, strict=True):
        _same(found, expected)


@pytest.mark.parametrize("line", REFUSED.strip().splitlines())
def test_refusals(line: str) -> None:
    raised = []
    for library in (lazytorch, torch):
        names = _arguments(library)
        names["z"].requires_grad_("backward" in line)
        with pytest.raises(Exception) as caught:
            eval(line, names)
        raised.append(caught)
    assert raised[0].type.__name__ == raised[1].type.__name__
    assert str(raised[0].value) == str(raised[1].value)


def test_views_share_memory() -> None:
    shown = []
    for library in (lazytorch, torch):
        array = np.array([1 + 2j, 3, -1j])
        z = library.from_numpy(array)
        z.real += 1
        z.imag.mul_(2)
        library.view_as_real(z)[0, 1] = 9
        array[2] = 7
        pairs = library.zeros(3, 2)
        w = library.view_as_complex(pairs)
        w += 1 + 2j
        w[1] = 7j
        z[:2].real = 0
        shown.append((repr(z), array.tolist(), repr(pairs), z[0].item(), z.tolist(), repr(z.imag)))
    assert shown[0] == shown[1]


def test_casts_warn_of_lost_parts() -> None:
    lazytorch.functions.conversion._warned = False
    with pytest.warns(UserWarning, match="discards the imaginary part"):
        assert lazytorch.tensor([1 + 2j]).float().tolist() == [1.0]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert lazytorch.tensor([0j, 1j]).bool().tolist() == [False, True]


def test_padding_both_parts_in_c() -> None:
    """gcc 12 permuted the wrong elements where both parts are chosen by the place and stored."""
    for size in (5, 8, 33, 1026):
        parts = np.arange(2 * size, dtype=np.float32).view(np.complex64)
        padded = lazytorch.nn.functional.pad(lazytorch.tensor(parts, device="cpu"), (1, 1))
        assert np.array_equal(padded.numpy(), np.pad(parts, 1))


def test_a_product_of_matrices_is_one_of_real_numbers() -> None:
    """Of one matrix twice its size is made; the other, and the result, are used as they lie."""
    generator = np.random.default_rng(0)
    x, y = generator.standard_normal((2, 16, 16, 2)) @ [1, 1j]
    a, b = [lazytorch.tensor(v, device="cpu") for v in (x, y)]
    for product, wanted in ((a @ b, x @ y), (a @ b.mH, x @ y.conj().T), (a.T @ b, x.T @ y)):
        names = [kernel.name for kernel in lazytorch.kernels(product)]
        assert names[-1] == "contraction" and names.count("contraction") == 1
        np.testing.assert_allclose(product.resolve_conj().numpy(), wanted, rtol=1e-12, atol=1e-12)


def test_an_angle_is_one_arctangent() -> None:
    z = lazytorch.randn(100, dtype=lazytorch.complex64, device="cpu").realize()
    (kernel,) = lazytorch.kernels(z.angle())
    assert kernel.source.count("lt_atan2_f32(") == 2  # its definition, and the call
