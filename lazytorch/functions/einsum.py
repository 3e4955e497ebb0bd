"""Products over labelled axes: tensordot, einsum, the Kronecker and the vector product."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any

from codegen import dtype as dt
from codegen.ir.node import Node, Shape
from codegen.ops import elementwise as ew
from codegen.ops.movement import pad_to, permute, reshape, slice_
from codegen.ops.reduction import sum_
from lazytorch.autocasting import in_lower_precision
from lazytorch.expression import Function
from lazytorch.functions.arguments import require_tensor, require_tensors
from lazytorch.functions.bodies import apply_one
from lazytorch.functions.contraction import contract
from lazytorch.functions.products import check_product, reshape_to_scalar
from lazytorch.functions.promotion import promote, result_dtype
from lazytorch.functions.registration import operation
from lazytorch.tensor import Tensor, wrap_dim


def _tensordot(a: Node, b: Node, a_axes: Shape, b_axes: Shape) -> Node:
    for i, j in zip(a_axes, b_axes, strict=True):
        if a.shape[i] != b.shape[j] and 1 not in (a.shape[i], b.shape[j]):
            raise RuntimeError(
                f"contracted dimensions need to match, but first has size {a.shape[i]} in dim "
                f"{i} and second has size {b.shape[j]} in dim {j}"
            )
    check_product(a, b)
    a_labels: list[Hashable] = [("a", i) for i in range(len(a.shape))]
    b_labels: list[Hashable] = [("b", i) for i in range(len(b.shape))]
    for i, j in zip(a_axes, b_axes, strict=True):
        b_labels[j] = a_labels[i]
    out = [name for i, name in enumerate(a_labels) if i not in a_axes]
    out += [name for j, name in enumerate(b_labels) if j not in b_axes]
    (a, a_kept), (b, b_kept) = _squeeze_repeated(a, a_labels, b, b_labels)
    return contract(a, b, a_kept, b_kept, out)


def _squeeze_repeated(
    a: Node, a_labels: Sequence[Hashable], b: Node, b_labels: Sequence[Hashable]
) -> list[tuple[Node, list[Hashable]]]:
    """Drop axes of extent 1 whose label has another extent in the other operand."""
    sizes: dict[Hashable, int] = {}
    for x, labels in ((a, a_labels), (b, b_labels)):
        for label, n in zip(labels, x.shape, strict=True):
            sizes[label] = n if sizes.get(label, 1) == 1 else sizes[label]
    result = []
    for x, labels in ((a, a_labels), (b, b_labels)):
        kept = [i for i, name in enumerate(labels) if x.shape[i] == sizes[name]]
        result.append((reshape(x, [x.shape[i] for i in kept]), [labels[i] for i in kept]))
    return result


TENSORDOT = Function("tensordot", _tensordot, gradient_name="ViewBackward0")


@operation(
    method=False,
    out=(
        "tensordot: Expected the output tensor to have dtype {made}, but got an output tensor "
        "with dtype {out}"
    ),
)
def tensordot(a: Tensor, b: Tensor, dims: Any = 2) -> Tensor:
    """The sum of products over the last ``dims`` dimensions of a and the first of b, or over
    the dimensions that the two lists name."""
    if isinstance(dims, Tensor):
        dims = dims.tolist()
    if isinstance(dims, int):
        if dims < 0:
            raise RuntimeError(f"tensordot expects dims >= 0, but got dims={dims}")
        if dims > min(a.dim(), b.dim()):
            raise RuntimeError(f"tensordot expects dims < ndim_a or ndim_b, but got dims={dims}")
        first, second = list(range(-dims, 0)), list(range(dims))
    else:
        first, second = ([d] if isinstance(d, int) else list(d) for d in dims)
    if len(first) != len(second):
        raise RuntimeError("both dimension lists should have same length")
    for i, j in zip(first, second, strict=True):
        n, m = a._type.shape[i], b._type.shape[j]
        if n != m and 1 not in (n, m):
            raise RuntimeError(
                f"contracted dimensions need to match, but first has size {n} in dim {i} and "
                f"second has size {m} in dim {j}"
            )
    a_axes = tuple([wrap_dim(d, a.dim()) for d in first])
    b_axes = tuple([wrap_dim(d, b.dim()) for d in second])
    return apply_one(TENSORDOT, (a, b), (a_axes, b_axes))


def diagonals(x: Node, labels: Sequence[int]) -> tuple[Node, list[int]]:
    """Each repeated label's diagonal: a strided slice of the two axes merged."""
    names = list(labels)
    for label in labels:
        while names.count(label) > 1:
            i = names.index(label)
            j = names.index(label, i + 1)
            rest = [k for k in range(len(names)) if k not in (i, j)]
            n = x.shape[i]
            x = permute(x, [*rest, i, j])
            flat = reshape(x, (*x.shape[:-2], n * n))
            zeros, ones = [0] * (len(rest) + 1), [1] * len(rest)
            x = slice_(flat, zeros, (*flat.shape[:-1], n), (*ones, n + 1))
            names = [*[names[k] for k in rest], label]
    return x, names


def _einsum(*arguments: Any) -> Node:
    *operands, inputs, output = arguments
    values: list[tuple[Node, list[Any]]] = [
        diagonals(x, labels) for x, labels in zip(operands, inputs, strict=True)
    ]
    sizes: dict[int, int] = {}
    for x, labels in values:
        for label, n in zip(labels, x.shape, strict=True):
            sizes[label] = max(n, sizes.get(label, 1)) if n else 0
    trimmed: list[tuple[Node, list[Any]]] = []
    for x, labels in values:
        kept = [i for i, name in enumerate(labels) if x.shape[i] == sizes[name]]
        trimmed.append((reshape(x, [x.shape[i] for i in kept]), [labels[i] for i in kept]))
    first, names = trimmed[0]
    rest = trimmed[1:]
    for position, (x, labels) in enumerate(rest):
        later = {name for _, ls in rest[position + 1 :] for name in ls} | set(output)
        out = [name for name in dict.fromkeys([*names, *labels]) if name in later]
        if position == len(rest) - 1:
            out = [*output]
        if {*names} & {*labels} <= {*out}:
            dtype = result_dtype((first, x))  # nothing is summed over
            first, x = ew.cast(first, dtype), ew.cast(x, dtype)
        else:
            check_product(first, x)
        first, names = contract(first, x, names, labels, out), out
    lost = [i for i, name in enumerate(names) if name not in output]
    first = sum_(first, lost)
    names = [name for name in names if name in output]
    return permute(first, [names.index(name) for name in output])


EINSUM = Function("einsum", _einsum, gradient_name="ViewBackward0")


@operation(method=False)
def einsum(equation: Any, *operands: Any) -> Tensor:
    """Products summed over the labels that the output lacks: einsum("bij,bjk->bik", x, y)."""
    if not isinstance(equation, str):
        equation, given = _from_sublists((equation, *operands))
        operands = tuple(given)
    tensors = list(operands)
    if len(tensors) == 1 and isinstance(tensors[0], (list, tuple)):
        tensors = list(tensors[0])
    if not tensors:
        raise RuntimeError("einsum(): must provide at least one operand")
    require_tensors(tensors, 1)
    ranks = [t.dim() for t in tensors]
    inputs, output = _parse(equation, ranks)
    _check_labels([t._type.shape for t in tensors], inputs)
    # Autocast is for products that are summed over.
    shared = {name for labels in inputs for name in labels if name not in output}
    sums = any([sum(name in labels for labels in inputs) > 1 for name in shared])
    return (_contracted if sums else apply_one)(EINSUM, tensors, (inputs, output))


_contracted = in_lower_precision(apply_one)


def _from_sublists(arguments: Sequence[Any]) -> tuple[str, list[Any]]:
    """einsum(x, [0, 1], y, [1, 2], [0, 2]) as an equation."""
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

    def spell(labels: Sequence[Any]) -> str:
        for label in labels:
            if label is not Ellipsis and not 0 <= label < 52:
                raise RuntimeError(
                    f"einsum(): expected subscripts in the range [0, 52) but got {label}"
                )
        return "".join(["..." if name is Ellipsis else letters[name] for name in labels])

    pairs = len(arguments) // 2
    equation = ",".join([spell(arguments[2 * i + 1]) for i in range(pairs)])
    if len(arguments) % 2:
        equation += "->" + spell(arguments[-1])
    return equation, [arguments[2 * i] for i in range(pairs)]


def _parse(equation: str, ranks: Sequence[int]) -> tuple[tuple[Shape, ...], Shape]:
    """Each operand's labels and the output's; negative labels stand for the ellipsis's axes."""
    for i, letter in enumerate(equation):
        if not (letter.isalpha() and letter.isascii()) and letter not in ",.-> ":
            raise RuntimeError(
                f"einsum(): invalid subscript given at index {i} in the equation string, "
                "subscripts must be in [a-zA-Z]"
            )
    left, arrow, right = equation.replace(" ", "").partition("->")
    terms = left.split(",")
    if len(terms) > len(ranks):
        raise RuntimeError("einsum(): fewer operands were provided than specified in the equation")
    if len(terms) < len(ranks):
        raise RuntimeError("einsum(): more operands were provided than specified in the equation")
    hidden = [rank - len(t.replace("...", "")) for t, rank in zip(terms, ranks, strict=True)]
    for i, (term, rank) in enumerate(zip(terms, ranks, strict=True)):
        spoken = len(term.replace("...", ""))
        if "..." not in term and spoken != rank:
            raise RuntimeError(
                f"einsum(): the number of subscripts in the equation ({spoken}) does not match "
                f"the number of dimensions ({rank}) for operand {i} and no ellipsis was given"
            )
        if spoken > rank:
            raise RuntimeError(
                f"einsum(): the number of subscripts in the equation ({spoken}) is more than the "
                f"number of dimensions ({rank}) for operand {i}"
            )
    most = max([h for h, t in zip(hidden, terms, strict=True) if "..." in t], default=0)

    def labels(term: str, count: int) -> Shape:
        before, dots, after = term.partition("...")
        middle = [-1 - i for i in reversed(range(count))] if dots else []
        return (*[ord(c) for c in before], *middle, *[ord(c) for c in after])

    inputs = tuple([labels(t, h) for t, h in zip(terms, hidden, strict=True)])
    spoken_letters = "".join(terms).replace(".", "")
    if not arrow:
        once = sorted([c for c in set(spoken_letters) if spoken_letters.count(c) == 1])
        right = ("..." if most else "") + "".join(once)
    for letter in right.replace("...", ""):
        if right.count(letter) > 1:
            raise RuntimeError(
                f"einsum(): output subscript {letter} appears more than once in the output"
            )
        if letter not in spoken_letters:
            raise RuntimeError(
                f"einsum(): output subscript {letter} does not appear in the equation for any "
                "input operand"
            )
    return inputs, labels(right, most)


def _check_labels(shapes: Sequence[Shape], inputs: Sequence[Shape]) -> None:
    seen: dict[int, int] = {}
    for number_, (shape, labels) in enumerate(zip(shapes, inputs, strict=True)):
        own: dict[int, int] = {}
        for n, label in zip(shape, labels, strict=True):
            name = chr(label) if label >= 0 else "..."
            if own.setdefault(label, n) != n:
                raise RuntimeError(
                    f"einsum(): subscript {name} is repeated for operand {number_} but the sizes "
                    f"don't match, {n} != {own[label]}"
                )
            before = seen.get(label, 1)
            if before != n and 1 not in (before, n):
                raise RuntimeError(
                    f"einsum(): subscript {name} has size {n} for operand {number_} which does "
                    f"not broadcast with previously seen size {before}"
                )
            seen[label] = n if before == 1 else before


# ---- kron, trace, cross -----------------------------------------------------------------------


def _kron(a: Node, b: Node) -> Node:
    rank = max(len(a.shape), len(b.shape))
    a = reshape(a, (1,) * (rank - len(a.shape)) + a.shape)
    b = reshape(b, (1,) * (rank - len(b.shape)) + b.shape)
    dtype = promote(reshape_to_scalar(a), reshape_to_scalar(b))[0].dtype
    a, b = ew.cast(a, dtype), ew.cast(b, dtype)
    rows, columns = [("a", i) for i in range(rank)], [("b", i) for i in range(rank)]
    woven = [label for pair in zip(rows, columns, strict=True) for label in pair]
    spread = contract(a, b, rows, columns, woven)
    return reshape(spread, [n * m for n, m in zip(a.shape, b.shape, strict=True)])


def _trace(x: Node) -> Node:
    if len(x.shape) != 2:
        raise RuntimeError(f"trace: expected a matrix, but got tensor with dim {len(x.shape)}")
    n = min(x.shape)
    square = slice_(x, (0, 0), (n, n), (1, 1))
    diagonal, _ = diagonals(square, (0, 0))
    exact = diagonal if x.dtype.differentiable else ew.cast(diagonal, dt.int64)
    return sum_(exact, (0,))


def _cross(a: Node, b: Node, axis: int) -> Node:
    a, b = promote(a, b)
    left = ew.mul(_turned(a, axis, 1), _turned(b, axis, 2))
    return ew.sub(left, ew.mul(_turned(a, axis, 2), _turned(b, axis, 1)))


def _turned(x: Node, axis: int, by: int) -> Node:
    """The elements along an axis moved ``by`` places towards its start, around the end."""
    n = len(x.shape)

    def part(start: int, size: int, target: int) -> Node:
        starts = [start if i == axis else 0 for i in range(n)]
        sizes = [size if i == axis else m for i, m in enumerate(x.shape)]
        places = [target if i == axis else 0 for i in range(n)]
        return pad_to(slice_(x, starts, sizes, [1] * n), x.shape, places, [1] * n)

    return ew.add(part(by, 3 - by, 0), part(0, by, 3 - by))


KRON = Function("kron", _kron, spares=lambda *_: (0, 1))
TRACE = Function("trace", _trace)
CROSS = Function("cross", _cross, gradient_name="LinalgCrossBackward0")


@operation(out=True)
def kron(input: Tensor, other: Tensor) -> Tensor:
    """The Kronecker product."""
    require_tensor("kron", other, "other", 2)
    return apply_one(KRON, (input, other))


@operation()
def trace(input: Tensor) -> Tensor:
    """The sum of a matrix's diagonal."""
    return apply_one(TRACE, (input,))


def linalg_cross(input: Tensor, other: Tensor, *, dim: int = -1) -> Tensor:
    """torch.linalg.cross: the vector product along a dimension of extent 3."""
    n, m = input._type.shape[dim], other._type.shape[dim]
    if n != 3 or m != 3:
        raise RuntimeError(
            f"linalg.cross: inputs dimension {dim} must have length 3. Got {n} and {m}"
        )
    return apply_one(CROSS, (input, other), (wrap_dim(dim, input.dim()),))


@operation(out="same type")
def cross(input: Tensor, other: Tensor, dim: int | None = None) -> Tensor:
    """The vector product along ``dim``, by default the first dimension of extent 3."""
    if dim is None:
        shape = input._type.shape
        if 3 not in shape:
            raise RuntimeError("no dimension of size 3 in input")
        dim = shape.index(3)
    return linalg_cross(input, other, dim=dim)
