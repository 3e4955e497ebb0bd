"""What is written to between forward and backward, operator by operator: backward raises, or not,
as PyTorch's does. Each input and result of each operator is written to, with gradients asked for
all inputs, and for each alone."""

from __future__ import annotations

import itertools
import re
import warnings
from collections.abc import Iterator
from typing import Any

import pytest
import torch

import lazytorch

from . import check, database
from .comparison import mapped, tensors
from .translate import Missing, NotApplicable, callable_of, unseeded

# Made of several operations here, in PyTorch of one, or of others.
_OTHERWISE_MADE = {
    "masked_select", "native_batch_norm", "native_group_norm", "native_layer_norm", "linalg.lu",
    "nn.functional.embedding_bag", "nn.functional.linear_cross_entropy", "triangular_solve",
    "svd_lowrank", "_segment_reduce", "scatter_reduce", "take_along_dim", "linalg.lstsq",
    "nn.functional.ctc_loss", "combinations", "nn.functional.multi_head_attention_forward",
}  # fmt: skip
# Differentiated by other arguments, or not at all; complex or sparse, or not there.
_OTHERWISE_REFUSED = {
    "histogramdd", "histogram", "igamma",
    "igammac", "special.zeta", "unique", "unique_consecutive", "linalg.eig", "linalg.eigvals",
    "sparse.sampled_addmm", "sparse.mm", "to_sparse", "max_pool2d_with_indices_backward", "chalf",
}  # fmt: skip
# Of no elements, or of no dimension.
_DEGENERATE = {
    "gather", "index_select", "linalg.slogdet", "index_copy", "nn.functional.pdist",
    "nn.functional.adaptive_max_pool3d",
}  # fmt: skip
_LEFT_OUT = _OTHERWISE_MADE | _OTHERWISE_REFUSED | _DEGENERATE | check.UNDEFINED


def _outcome(t: Any, function: Any, arguments: Any, only: int | None, place: int) -> str | None:
    """What backward says after the input or result of this number was written to; None where there
    is none of this number, or nothing to differentiate."""
    leaves: list[Any] = []
    numbers = itertools.count()

    def copied(x: Any) -> Any:
        if x.requires_grad and only in (None, next(numbers)):
            leaves.append(x)
            return x.clone()
        return x.detach().clone()

    *inputs, options = mapped(arguments, copied)
    results = [*tensors(function(*inputs, **options))]
    roots = [y for y in results if y.requires_grad]
    written = [*tensors([*inputs, *options.values()]), *results]
    if place >= len(written) or not roots:
        return None
    x = written[place]
    try:
        with t.no_grad():
            (x.logical_not_ if x.dtype is t.bool else lambda: x.add_(1))()
        t.autograd.grad(roots, leaves, [t.ones_like(y) for y in roots], allow_unused=True)
    except Exception as error:
        # Which value of its own a node has saved is free.
        text = re.sub(r"\[(\S+) \[.*?\]\](, which is output.*?,)?", r"\1", str(error))
        return f"{type(error).__name__}: {text}"
    return "differentiated"


def _samples(op: Any) -> Iterator[Any]:
    dtype = next((d for d in database.dtypes(op) if d.is_floating_point), None)
    if dtype is not None and op.supports_autograd:
        yield from itertools.islice(op.sample_inputs("cpu", dtype, requires_grad=True), 1)


def _disagreements(op: Any) -> Iterator[tuple[Any, ...]]:
    theirs, ours = unseeded(op.op), callable_of(op.op, op.name)
    for sample in [check.Sample(s, "interpreter") for s in _samples(op)]:
        tracked = [x for x in tensors(sample.theirs()) if x.requires_grad]
        alone = range(len(tracked)) if len(tracked) > 1 else ()
        for only, place in itertools.product([None, *alone], range(8)):
            expected = _outcome(torch, theirs, sample.theirs(), only, place)
            if expected is None:
                break
            found = _outcome(lazytorch, ours, sample.ours(), only, place)
            if found != expected:
                yield sample.where, only, place, found, expected


@pytest.mark.pytorch
@pytest.mark.slow
def test_backward_refuses_what_was_written_to_as_pytorch_does() -> None:
    found: dict[str, list[Any]] = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for op in database.operators():
            if op.name in _LEFT_OUT:
                continue
            try:
                disagreements = list(_disagreements(op))
            except (Missing, NotApplicable):
                continue
            except Exception as error:
                disagreements = [repr(error)]
            if disagreements:
                found[database.title(op)] = disagreements
    if found:
        pytest.fail("\n".join([f"{name}: {rows}" for name, rows in found.items()]))
