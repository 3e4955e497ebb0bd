"""Public operations of one shape, made from a body: unary, and binary with promotion."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from codegen.ir.node import Node
from codegen.ops import elementwise as ew
from lazytorch.expression import Function
from lazytorch.functions.arguments import require_tensor
from lazytorch.functions.bodies import apply_one
from lazytorch.functions.promotion import as_float
from lazytorch.functions.registration import operation
from lazytorch.tensor import Tensor

Unary = Callable[[Any], Tensor]
Binary = Callable[[Any, Any], Tensor]


def in_float(body: Callable[[Node], Node]) -> Callable[[Node], Node]:
    """The body on the input, converted to a floating-point type where it is none."""
    return lambda x: body(ew.cast(x, as_float(x.dtype)))


def unary(
    name: str, body: Callable[[Node], Node], documentation: str, names: tuple[str, ...] = (),
    inplace: bool = True, out: bool | str = True, gradient_name: str | None = None,
    **options: Any,
) -> Unary:  # fmt: skip
    """torch.NAME(input), Tensor.NAME() and Tensor.NAME_(); ``out``: see ``operation``, and for the
    other options ``Function``."""
    function = Function(name, body, gradient_name=gradient_name, **options)

    def public(input: Any) -> Tensor:
        if not isinstance(input, Tensor):
            require_tensor(name, input)
        return apply_one(function, (input,))

    public.__name__ = public.__qualname__ = name
    public.__doc__ = documentation
    return operation(inplace=inplace, out=out, names=names)(public)


def binary(
    name: str, body: Callable[[Node, Node], Node], documentation: str,
    names: tuple[str, ...] = (), numbers: str = "both", inplace: bool = True,
    gradient_name: str | None = None, recomputes: bool = False,
) -> Binary:  # fmt: skip
    """torch.NAME(input, other) and its other forms.

    ``numbers``: which arguments may be Python numbers: both, other or none.
    """
    function = Function(name, body, gradient_name=gradient_name, recomputes=recomputes)
    check_input, check_other = numbers != "both", numbers == "none"

    def public(input: Any, other: Any) -> Tensor:
        if check_input or not isinstance(other, Tensor):
            require_tensor(name, input)
        if check_other:
            require_tensor(name, other, "other", 2)
        return apply_one(function, (input, other))

    public.__name__ = public.__qualname__ = name
    public.__doc__ = documentation
    return operation(inplace=inplace, out=True, names=names)(public)
