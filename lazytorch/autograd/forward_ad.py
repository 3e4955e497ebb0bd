"""torch.autograd.forward_ad: dual tensors, whose tangents follow what is computed of them."""

from __future__ import annotations

from types import TracebackType
from typing import Any, NamedTuple

from lazytorch.expression import Expression
from lazytorch.func.derivatives import check_tangent
from lazytorch.func.sources import pushed_forward, settled, source, stand_in
from lazytorch.levels import is_unknown, state
from lazytorch.realize import realize
from lazytorch.tensor import Tensor, wrap


class UnpackedDualTensor(NamedTuple):
    """A dual tensor's value, and its tangent, None if it has none."""

    primal: Tensor
    tangent: Tensor | None


class _DualLevel:
    """The dual tensors made in a level: the copy that stands for each, and its tangent."""

    def __init__(self) -> None:
        self.tangents: dict[Expression, Expression] = {}


_levels: list[_DualLevel] = []


def enter_dual_level() -> int:
    """Begin a level; its number."""
    if _levels:
        raise RuntimeError("Nested forward mode AD is not supported at the moment")
    _levels.append(_DualLevel())
    return 0


def exit_dual_level(*, level: int | None = None) -> None:
    """End the level: the tangents of its tensors are gone."""
    number = len(_levels) - 1 if level is None else level
    if number < 0:
        raise RuntimeError("Dual level must be a positive number.")
    if number != len(_levels) - 1:
        raise RuntimeError(
            "Trying to exit a forward AD level that was not the last one that was created. This is "
            "not supported."
        )
    for e in _levels.pop().tangents:
        state.sources.pop(e, None)


class dual_level:
    """A level of forward mode: dual tensors are made and unpacked inside.

    >>> with torch.autograd.forward_ad.dual_level():
    ...     x = torch.autograd.forward_ad.make_dual(torch.tensor(0.0), torch.tensor(2.0))
    ...     float(torch.autograd.forward_ad.unpack_dual(x.sin()).tangent)
    2.0
    """

    def __enter__(self) -> int:
        self._level = enter_dual_level()
        return self._level

    def __exit__(
        self,
        _type: type[BaseException] | None,
        _value: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        exit_dual_level(level=self._level)


def make_dual(tensor: Tensor, tangent: Tensor, *, level: int | None = None) -> Tensor:
    """``tensor`` with a tangent of its shape and dtype."""
    if not _levels:
        raise RuntimeError(
            "Trying to create a dual Tensor for forward AD but no level exists, make sure to "
            "enter_dual_level() first."
        )
    check_tangent(tensor, tangent)
    if tensor._read() in _levels[-1].tangents:
        raise RuntimeError(
            "Making a dual Tensor based on a Tensor that already has a forward gradient at the "
            f"same level {len(_levels) - 1} is not supported."
        )
    made = source(tensor)
    _levels[-1].tangents[made] = tangent._read()
    state.sources[made] = 1
    return stand_in(tensor, made)


def unpack_dual(tensor: Tensor, *, level: int | None = None) -> UnpackedDualTensor:
    """The value and the tangent of what was computed of dual tensors."""
    if not _levels or not tensor.dtype.differentiable:
        return UnpackedDualTensor(tensor, None)
    given = _levels[-1].tangents
    value: Any = tensor._read()
    if not given:
        return UnpackedDualTensor(tensor, None)
    (found,) = pushed_forward([value], list(given), list(given.values()))
    if found is None:
        return UnpackedDualTensor(tensor, None)
    if not value.tracked and not is_unknown(found):
        realize([value, found])  # what no_grad computed is not kept once it is known
    open_before = dict(state.sources)
    for e in given:
        state.sources.pop(e, None)
    try:
        return UnpackedDualTensor(settled(tensor), settled(wrap(found)))
    finally:
        state.sources.update(open_before)


__all__ = [
    "UnpackedDualTensor", "dual_level", "enter_dual_level", "exit_dual_level", "make_dual",
    "unpack_dual",
]  # fmt: skip
