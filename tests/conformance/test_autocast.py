"""The element types of every operator's results under autocast, beside PyTorch."""

from __future__ import annotations

import itertools
import warnings
from typing import Any

import pytest
import torch

import lazytorch

from . import check, database
from .comparison import mapped, tensors
from .translate import Missing, NotApplicable, callable_of, unseeded

# Made of several operations in PyTorch, of which some are cast; or of one of others.
_OTHERWISE_MADE = {
    "nn.functional.linear_cross_entropy", "linalg.pinv", "svd_lowrank", "pca_lowrank",
}  # fmt: skip


def _types(t: Any, function: Any, arguments: Any, halves: bool) -> list[str] | None:
    """The types of the results; None where something is refused."""

    def cast(x: Any) -> Any:
        is_float = x.layout is t.strided and x.is_floating_point()
        return x.to(t.bfloat16) if halves and is_float else x

    *inputs, options = mapped(arguments, cast)
    try:
        with t.autocast("cpu"):
            found = function(*inputs, **options)
    except Exception:
        return None
    return [str(y.dtype).split(".")[1] for y in tensors(found)]


@pytest.mark.pytorch
@pytest.mark.slow
def test_results_have_the_types_of_pytorch() -> None:
    found: dict[str, Any] = {}
    for op in database.operators():
        if op.name in _OTHERWISE_MADE or torch.float32 not in op.supported_dtypes("cpu"):
            continue
        try:
            theirs, ours = unseeded(op.op), callable_of(op.op, op.name)
            for given in itertools.islice(op.sample_inputs("cpu", torch.float32), 1):
                sample = check.Sample(given, "interpreter")
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    for halves in (False, True):
                        expected = _types(torch, theirs, sample.theirs(), halves)
                        mine = _types(lazytorch, ours, sample.ours(), halves)
                        if None not in (mine, expected) and mine != expected:
                            found[database.title(op)] = (halves, mine, expected, sample.where)
        except (Missing, NotApplicable):
            continue
    assert not found
