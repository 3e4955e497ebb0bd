"""What functions do to sparse tensors: a rule for each function that ``apply`` may meet.

A rule takes the function, its inputs and its attributes. A function without one is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from lazytorch import application, core
from lazytorch.application import apply
from lazytorch.expression import Attributes, Function, all_functions
from lazytorch.functions import arithmetic, joining, products, reductions
from lazytorch.functions.bodies import apply_one
from lazytorch.functions.joining import cat
from lazytorch.functions.promotion import promote_types
from lazytorch.sparse import movement
from lazytorch.sparse.entries import (
    ADD_TO_DENSE,
    chosen_entries,
    coalesced,
    compress,
    in_order,
    integers,
    keys_of,
    masked_by,
    to_coo,
)
from lazytorch.sparse.products import batched, product, scaled_sum
from lazytorch.sparse.reductions import sum_of
from lazytorch.sparse.tensors import (
    CompressedTensor,
    CooTensor,
    SparseTensor,
    coo,
    not_available,
)
from lazytorch.tensor import Tensor

Rule = Callable[[Function, Sequence[Any], Attributes], Any]

RULES: dict[Function, Rule] = {}


def _apply_to_sparse(function: Function, inputs: Sequence[Any], attributes: Attributes) -> Any:
    rule = RULES.get(function)
    if rule is None:
        (x, *_) = [x for x in inputs if isinstance(x, SparseTensor)]
        raise NotImplementedError(not_available(function.name, x))
    return rule(function, inputs, attributes)


application.apply_to_sparse.append(_apply_to_sparse)


def _rule(*functions: Function) -> Callable[[Rule], Rule]:
    def enter(rule: Rule) -> Rule:
        for function in functions:
            RULES[function] = rule
        return rule

    return enter


def _refuse(function: Function, x: SparseTensor) -> Any:
    raise NotImplementedError(not_available(function.name, x))


# ---- element by element -------------------------------------------------------------------------

# Functions f with f(0) = 0; those of the second line are linear too.
_KEEPING_ZERO = (
    "abs", "asin", "asinh", "atan", "atanh", "ceil", "erf", "erfinv", "expm1", "floor", "frac",
    "isinf", "isnan", "isneginf", "isposinf", "log1p", "relu", "round", "sgn", "sign", "signbit",
    "sin", "sinh", "sqrt", "tan", "tanh", "trunc", "nan_to_num", "square", "leaky_relu",
)  # fmt: skip
_LINEAR = ("neg", "deg2rad", "rad2deg", "positive", "to_copy", "clone")
_NAMES = {"to_copy": "ToCopy", "clone": "Clone"}


def camel_case(name: str) -> str:
    """The name that a gradient node shows."""
    return _NAMES.get(name) or "".join([w[:1].upper() + w[1:] for w in name.split("_")])


def _of_values(linear: bool) -> Rule:
    def rule(function: Function, inputs: Sequence[Any], attributes: Attributes) -> Any:
        x, *rest = inputs
        if not isinstance(x, SparseTensor) or any(isinstance(r, Tensor) for r in rest):
            return _refuse(function, next(i for i in inputs if isinstance(i, SparseTensor)))
        if not linear and isinstance(x, CooTensor):
            x = coalesced(x)
        made = apply_one(function, (x._entries, *rest), attributes)
        return x._with(made, camel_case(function.name))

    return rule


def _copied(function: Function, inputs: Sequence[Any], attributes: Attributes) -> Any:
    """A clone has places of its own too."""
    made = _of_values(True)(function, inputs, attributes)
    if isinstance(made, CooTensor):
        made._places = made._places.clone()
    return made


for _function in all_functions():
    if _function.name in (*_KEEPING_ZERO, *_LINEAR):
        RULES[_function] = _of_values(_function.name in _LINEAR)
RULES[core.IDENTITY] = _copied

# ---- sums of two --------------------------------------------------------------------------------


def _is_number(x: Any) -> bool:
    """A number, or a dense 0-d tensor that stands for one."""
    return not isinstance(x, Tensor) or (not isinstance(x, SparseTensor) and not x.ndim)


def _scaled(x: Any, scale: Any) -> Any:
    return x if type(scale) is int and scale == 1 else x * scale


def _joined(a: SparseTensor, b: SparseTensor) -> SparseTensor:
    """a + b: the entries of both, merged where both are coalesced."""
    if a._type.shape != b._type.shape:
        raise RuntimeError(
            f"add: expected sizes of 'self' and 'other' to match, but {list(a.shape)} != "
            f"{list(b.shape)}"
        )
    x, y = to_coo(a), to_coo(b)
    if x.sparse_dim() != y.sparse_dim():
        raise RuntimeError(
            f"add: expected 'self' and 'other' to have same number of sparse dimensions, but self "
            f"has {x.sparse_dim()} sparse dimension(s) while other has {y.sparse_dim()} sparse "
            "dimension(s)"
        )
    dtype = promote_types(a.dtype, b.dtype)
    if not x._nnz() or not y._nnz():
        left = (x if x._nnz() else y).to(dtype)
    else:
        entries = cat([x._entries.to(dtype), y._entries.to(dtype)])
        left = coo(cat([x._places, y._places], 1), entries, a._type.shape, False, "Add")
        if in_order(x) and in_order(y):
            left = coalesced(left)
            left._is_coalesced = x._is_coalesced and y._is_coalesced
    if isinstance(a, CompressedTensor) and isinstance(b, CompressedTensor):
        left = compress(left, type(a), a._starts.dtype)
    left = left.detach() if left is x or left is y else left
    left._made_by = "Add"
    return left


def _onto_dense(x: Tensor, y: SparseTensor, scale: Any) -> Tensor:
    if x._type.shape != y._type.shape:
        raise RuntimeError(
            f"add: Expected 'self' to be a tensor of size {list(y.shape)}, but found "
            f"{list(x.shape)}"
        )
    dtype = promote_types(x.dtype, y.dtype)
    return apply_one(ADD_TO_DENSE, (x.to(dtype), y._entries, keys_of(y), scale))


def _sum(a: Any, b: Any, scale: Any) -> Any:
    """a + scale * b."""
    if isinstance(a, SparseTensor) and isinstance(b, SparseTensor):
        return _joined(a, _scaled(b, scale))
    if isinstance(b, SparseTensor):
        if not isinstance(a, Tensor):
            raise RuntimeError(_DENSE_SECOND)
        return _onto_dense(a, b, scale)
    if isinstance(a, CompressedTensor) and isinstance(b, Tensor) and b.ndim:
        return _onto_dense(_scaled(b, scale), a, 1)
    raise RuntimeError(_DENSE_SECOND)


_DENSE_SECOND = "add(sparse, dense) is not supported. Use add(dense, sparse) instead."


@_rule(arithmetic.ADD, arithmetic.ADD_SCALED)
def _add(_function: Function, inputs: Sequence[Any], _attributes: Attributes) -> Any:
    a, b, *scale = inputs
    return _sum(a, b, scale[0] if scale else 1)


@_rule(arithmetic.SUB, arithmetic.SUB_SCALED)
def _sub(_function: Function, inputs: Sequence[Any], _attributes: Attributes) -> Any:
    a, b, *scale = inputs
    return _sum(a, b, -scale[0] if scale else -1)


@_rule(arithmetic.RSUB, arithmetic.RSUB_SCALED)
def _rsub(_function: Function, inputs: Sequence[Any], _attributes: Attributes) -> Any:
    a, b, *scale = inputs
    return _sum(b, a, -scale[0] if scale else -1)


# ---- products element by element ----------------------------------------------------------------


def _common_places(a: CooTensor, b: CooTensor) -> tuple[CooTensor, CooTensor]:
    """The entries of both at the places that both have; computes the places."""
    a, b = coalesced(a), coalesced(b)
    _, first, second = np.intersect1d(
        keys_of(a)._array(), keys_of(b)._array(), assume_unique=True, return_indices=True
    )
    return (chosen_entries(a, integers(first, a._places)),
            chosen_entries(b, integers(second, b._places)))  # fmt: skip


def _at_places(x: Tensor, mask: SparseTensor) -> Tensor:
    """A dense tensor, broadcast, at the places of a sparse one."""
    if x._type.shape != mask._type.shape:
        x = x.expand(mask._type.shape)
    return masked_by(x, mask)._entries


@_rule(arithmetic.MUL)
def _mul(_function: Function, inputs: Sequence[Any], _attributes: Attributes) -> Any:
    a, b = inputs
    if not isinstance(a, SparseTensor):
        a, b = b, a
    if _is_number(b):
        return a._with(apply(arithmetic.MUL, (a._entries, b)), "Mul")
    if not isinstance(b, SparseTensor):
        if isinstance(a, CooTensor) and a.dense_dim():
            a = coalesced(a)
        return a._with(a._entries * _at_places(b, a), "Mul")
    if a._type.shape != b._type.shape:
        raise RuntimeError(
            f"mul operands have incompatible sizes: {list(a.shape)} and {list(b.shape)}"
        )
    x, y = _common_places(to_coo(a), to_coo(b))
    made = x._with(x._entries * y._entries, "Mul")
    return compress(made, type(a), a._starts.dtype) if isinstance(a, CompressedTensor) else made


@_rule(*[f for f in all_functions() if f.name in ("div", "true_divide", "div_floor", "div_trunc",
                                                  "floor_divide")])  # fmt: skip
def _div(function: Function, inputs: Sequence[Any], attributes: Attributes) -> Any:
    a, b = inputs
    if not isinstance(a, SparseTensor) or isinstance(b, SparseTensor):
        raise RuntimeError("Sparse division requires a scalar or zero-dim dense tensor divisor")
    if not _is_number(b):
        raise RuntimeError(
            "Sparse division requires a scalar or zero-dim dense tensor divisor (got shape "
            f"{list(b.shape)} for divisor)"
        )
    if isinstance(a, CooTensor) and function.name not in ("div", "true_divide"):
        a = coalesced(a)
    return a._with(apply_one(function, (a._entries, b), attributes), "Div")


@_rule(*[f for f in all_functions() if f.name in ("pow", "pow_one", "pow_special")])
def _pow(function: Function, inputs: Sequence[Any], attributes: Attributes) -> Any:
    a, *rest = inputs
    if not isinstance(a, SparseTensor):
        return _refuse(function, rest[0])
    b = rest[0] if rest else attributes[0]
    if not isinstance(b, (int, float)) or b <= 0:
        raise RuntimeError(
            "pow: cannot raise to zero power on sparse tensor; it would make the result tensor "
            "dense"
        )
    a = coalesced(a) if isinstance(a, CooTensor) else a
    return a._with(apply_one(function, (a._entries, *rest), attributes), "Pow")


# ---- matrices -----------------------------------------------------------------------------------


@_rule(products.MM, products.MV)
def _mm(_function: Function, inputs: Sequence[Any], _attributes: Attributes) -> Any:
    return product(*inputs)


@_rule(products.MATMUL)
def _matmul(function: Function, inputs: Sequence[Any], attributes: Attributes) -> Any:
    a, b = inputs
    if a.ndim == 2 and b.ndim in (1, 2):
        return product(a, b)
    if a.ndim == 1 and b.ndim == 2 and not isinstance(a, SparseTensor):
        return product(b.t(), a)
    if a.ndim == b.ndim == 3:
        return batched(a, b)
    return _refuse(function, a if isinstance(a, SparseTensor) else b)


@_rule(products.BMM)
def _bmm(_function: Function, inputs: Sequence[Any], _attributes: Attributes) -> Any:
    return batched(*inputs)


@_rule(products.ADDMM, products.ADDMV)
def _addmm(_function: Function, inputs: Sequence[Any], _attributes: Attributes) -> Any:
    value, a, b, *scales = inputs
    return scaled_sum(value, product(a, b), scales)


@_rule(products.LINEAR)
def _linear(function: Function, inputs: Sequence[Any], _attributes: Attributes) -> Any:
    x, weight, *bias = inputs
    if x.ndim > 2 and not isinstance(x, SparseTensor):
        made = product(x.reshape(-1, x.shape[-1]), weight.t()).reshape(*x.shape[:-1], -1)
    elif x.ndim == 2:
        made = product(x, weight.t())
    elif isinstance(x, SparseTensor):
        return _refuse(function, x)
    else:
        made = product(weight, x)
    return made + bias[0] if bias else made


# ---- reductions and joining ---------------------------------------------------------------------


@_rule(reductions.SUM, reductions.SUM_DIM)
def _sum_rule(_function: Function, inputs: Sequence[Any], attributes: Attributes) -> Any:
    axes, keepdim, dtype = attributes
    return sum_of(inputs[0], axes, keepdim, dtype)  # type: ignore[arg-type]


@_rule(*[f for f in all_functions() if f.name in ("any", "any_dim")])
def _any(function: Function, inputs: Sequence[Any], attributes: Attributes) -> Any:
    (x,) = inputs
    if x.sparse_dim() + x.dense_dim() and attributes and len(attributes[0]) != x.ndim:  # type: ignore[arg-type]
        return _refuse(function, x)
    return x._entries.any()


@_rule(joining.CAT)
def _cat(_function: Function, inputs: Sequence[Any], attributes: Attributes) -> Any:
    return movement.joined(inputs, attributes[0])  # type: ignore[arg-type]


@_rule(joining.STACK)
def _stack(_function: Function, inputs: Sequence[Any], attributes: Attributes) -> Any:
    axis: Any = attributes[0]
    return movement.joined([movement.unsqueeze(x, axis) for x in inputs], axis)


__all__ = ["RULES"]
