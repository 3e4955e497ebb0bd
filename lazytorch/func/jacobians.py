"""Jacobians and Hessians: a derivative along every direction at once, by vmap."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

from lazytorch.func.derivatives import Argnums, checked_argnums, jvp, vjp
from lazytorch.func.vmap import chunk_sizes, vmap
from lazytorch.functions.registration import PUBLIC
from lazytorch.tensor import Tensor
from lazytorch.utils._pytree import tree_flatten, tree_map, tree_unflatten

F = Callable[..., Any]


def basis(tensors: Sequence[Tensor], first: int, count: int) -> list[Tensor]:
    """Of the unit vectors of the space of these tensors, those from ``first`` on: for each tensor
    (count, *its shape)."""
    eye, start = PUBLIC["arange"](first, first + count), 0
    result = []
    for x in tensors:
        places = PUBLIC["arange"](start, start + x.numel())
        ones = (eye.unsqueeze(1) == places).to(x.dtype)
        result.append(ones.reshape((count, *x.shape)).to(x.device))
        start += x.numel()
    return result


def _along_all(
    push: F, tensors: Sequence[Tensor], chunk_size: int | None, randomness: str = "error"
) -> list[Tensor]:
    """What ``push`` gives for every unit vector, stacked along a first dimension."""
    total = sum([x.numel() for x in tensors])
    chunk = total if chunk_size is None else min(chunk_size, total)
    parts, first = [], 0
    if not total:  # the shapes of no rows are those of any
        row = vmap(push, randomness=randomness)(*basis(tensors, 0, 1))
        return [part.narrow(0, 0, 0) for part in row]
    for count in chunk_sizes(total, max(chunk, 1)):
        parts.append(vmap(push, randomness=randomness)(*basis(tensors, first, count)))
        first += count
    if len(parts) == 1:
        return list(parts[0])
    return [PUBLIC["cat"](list(each)) for each in zip(*parts, strict=True)]


def jacrev(
    func: F, argnums: Argnums = 0, *, has_aux: bool = False, chunk_size: int | None = None,
    _preallocate_and_copy: bool = False,
) -> F:  # fmt: skip
    """The Jacobian by reverse mode, one vector-Jacobian product an element of the output, all at
    once or ``chunk_size`` at a time: outputs arranged as ``func``'s, each as the arguments.

    >>> torch.func.jacrev(torch.sin)(torch.zeros(2))
    tensor([[1., 0.],
            [0., 1.]])
    """
    if not (chunk_size is None or chunk_size > 0):
        raise ValueError("jacrev: `chunk_size` should be greater than 0.")

    @functools.wraps(func, updated=())
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        chosen = checked_argnums(argnums, len(args))
        inner, primals = _of_arguments(func, chosen, args, kwargs)
        flat, in_spec = tree_flatten(primals)
        _refuse_complex(flat, "jacrev")
        output, pull, *aux = vjp(inner, *primals, has_aux=has_aux)
        outputs, spec = tree_flatten(output)
        _refuse_complex(outputs, "jacrev", "outputs")

        def rows(*cotangents: Tensor) -> tuple[Tensor, ...]:
            return tuple(tree_flatten(pull(tree_unflatten(cotangents, spec)))[0])

        stacked = _along_all(rows, outputs, chunk_size)
        by_output: list[Any] = []
        first = 0
        for y in outputs:
            blocks = [
                s.narrow(0, first, y.numel()).reshape((*y.shape, *x.shape))
                for s, x in zip(stacked, flat, strict=True)
            ]
            by_output.append(_arranged(blocks, in_spec, chosen))
            first += y.numel()
        result = tree_unflatten(by_output, spec)
        return (result, aux[0]) if has_aux else result

    return wrapper


def jacfwd(func: F, argnums: Argnums = 0, has_aux: bool = False, *, randomness: str = "error") -> F:
    """The Jacobian by forward mode, one Jacobian-vector product an element of the input, all at
    once; arranged as ``jacrev``'s.

    >>> torch.func.jacfwd(torch.sin)(torch.zeros(2))
    tensor([[1., 0.],
            [0., 1.]])
    """

    @functools.wraps(func, updated=())
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        chosen = checked_argnums(argnums, len(args))
        inner, primals = _of_arguments(func, chosen, args, kwargs)
        flat, in_spec = tree_flatten(primals)
        _refuse_complex(flat, "jacfwd")
        known: list[Any] = []

        def columns(*directions: Tensor) -> tuple[Tensor, ...]:
            given = tree_unflatten(directions, in_spec)
            output, pushed, *aux = jvp(inner, primals, given, has_aux=has_aux)
            known[:] = [tree_flatten(output), aux]
            return tuple(tree_flatten(pushed)[0])

        stacked = _along_all(columns, flat, None, randomness)
        (outputs, spec), aux = known
        _refuse_complex(outputs, "jacfwd", "outputs")
        by_output = []
        for s, y in zip(stacked, outputs, strict=True):
            first, blocks = 0, []
            for x in flat:
                block = s.narrow(0, first, x.numel()).movedim(0, -1)
                blocks.append(block.reshape((*y.shape, *x.shape)))
                first += x.numel()
            by_output.append(_arranged(blocks, in_spec, chosen))
        result = tree_unflatten(by_output, spec)
        return (result, aux[0]) if has_aux else result

    return wrapper


def hessian(func: F, argnums: Argnums = 0) -> F:
    """The matrix of second derivatives: ``jacfwd`` of ``jacrev``.

    >>> torch.func.hessian(lambda x: (x**3).sum())(torch.ones(2))
    tensor([[6., 0.],
            [0., 6.]])
    """
    return jacfwd(jacrev(func, argnums), argnums)


def _refuse_complex(inputs: Sequence[Any], name: str, role: str = "inputs") -> None:
    for i, x in enumerate(inputs):
        if isinstance(x, Tensor) and x.dtype.is_complex:
            raise RuntimeError(
                f"{name}: Expected all {role} to be real but received complex tensor at flattened "
                f"input idx: {i}"
            )


def _of_arguments(
    func: F, argnums: Argnums, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[F, tuple[Any, ...]]:
    """``func`` as a function of some of its arguments, and those."""
    numbers = (argnums,) if isinstance(argnums, int) else argnums

    def inner(*chosen: Any) -> Any:
        given = list(args)
        for i, value in zip(numbers, chosen, strict=True):
            given[i] = value
        return func(*given, **kwargs)

    return inner, tuple([args[i] for i in numbers])


def _arranged(blocks: Sequence[Tensor], in_spec: Any, argnums: Argnums) -> Any:
    found = tree_unflatten(blocks, in_spec)
    return found[0] if isinstance(argnums, int) else found


__all__ = ["basis", "hessian", "jacfwd", "jacrev", "tree_map"]
