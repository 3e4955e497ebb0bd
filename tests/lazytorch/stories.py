"""Small programs run under both libraries: what they log must be the same.

A story is Python text. In it, ``torch`` is the library, ``log`` notes values, and ``fails`` notes
what calling something raises.
"""

from __future__ import annotations

import re
import warnings
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs real PyTorch")

from devices import FUNCTIONS as DEVICE  # noqa: E402

import lazytorch  # noqa: E402


def plain(x: Any) -> Any:
    """A value of either library as plain data."""
    if isinstance(x, (torch.Tensor, lazytorch.Tensor)):
        return [repr(x.dtype), tuple(x.shape), x.detach().tolist()]
    if isinstance(x, (list, tuple)):
        return [plain(e) for e in x]
    if isinstance(x, dict):
        return {k: plain(v) for k, v in x.items()}
    if isinstance(x, str):
        x = re.sub(rf"device=.{DEVICE}.,\s*", "", x.replace("lazytorch", "torch"))
        return re.sub("0x[0-9a-f]+", "", x)
    return x if isinstance(x, (int, float, bool, type(None))) else type(x).__name__


def told(story: str, library: Any) -> list[Any]:
    """What a story logs under a library."""
    seen: list[Any] = []

    def log(*values: Any) -> None:
        seen.append([plain(v) for v in values])

    def fails(action: Any) -> None:
        try:
            result = action()
        except Exception as error:
            seen.append([type(error).__name__, plain(str(error))])
        else:
            seen.append(["no error", plain(result)])

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        names = {"torch": library, "log": log, "fails": fails, "np": np}
        exec(compile(story, "<story>", "exec"), names)
    return seen


def compare_story(story: str) -> None:
    """Both libraries tell the same."""
    expected = told(story, torch)
    with lazytorch.device(DEVICE):
        found = told(story, lazytorch)
    for number, (mine, other) in enumerate(zip(found, expected, strict=False)):
        assert near(mine, other), f"entry {number}: {mine}\nPyTorch: {other}\n{story}"
    assert len(found) == len(expected), story


def near(x: Any, y: Any) -> bool:
    """Equal, floats nearly."""
    if isinstance(x, float) and isinstance(y, float):
        return bool(np.isclose(x, y, rtol=1e-5, atol=1e-6, equal_nan=True))
    if isinstance(x, list) and isinstance(y, list):
        return len(x) == len(y) and all(near(a, b) for a, b in zip(x, y, strict=True))
    if isinstance(x, dict) and isinstance(y, dict):
        return x.keys() == y.keys() and all(near(x[k], y[k]) for k in x)
    return type(x) is type(y) and bool(x == y)
