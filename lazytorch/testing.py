"""``torch.testing``: comparisons for tests, and tensors to test with."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from codegen import dtype as dt
from codegen.dtype import DType
from lazytorch.dtypes import finfo
from lazytorch.functions import conversion, data, random
from lazytorch.tensor import Tensor

__all__ = ["assert_allclose", "assert_close", "make_tensor"]

# Relative and absolute tolerance by element type, as PyTorch's; others are compared exactly.
_TOLERANCES = {
    dt.float16: (1e-3, 1e-5), dt.bfloat16: (1.6e-2, 1e-5), dt.float32: (1.3e-6, 1e-5),
    dt.float64: (1e-7, 1e-7),
}  # fmt: skip


def assert_close(
    actual: Any,
    expected: Any,
    *,
    allow_subclasses: bool = True,
    rtol: float | None = None,
    atol: float | None = None,
    equal_nan: bool = False,
    check_device: bool = True,
    check_dtype: bool = True,
    check_layout: bool = True,
    check_stride: bool = False,
    msg: str | Callable[[str], str] | None = None,
) -> None:
    """Raise AssertionError unless ``|actual - expected| <= atol + rtol * |expected|`` everywhere.

    Tensors, arrays, numbers, and sequences and mappings of them. ``rtol`` and ``atol`` are given
    together, or chosen by element type; of two types by the looser one.

    >>> torch.testing.assert_close([torch.ones(2)], [torch.ones(2) + 1e-7])
    """
    if (rtol is None) != (atol is None):
        raise ValueError("rtol and atol must both be specified or both be unspecified")
    checks = (check_device, check_dtype, check_layout, check_stride)
    _compare(actual, expected, (rtol, atol, equal_nan, allow_subclasses, checks, msg), "")


def _compare(actual: Any, expected: Any, options: tuple[Any, ...], place: str) -> None:
    msg = options[-1]

    def fail(text: str, kind: type[Exception] = AssertionError) -> Exception:
        text += f"\n\nThe failure occurred for item {place}" if place else ""
        return kind(text if msg is None else msg(text) if callable(msg) else msg)

    if isinstance(actual, Mapping) and isinstance(expected, Mapping):
        if actual.keys() != expected.keys():
            missing = sorted(set(expected) - set(actual))
            extra = sorted(set(actual) - set(expected))
            raise fail(
                "The keys of the mappings do not match:\n"
                f"Missing keys in the actual mapping: {missing}\n"
                f"Additional keys in the actual mapping: {extra}"
            )
        for key in actual:
            _compare(actual[key], expected[key], options, f"{place}[{key!r}]")
        return
    sequences = (Sequence, tuple, list)
    if isinstance(actual, sequences) and not isinstance(actual, str):
        if not isinstance(expected, sequences):
            raise fail(_unrelated(actual, expected), TypeError)
        if len(actual) != len(expected):
            raise fail(f"The length of the sequences mismatch: {len(actual)} != {len(expected)}")
        for i, (a, e) in enumerate(zip(actual, expected, strict=True)):
            _compare(a, e, options, f"{place}[{i}]")
        return
    if actual is None or expected is None:
        if actual is not expected:
            raise fail(f"None mismatch: {actual} is not {expected}")
        return
    related = isinstance(actual, type(expected)) or isinstance(expected, type(actual))
    numbers = isinstance(actual, (int, float)) and isinstance(expected, (int, float))
    if not (numbers or (related and (options[3] or type(actual) is type(expected)))):
        raise fail(_unrelated(actual, expected), TypeError)
    fault = (_number_fault if numbers else _tensor_fault)(actual, expected, options)
    if fault:
        raise fail(fault)


def _unrelated(actual: Any, expected: Any) -> str:
    return (
        f"No comparison pair was able to handle inputs of type {type(actual)} and {type(expected)}."
    )


def _number_fault(actual: float, expected: float, options: tuple[Any, ...]) -> str:
    rtol, atol, equal_nan, _, checks, _ = options
    if checks[1] and type(actual) is not type(expected):
        return f"The (d)types do not match: {type(actual)} != {type(expected)}."
    if rtol is None:
        floats = isinstance(actual, float) or isinstance(expected, float)
        rtol, atol = (1e-7, 1e-7) if floats else (0.0, 0.0)
    if np.isclose(actual, expected, rtol, atol, equal_nan):
        return ""
    difference = abs(actual - expected)
    kind = "Scalars are not equal" if not (rtol or atol) else "Scalars are not close"
    relative = difference / abs(expected) if expected else float("inf")
    return (
        f"{kind}!\n\nExpected {expected} but got {actual}.\n"
        f"Absolute difference: {difference}{_allowed(atol, rtol or atol)}\n"
        f"Relative difference: {relative}{_allowed(rtol, rtol or atol)}"
    )


def _allowed(tolerance: float, shown: float) -> str:
    return f" (up to {tolerance} allowed)" if shown else ""


def _tensor_fault(actual: Any, expected: Any, options: tuple[Any, ...]) -> str:
    rtol, atol, equal_nan, _, (devices, types, layouts, strides), _ = options
    if isinstance(actual, np.ndarray):
        actual, expected = data.as_tensor(actual), data.as_tensor(expected)
    compared = [("shape", True), ("layout", layouts), ("device", devices), ("dtype", types)]
    for name, wanted in compared:
        a, e = getattr(actual, name), getattr(expected, name)
        if wanted and a != e:
            return f"The values for attribute {name!r} do not match: {a} != {e}."
    if strides and actual.stride() != expected.stride():
        return (
            "The values for attribute 'stride()' do not match: "
            f"{actual.stride()} != {expected.stride()}."
        )
    if rtol is None:
        found = [_TOLERANCES.get(t.dtype, (0.0, 0.0)) for t in (actual, expected)]
        rtol, atol = (max(pair) for pair in zip(*found, strict=True))
    a, e = (np.asarray(t.detach().to_dense().cpu()._float_array()) for t in (actual, expected))
    exact = a.dtype.kind in "biu" and e.dtype.kind in "biu"
    kind = np.dtype(np.int64) if exact else np.result_type(a, e)
    a, e = a.astype(kind), e.astype(kind)
    close = np.isclose(a, e, rtol, atol, equal_nan)
    if close.all():
        return ""
    if a.ndim == 0:
        return _number_fault(
            actual.item(), expected.item(), (rtol, atol, equal_nan, None, (False,) * 4, None)
        )
    wrong = ~close
    with np.errstate(all="ignore"):
        absolute = np.where(wrong, abs(a - e), 0)
        quotient = abs(a - e) / abs(e)
        relative = np.where(wrong, quotient.astype(np.float32) if exact else quotient, 0)
    lines = [f"Tensor-likes are not {'close' if rtol or atol else 'equal'}!", ""]
    lines.append(
        f"Mismatched elements: {wrong.sum()} / {wrong.size} ({wrong.sum() / wrong.size:.1%})"
    )
    for title, values, allowed in (
        ("absolute", absolute, atol), ("relative", relative, rtol),
    ):  # fmt: skip
        place = np.unravel_index(int(np.argmax(values)), values.shape)
        index = tuple(int(i) for i in place)
        lines.append(
            f"Greatest {title} difference: {values[place].item()} at index {index}"
            f"{_allowed(allowed, rtol or atol)}"
        )
    return "\n".join(lines)


def assert_allclose(
    actual: Any,
    expected: Any,
    rtol: float | None = None,
    atol: float | None = None,
    equal_nan: bool = True,
    msg: str = "",
) -> None:
    """The former ``assert_close``: devices and element types may differ."""
    actual, expected = (x if isinstance(x, Tensor) else data.tensor(x) for x in (actual, expected))
    if rtol is None and atol is None:
        pairs = [_TOLERANCES.get(x.dtype, (0.0, 0.0)) for x in (actual, expected)]
        rtol, atol = (max(pair) for pair in zip(*pairs, strict=True))
    assert_close(
        actual, expected, rtol=rtol, atol=atol, equal_nan=equal_nan, check_device=False,
        check_dtype=False, msg=msg or None,
    )  # fmt: skip


def make_tensor(
    *shape: Any,
    dtype: DType,
    device: Any = "cpu",
    low: float | None = None,
    high: float | None = None,
    requires_grad: bool = False,
    noncontiguous: bool = False,
    exclude_zero: bool = False,
    memory_format: Any = None,
) -> Tensor:
    """Random elements in [low, high): by default [-9, 9) for floats, [-9, 10) for signed integers,
    [0, 10) for bytes, [0, 2) for bools.

    >>> torch.testing.make_tensor(2, 3, dtype=torch.int64, device="cpu", low=3, high=4)
    tensor([[3, 3, 3],
            [3, 3, 3]])
    """
    if len(shape) == 1 and isinstance(shape[0], Sequence):
        shape = tuple(shape[0])
    size = list(shape)
    stretched = noncontiguous and int(np.prod(size)) > 1
    if stretched:
        size[-1] *= 2
    if dtype.kind == "float":
        limits = finfo(dtype)
        first = max(-9 if low is None else low, limits.min)
        last = min(9 if high is None else high, limits.max)
        made = random.rand(size, dtype=dt.float64) * (last - first) + first
    else:
        lowest, end = {"bool": (0, 2), "uint8": (0, 10)}.get(dtype.name.rstrip("_"), (-9, 10))
        first = lowest if low is None else int(np.ceil(low))
        made = random.randint(
            first, end if high is None else int(np.ceil(high)), size, dtype=dt.int64
        )
    made = conversion.to(made, device, dtype)
    if stretched:
        made = made[..., ::2]
    if exclude_zero:
        made[made.eq(0)] = 1 if dtype.kind != "float" else finfo(dtype).tiny
    return made._require_grad_() if requires_grad else made
