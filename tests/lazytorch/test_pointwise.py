"""Element-wise functions against real PyTorch: values, types, errors, gradients of two orders."""

from __future__ import annotations

import math
import warnings
from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="needs real PyTorch")

from support import DTYPES, attempt, compare_call, compare_calls, compare_outcomes, ours, same  # noqa: E402

import lazytorch.functions  # noqa: E402, F401
from lazytorch import special  # noqa: E402
from lazytorch.autograd.backward import grad  # noqa: E402
from lazytorch.functions.registration import PUBLIC  # noqa: E402

pytestmark = pytest.mark.pytorch

UNARY = [
    "abs", "absolute", "acos", "acosh", "arccos", "arccosh", "arcsin", "arcsinh", "arctan",
    "arctanh", "asin", "asinh", "atan", "atanh", "bitwise_not", "ceil", "cos", "cosh", "deg2rad",
    "digamma", "erf", "erfc", "erfinv", "exp", "exp2", "expm1", "fix", "floor", "frac",
    "isfinite", "isinf", "isnan", "isneginf", "isposinf", "isreal", "lgamma", "log", "log10",
    "log1p", "log2", "logical_not", "logit", "nan_to_num", "neg", "negative", "positive",
    "rad2deg", "reciprocal", "round", "rsqrt", "sgn", "sigmoid", "sign", "signbit", "sin", "sinc",
    "sinh", "sqrt", "square", "tan", "tanh", "trunc",
]  # fmt: skip
BINARY = [
    "add", "atan2", "bitwise_and", "bitwise_left_shift", "bitwise_or", "bitwise_right_shift",
    "bitwise_xor", "copysign", "div", "eq", "float_power", "floor_divide", "fmax", "fmin", "fmod",
    "gcd", "ge", "gt", "hypot", "lcm", "ldexp", "le", "logaddexp", "logaddexp2", "logical_and",
    "logical_or", "logical_xor", "lt", "maximum", "minimum", "mul", "ne", "nextafter", "pow",
    "remainder", "rsub", "sub", "true_divide", "xlogy",
]  # fmt: skip
AWKWARD = [0.0, -0.0, 1.0, -1.0, 0.5, -0.5, 1.5, 2.5, -2.5, 3.7, -3.7, 20.0, -20.0,
           math.inf, -math.inf, math.nan, 1e-30, 1e4]  # fmt: skip
REAL = list(DTYPES)
HALVES = (torch.float16, torch.bfloat16)


def sample(dtype: Any, seed: int = 0) -> Any:
    """A 3×4 tensor with ties, zeros and negatives; floats with NaN and infinities too."""
    generator = torch.Generator().manual_seed(seed)
    if dtype.is_floating_point:
        values = torch.randn(3, 6, generator=generator, dtype=torch.float64)
        values.view(-1)[seed % 3 :: 4] = torch.tensor(
            [0.0, -0.0, math.nan, math.inf, -math.inf][: len(values.view(-1)[seed % 3 :: 4])]
        )
        return values.to(dtype)
    if dtype is torch.bool:
        return torch.randint(0, 2, (3, 6), generator=generator).bool()
    low = 0 if dtype is torch.uint8 else -5
    return torch.randint(low, 6, (3, 6), generator=generator, dtype=dtype)


@pytest.mark.parametrize("name", UNARY)
def test_unary(name: str) -> None:
    for dtype in REAL:
        x = sample(dtype)
        if dtype.is_floating_point:
            x = torch.tensor(AWKWARD, dtype=dtype)
        for value in (x, x[:0], x.view(-1)[3]):
            compare_call(name, value)
        compare_call(name, sample(dtype).T)


def _pairs(dtype_x: Any, dtype_y: Any, name: str) -> list[tuple[Any, Any]]:
    x, y = sample(dtype_x), sample(dtype_y, 1)
    if name in ("div", "floor_divide", "remainder", "fmod", "true_divide"):
        # PyTorch raises on integers divided by 0, or on the cpu crashes; ours give 0.
        x, y = [torch.where(t == 0, torch.ones_like(t), t) for t in (x, y)]
    if name == "pow":
        y = y.abs() if dtype_y is not torch.bool else y
    if "shift" in name:
        y = y.abs() if dtype_y is not torch.bool else y
    return [(x, y), (x, y[0, 1]), (x[0, 1], y), (x.T, y.T), (x[:1], y[:, :1])]


@pytest.mark.parametrize("name", BINARY)
def test_binary_promotion(name: str) -> None:
    cases: list[tuple[Any, ...]] = []
    for dtype_x in REAL:
        for dtype_y in REAL:
            if name == "nextafter" and (dtype_x in HALVES or dtype_y in HALVES):
                continue  # ours has float32 and float64 alone
            if name == "ldexp" and (dtype_x, dtype_y) == (torch.float64, torch.float32):
                continue  # PyTorch's float32 pow(2, y) differs in the last place, times a double
            cases.extend(_pairs(dtype_x, dtype_y, name)[: 5 if dtype_x is dtype_y else 3])
        if name == "nextafter" and dtype_x in HALVES:
            continue
        for number in (2, 2.5, True):
            x = _pairs(dtype_x, dtype_x, name)[0][0]
            cases.extend([(x, number), (x[0, 1], number)])
    compare_calls(name, cases)


# ---- arguments of their own -------------------------------------------------------------------

R, N = torch.tensor(AWKWARD, dtype=torch.float64), torch.arange(-4, 5)
CALLS: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = [
    *[("add", (a, b), {"alpha": s}) for a, b, s in
      ((R, R, 2), (N, N, 2), (N, N, 2.5), (N, N, 1.0), (R, R, True), (N > 0, N > 1, True),
       (R, 3, 0.5), (N, 2.5, 0.5))],
    *[(n, (a, b), {"alpha": 3}) for n in ("sub", "rsub") for a, b in ((R, R), (N, N), (N, 2))],
    ("sub", (N > 0, N > 0), {}), ("sub", (N > 0, N), {}), ("sub", (N, True), {}),
    *[("div", (a, b), {"rounding_mode": m}) for m in (None, "trunc", "floor", "up")
      for a, b in ((R, 0.7), (R, R), (N, 2), (N, -3), (N.to(torch.int8), 3), (7, N + 10))],
    *[("pow", (a, e), {}) for a in (R, R.abs().float(), N, N.to(torch.int16), N > 0)
      for e in (0, 1, 2, 3, -1, -2, 0.5, -0.5, 0.0, 2.0, 2.5, -1.5, 5, True)],
    *[("pow", (b, e), {}) for b in (2, 0.5, 0, -1.5) for e in (R, N.abs())],
    ("float_power", (N.abs() + 1, 0.5), {}), ("float_power", (2, R), {}),
    *[("clamp", (a, lo, hi), {}) for a in (R, N) for lo, hi in
      ((-1, 1), (None, 0), (0.5, None), (1, -1), (None, None), (math.nan, None), (-0.5, 2))],
    ("clamp", (R, R.flip(0), R + 1), {}), ("clamp", (R,), {"max": R.flip(0)}),
    ("clamp_min", (R, 0), {}), ("clamp_max", (R, 0), {}), ("clip", (R, 0, 1), {}),
    ("clamp", (N > 0, 0, 1), {}),
    *[("round", (R * 12.3456,), {"decimals": d}) for d in (0, 1, 3, -1)],
    ("round", (N,), {"decimals": 1}),
    ("logit", (R, 0.1), {}), ("logit", (R,), {"eps": 1e-6}),
    ("nan_to_num", (R,), {"nan": 1.5, "posinf": 2.0, "neginf": -3.0}),
    ("nan_to_num", (R, 0.25), {}), ("nan_to_num", (R.float(),), {"posinf": 7}),
    ("nan_to_num", (R.half(),), {}), ("nan_to_num", (R.bfloat16(),), {}),
    ("heaviside", (R, torch.tensor(0.5, dtype=torch.float64)), {}), ("heaviside", (R, N[0]), {}),
    ("addcmul", (R, R, R.flip(0)), {"value": 0.5}), ("addcmul", (N, N, N), {"value": 2}),
    ("addcmul", (N, N, N), {"value": 0.5}), ("addcmul", (N, R[:9], N), {"value": 0.5}),
    ("addcdiv", (R, R, R.flip(0)), {"value": 0.5}), ("addcdiv", (N, N, N), {}),
    *[("lerp", (R, R.flip(0), w), {}) for w in (0.25, 0.75, R.float().double().abs(), 2)],
    ("lerp", (R, R.float(), 0.5), {}), ("lerp", (R, R, torch.tensor(0.5)), {}),
    ("sin", (1.0,), {}), ("maximum", (R, 1), {}), ("eq", (1, R), {}),
    ("add", (torch.ones(2, 3), torch.ones(2, 4)), {}),
    ("bitwise_left_shift", (N, torch.tensor(70)), {}),
    ("bitwise_right_shift", (N, torch.tensor(70)), {}),
    ("bitwise_left_shift", (N.to(torch.int8), torch.tensor(9, dtype=torch.int8)), {}),
    ("isclose", (R, R + 1e-9), {}), ("isclose", (R, R), {"equal_nan": True}),
    ("isclose", (N, N), {}), ("isclose", (N, R[:9]), {}),
    ("isclose", (R, R), {"rtol": -1.0}), ("allclose", (R, R), {"equal_nan": True}),
    ("allclose", (R, R), {}), ("equal", (N, N), {}), ("equal", (N, N[:3]), {}),
    ("equal", (R, R), {}), ("equal", (R[:0], R[:0]), {}),
    ("isin", (N, torch.tensor([1, 3])), {}), ("isin", (N, 2), {}), ("isin", (N, N[:0]), {}),
    ("isin", (R, R[:5]), {"invert": True}), ("isin", (3, N), {}),
    ("square", (N.to(torch.uint8) * 50,), {}), ("neg", (N.to(torch.uint8),), {}),
    ("add", (torch.tensor([2**63 - 1]), 1), {}), ("add", (N.to(torch.uint8), 300), {}),
]  # fmt: skip


@pytest.mark.parametrize("number", range(len(CALLS)), ids=lambda n: f"{CALLS[n][0]}{n}")
def test_call(number: int) -> None:
    name, args, kwargs = CALLS[number]
    compare_call(name, *args, **kwargs)


# ---- gradients --------------------------------------------------------------------------------

SMOOTH_UNARY = [
    "abs", "acos", "acosh", "asin", "asinh", "atan", "atanh", "ceil", "cos", "cosh", "deg2rad",
    "digamma", "erf", "erfc", "erfinv", "exp", "exp2", "expm1", "frac", "lgamma", "log", "log10",
    "log1p", "log2", "logit", "nan_to_num", "neg", "rad2deg", "reciprocal", "round", "rsqrt",
    "sigmoid", "sign", "sin", "sinc", "sinh", "sqrt", "square", "tan", "tanh", "trunc",
]  # fmt: skip
SMOOTH_BINARY = [
    "add", "atan2", "copysign", "div", "fmax", "fmin", "fmod", "hypot", "logaddexp", "logaddexp2",
    "maximum", "minimum", "mul", "pow", "remainder", "sub", "xlogy",
]  # fmt: skip
# Where the derivative is not finite or not unique: PyTorch's choice.
EDGES: dict[str, list[float]] = {
    "abs": [0.0, -0.0, math.nan], "sqrt": [0.0, 4.0, math.inf], "sinc": [0.0, 1.0],
    "logit": [0.0, 1.0, -0.5, 2.0], "nan_to_num": [math.nan, math.inf, 1.0], "log": [0.0],
    "sign": [0.0], "acos": [1.0], "acosh": [1.0], "reciprocal": [0.0], "rsqrt": [0.0],
}  # fmt: skip
PAIR_EDGES: dict[str, list[tuple[float, float]]] = {
    "maximum": [(1.0, 1.0), (math.nan, 1.0), (2.0, 1.0)], "minimum": [(1.0, 1.0), (0.0, -0.0)],
    "fmax": [(1.0, 1.0), (math.nan, 1.0), (1.0, math.nan)], "fmin": [(1.0, 1.0), (1.0, math.nan)],
    "pow": [(0.0, 0.0), (0.0, 1.0), (0.0, 2.0), (2.0, 0.0), (-2.0, 3.0), (0.0, 0.5)],
    "xlogy": [(0.0, 2.0), (1.0, 2.0)], "logaddexp": [(1.0, 1.0), (500.0, 2.0)],
    "logaddexp2": [(1.0, 1.0), (500.0, 2.0)], "copysign": [(0.0, 1.0), (1.0, -1.0)],
    "hypot": [(3.0, 0.0)], "atan2": [(1.0, 0.0)], "div": [(1.0, 0.0)],
}  # fmt: skip


def compare_gradients(
    name: str, inputs: list[Any], second: bool = True, tolerance: float = 10.0, **kwargs: Any
) -> None:
    """Values, gradients and gradients of gradients of torch.NAME on float64 inputs."""
    x = [i.clone().requires_grad_() if i.is_floating_point() else i for i in inputs]
    mine = [ours(i) for i in x]
    expected = getattr(torch, name)(*x, **kwargs)
    found = PUBLIC[name](*mine, **kwargs)
    if isinstance(expected, tuple):
        expected, found = expected[0], found[0]
    same(found, expected)
    leaves = [i for i in x if i.requires_grad]
    my_leaves = [m for i, m in zip(x, mine, strict=True) if i.requires_grad]
    weight = torch.linspace(0.5, 2.0, expected.numel(), dtype=expected.dtype).view(expected.shape)
    first = torch.autograd.grad(expected, leaves, weight, create_graph=True)
    my_first = grad(found, my_leaves, ours(weight), create_graph=True)
    same(my_first, first, tolerance)
    roots = [i for i, f in enumerate(first) if f.requires_grad]
    if second and roots:
        total = sum((first[i] * first[i]).sum() for i in roots)
        again = torch.autograd.grad(total, leaves, allow_unused=True)
        mine_total = [PUBLIC["sum"](my_first[i] * my_first[i]) for i in roots]
        my_total = mine_total[0]
        for part in mine_total[1:]:
            my_total = my_total + part
        my_again = grad(my_total, my_leaves, allow_unused=True)
        for a, m in zip(again, my_again, strict=True):
            if a is not None and m is not None:
                same(m, a, tolerance)
            elif a is not None:
                assert not a.any()


@pytest.mark.parametrize("name", SMOOTH_UNARY)
def test_gradient(name: str) -> None:
    x = torch.linspace(0.11, 0.89, 7, dtype=torch.float64)
    compare_gradients(name, [x + 1 if name == "acosh" else x])
    if name in ("digamma", "lgamma"):
        compare_gradients(name, [torch.tensor([-2.3, -0.4, 0.2, 7.5, 30.0], dtype=x.dtype)])
    if name in EDGES:
        compare_gradients(name, [torch.tensor(EDGES[name], dtype=x.dtype)], second=False)


@pytest.mark.parametrize("name", SMOOTH_BINARY)
def test_binary_gradient(name: str) -> None:
    x = torch.linspace(0.15, 2.9, 6, dtype=torch.float64).view(2, 3)
    y = torch.tensor([[1.3, 0.7, 2.2]], dtype=torch.float64)
    compare_gradients(name, [x, y])
    compare_gradients(name, [x, y[0, 0]])
    compare_gradients(name, [x.float(), y], second=False, tolerance=100)
    if name in PAIR_EDGES:
        pairs = torch.tensor(PAIR_EDGES[name], dtype=torch.float64)
        compare_gradients(name, [pairs[:, 0], pairs[:, 1]], second=False)


def test_gradients_with_arguments() -> None:
    x = torch.tensor([-1.0, -0.5, 0.0, 0.5, 1.0, 2.0, math.nan], dtype=torch.float64)
    low, high = torch.full_like(x, -0.5), torch.tensor([0.5], dtype=torch.float64)
    compare_gradients("clamp", [x], min=-0.5, max=1.0)
    compare_gradients("clamp", [x], min=0.0)
    compare_gradients("clamp", [x, low, high])
    compare_gradients("clamp", [x[:6], high.expand(6).clone(), low[:6]])
    compare_gradients("logit", [(x.abs().nan_to_num(0.3) + 0.1) / 3], eps=0.2)
    compare_gradients("lerp", [x[:6], x[:6].flip(0), x[:6].abs()])
    compare_gradients("addcmul", [x, x.flip(0), x])
    compare_gradients("addcdiv", [x[3:6], x[3:6].flip(0), x[3:6] + 1])
    compare_gradients("div", [x[:6], x[:6] + 3], rounding_mode="floor")
    for exponent in (0, 1, 2, 3, -1, -2, 0.5, 2.5, -0.5):
        a = x[3:6].clone().requires_grad_()
        b = ours(a)
        first = torch.autograd.grad((a**exponent).sum(), a, create_graph=True)[0]
        my_first = grad(PUBLIC["sum"](b**exponent), b, create_graph=True)[0]
        same(my_first, first)


# ---- in place and out= ------------------------------------------------------------------------


def _in_place(tensor: Any, name: str, *args: Any) -> Any:
    result = getattr(tensor, name)(*args)
    assert result is tensor
    return result


IN_PLACE = [
    ("add_", R, 2), ("add_", N, 2), ("add_", N, 2.5), ("sub_", R, R), ("mul_", N, N),
    ("div_", N, 2), ("div_", R, 2), ("pow_", R, 2), ("sin_", R), ("sin_", N), ("ceil_", R),
    ("clamp_", R, 0, 1), ("eq_", R, 0.0), ("lt_", N, 2), ("logical_not_", R), ("neg_", R),
    ("bitwise_and_", N, 3), ("floor_divide_", R, 2.0), ("remainder_", N, 3), ("abs_", R),
    ("lerp_", R, R, 0.5), ("addcmul_", R, R, R), ("add_", torch.ones(3), torch.ones(2, 3)),
    ("add_", torch.ones(2, 3), torch.ones(3)), ("nan_to_num_", R), ("xlogy_", R, 2.0),
    ("copysign_", R, -1.0), ("gt_", N > 0, True), ("float_power_", R, 2), ("float_power_", N, 2),
    ("true_divide_", N, 2), ("fmod_", R, 2), ("atan2_", R, R), ("round_", R), ("square_", N),
]  # fmt: skip


@pytest.mark.parametrize("number", range(len(IN_PLACE)), ids=lambda n: f"{IN_PLACE[n][0]}{n}")
def test_in_place(number: int) -> None:
    name, x, *rest = IN_PLACE[number]
    expected = attempt(_in_place, x.clone(), name, *rest)
    found = attempt(_in_place, ours(x), name, *map(ours, rest))
    compare_outcomes(found, expected)
    if isinstance(expected, Exception):
        assert str(found)[:30] == str(expected)[:30]


def test_out() -> None:
    x = torch.tensor([1.0, 4.0])
    for name, args in (("sqrt", (x,)), ("add", (x, 1)), ("maximum", (x, x.flip(0)))):
        for dtype in (torch.float32, torch.float64, torch.int64):
            for size in (2, 0, 3):
                out = torch.zeros(size, dtype=dtype)
                mine = ours(out)
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    expected = attempt(getattr(torch, name), *args, out=out)
                    found = attempt(PUBLIC[name], *map(ours, args), out=mine)
                compare_outcomes(found, expected)
                if not isinstance(expected, Exception):
                    assert found is mine
    leaf = x.clone().requires_grad_()
    for function, value, out in (
        (torch.sin, leaf, torch.zeros(2)),
        (PUBLIC["sin"], ours(leaf), ours(torch.zeros(2))),
    ):
        with pytest.raises(RuntimeError, match="don't support automatic differentiation"):
            function(value, out=out)


# ---- torch.special ----------------------------------------------------------------------------


@pytest.mark.parametrize("name", [n for n in special.__all__ if "soft" not in n])
def test_special(name: str) -> None:
    x = torch.tensor([*AWKWARD, 0.3], dtype=torch.float64)
    args: tuple[Any, ...] = (x,)
    if name in ("xlogy", "xlog1py", "zeta", "gammainc", "gammaincc"):
        args = (x, x.flip(0))
    if "polynomial" in name:
        args = (x, torch.arange(x.numel()) - 1)
    if name == "multigammaln":
        args = (x.abs() + 1, 2)
    if name == "polygamma":
        args = (2, x)
    if name == "logsumexp":
        args = (x[:11], 0)
    found = getattr(special, name)(*map(ours, args))
    if name in ("airy_ai", "gammainc", "gammaincc"):  # PyTorch's are right to six or ten digits
        torch.testing.assert_close(torch.tensor(found.tolist(), dtype=torch.float64),
                                   getattr(torch.special, name)(*args), rtol=1e-5, atol=1e-9,
                                   equal_nan=True)  # fmt: skip
        return
    same(found, getattr(torch.special, name)(*args))


def test_functions_of_python() -> None:
    x, y = torch.tensor([[1.5, -2.0], [0.0, 3.0]]), torch.tensor([2.0, 4.0])
    whole = torch.tensor([1, 2])
    for move in (ours, lambda t: t):
        results = [
            move(x.clone()).apply_(lambda a: a * 2.5),
            move(whole.clone()).apply_(lambda a: a * 2.7),
            move(x.clone()).map_(move(y), lambda a, b: a * b),
            move(x.clone()).map2_(move(y), move(y), lambda a, b, c: a * b + c),
        ]
        if move is ours:
            mine = results
    for found, expected in zip(mine, results, strict=True):
        same(found, expected)
    with pytest.raises(TypeError, match=r"expected torch\.LongTensor"):
        ours(whole).map_(ours(y), lambda a, b: a)
    with pytest.raises(RuntimeError, match="requires grad"):
        ours(x.clone().requires_grad_()).apply_(abs)


def test_first_argument_without_derivative() -> None:
    a, x = ours(torch.tensor([1.5], requires_grad=True)), ours(torch.tensor([2.0])).requires_grad_()
    for function in (PUBLIC["igamma"], PUBLIC["igammac"], special.zeta):
        assert grad(function(a, x), x)[0].isfinite().all()
        with pytest.raises(NotImplementedError, match="derivative for"):
            function(a, x).sum().backward()
    assert not special.bessel_j0(x).requires_grad
