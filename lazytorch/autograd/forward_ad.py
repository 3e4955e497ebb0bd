"""torch.autograd.forward_ad: dual tensors, whose tangents follow what is computed of them."""

from __future__ import annotations

from types import TracebackType
from typing import NamedTuple

from lazytorch.expression import FORWARD, Expression
from lazytorch.func.derivatives import check_tangent
from lazytorch.func.sources import (
    has_tangent,
    pushed_forward,
    settled,
    source,
    sources_but,
    stand_in,
)
from lazytorch.levels import state, tangent_of
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
_NO_LEVEL = (
    "Trying to create a dual Tensor for forward AD but no level exists, make sure to "
    "enter_dual_level() first."
)


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
        raise RuntimeError(_NO_LEVEL)
    if level is not None and level < 0:
        raise RuntimeError(_NO_LEVEL)
    if level not in (None, len(_levels) - 1):
        raise RuntimeError("Invalid level given to _make_dual")
    check_tangent(tensor, tangent)
    given = _levels[-1].tangents
    if has_tangent(tensor._read(), given):
        raise RuntimeError(
            "Making a dual Tensor based on a Tensor that already has a forward gradient at the "
            f"same level {len(_levels) - 1} is not supported."
        )
    direction = tangent._read()
    if has_tangent(direction, given):
        raise RuntimeError(
            "Setting a forward grad that itself has a forward gradient at the same level"
            f"{len(_levels) - 1} is not supported."
        )
    made = source(tensor, FORWARD)
    given[made] = direction
    state.sources[made] = FORWARD
    return stand_in(tensor, made)


def unpack_dual(tensor: Tensor, *, level: int | None = None) -> UnpackedDualTensor:
    """The value and the tangent of what was computed of dual tensors."""
    if not _levels:
        return UnpackedDualTensor(tensor, None)
    if not isinstance(tensor, Tensor):
        raise TypeError(
            "_unpack_dual(): argument 'dual' (position 1) must be Tensor, not "
            + type(tensor).__name__
        )
    if level is not None and level >= len(_levels):
        raise RuntimeError("Invalid level given to _fw_primal")
    if not tensor.dtype.differentiable or (level is not None and level < 0):
        return UnpackedDualTensor(tensor, None)
    given = _levels[-1].tangents
    (found,) = pushed_forward([tensor._read()], list(given), list(given.values()))
    if found is None:
        return UnpackedDualTensor(tensor, None)
    primal = settled(tensor, sources_but(given))
    return UnpackedDualTensor(primal, wrap(found))


tangent_of.append(lambda x: unpack_dual(x).tangent)

__all__ = [
    "UnpackedDualTensor", "dual_level", "enter_dual_level", "exit_dual_level", "make_dual",
    "unpack_dual",
]  # fmt: skip
