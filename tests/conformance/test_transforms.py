"""Derivatives of second order, forward mode and batching of PyTorch's operators, a few in every
run; ``python -m tests.conformance --check all`` looks at all of them."""

from __future__ import annotations

import pytest

pytest.importorskip("torch", reason="needs real PyTorch")

from . import database, pool, report
from .transforms import LEFT_OUT, TransformOptions

# One operator in so many.
A_FEW = 12


@pytest.mark.pytorch
@pytest.mark.slow
def test_derivatives_and_batches_conform() -> None:
    names = {
        number: (database.title(op), database.family(op))
        for number, op in enumerate(database.operators())
    }
    results = list(pool.run(list(names)[::A_FEW], names, TransformOptions(samples=2), jobs=1))
    surprises = report.surprises(results, report.left_out(LEFT_OUT), partial=True)
    assert not surprises, "\n".join(surprises)
