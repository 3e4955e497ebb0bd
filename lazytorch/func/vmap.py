"""vmap: a function of one example, for a batch of them, as one call."""

from __future__ import annotations

import functools
import gc
from collections.abc import Callable, Sequence
from typing import Any

from codegen.ir.node import TensorType
from lazytorch import levels
from lazytorch.autograd import backward
from lazytorch.func.structure import batched_call
from lazytorch.functions.registration import PUBLIC
from lazytorch.levels import Level, Placeholder
from lazytorch.recording import tracked_of
from lazytorch.storage import pending_writes
from lazytorch.tensor import Tensor, wrap, wrap_dim
from lazytorch.utils._pytree import (
    TreeSpec,
    _broadcast_to_and_flatten,
    tree_flatten,
    tree_leaves,
    tree_unflatten,
)

Dims = Any  # an int, None, or a tree of them


def vmap(
    func: Callable[..., Any],
    in_dims: Dims = 0,
    out_dims: Dims = 0,
    randomness: str = "error",
    *,
    chunk_size: int | None = None,
) -> Callable[..., Any]:
    """``func`` of one example as a function of a batch of them, which computes all in one call.

    in_dims     the dimension of each input along which the examples lie, None for an input that
                they share: one number, or a tree like the inputs.
    out_dims    where that dimension shall be in the outputs.
    randomness  whether examples draw their own random numbers: "different", "same" or "error".
    chunk_size  how many examples at a time; by default all.

    >>> x, w = torch.ones(5, 3), torch.ones(3)
    >>> torch.vmap(torch.dot, in_dims=(0, None))(x, w)
    tensor([3., 3., 3., 3., 3.])
    """
    if randomness not in ("error", "different", "same"):
        raise RuntimeError(
            f"Only allowed values for randomness are 'error', 'different', or 'same'. Got "
            f"{randomness}"
        )
    if not (chunk_size is None or chunk_size > 0):
        raise ValueError(f"vmap: chunk_size should be None or greater than 0. (got {chunk_size})")

    @functools.wraps(func, updated=())
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        _check_out_dims(func, out_dims)
        size, flat_dims, flat, spec = _process_inputs(func, in_dims, args)
        if chunk_size is not None and chunk_size < size:
            return _by_chunks(
                func, flat_dims, flat, spec, out_dims, randomness, size, chunk_size, kwargs
            )
        return _for_all(func, size, flat_dims, flat, spec, out_dims, randomness, kwargs)

    return wrapped


def _name_of(func: Any) -> str:
    if hasattr(func, "__name__"):
        return str(func.__name__)
    if isinstance(func, functools.partial):
        return f"functools.partial({_name_of(func.func)}, ...)"
    return repr(func)


# ---- arguments ------------------------------------------------------------------------------


def _check_out_dims(func: Any, out_dims: Dims) -> None:
    for dim in tree_leaves(out_dims):
        if dim is not None and not isinstance(dim, int):
            raise ValueError(
                f"vmap({_name_of(func)}, ..., out_dims={out_dims}): `out_dims` must be an int, "
                "None or a python collection of ints representing where in the outputs the vmapped "
                "dimension should appear."
            )


def _process_inputs(
    func: Any, in_dims: Dims, args: tuple[Any, ...]
) -> tuple[int, list[int | None], list[Any], TreeSpec]:
    """The number of examples, and the flat dimensions and inputs."""
    if not isinstance(in_dims, (int, tuple)):
        raise ValueError(
            f"vmap({_name_of(func)}, in_dims={in_dims}, ...)(<inputs>): expected `in_dims` to be "
            "int or a (potentially nested) tuple matching the structure of inputs, got: "
            f"{type(in_dims)}."
        )
    if not args:
        raise ValueError(
            f"vmap({_name_of(func)})(<inputs>): got no inputs. Maybe you forgot to add inputs, or "
            "you are trying to vmap over a function with no inputs. The latter is unsupported."
        )
    flat, spec = tree_flatten(args)
    dims = _broadcast_to_and_flatten(in_dims, spec)
    if dims is None:
        raise ValueError(
            f"vmap({_name_of(func)}, in_dims={in_dims}, ...)(<inputs>): in_dims is not compatible "
            f"with the structure of `inputs`. in_dims has structure {tree_flatten(in_dims)[1]} but "
            f"inputs has structure {spec}."
        )
    sizes = []
    for i, (value, dim) in enumerate(zip(flat, dims, strict=True)):
        prefix = f"vmap({_name_of(func)}, in_dims={in_dims}, ...)(<inputs>): "
        if dim is None:
            continue
        if not isinstance(dim, int):
            raise ValueError(
                f"{prefix}Got in_dim={dim} for an input but in_dim must be either an integer "
                "dimension or None."
            )
        if not isinstance(value, Tensor):
            raise ValueError(
                f"{prefix}Got in_dim={dim} for an input but the input is of type {type(value)}. We "
                "cannot vmap over non-Tensor arguments, please use None as the respective in_dim"
            )
        rank = value.dim()
        if not -rank <= dim < rank:
            raise ValueError(
                f"{prefix}Got in_dim={dim} for some input, but that input is a Tensor of "
                f"dimensionality {rank} so expected in_dim to satisfy -{rank} <= in_dim < {rank}."
            )
        dims[i] = dim % rank
        sizes.append(value._type.shape[dims[i]])
    if not sizes:
        raise ValueError("vmap: Expected at least one Tensor to vmap over")
    if any([size != sizes[0] for size in sizes]):
        raise ValueError(
            "vmap: Expected all tensors to have the same size in the mapped dimension, got sizes "
            f"{sizes} for the mapped dimension"
        )
    return sizes[0], dims, flat, spec


def _output_dims(func: Any, out_dims: Dims, outputs: Any, spec: TreeSpec) -> list[int | None]:
    found: list[int | None] | None
    if isinstance(outputs, Tensor):
        single = isinstance(out_dims, tuple) and len(out_dims) == 1
        found = None
        if out_dims is None or isinstance(out_dims, int):
            found = [out_dims]
        elif single:
            found = list(out_dims)
    else:
        found = _broadcast_to_and_flatten(out_dims, spec)
    if found is None:
        raise ValueError(
            f"vmap({_name_of(func)}, ..., out_dims={out_dims})(<inputs>): out_dims is not "
            f"compatible with the structure of `outputs`. out_dims has structure "
            f"{tree_flatten(out_dims)[1]} but outputs has structure {spec}."
        )
    return found


# ---- chunks ---------------------------------------------------------------------------------


def chunk_sizes(total: int, chunk: int) -> list[int]:
    """``total`` cut into chunks; the last has the rest."""
    return [min(chunk, total - start) for start in range(0, total, chunk)]


def _by_chunks(
    func: Any, dims: Sequence[int | None], flat: Sequence[Any], spec: TreeSpec, out_dims: Dims,
    randomness: str, size: int, chunk: int, kwargs: dict[str, Any],
) -> Any:  # fmt: skip
    generator_state = PUBLIC["get_rng_state"]() if randomness == "same" else None
    start, parts = 0, []
    for length in chunk_sizes(size, chunk):
        if generator_state is not None:
            PUBLIC["set_rng_state"](generator_state)
        given = [
            x if dim is None else x.narrow(dim, start, length)
            for x, dim in zip(flat, dims, strict=True)
        ]
        parts.append(
            _for_all(func, length, dims, given, spec, out_dims, randomness, kwargs)
        )  # fmt: skip
        start += length
    outputs = [tree_flatten(part)[0] for part in parts]
    out_spec = tree_flatten(parts[0])[1]
    flat_dims = _broadcast_to_and_flatten(out_dims, out_spec)
    assert flat_dims is not None
    joined = [
        PUBLIC["cat"](list(each), dim=dim)
        for each, dim in zip(zip(*outputs, strict=True), flat_dims, strict=True)
    ]
    return tree_unflatten(joined, out_spec)


# ---- one call -------------------------------------------------------------------------------


def _for_all(
    func: Any, size: int, dims: Sequence[int | None], flat: Sequence[Any], spec: TreeSpec,
    out_dims: Dims, randomness: str, kwargs: dict[str, Any],
) -> Any:  # fmt: skip
    level = levels.enter(size, randomness)
    try:
        if randomness == "different":
            level.draws = placeholder(level, PUBLIC["arange"](size), 0)
        inputs = [
            x if dim is None else placeholder(level, x, dim)
            for x, dim in zip(flat, dims, strict=True)
        ]
        outputs = func(*tree_unflatten(inputs, spec), **kwargs)
        flat_outputs, out_spec = tree_flatten(outputs)
        flat_dims = _output_dims(func, out_dims, outputs, out_spec)
        result = _collect(func, level, flat_outputs, flat_dims)
        del outputs, flat_outputs, inputs
        if _undo_writes(level):
            levels.refuse_write()
    except BaseException:
        _undo_writes(level)
        raise
    finally:
        _forget_writes()
        levels.leave(level)
    return tree_unflatten(result, out_spec)


def placeholder(level: Level, actual: Tensor, dim: int) -> Tensor:
    """One example of a tensor, whose examples lie along ``dim``."""
    shape = actual._type.shape
    type_ = TensorType((*shape[:dim], *shape[dim + 1 :]), actual._type.dtype)
    tracked = tracked_of([actual._read()])
    expression = levels.new_placeholder(level, type_, actual._storage.device, tracked)
    tensor = wrap(expression)
    level.placeholders.append(Placeholder(actual, dim, expression, tensor))
    return tensor


def _collect(
    func: Any, level: Level, outputs: Sequence[Any], dims: Sequence[int | None]
) -> list[Any]:
    """The outputs for all examples. One call computes those that differ between them, and what
    was written into the inputs."""
    name = _name_of(func)
    roots, places = [], []
    result: list[Any] = []
    for i, (output, dim) in enumerate(zip(outputs, dims, strict=True)):
        if not isinstance(output, Tensor):
            if dim is not None:
                raise ValueError(
                    f"vmap({name}, ...): `{name}` must only return Tensors, got type "
                    f"{type(output)}. Did you mean to set out_dims= to None for output?"
                )
            result.append(output)
            continue
        value = output._read()
        if not level.depends(value):
            result.append(output if dim is None else _repeated(output, level.size, dim))
            continue
        if dim is None:
            raise ValueError(
                f"vmap({name}, ...): `{name}` can not return a BatchedTensor when out_dim is None"
            )
        roots.append(value)
        places.append(wrap_dim(dim, len(value.type.shape) + 1))
        result.append(i)
    written = [
        p for p in level.placeholders if p.tensor._storage.expression is not p.expression
    ]  # fmt: skip
    values = batched_call(
        level,
        [*roots, *[p.tensor._storage.expression for p in written]],
        [*places, *[p.dim for p in written]],
    ) if roots or written else []  # fmt: skip
    found = iter(values)
    result = [wrap(next(found)) if isinstance(r, int) and isinstance(o, Tensor) else r
              for r, o in zip(result, outputs, strict=True)]  # fmt: skip
    for p in written:
        p.actual.copy_(wrap(next(found)))
    return result


def _repeated(x: Tensor, size: int, dim: int) -> Tensor:
    axis = wrap_dim(dim, x.ndim + 1)
    shape = x._type.shape
    result: Tensor = x.unsqueeze(axis).expand(*shape[:axis], size, *shape[axis:])
    return result


def _undo_writes(level: Level) -> bool:
    """Put back what shared tensors held before a value for each example was written into them;
    whether there was any. What the function made itself is gone by now."""
    left = [(r, before) for r, before in level.writes if _shows(r(), level)]
    if left:
        gc.collect()
    undone = False
    for reference, before in left:
        storage = reference()
        if storage is not None and _shows(storage, level):
            storage.expression, before.owner = before, reference
            undone = True
    return undone


def _forget_writes() -> None:
    """What waits for values that are not known is not to be computed with the next plan."""
    for number, (reference, _) in list(pending_writes.items()):
        storage = reference()
        if storage is not None and levels.is_unknown(storage.expression):
            del pending_writes[number]


def _shows(storage: Any, level: Level) -> bool:
    return storage is not None and level.depends(storage.expression)


backward.vmapped.append(vmap)
