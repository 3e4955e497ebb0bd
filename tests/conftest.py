"""Switches of the test suite, a kernel cache of its own, random numbers of a test's own."""

from __future__ import annotations

import gc
import os
import random
import shutil
import sys
import tempfile
import zlib
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import numpy as np
import pytest
import torch

import lazytorch

CACHE = "LAZYTORCH_CACHE_DIR"

# FUZZ=1 explores: other examples with every run.
hypothesis.settings.register_profile("suite", derandomize=not os.environ.get("FUZZ"))
hypothesis.settings.load_profile("suite")


@pytest.fixture(autouse=True)
def seeded() -> Iterator[None]:
    """A test draws the same numbers alone and among others, whichever worker runs it."""
    random.seed(0)
    np.random.seed(0)
    torch.manual_seed(0)
    lazytorch.manual_seed(0)
    yield


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--update-golden",
        action="store_true",
        help="write the golden kernels anew instead of comparing with them",
    )
    parser.addoption(
        "--conformance",
        action="store_true",
        help="take every sample of PyTorch's operator database, not a few",
    )
    parser.addoption(
        "--examples",
        action="store_true",
        help="train every example on OpenCL too, not the smallest alone",
    )
    parser.addoption(
        "--share",
        metavar="I/N",
        help="run the I-th of N shares of the tests, which are dealt out by their names",
    )


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    share = config.getoption("--share")
    if share is None:
        return
    number, _, count = share.partition("/")
    chosen = {i for i in items if zlib.crc32(i.nodeid.encode()) % int(count) == int(number) - 1}
    config.hook.pytest_deselected(items=[i for i in items if i not in chosen])
    items[:] = [i for i in items if i in chosen]


def pytest_collection_finish() -> None:
    _collect_what_stays_no_more()


def pytest_runtest_logfinish() -> None:
    global _finished
    _finished += 1
    # PyTorch imports some of its parts when they are used; caches of plans grow slowly.
    if len(sys.modules) > _modules + 200 or _finished % 200 == 0:
        _collect_what_stays_no_more()


_modules = _finished = 0


def _collect_what_stays_no_more() -> None:
    """What there is now is left out of every garbage collection that follows, of which some tests
    ask for many: the modules of PyTorch alone are a third of a million objects."""
    global _modules
    _modules = len(sys.modules)
    gc.collect()
    gc.freeze()


def pytest_configure(config: pytest.Config) -> None:
    """Keep the tests, and the processes that they start, out of the user's cache."""
    if CACHE not in os.environ:
        folder = tempfile.mkdtemp(prefix="lazytorch-tests-")
        os.environ[CACHE] = folder
        config.add_cleanup(lambda: shutil.rmtree(Path(folder), ignore_errors=True))
