"""Switches of the test suite, and a kernel cache of its own."""

from __future__ import annotations

import os
import shutil
import tempfile
import zlib
from pathlib import Path

import pytest

CACHE = "LAZYTORCH_CACHE_DIR"


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


def pytest_configure(config: pytest.Config) -> None:
    """Keep the tests, and the processes that they start, out of the user's cache."""
    if CACHE not in os.environ:
        folder = tempfile.mkdtemp(prefix="lazytorch-tests-")
        os.environ[CACHE] = folder
        config.add_cleanup(lambda: shutil.rmtree(Path(folder), ignore_errors=True))
