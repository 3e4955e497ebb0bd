"""Classes and modes with ``__torch_function__``: one program, run by PyTorch and here.

In processes of their own, because the first class of tensors changes how calls are made.
"""

from __future__ import annotations

import subprocess
import sys

import pytest

PROGRAM = '''
import sys
if sys.argv[1] == "lazytorch":
    import lazytorch.__main__
    lazytorch.__main__.stand_in_for_torch()
import torch
from torch.overrides import TorchFunctionMode, has_torch_function, is_tensor_like

HANDLED = {}

class Diagonal:
    """No tensor, but known to some functions."""
    def __init__(self, n, value):
        self.n, self.value = n, value
    def __repr__(self):
        return f"Diagonal({self.n}, {self.value})"
    @classmethod
    def __torch_function__(cls, func, types, args=(), kwargs=None):
        if func not in HANDLED:
            return NotImplemented
        return HANDLED[func](*args, **(kwargs or {}))

HANDLED[torch.mean] = lambda x: x.value / x.n
HANDLED[torch.add] = lambda x, y: Diagonal(x.n, x.value + y.value)
diagonal = Diagonal(5, 2.0)
print(torch.mean(diagonal), torch.add(diagonal, diagonal))
try:
    torch.mul(diagonal, 3)
except TypeError as error:
    print(str(error).splitlines()[0])

class Plain(torch.Tensor):
    pass

a = Plain([1.0, 2.0])
print(a + 1, a.sum(), torch.ones(2) + a, type(a.numpy()).__name__, a.shape, torch.add(a, 1), 2 - a)
print(torch.nn.functional.relu(a), torch.max(a.view(1, 2), 1), torch.stack([torch.ones(2), a]))
print(type(torch.nn.Linear(2, 1)(a)).__name__, [type(p).__name__ for p in a.split(1)])
a = Plain([1.0, 2.0]).requires_grad_()
(a * a).sum().backward()
print(a.grad, type(a.detach()).__name__, a * a)
print(torch.mean(diagonal), type(torch.ones(2).as_subclass(Plain)).__name__)

log = []
class Logging(torch.Tensor):
    @classmethod
    def __torch_function__(cls, func, types, args=(), kwargs=None):
        log.append(func.__name__)
        return super().__torch_function__(func, types, args, kwargs or {})
class Inner(Logging):
    pass

t = Logging([1.0, 2.0])
w = torch.exp(t + 1)[0]
print(type(w).__name__, w.item(), log)
try:
    t + Plain([1.0])
except TypeError as error:
    print(str(error).splitlines()[0])
print(type(Inner([1.0]) + t).__name__, type(t + Inner([1.0])).__name__)

class Metadata:
    def __init__(self, data, note=None):
        self.data, self.note = torch.as_tensor(data), note
    @classmethod
    def __torch_function__(cls, func, types, args=(), kwargs=None):
        notes = tuple(a.note for a in args if hasattr(a, "note"))
        args = [getattr(a, "data", a) if isinstance(a, Metadata) else a for a in args]
        return Metadata(func(*args, **(kwargs or {})), notes[0])

m = torch.add(torch.eye(2), Metadata([[1.0, 2.0], [3.0, 4.0]], "kept"))
print(m.data, m.note)

calls = []
class Mode(TorchFunctionMode):
    def __torch_function__(self, func, types, args=(), kwargs=None):
        calls.append(func.__name__)
        return func(*args, **(kwargs or {}))

with Mode():
    x = torch.ones(3)
    y = x.sin().sum() + torch.ones(2)
    z = torch.nn.functional.softmax(y, 0)
print(calls, z, has_torch_function((x,)), has_torch_function((diagonal,)))
print(is_tensor_like(diagonal), is_tensor_like(3), is_tensor_like(x))
p = torch.nn.Parameter(torch.ones(2))
print(type(p * 2).__name__, type(p).__name__)
with torch._C.DisableTorchFunctionSubclass():
    print(type(t + 1).__name__)
'''


def printed(engine: str) -> list[str]:
    ran = subprocess.run(
        [sys.executable, "-c", PROGRAM, engine], capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stderr
    return ran.stdout.splitlines()


def test_one_program() -> None:
    for ours, theirs in zip(printed("lazytorch"), printed("torch"), strict=True):
        assert ours == theirs


@pytest.mark.pytorch
def test_pytorchs_tensors_are_converted_also_where_there_are_overrides() -> None:
    program = """
import torch as pytorch
import lazytorch as torch

class Ours(torch.Tensor):
    pass

print(torch.from_dlpack(pytorch.arange(3)).tolist())
print(torch.asarray(pytorch.nn.Parameter(pytorch.ones(2)).detach()).tolist())
"""
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (ran.returncode, ran.stdout) == (0, "[0, 1, 2]\n[1.0, 1.0]\n"), ran.stderr
