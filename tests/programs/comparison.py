"""Running a program with PyTorch and with lazytorch, and how far their losses may be apart."""

from __future__ import annotations

import builtins
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import torch

import lazytorch
from codegen.statistics import statistics

FOLDER = Path(__file__).parent
NAMES = [
    "actor_critic", "char_lstm", "dcgan", "gcn", "gpt", "lenet", "resnet18", "seq2seq",
    "transformer", "unet", "vae", "vgg16",
]  # fmt: skip
STEPS = 20
States = list[dict[str, np.ndarray]]


def load(name: str, library: ModuleType) -> dict[str, Any]:
    """The names of a program, in which ``import torch`` has given ``library``."""

    def import_(module: str, *rest: Any) -> Any:
        root, dot, submodule = module.partition(".")
        if root == "torch":
            root = library.__name__
        return builtins.__import__(root + dot + submodule, *rest)

    path = FOLDER / f"{name}.py"
    found = {"__name__": name, "__builtins__": {**vars(builtins), "__import__": import_}}
    exec(compile(path.read_text(), str(path), "exec"), found)
    return found


def train(name: str, library: ModuleType, states: States, device: str = "cpu") -> Iterator[float]:
    """The losses, from the weights in ``states``; where it is empty, the program's own go there."""

    def start(*models: Any) -> None:
        if not states:
            for model in models:
                states.append({k: v.cpu().numpy().copy() for k, v in model.state_dict().items()})
        for model, state in zip(models, states, strict=True):
            model.load_state_dict(
                {k: library.tensor(v, dtype=model.state_dict()[k].dtype) for k, v in state.items()}
            )

    return load(name, library)["train"](device, start)


@dataclass(frozen=True)
class Comparison:
    """The losses of both, and what is known of how well float32 computes them."""

    ours: np.ndarray
    theirs: np.ndarray
    exact: np.ndarray  # PyTorch's in float64
    late_plans: int  # lowered after the third step
    seconds: tuple[float, float]  # the fastest step, here and in PyTorch

    @property
    def error(self) -> float:
        """How far ours are from the exact ones, in parts of what is allowed."""
        return float((np.abs(self.ours - self.exact) / self.allowed).max())

    @property
    def allowed(self) -> np.ndarray:
        """Four times what PyTorch's own error has been until then, and a few roundings."""
        met = np.maximum.accumulate(np.abs(self.theirs - self.exact))
        return 4 * met + 1e-6 * np.maximum(1, np.abs(self.exact))


def compare(name: str, device: str = "cpu") -> Comparison:
    """Twenty steps with both, from equal weights."""
    states: States = []
    torch.manual_seed(0)
    theirs, their_times = timed(train(name, torch, states))
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        exact = np.array(list(train(name, torch, states)))
    finally:
        torch.set_default_dtype(before)
    plans: list[int] = []
    ours, our_times = timed(train(name, lazytorch, states, device), plans)
    assert len(ours) == len(theirs) == STEPS
    seconds = min(our_times), min(their_times)
    return Comparison(ours, theirs, exact, plans[-1] - plans[2], seconds)


def timed(
    losses: Iterator[float], plans: list[int] | None = None
) -> tuple[np.ndarray, list[float]]:
    """The losses and the seconds of each; appends the number of plans lowered until then."""
    found, seconds = [], []
    started = time.perf_counter()
    for loss in losses:
        found.append(loss)
        seconds.append(time.perf_counter() - started)
        if plans is not None:
            plans.append(statistics.plans_lowered)
        started = time.perf_counter()
    return np.array(found), seconds
