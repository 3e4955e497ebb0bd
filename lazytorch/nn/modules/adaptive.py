"""Adaptive softmax: frequent classes at once, rare ones in clusters with narrower layers."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any, NamedTuple

from lazytorch.functions.joining import cat
from lazytorch.nn import functional as F
from lazytorch.nn.modules.container import ModuleList, Sequential
from lazytorch.nn.modules.linear import Linear
from lazytorch.nn.modules.module import Module
from lazytorch.tensor import Tensor

__all__ = ["AdaptiveLogSoftmaxWithLoss"]


class _ASMoutput(NamedTuple):
    output: Tensor
    loss: Tensor


_ASMoutput.__name__ = "_ASMoutput"


class AdaptiveLogSoftmaxWithLoss(Module):
    """Adaptive softmax (Grave et al., https://arxiv.org/abs/1609.04309): (N, in_features) and
    classes (N) to their log-probabilities (N) and the mean loss; without N too.

    Classes are numbered by falling frequency. Those below the first cutoff belong to the head;
    cluster i has the classes up to cutoff i + 1, behind a layer of in_features / div_value**(i+1).

    >>> softmax = torch.nn.AdaptiveLogSoftmaxWithLoss(16, 20, cutoffs=[4, 10])
    >>> output, loss = softmax(torch.randn(3, 16), torch.tensor([0, 7, 19]))
    """

    def __init__(
        self,
        in_features: int,
        n_classes: int,
        cutoffs: Sequence[int],
        div_value: float = 4.0,
        head_bias: bool = False,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        place = {"device": device, "dtype": dtype}
        super().__init__()
        cutoffs = list(cutoffs)
        if len(cutoffs) == 0:
            raise ValueError("cutoffs should be a sequence of length larger than 0")
        if (
            cutoffs != sorted(set(cutoffs))
            or cutoffs[0] <= 0
            or cutoffs[-1] > n_classes - 1
            or any(int(c) != c for c in cutoffs)
        ):
            raise ValueError(
                "cutoffs should be a sequence of unique, positive integers sorted in an "
                "increasing order, where each value is between 1 and n_classes-1"
            )
        self.in_features = in_features
        self.n_classes = n_classes
        self.cutoffs = [*cutoffs, n_classes]
        self.div_value = div_value
        self.head_bias = head_bias
        self.shortlist_size = self.cutoffs[0]
        self.n_clusters = len(self.cutoffs) - 1
        self.head_size = self.shortlist_size + self.n_clusters
        self.head = Linear(in_features, self.head_size, bias=head_bias, **place)
        self.tail = ModuleList()
        for i, (low, high) in enumerate(itertools.pairwise(self.cutoffs)):
            width = int(in_features // (div_value ** (i + 1)))
            self.tail.append(
                Sequential(
                    Linear(in_features, width, bias=False, **place),
                    Linear(width, high - low, bias=False, **place),
                )
            )

    def reset_parameters(self) -> None:
        """Draw new initial values."""
        self.head.reset_parameters()
        for cluster in self.tail:
            for layer in cluster:
                layer.reset_parameters()

    def forward(self, input_: Tensor, target_: Tensor) -> _ASMoutput:
        if target_.dim() > 1:
            raise RuntimeError("0D or 1D target tensor expected, multi-target not supported")
        batched = target_.dim() == 1
        if batched and input_.size(0) != target_.size(0):
            raise RuntimeError("Input and target should have the same size in the batch dimension.")
        if input_.dim() != target_.dim() + 1:
            raise RuntimeError(
                f"{target_.dim()}D target tensor expects {target_.dim() + 1}D input tensors, but "
                f"found inputs with size {input_.size()}"
            )
        input = input_ if batched else input_.unsqueeze(0)
        target = target_ if batched else target_.unsqueeze(0)
        if bool(((target < 0) | (target >= self.n_classes)).any()):
            raise RuntimeError(
                f"Target values should be in [0, {self.n_classes - 1}], but values in range "
                f"[{target.min().item()}, {target.max().item()}] were found. "
            )
        # What a row has in each cluster is computed only where some row has its class there,
        # and then for all rows: so the shapes do not depend on the classes.
        chosen = target.clamp(max=self.shortlist_size - 1)
        within = input.new_zeros(target.size(0))
        for i, (low, high) in enumerate(itertools.pairwise(self.cutoffs)):
            here = (target >= low) & (target < high)
            if not bool(here.any()):
                continue
            log_probabilities = F.log_softmax(self.tail[i](input), dim=1)
            place = (target - low).clamp(0, high - low - 1)
            own = log_probabilities.gather(1, place.unsqueeze(1)).squeeze(1)
            within = within + own.masked_fill(here.logical_not(), 0.0)
            chosen = chosen.masked_fill(here, self.shortlist_size + i)
        head = F.log_softmax(self.head(input), dim=1)
        output = within + head.gather(1, chosen.unsqueeze(1)).squeeze(1)
        loss = (-output).mean()
        return _ASMoutput(output if batched else output.squeeze(0), loss)

    def _get_full_log_prob(self, input: Tensor, head_output: Tensor) -> Tensor:
        head = F.log_softmax(head_output, dim=1)
        parts = [head[:, : self.shortlist_size]]
        for i, cluster in enumerate(self.tail):
            within = F.log_softmax(cluster(input), dim=1)
            parts.append(within + head[:, self.shortlist_size + i].unsqueeze(1))
        whole: Tensor = cat(parts, 1)
        return whole

    def log_prob(self, input: Tensor) -> Tensor:
        """The log-probabilities of all classes: (N, in_features) to (N, n_classes)."""
        return self._get_full_log_prob(input, self.head(input))

    def predict(self, input: Tensor) -> Tensor:
        """The most likely class of each row, as log_prob(input).argmax(1), without the clusters
        where the head alone decides: (N, in_features) to (N)."""
        head = self.head(input)
        best: Tensor = head.argmax(1)
        in_cluster = best >= self.shortlist_size
        if not bool(in_cluster.any()):
            return best
        exact: Tensor = self._get_full_log_prob(input, head).argmax(1)
        result: Tensor = exact.where(in_cluster, best)
        return result
