"""How results lie in memory: strides beside PyTorch's, and what aliases what because of them."""

from __future__ import annotations

import copy
import io
import pickle
import random
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

import lazytorch
from lazytorch import layouts, result_layouts

Recipe = tuple[int, list[int], list[int], list[int], list[int]]


def _recipe(rng: random.Random, shape: list[int]) -> Recipe:
    """How to make an operand of this shape: in rows, permuted, sliced or expanded."""
    order = list(range(len(shape)))
    rng.shuffle(order)
    base = [shape[i] for i in order]
    back = [order.index(i) for i in range(len(shape))]
    larger = [n + rng.randrange(2) for n in base]
    repeated = [n if rng.random() < 0.6 else 1 for n in base]
    return rng.randrange(6), base, back, larger, repeated


def _made(library: Any, recipe: Recipe) -> Any:
    kind, base, back, larger, repeated = recipe
    if kind == 0:
        return library.ones([base[i] for i in back])
    if kind <= 2:
        return library.ones(base).permute(back)
    if kind <= 4:
        return library.ones(larger)[tuple([slice(0, n) for n in base])].permute(back)
    return library.ones(repeated).expand(base).permute(back)


def _shape(rng: random.Random) -> list[int]:
    sizes = (0, 1, 2, 3) if rng.random() < 0.2 else (1, 2, 3)
    return [rng.choice(sizes) for _ in range(rng.randrange(1, 6))]


def _fitting(rng: random.Random, shape: list[int]) -> list[int]:
    """A shape that broadcasts to another."""
    made = [n if rng.random() < 0.85 else 1 for n in shape]
    return made[rng.randrange(len(made) + 1) :] if rng.random() < 0.2 else made


def test_rules_are_those_of_pytorch() -> None:
    """The strides of an element-wise operation's result and of empty_like."""
    rng = random.Random(5)
    for _ in range(1500):
        shape = _shape(rng)
        count = rng.randrange(1, 4)
        shapes = [shape, *[_fitting(rng, shape) for _ in range(count - 1)]]
        x, *more = [_made(torch, _recipe(rng, s)) for s in shapes]
        operands = tuple([(tuple(t.shape), t.stride()) for t in (x, *more)])
        real = [torch.sin, torch.add, torch.addcmul][count - 1](x, *more)
        assert layouts.elementwise_strides(operands) == real.stride(), operands
        assert layouts.strides_like(*operands[0]) == torch.empty_like(x).stride(), operands
        assert x.clone().stride() == torch.empty_like(x).stride()


_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "exp": lambda t, x, y: x.exp(),
    "number": lambda t, x, y: x + 1,
    "quotient": lambda t, x, y: 1 / x,
    "square": lambda t, x, y: x**2,
    "two": lambda t, x, y: x * y,
    "reversed": lambda t, x, y: t.rsub(x, y),
    "comparison": lambda t, x, y: x < y,
    "where": lambda t, x, y: t.where(y > 1, x, 0.0),
    "double": lambda t, x, y: x.double(),
    "clone": lambda t, x, y: x.clone(),
    "like": lambda t, x, y: t.zeros_like(x),
    "in_place": lambda t, x, y: x.exp().mul_(2),
    "gelu": lambda t, x, y: t.nn.functional.gelu(x),
    "filled": lambda t, x, y: x.masked_fill(x > 1, 0.0),
    "softmax": lambda t, x, y: x.softmax(-1),
    "sum": lambda t, x, y: x.sum(0, keepdim=True),
    "copied": lambda t, x, y: copy.deepcopy(x + 1),
}


@pytest.mark.parametrize("name", _FUNCTIONS)
def test_results_lie_as_those_of_pytorch(name: str) -> None:
    rng = random.Random(name)
    for _ in range(12):
        shape = [rng.choice((1, 2, 3)) for _ in range(rng.randrange(1, 5))]
        first, second = _recipe(rng, shape), _recipe(rng, _fitting(rng, shape))
        mine, real = [
            _FUNCTIONS[name](t, _made(t, first), _made(t, second)) for t in (lazytorch, torch)
        ]
        assert mine.stride() == real.stride(), (first, second)
        assert mine.is_contiguous() == real.is_contiguous()


def _aliases(t: Any) -> list[Any]:
    """Views, writes and gradients of what does not lie in rows."""
    a = t.arange(6.0).reshape(2, 3).t()
    y = a + 1
    seen: list[Any] = [y.stride(), y._is_view(), y.flatten().tolist()]
    with pytest.raises(RuntimeError) as refused:
        y.view(-1)
    seen.append(str(refused.value))
    y.reshape(-1)[0] = 50  # of a copy
    y.t().view(-1)[1:5].mul_(2)
    y.t()[0, 1] = 9
    y[1] += 1
    seen += [y.tolist(), y.t().reshape(-1).tolist(), y.numpy().strides]
    y.numpy()[2, 1] = 77
    seen += [y.tolist(), t.as_strided(y, (2, 2), (1, 2), 1).tolist(), y.untyped_storage().nbytes()]
    copied = copy.deepcopy(y)
    content = io.BytesIO()
    t.save(y, content)
    content.seek(0)
    for other in (copied, pickle.loads(pickle.dumps(y)), t.load(content)):
        seen += [other.stride(), other.tolist()]
    seen.append(y.detach().resize_(2, 2).tolist())
    w = (t.arange(12.0).reshape(3, 4).t() * 1).requires_grad_()
    q = w * 2
    q.retain_grad()
    part = q.t().view(-1)[2:7]
    (part.sum() + q[1].sum()).backward()
    seen += [w.grad.tolist(), w.grad.stride(), q.grad.tolist(), q.grad_fn.name()]
    seen += [q.t().grad_fn.next_functions[0][0].name(), part.grad_fn.name()]
    q = w * 3
    q[0] = 1
    q.t().view(-1)[3:5] = 0
    q.add_(1)
    q.square().sum().backward()
    return [*seen, w.grad.tolist(), q.tolist(), q.stride(), q.grad_fn.name()]


def test_aliases() -> None:
    assert _aliases(lazytorch) == _aliases(torch)


def _images(t: Any) -> list[Any]:
    """What channels-last images give."""
    functional, last = t.nn.functional, t.channels_last
    x = t.arange(2 * 3 * 8 * 8.0).reshape(2, 3, 8, 8).to(memory_format=last)
    module = t.nn.Conv2d(3, 4, 3, padding=1).to(memory_format=last)
    results = [
        x, x.contiguous(), x.clone(), x.double(), x.relu(), x + 1, t.cat([x, x], 1), x[:, :2] * 2,
        module.weight, module(x), module(x.contiguous()), t.nn.BatchNorm2d(3)(x), x.mean((2, 3)),
        functional.max_pool2d(x, 2), functional.adaptive_avg_pool2d(x, 2), functional.dropout(x),
        functional.interpolate(x, scale_factor=2.0), functional.pad(x, (1, 1)), x.contiguous() * x,
        t.zeros_like(x), t.empty_like(x, memory_format=t.contiguous_format), x.transpose(1, 2) * 2,
        t.empty(2, 3, 4, 5, memory_format=last), x.contiguous().to(t.float64, memory_format=last),
    ]  # fmt: skip
    module(x).sum().backward()
    results += [module.weight.grad, copy.deepcopy(module).weight]
    seen: list[Any] = [(r.stride(), r.is_contiguous()) for r in results]
    seen += [r.is_contiguous(memory_format=last) for r in results if r.ndim == 4]
    for refused in (
        lambda: x[0].contiguous(memory_format=last),
        lambda: x.to(memory_format=t.channels_last_3d),
    ):
        with pytest.raises(RuntimeError) as error:
            refused()
        seen.append(str(error.value))
    return [*seen, x.to(memory_format=last) is x, x.contiguous(memory_format=last) is x]


def test_channels_last() -> None:
    assert _images(lazytorch) == _images(torch)


def test_memory_that_is_taken_over() -> None:
    """What a write replaces may lend its memory to a result that lies in another order."""

    def run(t: Any) -> list[Any]:
        x = t.arange(600.0).reshape(20, 30)
        y = (x.t() + 1).clone()
        seen = []
        for i in range(4):
            y.mul_(2).sub_(i)
            seen.append(y.sum().item())
        rows = y.contiguous()
        rows.add_(y)
        del y
        return [*seen, rows.add_(1).tolist(), rows.stride()]

    assert run(lazytorch) == run(torch)


def test_copies_of_arrays_and_tensors_lie_as_these() -> None:
    def run(t: Any) -> list[Any]:
        rows = np.arange(24.0, dtype=np.float32).reshape(2, 3, 4)
        seen = []
        for given in (
            rows,
            rows.T,
            rows.transpose(1, 0, 2),
            rows[:, ::2].T,
            np.asfortranarray(rows),
        ):
            x = t.tensor(given)
            copies = [
                x, t.tensor(given, dtype=t.float64), t.as_tensor(given, dtype=t.float64),
                t.asarray(given, copy=True), t.tensor(given, requires_grad=True).detach(),
                t.tensor(x), t.tensor(x, dtype=t.int64), t.as_tensor(x, dtype=t.bfloat16),
            ]  # fmt: skip
            seen += [(c.stride(), c.is_contiguous(), c.float().tolist()) for c in copies]
            x[0] = -1
            x.as_strided((2,), (1,), 1).add_(50)
            seen += [x.tolist(), (x * 2).stride(), (x * x).sum(0).tolist()]
        return seen

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a copy of a tensor is made by clone()
        assert run(lazytorch) == run(torch)


def test_how_a_result_lies_is_worked_out_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of operands of the same types that lie alike; a program with views asks in every step."""
    asked = 0
    rule = result_layouts.RULES["add"]

    def counted(operands: Any, shapes: Any) -> Any:
        nonlocal asked
        asked += 1
        return rule(operands, shapes)

    monkeypatch.setitem(result_layouts.RULES, "add", counted)
    x = lazytorch.ones(23, 17)
    for _ in range(3):
        assert (x.t() + x.t()).stride() == (1, 17)
        assert (x.t() + lazytorch.ones(17, 23)).stride() == (1, 17)
        assert (lazytorch.ones(17, 23) + x.t()).stride() == (23, 1)
    assert asked == 3
