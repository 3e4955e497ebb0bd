"""What goes wrong late names the user's line, whatever it is, and says what to do."""

from __future__ import annotations

import inspect
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import lazytorch as torch
from codegen.errors import CompileError, HostCallError
from codegen.ops import lapack
from codegen.runtime import kernels
from codegen.runtime.compiler import find_compiler

needs_compiler = pytest.mark.skipif(find_compiler() is None, reason="no C compiler")
# That of no other test: lines are noted in the first calls of each type.
SIZE = 37


class Failing(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Any, wrong_shape: bool) -> Any:
        ctx.wrong_shape = wrong_shape
        return x * 2

    @staticmethod
    def backward(ctx: Any, gradient: Any) -> Any:
        if ctx.wrong_shape:
            return gradient[:2], None
        raise ValueError("no gradient today")


def refused_kernel(patch: pytest.MonkeyPatch) -> Any:
    x, file_of = torch.ones(7, 3).realize(), kernels.kernel_file
    patch.setattr(kernels, "_addresses", {})
    patch.setattr(kernels, "_load_cached_kernel", lambda key: False)
    patch.setattr(kernels, "kernel_file", lambda pairs: file_of(pairs).replace("{", "{ wrong;", 1))
    return x.tanh().sum(1).cosh() * 3.5  # here


def failing_host_call(patch: pytest.MonkeyPatch) -> Any:
    def run(*_: Any) -> Any:
        raise np.linalg.LinAlgError("did not converge")

    eigh = lapack.ROUTINES["eigh"]
    patch.setitem(lapack.ROUTINES, "eigh", type(eigh)(eigh.shapes, run))
    return torch.linalg.eigh(torch.ones(3, 3).realize())[0] + 1  # here


def out_of_memory(patch: pytest.MonkeyPatch) -> Any:
    x = torch.ones(1 << 24, 1).realize()
    return (x + torch.ones(1, 1 << 27)) * 2  # here


def backward_raises(patch: pytest.MonkeyPatch) -> Any:
    x = torch.ones(SIZE, requires_grad=True)
    return Failing.apply(x, False).sum()  # here


def backward_of_wrong_shape(patch: pytest.MonkeyPatch) -> Any:
    x = torch.ones(SIZE, requires_grad=True)
    return Failing.apply(x, True).sum()  # here


def overwritten(patch: pytest.MonkeyPatch) -> Any:
    x = torch.ones(SIZE, requires_grad=True)
    y = x.exp()  # here
    y.add_(1)
    return y.sum()


def failing_hook(patch: pytest.MonkeyPatch) -> Any:
    x = torch.ones(SIZE, requires_grad=True)
    y = x * 2  # here
    y.register_hook(lambda g: g[:1])
    return y.sum()


KINDS: dict[Callable[[pytest.MonkeyPatch], Any], tuple[type[Exception], str]] = {
    refused_kernel: (CompileError, "Report it"),
    failing_host_call: (HostCallError, "Look at its input"),
    out_of_memory: (torch.OutOfMemoryError, "smaller batch"),
    backward_raises: (ValueError, "no gradient today"),
    backward_of_wrong_shape: (RuntimeError, "invalid gradient"),
    overwritten: (RuntimeError, "modified by an inplace operation"),
    failing_hook: (RuntimeError, "has changed the size"),
}


@pytest.mark.compiler
@pytest.mark.host
@needs_compiler
@pytest.mark.parametrize("make", KINDS, ids=lambda make: make.__name__)
def test_late_errors(
    make: Callable[[pytest.MonkeyPatch], Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    kind, words = KINDS[make]
    text, first = inspect.getsourcelines(make)
    line = first + next(i for i, x in enumerate(text) if x.endswith("# here\n"))
    monkeypatch.setenv("LAZYTORCH_CACHE_DIR", str(tmp_path))
    value = make(monkeypatch)
    with pytest.raises(kind) as found:
        value.backward() if value.requires_grad else value.tolist()
    # An error's own text, and its notes: not the frames of the traceback.
    said = "".join(traceback.format_exception_only(found.type, found.value))
    assert words in said
    assert f"{Path(__file__).name}:{line}" in said, said


@needs_compiler
@pytest.mark.compiler
@pytest.mark.host
def test_a_plan_runs_again_after_a_host_call_has_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        value = failing_host_call(patch)
        with pytest.raises(HostCallError):
            value.tolist()
    assert (torch.linalg.eigh(torch.eye(3).realize())[0] + 1).tolist() == [2, 2, 2]
