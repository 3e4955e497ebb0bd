"""Reductions, scans and softmax against real PyTorch: values, types, errors, gradients."""

from __future__ import annotations

import math
import warnings
from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="needs real PyTorch")

from support import DTYPES, attempt, compare_call, compare_outcomes, ours, same  # noqa: E402
from test_pointwise import compare_gradients, sample  # noqa: E402

import lazytorch  # noqa: E402
from lazytorch import linalg, return_types  # noqa: E402
from lazytorch.autograd.backward import grad  # noqa: E402
from lazytorch.functions.registration import PUBLIC  # noqa: E402
from lazytorch.functions.softmax import softmin  # noqa: E402

pytestmark = [
    pytest.mark.pytorch, pytest.mark.filterwarnings("ignore:.*degrees of freedom"),
]  # fmt: skip

# name -> how dimensions may be given: several, one, or one that must be given.
REDUCTIONS = {
    "sum": "many", "nansum": "many", "mean": "many", "nanmean": "many", "prod": "one",
    "var": "many", "std": "many", "var_mean": "many", "std_mean": "many", "amax": "many",
    "amin": "many", "max": "one", "min": "one", "argmax": "one", "argmin": "one", "any": "many",
    "all": "many", "count_nonzero": "count", "logsumexp": "must", "aminmax": "keyword",
    "cumsum": "scan", "cumprod": "scan", "logcumsumexp": "scan", "cummax": "scan",
    "cummin": "scan", "softmax": "scan", "log_softmax": "scan", "norm": "norm",
}  # fmt: skip
TIED = torch.tensor([[[1.0, 3.0, 3.0, -2.0], [0.0, 0.0, -0.0, 5.0], [2.0, 2.0, 2.0, 2.0]],
                     [[-1.0, 0.5, 7.0, 7.0], [4.0, 4.0, 1.0, -9.0],
                      [0.0, 1.0, 0.0, 1.0]]])  # fmt: skip
AWKWARD = torch.tensor([[math.nan, 1.0, math.inf], [math.inf, math.inf, 2.0],
                        [-math.inf, -math.inf, -math.inf], [1.0, math.nan, math.nan]])  # fmt: skip


def dims(kind: str) -> list[dict[str, Any]]:
    """Keyword arguments naming dimensions in every way, wrong ones too."""
    one = [{"dim": d} for d in (0, 1, -1, 5, -4)]
    kept = [{"dim": d, "keepdim": True} for d in (0, -1)]
    several: list[dict[str, Any]] = [
        {"dim": (0, 2)}, {"dim": (-1, 1), "keepdim": True}, {"dim": ()}, {"dim": (0, 0)},
    ]  # fmt: skip
    choices = {
        "many": [{}, *one, *kept, *several], "one": [{}, *one, *kept], "scan": one,
        "must": [*one, *kept, *several[:2]], "keyword": [{}, *one, *kept],
        "count": [{}, *one, *several[:1]], "norm": [{}, *one, *kept, {"dim": (0, 1)}],
    }  # fmt: skip
    return choices[kind]


def in_doubt(name: str, x: Any, dim: Any) -> bool:
    """Where PyTorch is of two minds: which error of two comes first, and a few slips of its own."""
    if x is AWKWARD:
        return name in ("var_mean", "std_mean")  # its mean of an infinity is NaN there
    if not x.numel():
        return dim == (0, 0) or (name in ("cummax", "cummin") and dim in (5, -4))
    return False


@pytest.mark.parametrize("name", REDUCTIONS)
def test_values(name: str) -> None:
    inputs = [TIED, TIED.permute(2, 0, 1), AWKWARD, torch.tensor(2.5), torch.zeros(0, 3),
              torch.zeros(2, 0, 3), TIED.long(), TIED > 0, TIED.double()]  # fmt: skip
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for x in inputs:
            for kwargs in dims(REDUCTIONS[name]):
                if not in_doubt(name, x, kwargs.get("dim")):
                    compare_call(name, x, **kwargs)
        for dtype in DTYPES:
            x = sample(dtype) if not dtype.is_floating_point else TIED.to(dtype)
            compare_call(name, x, **dims(REDUCTIONS[name])[1])


@pytest.mark.parametrize("name", ["sum", "nansum", "mean", "prod", "cumsum", "cumprod", "softmax",
                                  "log_softmax", "norm"])  # fmt: skip
def test_dtype(name: str) -> None:
    for x in (TIED, TIED.long(), TIED > 0):
        for dtype in (torch.float64, torch.float32, torch.int32, torch.float16):
            if name == "norm" and dtype is torch.float16:
                continue
            compare_call(name, x, dim=1, dtype=dtype)


CALLS: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = [
    *[(n, (TIED, d), {"correction": c}) for n in ("var", "std", "var_mean") for d in (None, 1)
      for c in (0, 1, 2, 1.5, 9)],
    ("var", (TIED, False), {}), ("std", (TIED, 0, True), {}), ("std", (TIED, 0, False, True), {}),
    ("var", (TIED.long(),), {}), ("std_mean", (TIED,), {"unbiased": False}),
    *[("norm", (TIED, p), {"dim": d}) for p in (0, 1, 2, 3, 0.5, math.inf, -math.inf, -1, "fro")
      for d in (None, 0, (0, 1))],
    *[("dist", (TIED[0], TIED[1]), {"p": p}) for p in (0, 1, 2, 3, math.inf)],
    ("dist", (TIED[0], TIED[1, :1]), {}),
    ("max", (TIED, TIED.flip(0)), {}), ("min", (TIED, TIED[0]), {}),
    *[("diff", (TIED,), {"n": n, "dim": d}) for n in (0, 1, 2, 7) for d in (-1, 0)],
    ("diff", (TIED > 0,), {}), ("diff", (TIED,), {"prepend": TIED[..., :2]}),
    ("diff", (TIED[0, 0].long(),), {"append": torch.tensor([7])}), ("diff", (TIED[0, 0, 0],), {}),
    ("trapezoid", (TIED,), {}), ("trapezoid", (TIED,), {"dx": 0.5, "dim": 0}),
    ("trapezoid", (TIED, TIED[0, 0]), {}), ("trapezoid", (TIED, TIED), {"dim": 1}),
    ("trapezoid", (TIED.long(),), {}), ("trapz", (TIED,), {"dim": 1}),
    ("cumulative_trapezoid", (TIED,), {}), ("cumulative_trapezoid", (TIED, TIED[0, 0]), {}),
    ("sum", (TIED.long(),), {"dim": 0, "dtype": torch.int8}),
    ("sum", (torch.full((3000,), 1.0).half(),), {}), ("mean", (torch.ones(3000).bfloat16(),), {}),
    ("logsumexp", (torch.tensor([1000.0, 1000.0]), 0), {}),
    ("cumsum", (torch.tensor([200, 100], dtype=torch.uint8), 0), {}),
    ("softmax", (torch.tensor([[1000.0, 0.0], [-math.inf, -math.inf]]), 1), {}),
    ("sum", (3.0,), {}),
]  # fmt: skip


@pytest.mark.parametrize("number", range(len(CALLS)), ids=lambda n: f"{CALLS[n][0]}{n}")
def test_call(number: int) -> None:
    name, args, kwargs = CALLS[number]
    compare_call(name, *args, **kwargs)


def test_linalg() -> None:
    for x in (TIED, TIED[0], TIED[0, 0], TIED.long()):
        for order in (None, 2, 1, math.inf, "fro"):
            for dim in (None, 0, (0, 1)):
                expected = attempt(torch.linalg.norm, x, order, dim)
                matrix = dim == (0, 1) or (dim is None and x.ndim == 2)
                if x.ndim == 1 and dim == (0, 1):
                    continue
                if matrix and order not in (None, "fro"):
                    continue
                compare_outcomes(attempt(linalg.norm, ours(x), order, dim), expected)
    for order in (2, 0, 3.5, -math.inf):
        same(linalg.vector_norm(ours(TIED), order), torch.linalg.vector_norm(TIED, order))


def test_named_results() -> None:
    found = PUBLIC["max"](ours(TIED), 1)
    assert found.values is found[0] and found.indices is found[1]
    assert isinstance(found, return_types.max)
    values, indices = found
    assert (values.shape, indices.shape) == ((2, 4), (2, 4))
    low, high = PUBLIC["aminmax"](ours(TIED))
    assert (low.item(), high.item()) == (-9.0, 7.0)
    out = (ours(torch.zeros(0)), ours(torch.zeros(0, dtype=torch.int64)))
    written = PUBLIC["max"](ours(TIED), 0, out=out)
    assert written.values is out[0]
    same(out[0], TIED.max(0).values)


# ---- gradients --------------------------------------------------------------------------------

X = torch.tensor([[0.3, 1.4, -0.6, 2.0], [0.9, -1.2, 0.9, 0.1], [1.7, 0.2, 1.1, -0.8]],
                 dtype=torch.float64)  # fmt: skip
GRADIENTS = [
    *[(n, {"dim": 1}) for n in REDUCTIONS if n not in
      ("argmax", "argmin", "any", "all", "count_nonzero", "max", "min", "aminmax")],
    *[(n, {}) for n in ("sum", "mean", "prod", "var", "std", "amax", "max", "min", "norm")],
    *[(n, {"dim": 0, "keepdim": True}) for n in
      ("sum", "mean", "var", "std", "var_mean", "std_mean", "amin", "logsumexp", "max", "norm")],
    *[("norm", {"p": p, "dim": 0}) for p in (1, 3, 2.5, math.inf)],
    ("diff", {"n": 2}), ("trapezoid", {"dim": 0}), ("cummax", {"dim": 0}), ("softmax", {"dim": 0}),
    ("sum", {"dim": (0, 1)}), ("var", {"dim": 0, "correction": 0}),
]  # fmt: skip


@pytest.mark.parametrize("number", range(len(GRADIENTS)), ids=lambda n: f"{GRADIENTS[n][0]}{n}")
def test_gradient(number: int) -> None:
    name, kwargs = GRADIENTS[number]
    compare_gradients(name, [X], **kwargs)


def test_gradient_of_both_outputs() -> None:
    for name in ("var_mean", "std_mean", "aminmax"):
        x = X.clone().requires_grad_()
        mine = ours(x)
        expected, found = getattr(torch, name)(x), PUBLIC[name](mine)
        first = torch.autograd.grad(expected[0] * 2 + expected[1] ** 2, x, create_graph=True)[0]
        my_first = grad(found[0] * 2 + found[1] ** 2, mine, create_graph=True)[0]
        same(my_first, first)
        second = torch.autograd.grad((first**2).sum(), x)[0]
        same(grad(PUBLIC["sum"](my_first**2), mine)[0], second)


@pytest.mark.parametrize("name", ["amax", "amin", "max", "min", "prod", "cumprod", "norm", "std",
                                  "cummax", "cummin", "logsumexp", "logcumsumexp"])  # fmt: skip
def test_gradient_at_edges(name: str) -> None:
    x = TIED[0].double()
    compare_gradients(name, [x], dim=1, second=False)
    if REDUCTIONS[name] not in ("scan", "must"):
        compare_gradients(name, [x], second=False)
    if name in ("norm", "std"):
        compare_gradients(name, [torch.zeros(2, 3, dtype=torch.float64)], dim=1, second=False)


def test_dist_gradient() -> None:
    for p in (1, 2, 3):
        compare_gradients("dist", [X, X.flip(0) + 0.1], p=p)
        compare_gradients("dist", [X, X[:1] * 0.5], p=p, second=False)


def test_softmin() -> None:
    x = X.clone().requires_grad_()
    mine = ours(x)
    expected = torch.nn.functional.softmin(x, 1)
    same(softmin(mine, 1), expected)
    weight = torch.arange(12.0, dtype=torch.float64).view(3, 4)
    same(grad(softmin(mine, 1), mine, ours(weight))[0], torch.autograd.grad(expected, x, weight)[0])


@pytest.mark.parametrize("reduce", ["sum", "mean", "max", "min", "prod"])
@pytest.mark.parametrize("initial", [None, 0.5])
def test_segment_reduce(reduce: str, initial: float | None) -> None:
    for data, axis, lengths in (
        (torch.tensor([1.0, 2.0, 0.0, 4.0]), 0, [1, 0, 3, 0]),
        (torch.arange(24.0).reshape(2, 4, 3), 1, [[1, 3], [4, 0]]),
        (torch.arange(8.0).reshape(4, 2), 0, [2, 2]),
    ):
        found, expected = [
            library.segment_reduce(
                move(data), reduce, lengths=move(torch.tensor(lengths)), axis=axis, initial=initial
            )
            for library, move in ((lazytorch, ours), (torch, lambda x: x))
        ]
        same(found, expected)
    offsets = torch.tensor([0, 1, 4])
    x = torch.tensor([1.0, 2.0, 0.0, 4.0], dtype=torch.float64, requires_grad=True)
    mine = ours(x)
    found = lazytorch.segment_reduce(mine, reduce, offsets=ours(offsets))
    expected = torch.segment_reduce(x, reduce, offsets=offsets)
    same(found, expected)
    same(grad(found.sum(), mine)[0], torch.autograd.grad(expected.sum(), x)[0])
    for wrong in ([1, 2], [-1, 5]):
        with pytest.raises(RuntimeError):
            lazytorch.segment_reduce(mine, reduce, lengths=lazytorch.tensor(wrong))
