"""Users' Functions under vmap: the rule that they give, or one made of their own methods.

A Function that is applied to one example of a vmap is run by its rule for all examples, outside
that vmap; what it gives comes back as placeholders. So a derivative taken outside the vmap goes
through what the rule recorded, and one taken inside through the Function's own backward.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

from lazytorch import levels
from lazytorch.autograd import function as custom
from lazytorch.expression import Expression
from lazytorch.func.sources import live
from lazytorch.func.structure import batched_call
from lazytorch.func.vmap import placeholder, vmap
from lazytorch.levels import Level
from lazytorch.recording import untracked
from lazytorch.tensor import Tensor, wrap
from lazytorch.utils._pytree import _broadcast_to_and_flatten, tree_flatten, tree_unflatten

_SEE = " For more details, please see https://pytorch.org/docs/main/notes/extending.func.html"


class VmapInfo(NamedTuple):
    """What a rule is told of the vmap: how many examples, and whether they draw apart."""

    batch_size: int
    randomness: str


def batched_forward(cls: type[custom.Function], args: tuple[Any, ...]) -> Any:
    """The results for one example, if some argument differs between those of a vmap."""
    values = [a._read() if isinstance(a, Tensor) else None for a in args]
    level = innermost(values)
    if level is None:
        return NotImplemented
    rule: Callable[..., Any] = cls.vmap
    overridden = cls.vmap is not custom.Function.vmap
    if cls.generate_vmap_rule:
        if overridden:
            raise RuntimeError(
                f"You tried to vmap over {cls.__name__}, but it has both generate_vmap_rule=True "
                "and an overridden vmap staticmethod. Please set generate_vmap_rule=False or "
                "delete the overridden vmap staticmethod to avoid ambiguity." + _SEE
            )
        rule = _generated_rule(cls)
    elif not overridden:
        raise RuntimeError(
            f"You tried to vmap over {cls.__name__}, but it does not have vmap support. Please "
            "override and implement the vmap staticmethod or set generate_vmap_rule=True." + _SEE
        )
    whole, in_dims = for_all(level, args, values)
    with outside(level):
        result = rule(VmapInfo(level.size, level.randomness), in_dims, *whole)
    expected = (
        "Expected the vmap staticmethod to have two returns, an output and out_dims with pytree "
        "structure compatible with the output. "
    )
    if not isinstance(result, tuple):
        raise RuntimeError(f"{expected}Got a {type(result)} instead")
    if len(result) != 2:
        raise RuntimeError(f"{expected}Got {len(result)} returns instead")
    output, out_dims = result
    flat, spec = tree_flatten(output)
    dims = _broadcast_to_and_flatten(out_dims, spec)
    if dims is None:
        raise RuntimeError(
            f"The autograd.Function's vmap staticmethod returned an incompatible (output, "
            f"out_dims) tuple. Expected out_dims={out_dims} to be compatible with the structure of "
            f"`output`. out_dims has structure {tree_flatten(out_dims)[1]} but output has "
            f"structure {spec}." + _SEE
        )
    return tree_unflatten(
        [_for_one(level, x, dim, args, whole) for x, dim in zip(flat, dims, strict=True)], spec
    )


def innermost(values: Sequence[Expression | None]) -> Level | None:
    """The innermost vmap that some of the values depend on."""
    for level in reversed(levels.state.active):
        if any([e is not None and level.depends(e) for e in values]):
            return level
    return None


def for_all(
    level: Level, args: Sequence[Any], values: Sequence[Expression | None]
) -> tuple[list[Any], tuple[int | None, ...]]:
    """The arguments for all examples, and where these lie in each."""
    whole = list(args)
    dims: list[int | None] = [None] * len(whole)
    given = {p.expression: p for p in level.placeholders}
    computed: list[int] = []
    for i, e in enumerate(values):
        if e is None:
            continue
        if not level.depends(e):
            if e.tracked and not live([e], level.outer):  # by a derivative inside the level alone
                whole[i] = wrap(untracked(e))
        elif e in given:
            whole[i], dims[i] = given[e].actual, given[e].dim
        else:
            computed.append(i)
    chosen = [e for e in [values[i] for i in computed] if e is not None]
    if chosen:
        made = batched_call(level, chosen, [0] * len(chosen))
        for i, e, batch in zip(computed, chosen, made, strict=True):
            batch.tracked = batch.tracked and live([e], level.outer)
            whole[i], dims[i] = wrap(batch), 0
    return whole, tuple(dims)


def _for_one(
    level: Level, x: Any, dim: int | None, args: Sequence[Any], whole: Sequence[Any]
) -> Any:
    for arg, batch in zip(args, whole, strict=True):
        if x is batch and isinstance(x, Tensor):
            return arg
    return x if dim is None or not isinstance(x, Tensor) else placeholder(level, x, dim % x.ndim)


@contextmanager
def outside(level: Level) -> Iterator[None]:
    """As if the level were not under way."""
    place = levels.state.active.index(level)
    del levels.state.active[place]
    try:
        yield
    finally:
        levels.state.active.insert(place, level)


# ---- the rule of generate_vmap_rule ----------------------------------------------------------


def _generated_rule(cls: type[custom.Function]) -> Callable[..., Any]:
    def rule(info: VmapInfo, in_dims: tuple[int | None, ...], *args: Any) -> Any:
        return _batched_function(cls, info, in_dims).apply(*args), 0

    return rule


def _batched_function(
    cls: type[custom.Function], info: VmapInfo, in_dims: tuple[int | None, ...]
) -> type[custom.Function]:
    """A Function whose methods are those of ``cls`` for all examples."""

    def over_examples(function: Callable[..., Any], *groups: Any) -> Any:
        """``function`` of groups of values and dimensions; what is no tensor stays as it is."""
        rest: list[Any] = []

        def tensors_alone(*values: Any) -> Any:
            flat, spec = tree_flatten(function(*values))
            rest[:] = [spec, [None if isinstance(x, Tensor) else (x,) for x in flat]]
            return tuple([x for x in flat if isinstance(x, Tensor)])

        dims = tuple([tuple(d) for _, d in groups])
        found = iter(
            vmap(tensors_alone, dims, 0, info.randomness)(*[tuple(values) for values, _ in groups])
        )
        spec, constants = rest
        return tree_unflatten([next(found) if c is None else c[0] for c in constants], spec)

    def forward(*args: Any) -> Any:
        return over_examples(lambda given: cls.forward(*given), (args, in_dims))

    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        ctx.outputs = tree_flatten(output)[1]
        values = [*inputs, *tree_flatten(output)[0]]
        ctx.constants = [None if isinstance(x, Tensor) else (x,) for x in values]
        kept = [x for x in values if isinstance(x, Tensor)]
        ctx.save_for_backward(*kept)
        ctx.save_for_forward(*kept)

    def by_context(ctx: Any, name: str, given: Sequence[Any]) -> Any:
        """What a method of ``cls`` gives for each example, with a context of its own."""
        kept = iter(ctx.saved_tensors)
        values = [next(kept) if c is None else c[0] for c in ctx.constants]
        inputs, outputs = values[: len(in_dims)], values[len(in_dims) :]

        def one(inputs: Any, outputs: Any, given: Any) -> Any:
            own = cls._backward_cls()
            own.needs_input_grad = ctx.needs_input_grad
            output = tree_unflatten(list(outputs), ctx.outputs)
            cls.setup_context(own, tuple(inputs), output)
            if name == "jvp":
                own._use_saved_for_forward()
            found = getattr(cls, name)(own, *given)
            if name == "jvp":
                return found
            parts = found if isinstance(found, tuple) else (found,)
            return tuple([_summed(g, x) for g, x in zip(parts, inputs, strict=False)])

        given_dims = in_dims if name == "jvp" else [0 if isinstance(x, Tensor) else None
                                                    for x in given]  # fmt: skip
        given_dims = [d if isinstance(x, Tensor) else None
                      for x, d in zip(given, given_dims, strict=True)]  # fmt: skip
        out_dims = [0 if isinstance(x, Tensor) else None for x in outputs]
        return over_examples(one, (inputs, in_dims), (outputs, out_dims), (given, given_dims))

    def backward(ctx: Any, *gradients: Any) -> Any:
        name = "vjp" if cls.vjp is not custom.Function.vjp else "backward"
        found = by_context(ctx, name, gradients)
        return tuple([
            g if g is None else g.sum(0) if dim is None else g.movedim(0, dim)
            for g, dim in zip(found, in_dims, strict=False)
        ])  # fmt: skip

    def jvp(ctx: Any, *tangents: Any) -> Any:
        return by_context(ctx, "jvp", tangents)

    methods = {f.__name__: staticmethod(f) for f in (forward, setup_context, backward, jvp)}
    return type(f"Vmapped{cls.__name__}", (custom.Function,), {
        **methods, "generate_vmap_rule": True,
    })  # fmt: skip


def _summed(gradient: Any, x: Any) -> Any:
    """A gradient in the shape of its input, over which it may have been broadcast."""
    if not isinstance(gradient, Tensor) or not isinstance(x, Tensor):
        return gradient
    return gradient if gradient.shape == x.shape else gradient.sum_to_size(*x.shape)


custom.batched_forward.append(batched_forward)
