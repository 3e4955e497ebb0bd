"""How the graph knows the tensor that collects a leaf's gradient: weakly, as that refers to what
it shows; but a leaf with hooks lives on in the graph, as in PyTorch, when its last name is gone."""

from __future__ import annotations

import sys
import weakref
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from lazytorch import capture, levels
from lazytorch.layout import strided
from lazytorch.realize import realize

if TYPE_CHECKING:
    from lazytorch.tensor import Tensor


class LeafReference(weakref.ref):  # type: ignore[type-arg]
    """Refers to a leaf; the same object in all values that the leaf has and had.

    kept  of a leaf with hooks: its class and its attributes, of which it is made anew.
    """

    __slots__ = ("kept",)
    kept: Any


class LivingOn(LeafReference):
    """Refers to what a leaf with hooks became when its last name was gone, and keeps that."""

    __slots__ = ()

    def __call__(self) -> Any:
        return self.kept


def reference_to(x: Tensor) -> LeafReference:
    """What refers to a tensor as a leaf."""
    found = x._reference
    if found is None:
        found = x._reference = LeafReference(x, _live_on)
        found.kept = None
    return found


def keep(x: Tensor) -> None:
    """Let the graph keep a leaf, which has got a hook."""
    reference_to(x).kept = type(x), x.__dict__


def _live_on(reference: LeafReference, ends: Callable[[], bool] = sys.is_finalizing) -> None:
    """Called where a leaf dies. What it becomes shows a value that leads to none that the graph
    knows, so that it lives as long as the graph does."""
    if reference.kept is None or ends():
        return
    kind, attributes = reference.kept
    again = object.__new__(kind)
    again.__dict__ = attributes
    again._reference = None
    again._renew_leaf(reference)
    reference.kept = again
    reference.__class__ = LivingOn


def settle_grad(leaf: Tensor) -> None:
    """Compute the gradient of a leaf that the graph keeps, which a pending one would keep."""
    gradient = leaf._grad
    if gradient is None or gradient.layout is not strided or gradient.requires_grad:
        return
    if capture.state.active is None and not levels.state.active:
        realize([gradient._read()])
