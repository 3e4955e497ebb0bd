"""Scenarios of function transforms, written once, for either library."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import torch
from support import attempt, ours, same, theirs

import lazytorch
from lazytorch.utils._pytree import tree_flatten

Case = Callable[..., Any]


def both(scenario: Case, *inputs: Any) -> None:
    """The same leaves, requiring gradients alike, or the same error, of ours and PyTorch's."""
    expected = attempt(scenario, torch, *inputs)
    lazy = [_converted(x) for x in inputs]
    found = attempt(scenario, lazytorch, *lazy)
    if isinstance(expected, Exception):
        assert isinstance(found, type(expected)), (found, expected)
        texts = [re.sub(r"0x\w+|(lazy)?torch", "", str(e)) for e in (found, expected)]
        assert texts[0] == texts[1]
        return
    if isinstance(found, Exception):
        raise found
    pairs = zip(tree_flatten(found)[0], tree_flatten(expected)[0], strict=True)
    for f, e in pairs:
        if isinstance(e, torch.Tensor):
            same(theirs(f.detach()), e.detach(), tolerance=100)
            assert f.requires_grad == e.requires_grad
        else:
            assert f == e


def _converted(x: Any) -> Any:
    if isinstance(x, dict):
        return {k: ours(v) for k, v in x.items()}
    return ours(x)


def drawn(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=_GENERATOR)


_GENERATOR = torch.Generator().manual_seed(5)
