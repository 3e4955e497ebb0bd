"""torch.stft and torch.istft: Fourier transforms of overlapping windows, and what undoes them."""

from __future__ import annotations

import functools
import operator
import warnings
from typing import Any

from lazytorch import fft
from lazytorch.autocasting import in_float32
from lazytorch.functions.arguments import require_tensor
from lazytorch.functions.complex_numbers import half_of, view_as_complex, view_as_real
from lazytorch.functions.creation import arange, ones
from lazytorch.functions.joining import stack
from lazytorch.functions.padding import constant_pad_nd
from lazytorch.functions.padding import pad as pad_by
from lazytorch.functions.registration import operation
from lazytorch.tensor import Tensor
from lazytorch.type_names import type_name


def _sizes(x: Tensor) -> str:
    return str(list(x.shape))


def _described(name: str, x: Tensor, type_: str, **arguments: Any) -> str:
    """The call as PyTorch's errors show it."""
    shown = [f"{key}={_text(value)}" for key, value in arguments.items()]
    return f"{name}({type_}{_sizes(x)}, {', '.join(shown)}) "


def _text(value: Any) -> str:
    if isinstance(value, Tensor):
        return f"{value.type()}{{{_sizes(value)}}}"
    return str(int(value)) if isinstance(value, bool) else str(value)


def _padded_window(window: Tensor | None, length: int, n_fft: int, like: Tensor) -> Tensor | None:
    """The window in the middle of ``n_fft`` samples; None where it is one of ones throughout."""
    if window is None:
        if length == n_fft:
            return None
        window = ones(length, dtype=half_of(like.dtype), device=like.device)
    if length == n_fft:
        return window
    left = (n_fft - length) // 2
    return constant_pad_nd(window, (left, n_fft - length - left))


@operation()
@in_float32
def stft(
    input: Tensor, n_fft: int, hop_length: int | None = None, win_length: int | None = None,
    window: Tensor | None = None, center: bool = True, pad_mode: str = "reflect",
    normalized: bool = False, onesided: bool | None = None, return_complex: bool | None = None,
    align_to_window: bool | None = None,
) -> Tensor:  # fmt: skip
    """The Fourier transforms of windows ``hop_length`` apart: (..., time) -> (..., frequencies,
    windows), complex, or with a last dimension of 2 unless ``return_complex``."""
    require_tensor("stft", input)
    hop = n_fft // 4 if hop_length is None else hop_length
    length = n_fft if win_length is None else win_length
    described = _described(
        "stft", input, input.type(), n_fft=n_fft, hop_length=hop, win_length=length,
        window=window, normalized=normalized, onesided=onesided, return_complex=return_complex,
        align_to_window=align_to_window,
    )  # fmt: skip
    if not input.dtype.differentiable:
        raise RuntimeError(f"{described}: expected a tensor of floating point or complex values")
    if input.ndim > 2 or input.ndim < 1:
        raise RuntimeError(f"{described}: expected a 1D or 2D tensor")
    is_complex = input.is_complex() or (window is not None and window.is_complex())
    if return_complex is None:
        if not is_complex:
            raise RuntimeError(
                "stft requires the return_complex parameter be given for real inputs, and will "
                "further require that return_complex=True in a future PyTorch release."
            )
        return_complex = True
    if not return_complex:
        warnings.warn(
            "stft with return_complex=False is deprecated. In a future pytorch release, stft will "
            "return complex tensors for all inputs, and return_complex=False will raise an "
            "error.\nNote: you can still call torch.view_as_real on the complex output to recover "
            "the old return format.",
            stacklevel=2,
        )
    x = input.unsqueeze(0) if input.ndim == 1 else input
    if center:
        side = n_fft // 2
        if pad_mode == "constant":
            x = constant_pad_nd(x, (side, side))
        else:
            x = pad_by(x.unsqueeze(1), (side, side), mode=pad_mode).squeeze(1)
        described = described.replace(_sizes(input), _sizes(x), 1)
    size = x.shape[-1]
    if n_fft <= 0 or n_fft > size:
        raise RuntimeError(f"{described}: expected 0 < n_fft < {size}, but got n_fft={n_fft}")
    if hop <= 0:
        raise RuntimeError(f"{described}: expected hop_length > 0, but got hop_length={hop}")
    if length <= 0 or length > n_fft:
        raise RuntimeError(
            f"{described}: expected 0 < win_length <= n_fft, but got win_length={length}"
        )
    if window is not None and tuple(window.shape) != (length,):
        raise RuntimeError(
            f"{described}: expected a 1D window tensor of size equal to win_length={length}, but "
            f"got window with size {_sizes(window)}"
        )
    frames = x.unfold(-1, n_fft, hop)
    shape = _padded_window(window, length, n_fft, x)
    if shape is not None:
        frames = frames * shape
    half = not is_complex if onesided is None else onesided
    if half and is_complex:
        raise RuntimeError("Cannot have onesided output if window or input is complex")
    norm = "ortho" if normalized else None
    transformed = fft.rfft(frames, norm=norm) if half else fft.fft(frames, norm=norm)
    result: Tensor = transformed.transpose(1, 2)
    if input.ndim == 1:
        result = result.squeeze(0)
    return result if return_complex else view_as_real(result)


@operation()
def istft(
    input: Tensor, n_fft: int, hop_length: int | None = None, win_length: int | None = None,
    window: Tensor | None = None, center: bool = True, normalized: bool = False,
    onesided: bool | None = None, length: int | None = None, return_complex: bool = False,
) -> Tensor:  # fmt: skip
    """The signal of least squared distance whose ``stft`` is given: (..., frequencies, windows) ->
    (..., time). Griffin and Lim, "Signal estimation from modified short-time Fourier transform"."""
    require_tensor("istft", input)
    hop = n_fft // 4 if hop_length is None else hop_length
    win = n_fft if win_length is None else win_length
    described = _described(
        "istft", input, f"CPU{type_name(input.dtype)}Type", n_fft=n_fft, hop_length=hop,
        win_length=win, window=window, center=center, normalized=normalized, onesided=onesided,
        length=length, return_complex=return_complex,
    )  # fmt: skip
    if not input.is_complex():
        raise RuntimeError(
            "istft requires a complex-valued input tensor matching the output from stft with "
            "return_complex=True."
        )
    if not input.numel():
        raise RuntimeError(f"{described}: input tensor cannot be empty.")
    if input.ndim not in (2, 3):
        raise RuntimeError(
            f"{described}: expected a tensor with 3 or 4 dimensions, but got {input.ndim + 1}"
        )
    x = input.unsqueeze(0) if input.ndim == 2 else input
    bins = x.shape[1]
    half = onesided if onesided is not None else bins != n_fft
    wanted = n_fft // 2 + 1 if half else n_fft
    if bins != wanted:
        what = "n_fft / 2 + 1" if half else "n_fft"
        raise RuntimeError(
            f"{described}: expected the frequency dimension (3rd to the last) of the input tensor "
            f"to match {what} when onesided={'True' if half else 'False'}, but got {bins}"
        )
    if not 0 < hop <= win:
        raise RuntimeError(f"{described}: expected 0 < hop_length <= win_length")
    if not 0 < win <= n_fft:
        raise RuntimeError(f"{described}: expected 0 < win_length <= n_fft")
    if window is not None and tuple(window.shape) != (win,):
        raise RuntimeError(
            f"{described}: Invalid window shape. window has to be 1D and length of `win_length`"
        )
    frames = x.transpose(1, 2)
    norm = "ortho" if normalized else None
    if return_complex:
        if half:
            raise RuntimeError(
                f"{described}: cannot have onesided output if window or input is complex"
            )
        frames = fft.ifft(frames, norm=norm)
    else:
        if window is not None and window.is_complex():
            raise RuntimeError(
                f"{described}: Complex windows are incompatible with return_complex=False"
            )
        if not half:
            frames = frames[..., : n_fft // 2 + 1]
        frames = fft.irfft(frames, n_fft, norm=norm)
    shape = _padded_window(window, win, n_fft, x)
    if shape is None:
        shape = ones(n_fft, dtype=half_of(x.dtype), device=x.device)
    count = x.shape[2]
    total = n_fft + hop * (count - 1)
    signal = _overlapped(frames * shape, hop, total)
    envelope = _overlapped((shape * shape).expand(1, count, n_fft), hop, total)
    start = n_fft // 2 if center else 0
    end = start + length if length is not None else total - n_fft // 2 if center else total
    cut = min(end, total)
    signal, envelope = signal[..., start:cut], envelope[..., start:cut]
    lowest = envelope.abs().min()
    if not bool(lowest > 1e-11):
        raise RuntimeError(f"{described}window overlap add min: 1\n[ CPUBoolType{{}} ]")
    signal = signal / envelope
    if end > total:
        warnings.warn(
            "The length of signal is shorter than the length parameter. Result is being padded "
            "with zeros in the tail. Please check your center and hop_length settings.",
            stacklevel=2,
        )
        signal = constant_pad_nd(signal, (0, end - total))
    return signal.squeeze(0) if input.ndim == 2 else signal


# More frames than this over one element are added up by a scatter.
_MOST_TERMS = 16


def _overlapped(frames: Tensor, hop: int, total: int) -> Tensor:
    """The sum of frames that begin ``hop`` apart: (batch, frames, size) -> (batch, total)."""
    if frames.is_complex():
        pairs = view_as_real(frames.contiguous())
        both = [_overlapped(pairs[..., i], hop, total) for i in (0, 1)]
        return view_as_complex(stack(both, -1))
    batch, count, size = frames.shape
    hops = -(-size // hop)
    if hops <= _MOST_TERMS:  # as many frames cover an element, each by another part of it
        parts = constant_pad_nd(frames, (0, hops * hop - size)).reshape(batch, count, hops, hop)
        terms = [constant_pad_nd(parts[:, :, i], (0, 0, i, hops - 1 - i)) for i in range(hops)]
        return functools.reduce(operator.add, terms).reshape(batch, -1)[:, :total]  # type: ignore[no-any-return]
    places = (arange(count) * hop).unsqueeze(1) + arange(size)
    zero = frames.new_zeros(batch, total)
    return zero.index_add(1, places.reshape(-1), frames.reshape(batch, -1))  # type: ignore[no-any-return]


__all__ = ["istft", "stft"]
