"""Users' autograd Functions under function transforms, in every order, beside PyTorch's."""

from __future__ import annotations

from typing import Any

import pytest
from transforms import Case, both, drawn

X, Y = drawn(3, 4), drawn(4)


def _functions(t: Any) -> dict[str, Any]:
    """Functions whose derivatives are not those of what they compute: who uses which shows."""

    class Product(t.autograd.Function):  # type: ignore[misc, name-defined]
        generate_vmap_rule = True

        @staticmethod
        def forward(x: Any, y: Any) -> Any:
            return x.sin() * y, x.exp()

        @staticmethod
        def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
            ctx.save_for_backward(*inputs, output[1])
            ctx.save_for_forward(*inputs, output[1])

        @staticmethod
        def backward(ctx: Any, g: Any, h: Any) -> Any:
            x, y, e = ctx.saved_tensors
            return 3 * g * y * x.cos() + h * e, g * x.sin() * 2

        @staticmethod
        def jvp(ctx: Any, tx: Any, ty: Any) -> Any:
            x, y, _ = ctx.saved_tensors
            return 5 * tx * y + ty * x, tx * x

    class Sine(t.autograd.Function):  # type: ignore[misc, name-defined]
        @staticmethod
        def forward(x: Any) -> Any:
            return x.sin()

        @staticmethod
        def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
            ctx.save_for_backward(*inputs, output)

        @staticmethod
        def backward(ctx: Any, g: Any) -> Any:
            x, y = ctx.saved_tensors
            return 7 * g * x.cos() * y

        @staticmethod
        def vmap(info: Any, in_dims: Any, x: Any) -> Any:
            moved = x.movedim(in_dims[0], -1) * info.batch_size
            return Sine.apply(moved), -1

    return {
        "generated": lambda x, y: Product.apply(x, y)[0] + Product.apply(x, x)[1],
        "overridden": lambda x, y: Sine.apply(x * y) * y,
    }


def _values(t: Any, f: Case, x: Any, y: Any) -> Any:
    return (
        t.vmap(f, (0, None))(x, y), t.vmap(f, (1, 0), 1)(x, y),
        t.vmap(t.vmap(f, (0, None)), (None, 0))(x, y), t.vmap(lambda v: v * f(y, y))(x),
    )  # fmt: skip


def _inside(t: Any, f: Case, x: Any, y: Any) -> Any:
    """Derivatives within a vmap, of what the examples share and what they do not."""
    g = t.func.grad(lambda a, b: f(a, b).sum(), argnums=(0, 1))
    return t.vmap(g, (0, None))(x, y), t.vmap(g, (1, 0))(x, y)


def _outside(t: Any, f: Case, x: Any, y: Any) -> Any:
    """Derivatives through a vmap."""

    def total(a: Any, b: Any) -> Any:
        return (t.vmap(f, (0, None))(a, b) ** 2).sum()

    leaf = y.clone().requires_grad_()
    through = t.vmap(lambda v: f(v, leaf))(x)
    return (
        t.func.grad(total, argnums=(0, 1))(x, y), t.func.jacrev(lambda a: f(a, y))(x[0]),
        t.autograd.grad(through.sum(), leaf),
    )  # fmt: skip


def _both_sides(t: Any, f: Case, x: Any, y: Any) -> Any:
    """A derivative through a vmap of a derivative."""
    inner = t.func.grad(lambda a, b: f(a, b).sum())

    def total(a: Any, b: Any) -> Any:
        return (t.vmap(inner, (0, None))(a, b) ** 2).sum()

    return t.func.grad(total, argnums=(0, 1))(x, y)


def _twice(t: Any, f: Case, x: Any, y: Any) -> Any:
    g = t.func.grad(t.func.grad(lambda a: f(a, a).sum()))
    return t.vmap(g)(x[0]), g(x[0, 0])


def _forward(t: Any, f: Case, x: Any, y: Any) -> Any:
    forward = t.autograd.forward_ad
    with forward.dual_level():
        dual = forward.unpack_dual(f(forward.make_dual(x, x), y)).tangent
    pushed = t.func.jvp(f, (x, y), (x, y))
    return (
        dual, pushed, t.func.jacfwd(f, argnums=1)(x, y),
        t.vmap(lambda a: t.func.jvp(f, (a, y), (a, y))[1])(x),
        t.func.jvp(t.func.grad(lambda a: f(a, y).sum()), (y,), (y,)),
    )  # fmt: skip


@pytest.mark.parametrize("scenario", [_values, _inside, _outside, _both_sides, _twice, _forward],
                         ids=lambda s: s.__name__)  # fmt: skip
@pytest.mark.parametrize("name", ["generated", "overridden"])
def test_functions_under_transforms(name: str, scenario: Case) -> None:
    both(lambda t, x, y: scenario(t, _functions(t)[name], x, y), X, Y)


def _refusals(t: Any) -> dict[str, Any]:
    class Plain(t.autograd.Function):  # type: ignore[misc, name-defined]
        @staticmethod
        def forward(x: Any) -> Any:
            return x.sin()

        @staticmethod
        def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
            pass

    class Old(t.autograd.Function):  # type: ignore[misc, name-defined]
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            return x.sin()

    class Wrong(Plain):
        @staticmethod
        def vmap(info: Any, in_dims: Any, x: Any) -> Any:
            return x, 0, 0

    class Ambiguous(Wrong):
        generate_vmap_rule = True

    class Dims(Plain):
        @staticmethod
        def vmap(info: Any, in_dims: Any, x: Any) -> Any:
            return x, (0, 0)

    return {c.__name__: c.apply for c in (Plain, Old, Wrong, Ambiguous, Dims)}


@pytest.mark.parametrize("name", ["Plain", "Old", "Wrong", "Ambiguous", "Dims"])
def test_functions_that_transforms_refuse(name: str) -> None:
    both(lambda t, x: t.vmap(_refusals(t)[name])(x), X)
    both(lambda t, x: t.func.jvp(_refusals(t)[name], (x,), (x,)), X)
    both(lambda t, x: t.func.grad(lambda v: _refusals(t)[name](v).sum())(x), X)
