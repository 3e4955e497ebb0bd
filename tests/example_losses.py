"""What an example trains by, whatever it prints: its losses and the lengths of its gradients.

python -m tests.example_losses N FILE [arguments of the example]

The example runs as it is. Each ``backward()`` notes what it is called on, each optimizer's step how
long all gradients are; the N-th note ends it.
"""

from __future__ import annotations

import contextlib
import json
import runpy
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import lazytorch as torch


class EnoughError(BaseException):
    """No example catches this."""


def first_numbers(count: int, path: Path, arguments: list[str]) -> list[float]:
    """The first ``count`` notes of the program."""
    notes: list[float] = []

    def note(value: torch.Tensor) -> None:
        notes.append(value.item())
        if len(notes) == count:
            raise EnoughError

    def noting(method: Callable[..., Any], value: Callable[[Any], torch.Tensor]) -> Any:
        def wrapped(self: Any, *args: Any, **kwargs: Any) -> Any:
            note(value(self))
            return method(self, *args, **kwargs)

        return wrapped

    tensor: Any = torch.Tensor
    tensor.backward = noting(tensor.backward, lambda loss: loss.detach().sum())
    for kind in optimizers(torch.optim.Optimizer):
        if "step" in vars(kind):
            kind.step = noting(kind.step, length_of_gradients)
    sys.argv = [str(path), *arguments]
    sys.path.insert(0, str(path.parent))
    with contextlib.suppress(EnoughError):
        runpy.run_path(str(path), run_name="__main__")
    return notes


def optimizers(kind: type) -> Iterator[Any]:
    for below in kind.__subclasses__():
        yield below
        yield from optimizers(below)


def length_of_gradients(optimizer: torch.optim.Optimizer) -> torch.Tensor:
    """Over all parameters together; 0 before there are any."""
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    squares = [p.grad.detach().square().sum() for p in parameters if p.grad is not None]
    return torch.stack(squares).sum().sqrt() if squares else torch.zeros(())


if __name__ == "__main__":
    print(json.dumps(first_numbers(int(sys.argv[1]), Path(sys.argv[2]), sys.argv[3:])))
