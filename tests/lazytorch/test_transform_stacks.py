"""Random functions under random stacks of torch.func's transforms, beside PyTorch's.

``python tests/lazytorch/test_transform_stacks.py SEED COUNT`` explores other seeds.
"""

from __future__ import annotations

import random
import sys
from collections.abc import Callable
from typing import Any

import pytest
import torch

import lazytorch

Function = Callable[[Any, Any], Any]


def _written(_t: Any, x: Any) -> Any:
    y = x.clone()
    y[..., 0] = y[..., 0] * 2
    return y.mul_(0.5).add_(x)


UNARY: dict[str, Callable[[Any, Any], Any]] = {
    "sin": lambda t, x: x.sin(),
    "tanh": lambda t, x: x.tanh(),
    "exp": lambda t, x: x.exp(),
    "square": lambda t, x: x.square(),
    "silu": lambda t, x: t.nn.functional.silu(x),
    "cumsum": lambda t, x: x.cumsum(0),
    "softmax": lambda t, x: x.softmax(-1),
    "logsumexp": lambda t, x: x.logsumexp(-1, keepdim=True) + x,
    "flip": lambda t, x: x.flip(0) * 1.5,
    "roll": lambda t, x: x.roll(1, 0) * x,
    "written": _written,
    "sort": lambda t, x: x.sort(-1)[0],
    "norm": lambda t, x: x / (1 + (x * x).sum()),
    "transpose": lambda t, x: x.transpose(0, -1).cos().transpose(0, -1),
    "cat": lambda t, x: t.cat([x, x.cos()], 0)[: x.shape[0]] + x,
    "pad": lambda t, x: t.nn.functional.pad(x, (1, 1))[..., 1:-1] * x,
    "detach": lambda t, x: x * x.detach(),
    "prod": lambda t, x: x.prod(-1, keepdim=True) + x,
    "amax": lambda t, x: x.amax(-1, keepdim=True) * x,
}
BINARY: dict[str, Callable[[Any, Any, Any], Any]] = {
    "add": lambda t, x, y: x + y,
    "mul": lambda t, x, y: x * y,
    "maximum": lambda t, x, y: t.maximum(x, y * 0.75),
    "atan2": lambda t, x, y: t.atan2(x, y + 3),
    "where": lambda t, x, y: t.where(x > 0.4, x * y, x - y),
    "outer": lambda t, x, y: (x.unsqueeze(-2) * y.unsqueeze(-1)).sum(-1).tanh(),
    "total": lambda t, x, y: x * y.sum(),
}


def _program(r: random.Random) -> list[tuple[str, int, int]]:
    """Operations, each with the numbers of the values that it takes."""
    steps = []
    for i in range(r.randint(3, 6)):
        names = list(BINARY) if r.random() < 0.35 else list(UNARY)
        steps.append((r.choice(names), r.randint(0, i + 1), r.randint(0, i + 1)))
    return steps


def _function(t: Any, steps: list[tuple[str, int, int]]) -> Function:
    def function(x: Any, w: Any) -> Any:
        values = [x, x * w]
        for name, a, b in steps:
            made = BINARY[name](t, values[a], values[b]) if name in BINARY else (
                UNARY[name](t, values[a])
            )  # fmt: skip
            values.append(made)
        return values[-1]

    return function


def _leaves(t: Any, tree: Any) -> list[Any]:
    return [x for x in t.utils._pytree.tree_leaves(tree) if isinstance(x, t.Tensor)]


def _total(t: Any, tree: Any) -> Any:
    return sum([x.sin().sum() for x in _leaves(t, tree)])


def _first(t: Any, tree: Any) -> Any:
    return _leaves(t, tree)[0]


def _row(t: Any, tree: Any) -> Any:
    x = _first(t, tree)
    return x.sum(0) if x.ndim else x


def _pulled(t: Any, g: Function, x: Any, w: Any) -> Any:
    value, pull = t.func.vjp(lambda a, b: _first(t, g(a, b)), x, w)
    return value, pull(value.cos())


def _linearized(t: Any, g: Function, x: Any, w: Any) -> Any:
    direction = x * 0.5 + 1
    if t is torch:  # whose linearize forgets what a gradient taken of it goes through
        return t.func.jvp(lambda a: _first(t, g(a, w)), (x,), (direction,))[1]
    return t.func.linearize(lambda a: _first(t, g(a, w)), x)[1](direction)


# Each makes a function of another.
STAGES: dict[str, Callable[[Any, Function], Function]] = {
    "grad": lambda t, g: t.func.grad(lambda x, w: _total(t, g(x, w))),
    "grad of w": lambda t, g: t.func.grad(lambda x, w: _total(t, g(x, w)), argnums=1),
    "grad_and_value": lambda t, g: t.func.grad_and_value(
        lambda x, w: _total(t, g(x, w)), argnums=(0, 1)
    ),
    "jacrev": lambda t, g: t.func.jacrev(lambda x, w: _row(t, g(x, w))),
    "jacrev by chunks": lambda t, g: t.func.jacrev(lambda x, w: _row(t, g(x, w)), chunk_size=2),
    "jacfwd": lambda t, g: t.func.jacfwd(lambda x, w: _row(t, g(x, w))),
    "hessian": lambda t, g: t.func.hessian(lambda x, w: _total(t, g(x, w))),
    "jvp": lambda t, g: lambda x, w: t.func.jvp(lambda a: _first(t, g(a, w)), (x,), (x * 0.5 + 1,)),
    "linearize": lambda t, g: lambda x, w: _linearized(t, g, x, w),
    "vjp": lambda t, g: lambda x, w: _pulled(t, g, x, w),
    "vmap": lambda t, g: lambda x, w: t.vmap(g)(t.stack([x, x * 0.5]), t.stack([w, w + 1])),
    "vmap of last": lambda t, g: (
        lambda x, w: t.vmap(g, in_dims=(-1, None), out_dims=-1)(t.stack([x, x * 0.5], -1), w)
    ),
    "vmap of w": lambda t, g: (
        lambda x, w: t.vmap(g, in_dims=(None, 0))(x, t.stack([w, w * 2, w + 1]))
    ),
    "vmap by chunks": lambda t, g: (
        lambda x, w: t.vmap(g, in_dims=(0, None), chunk_size=2)(t.stack([x, x * 0.5, x + 1]), w)
    ),
    "vmap to dims": lambda t, g: (
        lambda x, w: t.vmap(
            lambda a, b: (_first(t, g(a, b)), a * b), in_dims=(0, None), out_dims=(0, -1)
        )(t.stack([x, x * 0.5]), w)
    ),
    "vmap of trees": lambda t, g: (
        lambda x, w: t.vmap(
            lambda d: {"y": _leaves(t, g(d["x"], d["w"]))}, in_dims=({"x": 0, "w": None},)
        )({"x": t.stack([x, -x]), "w": w})
    ),
}


def _results(
    t: Any, steps: list[tuple[str, int, int]], stages: list[str], data: list[Any], tracked: bool
) -> list[Any]:
    function = _function(t, steps)
    for name in stages:
        function = STAGES[name](t, function)
    x, w = [t.tensor(d, dtype=t.float64, requires_grad=tracked) for d in data]
    found = _leaves(t, function(x, w))
    roots = [y.sum() for y in found if y.requires_grad]
    if roots:
        found += [g for g in t.autograd.grad(roots, [x, w], allow_unused=True) if g is not None]
    return found


def compare(seed: int) -> bool:
    """Whether PyTorch has results to compare with; fails where ours are others."""
    r = random.Random(seed)
    steps, stages = _program(r), [r.choice(list(STAGES)) for _ in range(r.randint(1, 3))]
    shape, tracked = r.choice([(3,), (2, 3), (3, 2)]), r.random() < 0.5
    generator = torch.Generator().manual_seed(seed)
    data = [(torch.rand(shape, generator=generator) * 0.8 + 0.1).tolist() for _ in range(2)]
    try:
        expected = _results(torch, steps, stages, data, tracked)
    except RuntimeError:
        return False  # what PyTorch has no rule for, and we do
    if not all([torch.isfinite(e).all() for e in expected]):
        return False
    found = _results(lazytorch, steps, stages, data, tracked)
    assert len(found) == len(expected), (seed, stages, steps)
    for f, e in zip(found, expected, strict=True):
        assert f.requires_grad == e.requires_grad, (seed, stages, steps)
        ours = torch.tensor(f.tolist(), dtype=torch.float64)
        torch.testing.assert_close(
            ours.reshape(tuple(f.shape)), e.detach(), rtol=1e-7, atol=1e-8,
            msg=lambda text: f"{seed} {stages} {steps}: {text}",
        )  # fmt: skip
    return True


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("part", range(4))
def test_random_stacks_of_transforms(part: int) -> None:
    before = lazytorch.get_default_device()
    lazytorch.set_default_device("interpreter")
    try:
        compared = [compare(100 * part + i) for i in range(8)]
    finally:
        lazytorch.set_default_device(before)
    assert sum(compared) >= 5


if __name__ == "__main__":
    first, count = int(sys.argv[1]), int(sys.argv[2])
    lazytorch.set_default_device("interpreter")
    print(sum([compare(first + i) for i in range(count)]), "of", count, "compared")
