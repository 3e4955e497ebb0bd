"""Functions that read values, under vmap: each example is computed, and the results are stacked.

What a function reads is computed for all examples outside the vmap; it is called on one after the
other there, and what it gives comes back as placeholders.
"""

from __future__ import annotations

import textwrap
from collections.abc import Callable
from typing import Any

from lazytorch import levels
from lazytorch.func.custom import for_all, innermost, outside
from lazytorch.func.sources import alone, maker_of, outside_of, settled, within
from lazytorch.func.vmap import placeholder
from lazytorch.functions.registration import PUBLIC
from lazytorch.tensor import Tensor
from lazytorch.utils._pytree import tree_flatten, tree_unflatten


def run_by_example(
    function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Any:
    """The results for one example, of a function through which no gradient flows."""
    flat, spec = tree_flatten((args, kwargs))
    values = [x._read() if isinstance(x, Tensor) else None for x in flat]
    level = innermost(values)
    if level is None:
        return function(*args, **kwargs)
    if not level.size:
        raise RuntimeError(
            "The fallback path does not support vmap over dims of size 0. Try to use vmap over "
            "dims of size 1 or more."
        )
    whole, dims = for_all(level, flat, values)
    found, out_spec = [], spec
    with outside(level):
        for i in range(level.size):
            given = [x if d is None else x.select(d, i) for x, d in zip(whole, dims, strict=True)]
            own_args, own_kwargs = tree_unflatten(given, spec)
            results, out_spec = tree_flatten(run_by_example(function, own_args, own_kwargs))
            found.append(results)
        stacked = [PUBLIC["stack"](list(parts)) for parts in zip(*found, strict=True)]
    return tree_unflatten([placeholder(level, x, 0) for x in stacked], out_spec)


def over_all_examples(x: Tensor) -> Tensor:
    """A tensor's values for all examples of all vmaps that it depends on, the innermost's last of
    the dimensions in front."""
    level = innermost([x._read()])
    if level is None:
        return x
    (whole,), (dim,) = for_all(level, [x], [x._read()])
    assert dim is not None
    with outside(level):
        return over_all_examples(whole.movedim(dim, 0))


def debug_unwrap(tensor: Tensor, *, recurse: bool = True) -> Tensor:
    """What is behind a value for one example, or one that a derivative is taken of: the values for
    all examples, to look at; with ``recurse``, of all transforms and not only the innermost vmap.

    >>> torch.vmap(lambda x: (print(torch.func.debug_unwrap(x)), x)[1])(torch.ones(2))
    tensor([1., 1.])
    tensor([1., 1.])
    """
    value = tensor._read()
    level, derivative = innermost([value]), maker_of(tensor)
    if derivative is not None and (level is None or level.number < derivative.number):
        with outside_of(derivative):
            inner = settled(alone(value))
            return debug_unwrap(inner) if recurse else inner
    if level is None:
        return tensor
    (whole,), _ = for_all(level, [tensor], [value])
    with outside(level):
        return debug_unwrap(whole) if recurse else whole


def text(x: Tensor) -> str | None:
    """What ``repr`` shows of a value for one example, which is those for all of them, and of what a
    derivative under way is taken of. None of others."""
    value = x._read()
    level, derivative = innermost([value]), maker_of(x)
    if derivative is not None and (level is None or level.number < derivative.number):
        with outside_of(derivative):
            values = textwrap.indent(repr(settled(alone(value))), "    ")
        return f"GradTrackingTensor(lvl={derivative.number}, value=\n{values}\n)"
    if level is None:
        return None
    with within(derivative):
        (whole,), (dim,) = for_all(level, [x], [value])
        with outside(level):
            values = textwrap.indent(repr(whole), "    ")
    return f"BatchedTensor(lvl={level.number}, bdim={dim}, value=\n{values}\n)"


levels.run_by_example.append(run_by_example)
levels.text_over_all_examples.append(text)
levels.over_all_examples.append(over_all_examples)
