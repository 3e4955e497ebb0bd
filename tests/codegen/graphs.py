"""Random graphs over the operations, and a comparison of compiled C with the interpreter."""

from __future__ import annotations

import random
from collections.abc import Sequence

import numpy as np

from codegen import dtype as dt
from codegen.graph.simplify import simplify
from codegen.ir.node import Node, TensorType
from codegen.ops import elementwise as ew
from codegen.ops import indexing, movement, reduction
from codegen.ops.leaves import constant, iota, parameter
from codegen.ops.registry import Array
from codegen.ops.sort import sort
from codegen.pipeline import Graph, Plan, build
from codegen.render.opencl import OPENCL
from codegen.runtime.interpreter import from_buffer, interpret, to_buffer
from codegen.runtime.memory import Buffer, allocate
from codegen.runtime.opencl import OpenClPlan, find_device
from codegen.runtime.plan import CpuPlan


def steps(x: Node) -> Node:
    """A discontinuous function, but at none of the numbers where others saturate."""
    return ew.floor(ew.add(x, ew.full_like(x, 0.25)))


UNARY = (ew.neg, ew.abs_, ew.tanh, ew.exp, ew.sigmoid, ew.sin, steps)
BINARY = (ew.add, ew.sub, ew.mul, ew.maximum, ew.minimum)


def run_compiled(graph: Graph, arrays: Sequence[Array], threads: int = 2) -> list[Array]:
    """The outputs as generated C computes them."""
    return run_plan(CpuPlan(build(graph, threads)), graph, arrays)


def run_opencl(graph: Graph, arrays: Sequence[Array]) -> list[Array]:
    """The outputs as generated OpenCL computes them, on the first device."""
    device = find_device("opencl")
    return run_plan(OpenClPlan(build(graph, device.threads, OPENCL), device), graph, arrays)


def run_plan(plan: Plan, graph: Graph, arrays: Sequence[Array]) -> list[Array]:
    """The outputs of a plan for a graph."""
    values = []
    for node, array in zip(graph.parameters, arrays, strict=True):
        buffer = allocate(node.type.nbytes)
        buffer.as_numpy(node.dtype.numpy, node.shape)[...] = to_buffer(array, node.type)
        values.append(buffer)
    return [_array(b, n) for b, n in zip(plan.run(values), graph.outputs, strict=True)]


def _array(buffer: Buffer, node: Node) -> Array:
    return from_buffer(buffer.as_numpy(node.dtype.numpy, node.shape).copy(), node.type)


def run_interpreted(graph: Graph, arrays: Sequence[Array]) -> list[Array]:
    """The outputs as the NumPy references compute them."""
    return interpret(graph.outputs, dict(zip(graph.parameters, arrays, strict=True)))


def assert_same(got: Array, want: Array, what: str = "", rtol: float = 2e-5) -> None:
    assert got.shape == want.shape and got.dtype == want.dtype, what
    if want.dtype.kind == "f":
        scale = np.abs(want[np.isfinite(want)]).max(initial=1.0)
        np.testing.assert_allclose(got, want, rtol=rtol, atol=rtol * scale, err_msg=what)
    else:
        np.testing.assert_array_equal(got, want, err_msg=what)


def compare(graph: Graph, arrays: Sequence[Array]) -> None:
    """Compiled C against the interpreter, and the simplified graph against the graph."""
    wants = run_interpreted(graph, arrays)
    simplified = Graph(graph.parameters, tuple(simplify(graph.outputs)))
    for got, want in zip(run_interpreted(simplified, arrays), wants, strict=True):
        assert_same(got, want, "simplified")
    for i, (got, want) in enumerate(zip(run_compiled(graph, arrays), wants, strict=True)):
        assert_same(got, want, f"output {i} of {graph.outputs}")


class RandomGraph:
    """A graph grown by random choices from a seed."""

    def __init__(self, seed: int, size: int = 25) -> None:
        self.random = random.Random(seed)
        self.parameters: list[Node] = []
        self.pool: list[Node] = []
        for _ in range(self.random.randint(1, 3)):
            self._add_parameter(self._shape())
        for _ in range(size):
            node = self._grow()
            if node is not None and node.type.size <= 20000:
                self.pool.append(node)
        count = self.random.randint(1, 4)
        self.graph = Graph(tuple(self.parameters), tuple(self.pool[-count:]))

    def arrays(self) -> list[Array]:
        generator = np.random.default_rng(self.random.randint(0, 1 << 30))
        return [generator.standard_normal(p.shape).astype(p.dtype.numpy) for p in self.parameters]

    def _shape(self) -> tuple[int, ...]:
        extents = (1, 2, 3, 5, 8, 16, 17, 33, 70)
        return tuple([self.random.choice(extents) for _ in range(self.random.randint(0, 3))])

    def _add_parameter(self, shape: tuple[int, ...]) -> Node:
        node = parameter(len(self.parameters), TensorType(shape, dt.float32))
        self.parameters.append(node)
        self.pool.append(node)
        return node

    def _grow(self) -> Node | None:
        x = self.random.choice(self.pool)
        makers = (
            self._unary, self._binary, self._binary, self._broadcast, self._permute, self._reshape,
            self._slice, self._pad, self._reduce, self._reduce, self._normalize, self._contract,
            self._window, self._write, self._gather, self._scan, self._where, self._fold,
            self._scatter, self._sort,
        )  # fmt: skip
        return self.random.choice(makers)(x)

    def _unary(self, x: Node) -> Node:
        # Bounded by a hyperbolic tangent, so that long chains stay finite.
        return (
            self.random.choice(UNARY)(ew.tanh(x) if self.random.random() < 0.5 else x)
            if self.random.random() < 0.5
            else ew.tanh(x)
        )

    def _partner(self, x: Node) -> Node:
        same = [n for n in self.pool if n.shape == x.shape]
        if self.random.random() < 0.2:
            return ew.full_like(x, self.random.choice((0.0, 1.0, 0.5)))
        return self.random.choice(same)

    def _binary(self, x: Node) -> Node:
        return self.random.choice(BINARY)(x, self._partner(x))

    def _where(self, x: Node) -> Node:
        y = self._partner(x)
        return ew.where(ew.gt(x, y), ew.mul(x, y), y)

    def _broadcast(self, x: Node) -> Node:
        shape, axes = list(x.shape), list(range(len(x.shape)))
        at = self.random.randint(0, len(shape))
        shape.insert(at, self.random.choice((1, 2, 6)))
        return reduction.broadcast(x, shape, [a + (a >= at) for a in axes])

    def _permute(self, x: Node) -> Node:
        order = list(range(len(x.shape)))
        self.random.shuffle(order)
        return movement.permute(x, order)

    def _reshape(self, x: Node) -> Node:
        if self.random.random() < 0.5 or len(x.shape) < 2:
            return movement.reshape(x, (x.type.size,))
        at = self.random.randrange(len(x.shape) - 1)
        merged = (*x.shape[:at], x.shape[at] * x.shape[at + 1], *x.shape[at + 2 :])
        return movement.reshape(x, merged)

    def _slice(self, x: Node) -> Node | None:
        starts, sizes, steps = [], [], []
        for n in x.shape:
            step = self.random.choice((1, 1, 2, -1))
            start = self.random.randrange(n)
            room = (n - 1 - start) // step + 1 if step > 0 else start // -step + 1
            starts.append(start)
            sizes.append(self.random.randint(1, room))
            steps.append(step)
        return movement.slice_(x, starts, sizes, steps)

    def _pad(self, x: Node) -> Node:
        steps = [self.random.choice((1, 1, 2)) for _ in x.shape]
        starts = [self.random.randint(0, 2) for _ in x.shape]
        shape = [
            s + (n - 1) * t + 1 + self.random.randint(0, 2)
            for s, n, t in zip(starts, x.shape, steps, strict=True)
        ]
        fill = constant(self.random.choice((0.0, 1.5)), x.dtype)
        return movement.pad_to(x, shape, starts, steps, fill)

    def _axes(self, x: Node) -> list[int]:
        return [a for a in range(len(x.shape)) if self.random.random() < 0.5]

    def _reduce(self, x: Node) -> Node:
        reduce = self.random.choice((reduction.sum_, reduction.max_, reduction.min_))
        return reduce(x, self._axes(x))

    def _normalize(self, x: Node) -> Node:
        axes = self._axes(x)
        shifted = ew.sub(x, reduction.expand_back(reduction.max_(x, axes), x.shape, axes))
        e = ew.exp(shifted)
        return ew.div(e, reduction.expand_back(reduction.sum_(e, axes), x.shape, axes))

    def _contract(self, x: Node) -> Node | None:
        if not x.shape or len(x.shape) > 2:
            return None
        k = x.shape[-1]
        other = self._add_parameter((k, self.random.choice((2, 3, 20, 66))))
        if self.random.random() < 0.5:
            self.pool.pop()
        shape = (*x.shape[:-1], other.shape[1], k)
        rank = len(shape)
        a = reduction.broadcast(x, shape, [*range(rank - 2), rank - 1])
        b = reduction.broadcast(movement.permute(other, (1, 0)), shape, (rank - 2, rank - 1))
        return reduction.sum_(ew.mul(a, b), (rank - 1,))

    def _window(self, x: Node) -> Node | None:
        if not x.shape or x.shape[0] < 3:
            return None
        wide = reduction.broadcast(x, (*x.shape, 2), range(len(x.shape)))
        return movement.skew(wide, 0, (x.shape[0] - 2) // 2 + 1, 2, 1)

    def _fold(self, x: Node) -> Node | None:
        if len(x.shape) < 2:
            return None
        length = (x.shape[0] - 1) * 2 + x.shape[-1] + 1
        return reduction.sum_(movement.unskew(x, 0, length, 2, 1), (len(x.shape) - 1,))

    def _write(self, x: Node) -> Node | None:
        starts = [self.random.randrange(n) for n in x.shape]
        sizes = [self.random.randint(1, n - s) for n, s in zip(x.shape, starts, strict=True)]
        value = movement.slice_(ew.neg(x), [0] * len(sizes), sizes, [1] * len(sizes))
        return indexing.write(x, value, starts, [1] * len(sizes))

    def _indices(self, size: int, count: int) -> Node:
        places = ew.mul(iota(count), ew.full_like(iota(count), 7))
        return ew.remainder(places, ew.full_like(places, size))

    def _gather(self, x: Node) -> Node:
        return indexing.gather(*self._places(x))

    def _places(self, x: Node) -> tuple[Node, Node, int]:
        """Places along an axis of a tensor, or of all its elements in a row."""
        if not x.shape or self.random.random() < 0.3:
            flat = movement.reshape(x, (x.type.size,))
            return flat, self._indices(x.type.size, 9), 0
        axis = self.random.randrange(len(x.shape))
        shape = (*x.shape[:axis], 9, *x.shape[axis + 1 :])
        return x, reduction.broadcast(self._indices(x.shape[axis], 9), shape, (axis,)), axis

    def _scatter(self, x: Node) -> Node:
        base, index, axis = self._places(x)
        mode = self.random.choice(("add", "max", "min"))
        return indexing.scatter(base, index, indexing.gather(base, index, axis), mode, axis)

    def _sort(self, x: Node) -> Node | None:
        if not x.shape:
            return None
        axis = self.random.randrange(len(x.shape))
        start = self.random.randrange(x.shape[axis])
        stop = self.random.randint(start + 1, x.shape[axis])
        # Values alone: of two that rounding makes equal, either may come first.
        return sort(x, axis, self.random.random() < 0.5, start, stop)[0]

    def _scan(self, x: Node) -> Node | None:
        if not x.shape:
            return None
        return reduction.cumsum(ew.tanh(x), self.random.randrange(len(x.shape)))
