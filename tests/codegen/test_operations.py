"""Every registered operation: its type rule, its gradient to second order, its C spelling."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

import codegen.ops  # noqa: F401
from codegen import dtype as dt
from codegen.graph.differentiate import cotangents
from codegen.graph.inline import inline
from codegen.ir.node import Node, TensorType, make
from codegen.ops import elementwise as ew
from codegen.ops.leaves import iota, parameter
from codegen.ops.movement import reshape
from codegen.ops.reduction import sum_
from codegen.ops.registry import OPERATIONS, Operation, Sample, interpreted_dtype
from codegen.render.mathematics import FUNCTIONS, spelled
from codegen.render.mathematics_text import SUFFIXES
from codegen.runtime.interpreter import interpret

Array = np.ndarray[Any, Any]
CASES = [
    pytest.param(operation, sample, id=f"{operation.name}-{number}")
    for operation in OPERATIONS.values()
    for number, sample in enumerate(operation.samples)
]
# Gradients that PyTorch, and so we, define to be 0 or one-sided, or has not got for the first
# input; and a cast to integers.
NOT_SMOOTH = {
    "cast", "threefry", "eq", "ne", "lt", "le", "gt", "ge", "zeta", "gammainc", "gammaincc"
}  # fmt: skip
STEP = 1e-5


def make_inputs(sample: Sample, wide: bool) -> tuple[list[Node], list[Array]]:
    """Parameters and values for a sample; floats in float64 where ``wide``."""
    generator = np.random.default_rng(7)
    nodes, arrays = [], []
    for number, (shape, name, low, high) in enumerate(sample.inputs):
        dtype = dt.BY_NAME[name]
        if wide and dtype.kind == "float":
            dtype = dt.float64
        type_ = TensorType(shape, dtype)
        values = generator.uniform(low, high, shape)
        if dtype.kind == "int":
            values = np.floor(values)
        if dtype.kind == "bool":
            values = values > (low + high) / 2
        nodes.append(parameter(number, type_))
        arrays.append(np.asarray(values).astype(interpreted_dtype(type_)))
    return nodes, arrays


@pytest.mark.parametrize(("operation", "sample"), CASES)
def test_type_rule_agrees_with_reference(operation: Operation, sample: Sample) -> None:
    nodes, arrays = make_inputs(sample, wide=False)
    out = make(operation, tuple(nodes), sample.attributes)
    result = operation.reference(out.type, arrays, *sample.attributes)
    assert result.shape == out.shape
    assert result.dtype == interpreted_dtype(out.type)


def value(root: Node, nodes: Sequence[Node], arrays: Sequence[Array]) -> Array:
    return interpret(inline([root]), dict(zip(nodes, arrays, strict=True)))[0]


def numeric_gradient(function: Callable[[Array], float], at: Array) -> Array:
    """Central differences."""
    result = np.zeros_like(at)
    for place in np.ndindex(at.shape):
        moved = at.copy()
        moved[place] = at[place] + STEP
        above = function(moved)
        moved[place] = at[place] - STEP
        result[place] = (above - function(moved)) / (2 * STEP)
    return result


def weighted_sum(out: Node, phase: float) -> Node:
    """A scalar that depends on every element differently."""
    places = ew.cast(reshape(iota(out.type.size), out.shape), dt.float64)
    weights = ew.cos(ew.add(places, ew.full_like(places, phase)))
    return sum_(ew.mul(out, weights), range(len(out.shape)))


def small(sample: Sample) -> Sample:
    """The sample with long axes cut, so that finite differences stay cheap."""
    if len(sample.inputs[0][0]) == 1 and all(i[0] == sample.inputs[0][0] for i in sample.inputs):
        cut = tuple([((min(i[0][0], 6),), *i[1:]) for i in sample.inputs])
        return Sample(cut, sample.attributes)  # type: ignore[arg-type]
    return sample


DIFFERENTIABLE = [
    case
    for case in CASES
    if case.values[0].gradient is not None
    and case.values[0].name not in NOT_SMOOTH
    and any(name.startswith("float") for _, name, _, _ in case.values[1].inputs)
]


@pytest.mark.parametrize(("operation", "sample"), DIFFERENTIABLE)
def test_gradient_is_the_derivative_to_second_order(operation: Operation, sample: Sample) -> None:
    sample = small(sample)
    nodes, arrays = make_inputs(sample, wide=True)
    out = make(operation, tuple(nodes), sample.attributes)
    targets = [n for n in nodes if n.dtype.kind == "float"]
    if operation.name == "pad":
        targets = targets[:1]  # what it is filled with is a constant
    root = weighted_sum(out, 0.3)
    one = ew.full_like(root, 1)
    first = cotangents([root], [one], {}, targets)
    check(root, first, targets, nodes, arrays)
    total = weighted_sum(first[0], 0.7)
    for part in first[1:]:
        total = ew.add(total, weighted_sum(part, 1.1))
    check(total, cotangents([total], [one], {}, targets), targets, nodes, arrays)


def check(
    root: Node, found: Sequence[Node], targets: Sequence[Node], nodes: Sequence[Node],
    arrays: list[Array],
) -> None:  # fmt: skip
    for target, gradient in zip(targets, found, strict=True):
        number = nodes.index(target)

        def at(moved: Array, number: int = number) -> float:
            return float(value(root, nodes, [*arrays[:number], moved, *arrays[number + 1 :]]))

        expected = numeric_gradient(at, arrays[number])
        actual = value(gradient, nodes, arrays)
        np.testing.assert_allclose(actual, expected, rtol=2e-4, atol=2e-5)


ELEMENTWISE = [c for c in CASES if c.values[0].kind == "elementwise"]


@pytest.mark.parametrize(("operation", "sample"), ELEMENTWISE)
def test_elementwise_operation_has_a_c_spelling(operation: Operation, sample: Sample) -> None:
    dtypes = [dt.BY_NAME[name] for _, name, _, _ in sample.inputs]
    if operation.name == "cast":
        (target,) = sample.attributes
        assert isinstance(target, dt.DType)
        if dtypes[0].kind == "float" and target.kind == "int":
            name = f"lt_to_{SUFFIXES[target.compute_c]}_{SUFFIXES[dtypes[0].compute_c]}"
            assert name in FUNCTIONS
        return
    ctype = dtypes[-1].compute_c
    if operation.spelling is None:
        assert spelled(operation.name, ctype) in FUNCTIONS
    elif callable(operation.spelling):
        assert "{0}" in operation.spelling(ctype)
    else:
        assert "{0}" in operation.spelling
