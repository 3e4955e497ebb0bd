"""Every example in a docstring runs and prints what it says."""

from __future__ import annotations

import doctest
import importlib
import pkgutil
from pathlib import Path
from typing import Any

import pytest

import codegen
import lazytorch

NAMES = [
    module.name
    for package in (lazytorch, codegen)
    for module in pkgutil.walk_packages(package.__path__, package.__name__ + ".")
    if not module.name.endswith("__main__")
    # Every model has the same example, and takes seconds to compile: test_vision.py has some.
    and not module.name.startswith("lazytorch.vision.models")
]
# What an example may use without saying where it comes from.
GIVEN = """
import lazytorch
import lazytorch as torch
from lazytorch import nn
from lazytorch.utils.tensorboard import SummaryWriter
model = nn.Linear(2, 1)
embedding = nn.Embedding(5, 2, sparse=True)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
loss, validation_loss, step = 0.5, 0.4, 1
"""


def examples() -> list[doctest.DocTest]:
    finder = doctest.DocTestFinder(exclude_empty=True)
    given: dict[str, Any] = {}
    exec(GIVEN, given)
    found = []
    for name in NAMES:
        try:
            module = importlib.import_module(name)
        except ImportError:  # of a library that is not installed
            continue
        tests = finder.find(module, globs={**given, **vars(module)})
        found += [test for test in tests if test.examples]
    return found


@pytest.mark.parametrize("example", examples(), ids=lambda example: example.name)
def test_example(example: doctest.DocTest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    options = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
    printed: list[str] = []
    runner = doctest.DocTestRunner(verbose=False, optionflags=options)
    assert runner.run(example, out=printed.append).failed == 0, "".join(printed)
