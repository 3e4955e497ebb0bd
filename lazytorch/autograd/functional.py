"""torch.autograd.functional: Jacobians and Hessians of Python functions, and their products.

Functions take a tensor or a tuple of them and give one or the other; results are nested alike.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from lazytorch.autograd.backward import grad
from lazytorch.autograd.forward_ad import dual_level, make_dual, unpack_dual
from lazytorch.autograd.grad_mode import enable_grad, is_grad_enabled, set_grad_enabled
from lazytorch.func.jacobians import basis
from lazytorch.func.vmap import vmap
from lazytorch.functions.creation import zeros, zeros_like
from lazytorch.functions.joining import stack
from lazytorch.tensor import Tensor

__all__ = ["hessian", "hvp", "jacobian", "jvp", "vhp", "vjp"]

Tensors = tuple[Tensor, ...]
_SINGLE_INPUT = (
    "The vector v can only be None if the input to the user-provided function is a single Tensor "
    "with a single element."
)
_NOT_STRICT = " This is not allowed in strict mode."


def _as_tuple(value: Any, role: str, caller: str) -> tuple[bool, Tensors]:
    """Whether this was a tuple, and the tuple."""
    many = isinstance(value, tuple)
    parts = value if many else (value,)
    for i, part in enumerate(parts):
        if not isinstance(part, Tensor):
            what = f"value at index {i}" if many else f"given {role}"
            raise TypeError(
                f"The {role} given to {caller} must be either a Tensor or a tuple of Tensors but "
                f"the {what} has type {type(part)}."
            )
    return many, parts


def _unpacked(values: Any, many: bool) -> Any:
    return values if many else values[0]


def _aliases(inputs: Tensors, create_graph: bool, need_graph: bool) -> Tensors:
    """New tensors of the same values: the function may hold the given ones by other ways."""
    return tuple(
        [
            x.view_as(x)
            if create_graph and x.requires_grad
            else x.detach().requires_grad_(need_graph)
            for x in inputs
        ]
    )


def _finished(values: Sequence[Tensor], create_graph: bool) -> Tensors:
    if not values:
        raise IndexError("tuple index out of range")  # PyTorch looks at the first one
    return tuple(values) if create_graph else tuple([v.detach() for v in values])


def _check_vector(v: Tensors, wanted: Tensors, many: bool) -> None:
    if len(v) != len(wanted):
        raise RuntimeError(
            f"v is a tuple of invalid length: should be {len(wanted)} but got {len(v)}."
            if many
            else "The given v should contain a single Tensor."
        )
    for i, (given, other) in enumerate(zip(v, wanted, strict=True)):
        if given.size() != other.size():
            raise RuntimeError(
                f"{f'Entry {i} in ' if many else ''}v has invalid size: should be {other.size()} "
                f"but got {given.size()}."
            )


def _vector(
    v: Any, caller: str, wanted: Tensors, many: bool, create_graph: bool, refusal: str
) -> Tensors | None:
    """The given vector, checked; None stands for a single 1."""
    if v is None:
        if len(wanted) != 1 or wanted[0].nelement() != 1:
            raise RuntimeError(refusal)
        return None
    _, parts = _as_tuple(v, "v", caller)
    parts = _aliases(parts, create_graph, need_graph=False)
    _check_vector(parts, wanted, many)
    return parts


def _check_depends(values: Sequence[Tensor | None], kind: str, strict: bool) -> None:
    """In strict mode, everything has to depend on the inputs."""
    if not strict:
        return
    for i, value in enumerate(values):
        if value is None:
            raise RuntimeError(
                f"The output of the user-provided function is independent of input {i}."
                + _NOT_STRICT
            )
        if value.requires_grad:
            continue
        if kind == "hessian":
            text = (
                f"The hessian of the user-provided function with respect to input {i} is "
                f"independent of the input.{_NOT_STRICT} You should ensure that your function is "
                "thrice differentiable and that the hessian depends on the inputs."
            )
        elif kind == "jacobian":
            text = (
                "While computing the hessian, found that the jacobian of the user-provided "
                f"function with respect to input {i} is independent of the input. This is not "
                "allowed in strict mode. You should ensure that your function is twice "
                "differentiable and that the jacobian depends on the inputs (this would be "
                "violated by a linear function for example)."
            )
        elif kind == "grad_inputs":
            text = (
                f"The gradient with respect to input {i} is independent of the inputs of the "
                f"user-provided function.{_NOT_STRICT}"
            )
        else:
            text = (
                f"Output {i} of the user-provided function does not require gradients. The outputs "
                "must be computed in a differentiable manner from the input when running in "
                "strict mode."
            )
        raise RuntimeError(text)


def _gradients(
    outputs: Sequence[Tensor | None],
    inputs: Tensors,
    seeds: Sequence[Tensor | None] | None = None,
    **options: Any,
) -> tuple[Tensor | None, ...]:
    """``grad``, of those outputs that have one."""
    pairs = zip(outputs, seeds or (None,) * len(outputs), strict=True)
    used = [(o, s) for o, s in pairs if o is not None and o.requires_grad]
    if not used:
        return (None,) * len(inputs)
    roots = tuple([o for o, _ in used])
    found: tuple[Tensor | None, ...]
    found = grad(roots, inputs, tuple([s for _, s in used]), allow_unused=True, **options)
    return found


_INDEPENDENT = {
    "back": "The output of the user-provided function is independent of input {i}.",
    "back_trick": "The gradient with respect to the input is independent of entry {i} in the "
    "grad_outputs when using the double backward trick to compute forward mode gradients.",
    "double_back": "The jacobian of the user-provided function is independent of input {i}.",
}
_INDEPENDENT_HESSIAN = (
    "The hessian of the user-provided function is independent of entry {i} in the grad_jacobian. "
    "This is not allowed in strict mode as it prevents from using the double backward trick to "
    "replace forward mode AD."
)


def _filled(
    gradients: Sequence[Tensor | None], like: Tensors, strict: bool, create_graph: bool, stage: str
) -> Tensors:
    """The gradients, with zeros where there are none: an error in strict mode."""
    found = []
    for i, (value, other) in enumerate(zip(gradients, like, strict=True)):
        if value is None and strict:
            text = _INDEPENDENT.get(stage)
            raise RuntimeError(
                (_INDEPENDENT_HESSIAN if text is None else text + _NOT_STRICT).format(i=i)
            )
        if value is not None and strict and create_graph and not value.requires_grad:
            what = "hessian" if "double" in stage else "jacobian"
            raise RuntimeError(
                f"The {what} of the user-provided function is independent of input {i}. This is "
                "not allowed in strict mode when create_graph=True."
            )
        found.append(zeros_like(other) if value is None else value)
    return tuple(found)


def vjp(
    func: Callable[..., Any],
    inputs: Any,
    v: Any = None,
    create_graph: bool = False,
    strict: bool = False,
) -> tuple[Any, Any]:
    """The function's value, and a vector times its Jacobian (shaped as the inputs).

    >>> torch.autograd.functional.vjp(lambda x: x * x, torch.tensor(3.0))
    (tensor(9.), tensor(6.))
    """
    with enable_grad():
        many_inputs, given = _as_tuple(inputs, "inputs", "vjp")
        given = _aliases(given, create_graph, need_graph=True)
        many_outputs, outputs = _as_tuple(
            func(*given), "outputs of the user-provided function", "vjp"
        )
        _check_depends(outputs, "outputs", strict)
        seeds = _vector(
            v, "vjp", outputs, many_outputs, create_graph,
            "The vector v can only be None if the user-provided function returns a single Tensor "
            "with a single element.",
        )  # fmt: skip
    with set_grad_enabled(create_graph or is_grad_enabled()):
        found = _gradients(outputs, given, seeds, create_graph=create_graph)
        filled = _filled(found, given, strict, create_graph, "back")
    return (
        _unpacked(_finished(outputs, create_graph), many_outputs),
        _unpacked(_finished(filled, create_graph), many_inputs),
    )


def jvp(
    func: Callable[..., Any],
    inputs: Any,
    v: Any = None,
    create_graph: bool = False,
    strict: bool = False,
) -> tuple[Any, Any]:
    """The function's value, and its Jacobian times a vector (shaped as the outputs), by
    differentiating a gradient with respect to its seed.

    >>> torch.autograd.functional.jvp(lambda x: x * x, torch.tensor(3.0))
    (tensor(9.), tensor(6.))
    """
    with enable_grad():
        many_inputs, given = _as_tuple(inputs, "inputs", "jvp")
        given = _aliases(given, create_graph, need_graph=True)
        vector = _vector(v, "jvp", given, many_inputs, create_graph, _SINGLE_INPUT)
        many_outputs, outputs = _as_tuple(
            func(*given), "outputs of the user-provided function", "jvp"
        )
        _check_depends(outputs, "outputs", strict)
        seeds = tuple([zeros_like(o, requires_grad=True) for o in outputs])
        back = _gradients(outputs, given, seeds, create_graph=True)
        _check_depends(back, "grad_inputs", strict)
    with set_grad_enabled(create_graph or is_grad_enabled()):
        found = _gradients(back, seeds, vector, create_graph=create_graph)
        filled = _filled(found, outputs, strict, create_graph, "back_trick")
    return (
        _unpacked(_finished(outputs, create_graph), many_outputs),
        _unpacked(_finished(filled, create_graph), many_outputs),
    )


def jacobian(
    func: Callable[..., Any],
    inputs: Any,
    create_graph: bool = False,
    strict: bool = False,
    vectorize: bool = False,
    strategy: str = "reverse-mode",
) -> Any:
    """The derivatives of each output by each input: shapes ``output.shape + input.shape``, nested
    by outputs, then by inputs.

    >>> torch.autograd.functional.jacobian(lambda x: x * x, torch.tensor([1.0, 2.0]))
    tensor([[2., 0.],
            [0., 4.]])
    """
    if strategy not in ("forward-mode", "reverse-mode"):
        raise AssertionError(
            'Expected strategy to be either "forward-mode" or "reverse-mode". Hint: If your '
            'function has more outputs than inputs, "forward-mode" tends to be more performant. '
            'Otherwise, prefer to use "reverse-mode".'
        )
    if strategy == "forward-mode":
        if create_graph:
            raise NotImplementedError(
                "torch.autograd.functional.jacobian: `create_graph=True` and "
                '`strategy="forward-mode"` are not supported together (yet). Please either set '
                '`create_graph=False` or `strategy="reverse-mode"`.'
            )
        if strict:
            raise RuntimeError(
                'torch.autograd.functional.jacobian: `strict=True` and `strategy="forward-mode"` '
                "are not supported together (yet). Please either set `strict=False` or "
                '`strategy="reverse-mode"`.'
            )
        if not vectorize:
            raise NotImplementedError(
                "Computing Jacobian using forward-AD or forward-over-reverse Hessian is"
                "only implemented for `vectorize=True`."
            )
        return _jacobian_by_tangents(func, inputs)
    with enable_grad():
        many_inputs, given = _as_tuple(inputs, "inputs", "jacobian")
        given = _aliases(given, create_graph, need_graph=True)
        many_outputs, outputs = _as_tuple(
            func(*given), "outputs of the user-provided function", "jacobian"
        )
        _check_depends(outputs, "outputs", strict)
        if vectorize and strict:
            raise RuntimeError(
                "torch.autograd.functional.jacobian: `strict=True` and `vectorized=True` are not "
                "supported together. Please either set `strict=False` or `vectorize=False`."
            )
        if vectorize:
            rows = _jacobians_at_once(outputs, given, create_graph)
        else:
            rows = [_jacobian_of(o, i, given, create_graph, strict) for i, o in enumerate(outputs)]
    _finished(outputs, create_graph)
    nested = tuple([_unpacked(_finished(row, create_graph), many_inputs) for row in rows])
    return _unpacked(nested, many_outputs)


def _jacobian_by_tangents(func: Callable[..., Any], inputs: Any) -> Any:
    """In forward mode: it requires grad where the inputs do, for which nobody takes it apart.
    Nested as lists, but where a tuple is unpacked, as PyTorch's is."""
    many_inputs, given = _as_tuple(inputs, "inputs", "jacobian")
    many_outputs = False
    outputs: Tensors = ()

    def changes(*directions: Tensor) -> Tensors:
        nonlocal many_outputs, outputs
        with dual_level():
            duals = [make_dual(x, t.view_as(x)) for x, t in zip(given, directions, strict=True)]
            many_outputs, found = _as_tuple(func(*duals), "outputs", "None")  # in PyTorch's words
            unpacked = [unpack_dual(y) for y in found]
        outputs = tuple([primal for primal, _ in unpacked])
        return tuple([zeros_like(p) if t is None else t for p, t in unpacked])

    sizes = [x.nelement() for x in given]
    rows: Any = [
        [
            part.permute(*range(1, part.ndim), 0).reshape((*y.shape, *x.shape))
            for part, x in zip(change.split(sizes), given, strict=True)
        ]
        for change, y in zip(vmap(changes)(*basis(given, 0, sum(sizes))), outputs, strict=True)
    ]
    if not many_inputs:
        rows = tuple([row[0] for row in rows])
    return _unpacked(rows, many_outputs)


def _jacobians_at_once(outputs: Tensors, inputs: Tensors, create_graph: bool) -> list[list[Tensor]]:
    """The derivatives of all outputs by all inputs, as one batch of gradients."""
    if not outputs:
        raise AssertionError("Expected at least one tensor")
    sizes = [y.nelement() for y in outputs]
    kept = [y for y in outputs if y.requires_grad]
    found: Sequence[Tensor | None] = [None] * len(inputs)
    if kept and sum(sizes):
        seeds = [c for c, y in zip(basis(outputs, 0, sum(sizes)), outputs, strict=True)
                 if y.requires_grad]  # fmt: skip
        found = grad(
            kept, inputs, seeds, create_graph=create_graph, allow_unused=True, is_grads_batched=True
        )
    rows, first = [], 0
    for y, size in zip(outputs, sizes, strict=True):
        rows.append([
            zeros((*y.shape, *x.shape), dtype=x.dtype, device=x.device) if g is None
            else g.narrow(0, first, size).reshape((*y.shape, *x.shape))
            for g, x in zip(found, inputs, strict=True)
        ])  # fmt: skip
        first += size
    return rows


def _jacobian_of(
    output: Tensor, number: int, inputs: Tensors, create_graph: bool, strict: bool
) -> list[Tensor]:
    """The derivatives of one output by all inputs, a gradient for each of its elements."""
    rows: list[list[Tensor]] = [[] for _ in inputs]
    flat = output.reshape(-1)
    for j in range(output.nelement()):
        found = _gradients((flat[j],), inputs, retain_graph=True, create_graph=create_graph)
        for i, (part, x) in enumerate(zip(found, inputs, strict=True)):
            if part is None and strict:
                raise RuntimeError(
                    f"Output {number} of the user-provided function is independent of input {i}."
                    + _NOT_STRICT
                )
            if part is not None and strict and create_graph and not part.requires_grad:
                raise RuntimeError(
                    "The jacobian of the user-provided function is independent of input "
                    f"{number}. This is not allowed in strict mode when create_graph=True."
                )
            rows[i].append(zeros_like(x) if part is None else part)
    shapes = [(*output.shape, *x.shape) for x in inputs]
    return [stack(parts).view(shape) for parts, shape in zip(rows, shapes, strict=True)]


def hessian(
    func: Callable[..., Any],
    inputs: Any,
    create_graph: bool = False,
    strict: bool = False,
    vectorize: bool = False,
    outer_jacobian_strategy: str = "reverse-mode",
) -> Any:
    """The second derivatives of a function of one element: shapes ``a.shape + b.shape``, nested
    by the inputs twice.

    >>> torch.autograd.functional.hessian(lambda x: (x ** 3).sum(), torch.tensor([1.0, 2.0]))
    tensor([[ 6.,  0.],
            [ 0., 12.]])
    """
    many, given = _as_tuple(inputs, "inputs", "hessian")
    if outer_jacobian_strategy not in ("forward-mode", "reverse-mode"):
        raise AssertionError('Expected strategy to be either "forward-mode" or "reverse-mode".')

    def single(*values: Any) -> Tensor:
        result = func(*values)
        _, outputs = _as_tuple(result, "outputs of the user-provided function", "hessian")
        _check_depends(outputs, "outputs", strict)
        _check_single(result, outputs, "hessian")
        squeezed: Tensor = outputs[0].squeeze()
        return squeezed

    def inner(*values: Any) -> Any:
        found = jacobian(single, values, create_graph=True)
        _check_depends(found, "jacobian", strict)
        return found

    if outer_jacobian_strategy == "forward-mode":
        given = tuple([x if x.requires_grad else x.detach().requires_grad_() for x in given])
    found = jacobian(inner, given, create_graph, strict, vectorize, outer_jacobian_strategy)
    if not many:
        found = tuple([row[0] for row in found])
    return _unpacked(found, many)


def _check_single(result: Any, outputs: Tensors, caller: str) -> None:
    if isinstance(result, tuple):
        raise RuntimeError(f"The function given to {caller} should return a single Tensor")
    if outputs[0].nelement() != 1:
        raise RuntimeError(
            f"The Tensor returned by the function given to {caller} should contain a single element"
        )


def _hessian_product(
    func: Callable[..., Any],
    inputs: Any,
    v: Any,
    create_graph: bool,
    strict: bool,
    caller: str,
) -> tuple[Any, Any]:
    with enable_grad():
        many, given = _as_tuple(inputs, "inputs", caller)
        given = _aliases(given, create_graph, need_graph=True)
        vector = _vector(v, caller, given, many, create_graph, _SINGLE_INPUT)
        result = func(*given)
        _, outputs = _as_tuple(result, "outputs of the user-provided function", caller)
        _check_depends(outputs, "outputs", strict)
        _check_single(result, outputs, caller)
        first = _gradients(outputs, given, create_graph=True)
        _check_depends(first, "jacobian", strict)
        seeds: Tensors = ()
        second: tuple[Tensor | None, ...] = ()
        if caller == "hvp":
            seeds = tuple([zeros_like(x, requires_grad=True) for x in given])
            second = _gradients(first, given, seeds, create_graph=True)
            _check_depends(first, "hessian", strict)
    with set_grad_enabled(create_graph or is_grad_enabled()):
        if caller == "hvp":
            found = _gradients(second, seeds, vector, create_graph=create_graph)
            stage = "double_back_trick"
        else:
            found = _gradients(first, given, vector, create_graph=create_graph)
            stage = "double_back"
        filled = _filled(found, given, strict, create_graph, stage)
    return (
        _finished(outputs, create_graph)[0],
        _unpacked(_finished(filled, create_graph), many),
    )


def vhp(
    func: Callable[..., Any],
    inputs: Any,
    v: Any = None,
    create_graph: bool = False,
    strict: bool = False,
) -> tuple[Any, Any]:
    """The value of a function of one element, and a vector times its Hessian.

    >>> torch.autograd.functional.vhp(lambda x: x ** 3, torch.tensor(2.0))
    (tensor(8.), tensor(12.))
    """
    return _hessian_product(func, inputs, v, create_graph, strict, "vhp")


def hvp(
    func: Callable[..., Any],
    inputs: Any,
    v: Any = None,
    create_graph: bool = False,
    strict: bool = False,
) -> tuple[Any, Any]:
    """The value of a function of one element, and its Hessian times a vector.

    >>> torch.autograd.functional.hvp(lambda x: x ** 3, torch.tensor(2.0))
    (tensor(8.), tensor(12.))
    """
    return _hessian_product(func, inputs, v, create_graph, strict, "hvp")
