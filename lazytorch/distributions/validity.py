"""Whether values lie in regions, as one call: the checks of elementary regions, which are tensor
code, are run on the nodes of its body."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from codegen import dtype as dt
from codegen.ir.node import Node
from codegen.ops import elementwise as ew
from lazytorch.application import apply
from lazytorch.distributions import constraints
from lazytorch.expression import Function
from lazytorch.functions.promotion import promote
from lazytorch.functions.reductions import ALL, SUM, reduced_axes
from lazytorch.nn.parameter import Parameter
from lazytorch.overrides import state as overrides
from lazytorch.tensor import Tensor

_ELEMENTARY: dict[str, type[constraints.Constraint]] = {
    kind.__name__: kind
    for kind in (
        type(constraints.boolean), type(constraints.real), constraints.greater_than,
        constraints.greater_than_eq, constraints.less_than, constraints.interval,
        constraints.half_open_interval, constraints.integer_interval,
        type(constraints.nonnegative_integer), type(constraints.one_hot),
        type(constraints.simplex), constraints.multinomial,
    )
}  # fmt: skip


def _by(primitive: Callable[[Node, Node], Node]) -> Callable[[_Operand, Any], _Operand]:
    def applied(self: _Operand, other: Any) -> _Operand:
        x = self.node
        if isinstance(other, _Operand):
            return _Operand(primitive(*promote(x, other.node)))
        if isinstance(other, float) and not x.dtype.is_floating_point:
            x = ew.cast(x, dt.float64)
        elif x.dtype is dt.bool_:
            x = ew.cast(x, dt.int64)
        return _Operand(primitive(x, ew.full_like(x, other)))

    return applied


class _Operand:
    """A node with as much of a tensor's face as the checks of elementary regions need."""

    def __init__(self, node: Node) -> None:
        self.node = node

    __eq__ = _by(ew.eq)  # type: ignore[assignment]
    __lt__, __le__, __gt__, __ge__ = _by(ew.lt), _by(ew.le), _by(ew.gt), _by(ew.ge)
    __and__, __or__, __sub__, __mod__ = _by(ew.and_), _by(ew.or_), _by(ew.sub), _by(ew.remainder)
    __hash__ = None  # type: ignore[assignment]

    def abs(self) -> _Operand:
        return _Operand(ew.abs_(self.node))

    def sum(self, dim: int) -> _Operand:
        return self._reduced(SUM, dim, None)

    def all(self, dim: int | None = None) -> _Operand:
        return self._reduced(ALL, dim)

    def _reduced(self, function: Function, dim: int | None, *more: Any) -> _Operand:
        axes = reduced_axes(dim, len(self.node.shape), empty_is_all=False)
        made = function.body(self.node, axes, False, *more)
        assert isinstance(made, Node)
        return _Operand(made)


def _are_valid(*arguments: Any) -> Node:
    *nodes, names = arguments
    operands = iter([_Operand(node) for node in nodes])
    every: Any = None
    for name in names:
        value = next(operands)
        region: Any = object.__new__(_ELEMENTARY[name])
        for bound in region._bounds:
            setattr(region, bound, next(operands))
        valid = region.check(value).all()
        every = valid if every is None else every & valid
    node: Node = every.node
    return node


ARE_VALID = Function("are_valid", _are_valid)


# Classes of tensors that have no say in what is done with them.
_PLAIN = (Tensor, Parameter)


def are_valid(checked: Sequence[tuple[Any, Any]]) -> bool | None:
    """Whether, of pairs of a region and a value, all values lie wholly in their regions; None where
    some check is more than that of an elementary region, or somebody is to see its operations."""
    if overrides.modes:
        return None
    inputs, names = [], []
    for region, value in checked:
        if value.__class__ not in _PLAIN:
            return None
        if region.__class__ is constraints.independent:
            if len(value._type.shape) < region.event_dim:
                return None
            region = region.base_constraint  # all of it in any case
        kind: type[constraints.Constraint] = region.__class__
        if _ELEMENTARY.get(kind.__name__) is not kind or value._type.dtype.is_complex:
            return None
        bounds = [getattr(region, bound) for bound in kind._bounds]
        if any([isinstance(x, Tensor) and x.__class__ not in _PLAIN for x in bounds]):
            return None
        inputs += [value, *bounds]
        names.append(kind.__name__)
    return bool(apply(ARE_VALID, inputs, (tuple(names),)))
