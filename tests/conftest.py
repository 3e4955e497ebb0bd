"""Switches of the test suite, and a kernel cache of its own."""

from __future__ import annotations

import os
import shutil
import tempfile
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


def pytest_configure(config: pytest.Config) -> None:
    """Keep the tests, and the processes that they start, out of the user's cache."""
    if CACHE not in os.environ:
        folder = tempfile.mkdtemp(prefix="lazytorch-tests-")
        os.environ[CACHE] = folder
        config.add_cleanup(lambda: shutil.rmtree(Path(folder), ignore_errors=True))
