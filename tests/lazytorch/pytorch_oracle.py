"""Running one expression here and in real PyTorch, and comparing what comes out."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

import lazytorch

torch = pytest.importorskip("torch", reason="needs real PyTorch")


def values(x: Any) -> Any:
    """A tensor of either library as an array."""
    x = x.detach()
    if str(x.dtype) == "torch.bfloat16":
        x = x.float()
    return np.array(x.numpy())


def assert_same(ours: Any, theirs: Any, tolerance: float = 0.0, strides: bool = False) -> None:
    """Equal in structure, shape, dtype and values (up to a relative ``tolerance``)."""
    if isinstance(theirs, torch.Tensor):
        assert isinstance(ours, lazytorch.Tensor), (ours, theirs)
        assert tuple(ours.shape) == tuple(theirs.shape)
        assert repr(ours.dtype) == repr(theirs.dtype)
        if strides:
            assert ours.stride() == theirs.stride()
            assert ours.storage_offset() == theirs.storage_offset()
            assert ours.is_contiguous() == theirs.is_contiguous()
        np.testing.assert_allclose(
            values(ours), values(theirs), rtol=tolerance, atol=tolerance, equal_nan=True
        )
    elif isinstance(theirs, (tuple, list)):
        assert len(ours) == len(theirs)
        for a, b in zip(ours, theirs, strict=True):
            assert_same(a, b, tolerance, strides)
    else:
        assert ours == theirs, (ours, theirs)


def evaluate(code: str, library: Any, **names: Any) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return eval(code, {"torch": library, "np": np, **names})


def outcome(code: str, library: Any, **names: Any) -> tuple[str, Any]:
    """("value", result), or ("error", (type, text)) of what was raised."""
    try:
        return "value", evaluate(code, library, **names)
    except Exception as error:
        return "error", (type(error), str(error))


def compare(code: str, tolerance: float = 0.0, strides: bool = False, **names: Any) -> None:
    """The expression gives the same in both libraries."""
    assert_same(evaluate(code, lazytorch, **names), evaluate(code, torch, **names),
                tolerance, strides)  # fmt: skip


def compare_all(codes: Sequence[str], tolerance: float = 0.0) -> None:
    """``compare`` of expressions whose tensors are computed by one plan."""
    found = [evaluate(code, lazytorch) for code in codes]
    lazytorch.realize(*found)
    for code, ours in zip(codes, found, strict=True):
        assert_same(ours, evaluate(code, torch), tolerance)


def compare_error(code: str) -> None:
    """The expression raises the same type, with the same first line, in both libraries."""
    kind, theirs = outcome(code, torch)
    assert kind == "error", f"PyTorch accepts {code}"
    kind, ours = outcome(code, lazytorch)
    assert kind == "error", f"lazytorch accepts {code}; PyTorch says {theirs}"
    assert ours[0] is theirs[0], (ours, theirs)
    assert ours[1].split("\n")[0] == theirs[1].split("\n")[0]
