"""torch.func and forward_ad beside PyTorch's: values, nesting, what remains differentiable, errors.

A scenario is written once, for either library.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from support import ours
from transforms import Case, both, drawn

import lazytorch
from codegen.statistics import statistics
from lazytorch.utils._pytree import tree_flatten

A, B = drawn(3, 4), drawn(4)


def _written(t: Any, x: Any, y: Any) -> Any:
    made = t.zeros_like(x)
    made[1:, ::2] = (x * y)[1:, ::2]
    return made.mul_(y).add_(1)


# Of a matrix and a vector: movement, products, reductions, scans, sorts, rules of their own.
FUNCTIONS: dict[str, Case] = {
    "product": lambda t, x, y: (x @ y).tanh(),
    "softmax": lambda t, x, y: t.softmax(x * y, -1),
    "norm": lambda t, x, y: (x - y).norm(),
    "prod": lambda t, x, y: x.prod(0) * y,
    "max": lambda t, x, y: x.max(1)[0] + y.amax(),
    "cumprod": lambda t, x, y: (x * y).cumprod(1),
    "logsumexp": lambda t, x, y: (x * y).logsumexp(1),
    "logcumsumexp": lambda t, x, y: (x * y).logcumsumexp(1),
    "cummax": lambda t, x, y: (x * y).cummax(1)[0],
    "sort": lambda t, x, y: x.sort(1)[0] * y,
    "gather": lambda t, x, y: x.gather(1, (x * y).argsort(1)) * y[y.argsort()],
    "cat": lambda t, x, y: t.cat([x, y[None]]).sin(),
    "variance": lambda t, x, y: x.var(1) + y.std(),
    "where": lambda t, x, y: t.where(x > 0, x * y, x),
    "maximum": lambda t, x, y: t.maximum(x, y),
    "detach": lambda t, x, y: x.detach() * y * x,
    "layer_norm": lambda t, x, y: t.nn.functional.layer_norm(x, (4,), y, y),
    "tree": lambda t, x, y: (x * y, {"a": y.sum()}),
    "constant": lambda t, x, y: t.ones(2, dtype=t.float64, device=x.device),
    "writes": _written,
    "median": lambda t, x, y: (x * y).median(1)[0],
    "strided": lambda t, x, y: x.t().flip(0)[::2].cumsum(0) * y[:2, None],
    "power": lambda t, x, y: x.abs() ** y,
    "atan2": lambda t, x, y: t.atan2(x, y),
}


# PyTorch's linearize cannot trace these, or forgets what a write multiplies by.
_NOT_LINEARIZED = ("constant", "cummax", "writes")


@pytest.mark.parametrize("name", FUNCTIONS)
def test_transforms_agree_with_pytorch(name: str) -> None:
    function = FUNCTIONS[name]

    def scenario(t: Any, x: Any, y: Any, many: Any, wide: Any) -> Any:
        f = t.func

        def of(x: Any, y: Any) -> Any:
            return function(t, x, y)

        def total(x: Any) -> Any:
            return tree_flatten(of(x, y))[0][0].sin().sum()

        results = [
            f.jacrev(of, argnums=(0, 1))(x, y),
            f.jacrev(of, argnums=1, chunk_size=3)(x, y),
            f.jacfwd(of, argnums=(0, 1))(x, y),
            f.hessian(total)(x),
            f.linearize(of, x, y)[1](x, y) if name not in _NOT_LINEARIZED else None,
        ]
        if name != "writes":  # PyTorch refuses a value for each example in zeros_like of shared x
            results += [
                f.vmap(of, in_dims=(None, 0), chunk_size=2)(x, many),
                f.vmap(f.jacrev(of, argnums=1), in_dims=(None, 0))(x, many),
            ]
        if name not in ("constant", "tree"):  # where PyTorch reads outside of its memory
            results.append(f.vmap(of, in_dims=(1, None), out_dims=-1)(wide, y))
        return results

    both(scenario, A, B, drawn(2, 4), drawn(3, 5, 4))


def _network(t: Any, p: Any, x: Any) -> Any:
    F = t.nn.functional
    h = F.max_pool2d(F.relu(F.conv2d(x, p["w1"], p["b1"], padding=1)), 2)
    h = F.max_pool2d(F.relu(F.conv2d(h, p["w2"], p["b2"], padding=1)), 2)
    return F.linear(h.flatten(1), p["w3"])


PARAMETERS = {"w1": drawn(4, 1, 3, 3), "b1": drawn(4), "w2": drawn(5, 4, 3, 3), "b2": drawn(5),
              "w3": drawn(3, 20) / 5}  # fmt: skip
IMAGES, LABELS = drawn(4, 1, 8, 8), torch.tensor([0, 1, 2, 0])


def _loss(t: Any, p: Any, x: Any, y: Any) -> Any:
    return t.nn.functional.cross_entropy(_network(t, p, x), y)


def _per_sample(t: Any, p: Any, x: Any, y: Any) -> Any:
    def one(p: Any, x: Any, y: Any) -> Any:
        return _loss(t, p, x[None], y[None])

    return t.func.vmap(t.func.grad(one), in_dims=(None, 0, 0))(p, x, y)


def test_hessian_vector_products_agree_in_every_order() -> None:
    def scenario(t: Any, p: Any, x: Any, y: Any, v: Any) -> Any:
        f = t.func

        def loss(p: Any) -> Any:
            return _loss(t, p, x, y)

        return (
            f.jvp(f.grad(loss), (p,), (v,))[1],
            f.grad(lambda p: f.jvp(loss, (p,), (v,))[1])(p),
            f.vjp(f.grad(loss), p)[1](v)[0],
        )

    directions = {k: drawn(*v.shape) for k, v in PARAMETERS.items()}
    both(scenario, PARAMETERS, IMAGES, LABELS, directions)
    lazy = {k: ours(v) for k, v in PARAMETERS.items()}
    given = [lazy, ours(IMAGES), ours(LABELS), {k: ours(v) for k, v in directions.items()}]
    for found in zip(*[r.values() for r in scenario(lazytorch, *given)], strict=True):
        for other in found[1:]:
            np.testing.assert_allclose(found[0].numpy(), other.numpy(), rtol=1e-9, atol=1e-12)


def test_per_sample_gradients_are_one_plan_of_a_batchs_kernels() -> None:
    both(_per_sample, PARAMETERS, IMAGES, LABELS)
    generator = torch.Generator().manual_seed(0)

    def plan(action: Case, size: int) -> tuple[int, int]:
        p = {k: lazytorch.tensor(v.float().numpy()) for k, v in PARAMETERS.items()}
        x = lazytorch.tensor(torch.randn(size, 1, 8, 8, generator=generator).numpy())
        y = lazytorch.zeros(size, dtype=lazytorch.int64)
        lazytorch.realize(*p.values(), x, y)
        before = statistics.plans_run, statistics.kernels_run
        lazytorch.realize(*action(lazytorch, p, x, y).values())
        return statistics.plans_run - before[0], statistics.kernels_run - before[1]

    def batched(t: Any, p: Any, x: Any, y: Any) -> Any:
        return t.func.grad(lambda p: _loss(t, p, x, y))(p)

    plans, kernels = plan(_per_sample, 4)
    assert plans == 1
    assert plan(_per_sample, 16) == (1, kernels), "kernels an example"
    assert kernels <= plan(batched, 4)[1] + 3


def _maml(t: Any, p: Any, xs: Any, ys: Any) -> Any:
    f = t.func

    def predicted(p: Any, x: Any) -> Any:
        return t.tanh(x @ p["a"] + p["b"]) @ p["c"]

    def task(p: Any, x: Any, y: Any) -> Any:
        inner = p
        for _ in range(2):
            g = f.grad(lambda q: ((predicted(q, x) - y) ** 2).mean())(inner)
            inner = {k: inner[k] - 0.1 * g[k] for k in inner}
        return ((predicted(inner, x) - y) ** 2).mean()

    return f.grad_and_value(lambda p: f.vmap(task, in_dims=(None, 0, 0))(p, xs, ys).mean())(p)


def _ensemble(t: Any, x: Any, *weights: Any) -> Any:
    models = [t.nn.Sequential(t.nn.Linear(4, 3), t.nn.ReLU(), t.nn.Linear(3, 2)) for _ in range(2)]
    for model in models:
        for p, w in zip(model.parameters(), weights, strict=True):
            p.data = w
    parameters, buffers = t.func.stack_module_state(models)

    def call(p: Any, b: Any, x: Any) -> Any:
        return t.func.functional_call(models[0], (p, b), (x,))

    return t.func.vmap(call, in_dims=(0, 0, None))(parameters, buffers, x)


def _kept_gradients(t: Any, x: Any, w: Any) -> Any:
    """What an ordinary leaf, captured, is differentiated by through transforms."""
    w = w.clone().requires_grad_()
    f = t.func
    through = f.vmap(f.grad(lambda x: ((x * w) ** 2).sum()))(x)
    pushed = f.jvp(lambda x: (x * w).sin(), (x,), (x,))

    def quiet(x: Any) -> Any:
        with t.no_grad():
            return x * w

    with t.no_grad():
        outside = f.grad(lambda x: (x * w).pow(2).sum())(x)
    return (
        through, t.autograd.grad(through.sum(), w), pushed, t.autograd.grad(pushed[1].sum(), w),
        f.vmap(quiet)(x), outside, f.grad(lambda x: (x * w).sum())(x),
    )  # fmt: skip


def _confusable(t: Any, x: Any, w: Any) -> Any:
    """Derivatives inside one another, each by its own variable."""
    f, one = t.func, t.ones_like(w[0])
    return (
        f.grad(lambda x: x * f.grad(lambda y: x * y * y)(x))(w[0]),
        f.jvp(lambda x: f.jvp(lambda y: x * y, (x,), (one,))[1], (w[0],), (one,)),
        f.grad(lambda x: f.jvp(lambda y: x * y, (w[1],), (x,))[1])(w[0]),
        f.grad(lambda x: x.sum() if x.sum().item() > 0 else -x.sum())(w),
        f.grad(lambda x: (x.sum(), x * 2), has_aux=True)(w),
        f.vmap(f.vmap(t.outer, (0, None)), (None, 0))(x, x),
        f.vmap(lambda x: t.zeros(3, dtype=x.dtype, device=x.device), out_dims=1)(x),
    )


def _duals(t: Any, x: Any, w: Any) -> Any:
    forward = t.autograd.forward_ad
    w = w.clone().requires_grad_()
    with forward.dual_level():
        dual = forward.make_dual(x, x * 2)
        result = forward.unpack_dual((dual * w).sin())
        with t.no_grad():
            quiet = forward.unpack_dual((dual * w).cos())
        none = forward.unpack_dual(dual.detach()).tangent
        shape = forward.unpack_dual(dual.argmax()).tangent
    return tuple(result), tuple(quiet), none, shape, t.autograd.grad(result.tangent.sum(), w)


def _written_input(t: Any, x: Any, w: Any) -> Any:
    x = x.clone()
    return t.func.vmap(lambda v: v.mul_(2).sum(), in_dims=1)(x), x


@pytest.mark.parametrize(
    "scenario", [_kept_gradients, _confusable, _duals, _written_input], ids=lambda s: s.__name__
)
def test_scenarios(scenario: Case) -> None:
    both(scenario, A, B)


def _beside(t: Any, whole: Any, offset: int | None) -> Any:
    """as_strided of what lies beside an input of a derivative, that is itself a view."""
    place = (2, 2), (1, 2), offset
    f, forward, results = t.func, t.autograd.forward_ad, []
    for x in (whole[5:15], whole.view(4, 5).t()[1:], whole[2:14].view(6, 2)[:, 1]):
        change = x * 0.5 + 1

        def function(x: Any) -> Any:
            return x.as_strided(*place) * x.sum()

        def changed(x: Any) -> Any:
            return (x * 2).sum() + x.as_strided(*place).square().sum()

        value, pull = f.vjp(function, x)
        inner = f.jvp(lambda x: f.grad(changed)(x), (x,), (change,))
        results += [value, pull(value), f.jvp(function, (x,), (change,)), inner]
        results.append(f.vmap(lambda s: pull(s * value)[0])(t.ones_like(x).view(-1)[:3]))  # noqa: B023
        with forward.dual_level(), t.no_grad():
            dual = forward.make_dual(x, change)
            results.append(tuple(forward.unpack_dual(dual.as_strided(*place) * dual.sum())))
    x = whole[5:15]
    results.append(f.grad(lambda x: x[1:].as_strided(*place).square().sum())(x))
    leaf = x.detach().requires_grad_()
    for check in (t.autograd.gradcheck, t.autograd.gradgradcheck):
        results.append(check(lambda x: x.as_strided(*place).sin(), (leaf,)))
    results.append(
        t.autograd.gradcheck(lambda x: x.as_strided(*place).sin(), (leaf,), check_forward_ad=True)
    )
    return results


@pytest.mark.parametrize("offset", [None, 0, 3, 10, 13])
def test_as_strided_beside_an_input(offset: int | None) -> None:
    both(lambda t, whole: _beside(t, whole, offset), drawn(20))


# Of a function of two matrices, whose results do not depend on each of them.
REACHING: dict[str, Case] = {
    "another output": lambda t, x, w: t.vmap(lambda x, w: (x * w, w * 2))(x, w)[1],
    "jacrev": lambda t, x, w: t.func.jacrev(lambda x: (x * w).sum(0))(x),
    "jacrev by chunks": lambda t, x, w: t.func.jacrev(lambda x: x * w, chunk_size=2)(x),
    "gradients": lambda t, x, w: t.vmap(t.func.grad(lambda x, w: (x * w).sum()))(x, w),
    "shared": lambda t, x, w: t.vmap(t.func.jacrev(lambda x: x @ w.t()))(x),
    "nested": lambda t, x, w: t.vmap(t.vmap(t.func.grad(lambda x, w: x * w * w)))(x, w),
    "both": lambda t, x, w: t.vmap(t.func.grad(lambda x, w: (x.sin() * w).sum()))(x, w),
}


@pytest.mark.parametrize("name", REACHING)
def test_gradients_that_reach_nothing_are_none(name: str) -> None:
    def scenario(t: Any, x: Any, w: Any) -> Any:
        leaves = [x.clone().requires_grad_(), w.clone().requires_grad_()]
        result = REACHING[name](t, *leaves)
        found = t.autograd.grad(result.sum(), leaves, allow_unused=True)
        return [g is None for g in found], [g for g in found if g is not None]

    both(scenario, drawn(3, 4), drawn(3, 4))


def test_as_strided_of_an_input_that_was_written_to() -> None:
    """Not beside PyTorch, whose function would have written to what it was given."""
    whole = lazytorch.arange(6.0)

    def function(x: Any) -> Any:
        x.mul_(3)
        return x.as_strided((4,), (1,), 0)

    value, change = lazytorch.func.jvp(function, (whole[2:5],), (lazytorch.ones(3),))
    assert value.tolist() == [0.0, 1.0, 6.0, 9.0] and change.tolist() == [0.0, 0.0, 3.0, 3.0]
    assert whole.tolist() == [0.0, 1.0, 2.0, 3.0, 4.0, 5.0]


def test_an_inner_loop_is_differentiated() -> None:
    parameters = {"a": drawn(1, 6), "b": drawn(6), "c": drawn(6, 1)}
    both(_maml, parameters, drawn(3, 5, 1), drawn(3, 5, 1))


def test_ensembles() -> None:
    both(_ensemble, drawn(5, 4), drawn(3, 4), drawn(3), drawn(2, 3), drawn(2))


ERRORS: dict[str, Case] = {
    "item": lambda t, x: t.vmap(lambda v: v[0].item())(x),
    "branch": lambda t, x: t.vmap(lambda v: v if v.sum() > 0 else -v)(x),
    "random": lambda t, x: t.vmap(lambda v: t.rand(2))(x),
    "nonzero": lambda t, x: t.vmap(t.nonzero)(x),
    "unique": lambda t, x: t.vmap(t.unique)(x),
    "mask": lambda t, x: t.vmap(lambda v: v[v > 0])(x),
    "masked_select": lambda t, x: t.vmap(lambda v: t.masked_select(v, v > 0))(x),
    "places": lambda t, x: t.vmap(t.argwhere)(x.clamp(0)),
    "allclose": lambda t, x: t.vmap(lambda v: t.allclose(v, v))(x),
    "equal": lambda t, x: t.vmap(lambda v: t.equal(v, v))(x),
    "one_hot": lambda t, x: t.vmap(t.nn.functional.one_hot)(x.long().abs()),
    "shared": lambda t, x: _write_shared(t, x),
    "number": lambda t, x: t.vmap(lambda v: 3)(x),
    "unbatched": lambda t, x: t.vmap(lambda v: v, out_dims=None)(x),
    "out": lambda t, x: t.vmap(lambda v: (v, v), out_dims=(0, 1, 0))(x),
    "in": lambda t, x: t.vmap(lambda v: v, in_dims="a")(x),
    "in_tree": lambda t, x: t.vmap(lambda v: v, in_dims=(0, 0))(x),
    "in_range": lambda t, x: t.vmap(lambda v: v, in_dims=2)(x),
    "none": lambda t, x: t.vmap(lambda v: v, in_dims=None)(x),
    "sizes": lambda t, x: t.vmap(lambda v, w: v, in_dims=(0, 1))(x, x),
    "mode": lambda t, x: t.vmap(lambda v: v, randomness="x"),
    "chunk": lambda t, x: t.vmap(lambda v: v, chunk_size=0),
    "grad_shape": lambda t, x: t.func.grad(lambda v: v)(x),
    "grad_type": lambda t, x: t.func.grad(lambda v: 3)(x),
    "grad_int": lambda t, x: t.func.grad(lambda v: v.sum())(x.long()),
    "argnum": lambda t, x: t.func.grad(lambda v: v.sum(), argnums=3)(x),
    "argnums": lambda t, x: t.func.grad(lambda v: v.sum(), argnums=(0, 0))(x),
    "aux": lambda t, x: t.func.grad(lambda v: v.sum(), has_aux=True)(x),
    "vjp_int": lambda t, x: t.func.vjp(lambda v: v.long(), x),
    "vjp_tree": lambda t, x: t.func.vjp(lambda v: v, x)[1]((x, x)),
    "vjp_shape": lambda t, x: t.func.vjp(lambda v: v, x)[1](x[0]),
    "jvp_tuple": lambda t, x: t.func.jvp(lambda v: v, x, x),
    "jvp_tree": lambda t, x: t.func.jvp(lambda v: v, (x,), (x, x)),
    "jvp_shape": lambda t, x: t.func.jvp(lambda v: v, (x,), (x[0],)),
    "jvp_strict": lambda t, x: t.func.jvp(lambda v: t.ones(2), (x,), (x,), strict=True),
    "jacrev_chunk": lambda t, x: t.func.jacrev(lambda v: v, chunk_size=0),
    "no_level": lambda t, x: t.autograd.forward_ad.make_dual(x, x),
    "names": lambda t, x: t.func.functional_call(t.nn.Linear(2, 2), {"v": x}, x, strict=True),
    "no_models": lambda t, x: t.func.stack_module_state([]),
    "models": lambda t, x: t.func.stack_module_state([t.nn.ReLU(), t.nn.Tanh()]),
}


def _write_shared(t: Any, x: Any) -> Any:
    shared = t.zeros(4, dtype=x.dtype, device=x.device)
    shared.sum().item()
    return t.vmap(lambda v: shared.copy_(v))(x)


# Of a matrix, each row's values are read; PyTorch calls these on one row after the other.
READING: dict[str, Case] = {
    "argwhere": lambda t, x: t.argwhere(x * x + 1),
    "nonzero_static": lambda t, x: t.nonzero_static(x > 0, size=3),
    "histc": lambda t, x: t.histc(x, 3),
    "histogram": lambda t, x: tuple(t.histogram(x, 3)),
    "bincount": lambda t, x: t.bincount((x > 0).long(), minlength=3),
    "linspace": lambda t, x: t.linspace(x[0], x[1], 3, dtype=t.float64),
    "repeats": lambda t, x: t.repeat_interleave(x, (x.argsort() % 2) + 1).sin(),
    "one_repeat": lambda t, x: t.repeat_interleave(x, (x.argmax() * 0 + 2)),
    "masked_scatter": lambda t, x: x.masked_scatter(x > 0, x.sin()),
    "segments": lambda t, x: t.segment_reduce(x * x, "sum", lengths=(x.argsort() // 2) * 2 + 0),
    "lstsq": lambda t, x: tuple(
        t.linalg.lstsq(t.stack([x, x * x + 1]).T, x[:, None], driver="gelsd")
    ),
}


@pytest.mark.parametrize("name", READING)
def test_functions_that_read_values_are_called_for_each_example(name: str) -> None:
    function = READING[name]

    def levels(t: Any, x: Any) -> Any:
        rows = t.vmap(lambda v: function(t, v))
        wide = t.stack([x, x * 2], 1)
        return rows(x), t.vmap(rows, in_dims=1)(wide)

    both(levels, A)
    if name in ("repeats", "masked_scatter"):

        def total(t: Any, v: Any) -> Any:
            return function(t, v).square().sum()

        both(lambda t, x: t.vmap(t.func.grad(lambda v: total(t, v)))(x), A)
        both(lambda t, x: t.func.grad(lambda v: t.vmap(lambda w: total(t, w))(v).sum())(x), A)


def test_printing_shows_all_examples() -> None:
    def shown(t: Any) -> list[str]:
        seen = []

        def note(v: Any, w: Any = 1.0) -> Any:
            seen.append(str(v * w))
            return v

        x = t.arange(6.0).reshape(2, 3)
        t.vmap(note)(x)
        t.vmap(note, in_dims=1)(x)
        t.vmap(note, in_dims=(1, None))(x, x[:, 0])
        t.vmap(t.vmap(note))(x)
        t.vmap(lambda v: (seen.append(repr(x)), v)[1])(x)
        return seen

    assert shown(lazytorch) == shown(torch)


@pytest.mark.parametrize("name", ERRORS)
def test_errors(name: str) -> None:
    both(ERRORS[name], A)


def test_random_numbers_of_examples() -> None:
    def drawn_by(randomness: str) -> Any:
        return lazytorch.vmap(lambda v: lazytorch.rand(4) + v, randomness=randomness)(
            lazytorch.zeros(5)
        )

    assert drawn_by("different").unique().numel() == 20
    alike = drawn_by("same")
    assert (alike == alike[0]).all() and alike.unique().numel() == 4


def test_what_a_refused_function_wrote_is_undone() -> None:
    shared, x = lazytorch.ones(3) * 2, lazytorch.ones(2, 3)
    with pytest.raises(RuntimeError, match="inplace arithmetic"):
        lazytorch.vmap(lambda v: shared.add_(v))(x)
    with pytest.raises(ZeroDivisionError):
        lazytorch.vmap(lambda v: shared.add_(v) / 0 * (1 // 0))(x)
    assert shared.tolist() == [2, 2, 2]


@pytest.mark.parametrize("function", ["prod", "cumprod"])
def test_products_with_zeros_are_differentiated_twice(function: str) -> None:
    """Where several factors are zero, the gradient vanishes and its own gradient does not."""

    def scenario(t: Any, x: Any) -> Any:
        def of(v: Any) -> Any:
            return getattr(t, function)(v, 0).sum()

        total = t.func.grad(lambda v: (t.func.grad(of)(v) ** 2).sum())
        return t.func.hessian(of)(x), t.vmap(t.func.hessian(of))(t.stack([x, x + 1])), total(x)

    factors = torch.tensor([2.0, 0, 3, 0, 5, 0.5, 0], dtype=torch.float64)
    for zeros in (factors, factors[2:], factors[:1], factors[4:6]):
        both(scenario, zeros)


def _physics(t: Any, x: Any, w: Any, b: Any, v: Any) -> Any:
    """Steps of a network that learns u'' = -u, with u(0) = 0: second derivatives in its loss."""
    p = {k: a.clone().requires_grad_() for k, a in {"w": w, "b": b, "v": v}.items()}
    optimizer = t.optim.SGD(list(p.values()), lr=0.05, momentum=0.9)
    losses = []

    def solution(at: Any) -> Any:
        return at * (t.tanh(at * p["w"] + p["b"]) @ p["v"])

    for step in range(6):
        if step % 2:
            second = t.vmap(t.func.grad(t.func.grad(solution)))(x)
            value = t.vmap(solution)(x)
        else:
            at = x.clone().requires_grad_()
            value = t.tanh(at[:, None] * p["w"] + p["b"]) @ p["v"] * at
            (first,) = t.autograd.grad(value.sum(), at, create_graph=True)
            (second,) = t.autograd.grad(first.sum(), at, create_graph=True)
        loss = ((second + value) ** 2).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.detach())
    return losses, [a.detach() for a in p.values()]


def test_a_physics_informed_network_trains_as_in_pytorch() -> None:
    points = torch.linspace(0, 3, 12, dtype=torch.float64)
    both(_physics, points, drawn(8), drawn(8), drawn(8) / 4)


def test_jacobians_and_hessians_of_a_perceptron() -> None:
    def scenario(t: Any, x: Any, a: Any, b: Any) -> Any:
        f, old = t.func, t.autograd.functional

        def network(v: Any) -> Any:
            return t.tanh(v @ a) @ b

        def energy(v: Any) -> Any:
            return (network(v) ** 2).sum()

        return (
            f.jacrev(network)(x), f.jacfwd(network)(x), f.hessian(energy)(x),
            f.jacrev(f.jacfwd(energy))(x), f.jacfwd(f.jacfwd(network))(x[0]),
            t.vmap(f.hessian(energy))(x), f.jacrev(network, chunk_size=2)(x),
            old.jacobian(network, x, vectorize=True),
            old.jacobian(network, x, vectorize=True, strategy="forward-mode"),
            old.hessian(energy, x, vectorize=True),
            old.hessian(energy, x, vectorize=True, outer_jacobian_strategy="forward-mode").detach(),
        )  # fmt: skip

    both(scenario, drawn(2, 4), drawn(4, 5), drawn(5, 3))
