"""Sorting and searching against real PyTorch: values, places, types, errors, gradients."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="needs real PyTorch")

from support import DTYPES, attempt, compare_call, compare_outcomes, ours, same, theirs  # noqa: E402
from test_pointwise import compare_gradients  # noqa: E402

import lazytorch.functions  # noqa: E402, F401
from lazytorch import return_types  # noqa: E402
from lazytorch.functions.registration import PUBLIC  # noqa: E402

pytestmark = [pytest.mark.pytorch]

EMPTY, NAN = torch.zeros(0), torch.tensor([[math.nan, 1.0, -0.0, 0.0], [math.inf, math.nan, 1, -1],
                                           [-math.inf, 2, math.nan, 2]])  # fmt: skip
# Functions of which PyTorch leaves open which of equal elements is meant.
OF_TIES = ("topk", "kthvalue", "median", "nanmedian", "mode")


def inputs() -> Iterator[Any]:
    """Shapes, layouts, ties, NaN, infinities and zeros of both signs, of every type."""
    generator = torch.Generator().manual_seed(5)
    for shape in ((7,), (1,), (3, 1, 60), (2, 130), (0,), (2, 0), ()):
        yield torch.randint(-9, 9, shape, generator=generator) / 2
    yield torch.randn(40, 6, generator=generator).t()
    yield torch.randn(4, 5, 6, generator=generator).permute(2, 0, 1)[::2]
    yield NAN
    yield torch.full((3,), math.nan)
    for dtype in DTYPES:
        yield (torch.randint(-99, 99, (5, 9), generator=generator) / 3).to(dtype)


def check_choice(name: str, x: Any, *args: Any, **kwargs: Any) -> None:
    """As ``compare_call``; of places, that the values stand there."""
    expected = attempt(getattr(torch, name), x, *args, **kwargs)
    found = attempt(PUBLIC[name], ours(x), *args, **kwargs)
    if not isinstance(expected, tuple) or isinstance(found, Exception):
        compare_outcomes(found, expected)
        return
    same(found[0], expected[0])
    values, places = theirs(found)
    assert places.shape == expected[1].shape and places.dtype == torch.int64
    assert type(found).__name__ == type(expected).__name__
    if x.ndim:
        dim = kwargs.get("dim", -1)
        if places.ndim < x.ndim:
            values, places = values.unsqueeze(dim), places.unsqueeze(dim)
        there = x.gather(dim, places)
        assert torch.equal(there.nan_to_num(7), values.nan_to_num(7))


@pytest.mark.parametrize("name", ["sort", "argsort"])
def test_order(name: str) -> None:
    for x in inputs():
        compare_call(name, x, stable=True)
        for dim in (0, -2, 2):
            compare_call(name, x, dim=dim, descending=True, stable=True)
    for wrong in (3.0, [1]):
        compare_call(name, wrong)
    compare_call(name, NAN, True)


@pytest.mark.parametrize("name", OF_TIES)
def test_choice(name: str) -> None:
    arguments: dict[str, list[dict[str, Any]]] = {
        "topk": [{"k": 1}, {"k": 3, "dim": 0}, {"k": 2, "largest": False}, {"k": 0}, {"k": 99}],
        "kthvalue": [{"k": 1}, {"k": 2, "dim": 0, "keepdim": True}, {"k": 0}, {"k": 99}],
    }
    default: list[dict[str, Any]] = [{}, {"dim": 0}, {"dim": -1, "keepdim": True}, {"dim": 4}]
    for x in inputs():
        if name == "mode" and x.is_floating_point() and x.isnan().any() and not x.isnan().all():
            continue  # PyTorch sorts NaN in with the others as it comes
        for kwargs in arguments.get(name, default):
            check_choice(name, x, **kwargs)


@pytest.mark.parametrize("name", ["quantile", "nanquantile"])
def test_quantiles(name: str) -> None:
    ends = torch.tensor([0.0, 0.3, 0.5, 0.99, 1.0])
    for x in (*list(inputs())[:11], NAN.double(), NAN.half()):
        q = ends.to(x.dtype) if x.dtype.is_floating_point else ends
        for way in ("linear", "lower", "higher", "midpoint", "nearest"):
            compare_call(name, x, 0.37, interpolation=way)
            compare_call(name, x, q, dim=-1, interpolation=way)
        compare_call(name, x, q[1], dim=0, keepdim=True)
        compare_call(name, x, q[:0])
        compare_call(name, x, q, keepdim=True)
    for wrong in (1.5, torch.tensor([2.0]), ends.double(), torch.zeros(1, 1), [0.5], 1):
        compare_call(name, NAN, wrong)
    compare_call(name, NAN, 0.5, interpolation="cubic")


def test_msort_and_names() -> None:
    for x in inputs():
        compare_call("msort", x)
    x = torch.tensor([3.0, 1.0, 2.0])
    found = PUBLIC["sort"](ours(x))
    assert isinstance(found, return_types.sort)
    assert found.values is found[0] and found.indices is found[1]
    assert repr(found).startswith("torch.return_types.sort(\nvalues=tensor([1., 2., 3.]")
    out = (ours(torch.zeros(0)), ours(torch.zeros(0, dtype=torch.int64)))
    assert PUBLIC["topk"](ours(x), 2, out=out).values is out[0]
    same(out, torch.topk(x, 2))
    same(ours(x).sort(descending=True), x.sort(descending=True))


def test_distinct_values() -> None:
    """But for rows with NaN, of which PyTorch has no order, and where two errors are due."""
    wide = torch.tensor([[3, 1, 1], [3, 1, 1], [1, 2, 2], [3, 1, 1]])
    for name in ("unique", "unique_consecutive"):
        for x in (*inputs(), wide, wide.bool(), wide.float() / 0, torch.zeros(0, 3)):
            for inverse in (False, True):
                for counts in (False, True):
                    options = {"return_inverse": inverse, "return_counts": counts}
                    compare_call(name, x, **options)
                    for dim in (0, -1, 3):
                        if (dim < x.ndim or x.numel()) and x is not NAN:
                            compare_call(name, x, **options, dim=dim)


def test_places_in_order() -> None:
    sequence = torch.tensor([-3.0, -1.0, 0.0, 0.0, 2.5, 2.5, math.inf])
    values = torch.tensor([[-9.0, -3.0, 0.0, 1.0], [2.5, math.inf, math.nan, -math.inf]])
    rows = torch.tensor([[1.0, 2.0, 2.0], [0.0, 5.0, 9.0]])
    shuffled = torch.tensor([3, 0, 6, 1, 4, 2, 5])
    cases: list[tuple[tuple[Any, ...], dict[str, Any]]] = [
        ((sequence, values), {}), ((sequence, values), {"side": "right", "out_int32": True}),
        ((sequence, 2.5), {}), ((sequence, 2), {"right": True}), ((rows, rows.flip(1)), {}),
        ((rows, torch.zeros(2, 0)), {}), ((rows, values), {"right": True}), ((EMPTY, values), {}),
        ((sequence.long(), values), {}), ((sequence, values.long()), {}), ((rows, values[:1]), {}),
        ((sequence, values), {"side": "left", "right": True}), ((rows, 3.0), {}),
        ((sequence, values), {"side": "middle"}), ((torch.tensor(1.0), values), {}),
        ((sequence[shuffled], values), {"sorter": shuffled.argsort()}),
        ((sequence, values), {"sorter": shuffled[:2]}),
        ((sequence, values), {"sorter": shuffled + 9}),
        ((sequence, values), {"sorter": shuffled.float()}),
    ]  # fmt: skip
    for args, kwargs in cases:
        compare_call("searchsorted", *args, **kwargs)
        if len(args[0].shape) == 1 and not {"side", "sorter"} & set(kwargs):
            compare_call("bucketize", args[1], args[0], **kwargs)
    for size in range(1, 20):
        ordered = torch.arange(size)
        probes = torch.arange(-1, size + 1)
        compare_call("searchsorted", ordered, probes)
        compare_call("searchsorted", ordered.half(), probes.half() + 0.5, right=True)
    compare_call("bucketize", values, rows)


def test_counts() -> None:
    numbers = torch.tensor([3, 1, 2, 1])
    weights = torch.tensor([0.5, 1.0, 2.0, 3.0])
    for dtype in DTYPES:
        compare_call("bincount", numbers.to(dtype))
        compare_call("bincount", numbers, weights.to(dtype), minlength=7)
        compare_call("histc", numbers.to(dtype), 3)
    nothing = torch.zeros(0, dtype=torch.int64)
    for args in ((-numbers,), (numbers.view(2, 2),), (numbers, weights[:2]), (nothing,),
                 (nothing, None, 2), (nothing, EMPTY, 2), (numbers, None, -1)):  # fmt: skip
        compare_call("bincount", *args)
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(1000, generator=generator)
    for args in ((), (7,), (5, -1, 1), (5, 2, 1), (0,), (5, 0, math.inf), (5, 3, 3)):
        compare_call("histc", x, *args)
        compare_call("histc", x.double().view(20, 50).t(), *args)
    for x in (NAN, EMPTY, torch.ones(3), NAN[:0]):
        compare_call("histc", x, 4)
        compare_call("histc", x, 4, 0, 2)


def test_membership_by_search() -> None:
    generator = torch.Generator().manual_seed(1)
    for dtype in DTYPES:
        elements = torch.randint(0, 300, (7, 40), generator=generator).to(dtype)
        tests = torch.randint(0, 300, (150,), generator=generator).to(dtype)
        compare_call("isin", elements, tests)
        compare_call("isin", elements, tests, invert=True)
    tests = torch.cat([tests, torch.tensor([math.nan])])
    compare_call("isin", torch.tensor([math.nan, 1.0, math.inf]), tests)


X = torch.tensor([[0.3, 1.4, -0.6, 2.0], [0.9, -1.2, 0.95, 0.1], [1.7, 0.2, 1.1, -0.8]],
                 dtype=torch.float64)  # fmt: skip
GRADIENTS: list[tuple[str, dict[str, Any]]] = [
    ("sort", {}), ("sort", {"dim": 0, "descending": True}), ("msort", {}), ("topk", {"k": 2}),
    ("topk", {"k": 2, "dim": 0, "largest": False}), ("kthvalue", {"k": 2}),
    ("kthvalue", {"k": 2, "dim": 0, "keepdim": True}), ("median", {}), ("median", {"dim": 1}),
    ("nanmedian", {}), ("nanmedian", {"dim": 0}), ("mode", {}), ("quantile", {"q": 0.3}),
    *[(n, {"q": 0.3, "dim": d, "interpolation": w}) for n in ("quantile", "nanquantile")
      for d in (0, 1) for w in ("linear", "lower", "higher", "midpoint", "nearest")],
]  # fmt: skip


@pytest.mark.parametrize("number", range(len(GRADIENTS)), ids=lambda n: f"{GRADIENTS[n][0]}{n}")
def test_gradient(number: int) -> None:
    name, kwargs = GRADIENTS[number]
    compare_gradients(name, [X], **kwargs)


def test_gradients_at_edges() -> None:
    fractions = torch.tensor([0.1, 0.4, 0.8], dtype=torch.float64)
    compare_gradients("quantile", [X, fractions], dim=1, second=False)
    tied = torch.tensor([2.0, 1.0, 2.0, 2.0, 5.0], dtype=torch.float64)
    for name in ("median", "nanmedian"):
        compare_gradients(name, [tied], second=False)
    compare_gradients("sort", [torch.tensor(2.0, dtype=torch.float64)], second=False)
