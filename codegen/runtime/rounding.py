"""How far rounding may take a value: the interpreter again, with every operation a little off.

Two sound computations of one expression differ by what each operation rounds, and by what the
operations after it make of that. The first follows from the arithmetic: the element type's last
bit, the size of the operands, and for sums their length. The second is seen by trying: the nodes
are evaluated again with each result moved, up or down at random, by ``MARGIN`` times what rounding
may move it. What such a change moves no kernel can be expected to have exactly; an error that is
larger, in one element or in all, is none of rounding's.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from codegen import dtype as dt
from codegen.ir.node import Node, TensorType
from codegen.ops.registry import Array

EPSILON = {"float64": 2.0**-52, "float32": 2.0**-23, "float16": 2.0**-10, "bfloat16": 2.0**-7,
           "complex128": 2.0**-52, "complex64": 2.0**-23}  # fmt: skip
MARGIN = 4.0
# Correctly rounded: half a last bit. Everything else that is element-wise (exp, tanh, erf) may be
# off by so many last bits.
_ROUNDED = {"add", "sub", "mul", "div", "sqrt", "cast", "reciprocal", "square"}
_APPROXIMATED = 4.0
# Whatever else adds up (scans, scatters, loops, LAPACK): last bits, growing with the root of terms.
_STEPS, _GROWTH = 4.0, 1.0
# Larger results than this inside an expression (a product's, of rows times columns times inner)
# are not moved themselves: the sum over them is.
_MOST_MOVED = 1 << 22
_LANE_TERMS = 1024  # of a sum in one lane, at least
# Of Winograd's transform: the window's extent, additions within windows beside those over channels.
_WINDOW, _TRANSFORMS = 3, 16
_EXACT_KINDS = ("leaf", "movement", "gather", "sort", "write", "empty")
_CHOSEN = ("max", "min", "cummax", "cummin")


def moved_values(
    order: Sequence[Node],
    given: Mapping[Node, Array],
    seed: int,
    transformed: Mapping[Node, int] | None = None,
) -> dict[Node, Array]:
    """All nodes' values where each is off by ``MARGIN`` times its rounding, at random by ``seed``.

    ``given`` has the inputs' values, which are moved by a last bit each. ``transformed``: the sums
    of products that are computed by Winograd's transform, with which factor has the weights.
    """
    random = np.random.default_rng(seed)
    done: dict[Node, Array] = {}
    for node, array in given.items():
        epsilon = EPSILON.get(node.dtype.name)
        error = None if epsilon is None else epsilon * np.abs(array) / MARGIN
        done[node] = _moved(array, error, random)
    with np.errstate(all="ignore"):
        for node in order:
            if node not in given:
                arrays = [done[i] for i in node.inputs]
                value = node.operation.reference(node.type, arrays, *node.attributes)
                error = rounding_of(node, value, arrays)
                if transformed and node in transformed and error is not None:
                    factors = [done[i] for i in node.inputs[0].inputs]
                    error = _rounding_of_windows(node, value, factors, transformed[node])
                done[node] = _moved(value, error, random)
    return done


def _moved(value: Array, error: Array | None, random: np.random.Generator) -> Array:
    if error is None or value.dtype.kind not in "fc":
        return value
    signs = random.integers(0, 2, value.shape, np.int8) * np.int8(2) - np.int8(1)
    with np.errstate(all="ignore"):
        return np.asarray(value + MARGIN * signs * error).astype(value.dtype)


def rounding_of(node: Node, value: Array, inputs: Sequence[Array]) -> Array | None:
    """How much a node's own arithmetic may be off by, for each element; None where it is exact."""
    epsilon, kind = EPSILON.get(node.dtype.name), node.operation.kind
    if epsilon is None or kind in _EXACT_KINDS or node.operation.name in _CHOSEN:
        return None
    if kind == "elementwise":
        if value.size > _MOST_MOVED or _is_exact(node, value, inputs):
            return None
        bits = 0.5 if node.operation.name in _ROUNDED else _APPROXIMATED
        return np.asarray(bits * epsilon * np.abs(value))
    if kind == "reduce":
        return _rounding_of_reduction(node, value, inputs[0], epsilon)
    terms = terms_of(node)
    size = np.abs(value)
    largest = float(size[np.isfinite(size)].max(initial=0.0))
    return np.asarray(epsilon * (_STEPS * size + _GROWTH * math.sqrt(terms) * largest))


def _rounding_of_reduction(node: Node, value: Array, x: Array, epsilon: float) -> Array:
    (axes,) = node.attributes
    assert isinstance(axes, tuple)
    terms = math.prod([x.shape[a] for a in axes])
    if node.operation.name != "sum":
        return np.asarray(epsilon * math.sqrt(terms) * np.abs(value))
    # A sum of n terms rounds after each. Where the terms have mean S / n and sum of squares Q, the
    # k-th partial sum is about k S / n plus a random walk of size sqrt(k Q / n): n such roundings,
    # of either sign, make sqrt(n (S² / 3 + Q / 2)) half last bits. Kernels add up in lanes and
    # parts, products one after the other. 16-bit types are added up as float32, and rounded at the
    # end.
    if node.inputs[0].operation.name != "mul":
        terms = min(terms, _LANE_TERMS + terms // 64)
    size = np.abs(value).astype(np.float64)
    squares = np.sum(np.abs(x) ** 2, axis=axes, dtype=np.float64)
    walk = np.sqrt(terms * (size**2 / 3 + squares / 2))
    adding = min(epsilon, EPSILON["float32"])
    return np.asarray(0.5 * adding * walk + 0.5 * epsilon * size)


def _rounding_of_windows(node: Node, value: Array, factors: Sequence[Array], weights: int) -> Array:
    """The same for a convolution by Winograd's transform, which adds and subtracts within a window
    before it multiplies: what a channel adds rounds as the largest input there times the sum of its
    weights, even where a weight is zero."""
    (axes,) = node.attributes
    assert isinstance(axes, tuple)
    shape = factors[0].shape
    window = tuple([axis for axis in axes if shape[axis] == _WINDOW])
    channels = tuple([axis for axis in axes if axis not in window])
    terms = math.prod([shape[axis] for axis in channels]) + _TRANSFORMS
    total = np.sum(np.abs(factors[weights]), window, np.float64, keepdims=True)
    largest = np.max(np.abs(factors[1 - weights]), window, keepdims=True)
    squares = np.sum((total * largest) ** 2, axis=axes)
    size = np.abs(value).astype(np.float64)
    return np.asarray(
        0.5 * EPSILON["float32"] * (np.sqrt(terms * (size**2 / 3 + squares / 2)) + size)
    )


def _is_exact(node: Node, value: Array, inputs: Sequence[Array]) -> bool:
    """Whether the same operation in float64 gives the very same numbers: nothing was rounded."""
    if value.dtype not in (np.float32, np.float16):
        return False
    from_wide = [x.astype(np.float64) if x.dtype.kind == "f" else x for x in inputs]
    type_ = TensorType(node.type.shape, dt.float64)
    wide = node.operation.reference(type_, from_wide, *node.attributes)
    return bool(np.array_equal(wide, value, equal_nan=True))


def terms_of(node: Node) -> int:
    """How many elements an operation puts together into one."""
    if node.operation.kind in ("reduce", "scan", "host", "scatter"):
        return max(1, node.inputs[0].type.size // max(1, node.type.size), *node.inputs[0].shape)
    if node.operation.kind == "loop":
        return max([1, *[s for i in node.inputs for s in i.shape]])
    return 1
