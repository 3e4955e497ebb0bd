"""Tensors of real PyTorch as ours and back, for tests that compare the two."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs real PyTorch")

from devices import FUNCTIONS as DEVICE  # noqa: E402

from codegen import dtype as dt  # noqa: E402
from codegen.ir.node import TensorType  # noqa: E402
from lazytorch.functions.registration import PUBLIC  # noqa: E402
from lazytorch.realize import realize  # noqa: E402
from lazytorch.storage import from_array  # noqa: E402
from lazytorch.tensor import Tensor  # noqa: E402

# Results computed together. The first run of a very large plan is interpreted, whatever the device.
PLAN = 24
_OURS = {getattr(torch, d.name.rstrip("_")): d for d in dt.ALL}
_THEIRS = {d: t for t, d in _OURS.items()}
# Those that functions are asked to compute with.
DTYPES = {t: d for t, d in _OURS.items() if d not in dt.WIDE_UNSIGNED}
TOLERANCE = {
    torch.float16: (2e-3, 1e-3), torch.bfloat16: (2e-2, 1e-2), torch.float32: (2e-5, 1e-6),
    torch.float64: (1e-9, 1e-11),
}  # fmt: skip


def _bare(array: Any, type_: TensorType) -> Tensor:
    made: Tensor = object.__new__(Tensor)
    made._storage, made._type = from_array(array, type_, DEVICE), type_
    return made


def ours(x: Any) -> Any:
    """A real PyTorch tensor as ours (requires_grad and layout kept); anything else unchanged."""
    if isinstance(x, (tuple, list)):
        return type(x)(ours(e) for e in x)
    if isinstance(x, torch.dtype):
        return _OURS[x]
    if not isinstance(x, torch.Tensor):
        return x
    dtype, value = _OURS[x.dtype], x.detach().clone()
    if value.dtype is torch.bfloat16:
        array = value.contiguous().view(torch.int16).numpy().view(np.uint16)
    else:
        array = value.contiguous().numpy()
    made = _bare(array, TensorType(tuple(x.shape), dtype))
    if not x.is_contiguous():
        # The same elements, read through a transposing view.
        order = sorted(range(x.ndim), key=lambda i: -x.stride(i))
        base = np.ascontiguousarray(array.transpose(order))
        whole = _bare(base, TensorType(base.shape, dtype))
        strides = [0] * x.ndim
        for place, axis in enumerate(order):
            strides[axis] = int(np.prod(base.shape[place + 1 :]))
        made = whole._view(x.shape, strides, 0)
    return made.requires_grad_() if x.requires_grad else made


def theirs(x: Any) -> Any:
    """One of our tensors as a real PyTorch one, values only; tuples element by element."""
    if isinstance(x, (tuple, list)):
        return tuple([theirs(e) for e in x])
    if not isinstance(x, Tensor):
        return x
    array = np.array(x._float_array())
    return torch.from_numpy(array).to(_THEIRS[x.dtype])


def same(found: Any, expected: Any, tolerance: float = 1.0) -> None:
    """Assert equal shape, dtype and values (NaN equal to NaN, within the dtype's tolerance)."""
    if isinstance(expected, (tuple, list)):
        assert len(found) == len(expected)
        for f, e in zip(found, expected, strict=True):
            same(f, e, tolerance)
        return
    if not isinstance(expected, torch.Tensor):
        assert found == expected and type(found) is type(expected)
        return
    value, expected = theirs(found), expected.detach()
    assert value.shape == expected.shape, (value.shape, expected.shape)
    assert value.dtype == expected.dtype, (value.dtype, expected.dtype)
    relative, absolute = TOLERANCE.get(expected.dtype, (0.0, 0.0))
    torch.testing.assert_close(
        value, expected, rtol=relative * tolerance, atol=absolute * tolerance, equal_nan=True
    )


def attempt(function: Any, *args: Any, **kwargs: Any) -> Any:
    """The result, or the exception where one is raised."""
    try:
        return function(*args, **kwargs)
    except Exception as error:
        return error


def compare_call(name: str, *args: Any, **kwargs: Any) -> None:
    """torch.NAME on these PyTorch arguments: ours gives the same result or raises alike."""
    expected = attempt(getattr(torch, name), *args, **kwargs)
    found = attempt(PUBLIC[name], *map(ours, args), **{k: ours(v) for k, v in kwargs.items()})
    compare_outcomes(found, expected)


def compare_calls(name: str, cases: Sequence[tuple[Any, ...]]) -> None:
    """``compare_call`` of many arguments, many of our results computed by one plan."""
    expected = [attempt(getattr(torch, name), *case) for case in cases]
    found = [attempt(PUBLIC[name], *map(ours, case)) for case in cases]
    pending = [x._storage.expression for x in found if isinstance(x, Tensor)]
    for start in range(0, len(pending), PLAN):
        realize(pending[start : start + PLAN])
    for mine, other in zip(found, expected, strict=True):
        compare_outcomes(mine, other)


def compare_outcomes(found: Any, expected: Any) -> None:
    """Same values, or an exception of the same kind."""
    if isinstance(expected, Exception):
        assert isinstance(found, Exception), f"no error, but PyTorch raises {expected!r}"
        assert isinstance(found, type(expected)), (found, expected)
    elif isinstance(found, Exception):
        raise found
    else:
        same(found, expected)
