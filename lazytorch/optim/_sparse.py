"""Updates of dense parameters by sparse gradients: of the rows that these have, and no others."""

from __future__ import annotations

from typing import Any

from lazytorch import capture
from lazytorch.sparse.tensors import CooTensor, coo
from lazytorch.tensor import Tensor


def coalesced_gradient(gradient: Any, maximize: bool) -> CooTensor:
    """Each place once, for what is not linear in the gradient; computes the places."""
    capture.refuse("a gradient is sparse")
    made: CooTensor = gradient.detach().coalesce()
    return made._with(-made._entries) if maximize else made


def add_at(target: Tensor, places: CooTensor, entries: Tensor, scale: float = 1.0) -> None:
    """Add ``scale`` times the entries to a tensor at the places of another's."""
    update = coo(places._places, entries, places._type.shape, True)
    target.add_(update, alpha=scale)


def entries_at(x: Tensor, places: CooTensor) -> Tensor:
    """The elements (rows) of a tensor at the places of another's entries."""
    return x.sparse_mask(places)._entries  # type: ignore[no-any-return]
