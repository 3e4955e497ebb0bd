"""Sparse gradients of dense tensors: what embedding(sparse=True) leaves in ``weight.grad``."""

from __future__ import annotations

from codegen.ops import elementwise as ew
from lazytorch import capture
from lazytorch.autograd.grad_mode import is_grad_enabled, no_grad
from lazytorch.autograd.walk import Collector
from lazytorch.expression import Function
from lazytorch.functions import embedding
from lazytorch.functions.masks import nonzero
from lazytorch.sparse.entries import chosen_entries
from lazytorch.sparse.tensors import CooTensor, coo
from lazytorch.tensor import Tensor, record, wrap

ROWS = Function("sparse_embedding", lambda x: ew.cast(x, x.dtype),
                gradient_name="EmbeddingBackward0")  # fmt: skip


class RowCollector(Collector):
    """Collects the gradient of looked-up rows for the table, as a COO tensor of those rows."""

    def __init__(self, table: Tensor, index: Tensor, padding: int | None, by_count: bool) -> None:
        super().__init__(table)
        self.index, self.padding, self.by_count = index, padding, by_count

    def as_gradient(self, gradient: Tensor) -> CooTensor:
        """A gradient of the rows as one of the table."""
        if self.by_count:
            raise RuntimeError(
                "embedding_backward: scale_grad_by_freq not supported with sparse gradients"
            )
        columns = self.target.shape[1]
        places = self.index.detach().reshape(1, -1).long()
        made = coo(places, gradient.reshape(-1, columns), self.target._type.shape, False)
        if self.padding is None:
            return made
        kept = nonzero(places[0] != self.padding).reshape(-1)
        return chosen_entries(made, kept)


def _with_sparse_gradient(
    rows: Tensor, index: Tensor, table: Tensor, padding: int | None, by_count: bool
) -> Tensor:
    """Rows of a table, read without a gradient, whose gradient the table gets as sparse."""
    if not (table.requires_grad and is_grad_enabled()):
        return rows
    if not table.is_leaf:
        raise NotImplementedError(
            "embedding(sparse=True) needs a weight that is a leaf (a parameter)"
        )
    capture.refuse("an embedding has a sparse gradient")
    with no_grad():
        # Later writes to the given numbers are not seen by the gradient.
        collector = RowCollector(table, index.clone(), padding, by_count)
    value = rows._read()
    value.tracked = True
    value.leaf = collector
    return wrap(record(ROWS, (value,), (), True)[0])


embedding.with_sparse_gradient.append(_with_sparse_gradient)
