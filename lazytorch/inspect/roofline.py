"""What a device reaches at most: the line that kernels are compared with."""

from __future__ import annotations

from codegen.runtime.roofline import Roofline, measured
from lazytorch.device import device_name

__all__ = ["Roofline", "machine"]


def machine(device: object = None) -> Roofline:
    """What a device reaches: bytes a second, and operations a second by element type.

    ``device``: as for ``torch.device``; by default that of new tensors. Measured once by
    generated kernels on all threads, in some 0.2 s, and remembered beside the kernel cache.
    RuntimeError for the interpreter, which runs no kernels.

    >>> roofline = lazytorch.inspect.machine("cpu")
    >>> roofline.bytes_per_second > 0 and roofline.peak("float32") > 0
    True
    """
    return measured(device_name(device))
