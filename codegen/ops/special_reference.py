"""NumPy references of element-wise operations that NumPy itself lacks or defines otherwise."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from codegen.ir.node import TensorType

Array = NDArray[Any]


def floor_divide(x: Array, y: Array) -> Array:
    """Rounded towards minus infinity; integers divided by 0 give 0, floats ±inf or NaN."""
    if x.dtype.kind == "f":
        return np.where(y == 0, x / y, np.floor_divide(x, y))
    return np.where(y == 0, 0, np.floor_divide(x, np.where(y == 0, 1, y)))


def trunc_divide(x: Array, y: Array) -> Array:
    """Integers divided and rounded towards zero; 0 where the divisor is 0."""
    divisor = np.where(y == 0, 1, y)
    quotient = np.floor_divide(x, divisor)
    inexact = (quotient * divisor != x) & ((x < 0) != (divisor < 0))
    return np.where(y == 0, 0, quotient + inexact)


def fmod(x: Array, y: Array) -> Array:
    """The rest of truncated division, with the dividend's sign; integers modulo 0 give 0."""
    if x.dtype.kind == "f":
        return np.asarray(np.fmod(x, y))
    return np.where(y == 0, 0, np.fmod(x, np.where(y == 0, 1, y)))


def power(x: Array, y: Array) -> Array:
    """x ** y; of integers to a negative power only those of 1 and -1 are not 0."""
    if x.dtype.kind == "f":
        return np.asarray(np.power(x, y))
    inverse = np.where(x == 1, 1, np.where(x == -1, np.where(y & 1, -1, 1), 0))
    return np.where(y < 0, inverse, np.power(x, np.where(y < 0, 0, y)))


def remainder(x: Array, y: Array) -> Array:
    """The rest of floor division, with the divisor's sign; integers modulo 0 give 0."""
    if x.dtype.kind == "f":
        return np.asarray(np.remainder(x, y))
    return np.where(y == 0, 0, np.remainder(x, np.where(y == 0, 1, y)))


def _by_element(function: Any) -> Any:
    def apply(x: Array) -> Array:
        flat = [function(float(v)) for v in x.ravel()]
        return np.array(flat, dtype=x.dtype).reshape(x.shape)

    return apply


def _lgamma(x: float) -> float:
    try:
        return math.lgamma(x)
    except (ValueError, OverflowError):
        return math.nan if x != x else math.inf


def _digamma(x: float) -> float:
    """Recurrence up to 10, then the asymptotic series (Abramowitz & Stegun 6.3.18)."""
    if x != x or x == -math.inf:
        return math.nan
    if x == 0:
        return math.copysign(math.inf, -x)
    if x < 0:
        if x == math.floor(x):
            return math.nan
        return _digamma(1 - x) - math.pi / math.tan(math.pi * x)
    total = 0.0
    while x < 10:
        total -= 1 / x
        x += 1
    if x == math.inf:
        return math.inf
    inverse = 1 / (x * x)
    series = 1 / 12 - inverse * (
        1 / 120 - inverse * (1 / 252 - inverse * (1 / 240 - inverse / 132))
    )
    return total + math.log(x) - 0.5 / x - inverse * series


def _erfinv(y: float) -> float:
    """Giles' approximation (2012) polished by two Newton steps."""
    if not -1 <= y <= 1:
        return math.nan
    if abs(y) == 1:
        return math.copysign(math.inf, y)
    w = -math.log((1 - y) * (1 + y))
    x = y * math.sqrt(math.pi) / 2 if w < 1e-4 else _erfinv_start(y, w)
    for _ in range(3):
        x -= (math.erf(x) - y) / (2 / math.sqrt(math.pi) * math.exp(-x * x))
    return x


def _erfinv_start(y: float, w: float) -> float:
    if w < 5:
        w -= 2.5
        coefficients = (
            2.81022636e-08, 3.43273939e-07, -3.5233877e-06, -4.39150654e-06, 0.00021858087,
            -0.00125372503, -0.00417768164, 0.246640727, 1.50140941,
        )  # fmt: skip
    else:
        w = math.sqrt(w) - 3
        coefficients = (
            -0.000200214257, 0.000100950558, 0.00134934322, -0.00367342844, 0.00573950773,
            -0.0076224613, 0.00943887047, 1.00167406, 2.83297682,
        )  # fmt: skip
    p = 0.0
    for c in coefficients:
        p = p * w + c
    return p * y


erf = _by_element(math.erf)
erfc = _by_element(math.erfc)
erfinv = _by_element(_erfinv)
lgamma = _by_element(_lgamma)
digamma = _by_element(_digamma)


def sigmoid(x: Array) -> Array:
    """1 / (1 + exp(-x)), which is 0 where the exponential overflows."""
    with np.errstate(over="ignore"):
        return 1 / (1 + np.exp(-x))


def round_to_bfloat16(x: Array) -> Array:
    """float32 rounded to the nearest bfloat16 (ties to even), still as float32."""
    return bfloat16_to_float32(float32_to_bfloat16(x))


def float32_to_bfloat16(x: Array) -> Array:
    """The 16 bits of the nearest bfloat16, NaN kept."""
    bits = np.ascontiguousarray(x, dtype=np.float32).view(np.uint32)
    rounded = ((bits + (0x7FFF + ((bits >> 16) & 1)).astype(np.uint32)) >> 16).astype(np.uint16)
    return np.where(np.isnan(x), np.uint16(0x7FC0), rounded).reshape(np.shape(x))


def bfloat16_to_float32(bits: Array) -> Array:
    """bfloat16 bits (uint16) as float32."""
    return (np.asarray(bits).astype(np.uint32) << 16).view(np.float32)


def cast(x: Array, type_: TensorType) -> Array:
    """Conversion to the interpreter's form of a type; out-of-range floats as x86 C does."""
    target = type_.dtype
    with np.errstate(all="ignore"):
        if target.name == "bfloat16":
            return round_to_bfloat16(x.astype(np.float32))
        if x.dtype.kind == "f" and target.kind == "int":
            if target.name == "uint64":
                high = x >= 2.0**63
                rest = _least_where_too_large(np.where(high, x - np.asarray(2.0**63, x.dtype), x))
                return rest.astype(np.uint64) + (high.astype(np.uint64) << np.uint64(63))
            if target.name == "uint32":
                return _least_where_too_large(x).astype(np.uint32)
            wide = np.int32 if target.itemsize < 4 else target.numpy
            limit = 2.0 ** (np.dtype(wide).itemsize * 8 - 1)
            fits = (x >= -limit) & (x < limit)
            safe = np.where(fits, x, 0).astype(wide)
            return np.where(fits, safe, np.iinfo(wide).min).astype(target.numpy)
        return x.astype(target.numpy)


def _least_where_too_large(x: Array) -> Array:
    """Floats as int64; the least integer for NaN and what does not fit."""
    fits = (x >= -(2.0**63)) & (x < 2.0**63)
    return np.where(fits, np.where(fits, x, 0).astype(np.int64), np.iinfo(np.int64).min)


_ROTATIONS = ((13, 15, 26, 6), (17, 29, 16, 24))


def threefry(seed: Array, stream: Array, counter: Array) -> Array:
    """Threefry-2x32 with 20 rounds: the first output word, as int32."""
    key = [_word(seed, 0), _word(seed, 32)]
    key.append(key[0] ^ key[1] ^ np.uint32(0x1BD11BDA))
    high = _word(counter, 32) ^ _word(stream, 0)
    a: Array = _word(counter, 0) + key[0]
    b: Array = high + key[1]
    for group in range(5):
        for rotation in _ROTATIONS[group % 2]:
            a = a + b
            b = (b << np.uint32(rotation)) | (b >> np.uint32(32 - rotation))
            b = b ^ a
        a = a + key[(group + 1) % 3]
        b = b + key[(group + 2) % 3] + np.uint32(group + 1)
    return a.view(np.int32)


def _word(x: Array, shift: int) -> Array:
    return ((np.asarray(x).astype(np.uint64) >> np.uint64(shift)) & np.uint64(0xFFFFFFFF)).astype(
        np.uint32
    )
