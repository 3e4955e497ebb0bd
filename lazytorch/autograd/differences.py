"""Both sides of gradcheck: derivatives by differences of a function's values, and by its graph.

Matrices are NumPy's, of shape (elements of the input, elements of the output). In fast mode an
input goes in one direction ``u``, and an output is summed with weights ``v``, as PyTorch's does.
Outputs are real; an element of a complex input has the derivative by its real part, plus 1j times
that by its imaginary one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from codegen.dtype import DType
from lazytorch.autograd import forward_ad
from lazytorch.autograd.backward import grad
from lazytorch.functions.creation import zeros_like
from lazytorch.functions.data import tensor
from lazytorch.functions.random import Generator, rand
from lazytorch.realize import realize
from lazytorch.tensor import Tensor

Array = Any
Checked = Callable[..., Any]
# Results that are computed by one plan.
_PLAN = 32


def as_tuple(values: Any) -> tuple[Any, ...]:
    return tuple(values) if isinstance(values, (tuple, list)) else (values,)


def differentiable(results: Any) -> tuple[Tensor, ...]:
    return tuple([r for r in as_tuple(results) if r.requires_grad])


def wanted_places(inputs: Sequence[Any]) -> list[int]:
    """The numbers of the inputs that derivatives are taken by."""
    return [i for i, x in enumerate(inputs) if isinstance(x, Tensor) and x.requires_grad]


def is_float(x: Any) -> bool:
    return isinstance(x, Tensor) and bool(x.dtype.is_floating_point)


def arrays(values: Sequence[Tensor]) -> list[Array]:
    """Values as arrays, many computed together."""
    plain = [v.detach() for v in values]
    for start in range(0, len(plain), _PLAN):
        realize([v._read() for v in plain[start : start + _PLAN]])
    return [np.array(v._float_array(), wide(v.dtype)) for v in plain]


def wide(kind: DType) -> Any:
    """The type of arrays that values of a type are compared in."""
    return np.complex128 if kind.is_complex else np.float64


def units(x: Tensor) -> list[tuple[tuple[int, ...], Array]]:
    """The directions that derivatives by an input are taken along, each with its element."""
    shape, kind = tuple(x.shape), wide(x.dtype)
    sides = (1, 1j) if x.dtype.is_complex else (1,)
    return [(i, _step(shape, i, side, kind)) for i in np.ndindex(shape) for side in sides]


def by_element(rows: Array, x: Tensor) -> Array:
    """Derivatives along ``units`` as a row for each element of the input."""
    return rows[::2] + 1j * rows[1::2] if x.dtype.is_complex else rows


def tensor_of(array: Array, like: Tensor) -> Tensor:
    made: Tensor = tensor(array, dtype=like.dtype, device=like.device)
    return made


def vectors(values: Sequence[Tensor], generator: Generator) -> list[Array]:
    """For each tensor a random vector of length 1, of numbers above 0, of as many elements."""
    found = [_direction(x, generator) for x in values]
    return [v / np.sqrt((v * v.conj()).sum().real) if v.size else v for v in found]


def _direction(x: Tensor, generator: Generator) -> Array:
    drawn = np.asarray(rand(x.numel(), generator=generator).tolist())
    if x.dtype.is_complex:
        return drawn + 1j * np.asarray(rand(x.numel(), generator=generator).tolist())
    return drawn


# ---- differences ---------------------------------------------------------------------------------


def differences(
    func: Checked, given: Sequence[Any], outputs: Sequence[Any], place: int, eps: float,
    direction: Array | None = None,
) -> list[Array]:  # fmt: skip
    """For each output of floats, its differences by an input: a row for each of its elements, or
    one along a direction. The input's own memory is written to: the function may read it otherwise
    than by its argument."""
    entry = given[place].data
    (base,) = arrays([entry])
    steps: list[tuple[tuple[int, ...] | None, Array]]
    if direction is None:
        steps = [(index, unit * eps) for index, unit in units(entry)]
    else:
        steps = [(None, direction.reshape(base.shape) * eps)]
    pending: list[Tensor] = []
    try:
        for index, step in steps:
            below, above = (
                _values(func, given, entry, base + sign * step) for sign in (-1, 1)
            )  # fmt: skip
            for a, b in zip(below, above, strict=False):
                _check_alike(a, b, eps, index)
            pending += [*below, *above]
    finally:
        entry.copy_(tensor_of(base, entry))
    found = arrays(pending)
    floats = [i for i, o in enumerate(outputs) if is_float(o)]
    count = len(outputs)
    rows: list[list[Array]] = [[] for _ in floats]
    for start in range(0, 2 * count * len(steps), 2 * count or 1):
        for row, i in zip(rows, floats, strict=True):
            row.append((found[start + count + i] - found[start + i]).reshape(-1) / (2 * eps))
    sizes = [outputs[i].numel() for i in floats]
    tables = [np.array(r).reshape(len(steps), n) for r, n in zip(rows, sizes, strict=True)]
    return [by_element(t, entry) for t in tables] if direction is None else tables


def _step(shape: tuple[int, ...], index: tuple[int, ...], length: complex, kind: Any) -> Array:
    step = np.zeros(shape, kind)
    step[index] = length
    return step


def _values(func: Checked, given: Sequence[Any], entry: Tensor, array: Array) -> list[Tensor]:
    entry.copy_(tensor_of(array, entry))
    return [r.detach().clone() for r in as_tuple(func(*given))]


def _check_alike(a: Tensor, b: Tensor, eps: float, index: Any) -> None:
    """The function must give results of one kind wherever its input is."""
    at = "" if index is None else f"on index {index} "
    for name, first, second in (("shape", a.shape, b.shape), ("dtype", a.dtype, b.dtype)):
        if first != second:
            raise AssertionError(
                f"Expected `func` to return outputs with the same {name} when inputs are perturbed "
                f"{at}by {eps}, but got: {name}s {first} and {second}."
            )


# ---- backward ------------------------------------------------------------------------------------


def pulled_back(
    given: Sequence[Any], output: Tensor, seeds: Sequence[Tensor]
) -> tuple[list[Array], list[Array]]:
    """For each input, the gradients of an output for some cotangents, a column each; twice."""
    wanted = [given[place] for place in wanted_places(given)]
    rounds = []
    for _ in range(2):
        parts: list[Tensor] = []
        for seed in seeds:
            found = grad(output, wanted, seed, retain_graph=True, allow_unused=True)
            parts += [zeros_like(x) if g is None else g for g, x in zip(found, wanted, strict=True)]
        columns = [a.reshape(-1) for a in arrays(parts)]
        rounds.append(
            [
                np.array(columns[i :: len(wanted)]).reshape(len(seeds), x.numel()).T
                for i, x in enumerate(wanted)
            ]
        )
    return rounds[0], rounds[1]


def unit_seeds(output: Tensor) -> list[Tensor]:
    """The cotangents of which each asks for one element of an output."""
    return [tensor_of(unit, output) for _, unit in units(output)]


# ---- forward -------------------------------------------------------------------------------------


def pushed_forward(
    func: Checked, given: Sequence[Any], outputs: Sequence[Any], place: int,
    direction: Array | None = None,
) -> list[Array]:  # fmt: skip
    """For each output of floats, its tangents by an input: a row for each of its elements, or one
    along a direction."""
    x = given[place]
    shape = tuple(x.shape)
    if direction is None:
        directions = [unit for _, unit in units(x)]
    else:
        directions = [direction.reshape(shape)]
    floats = [o for o in outputs if is_float(o)]
    rows: list[list[Array]] = [[] for _ in floats]
    for array in directions:
        with forward_ad.dual_level():
            results = [r for r in as_tuple(func(*duals(given, {place: array}))) if is_float(r)]
            tangents = [forward_ad.unpack_dual(r).tangent for r in results]
            known = iter(arrays([t for t in tangents if t is not None]))
            tangents += [None] * (len(floats) - len(results))
            for row, o, t in zip(rows, floats, tangents, strict=False):
                row.append(np.zeros(o.numel()) if t is None else next(known).reshape(-1))
    tables = [
        np.array(r).reshape(len(directions), o.numel()) for r, o in zip(rows, floats, strict=True)
    ]
    return [by_element(t, x) for t in tables] if direction is None else tables


def duals(given: Sequence[Any], directions: dict[int, Array]) -> list[Any]:
    """The inputs, with tangents: along directions where there are some, zeros otherwise."""
    found = list(given)
    for i in wanted_places(given):
        x = given[i].detach()
        array = directions.get(i)
        tangent = zeros_like(x) if array is None else tensor_of(array.reshape(tuple(x.shape)), x)
        found[i] = forward_ad.make_dual(x, tangent)
    return found
