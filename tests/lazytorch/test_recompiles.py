"""Why a plan was made again: the part that differs, at the user's line."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import lazytorch as torch

# What is changed, for how many rows (each case has its own), and what is said of it.
CHANGES: list[tuple[int, Callable[[Any], Any], str]] = [
    (51, lambda x: step(x[:3].clone().realize()), "input 0 has shape (3, 6), had (51, 6)"),
    (52, lambda x: step(x.double().realize()), "input 0 is of float64, was of float32"),
    (53, lambda x: step(x, dim=0), "attribute 0 is "),
    (54, lambda x: step(x, last=torch.cos), "cos, where sin was before"),
]


def step(x: Any, dim: int = 1, last: Any = None) -> Any:
    return (last or torch.sin)(x.sum(dim)).prod().realize()


@pytest.mark.parametrize(("rows", "change", "said"), CHANGES)
def test_what_differs_is_said(rows: int, change: Callable[[Any], Any], said: str) -> None:
    x = torch.ones(rows, 6).realize()
    torch.inspect.record_lines(True)
    try:
        step(x)
        with torch.assert_no_recompile():
            step(x)
        change(x)
    finally:
        torch.inspect.record_lines(False)
    reason = torch.recompiles()[-1]
    assert said in reason and Path(__file__).name in reason, reason


def test_a_recompile_is_refused_with_its_reason() -> None:
    x, y = torch.ones(7, 3).realize(), torch.ones(8, 3).realize()
    (x * 2).tanh().amax().realize()
    with torch.assert_no_recompile():
        (x * 3).tanh().amax().realize()  # another number is no reason
        with pytest.raises(torch.RecompileError, match=r"has shape \(8, 3\), had \(7, 3\)"):
            (y * 2).tanh().amax().realize()
    assert (y * 2).tanh().amax().item() == pytest.approx(0.9640276)


def test_batches_of_which_examples_are_in_another_are_no_reason() -> None:
    examples = [torch.full((1, 3), float(i)).realize() for i in range(40)]

    def step(i: int, j: int) -> float:
        batch, other = torch.cat(examples[i : i + 12]), torch.stack(examples[j : j + 12])
        return (batch * 2 - other.view(12, 3)).tanh().sum().item()  # type: ignore[no-any-return]

    step(0, 20)
    with torch.assert_no_recompile():
        for i in range(20):
            step(i, 4)
