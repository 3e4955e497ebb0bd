"""The C functions against NumPy and SciPy in higher precision, in units of the last place."""

from __future__ import annotations

import ctypes
import math
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import special  # type: ignore[import-untyped]

from codegen import dtype as dt
from codegen.ir.node import TensorType
from codegen.ops.registry import OPERATIONS
from codegen.ops.special import POLYNOMIALS
from codegen.render import mathematics as M

COMPILER = shutil.which("gcc") or shutil.which("clang") or shutil.which("cc")
FLAGS = ["-O2", "-march=native", "-fno-math-errno", "-fno-trapping-math", "-ffp-contract=fast"]
REALS: dict[str, np.dtype[Any]] = {"float": np.dtype(np.float32), "double": np.dtype(np.float64)}
INTEGERS: dict[str, np.dtype[Any]] = {
    "unsigned char": np.dtype(np.uint8),
    "signed char": np.dtype(np.int8),
    "short": np.dtype(np.int16),
    "int": np.dtype(np.int32),
    "long": np.dtype(np.int64),
}
TYPES: dict[str, np.dtype[Any]] = {**REALS, **INTEGERS}

pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning")

needs_compiler = [
    pytest.mark.compiler,
    pytest.mark.skipif(COMPILER is None, reason="no C compiler"),
    pytest.mark.skipif(np.finfo(np.longdouble).nmant < 63, reason="no longer double to compare"),
]

# operation -> reference on the wider type, bound in ulps for float and for double
UNARY: dict[str, tuple[Any, float, float]] = {
    "exp": (np.exp, 1, 1.1),
    "exp2": (np.exp2, 1.2, 1.2),
    "expm1": (np.expm1, 2, 2.5),
    "log": (np.log, 1, 1),
    "log2": (np.log2, 2, 1),
    "log10": (np.log10, 2, 1),
    "log1p": (np.log1p, 1.5, 1.5),
    "sin": (np.sin, 1, 1),
    "cos": (np.cos, 1, 1),
    "tan": (np.tan, 1, 3),
    "asin": (np.arcsin, 2, 2),
    "acos": (np.arccos, 2, 2),
    "atan": (np.arctan, 2, 2),
    "sinh": (np.sinh, 1, 3),
    "cosh": (np.cosh, 1, 2),
    "tanh": (np.tanh, 1.5, 3),
    "asinh": (np.arcsinh, 1, 3),
    "acosh": (np.arccosh, 1, 3),
    "atanh": (np.arctanh, 1, 3),
    "sigmoid": (lambda x: _sigmoid(x), 2.3, 2.3),
    "rsqrt": (lambda x: 1 / np.sqrt(x), 1.5, 1.5),
    "sqrt": (np.sqrt, 0.5, 0.5),
    "floor": (np.floor, 0, 0),
    "ceil": (np.ceil, 0, 0),
    "trunc": (np.trunc, 0, 0),
    "round": (np.rint, 0, 0),
    "abs": (np.abs, 0, 0),
}
# Known in double only (SciPy's erfc loses digits to the square): the bound
# for double allows for its own error.
SPECIAL: dict[str, tuple[Any, float, float]] = {
    "erf": (np.vectorize(math.erf, [float]), 1.5, 4),
    "erfc": (np.vectorize(math.erfc, [float]), 1, 6),
    "erfinv": (special.erfinv, 1, 8),
    "i0": (special.i0, 1, 16),
    "i1": (special.i1, 1, 16),
}
BINARY: dict[str, tuple[Any, float, float]] = {
    "pow": (np.power, 1, 1.2),
    "atan2": (np.arctan2, 1, 2),
    "hypot": (np.hypot, 1, 2),
    "fmod": (np.fmod, 0, 0),
    "copysign": (np.copysign, 0, 0),
}


def _sigmoid(x: Any) -> Any:
    """0 where e^-x overflows in the narrower type that is tested, as PyTorch's."""
    narrower = np.float32 if x.dtype == np.float64 else np.float64
    exponential = np.exp(-x)
    return np.where(exponential > np.finfo(narrower).max, 0, 1 / (1 + exponential))


def _signature(name: str) -> tuple[str, list[str]]:
    """Result type and argument types of a function, read from its definition."""
    source = M.FUNCTIONS[name].source
    head, _, rest = source[source.index(" ") + 1 :].partition(f"{name}(")
    return head.strip(), [a.rsplit(" ", 1)[0] for a in rest[: rest.index(")")].split(", ")]


def _wrapper(name: str) -> str:
    result, arguments = _signature(name)
    pointers = "".join(f", const {a} *x{i}" for i, a in enumerate(arguments))
    call = ", ".join(f"x{i}[i]" for i in range(len(arguments)))
    return (
        f"void each_{name}(long n, {result} *restrict y{pointers}) "
        f"{{ for (long i = 0; i < n; i++) y[i] = {name}({call}); }}\n"
    )


def _wrapped() -> list[str]:
    """The functions of numbers alone, without helpers that return a part through a pointer."""
    return [name for name, f in M.FUNCTIONS.items() if "*" not in f.source.partition("{")[0]]


@pytest.fixture(scope="session")
def library(tmp_path_factory: pytest.TempPathFactory) -> ctypes.CDLL:
    folder: Path = tmp_path_factory.mktemp("mathematics")
    source = folder / "all.c"
    source.write_text(M.definitions(M.FUNCTIONS) + "".join(map(_wrapper, _wrapped())))
    shared = folder / "all.so"
    command = [str(COMPILER), *FLAGS, "-shared", "-fPIC", "-nostdlib", str(source), "-o"]
    subprocess.run([*command, str(shared)], check=True)
    return ctypes.CDLL(str(shared))


def call(library: ctypes.CDLL, name: str, *arguments: Any) -> Any:
    result, types = _signature(name)
    numpy = {**TYPES, "unsigned short": np.dtype(np.uint16)}
    arrays = [np.ascontiguousarray(a, numpy[t]) for a, t in zip(arguments, types, strict=True)]
    out = np.empty(arrays[0].shape, numpy[result])
    pointers = [ctypes.c_void_p(a.ctypes.data) for a in (out, *arrays)]
    getattr(library, f"each_{name}")(ctypes.c_long(out.size), *pointers)
    return out


def samples(dtype: np.dtype[Any], count: int = 4000) -> Any:
    """Every binade, uniform and near-integer values, and what borders on the exceptional."""
    info = np.finfo(dtype)
    rng = np.random.default_rng(7)
    lowest, highest = np.log2(float(info.smallest_normal)), np.log2(float(info.max))
    spread = np.exp2(rng.uniform(lowest, highest - 1e-6, count))
    denormal = float(info.smallest_normal) * rng.uniform(0, 1, 50)
    near = np.concatenate([rng.uniform(0, top, count) for top in (1, 4, 30, 120, 800, 1e5)])
    whole = np.arange(0, 200) * 0.5
    turns = np.arange(1, 400) * (np.pi / 4)
    edges = [info.max, info.tiny, info.smallest_subnormal, np.inf, np.nan, 0.0, 1e-300, 1e300]
    with np.errstate(all="ignore"):
        x = np.concatenate([spread, denormal, near, whole, turns, edges]).astype(dtype)
        x = np.concatenate([x, np.nextafter(np.float64(1).astype(dtype), np.array([0, 2], dtype))])
    return np.concatenate([x, -x])


def pairs(dtype: np.dtype[Any]) -> tuple[Any, Any]:
    """Random pairs, pairs of small integers, and all pairs of exceptional values."""
    rng = np.random.default_rng(3)
    x = samples(dtype, 1500)
    y = rng.permutation(x)
    a, b = rng.integers(-40, 40, (2, 3000))
    odd = np.array([0, -0.0, 1, -1, 2, -3, 0.5, -0.5, 1e9, -1e9 - 1, np.inf, -np.inf, np.nan])
    first, second = np.meshgrid(odd, odd)
    x = np.concatenate([x, abs(x), a, 1 + 1e-5 * a, first.ravel()]).astype(dtype)
    y = np.concatenate([y, rng.permutation(y) % 37, b, b * 1e3, second.ravel()]).astype(dtype)
    return x, y


def ulps(got: Any, wanted: Any, dtype: np.dtype[Any]) -> Any:
    """Distance in units of the last place of ``wanted``; infinite where classes or signs differ."""
    with np.errstate(all="ignore"):
        rounded = wanted.astype(dtype)
        alike = (got == rounded) | (np.isnan(got) & np.isnan(rounded))
        alike &= (np.signbit(got) == np.signbit(rounded)) | np.isnan(rounded) | (got != 0)
        distance = abs(got.astype(wanted.dtype) - wanted) / abs(np.spacing(rounded))
        exact = np.where(got == 0, np.signbit(got) == np.signbit(wanted), True)
        finite = np.isfinite(got) & np.isfinite(rounded) & exact
    overflow = np.isinf(got) != np.isinf(rounded)  # the largest number against infinity
    edge = overflow & (np.isinf(got) | (abs(got) == np.finfo(dtype).max)) & ~np.isnan(got)
    edge &= ~np.isnan(rounded) & (abs(wanted) > float(np.finfo(dtype).max) * (1 - 1e-6))
    edge &= np.isfinite(wanted)
    return np.where(alike & ~finite, 0, np.where(finite, distance, np.where(edge, 1, np.inf)))


def worst(got: Any, wanted: Any, dtype: np.dtype[Any], *arguments: Any) -> tuple[float, str]:
    error = ulps(got, wanted, dtype)
    i = int(np.argmax(error))
    where = ", ".join(repr(a[i]) for a in arguments)
    return float(error[i]), f"{error[i]:.3g} ulp at ({where}): {got[i]!r}, not {wanted[i]!r}"


def wider(ctype: str) -> Any:
    return np.float64 if ctype == "float" else np.longdouble


@pytest.mark.parametrize("ctype", REALS)
class TestAccuracy:
    pytestmark = needs_compiler

    @pytest.mark.parametrize("operation", UNARY)
    def test_unary(self, library: ctypes.CDLL, operation: str, ctype: str) -> None:
        reference, *bounds = UNARY[operation]
        dtype = REALS[ctype]
        x = samples(dtype)
        with np.errstate(all="ignore"):
            wanted = reference(x.astype(wider(ctype)))
        error, message = worst(call(library, M.spelled(operation, ctype), x), wanted, dtype, x)
        assert error <= bounds[ctype == "double"], message

    def test_exponential_of_what_is_not_above_zero(self, library: ctypes.CDLL, ctype: str) -> None:
        dtype = REALS[ctype]
        x = -abs(samples(dtype))
        with np.errstate(all="ignore"):
            wanted = np.exp(x.astype(wider(ctype)))
        got = call(library, M.spelled("exp_of_negative", ctype), x)
        error, message = worst(got, wanted, dtype, x)
        assert error <= 1.1, message

    @pytest.mark.parametrize("operation", SPECIAL)
    def test_special(self, library: ctypes.CDLL, operation: str, ctype: str) -> None:
        reference, *bounds = SPECIAL[operation]
        dtype = REALS[ctype]
        x = samples(dtype)
        with np.errstate(all="ignore"):
            wanted = reference(x.astype(np.float64))
            # SciPy drops the sign of zero, flushes denormals and overflows early
            kept = (abs(wanted) > 1e-290) & (abs(wanted) < 1e290)
        x, wanted = x[kept], wanted[kept]
        error, message = worst(call(library, M.spelled(operation, ctype), x), wanted, dtype, x)
        assert error <= bounds[ctype == "double"], message

    @pytest.mark.parametrize("operation", BINARY)
    def test_binary(self, library: ctypes.CDLL, operation: str, ctype: str) -> None:
        reference, *bounds = BINARY[operation]
        dtype = REALS[ctype]
        x, y = pairs(dtype)
        with np.errstate(all="ignore"):
            wanted = reference(x.astype(wider(ctype)), y.astype(wider(ctype)))
        got = call(library, M.spelled(operation, ctype), x, y)
        error, message = worst(got, wanted, dtype, x, y)
        assert error <= bounds[ctype == "double"], message


# Those with loops, or of waves: in eps of double, beside the larger of the reference and ``scale``.
WAVES: dict[str, tuple[float, float]] = {
    "k0": (16, 0), "k0e": (16, 0), "k1": (16, 0), "k1e": (16, 0), "i0e": (16, 0), "i1e": (16, 0),
    "erfcx": (300, 0), "ndtri": (8, 0), "bessel_j0": (16, 0.5), "bessel_j1": (16, 0.5),
    "bessel_y0": (16, 0.5), "bessel_y1": (16, 0.5), "airy_ai": (1000, 0.05),
}  # fmt: skip
OF_TWO = {"gammainc": 900, "gammaincc": 900, "zeta": 40}

# operation -> reference in double; error relative to 1 + |reference|, which crosses zero
CROSSING = {"lgamma": special.gammaln, "digamma": special.psi}
EXACT = {
    "maximum": np.maximum,
    "minimum": np.minimum,
    "fmax": np.fmax,
    "fmin": np.fmin,
    "nextafter": np.nextafter,
    "remainder": np.remainder,
    "floor_divide": np.floor_divide,
}


@pytest.mark.parametrize("ctype", REALS)
class TestValues:
    pytestmark = needs_compiler

    @pytest.mark.parametrize("operation", CROSSING)
    def test_functions_that_cross_zero(
        self, library: ctypes.CDLL, operation: str, ctype: str
    ) -> None:
        x = np.concatenate([np.linspace(1e-3, 60, 5000), np.geomspace(1e-30, 1e30, 500)])
        x = np.concatenate([x, -np.linspace(0.01, 20, 999)]).astype(REALS[ctype])
        x = x[abs(x - np.rint(x)) > 1e-3]
        x = np.concatenate([x, np.arange(1, 40), [np.inf]]).astype(REALS[ctype])
        wanted = CROSSING[operation](x.astype(np.float64))
        got = call(library, M.spelled(operation, ctype), x)
        tolerance = 4 * np.finfo(REALS[ctype]).eps
        if ctype == "double":
            tolerance *= 100  # by reflection near a pole
        np.testing.assert_allclose(got, wanted, tolerance, tolerance)

    @pytest.mark.parametrize("operation", [*WAVES, *OF_TWO, *POLYNOMIALS])
    def test_special_functions(self, library: ctypes.CDLL, operation: str, ctype: str) -> None:
        dtype, rng = REALS[ctype], np.random.default_rng(1)
        odd = [0.0, -0.0, 0.5, 1, -1, 2, -2.5, 8, np.inf, -np.inf, np.nan, 1e5, 40]
        if operation in WAVES:
            bound, scale = WAVES[operation]
            x = np.concatenate([np.linspace(-30, 30, 4001), rng.uniform(0, 1, 1000), odd])
            x = np.concatenate([x, np.geomspace(1e-30, 100, 999)])
            arguments = [x[x != 1e5].astype(dtype)]  # where SciPy's phase is rounded
        elif operation in OF_TWO:
            bound, scale = OF_TWO[operation], 1e-100
            a = np.concatenate([rng.uniform(0, 60, 2000), 10 ** rng.uniform(-5, 5, 2000)])
            b = np.concatenate([rng.uniform(0, 60, 2000), a[2000:] * rng.uniform(0.9, 1.1, 2000)])
            edges = [e.ravel() for e in np.meshgrid(odd, odd)]
            arguments = [np.concatenate(p).astype(dtype) for p in zip((a, b), edges, strict=True)]
        else:
            bound, scale = 1e4, 1.0
            x = np.concatenate([rng.uniform(-1.1, 1.1, 4000), odd])
            arguments = [x.astype(dtype), rng.integers(-1, 25, x.shape).astype(dtype)]
        type_ = TensorType(arguments[0].shape, dt.float32 if ctype == "float" else dt.float64)
        wanted = OPERATIONS[operation].reference(type_, arguments)
        got = call(library, M.spelled(operation, ctype), *arguments)
        tolerance = bound * np.finfo(np.float64).eps + (2e-7 if ctype == "float" else 0)
        np.testing.assert_allclose(got, wanted, tolerance, tolerance * scale)

    def test_gamma_at_poles_and_edges(self, library: ctypes.CDLL, ctype: str) -> None:
        x = [0.0, -0.0, -1, -2, np.inf, -np.inf, np.nan]
        got = call(library, M.spelled("lgamma", ctype), x)
        np.testing.assert_array_equal(got, [np.inf] * 6 + [np.nan])
        got = call(library, M.spelled("digamma", ctype), x[:5])
        np.testing.assert_array_equal(got, [-np.inf, np.inf, np.nan, np.nan, np.inf])

    @pytest.mark.parametrize("operation", EXACT)
    def test_exact(self, library: ctypes.CDLL, operation: str, ctype: str) -> None:
        x, y = pairs(REALS[ctype])
        if operation in ("remainder", "floor_divide"):  # PyTorch divides by 0 and infinity its way
            kept = np.isfinite(x) & np.isfinite(y) & (y != 0)
            x, y = x[kept], y[kept]
        with np.errstate(all="ignore"):
            wanted = EXACT[operation](x, y)
        np.testing.assert_array_equal(call(library, M.spelled(operation, ctype), x, y), wanted)

    def test_division_at_the_edges_is_pytorch_s(self, library: ctypes.CDLL, ctype: str) -> None:
        torch = pytest.importorskip("torch")
        edges = [0.0, -0.0, 1.5, -1.5, np.inf, -np.inf, np.nan, 7, -7]
        x, y = (a.ravel().astype(REALS[ctype]) for a in np.meshgrid(edges, edges))
        for operation in ("remainder", "floor_divide", "fmod"):
            wanted = getattr(torch, operation)(torch.tensor(x), torch.tensor(y)).numpy()
            got = call(library, M.spelled(operation, ctype), x, y)
            np.testing.assert_array_equal(got, wanted, operation)

    def test_logaddexp(self, library: ctypes.CDLL, ctype: str) -> None:
        x, y = pairs(REALS[ctype])
        with np.errstate(all="ignore"):
            wanted = np.logaddexp(x.astype(wider(ctype)), y.astype(wider(ctype)))
            wanted = wanted.astype(REALS[ctype])
            got = call(library, M.spelled("logaddexp", ctype), x, y)
            scale = np.fmax(1, np.fmax(np.fmin(abs(x), abs(y)), abs(wanted)))
            close = abs(got - wanted) <= 2 * np.finfo(REALS[ctype]).eps * scale
        assert (close | (got == wanted) | (np.isnan(got) & np.isnan(wanted))).all()

    def test_classes_and_sign(self, library: ctypes.CDLL, ctype: str) -> None:
        x = samples(REALS[ctype])
        for operation in ("isnan", "isinf", "isfinite"):
            got = call(library, M.spelled(operation, ctype), x)
            np.testing.assert_array_equal(got, getattr(np, operation)(x))
        got = call(library, M.spelled("sign", ctype), x)
        np.testing.assert_array_equal(got, np.nan_to_num(np.sign(x)))

    def test_casts_do_as_x86(self, library: ctypes.CDLL, ctype: str) -> None:
        x = np.array([0, -0.9, 1.9, -1.9, 127.5, 128, 200, 255.9, 256, -129, 40000, -70000, 2.0**31,
                      -(2.0**31), 2.0**40 + 2**20, 2.0**63, -(2.0**63), 1e30, np.inf, -np.inf,
                      np.nan], REALS[ctype])  # fmt: skip

        def converted(value: float, bits: int) -> int:
            fits = np.isfinite(value) and -(2 ** (bits - 1)) <= value < 2 ** (bits - 1)
            return int(value) if fits else -(2 ** (bits - 1))

        for short, dtype, bits in (("i8", "i1", 32), ("i16", "i2", 32), ("i32", "i4", 32),
                                   ("i64", "i8", 64), ("u8", "u1", 64)):  # fmt: skip
            wanted = np.array([converted(v, bits) for v in x.tolist()]).astype(dtype)
            got = call(library, f"lt_to_{short}_{'f32' if ctype == 'float' else 'f64'}", x)
            np.testing.assert_array_equal(got, wanted, short)


@pytest.mark.parametrize("ctype", INTEGERS)
class TestIntegers:
    pytestmark = needs_compiler

    def operands(self, ctype: str) -> tuple[list[int], list[int]]:
        info = np.iinfo(INTEGERS[ctype])
        values = [0, 1, 2, 3, 7, 11, info.max, info.max - 1, info.min, info.min + 1]
        values += [-1, -2, -5] if info.min else []
        return [a for a in values for _ in values], values * len(values)

    def check(self, library: ctypes.CDLL, operation: str, ctype: str, rule: Any) -> None:
        x, y = self.operands(ctype)
        info = np.iinfo(INTEGERS[ctype])
        span = int(info.max) - int(info.min) + 1
        wanted = [
            (rule(a, b) - int(info.min)) % span + int(info.min) for a, b in zip(x, y, strict=True)
        ]
        got = call(library, M.spelled(operation, ctype), x, y)
        np.testing.assert_array_equal(got, np.array(wanted, INTEGERS[ctype]), operation)

    def test_division(self, library: ctypes.CDLL, ctype: str) -> None:
        def towards_zero(a: int, b: int) -> int:
            return (abs(a) // abs(b)) * (1 if (a < 0) == (b < 0) else -1) if b else 0

        self.check(library, "floor_divide", ctype, lambda a, b: a // b if b else 0)
        self.check(library, "remainder", ctype, lambda a, b: a % b if b else 0)
        self.check(library, "trunc_divide", ctype, towards_zero)
        self.check(library, "fmod", ctype, lambda a, b: a - b * towards_zero(a, b) if b else 0)

    def test_power(self, library: ctypes.CDLL, ctype: str) -> None:
        def power(a: int, b: int) -> int:
            if b >= 0:
                return pow(a, b, 2**64)
            return {1: 1, -1: -1 if b % 2 else 1}.get(a, 0)

        self.check(library, "pow", ctype, power)

    def test_sign_magnitude_order(self, library: ctypes.CDLL, ctype: str) -> None:
        self.check(library, "maximum", ctype, max)
        self.check(library, "minimum", ctype, min)
        x = np.array(self.operands(ctype)[1], INTEGERS[ctype])
        np.testing.assert_array_equal(call(library, M.spelled("abs", ctype), x), abs(x))
        np.testing.assert_array_equal(call(library, M.spelled("sign", ctype), x), np.sign(x))


class TestBfloat16:
    pytestmark = needs_compiler

    def test_every_bfloat16_returns(self, library: ctypes.CDLL) -> None:
        bits = np.arange(65536, dtype=np.uint32)
        wide = call(library, "lt_bf16_to_f32", bits)
        np.testing.assert_array_equal(wide.view(np.uint32), bits << 16)
        back = call(library, "lt_f32_to_bf16", wide)
        np.testing.assert_array_equal(back, np.where(np.isnan(wide), 0x7FC0, bits))

    def test_rounds_to_nearest_even(self, library: ctypes.CDLL) -> None:
        bits = np.array([0x3F808000, 0x3F818000, 0x3F808001, 0x3F807FFF, 0x7F7FFFFF], np.uint32)
        got = call(library, "lt_f32_to_bf16", bits.view(np.float32))
        assert got.tolist() == [0x3F80, 0x3F82, 0x3F81, 0x3F80, 0x7F80]


class TestText:
    def test_definitions_come_once_and_after_what_they_need(self) -> None:
        text = M.definitions([*M.FUNCTIONS, *reversed(M.FUNCTIONS)])
        for name, f in M.FUNCTIONS.items():
            assert text.count(f.source) == 1
            for needed in f.needs:
                assert text.index(M.FUNCTIONS[needed].source) < text.index(f.source), name

    def test_definitions_of_none_are_empty(self) -> None:
        assert M.definitions([]) == ""

    def test_spelled(self) -> None:
        assert M.spelled("exp", "float") == "lt_exp_f32"
        assert M.spelled("floor_divide", "unsigned char") == "lt_floor_divide_u8"
        with pytest.raises(KeyError, match="exp"):
            M.spelled("exp", "int")

    def test_no_header_is_included(self) -> None:
        assert "#include" not in M.definitions(M.FUNCTIONS)
