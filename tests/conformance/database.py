"""PyTorch's own operator database: its operators, their families, how exactly each is judged."""

from __future__ import annotations

import importlib.util
import sys
import types
import unittest
from typing import Any

import torch

# A step of float16 or bfloat16 is this coarse; the others are torch.testing's, for other
# orders of summation a little wider.
TOLERANCE: dict[torch.dtype, tuple[float, float]] = {
    torch.float16: (2e-3, 1e-3), torch.bfloat16: (2e-2, 1e-2), torch.float32: (2e-5, 2e-5),
    torch.float64: (1e-7, 1e-7), torch.complex64: (2e-5, 2e-5),
}  # fmt: skip
INTEGERS = (torch.int64, torch.int32, torch.uint8, torch.bool)
_FAMILIES = ("nn.functional", "linalg", "special", "fft", "masked", "sparse", "signal")


def _stand_in(name: str, **attributes: Any) -> None:
    """A module that the database's file imports and its operators do not use, where it is missing:
    PyTorch's test tools need it, and no user should."""
    if name not in sys.modules and importlib.util.find_spec(name) is None:
        module = types.ModuleType(name)
        vars(module).update(attributes)
        sys.modules[name] = module


def operators() -> list[Any]:
    """Every record of PyTorch's operator database."""
    _stand_in("expecttest", TestCase=unittest.TestCase)
    from torch.testing._internal.common_methods_invocations import op_db

    return list(op_db)


# Whether samples are complex numbers alone: ``--complex``.
complex_only = False


def title(op: Any) -> str:
    """The operator's name and variant: what the tables and the list of the left out call it."""
    variant = op.variant_test_name
    return f"{op.name}:{variant}" if variant else str(op.name)


def family(op: Any) -> str:
    """The namespace that an operator belongs to."""
    return next((f for f in _FAMILIES if op.name.startswith(f + ".")), "torch")


def dtypes(op: Any) -> list[torch.dtype]:
    """float64, float32 and one integer type (or bool), as far as the operator takes them."""
    known = op.supported_dtypes("cpu")
    if complex_only:
        return [torch.complex64] if torch.complex64 in known else []
    floats = [d for d in (torch.float64, torch.float32) if d in known]
    return floats + [d for d in INTEGERS if d in known][:1]


def tolerance(op: Any, dtype: torch.dtype) -> tuple[float, float]:
    """How far a value may be off, relatively and absolutely: the widest that PyTorch allows."""
    relative, absolute = TOLERANCE.get(dtype, (0.0, 0.0))
    for decorator in op.decorators:
        for part in getattr(decorator, "decorators", [decorator]):
            allowed = getattr(part, "d", None)
            found = allowed.get(dtype) if isinstance(allowed, dict) else None
            if isinstance(found, float):
                absolute = max(absolute, found)
            elif found is not None:
                relative, absolute = max(relative, found.rtol), max(absolute, found.atol)
    return relative, absolute
