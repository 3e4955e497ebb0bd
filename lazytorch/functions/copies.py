"""torch.NAME_copy for every view NAME: the same elements in memory of their own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from lazytorch import core
from lazytorch.application import apply
from lazytorch.functions import creation, views
from lazytorch.functions.registration import SAME, check_same_type, operation, write_out
from lazytorch.tensor import Tensor, wrap_dim

_View = Callable[..., Any]


def _slice(
    input: Tensor, dim: int = 0, start: int | None = None, end: int | None = None, step: int = 1
) -> Tensor:
    axis = wrap_dim(dim, input.ndim)
    return input[(*[slice(None)] * axis, slice(start, end, step))]


def _copied(made: Any, source: Tensor) -> Any:
    if isinstance(made, tuple):
        return tuple([_copied(part, source) for part in made])
    if made.dtype is not source.dtype:
        return made.clone()
    return apply(core.IDENTITY, (made,))


def _narrow(input: Tensor, dim: int, start: Any, length: int) -> Tensor:
    """As ``narrow``, with the refusals of PyTorch's copy, which are others."""
    if dim >= input.ndim > 0:
        raise RuntimeError(
            "Expected dim < static_cast<int64_t>(self_sizes.size()) to be true, but got false."
        )
    if length < 0 < input.ndim and -input.ndim <= dim:
        size = input._type.shape[dim]
        raise RuntimeError(f"start ({start}) + length ({length}) exceeds dimension size ({size}).")
    return views.narrow(input, dim, start, length)


def _copying(name: str, view: _View, method: bool) -> None:
    def copy(input: Tensor, *args: Any, out: Any = None, **kwargs: Any) -> Any:
        made = _copied(view(input, *args, **kwargs), input)
        if out is None:
            return made
        check_same_type(out, made, SAME)
        write_out(out, made)
        return out

    copy.__name__ = copy.__qualname__ = f"{name}_copy"
    copy.__doc__ = f"As ``{name}``, in memory of its own."
    operation(method=method)(copy)


for _name, _view in (
    ("alias", views.alias), ("as_strided", views.as_strided), ("detach", Tensor.detach),
    ("diagonal", creation.diagonal), ("expand", views.expand), ("narrow", _narrow),
    ("permute", views.permute), ("select", views.select), ("slice", _slice),
    ("split", views.split), ("split_with_sizes", views.split_with_sizes),
    ("squeeze", views.squeeze), ("t", views.t), ("transpose", views.transpose),
    ("unbind", views.unbind), ("unfold", views.unfold), ("unsqueeze", views.unsqueeze),
    ("view", views.view),
):  # fmt: skip
    _copying(_name, _view, method=_name == "narrow")
