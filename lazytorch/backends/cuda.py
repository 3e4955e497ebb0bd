"""Products of matrices on GPUs, and which attention kernels may be chosen."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from lazytorch.defaults import get_float32_matmul_precision, set_float32_matmul_precision


class _Products:
    """``torch.backends.cuda.matmul``."""

    allow_fp16_reduced_precision_reduction = True
    allow_bf16_reduced_precision_reduction = True
    allow_fp16_accumulation = False

    @property
    def allow_tf32(self) -> bool:
        """Whether products of float32 may be less exact: ``set_float32_matmul_precision``."""
        return get_float32_matmul_precision() != "highest"

    @allow_tf32.setter
    def allow_tf32(self, allowed: bool) -> None:
        set_float32_matmul_precision("high" if allowed else "highest")


matmul = _Products()
_attention = {"flash": True, "mem_efficient": True, "math": True, "cudnn": True}


def is_built() -> bool:
    """False: GPUs are reached through OpenCL, see ``torch.cuda``."""
    return False


def flash_sdp_enabled() -> bool:
    return _attention["flash"]


def mem_efficient_sdp_enabled() -> bool:
    return _attention["mem_efficient"]


def math_sdp_enabled() -> bool:
    return _attention["math"]


def cudnn_sdp_enabled() -> bool:
    return _attention["cudnn"]


def enable_flash_sdp(enabled: bool) -> None:
    _attention["flash"] = bool(enabled)


def enable_mem_efficient_sdp(enabled: bool) -> None:
    _attention["mem_efficient"] = bool(enabled)


def enable_math_sdp(enabled: bool) -> None:
    _attention["math"] = bool(enabled)


def enable_cudnn_sdp(enabled: bool) -> None:
    _attention["cudnn"] = bool(enabled)


@contextmanager
def sdp_kernel(
    enable_flash: bool = True,
    enable_math: bool = True,
    enable_mem_efficient: bool = True,
    enable_cudnn: bool = True,
) -> Iterator[None]:
    """Set which attention kernels may be chosen; here there is one, by blocks of queries."""
    before = dict(_attention)
    _attention.update(
        flash=enable_flash, math=enable_math, mem_efficient=enable_mem_efficient, cudnn=enable_cudnn
    )
    try:
        yield
    finally:
        _attention.update(before)
