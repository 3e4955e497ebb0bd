"""The first losses of an example, whatever it prints.

python -m tests.example_losses N FILE [arguments of the example]

The example runs as it is; each ``backward()`` notes what it is called on, and the N-th ends it.
"""

from __future__ import annotations

import contextlib
import json
import runpy
import sys
from pathlib import Path
from typing import Any

import lazytorch as torch


class EnoughError(BaseException):
    """No example catches this."""


def first_losses(count: int, path: Path, arguments: list[str]) -> list[float]:
    """What the first ``count`` backward passes of the program begin from."""
    losses: list[float] = []
    backward = torch.Tensor.backward

    def note(self: torch.Tensor, *args: Any, **kwargs: Any) -> None:
        losses.append(self.detach().sum().item())
        if len(losses) == count:
            raise EnoughError
        backward(self, *args, **kwargs)

    torch.Tensor.backward = note  # type: ignore[assignment, method-assign]
    sys.argv = [str(path), *arguments]
    sys.path.insert(0, str(path.parent))
    with contextlib.suppress(EnoughError):
        runpy.run_path(str(path), run_name="__main__")
    return losses


if __name__ == "__main__":
    print(json.dumps(first_losses(int(sys.argv[1]), Path(sys.argv[2]), sys.argv[3:])))
