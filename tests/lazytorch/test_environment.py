"""What scripts ask and set before they compute: versions, back ends, generators, jit."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch.torch_version import TorchVersion

import lazytorch
from lazytorch import version

BOTH = pytest.mark.parametrize("t", [torch, lazytorch], ids=["torch", "lazytorch"])


@BOTH
def test_switches(t: Any, monkeypatch: pytest.MonkeyPatch) -> None:

    assert t.backends.cudnn.benchmark is False
    with t.backends.cudnn.flags(benchmark=True, deterministic=True):
        assert t.backends.cudnn.benchmark and t.backends.cudnn.deterministic
    assert not t.backends.cudnn.benchmark
    assert not t.backends.mps.is_available() and not t.backends.cuda.is_built()
    assert t.backends.cuda.matmul.allow_tf32 is False
    t.backends.cuda.matmul.allow_tf32 = True
    try:
        assert t.get_float32_matmul_precision() == "high"
    finally:
        t.set_float32_matmul_precision("highest")
    assert t.backends.cuda.flash_sdp_enabled()


def test_versions() -> None:
    assert lazytorch.__version__ >= "2.4" and lazytorch.__version__ < "3"
    others = ["2.13.0", "2.13", "2.12.9", "2.14", "10.0", (2,), (2, 13, 1), "2.13.0+lazytorch0.1.0"]
    mine, theirs = version.TorchVersion("2.13.0+x"), TorchVersion("2.13.0")
    for other in others:
        if isinstance(other, str) and "+" in other:
            assert version.TorchVersion(other) == other
            continue
        for name in ("__eq__", "__lt__", "__le__", "__gt__", "__ge__"):
            assert getattr(mine, name)(other) == getattr(theirs, name)(other), (name, other)
    assert str(lazytorch.__version__).startswith("2.13.0+lazytorch")


@BOTH
def test_names_of_types(t: Any) -> None:
    assert t.typename(t.ones(1)) == "torch.FloatTensor"
    assert t.typename(t.ones(1).bool()) == "torch.BoolTensor"
    assert (t.typename(3), t.typename([]), t.typename(dict)) == ("int", "list", "dict")


@BOTH
def test_forked_generators(t: Any) -> None:
    t.manual_seed(3)
    expected = t.rand(4)
    t.manual_seed(3)
    with t.random.fork_rng():
        t.manual_seed(9)
        t.rand(2)
    assert t.equal(t.rand(4), expected)
    with t.random.fork_rng(enabled=False):
        t.rand(1)
    assert t.random.initial_seed() == 3


@BOTH
def test_scripts_and_traces_compute_the_same(t: Any) -> None:
    module = t.nn.Sequential(t.nn.Linear(3, 2), t.nn.Tanh()).eval()
    x = t.ones(4, 3)
    for made in (t.jit.script(module), t.jit.trace(module, x), t.jit.freeze(t.jit.script(module))):
        assert t.equal(made(x), module(x))
    with pytest.raises(RuntimeError):
        t.jit.freeze(t.jit.script(t.nn.Linear(2, 2)))

    traced = t.jit.trace(lambda a, b: a.sin() * b, (x, x))
    for scale in (1, 2, 3):
        assert t.equal(traced(x, x * scale), x.sin() * (x * scale))
    assert not t.jit.is_scripting() and not t.jit.is_tracing()
    assert t.jit.annotate(Any, 3) == 3 and t.jit.isinstance([1], list[int])


def test_there_are_no_script_files() -> None:
    with pytest.raises(NotImplementedError, match="state_dict"):
        lazytorch.jit.save(lazytorch.nn.Linear(1, 1), "x.pt")


COMPARED = [
    ("t([1.0, 2.0])", "t([1.0, 2.5])", {}), ("t([1, 2])", "t([1, 3])", {}),
    ("t(1.0)", "t(2.0)", {}),
    ("t([1.0])", "t([1.0, 2.0])", {}), ("t([1.0])", "t([1])", {}), ("1", "2", {}),
    ("1.0", "1.1", {}), ("1", "1.0", {}), ("[t(1.0), t(2.0)]", "[t(1.0), t(3.0)]", {}),
    ("{'a': t(1.0)}", "{'b': t(1.0)}", {}), ("[1]", "[1, 2]", {}),
    ("t([float('nan')])", "t([float('nan')])", {}),
    ("t([float('nan')])", "t([float('nan')])", {"equal_nan": True}), ("None", "1", {}),
    ("t([1.0])", "t([1.1])", {"rtol": 0.0, "atol": 0.5}),
    ("t([1.0])", "t([2.0])", {"rtol": 0.0, "atol": 0.5, "msg": "mine"}),
    ("t([1.0])", "t([1.0]).double()", {"check_dtype": False}), ("t([True])", "t([False])", {}),
]  # fmt: skip


@pytest.mark.parametrize(("actual", "expected", "options"), COMPARED)
def test_close(actual: str, expected: str, options: dict[str, Any]) -> None:
    found = []
    for engine in (torch, lazytorch):
        given = {"t": engine.tensor}
        try:
            engine.testing.assert_close(eval(actual, given), eval(expected, given), **options)
            found.append("close")
        except Exception as error:
            found.append(f"{type(error).__name__} {error}")
    assert found[0] == found[1]


@BOTH
def test_made_tensors(t: Any) -> None:
    options = {"low": 0, "high": 2, "noncontiguous": True, "requires_grad": True}
    made = t.testing.make_tensor((3, 4), dtype=t.float32, device="cpu", **options)
    assert made.shape == (3, 4) and not made.is_contiguous() and made.requires_grad
    assert made.min() >= 0 and made.max() <= 2
    for dtype in (t.bool, t.uint8, t.int64, t.float16):
        made = t.testing.make_tensor(100, dtype=dtype, device="cpu")
        assert made.dtype is dtype and len(set(made.tolist())) > 1
