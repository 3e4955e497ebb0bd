"""Python's operators on tensors against real PyTorch."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs real PyTorch")

from support import attempt, compare_outcomes, ours, same  # noqa: E402

import lazytorch.functions  # noqa: E402, F401

pytestmark = pytest.mark.pytorch

FLOATS = torch.tensor([[-2.5, -1.0, 0.5], [1.0, 2.0, 3.5]])
WHOLE = torch.tensor([[-3, -1, 2], [1, 2, 5]])
TRUTHS = WHOLE > 0
ARITHMETIC = [
    operator.add, operator.sub, operator.mul, operator.truediv, operator.floordiv, operator.mod,
    operator.pow,
]  # fmt: skip
BITS = [operator.and_, operator.or_, operator.xor, operator.lshift, operator.rshift]
COMPARISONS = [operator.eq, operator.ne, operator.lt, operator.le, operator.gt, operator.ge]
ASSIGNING = [
    operator.iadd, operator.isub, operator.imul, operator.itruediv, operator.ifloordiv,
    operator.imod, operator.ipow, operator.iand, operator.ior, operator.ixor, operator.ilshift,
    operator.irshift,
]  # fmt: skip
OPERANDS = [FLOATS, WHOLE, TRUTHS, FLOATS[0], FLOATS.double(), WHOLE.to(torch.int8),
            torch.tensor(2), torch.tensor(1.5)]  # fmt: skip
NUMBERS = [2, 0.5, True, -1, np.float64(1.5), "text", None, [1]]


def _skipped(function: Any, x: Any, y: Any) -> bool:
    """Negative shifts, and integers raised to negative powers that are tensors, are undefined."""
    shift = function in (operator.lshift, operator.rshift, operator.ilshift, operator.irshift)
    floats = any(isinstance(v, float) or getattr(v, "is_floating_point", bool)() for v in (x, y))
    return shift and (floats or not (y is True or (isinstance(y, int) and y >= 0)))


def compare(found: Any, expected: Any) -> None:
    """As compare_outcomes; integers divided by 0, which PyTorch refuses on the cpu, give 0 here."""
    if str(expected) != "ZeroDivisionError":
        compare_outcomes(found, expected)


@pytest.mark.parametrize("function", [*ARITHMETIC, *BITS, *COMPARISONS])
def test_binary(function: Any) -> None:
    for x in OPERANDS:
        for y in [*OPERANDS, *NUMBERS]:
            if _skipped(function, x, y):
                continue
            compare(attempt(function, ours(x), ours(y)), attempt(function, x, y))


@pytest.mark.parametrize("function", [*ARITHMETIC, *BITS[:3], *COMPARISONS])
def test_reflected(function: Any) -> None:
    for x in OPERANDS:
        for number in NUMBERS:
            if isinstance(number, np.float64) or (function is operator.mod and number == "text"):
                continue  # their own operators go first there
            outcomes = attempt(function, number, ours(x)), attempt(function, number, x)
            compare(*outcomes)


@pytest.mark.parametrize("function", ASSIGNING)
def test_assigning(function: Any) -> None:
    for x in OPERANDS:
        for y in [*OPERANDS, *NUMBERS]:
            if _skipped(function, x, y):
                continue
            mine = ours(x)
            found, expected = attempt(function, mine, ours(y)), attempt(function, x.clone(), y)
            compare(found, expected)
            if isinstance(expected, torch.Tensor):
                assert found is mine


@pytest.mark.parametrize("function", [operator.neg, operator.pos, operator.abs, operator.invert])
def test_unary(function: Any) -> None:
    for x in OPERANDS:
        compare_outcomes(attempt(function, ours(x)), attempt(function, x))


def test_contains_and_round() -> None:
    assert 2 in ours(WHOLE)
    assert 7 not in ours(WHOLE)
    with pytest.raises(RuntimeError, match="only supports Tensor or scalar"):
        "text" in ours(WHOLE)  # noqa: B015
    same(round(ours(FLOATS)), FLOATS.round())
    same(round(ours(FLOATS * 1.234), 1), (FLOATS * 1.234).round(decimals=1))


def test_in_place_is_seen_through_views() -> None:
    base = ours(FLOATS)
    row = base._view((3,), (1,), 3)
    row *= 10
    base += 1
    expected = FLOATS.clone()
    expected[1] *= 10
    same(base, expected + 1)
    same(row, expected[1] + 1)


def test_messages() -> None:
    for function in (
        lambda t, x: -(x > 0), lambda t, x: (x > 0) - (x > 0),
        lambda t, x: x - (x > 0), lambda t, x: x + "a", lambda t, x: x < None,
        lambda t, x: x.clone().add_(1.5) if t is torch else _added(x), lambda t, x: x**-1,
    ):  # fmt: skip
        expected = attempt(function, torch, WHOLE)
        found = attempt(function, None, ours(WHOLE))
        assert type(found) is type(expected)
        assert str(found) == str(expected)


def _added(x: Any) -> Any:
    x += 1.5
    return x
