"""Small graphs whose kernels are known: their text (golden files) and how many there are."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from codegen import dtype as dt
from codegen.dtype import DType
from codegen.ir.node import Node, TensorType
from codegen.ops import elementwise as ew
from codegen.ops import indexing, movement, reduction
from codegen.ops.leaves import constant, iota, parameter
from codegen.ops.sort import insertion_places, sort
from codegen.pipeline import Graph

Shape = Sequence[int]


class Inputs:
    """Makes the parameters of a graph."""

    def __init__(self) -> None:
        self.made: list[Node] = []

    def __call__(self, *shape: int, dtype: DType = dt.float32) -> Node:
        node = parameter(len(self.made), TensorType(shape, dtype))
        self.made.append(node)
        return node


Maker = Callable[[Inputs], "Node | tuple[Node, ...]"]
GRAPHS: dict[str, Maker] = {}


def known(maker: Maker) -> Maker:
    GRAPHS[maker.__name__] = maker
    return maker


def known_graph(name: str) -> Graph:
    inputs = Inputs()
    result = GRAPHS[name](inputs)
    outputs = (result,) if isinstance(result, Node) else result
    return Graph(tuple(inputs.made), outputs)


def filled(x: Node, value: float) -> Node:
    return ew.full_like(x, value)


def mean(x: Node, axes: Shape) -> Node:
    total = reduction.sum_(x, axes)
    return ew.div(total, filled(total, x.type.size // total.type.size))


def like(x: Node, target: Node, axes: Shape) -> Node:
    return reduction.expand_back(x, target.shape, axes)


def softmax(x: Node, axis: int) -> Node:
    e = ew.exp(ew.sub(x, like(reduction.max_(x, (axis,)), x, (axis,))))
    return ew.div(e, like(reduction.sum_(e, (axis,)), x, (axis,)))


def normalized(x: Node, axes: Shape) -> Node:
    centred = ew.sub(x, like(mean(x, axes), x, axes))
    variance = mean(ew.mul(centred, centred), axes)
    scale = ew.rsqrt(ew.add(variance, filled(variance, 1e-5)))
    return ew.mul(centred, like(scale, x, axes))


def product(a: Node, b: Node) -> Node:
    """The matrix product of [m, k] and [k, n]."""
    shape = (a.shape[0], b.shape[1], a.shape[1])
    wide_a = reduction.broadcast(a, shape, (0, 2))
    wide_b = reduction.broadcast(movement.permute(b, (1, 0)), shape, (1, 2))
    return reduction.sum_(ew.mul(wide_a, wide_b), (2,))


def windows(x: Node, axis: int, size: int, stride: int) -> Node:
    """The windows over an axis, on a new last axis."""
    wide = reduction.broadcast(x, (*x.shape, size), range(len(x.shape)))
    return movement.skew(wide, axis, (x.shape[axis] - size) // stride + 1, stride, 1)


def gelu(x: Node) -> Node:
    half = ew.mul(filled(x, 0.5), x)
    return ew.mul(half, ew.add(filled(x, 1.0), ew.erf(ew.mul(x, filled(x, 0.7071067811865476)))))


@known
def add(inputs: Inputs) -> Node:
    return ew.add(inputs(300, 1000), inputs(300, 1000))


@known
def add_broadcast_row(inputs: Inputs) -> Node:
    x, row = inputs(300, 1000), inputs(1000)
    return ew.add(x, reduction.broadcast(row, x.shape, (1,)))


@known
def add_broadcast_column(inputs: Inputs) -> Node:
    x, column = inputs(300, 1000), inputs(300)
    return ew.add(x, reduction.broadcast(column, x.shape, (0,)))


@known
def add_transposed(inputs: Inputs) -> Node:
    return ew.add(inputs(300, 500), movement.permute(inputs(500, 300), (1, 0)))


@known
def exp_chain(inputs: Inputs) -> Node:
    x = inputs(100_003)
    return ew.mul(ew.exp(ew.neg(ew.mul(x, x))), filled(x, 0.5))


@known
def gelu_of_affine(inputs: Inputs) -> Node:
    x, a, b = inputs(64, 768), inputs(768), inputs(768)
    wide = [reduction.broadcast(v, x.shape, (1,)) for v in (a, b)]
    return gelu(ew.add(ew.mul(x, wide[0]), wide[1]))


@known
def sum_rows(inputs: Inputs) -> Node:
    return reduction.sum_(inputs(300, 1000), (1,))


@known
def sum_columns(inputs: Inputs) -> Node:
    return reduction.sum_(inputs(300, 1000), (0,))


@known
def sum_middle(inputs: Inputs) -> Node:
    return reduction.sum_(inputs(20, 30, 50), (1,))


@known
def sum_all(inputs: Inputs) -> Node:
    return reduction.sum_(inputs(100, 100), (0, 1))


@known
def sum_all_large(inputs: Inputs) -> Node:
    return reduction.sum_(inputs(1000, 1000), (0, 1))


@known
def layer_norm(inputs: Inputs) -> Node:
    x, scale, shift = inputs(256, 768), inputs(768), inputs(768)
    wide = [reduction.broadcast(v, x.shape, (1,)) for v in (scale, shift)]
    return ew.add(ew.mul(normalized(x, (1,)), wide[0]), wide[1])


@known
def batch_norm(inputs: Inputs) -> Node:
    return normalized(inputs(16, 8, 100), (0, 2))


@known
def softmax_large(inputs: Inputs) -> Node:
    return softmax(inputs(1024, 600), 1)


@known
def softmax_rows(inputs: Inputs) -> Node:
    return softmax(inputs(256, 500), 1)


@known
def softmax_columns(inputs: Inputs) -> Node:
    return softmax(inputs(256, 500), 0)


@known
def cross_entropy(inputs: Inputs) -> Node:
    x, target = inputs(128, 10), inputs(128, dtype=dt.int64)
    shifted = ew.sub(x, like(reduction.max_(x, (1,)), x, (1,)))
    logs = ew.sub(shifted, like(ew.log(reduction.sum_(ew.exp(shifted), (1,))), x, (1,)))
    chosen = ew.where(reduction.one_hot_mask(target, x.shape, 1), logs, filled(x, 0.0))
    return ew.neg(mean(reduction.sum_(chosen, (1,)), (0,)))


@known
def max_and_argmax(inputs: Inputs) -> tuple[Node, ...]:
    x = inputs(200, 100)
    return reduction.max_(x, (1,)), reduction.argmax(x, 1)


@known
def cumsum(inputs: Inputs) -> Node:
    return reduction.cumsum(inputs(40, 500), 1)


@known
def argmax_of_windows(inputs: Inputs) -> Node:
    """Rows of 25 taps that lie in pieces: lanes run along the windows."""
    x = windows(windows(inputs(8, 36, 36), 1, 5, 1), 2, 5, 1)
    return reduction.argmax(movement.reshape(x, (8, 32, 32, 25)), 3)


@known
def gather_rows(inputs: Inputs) -> Node:
    table, index = inputs(1000, 64), inputs(200, dtype=dt.int64)
    return indexing.gather(table, reduction.broadcast(index, (200, 64), (0,)))


def full(shape: Shape, value: float) -> Node:
    return reduction.broadcast(constant(value, dt.float32), shape, ())


@known
def scatter_add(inputs: Inputs) -> Node:
    return indexing.scatter(inputs(1000), inputs(5000, dtype=dt.int64), inputs(5000), "add")


@known
def write_region(inputs: Inputs) -> Node:
    base, value = inputs(100, 100), inputs(50, 20)
    return indexing.write(base, ew.mul(value, value), (3, 4), (1, 2))


@known
def concatenate(inputs: Inputs) -> Node:
    return indexing.concatenate([inputs(100, 30), inputs(100, 50), ew.neg(inputs(100, 7))], 1)


@known
def concatenate_large(inputs: Inputs) -> Node:
    return indexing.concatenate([inputs(256, 96), ew.neg(inputs(256, 96))], 1)


@known
def scatter_rows(inputs: Inputs) -> Node:
    """The gradient of gather_rows, of more rows: the window is cut."""
    index, updates = inputs(2000, dtype=dt.int64), inputs(2000, 64)
    places = reduction.broadcast(index, (2000, 64), (0,))
    return indexing.scatter(full((1000, 64), 0.0), places, updates, "add")


@known
def scatter_in_planes(inputs: Inputs) -> Node:
    index, updates = inputs(16, 5000, dtype=dt.int64), inputs(16, 5000)
    return indexing.scatter(full((16, 4000), 0.0), index, updates, "add", 1)


@known
def scatter_large(inputs: Inputs) -> Node:
    """Of the places each thread has its part."""
    index, updates = inputs(50_000, dtype=dt.int64), inputs(50_000)
    return indexing.scatter(inputs(10_000), index, updates, "add")


@known
def pad(inputs: Inputs) -> Node:
    return movement.pad_to(inputs(60, 100), (64, 104), (2, 2), (1, 1))


@known
def max_pool(inputs: Inputs) -> Node:
    x = windows(windows(inputs(8, 32, 32), 1, 2, 2), 2, 2, 2)
    return reduction.max_(x, (3, 4))


@known
def max_pool_padded(inputs: Inputs) -> Node:
    lowest = constant(-math.inf, dt.float32)
    x = movement.pad_to(inputs(8, 32, 32), (8, 34, 34), (0, 1, 1), (1, 1, 1), lowest)
    return reduction.max_(windows(windows(x, 1, 3, 2), 2, 3, 2), (3, 4))


@known
def matmul(inputs: Inputs) -> Node:
    return product(inputs(128, 96), inputs(96, 200))


@known
def matmul_transposed(inputs: Inputs) -> Node:
    a = movement.permute(inputs(96, 128), (1, 0))
    return product(a, movement.permute(inputs(200, 96), (1, 0)))


@known
def matmul_bias_relu(inputs: Inputs) -> Node:
    x, bias = product(inputs(128, 96), inputs(96, 200)), inputs(200)
    return ew.maximum(ew.add(x, reduction.broadcast(bias, x.shape, (1,))), filled(x, 0.0))


@known
def step_of_a_weight(inputs: Inputs) -> Node:
    """w - 0.1 (x^T g), where the product is computed the other way round."""
    w, moved = inputs(96, 200), movement.permute(product(inputs(200, 64), inputs(64, 96)), (1, 0))
    return ew.sub(w, ew.mul(filled(w, 0.1), moved))


@known
def step_with_a_momentum(inputs: Inputs) -> tuple[Node, ...]:
    """The gradient a b, the momentum max(0, m v + k a b), and w less that."""
    w, state, moved = inputs(96, 200), inputs(96, 200), product(inputs(96, 64), inputs(64, 200))
    m, k = [reduction.broadcast(inputs(), w.shape, ()) for _ in range(2)]
    momentum = ew.add(ew.mul(m, state), ew.mul(k, moved))
    momentum = ew.maximum(filled(momentum, 0), momentum)
    return moved, momentum, ew.sub(w, momentum)


@known
def matrix_vector(inputs: Inputs) -> Node:
    a, v = inputs(500, 300), inputs(300)
    wide = reduction.broadcast(v, a.shape, (1,))
    return reduction.sum_(ew.mul(a, wide), (1,))


@known
def conv2d(inputs: Inputs) -> Node:
    """[n, c, h, w] with [o, c, 3, 3], padding 1."""
    x, weight = inputs(4, 8, 16, 16), inputs(12, 8, 3, 3)
    padded = movement.pad_to(x, (4, 8, 18, 18), (0, 0, 1, 1), (1, 1, 1, 1))
    seen = windows(windows(padded, 2, 3, 1), 3, 3, 1)  # n c h w kh kw
    shape = (4, 12, 8, 16, 16, 3, 3)
    product_ = ew.mul(
        reduction.broadcast(seen, shape, (0, 2, 3, 4, 5, 6)),
        reduction.broadcast(weight, shape, (1, 2, 5, 6)),
    )
    return reduction.sum_(product_, (2, 5, 6))


@known
def conv2d_winograd(inputs: Inputs) -> Node:
    """[n, c, 15, 15] with [o, c, 3, 3], padding 1: enough channels for Winograd's transform."""
    x, weight, bias = inputs(4, 64, 15, 15), inputs(72, 64, 3, 3), inputs(72)
    padded = movement.pad_to(x, (4, 64, 17, 17), (0, 0, 1, 1), (1, 1, 1, 1))
    seen = windows(windows(padded, 2, 3, 1), 3, 3, 1)  # n c h w kh kw
    shape = (4, 72, 64, 15, 15, 3, 3)
    product_ = ew.mul(
        reduction.broadcast(weight, shape, (1, 2, 5, 6)),
        reduction.broadcast(seen, shape, (0, 2, 3, 4, 5, 6)),
    )
    y = ew.add(
        reduction.sum_(product_, (2, 5, 6)), reduction.broadcast(bias, (4, 72, 15, 15), (1,))
    )
    return ew.maximum(y, reduction.full(0, y.shape, y.dtype))


@known
def where_compare(inputs: Inputs) -> Node:
    x, y = inputs(70_000), inputs(70_000)
    return ew.where(ew.gt(x, y), ew.sqrt(x), ew.mul(x, y))


@known
def mask_as_numbers(inputs: Inputs) -> Node:
    x = inputs(70_000)
    return ew.mul(ew.cast(ew.gt(x, filled(x, 0.5)), dt.float32), x)


@known
def integers(inputs: Inputs) -> Node:
    x, y = inputs(5000, dtype=dt.int32), inputs(5000, dtype=dt.int32)
    return ew.xor(ew.floor_divide(x, y), ew.shift_left(ew.remainder(x, y), filled(y, 3)))


@known
def add_bfloat16(inputs: Inputs) -> Node:
    return ew.add(inputs(70_000, dtype=dt.bfloat16), inputs(70_000, dtype=dt.bfloat16))


@known
def add_float16(inputs: Inputs) -> Node:
    return ew.add(inputs(70_000, dtype=dt.float16), inputs(70_000, dtype=dt.float16))


@known
def random_uniform(inputs: Inputs) -> Node:
    seed = reduction.broadcast(inputs(dtype=dt.int64), (10_000,), ())
    bits = ew.threefry(seed, ew.full_like(seed, 0), iota(10_000))
    fraction = ew.cast(ew.and_(bits, ew.full_like(bits, (1 << 24) - 1)), dt.float32)
    return ew.mul(fraction, ew.full_like(fraction, 2.0**-24))


@known
def casts(inputs: Inputs) -> tuple[Node, ...]:
    x = inputs(5000)
    targets = (dt.float64, dt.float16, dt.bfloat16, dt.int64, dt.int32, dt.uint8, dt.bool_)
    return tuple([ew.cast(x, t) for t in targets])


@known
def several_outputs(inputs: Inputs) -> tuple[Node, ...]:
    """A step of Adam."""
    w, g, m, v = inputs(20_000), inputs(20_000), inputs(20_000), inputs(20_000)
    m = ew.add(ew.mul(m, filled(m, 0.9)), ew.mul(g, filled(g, 0.1)))
    v = ew.add(ew.mul(v, filled(v, 0.99)), ew.mul(ew.mul(g, g), filled(g, 0.01)))
    step = ew.div(m, ew.add(ew.sqrt(v), filled(v, 1e-8)))
    return ew.sub(w, ew.mul(step, filled(step, 0.001))), m, v


@known
def sort_rows(inputs: Inputs) -> tuple[Node, ...]:
    return sort(inputs(300, 1000), 1)


@known
def sort_short_rows(inputs: Inputs) -> Node:
    return sort(ew.neg(inputs(300, 20, dtype=dt.int64)), 1, descending=True)[1]


@known
def sort_one_row(inputs: Inputs) -> tuple[Node, ...]:
    return sort(inputs(100_001, dtype=dt.float64), 0)


@known
def largest_five(inputs: Inputs) -> tuple[Node, ...]:
    return sort(inputs(1000, 300), 0, True, 0, 5)


@known
def middle_of_rows(inputs: Inputs) -> Node:
    return sort(inputs(300, 1000, dtype=dt.bfloat16), 1, False, 499, 500)[0]


@known
def binary_search(inputs: Inputs) -> Node:
    return insertion_places(inputs(9), inputs(300, 1000), False)


# The following are counted, but their text shows nothing new.


@known
def long_chain(inputs: Inputs) -> Node:
    x = inputs(50_000)
    y = x
    for i in range(40):
        y = (ew.sin, ew.exp, ew.tanh, ew.neg)[i % 4](ew.add(y, x))
    return y


@known
def squared_differences(inputs: Inputs) -> Node:
    x, y = inputs(300, 1000), inputs(300, 1000)
    difference = ew.sub(x, y)
    return mean(ew.mul(difference, difference), (0, 1))


@known
def row_and_column_sums(inputs: Inputs) -> tuple[Node, ...]:
    x = inputs(300, 1000)
    return reduction.sum_(x, (1,)), reduction.sum_(x, (0,))


@known
def sums_of_one_input(inputs: Inputs) -> tuple[Node, ...]:
    x = inputs(300, 1000)
    return reduction.sum_(x, (1,)), reduction.max_(x, (1,)), reduction.sum_(ew.mul(x, x), (1,))


@known
def attention(inputs: Inputs) -> Node:
    q, k, v = inputs(128, 64), inputs(128, 64), inputs(128, 64)
    scores = product(q, movement.permute(k, (1, 0)))
    return product(softmax(ew.mul(scores, filled(scores, 0.125)), 1), v)


@known
def two_layers(inputs: Inputs) -> Node:
    x, w1, b1, w2 = inputs(64, 100), inputs(100, 80), inputs(80), inputs(80, 10)
    h = product(x, w1)
    h = ew.maximum(ew.add(h, reduction.broadcast(b1, h.shape, (1,))), filled(h, 0.0))
    return product(h, w2)


@known
def layer_used_twice(inputs: Inputs) -> Node:
    """The gradient of its weight, as it arrives: the products are added up before their sum."""
    products = []
    for _ in range(2):
        x, g = inputs(64, 100), inputs(64, 80)
        shape = (64, 100, 80)
        wide = reduction.broadcast(x, shape, (0, 1)), reduction.broadcast(g, shape, (0, 2))
        products.append(ew.mul(*wide))
    return reduction.sum_(ew.add(*products), (0,))


@known
def log_of_short_sums(inputs: Inputs) -> Node:
    return ew.log(reduction.sum_(inputs(500, 20), (1,)))


@known
def log_of_long_sums(inputs: Inputs) -> Node:
    return ew.log(reduction.sum_(inputs(500, 2000), (1,)))


COUNTED_ONLY = (
    "layer_used_twice", "log_of_long_sums", "log_of_short_sums", "long_chain",
    "squared_differences", "row_and_column_sums", "sums_of_one_input",
    "two_layers",
)  # fmt: skip
