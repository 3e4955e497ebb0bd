"""torch.signal.windows: windows for spectral analysis, symmetric or periodic."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from codegen.dtype import DType
from lazytorch.defaults import defaults
from lazytorch.functions.creation import empty, full, linspace, ones
from lazytorch.functions.registration import operation
from lazytorch.functions.special_functions import i0
from lazytorch.tensor import Tensor

Options = dict[str, Any]


def _options(name: str, M: int, dtype: Any, layout: Any, device: Any, grad: bool) -> Options:
    """The options of the window's tensor, checked; errors as PyTorch's."""
    if M < 0:
        raise ValueError(f"{name} requires non-negative window length, got M={M}")
    if layout is not None and getattr(layout, "name", "strided") != "strided":
        raise ValueError(f"{name} is implemented for strided tensors only, got: {layout}")
    kind = defaults.dtype if dtype is None else dtype
    if not isinstance(kind, DType) or kind.name not in ("float32", "float64"):
        raise ValueError(f"{name} expects float32 or float64 dtypes, got: {kind}")
    return {"dtype": kind, "device": device, "requires_grad": grad}


def _steps(start: float, step: float, M: int, options: Options) -> Tensor:
    """``M`` numbers from ``start`` on, ``step`` apart."""
    return linspace(start, start + (M - 1) * step, M, **options)


def _span(M: int, sym: bool) -> int:
    """How many steps the window's period has."""
    return M - 1 if sym else M


def general_cosine(
    M: int, *, a: Sequence[float], sym: bool = True, dtype: Any = None, layout: Any = None,
    device: Any = None, requires_grad: bool = False,
) -> Tensor:  # fmt: skip
    """The sum of cosines of 0, 1, 2, … periods, weighted by ``a`` with alternating signs."""
    options = _options("general_cosine", M, dtype, layout, device, requires_grad)
    if not isinstance(a, (list, tuple)):
        raise TypeError("Coefficients must be a list/tuple")
    if not a:
        raise ValueError("Coefficients cannot be empty")
    if M == 0:
        return empty((0,), **options)
    if M == 1:
        return ones((1,), **options)
    k: Tensor = _steps(0.0, 2 * math.pi / _span(M, sym), M, options)
    total: Tensor = k * 0 + a[0]
    for i, weight in enumerate(a[1:], 1):
        total = total + (k * i).cos() * (weight if i % 2 == 0 else -weight)
    return total


def general_hamming(
    M: int, *, alpha: float = 0.54, sym: bool = True, dtype: Any = None, layout: Any = None,
    device: Any = None, requires_grad: bool = False,
) -> Tensor:  # fmt: skip
    """alpha - (1 - alpha) cos over one period."""
    return general_cosine(
        M, a=[alpha, 1.0 - alpha], sym=sym, dtype=dtype, layout=layout, device=device,
        requires_grad=requires_grad,
    )  # fmt: skip


def hamming(M: int, *, sym: bool = True, **options: Any) -> Tensor:
    """The Hamming window: ``general_hamming`` of 0.54."""
    return general_hamming(M, sym=sym, **options)


def hann(M: int, *, sym: bool = True, **options: Any) -> Tensor:
    """The Hann window: ``general_hamming`` of 0.5."""
    return general_hamming(M, alpha=0.5, sym=sym, **options)


def blackman(M: int, *, sym: bool = True, **options: Any) -> Tensor:
    """The Blackman window, of three cosines."""
    return general_cosine(M, a=[0.42, 0.5, 0.08], sym=sym, **options)


def nuttall(M: int, *, sym: bool = True, **options: Any) -> Tensor:
    """The Nuttall window, of four cosines."""
    return general_cosine(M, a=[0.3635819, 0.4891775, 0.1365995, 0.0106411], sym=sym, **options)


def bartlett(
    M: int, *, sym: bool = True, dtype: Any = None, layout: Any = None, device: Any = None,
    requires_grad: bool = False,
) -> Tensor:  # fmt: skip
    """The triangle that is 0 at its ends."""
    options = _options("bartlett", M, dtype, layout, device, requires_grad)
    if M == 0:
        return empty((0,), **options)
    if M == 1:
        return ones((1,), **options)
    return 1 - _steps(-1.0, 2 / _span(M, sym), M, options).abs()  # type: ignore[no-any-return]


def cosine(
    M: int, *, sym: bool = True, dtype: Any = None, layout: Any = None, device: Any = None,
    requires_grad: bool = False,
) -> Tensor:  # fmt: skip
    """Half a period of the sine, without its zeros."""
    options = _options("cosine", M, dtype, layout, device, requires_grad)
    if M == 0:
        return empty((0,), **options)
    step = math.pi / (M + 1 if not sym and M > 1 else M)
    return _steps(0.5 * step, step, M, options).sin()  # type: ignore[no-any-return]


def exponential(
    M: int, *, center: float | None = None, tau: float = 1.0, sym: bool = True, dtype: Any = None,
    layout: Any = None, device: Any = None, requires_grad: bool = False,
) -> Tensor:  # fmt: skip
    """exp(-|n - center| / tau)."""
    options = _options("exponential", M, dtype, layout, device, requires_grad)
    if tau <= 0:
        raise ValueError(f"Tau must be positive, got: {tau} instead.")
    if sym and center is not None:
        raise ValueError("Center must be None for symmetric windows")
    if M == 0:
        return empty((0,), **options)
    middle = (M if not sym and M > 1 else M - 1) / 2.0 if center is None else center
    return (-_steps(-middle / tau, 1 / tau, M, options).abs()).exp()  # type: ignore[no-any-return]


def gaussian(
    M: int, *, std: float = 1.0, sym: bool = True, dtype: Any = None, layout: Any = None,
    device: Any = None, requires_grad: bool = False,
) -> Tensor:  # fmt: skip
    """exp(-(n - middle)² / (2 std²))."""
    options = _options("gaussian", M, dtype, layout, device, requires_grad)
    if std <= 0:
        raise ValueError(f"Standard deviation must be positive, got: {std} instead.")
    if M == 0:
        return empty((0,), **options)
    step = 1 / (std * math.sqrt(2))
    first = -(M if not sym and M > 1 else M - 1) / 2.0
    return (-(_steps(first * step, step, M, options) ** 2)).exp()  # type: ignore[no-any-return]


def kaiser(
    M: int, *, beta: float = 12.0, sym: bool = True, dtype: Any = None, layout: Any = None,
    device: Any = None, requires_grad: bool = False,
) -> Tensor:  # fmt: skip
    """i0(sqrt(beta² - k²)) / i0(beta), k from -beta to beta."""
    options = _options("kaiser", M, dtype, layout, device, requires_grad)
    if beta < 0:
        raise ValueError(f"beta must be non-negative, got: {beta} instead.")
    if M == 0:
        return empty((0,), **options)
    if M == 1:
        return ones((1,), **options)
    rounded = float(np.asarray(beta, options["dtype"].numpy))  # lest a root be of less than 0
    last = min(rounded, -rounded + (M - 1) * 2 * rounded / _span(M, sym))
    k = linspace(-rounded, last, M, **options)
    squares = (rounded * rounded - k**2).clamp_min(0)
    return i0(squares.sqrt()) / i0(full((), rounded, dtype=options["dtype"], device=device))


__all__ = [
    "bartlett", "blackman", "cosine", "exponential", "gaussian", "general_cosine",
    "general_hamming", "hamming", "hann", "kaiser", "nuttall",
]  # fmt: skip


# ---- torch.NAME_window: periodic unless asked otherwise ---------------------------------------


def _public(name: str, window: Any, parameters: tuple[str, ...] = ()) -> None:
    def public(window_length: int, periodic: bool = True, *args: Any, **options: Any) -> Tensor:
        if window_length < 0:
            raise RuntimeError(
                f"{name} requires non-negative window_length, got window_length={window_length}"
            )
        for key, value in zip(parameters, args, strict=False):
            options[key] = value
        for unused in ("pin_memory", "layout"):
            options.pop(unused, None)
        made: Tensor = window(window_length, sym=not periodic, **options)
        return made

    public.__name__ = public.__qualname__ = name
    public.__doc__ = f"As ``torch.signal.windows.{window.__name__}``, periodic by default."
    operation(method=False)(public)


def _hamming(
    M: int, *, sym: bool, alpha: float = 0.54, beta: float = 0.46, **options: Any
) -> Tensor:
    return general_cosine(M, a=[alpha, beta], sym=sym, **options)


for _name, _window, _parameters in (
    ("hann_window", hann, ()), ("hamming_window", _hamming, ("alpha", "beta")),
    ("blackman_window", blackman, ()), ("bartlett_window", bartlett, ()),
    ("kaiser_window", kaiser, ("beta",)),
):  # fmt: skip
    _public(_name, _window, _parameters)
