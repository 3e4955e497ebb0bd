"""check_sparse_tensor_invariants, and the checks themselves."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

import numpy as np

from lazytorch.sparse.tensors import CompressedTensor, CooTensor, CsrTensor, SparseTensor


class _State:
    enabled = False


_state = _State()


class check_sparse_tensor_invariants:
    """Check every sparse tensor that is made from parts: as a switch, context or decorator.

    >>> with torch.sparse.check_sparse_tensor_invariants():
    ...     torch.sparse_coo_tensor([[0, 1]], [1.0, 2.0], (2,))._nnz()
    2
    """

    @staticmethod
    def is_enabled() -> bool:
        """Whether checks are on."""
        return _state.enabled

    @staticmethod
    def enable() -> None:
        """Check from now on."""
        _state.enabled = True

    @staticmethod
    def disable() -> None:
        """Check no longer."""
        _state.enabled = False

    def __init__(self, enable: bool = True) -> None:
        self._wanted = enable
        self._before: bool | None = None

    def __enter__(self) -> None:
        if self._before is not None:
            raise RuntimeError(
                "This context manager instance is already activated. Use a different context "
                "manager instance for context nesting."
            )
        self._before, _state.enabled = _state.enabled, self._wanted

    def __exit__(self, *_: Any) -> None:
        assert self._before is not None
        _state.enabled, self._before = self._before, None

    def __call__(self, function: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(function)
        def checked(*args: Any, **kwargs: Any) -> Any:
            with type(self)(self._wanted):
                return function(*args, **kwargs)

        return checked


def check(x: SparseTensor, wanted: bool | None) -> None:
    """Raise where the places do not describe a tensor of its shape, if that is to be checked."""
    if not (_state.enabled if wanted is None else wanted):
        return
    if isinstance(x, CooTensor):
        check_places(x)
    elif isinstance(x, CompressedTensor):
        _check_compressed(x)


def check_places(x: CooTensor) -> None:
    """Every place within the shape."""
    places = x._places._array()
    if not places.size:
        return
    for d in range(len(places)):
        low, high, extent = int(places[d].min()), int(places[d].max()), x._type.shape[d]
        if low < 0:
            raise RuntimeError(f"found negative index {low} for dim {d}")
        if high >= extent:
            raise RuntimeError(
                f"size is inconsistent with indices: for dim {d}, size is {extent} but found "
                f"index {high}"
            )


def _check_compressed(x: CompressedTensor) -> None:
    rows = isinstance(x, CsrTensor)
    extent, across = x._type.shape[:2] if rows else x._type.shape[1::-1]
    names = ("crow", "col", "rows", "cols") if rows else ("ccol", "row", "cols", "rows")
    starts_name, plain_name = f"{names[0]}_indices", f"{names[1]}_indices"
    starts, plain = x._starts._array(), x._plain._array()
    count = x._entries._type.shape[0]
    if starts.shape[-1] != extent + 1:
        raise RuntimeError(
            f"{starts_name}.shape[-1] must be equal to the number of {names[2]} + 1 (={extent + 1})"
            f", but got {starts.shape[-1]}"
        )
    if plain.shape[-1] != count:
        raise RuntimeError(
            f"{plain_name}.shape[-1] must be equal to nnz (={count}) as defined by "
            f"values.shape[0], but got {plain.shape[-1]}"
        )
    steps = np.diff(starts)
    for holds, text in (
        (starts[0] == 0, f"{starts_name}[..., 0] == 0"),
        (starts[-1] == count, f"{starts_name}[..., -1] == nnz"),
        (
            bool(((steps >= 0) & (steps <= across)).all()),
            f"0 <= {starts_name}[..., 1:] - {starts_name}[..., :-1] <= n{names[3]}",
        ),
        (
            bool(((plain >= 0) & (plain < across)).all()),
            f"0 <= {plain_name} < n{names[3]}",
        ),
    ):
        if not holds:
            raise RuntimeError(f"`{text}` is not satisfied.")
    within = np.ones(max(count - 1, 0), np.bool_)
    borders = starts[1:-1]
    within[borders[(borders > 0) & (borders < count)] - 1] = False
    if not (np.diff(plain)[within] > 0).all():
        raise RuntimeError(
            f"`{plain_name}[..., {starts_name}[..., i - 1]:{starts_name}[..., i]] for all i = 1, "
            f"..., n{names[2]} are sorted and distinct along the last dimension values` is not "
            "satisfied."
        )
