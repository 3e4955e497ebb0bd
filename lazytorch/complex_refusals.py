"""What PyTorch refuses complex numbers, in its words; and which gradient rules hold for them."""

from __future__ import annotations

from collections.abc import Sequence

from codegen.ir.node import TensorType
from lazytorch.type_names import type_name

_TEXTS: dict[str, tuple[type[Exception], str]] = {
    "ceil": (NotImplementedError, "ceil is not supported for complex inputs"),
    "floor": (NotImplementedError, "floor is not supported for complex inputs"),
    "trunc": (NotImplementedError, "trunc is not supported for complex inputs"),
    "clamp": (NotImplementedError, "clamp is not supported for complex types"),
    "clamp_min": (NotImplementedError, "clamp is not supported for complex types"),
    "clamp_max": (NotImplementedError, "clamp is not supported for complex types"),
    "clamp_min_max": (NotImplementedError, "clamp is not supported for complex types"),
    "relu": (NotImplementedError, "clamp is not supported for complex types"),
    "sign": (
        NotImplementedError,
        "Unlike NumPy, torch.sign is not intended to support complex numbers. Please use "
        "torch.sgn instead.",
    ),
    "argmax": (RuntimeError, "argmax(): does not support complex input"),
    "argmin": (RuntimeError, "argmin(): does not support complex input"),
    "maximum": (RuntimeError, "maximum not implemented for complex tensors."),
    "minimum": (RuntimeError, "minimum not implemented for complex tensors."),
    "fmax": (RuntimeError, "fmax not implemented for complex tensors."),
    "fmin": (RuntimeError, "fmin not implemented for complex tensors."),
    "sort": (RuntimeError, " Sort does not support complex dtypes on CPU"),
    "argsort": (RuntimeError, " Sort does not support complex dtypes on CPU"),
}
# What PyTorch calls the kernel that it lacks.
_KERNELS = {
    "max": "max_all", "min": "min_all", "amax": "max_values_cpu", "amin": "min_values_cpu",
    "div_floor": "div_floor_cpu", "floor_divide": "div_floor_cpu", "round": "round_vml_cpu",
    "erf": "erf_vml_cpu", "erfc": "erfc_vml_cpu", "erfinv": "erfinv_vml_cpu",
    "frac": "frac", "lgamma": "lgamma_vml_cpu", "digamma": "digamma",
    "softmax": "softmax_lastdim_kernel_impl", "log_softmax": "log_softmax_lastdim_kernel_impl",
    "median": "median_cpu", "cummax": "cummax_cpu", "cummin": "cummin_cpu", "lt": "lt_cpu",
    "le": "le_cpu", "gt": "gt_cpu", "ge": "ge_cpu", "remainder": "remainder_cpu",
    "fmod": "fmod_cpu", "atan2": "atan2_cpu", "hypot": "hypot_cpu", "copysign": "copysign",
    "gelu": "GeluKernelImpl", "softplus": "softplus_cpu", "elu": "elu_cpu",
}  # fmt: skip


def check_complex(name: str, types: Sequence[TensorType]) -> None:
    """Raise what PyTorch does where a function of this name takes no complex numbers."""
    for t in types:
        if t.dtype.is_complex:
            if name in _TEXTS:
                kind, text = _TEXTS[name]
                raise kind(text)
            if name in _KERNELS:
                raise NotImplementedError(
                    f"\"{_KERNELS[name]}\" not implemented for '{type_name(t.dtype)}'"
                )


# Functions whose gradient rule is linear in real and imaginary parts alike, or sends nothing on.
# Those of all others are for real numbers: of complex ones the body is differentiated.
RULES_OF_PARTS = frozenset([
    "view_at", "place_at", "replace_value", "overwrite", "custom_function", "as_strided",
    "embedding", "fft_c2c", "fft_c2r", "fft_r2c",
])  # fmt: skip
