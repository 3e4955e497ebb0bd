"""grad, vjp, jvp and linearize: derivatives of functions, as functions."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

from lazytorch.autograd.backward import grad as gradients_of
from lazytorch.autograd.grad_mode import enable_grad, is_grad_enabled
from lazytorch.autograd.saved import disable_saved_tensors_hooks
from lazytorch.expression import FORWARD, Expression
from lazytorch.func.sources import (
    live,
    open_sources,
    pushed_forward,
    settle_escaped,
    settled,
    source,
    stand_in,
)
from lazytorch.functions.registration import PUBLIC
from lazytorch.tensor import Tensor, wrap
from lazytorch.utils._pytree import (
    TreeSpec,
    tree_flatten,
    tree_unflatten,
    treespec_pprint,
)

Argnums = int | tuple[int, ...]
F = Callable[..., Any]


def grad(func: F, argnums: Argnums = 0, has_aux: bool = False) -> F:
    """The gradient of a function that gives a 0-d tensor, by some of its arguments.

    argnums  one number, or a tuple for a tuple of gradients; each argument may be a tree.
    has_aux  ``func`` gives (value, anything else), and the result is (gradient, anything else).

    >>> torch.func.grad(torch.sin)(torch.tensor(0.0))
    tensor(1.)
    """

    @functools.wraps(func, updated=())
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        result = _grad_and_value(func, argnums, has_aux, args, kwargs)
        if has_aux:
            gradient, (_, aux) = result
            return gradient, aux
        return result[0]

    return wrapper


def grad_and_value(func: F, argnums: Argnums = 0, has_aux: bool = False) -> F:
    """As ``grad``; the result is (gradient, value), or (gradient, (value, anything else))."""

    @functools.wraps(func, updated=())
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        return _grad_and_value(func, argnums, has_aux, args, kwargs)

    return wrapper


_without_hooks = disable_saved_tensors_hooks(
    "torch.func.{grad, vjp, jacrev, hessian} don't yet support saved tensor hooks. Please open an "
    "issue with your use case."
)


@_without_hooks
def _grad_and_value(
    func: F, argnums: Argnums, has_aux: bool, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Any:
    chosen = checked_argnums(argnums, len(args))
    numbers = (chosen,) if isinstance(chosen, int) else chosen
    flat, spec = tree_flatten(tuple([args[i] for i in numbers]))
    inputs = _Inputs(flat)
    given = list(args)
    with open_sources(inputs.expressions) as derivative, enable_grad():
        for i, value in zip(numbers, tree_unflatten(inputs.tensors(), spec), strict=True):
            given[i] = value
        output = func(*given, **kwargs)
        aux = None
        if has_aux:
            output, aux = _with_aux(output, "grad_and_value(f)(*args)")
        if not isinstance(output, Tensor):
            raise RuntimeError(
                "grad_and_value(f)(*args): Expected f(*args) to return a Tensor, got "
                f"{type(output)}"
            )
        if output.dim() != 0:
            raise RuntimeError(
                "grad_and_value(f)(*args): Expected f(*args) to return a scalar Tensor, got tensor "
                f"with {output.dim()} dims. Maybe you wanted to use the vjp or jacrev APIs instead?"
            )
    found = tree_unflatten(inputs.pulled_back([output], [None]), spec)
    gradient = found[0] if isinstance(chosen, int) else found
    value, aux = settled(output), _settled_tree(aux) if has_aux else None
    del output, given
    settle_escaped(derivative)
    return (gradient, (value, aux)) if has_aux else (gradient, value)


class _Inputs:
    """The arguments that a derivative is taken by, each as a source of its own."""

    def __init__(self, values: Sequence[Any]) -> None:
        self.values = values
        self.expressions: list[Expression] = []
        for x in values:
            if not isinstance(x, Tensor):
                raise ValueError(f"Thing passed to transform API must be Tensor, got {type(x)}")
            if not x.dtype.differentiable:
                raise RuntimeError("only Tensors of floating point dtype can require gradients")
            self.expressions.append(source(x))

    def tensors(self) -> list[Tensor]:
        return [stand_in(x, e) for x, e in zip(self.values, self.expressions, strict=True)]

    def pulled_back(
        self, outputs: Sequence[Tensor], cotangents: Sequence[Tensor | None],
        retain: bool = True, create: bool | None = None,
    ) -> list[Tensor]:  # fmt: skip
        """The gradients, zeros where nothing depends on an input."""
        enabled = is_grad_enabled() if create is None else create
        pairs = [(o, c) for o, c in zip(outputs, cotangents, strict=True) if o.requires_grad]
        if not pairs:
            return [PUBLIC["zeros_like"](wrap(e)).detach() for e in self.expressions]
        read = [t._read() for pair in pairs for t in pair if t is not None]
        create = enabled and bool(live(read) & True)
        inputs = [wrap(e) for e in self.expressions]
        with enable_grad():
            found = gradients_of(
                [o for o, _ in pairs], inputs, [c for _, c in pairs], retain_graph=retain,
                create_graph=create, allow_unused=True,
            )  # fmt: skip
            for g in found:
                if g is not None and g._read().tracked:
                    g._read().tracked &= live([g._read()])  # not by what is done now alone
            return [
                g if g is not None else PUBLIC["zeros_like"](x).detach()
                for g, x in zip(found, inputs, strict=True)
            ]


def _with_aux(output: Any, call: str) -> tuple[Any, Any]:
    if not (isinstance(output, tuple) and len(output) == 2):
        raise RuntimeError(
            f"{call}: output of function f should be a tuple: (output, aux) if has_aux is True"
        )
    return output


def _settled_tree(tree: Any) -> Any:
    """An aux, which is made of tensors alone."""
    leaves, spec = tree_flatten(tree)
    for x in leaves:
        if not isinstance(x, Tensor):
            raise RuntimeError(f"Expected tensors, got unsupported type {type(x)}")
    return tree_unflatten([settled(x) for x in leaves], spec)


def checked_argnums(argnums: Any, count: int) -> Argnums:
    """The numbers counted from the front; refuses what names no argument."""
    if isinstance(argnums, int):
        return _checked_argnum(argnums, count)
    if not isinstance(argnums, tuple):
        raise RuntimeError(f"argnums must be int or Tuple[int, ...], got: {type(argnums)}")
    found = tuple([_checked_argnum(n, count) for n in argnums])
    if not found:
        raise RuntimeError("argnums must be non-empty")
    if len(set(found)) != len(found):
        raise RuntimeError(f"argnums elements must be unique, got {found}")
    return found


def _checked_argnum(n: Any, count: int) -> int:
    if not isinstance(n, int):
        raise RuntimeError(f"argnum must be int, got: {type(n)}")
    if not -count <= n < count:
        raise RuntimeError(f"Got argnum={n}, but only {count} positional inputs")
    return n % count


def checked_outputs(output: Any, call: str) -> tuple[list[Tensor], TreeSpec]:
    """The tensors that a function gave, refusing anything else."""
    flat, spec = tree_flatten(output)
    if not flat or (len(flat) == 1 and flat[0] is None):
        raise RuntimeError(
            f"{call}: Expected f to be a function that has non-empty output (got output = {flat})"
        )
    for x in flat:
        if not isinstance(x, Tensor):
            raise RuntimeError(
                f"{call}: expected f(*primals) to return only tensors, got unsupported type "
                f"{type(x)}"
            )
    return flat, spec


# ---- reverse ----------------------------------------------------------------------------------


@_without_hooks
def vjp(func: F, *primals: Any, has_aux: bool = False) -> Any:
    """(func(*primals), f) or, with an aux, (output, f, aux), where f(*cotangents) gives the
    vector-Jacobian products, a tuple where there are several primals.

    >>> y, pull = torch.func.vjp(torch.sin, torch.tensor(0.0))
    >>> pull(torch.tensor(2.0))
    (tensor(2.),)
    """
    flat, spec = tree_flatten(primals)
    inputs = _Inputs(flat)
    with open_sources(inputs.expressions) as derivative, enable_grad():
        output = func(*tree_unflatten(inputs.tensors(), spec))
        aux = None
        if has_aux:
            output, aux = _with_aux(output, "vjp(f, *primals)")
        outputs, out_spec = checked_outputs(output, "vjp(f, *primals)")
    for x in outputs:
        if not x.dtype.differentiable:
            raise RuntimeError(
                "vjp(f, ...): All outputs of f must be floating-point or complex Tensors, got "
                f"Tensor with dtype {x.dtype}"
            )
    values = [x._read() for x in outputs]

    def pull(cotangents: Any, retain_graph: bool = True, create_graph: bool | None = None) -> Any:
        seeds, seed_spec = tree_flatten(cotangents)
        if seed_spec != out_spec:
            raise RuntimeError(
                "Expected pytree structure of cotangents to be the same as pytree structure of "
                f"outputs to the function. cotangents: {treespec_pprint(seed_spec)}, primal "
                f"output: {treespec_pprint(out_spec)}"
            )
        for seed in seeds:
            if not isinstance(seed, Tensor):
                raise TypeError(
                    "gradients can be either Tensors or None, but got " + type(seed).__name__
                )
        found = inputs.pulled_back([wrap(e) for e in values], seeds, retain_graph, create_graph)
        return tree_unflatten(found, spec)

    result = tree_unflatten([settled(x) for x in outputs], out_spec)
    aux = _settled_tree(aux) if has_aux else None
    del output, outputs, x
    settle_escaped(derivative)
    return (result, pull, aux) if has_aux else (result, pull)


# ---- forward ----------------------------------------------------------------------------------

_JVP = "jvp(f, primals, tangents)"


def jvp(
    func: F, primals: Any, tangents: Any, *, strict: bool = False, has_aux: bool = False
) -> Any:
    """(func(*primals), the change of that along the tangents), or that and an aux.

    strict  refuse outputs that do not depend on the primals, whose tangents are zeros otherwise.

    >>> torch.func.jvp(torch.sin, (torch.tensor(0.0),), (torch.tensor(2.0),))
    (tensor(0.), tensor(2.))
    """
    if not isinstance(primals, tuple):
        raise RuntimeError(
            f"{_JVP}: Expected primals to be a tuple. E.g. it should be valid to call f(*primals)."
        )
    flat, spec = tree_flatten(primals)
    directions, given = tree_flatten(tangents)
    if spec != given:
        raise RuntimeError(
            f"{_JVP}: Expected primals and tangents to have the same python structure. For "
            "example, if primals is a tuple of 3 tensors, tangents also must be. Got primals with "
            f"structure {spec} and tangents with structure {given}"
        )
    _check_tensors(flat, "primals")
    _check_tensors(directions, "tangents")
    for x, t in zip(flat, directions, strict=True):
        check_tangent(x, t)
    push = _Linearized(func, flat, spec, has_aux)
    found = push.forward(directions)
    if strict and None in found:
        raise RuntimeError(
            "jvp(f, primals, tangents, strict=True): The output of f is independent of the inputs. "
            "This is not allowed with strict=True."
        )
    result = push.result(), push.filled(found)
    return (*result, push.aux) if has_aux else result


def _check_tensors(values: Sequence[Any], name: str) -> None:
    if not values:
        raise RuntimeError(f"{_JVP}: Expected {name} to contain at least one Tensor.")
    for x in values:
        if not isinstance(x, Tensor):
            raise RuntimeError(f"{_JVP}: Expected {name} to only contain Tensors, got {type(x)}")


def check_tangent(primal: Tensor, tangent: Tensor) -> None:
    """Refuse a tangent that does not lie in the primal's space."""
    for name, x in (("primal", primal), ("tangent", tangent)):
        if not x.dtype.differentiable:
            raise ValueError(f"Expected {name} to be floating point or complex, but got: {x.dtype}")
    if primal._type.shape != tangent._type.shape:
        raise RuntimeError(
            "Trying to set a forward gradient that has a different size than that of the original "
            f"Tensor, this is not supported. Tensor is of size {list(primal.shape)} while the "
            f"given forward gradient is of size {list(tangent.shape)}."
        )
    if primal.dtype is not tangent.dtype:
        raise RuntimeError(
            "Trying to create a dual Tensor with a tangent of another dtype: "
            f"{primal.dtype} and {tangent.dtype}"
        )


class _Linearized:
    """A function's outputs at some primals, whose tangents can be asked for."""

    def __init__(self, func: F, flat: Sequence[Tensor], spec: TreeSpec, has_aux: bool) -> None:
        self.primals = flat
        self.sources = [source(x, FORWARD) for x in flat]
        self.aux: Any = None
        with open_sources(self.sources, FORWARD) as derivative, enable_grad():
            inputs = [stand_in(x, e) for x, e in zip(flat, self.sources, strict=True)]
            output = func(*tree_unflatten(inputs, spec))
            if has_aux:
                output, self.aux = _with_aux(output, _JVP)
            outputs, self.spec = checked_outputs(output, _JVP)
        self.values = [x._read() for x in outputs]
        if has_aux:
            self.aux = _settled_tree(self.aux)
        del inputs, output, outputs
        settle_escaped(derivative)

    def result(self) -> Any:
        return tree_unflatten([settled(wrap(e)) for e in self.values], self.spec)

    def forward(self, directions: Sequence[Tensor]) -> list[Expression | None]:
        for x, t in zip(self.primals, directions, strict=True):
            check_tangent(x, t)
        return pushed_forward(self.values, self.sources, [t._read() for t in directions])

    def filled(self, found: Sequence[Expression | None]) -> Any:
        """Tangents as the function's outputs are arranged, zeros where there is none."""
        tangents = [
            PUBLIC["zeros_like"](wrap(e)).detach() if t is None else wrap(t)
            for e, t in zip(self.values, found, strict=True)
        ]
        return tree_unflatten(tangents, self.spec)


def linearize(func: F, *primals: Any) -> tuple[Any, F]:
    """(func(*primals), f), where f(*tangents) is the change of the output along tangents: many
    jvps at one place, of a function that is called once.

    >>> y, push = torch.func.linearize(torch.sin, torch.tensor(0.0))
    >>> push(torch.tensor(2.0))
    tensor(2.)
    """
    flat, spec = tree_flatten(primals)
    _check_tensors(flat, "primals")
    linear = _Linearized(func, flat, spec, False)

    def push(*tangents: Any) -> Any:
        directions, given = tree_flatten(tangents)
        if given != spec:
            raise RuntimeError(
                f"Expected the tangents {given} to have the same argspec as the primals {spec}"
            )
        for i, (x, t) in enumerate(zip(flat, directions, strict=True)):
            for what in ("shape", "dtype"):
                given, wanted = getattr(t, what), getattr(x, what)
                if given != wanted:
                    raise RuntimeError(
                        f"tangent:{i} with {what} {given} in flattened pytree doesn't match the "
                        f"{what} {wanted} of the corresponding primal."
                    )
        return linear.filled(linear.forward(directions))

    return linear.result(), push
