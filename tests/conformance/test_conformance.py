"""PyTorch's operator database against the list of what is knowingly left out.

Every run takes a few samples of each operator and looks for what stopped to pass;
``--conformance`` takes all of them, and also fails where something that is listed began to.
"""

from __future__ import annotations

import math

import pytest

torch = pytest.importorskip("torch", reason="needs real PyTorch")

from . import database, names, pool, report  # noqa: E402
from .check import Findings, Options  # noqa: E402
from .comparison import structure, values  # noqa: E402
from .translate import Translation  # noqa: E402

A_FEW = 2


@pytest.mark.pytorch
@pytest.mark.slow
def test_operators_conform(request: pytest.FixtureRequest) -> None:
    full = request.config.getoption("--conformance")
    titles = {
        number: (database.title(op), database.family(op))
        for number, op in enumerate(database.operators())
    }
    options = Options(samples=0 if full else A_FEW, second=Options.second if full else 1)
    results = list(pool.run(list(titles), titles, options, jobs=2))
    listed = report.left_out()
    print(report.table(results, listed))
    print(report.totals(results, listed, options.device))
    surprises = report.surprises(results, listed, partial=not full)
    assert not surprises, "\n".join(surprises)


def test_differences_are_seen() -> None:
    """The judge itself: each kind of difference has its reason."""
    translate = Translation("interpreter")
    real = torch.tensor([1.0, math.nan])
    same = translate(real)
    allowed = (1e-6, 1e-6)
    assert structure(same, real) is None
    assert values(same, real, allowed) is None
    assert values(same + 1e-3, real, allowed) is not None
    assert structure(same.double(), real) is not None
    assert structure(same[:1], real) is not None
    assert structure([same], (real,)) is not None
    assert structure(1, 1.0) is not None


def test_list_is_held_both_ways() -> None:
    wrong = Findings("add", "torch")
    wrong.note("values", "2 instead of 1")
    right = Findings("add", "torch")
    right.note("values", None)
    listed = {"add": report.Entry(frozenset({"values"}), "not yet")}
    assert report.surprises([wrong], {})
    assert report.surprises([right], listed)
    assert not report.surprises([wrong], listed)
    assert not report.surprises([right], {})


def test_missing_names_are_listed() -> None:
    """What PyTorch has and lazytorch has not is on the list, and nothing else is: run
    ``python -m tests.conformance.names --update``."""
    found, listed = names.missing(), names.listed()
    assert not found - set(listed), "missing, and not on the list"
    assert not set(listed) - found, "on the list, but there"
    assert all(listed.values())
