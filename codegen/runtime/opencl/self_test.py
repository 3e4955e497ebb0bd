"""A device's first use: one plan with kernels of every kind, compared with the interpreter.

What came out is remembered on disk for the driver, so a later process reads one small file.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Callable, Sequence

import numpy as np

from codegen import dtype as dt
from codegen.errors import CodegenError
from codegen.ir.node import Node, TensorType
from codegen.ops import elementwise as ew
from codegen.ops import indexing, reduction
from codegen.ops.leaves import parameter
from codegen.ops.registry import Array
from codegen.ops.sort import sort
from codegen.runtime import cache
from codegen.runtime.opencl.device import Device
from codegen.runtime.plan import engine_fingerprint

# Runs a graph's parameters, outputs and values on the device, and on the interpreter.
Runs = Callable[[Sequence[Node], Sequence[Node], Sequence[Array]], tuple[list[Array], list[Array]]]

_sound: set[str] = set()  # drivers that this process knows to be so


class WrongDeviceError(CodegenError):
    """A device's driver computes wrongly, or its compiler does."""


def check_device(device: Device, run_both: Runs) -> None:
    """WrongDeviceError where kernels of the device do not compute what the interpreter does."""
    key = _key(device)
    if key in _sound:
        return
    path = cache.cache_path(f"self-test-{key}")
    data = cache.read_checked(path)
    problem = json.loads(data) if data is not None else None
    if problem is None:
        _sound.add(key)  # what runs now is a plan of this device
        try:
            problem = _problem(run_both, device.has_double)
        except device.opencl.Error as error:
            problem = f"a kernel cannot be run ({error})"
        finally:
            _sound.discard(key)
        with contextlib.suppress(OSError):  # then it is found out again
            cache.write_checked(path, json.dumps(problem).encode())
    if problem:
        raise WrongDeviceError(
            f"{device.name} ({device.description}) computes wrongly: {problem}. Install another "
            "version of its driver, or use another device; the answer is remembered in "
            f"{path} for this driver."
        )
    _sound.add(key)


def _key(device: Device) -> str:
    parts = (device.fingerprint, str(device.on_host), engine_fingerprint())
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:32]


def _problem(run_both: Runs, has_double: bool) -> str:
    names, parameters, outputs, arrays = _cases(has_double)
    found, wanted = run_both(parameters, outputs, arrays)
    for name, got, want in zip(names, found, wanted, strict=True):
        exact = want.dtype.kind in "iub"
        tolerance = 1e-11 if want.dtype == np.float64 else 3e-5
        if exact:
            wrong = got != want
        else:
            wrong = ~np.isclose(got, want, rtol=tolerance, atol=tolerance, equal_nan=True)
        if wrong.any():
            place = tuple(int(i[0]) for i in np.nonzero(np.atleast_1d(wrong)))
            bad, good = np.atleast_1d(got)[place], np.atleast_1d(want)[place]
            return f"{name} gives {bad!r} for {good!r} at {place}"
    return ""


def _cases(has_double: bool) -> tuple[list[str], list[Node], list[Node], list[Array]]:
    """The kernels' names, and one graph of them all with its values."""
    draws = np.random.default_rng(20)
    parameters: list[Node] = []
    arrays: list[Array] = []

    def given(array: Array, dtype: dt.DType) -> Node:
        parameters.append(parameter(len(parameters), TensorType(array.shape, dtype)))
        arrays.append(array)
        return parameters[-1]

    def numbers(*shape: int) -> Array:
        return draws.standard_normal(shape).astype(np.float32)

    x = given(numbers(37, 70), dt.float32)
    y = given(numbers(70, 45), dt.float32)
    long_row = given(numbers(3, 5000), dt.float32)
    special = given(np.array([np.nan, np.inf, -np.inf, -0.0, 1e-40, 3e38], np.float32), dt.float32)
    integers = given(draws.integers(-(1 << 40), 1 << 40, (500,)), dt.int64)
    small = given(draws.integers(-100, 100, (500,)).astype(np.int32), dt.int32)
    places = given(draws.integers(0, 37, (50,)), dt.int64)
    few = given(draws.integers(-9, 9, (50,)).astype(np.int32), dt.int32)
    half = ew.cast(x, dt.float16)
    tall = reduction.broadcast(x, (37, 70, 45), (0, 1))
    wide = reduction.broadcast(y, (37, 70, 45), (1, 2))
    rows = reduction.expand_back(reduction.max_(x, (1,)), (37, 70), (1,))
    weights = ew.exp(ew.sub(x, rows))
    cases = {
        "exp": ew.exp(x),
        "log": ew.log(ew.abs_(x)),
        "division": ew.div(x, ew.add(ew.abs_(x), ew.full_like(x, 0.5))),
        "NaN and infinities": ew.where(ew.lt(special, ew.full_like(special, 0)), special,
                                       ew.add(special, special)),
        "64-bit integers": ew.mul(integers, integers),
        "32-bit integers": ew.add(ew.mul(small, small), small),
        "bfloat16": ew.cast(ew.cast(x, dt.bfloat16), dt.float32),
        "float16": ew.cast(ew.mul(half, half), dt.float32),
        "random bits": ew.cast(ew.threefry(
            integers, ew.full_like(integers, 3), ew.full_like(integers, 5)), dt.int64),
        "softmax": ew.div(weights, reduction.expand_back(
            reduction.sum_(weights, (1,)), (37, 70), (1,))),
        "sum of a long row": reduction.sum_(long_row, (1,)),
        "argmax": reduction.argmax(long_row, 1),
        "cumsum": reduction.cumsum(small, 0),
        "product of matrices": reduction.sum_(ew.mul(tall, wide), (1,)),
        "gather": indexing.gather(small, places, 0),
        "scatter": indexing.scatter(small, places, few, "add", 0),
        "sort": sort(few, 0, False)[0],
    }  # fmt: skip
    if has_double:
        double = given(draws.standard_normal(300), dt.float64)
        cases["float64"] = ew.exp(double)
    return list(cases), parameters, list(cases.values()), arrays
