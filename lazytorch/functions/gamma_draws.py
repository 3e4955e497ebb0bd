"""Draws from the gamma and Dirichlet distributions, differentiable in their parameters.

A draw of shape a is d v u^(1/a) by Marsaglia and Tsang's rejection method (2000), a below 1 raised
by 1 first. Rejection is without a loop: of ``_PROPOSALS`` proposals the last accepted one is taken;
each is refused with a probability below 0.05, all with one below 1e-12.

The gradient is the implicit one, dx/da = -(dP(a, x)/da) / p(x; a), from the integral of
log t - digamma(a) over one tail. With t = x exp(∓v) it has the positive, fast decaying integrand
exp(-φ(v)) (log x - digamma(a) ∓ v), which is summed at points that a double exponential
substitution gives (Takahasi and Mori, 1974).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from codegen.ir.node import Node
from codegen.ops import elementwise as ew
from codegen.ops.leaves import iota
from codegen.ops.reduction import broadcast, max_, sum_
from lazytorch.application import apply
from lazytorch.expression import Function
from lazytorch.functions.arguments import require_tensor
from lazytorch.functions.bodies import need_float, not_differentiable, widen
from lazytorch.functions.promotion import promote
from lazytorch.functions.random import Generator, normal_numbers, take, uniform
from lazytorch.functions.registration import operation
from lazytorch.functions.softmax import softmax
from lazytorch.tensor import Tensor

_PROPOSALS = 10
_POINTS = 64
_FIRST, _LAST = -3.6, 3.75  # of the substitution w = exp(t - exp(-t))


def _times(x: Node, factor: float) -> Node:
    return ew.mul(x, ew.full_like(x, factor))


def _plus(x: Node, term: float) -> Node:
    return ew.add(x, ew.full_like(x, term))


def _repeated(x: Node, count: int) -> Node:
    """``x`` with a last axis of ``count`` more."""
    return broadcast(x, (*x.shape, count), tuple(range(len(x.shape))))


def _along(row: Node, like: Node) -> Node:
    """A vector along the last axis."""
    return broadcast(row, like.shape, (len(like.shape) - 1,))


def _above_zero(*arguments: Any) -> Node:
    drawn = uniform(*arguments)
    return ew.sub(ew.full_like(drawn, 1), drawn)


def _gamma(a: Node, seed: Node, stream: Node, seed2: Node, stream2: Node, logarithm: bool) -> Node:
    """A draw for each element of ``a``, or its logarithm, which does not underflow."""
    need_float(a, "gamma_cpu")
    dtype, a = a.dtype, widen(a)
    small = ew.lt(a, ew.full_like(a, 1))
    d = _plus(ew.where(small, _plus(a, 1), a), -1 / 3)
    c = _times(ew.rsqrt(d), 1 / 3)
    wide = (*a.shape, _PROPOSALS)
    x = normal_numbers(seed, stream, wide, a.dtype)
    y = ew.mul(_repeated(c, _PROPOSALS), x)
    valid = ew.gt(y, ew.full_like(y, -1))
    y = ew.where(valid, y, ew.full_like(y, 0))
    log_v = _times(ew.log1p(y), 3)
    # d (1 - v + log v), without the cancellation of 1 - v
    cubes = ew.mul(y, _plus(ew.mul(y, _plus(y, 3)), 3))
    slack = ew.mul(_repeated(d, _PROPOSALS), ew.sub(log_v, cubes))
    limit = ew.add(_times(ew.mul(x, x), 0.5), slack)
    tries = ew.log(_above_zero(seed2, stream2, wide, a.dtype))
    accepted = ew.and_(valid, ew.lt(tries, limit))
    order = _along(iota(_PROPOSALS), x)
    chosen = ew.where(accepted, order, ew.full_like(order, -1))
    last = max_(chosen, (len(a.shape),))
    is_last = ew.and_(accepted, ew.eq(chosen, _repeated(last, _PROPOSALS)))
    log_v = sum_(ew.where(is_last, log_v, ew.full_like(log_v, 0)), (len(a.shape),))
    boost = ew.log(_above_zero(seed2, stream2, a.shape, a.dtype, 1))
    boost = ew.where(small, ew.div(boost, a), ew.full_like(a, 0))
    if logarithm:
        return ew.cast(ew.add(ew.log(d), ew.add(log_v, boost)), dtype)
    value = ew.mul(d, ew.exp(ew.add(log_v, boost)))
    tiny = ew.full_like(value, _TINY[dtype.name])
    return ew.cast(ew.where(ew.lt(value, tiny), tiny, value), dtype)


_TINY = {
    "float16": 2.0**-14, "bfloat16": 2.0**-126, "float32": 2.0**-126, "float64": 2.0**-1022,
}  # fmt: skip


def _log_less_digamma(a: Node) -> Node:
    """log(a) - digamma(a) for a ≥ 1: by its series where the difference cancels."""
    big = ew.gt(a, ew.full_like(a, 12))
    r = ew.div(ew.full_like(a, 1), ew.where(big, a, ew.full_like(a, 12)))
    square = ew.mul(r, r)
    series = ew.full_like(r, -1 / 240)
    for coefficient in (1 / 252, -1 / 120, 1 / 12):
        series = _plus(ew.mul(series, square), coefficient)
    series = ew.add(_times(r, 0.5), ew.mul(series, square))
    return ew.where(big, series, ew.sub(ew.log(a), ew.digamma(a)))


def _relative_slope(a: Node, x: Node, log_x: Node) -> Node:
    """(dx/da) / x of a gamma draw x of shape a."""
    zero, one = ew.full_like(a, 0), ew.full_like(a, 1)
    small = ew.lt(a, one)
    raised = ew.where(small, ew.add(a, one), a)
    # log x - digamma: about 0 in the middle of the distribution
    near = ew.and_(ew.gt(x, _times(raised, 0.5)), ew.lt(x, _times(raised, 2)))
    excess = ew.sub(x, raised)
    ratio = ew.log1p(ew.div(ew.where(near, excess, zero), raised))
    ratio = ew.where(near, ratio, ew.sub(log_x, ew.log(raised)))
    offset = ew.add(ratio, _log_less_digamma(raised))
    # Where the exponent is 1: the scale of the integrand.
    upper = ew.ge(x, raised)
    b = _plus(_times(excess, -2), -1)
    root = ew.sqrt(ew.add(ew.mul(b, b), _times(raised, 8)))
    below = ew.div(ew.sub(root, b), _times(raised, 2))
    gap = ew.where(upper, excess, zero)
    safe = ew.where(upper, x, one)
    root = ew.sqrt(ew.add(ew.mul(gap, gap), _times(safe, 2)))
    above = ew.div(ew.full_like(a, 2), ew.add(gap, root))
    scale = ew.where(upper, above, below)
    # The points of the substitution and their weights, then the sum over them.
    step = (_LAST - _FIRST) / (_POINTS - 1)
    t = _plus(_times(ew.cast(iota(_POINTS), a.dtype), step), _FIRST)
    away = ew.exp(ew.neg(t))
    w = ew.exp(ew.sub(t, away))
    weight = _times(ew.mul(w, _plus(away, 1)), step)
    wide = _repeated(scale, _POINTS)
    v = ew.mul(wide, _along(w, wide))
    is_upper = _repeated(upper, _POINTS)
    signed = ew.where(is_upper, v, ew.neg(v))  # t = x exp(signed)
    # φ = |x - a| v + x (exp(s) - 1 - s)
    bend = ew.sub(ew.expm1(signed), signed)
    linear = ew.mul(_repeated(ew.abs_(excess), _POINTS), v)
    exponent = ew.add(linear, ew.mul(_repeated(x, _POINTS), bend))
    factor = ew.add(_repeated(offset, _POINTS), signed)
    density = ew.mul(ew.exp(ew.neg(exponent)), _along(weight, wide))
    # past the end exp(s) may overflow where the density has long been 0
    gone = ew.gt(exponent, ew.full_like(exponent, 80))
    density = ew.where(gone, ew.full_like(density, 0), density)
    total = ew.mul(scale, sum_(ew.mul(density, factor), (len(a.shape),)))
    slope = ew.where(upper, total, ew.neg(total))
    lowered = ew.div(ew.sub(ew.mul(x, slope), offset), ew.where(small, a, one))
    return ew.where(small, lowered, slope)


def _gamma_rule(
    inputs: Sequence[Node], outputs: Sequence[Node], cotangents: Sequence[Node | None],
    logarithm: bool,
) -> list[Node | None]:  # fmt: skip
    g = cotangents[0]
    if g is None:
        return [None] * 5
    a, x = widen(inputs[0]), widen(outputs[0])
    if logarithm:
        slope = _relative_slope(a, ew.exp(x), x)
    else:
        slope = ew.mul(x, _relative_slope(a, x, ew.log(x)))
    return [ew.cast(ew.mul(widen(g), slope), inputs[0].dtype), None, None, None, None]


def _gamma_slope(a: Node, x: Node) -> Node:
    a, x = promote(a, x)
    need_float(a, "_standard_gamma_grad_cpu")
    wide = widen(x)
    slope = _relative_slope(widen(a), wide, ew.log(wide))
    return ew.cast(ew.mul(wide, slope), a.dtype)


STANDARD_GAMMA = Function(
    "standard_gamma", _gamma, gradient=_gamma_rule, gradient_name="StandardGammaBackward0"
)
GAMMA_SLOPE = Function(
    "standard_gamma_grad", _gamma_slope, gradient=not_differentiable("_standard_gamma_grad")
)


def log_gamma_draw(concentration: Tensor, generator: Generator | None = None) -> Tensor:
    """Logarithms of gamma draws of rate 1."""
    inputs = (concentration, *take(generator), *take(generator))
    return apply(STANDARD_GAMMA, inputs, (True,))  # type: ignore[no-any-return]


@operation()
def _standard_gamma(input: Tensor, generator: Generator | None = None) -> Tensor:
    """A gamma draw of rate 1 for each shape in ``input`` (floats), differentiable in it.

    >>> torch._standard_gamma(torch.full((3,), 2.0)).shape
    torch.Size([3])
    """
    require_tensor("_standard_gamma", input)
    inputs = (input, *take(generator), *take(generator))
    return apply(STANDARD_GAMMA, inputs, (False,))  # type: ignore[no-any-return]


@operation()
def _standard_gamma_grad(input: Tensor, output: Tensor) -> Tensor:
    """The derivative of gamma draws ``output`` with respect to their shapes ``input``.

    >>> torch._standard_gamma_grad(torch.tensor([1.0]), torch.tensor([2.0]))
    tensor([1.6317])
    """
    return apply(GAMMA_SLOPE, (input, output))  # type: ignore[no-any-return]


@operation(method=False)
def _sample_dirichlet(input: Tensor, generator: Generator | None = None) -> Tensor:
    """A Dirichlet draw for each row of concentrations: gamma draws over their sum.

    >>> torch._sample_dirichlet(torch.ones(2, 3)).shape
    torch.Size([2, 3])
    """
    require_tensor("_sample_dirichlet", input)
    return softmax(log_gamma_draw(input, generator), -1)


__all__ = ["log_gamma_draw"]
