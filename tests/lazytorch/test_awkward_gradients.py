"""Gradients of element-wise functions at kinks, poles, ties, infinities and NaN are PyTorch's."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs real PyTorch")

import lazytorch  # noqa: E402

pytestmark = [pytest.mark.pytorch, pytest.mark.filterwarnings("ignore")]

VALUES = [0.0, -0.0, 1.0, -1.0, 0.5, -0.5, 2.0, -2.0, 3.0, -3.0, 6.0, 20.5, -20.0,
          math.inf, -math.inf, math.nan, 1e300, -1e300, 1e-200]  # fmt: skip

OF_ONE = """
abs acos acosh asin asinh atan atanh ceil cos cosh deg2rad digamma erf erfc erfinv exp exp2 expm1
floor frac lgamma log log10 log1p log2 logit nan_to_num neg rad2deg reciprocal round rsqrt sigmoid
sign sin sinc sinh sqrt square tan tanh trunc i0 special.i0e special.i1 special.i1e special.entr
special.ndtr special.ndtri special.log_ndtr special.erfcx
nn.functional.relu nn.functional.relu6 nn.functional.elu nn.functional.celu nn.functional.selu
nn.functional.gelu nn.functional.silu nn.functional.mish nn.functional.hardswish
nn.functional.hardsigmoid nn.functional.hardtanh nn.functional.softplus nn.functional.softsign
nn.functional.tanhshrink nn.functional.softshrink nn.functional.hardshrink
nn.functional.leaky_relu nn.functional.logsigmoid
""".split()  # noqa: SIM905
OF_TWO = """
add atan2 copysign div float_power fmax fmin fmod hypot ldexp logaddexp logaddexp2
maximum minimum mul pow remainder sub xlogy special.xlog1py
""".split()  # noqa: SIM905
LOSSES = ["mse_loss", "l1_loss", "smooth_l1_loss", "huber_loss", "kl_div", "poisson_nll_loss"]
OTHERS: dict[str, tuple[int, Callable[..., Any]]] = {
    "div_trunc": (2, lambda lib, x, y: lib.div(x, y, rounding_mode="trunc")),
    "div_floor": (2, lambda lib, x, y: lib.div(x, y, rounding_mode="floor")),
    "lerp": (2, lambda lib, x, y: lib.lerp(x, y, 0.3)),
    "lerp_by_tensor": (2, lambda lib, x, y: lib.lerp(x, y, x * 1)),
    "addcmul": (2, lambda lib, x, y: lib.addcmul(x, x, y)),
    "addcdiv": (2, lambda lib, x, y: lib.addcdiv(x, x, y)),
    "where": (2, lambda lib, x, y: lib.where(x > y, x, y * 2)),
    "clamp": (1, lambda lib, x: x.clamp(-1, 2)),
    "threshold": (1, lambda lib, x: lib.nn.functional.threshold(x, 0.5, 3.0)),
    "gelu_tanh": (1, lambda lib, x: lib.nn.functional.gelu(x, approximate="tanh")),
    "smooth_l1_beta": (2, lambda lib, x, y: lib.nn.functional.smooth_l1_loss(x, y, beta=0.5)),
    "huber_delta": (2, lambda lib, x, y: lib.nn.functional.huber_loss(x, y, delta=2.0)),
    **{f"power {e}": (1, lambda lib, x, e=e: x**e) for e in (0, 1, 2, 3, -1, -2, 0.5, 2.5, -3)},
    **{f"power of {b}": (1, lambda lib, x, b=b: b**x) for b in (0.0, 1.0, 2.0, -2.0)},
}

# What differs, by argument: ours is the better number, or neither is defined.
ALLOWED: dict[str, Callable[..., Any]] = {
    # PyTorch subtracts infinity from itself.
    "logaddexp2": lambda x, y: (x == y) & np.isinf(x),
    # PyTorch's slope is made of exp(x²).
    "special.log_ndtr": lambda x: x < -1e6,
    # PyTorch squares the divisor.
    "addcdiv": lambda x, y: (abs(y) < 1e-150) | (abs(y) > 1e150),
    "remainder": lambda x, y: abs(y) < 1e-150,
    "fmod": lambda x, y: abs(y) < 1e-150,
    # PyTorch's kernels treat NaN differently by element type, and by place in a vector.
    **{f"nn.functional.{n}": lambda x: np.isnan(x)
       for n in ("elu", "celu", "selu", "hardswish", "hardsigmoid")},
    # Cancellation leaves nothing but rounding.
    "special.erfcx": lambda x: abs(x) > 1e3,
}  # fmt: skip


def _function(name: str) -> Callable[..., Any]:
    def call(lib: Any, *inputs: Any) -> Any:
        for part in name.split("."):
            lib = getattr(lib, part)
        return lib(*inputs)

    return call


def _loss(name: str) -> Callable[..., Any]:
    return lambda lib, *xs: getattr(lib.nn.functional, name)(*xs, reduction="none")


CASES: dict[str, tuple[int, Callable[..., Any]]] = {
    **{n: (1, _function(n)) for n in OF_ONE},
    **{n: (2, _function(n)) for n in OF_TWO},
    **{n: (2, _loss(n)) for n in LOSSES},
    **OTHERS,
}


def gradients(lib: Any, function: Callable[..., Any], columns: list[Any]) -> list[Any]:
    inputs = [lib.tensor(c, requires_grad=True) for c in columns]
    found = lib.autograd.grad(function(lib, *inputs).sum(), inputs)
    return [g.detach().numpy() for g in found]


@pytest.mark.parametrize("name", CASES)
def test_gradient_where_it_is_awkward(name: str) -> None:
    arity, function = CASES[name]
    rows = np.array(list(itertools.product(VALUES, repeat=arity)))
    columns = [np.ascontiguousarray(c) for c in rows.T]
    expected = gradients(torch, function, columns)
    found = gradients(lazytorch, function, columns)
    allowed = ALLOWED.get(name, lambda *c: np.zeros(len(c[0]), bool))(*columns)
    for ours, theirs in zip(found, expected, strict=True):
        near = np.isclose(ours, theirs, rtol=1e-6, atol=1e-12, equal_nan=True) | allowed
        assert near.all(), [
            (row, theirs[i], ours[i]) for i, row in enumerate(rows.tolist()) if not near[i]
        ][:5]
