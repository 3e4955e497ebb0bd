"""Convolutions and transposed convolutions over one to three spatial dimensions."""

from __future__ import annotations

import math
from typing import Any, ClassVar

from lazytorch.autograd.grad_mode import no_grad
from lazytorch.functions.creation import empty
from lazytorch.nn import functional as F
from lazytorch.nn import init
from lazytorch.nn.modules.module import Module
from lazytorch.nn.modules.utils import repeat_to
from lazytorch.nn.parameter import Parameter
from lazytorch.tensor import Tensor

__all__ = ["Conv1d", "Conv2d", "Conv3d", "ConvTranspose1d", "ConvTranspose2d", "ConvTranspose3d"]


class _ConvNd(Module):
    """The weight, bias and settings that all convolutions share.

    `weight` is (out_channels, in_channels / groups, *kernel_size), and with `transposed`
    (in_channels, out_channels / groups, *kernel_size).
    """

    weight: Tensor
    bias: Tensor | None
    _rank: ClassVar[int]

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: tuple[int, ...],
        stride: tuple[int, ...],
        padding: str | tuple[int, ...],
        dilation: tuple[int, ...],
        transposed: bool,
        output_padding: tuple[int, ...],
        groups: int,
        bias: bool,
        padding_mode: str,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        _check_settings(in_channels, out_channels, stride, padding, groups, padding_mode)
        self.in_channels = in_channels
        self.out_channels = out_channels
        self.kernel_size = kernel_size
        self.stride = stride
        self.padding = padding
        self.dilation = dilation
        self.transposed = transposed
        self.output_padding = output_padding
        self.groups = groups
        self.padding_mode = padding_mode
        # What F.pad takes: (before, after) for each dimension, the last dimension first.
        self._reversed_padding_repeated_twice = [
            amount
            for before_after in reversed(_padding_amounts(padding, kernel_size, dilation))
            for amount in before_after
        ]
        channels = (in_channels, out_channels) if transposed else (out_channels, in_channels)
        shape = (channels[0], channels[1] // groups, *kernel_size)
        self.weight = Parameter(empty(shape, device=device, dtype=dtype))
        self.register_parameter(
            "bias", Parameter(empty(out_channels, device=device, dtype=dtype)) if bias else None
        )
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw new initial values, uniform in ±1/sqrt(fan_in): the weight first, then the bias."""
        with no_grad():
            init.kaiming_uniform_(self.weight, a=math.sqrt(5))
            init.uniform_bias_(self.bias, self.weight)

    def extra_repr(self) -> str:
        parts = [
            f"{self.in_channels}, {self.out_channels}",
            f"kernel_size={self.kernel_size}, stride={self.stride}",
        ]
        # A setting is told where it differs from the default, which fills every dimension.
        for name, default in (("padding", 0), ("dilation", 1), ("output_padding", 0)):
            value = getattr(self, name)
            if value != (default,) * len(value):
                parts.append(f"{name}={value}")
        if self.groups != 1:
            parts.append(f"groups={self.groups}")
        if self.bias is None:
            parts.append("bias=False")
        if self.padding_mode != "zeros":
            parts.append(f"padding_mode={self.padding_mode}")
        return ", ".join(parts)


def _check_settings(
    in_channels: int,
    out_channels: int,
    stride: tuple[int, ...],
    padding: str | tuple[int, ...],
    groups: int,
    padding_mode: str,
) -> None:
    if groups <= 0:
        raise ValueError("groups must be a positive integer")
    if in_channels % groups != 0:
        raise ValueError("in_channels must be divisible by groups")
    if out_channels % groups != 0:
        raise ValueError("out_channels must be divisible by groups")
    if isinstance(padding, str):
        strings = {"same", "valid"}
        if padding not in strings:
            raise ValueError(f"Invalid padding string {padding!r}, should be one of {strings}")
        if padding == "same" and any(step != 1 for step in stride):
            raise ValueError("padding='same' is not supported for strided convolutions")
    modes = {"zeros", "reflect", "replicate", "circular"}
    if padding_mode not in modes:
        raise ValueError(
            f"padding_mode must be one of {modes}, but got padding_mode='{padding_mode}'"
        )


def _padding_amounts(
    padding: str | tuple[int, ...], kernel_size: tuple[int, ...], dilation: tuple[int, ...]
) -> list[tuple[int, int]]:
    """The padding before and after each dimension; "same" puts the odd element after."""
    if not isinstance(padding, str):
        return [(amount, amount) for amount in padding]
    if padding == "valid":
        return [(0, 0) for _ in kernel_size]
    totals = [step * (size - 1) for step, size in zip(dilation, kernel_size, strict=True)]
    return [(total // 2, total - total // 2) for total in totals]


class _Conv(_ConvNd):
    """A convolution of rank `_rank`: (N, C_in, *in) or (C_in, *in) to (N, C_out, *out).

    out = floor((in + 2 padding - dilation (kernel_size - 1) - 1) / stride + 1)
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Any,
        stride: Any = 1,
        padding: Any = 0,
        dilation: Any = 1,
        groups: int = 1,
        bias: bool = True,
        padding_mode: str = "zeros",
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        rank = self._rank
        super().__init__(
            in_channels,
            out_channels,
            repeat_to(kernel_size, rank),
            repeat_to(stride, rank),
            padding if isinstance(padding, str) else repeat_to(padding, rank),
            repeat_to(dilation, rank),
            False,
            (0,) * rank,
            groups,
            bias,
            padding_mode,
            device,
            dtype,
        )

    def forward(self, input: Tensor) -> Tensor:
        return self._conv_forward(input, self.weight, self.bias)

    def _conv_forward(self, input: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        padding = self.padding
        if self.padding_mode != "zeros":
            input = F.pad(input, self._reversed_padding_repeated_twice, mode=self.padding_mode)
            padding = (0,) * self._rank
        return self._convolve(input, weight, bias, self.stride, padding, self.dilation, self.groups)

    @staticmethod
    def _convolve(*args: Any) -> Tensor:
        raise NotImplementedError


class Conv1d(_Conv):
    __doc__ = _Conv.__doc__
    _rank = 1

    @staticmethod
    def _convolve(*args: Any) -> Tensor:
        return F.conv1d(*args)


class Conv2d(_Conv):
    __doc__ = _Conv.__doc__
    _rank = 2

    @staticmethod
    def _convolve(*args: Any) -> Tensor:
        return F.conv2d(*args)


class Conv3d(_Conv):
    __doc__ = _Conv.__doc__
    _rank = 3

    @staticmethod
    def _convolve(*args: Any) -> Tensor:
        return F.conv3d(*args)


class _ConvTransposeNd(_ConvNd):
    """A transposed convolution: (N, C_in, *in) or (C_in, *in) to (N, C_out, *out).

    out = (in - 1) stride - 2 padding + dilation (kernel_size - 1) + output_padding + 1
    """

    padding: tuple[int, ...]

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Any,
        stride: Any = 1,
        padding: Any = 0,
        output_padding: Any = 0,
        groups: int = 1,
        bias: bool = True,
        dilation: Any = 1,
        padding_mode: str = "zeros",
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        if padding_mode != "zeros":
            raise ValueError(
                f'Only "zeros" padding mode is supported for {self.__class__.__name__}'
            )
        rank = self._rank
        super().__init__(
            in_channels,
            out_channels,
            repeat_to(kernel_size, rank),
            repeat_to(stride, rank),
            repeat_to(padding, rank),
            repeat_to(dilation, rank),
            True,
            repeat_to(output_padding, rank),
            groups,
            bias,
            padding_mode,
            device,
            dtype,
        )

    def forward(self, input: Tensor, output_size: list[int] | None = None) -> Tensor:
        return self._convolve_transposed(
            input,
            self.weight,
            self.bias,
            self.stride,
            self.padding,
            self._output_padding(input, output_size),
            self.groups,
            self.dilation,
        )

    @staticmethod
    def _convolve_transposed(*args: Any) -> Tensor:
        raise NotImplementedError

    def _output_padding(self, input: Tensor, output_size: list[int] | None) -> Any:
        """The padding that gives `output_size`, which is told with or without (N, C)."""
        if output_size is None:
            return self.output_padding
        rank = self._rank
        leading = 2 if input.dim() == rank + 2 else 1
        if len(output_size) == leading + rank:
            output_size = output_size[leading:]
        if len(output_size) != rank:
            raise ValueError(
                f"ConvTranspose{rank}D: for {input.dim()}D input, output_size must have {rank} "
                f"or {leading + rank} elements (got {len(output_size)})"
            )
        smallest = [
            (size - 1) * stride - 2 * padding + dilation * (kernel - 1) + 1
            for size, stride, padding, dilation, kernel in zip(
                input.shape[leading:],
                self.stride,
                self.padding,
                self.dilation,
                self.kernel_size,
                strict=True,
            )
        ]
        largest = [low + stride - 1 for low, stride in zip(smallest, self.stride, strict=True)]
        if not all(
            low <= size <= high
            for low, size, high in zip(smallest, output_size, largest, strict=True)
        ):
            raise ValueError(
                f"requested an output size of {output_size}, but valid sizes range from "
                f"{smallest} to {largest} (for an input of {input.size()[2:]})"
            )
        return [size - low for size, low in zip(output_size, smallest, strict=True)]


class ConvTranspose1d(_ConvTransposeNd):
    __doc__ = _ConvTransposeNd.__doc__
    _rank = 1

    @staticmethod
    def _convolve_transposed(*args: Any) -> Tensor:
        return F.conv_transpose1d(*args)


class ConvTranspose2d(_ConvTransposeNd):
    __doc__ = _ConvTransposeNd.__doc__
    _rank = 2

    @staticmethod
    def _convolve_transposed(*args: Any) -> Tensor:
        return F.conv_transpose2d(*args)


class ConvTranspose3d(_ConvTransposeNd):
    __doc__ = _ConvTransposeNd.__doc__
    _rank = 3

    @staticmethod
    def _convolve_transposed(*args: Any) -> Tensor:
        return F.conv_transpose3d(*args)
