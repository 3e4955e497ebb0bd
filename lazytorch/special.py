"""torch.special: the special functions, most of them torch's own under other names."""

from __future__ import annotations

import math

from codegen.ir.node import Node
from codegen.ops import elementwise as ew
from lazytorch.expression import Function
from lazytorch.functions.arguments import require_tensor
from lazytorch.functions.bodies import apply_one
from lazytorch.functions.families import in_float
from lazytorch.functions.pointwise import ELEMENTARY, logit, round, sinc, times, xlogy
from lazytorch.functions.promotion import promote_float
from lazytorch.functions.reductions import logsumexp
from lazytorch.functions.registration import with_out
from lazytorch.functions.softmax import log_softmax, softmax
from lazytorch.tensor import Tensor

digamma = psi = ELEMENTARY["digamma"]
erf, erfc, erfinv = ELEMENTARY["erf"], ELEMENTARY["erfc"], ELEMENTARY["erfinv"]
exp2, expm1, log1p = ELEMENTARY["exp2"], ELEMENTARY["expm1"], ELEMENTARY["log1p"]
expit, gammaln = ELEMENTARY["sigmoid"], ELEMENTARY["lgamma"]


def _entr(x: Node) -> Node:
    zero, one = ew.full_like(x, 0), ew.full_like(x, 1)
    positive = ew.gt(x, zero)
    value = ew.neg(ew.mul(x, ew.log(ew.where(positive, x, one))))
    below = ew.where(ew.lt(x, zero), ew.full_like(x, -math.inf), x)
    return ew.where(positive, value, below)


def _xlog1py(x: Node, y: Node) -> Node:
    a, b = promote_float(x, y)
    zero = ew.full_like(a, 0)
    beyond = ew.or_(ew.le(b, ew.full_like(b, -1)), ew.eq(b, ew.full_like(b, math.inf)))
    harmless = ew.where(ew.and_(ew.eq(a, zero), beyond), zero, b)
    return ew.mul(a, ew.log1p(harmless))


def _ndtr(x: Node) -> Node:
    return times(0.5)(ew.erfc(times(-math.sqrt(0.5))(x)))


ENTR = Function("special_entr", in_float(_entr))
XLOG1PY = Function("special_xlog1py", _xlog1py)
NDTR = Function("special_ndtr", in_float(_ndtr))


@with_out
def entr(input: Tensor) -> Tensor:
    """-x log(x); 0 at 0, minus infinity below."""
    require_tensor("special_entr", input)
    return apply_one(ENTR, (input,))


@with_out
def xlog1py(input: Tensor, other: Tensor) -> Tensor:
    """input * log1p(other), and 0 where input is 0."""
    if not isinstance(other, Tensor):
        require_tensor("special_xlog1py", input)
    return apply_one(XLOG1PY, (input, other))


@with_out
def ndtr(input: Tensor) -> Tensor:
    """The standard normal distribution function."""
    require_tensor("special_ndtr", input)
    return apply_one(NDTR, (input,))


__all__ = [
    "digamma", "entr", "erf", "erfc", "erfinv", "exp2", "expit", "expm1", "gammaln", "log1p",
    "log_softmax", "logit", "logsumexp", "ndtr", "psi", "round", "sinc", "softmax",
    "xlog1py", "xlogy",
]  # fmt: skip
