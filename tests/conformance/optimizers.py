"""Whether an optimizer does what PyTorch's does, on PyTorch's own optimizer database."""

from __future__ import annotations

import re
import unittest
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch

import lazytorch

from .comparison import values
from .database import _stand_in
from .translate import Translation

STEPS = 10


def optimizers() -> list[Any]:
    """Every record of PyTorch's optimizer database."""
    _stand_in("expecttest", TestCase=unittest.TestCase)
    from torch.testing._internal.common_optimizers import optim_db

    return list(optim_db)


def same(value: Any) -> Any:
    return value


def counterpart(info: Any) -> Any:
    return getattr(lazytorch.optim, info.optim_cls.__name__)


def parameters(name: str, library: Any, device: str) -> list[Any]:
    """Parameters with equal numbers; matrices alone where an optimizer takes nothing else."""
    random = np.random.default_rng(0)
    shapes = ((3, 4), (4, 2)) if name == "Muon" else ((3, 4), (4,), (2, 1, 3), ())
    arrays = [random.standard_normal(shape).astype(np.float32) for shape in shapes]
    return [library.nn.Parameter(library.tensor(a, device=device)) for a in arrays]


def give_gradients(name: str, given: list[Any], library: Any, device: str, step: int) -> None:
    random = np.random.default_rng(100 + step)
    for p in given:
        shape = tuple(p.shape)
        if name == "SparseAdam" and shape:
            # Two rows, one of them twice.
            rows = random.integers(0, shape[0], (1, 3))
            numbers = random.standard_normal((3, *shape[1:])).astype(np.float32)
            places = library.tensor(rows, device=device)
            numbers = library.tensor(numbers, device=device)
            p.grad = library.sparse_coo_tensor(places, numbers, shape, check_invariants=True)
        elif name != "SparseAdam":
            numbers = random.standard_normal(shape).astype(np.float32)
            p.grad = library.tensor(numbers, device=device)


def run(info: Any, options: dict[str, Any], library: Any, device: str) -> tuple[list[Any], Any]:
    """The parameters after ten steps, and the optimizer."""
    name = info.optim_cls.__name__
    given = parameters(name, library, device)
    optimizer = getattr(library.optim, name)(given, **options)
    for step in range(STEPS):
        if info.step_requires_closure:
            optimizer.step(lambda: _closure(given, optimizer))
        else:
            give_gradients(name, given, library, device, step)
            optimizer.step()
    return given, optimizer


def _closure(given: list[Any], optimizer: Any) -> Any:
    optimizer.zero_grad()
    loss = sum(((p * p).sum() + (p - 1).abs().pow(3).sum()) for p in given)
    loss.backward()
    return loss


def check(info: Any, sample: Any, device: str) -> Iterator[str]:
    """The reasons why ours differs after ten steps with a sample's options."""
    translate = Translation(device)
    options = {k: translate(v, k) for k, v in sample.kwargs.items()}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs, real = run(info, sample.kwargs, torch, "cpu")
        ours, mine = run(info, options, lazytorch, device)
    # A search along a line goes on where the last digit of its start was another.
    allowed = (1e-4, 1e-4) if info.step_requires_closure else (5e-6, 5e-6)
    if info.optim_cls.__name__ == "Muon":  # products in bfloat16
        allowed = (1e-3, 1e-3)
    for i, (p, q) in enumerate(zip(ours, theirs, strict=True)):
        reason = values(p, q, allowed)
        if reason is not None:
            yield f"parameter {i}: {reason}"
    if _printed(mine) != _printed(real):
        yield f"repr {mine!r} instead of {real!r}"
    state, expected = mine.state_dict(), real.state_dict()
    if list(state) != list(expected) or list(state["state"]) != list(expected["state"]):
        yield f"state dict of {list(state)}, {list(state['state'])}"
    if _printed(state["param_groups"]) != _printed(expected["param_groups"]):
        yield f"groups {state['param_groups']} instead of {expected['param_groups']}"
    for number, own in expected["state"].items():
        names = sorted(state["state"].get(number, ()))
        if names != sorted(own):
            yield f"state {names} instead of {sorted(own)}"
    if device != "interpreter":
        return
    # Each goes on from the state of the other.
    mine.load_state_dict(Translation(device)(expected))
    real.load_state_dict(_theirs(state))


def _printed(value: Any) -> str:
    """As it prints, without the device of tensors."""
    return re.sub(r", device='\w+'", "", repr(value))


def _theirs(value: Any) -> Any:
    """A state dict of ours with PyTorch's tensors in it."""
    if isinstance(value, lazytorch.Tensor):
        return torch.from_numpy(np.array(value.detach().cpu().numpy()))
    if isinstance(value, dict):
        return {k: _theirs(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(_theirs(v) for v in value)
    return value


class OneForOne(Translation):
    """Translates a tensor that occurs twice to one that occurs twice."""

    def __init__(self, device: str) -> None:
        super().__init__(device)
        self.known: dict[int, Any] = {}

    def tensor(self, x: torch.Tensor) -> Any:
        if id(x) not in self.known:
            self.known[id(x)] = super().tensor(x)
        return self.known[id(x)]


def errors(info: Any) -> list[Any]:
    """What its constructor or its step must refuse."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return list(info.optim_error_inputs_func("cpu", torch.float32))


def refusal(error: Any, cls: Any, translate: Any, library: Any) -> tuple[type, str] | None:
    """What an optimizer raises on a sample that it must refuse; None where it takes it."""
    sample = error.optimizer_error_input
    given = parameters(cls.__name__, library, "cpu") if sample.params is None else sample.params
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", UserWarning)
            given = given if sample.params is None else translate(given)
            optimizer = cls(given, **{k: translate(v) for k, v in sample.kwargs.items()})
        if error.error_on.name == "STEP_ERROR":
            optimizer.step()
    except Exception as raised:
        return type(raised), re.sub(r"\blazytorch\b", "torch", str(raised))
    return None
