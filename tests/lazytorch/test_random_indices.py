"""Random indices of every mixture, of any layout: read, aliased, assigned to and differentiated."""

from __future__ import annotations

import random
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from pytorch_oracle import torch

import lazytorch

pytestmark = [pytest.mark.pytorch, pytest.mark.host]


@pytest.fixture(autouse=True)
def _on_the_interpreter() -> Iterator[None]:
    """Where each of so many different graphs costs no compiler."""
    before = lazytorch.get_default_device()
    lazytorch.set_default_device("interpreter")
    yield
    lazytorch.set_default_device(before)


MODES = ("read", "gradient", "write with gradient", "write a number", "write a tensor")


def random_item(generator: random.Random, shape: list[int], axis: int, length: int) -> Any:
    """The text of an item of an index, and how many dimensions it takes (None: an ellipsis)."""
    n = shape[axis] if axis < len(shape) else 1

    def place() -> int:
        return generator.randrange(-n, n) if n else 0

    def places() -> list[int]:
        return [place() for _ in range(length)]

    def mask(count: int) -> list[bool]:
        return [generator.random() < 0.5 for _ in range(count)]

    def part() -> str:
        edges = [generator.choice(["", str(generator.randrange(-n - 1, n + 2))]) for _ in "ab"]
        return f"{edges[0]}:{edges[1]}:{generator.choice(['', '1', '2', '3'])}"

    if axis + 1 < len(shape) and generator.random() < 0.07:
        rows = [mask(shape[axis + 1]) for _ in range(n)]
        return f"torch.tensor({rows}, dtype=torch.bool).reshape({n}, {shape[axis + 1]})", 2
    kind = generator.choice(["int64", "int32", "int64", "int16"])
    items: list[tuple[str, int | None]] = [
        (str(place()), 1), (part(), 1), (":", 1), ("None", 0), ("...", None), (str(places()), 1),
        (f"torch.tensor({[places(), places()]})", 1), (f"np.array({places()})", 1),
        (f"torch.tensor({mask(n)}, dtype=torch.bool)", 1), (f"{mask(n)}", 1),
        (generator.choice(["True", "False"]), 0), (f"torch.tensor({place()})", 1),
        (f"torch.tensor({places()}, dtype=torch.{kind})", 1), (f"range({min(n, 2)})", 1),
        (f"np.int64({place()})", 1), (f"torch.tensor([{place()}])", 1),
    ]  # fmt: skip
    return generator.choice(items)


def random_index(generator: random.Random, shape: list[int]) -> str:
    items: list[str] = []
    axis, length = 0, generator.choice([1, 2, 3])
    while generator.random() < (0.85 if axis < len(shape) else 0.15):
        text, taken = random_item(generator, shape, axis, length)
        if taken is None and "..." in items:
            continue
        items.append(text)
        axis += (
            generator.randrange(len(shape) - axis + 1)
            if taken is None and axis < len(shape)
            else (taken or 0)
        )
    if len(items) == 1 and generator.random() < 0.5:
        return items[0]
    return ", ".join(items) + "," if items else "..."


def outcome(library: Any, seed: int) -> Any:
    """What one random use of an index gives: shapes, dtypes and elements, or the exception."""
    generator = random.Random(seed)
    shape = [generator.choice([0, 1, 2, 3, 4, 5]) for _ in range(generator.randrange(5))]
    index, mode = random_index(generator, shape), generator.choice(MODES)
    count = int(np.prod(shape))
    kind = "float64" if "gradient" in mode else generator.choice(["float32", "int64", "bool"])
    x = library.arange(2 * count + 3).to(getattr(library, kind))
    x = (x[3:][::2] if generator.random() < 0.4 else x)[:count].reshape(shape)
    if len(shape) > 1 and generator.random() < 0.4:
        x = x.transpose(0, -1).contiguous().transpose(0, -1)
    names = {"torch": library, "np": np, "x": x}
    try:
        if mode == "read":
            found = eval(f"x[{index}]", names)
            if found.numel():  # what it shares memory with sees this
                found.logical_not_() if kind == "bool" else found.add_(100)
            results = [found, x]
        elif mode == "gradient":
            names["x"] = x = x.clone().requires_grad_()
            found = eval(f"x[{index}]", names)
            found.backward(library.arange(float(found.numel())).double().reshape(found.shape))
            results = [found, x.grad]
        elif mode == "write with gradient":
            leaf = x.clone().requires_grad_()
            names["x"] = x = leaf * 2
            names["s"] = library.ones(eval(f"x[{index}]", names).shape, dtype=x.dtype)
            exec(f"x[{index}] = s", names)
            x.backward(library.arange(float(count)).double().reshape(shape))
            results = [x, leaf.grad]
        elif mode == "write a number":
            exec(f"x[{index}] = {generator.choice(['1', 'True', '2.5'])}", names)
            results = [x]
        else:
            source = list(eval(f"x[{index}]", names).shape)
            if source and generator.random() < 0.5:
                source[0] = 1
            source = source[1:] if source and generator.random() < 0.3 else source
            names["s"] = library.ones(source, dtype=x.dtype)
            exec(f"x[{index}] = s", names)
            results = [x]
        shown = [(tuple(r.shape), repr(r.dtype), r.tolist()) for r in results]
        return (shape, index, mode), shown
    except (IndexError, RuntimeError, TypeError, ValueError) as error:
        return (shape, index, mode), type(error).__name__


@pytest.mark.parametrize("part", range(4))
def test_random_uses_of_random_indices(part: int) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for seed in range(part * 150, part * 150 + 150):
            asked, theirs = outcome(torch, seed)
            _, ours = outcome(lazytorch, seed)
            assert ours == theirs, (seed, asked)
