"""Batching and forward mode, generated from the registry: every operation has its rule.

Batched, an operation gives what it gives each example; a tangent is the transpose of a gradient.
"""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from test_operations import CASES, DIFFERENTIABLE, make_inputs, small, value

from codegen import dtype as dt
from codegen.graph.batch import batch, lifted
from codegen.graph.differentiate import cotangents
from codegen.graph.forward import tangents
from codegen.graph.simplify import simplify
from codegen.ir.node import TensorType, make, topological
from codegen.ops import elementwise as ew
from codegen.ops.leaves import parameter
from codegen.ops.loop import LoopBody, loop
from codegen.ops.registry import Operation, Sample, interpreted_dtype

BATCHED = [
    case
    for case in CASES
    # One sample of each pair of element types says nothing new; long rows are slow to no purpose.
    if not (case.values[0].name == "cast" and case.values[1].attributes[0].name != "float32")
    and all(np.prod(shape, dtype=int) <= 1000 for shape, *_ in case.values[1].inputs)
]
SIZE = 3


@pytest.mark.parametrize(("operation", "sample"), BATCHED)
def test_batching_is_the_operation_on_each_example(operation: Operation, sample: Sample) -> None:
    nodes, arrays = make_inputs(sample, wide=False)
    out = make(operation, tuple(nodes), sample.attributes)
    for flags in itertools.product((False, True), repeat=len(nodes)):
        if not any(flags):
            continue
        # Other examples have the same elements in another order, so they are in range.
        examples = [
            [np.roll(a, i) if flag else a for a, flag in zip(arrays, flags, strict=True)]
            for i in range(SIZE)
        ]
        wide = [
            parameter(i, TensorType((SIZE, *n.shape), n.dtype)) if flag else n
            for i, (n, flag) in enumerate(zip(nodes, flags, strict=True))
        ]
        given = dict(zip(nodes, zip(wide, flags, strict=True), strict=True))
        ((image, batched),) = batch([out], given, SIZE)
        assert batched
        values = [
            np.stack([e[i] for e in examples]) if flag else arrays[i]
            for i, flag in enumerate(flags)
        ]
        found = value(image, wide, values)
        expected = np.stack([value(out, nodes, e) for e in examples])
        assert found.shape == expected.shape
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize(("operation", "sample"), DIFFERENTIABLE)
def test_tangent_is_the_gradient_transposed(operation: Operation, sample: Sample) -> None:
    nodes, arrays = make_inputs(small(sample), wide=True)
    out = make(operation, tuple(nodes), small(sample).attributes)
    sources = [n for n in nodes if n.dtype.kind == "float"]
    if operation.name == "pad":
        sources = sources[:1]
    generator = np.random.default_rng(3)
    extra = [parameter(100 + i, n.type) for i, n in enumerate([*sources, out])]
    drawn = [generator.normal(size=p.shape).astype(interpreted_dtype(p.type)) for p in extra]
    *directions, seed = extra
    (pushed,) = simplify(tangents([out], dict(zip(sources, directions, strict=True))))
    pulled = cotangents([out], [seed], {}, sources)
    every, values = [*nodes, *extra], [*arrays, *drawn]
    forward = (value(pushed, every, values) * drawn[-1]).sum()
    backward = sum(
        [(value(p, every, values) * d).sum() for p, d in zip(pulled, drawn, strict=False)]
    )
    np.testing.assert_allclose(forward, backward, rtol=1e-9, atol=1e-12)


def test_loops_are_batched_and_pushed_forward_as_loops() -> None:
    generator = np.random.default_rng(1)
    shapes = ((4, 2), (2,), (2,))  # a sequence of four steps, a state, a constant
    types = [TensorType(s, dt.float64) for s in shapes]
    x, state, w = [parameter(i, t) for i, t in enumerate(types)]
    inside = [parameter(i, TensorType((2,), x.dtype)) for i in range(3)]
    after = ew.tanh(ew.add(ew.mul(inside[1], inside[2]), inside[0]))
    body = LoopBody(tuple(inside), (after, ew.mul(after, after)), 1, 1, 4, True)
    out = loop(body, [x, state, w])[1]
    arrays = [generator.normal(size=s) for s in shapes]

    wide = parameter(0, TensorType((SIZE, 4, 2), x.dtype))
    given = {x: (wide, True), state: (state, False), w: (w, False)}
    ((image, flag),) = batch([out], given, SIZE)
    assert flag and sum(n.operation.name == "loop" for n in topological([image])) == 1
    many = generator.normal(size=(SIZE, 4, 2))
    expected = np.stack([value(out, [x, state, w], [m, *arrays[1:]]) for m in many])
    np.testing.assert_allclose(value(image, [wide, state, w], [many, *arrays[1:]]), expected)

    direction = parameter(9, x.type)
    (pushed,) = tangents([out], {x: direction})
    assert sum(n.operation.name == "loop" for n in topological([pushed])) == 1
    moved, step = generator.normal(size=shapes[0]), 1e-6
    ends = [value(out, [x, state, w], [arrays[0] + s * moved, *arrays[1:]]) for s in (step, -step)]
    found = value(pushed, [x, state, w, direction], [*arrays, moved])
    np.testing.assert_allclose(found, (ends[0] - ends[1]) / (2 * step), rtol=1e-6, atol=1e-9)
    assert lifted(x, SIZE).shape == (SIZE, 4, 2)
