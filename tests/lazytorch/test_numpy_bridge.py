"""Memory shared with NumPy is seen from both sides."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest
from pytorch_oracle import assert_same, compare, outcome, torch

import lazytorch

pytestmark = [pytest.mark.pytorch, pytest.mark.host]

DTYPES = ["float64", "float32", "float16", "int64", "int32", "int16", "int8", "uint8", "bool"]
LAYOUTS = [
    lambda a: a, lambda a: a.T, lambda a: a[::2], lambda a: a[:, 1:3], lambda a: a[1],
    lambda a: a[1:, ::2].T, lambda a: np.broadcast_to(a[:1], a.shape).copy(), lambda a: a[0, 0:1],
    lambda a: a[:0],
]  # fmt: skip


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("layout", range(len(LAYOUTS)))
def test_from_numpy_shares_memory_both_ways(dtype: str, layout: int) -> None:
    results = []
    for library in (lazytorch, torch):
        base = np.arange(12).reshape(3, 4).astype(dtype)
        array = LAYOUTS[layout](base)
        x = library.from_numpy(array)
        before = x.clone()
        base[...] = 1
        seen = x.clone()
        x.fill_(0)
        strides = x.stride()
        results.append((before, seen, library.from_numpy(base.copy()), strides, x))
    assert_same(*results)


def test_numpy_shares_memory_both_ways() -> None:
    results = []
    for library in (lazytorch, torch):
        x = library.arange(6.0).reshape(2, 3)
        y = x.t()
        array = y.numpy()
        array[0, 1] = 50
        first = x.clone()
        x[0, 2] = 70
        x.add_(1)
        results.append((first, library.from_numpy(array.copy()), y, array.strides))
        assert y.numpy() is not array and np.shares_memory(y.numpy(), array)
    assert_same(*results)


def test_lazy_readers_see_the_values_of_their_time() -> None:
    array = np.ones(4, np.float32)
    x = lazytorch.from_numpy(array)
    y = x + 1
    array[:] = 5
    assert y.tolist() == [2.0] * 4
    assert (x + 1).tolist() == [6.0] * 4


def test_gradients_through_shared_memory() -> None:
    results = []
    for library in (lazytorch, torch):
        array = np.arange(3, dtype=np.float32)
        x = library.from_numpy(array).requires_grad_()
        (x * x).sum().backward()
        results.append(x.grad)
    assert_same(*results)


def test_dlpack_in_both_directions() -> None:
    array = np.arange(4.0)
    x = lazytorch.from_dlpack(array)
    x.add_(1)
    assert array.tolist() == [1.0, 2.0, 3.0, 4.0]
    back = np.from_dlpack(x)
    assert np.shares_memory(back, array)
    theirs = torch.from_dlpack(x)
    theirs.mul_(2)
    assert x.tolist() == [2.0, 4.0, 6.0, 8.0]
    assert lazytorch.from_dlpack(torch.arange(3)).tolist() == [0, 1, 2]


def test_frombuffer_shares_memory() -> None:
    memory = bytearray(8)
    x = lazytorch.frombuffer(memory, dtype=lazytorch.int32)
    x[1] = 257
    assert memory == b"\0\0\0\0\1\1\0\0"
    memory[0] = 3
    assert x.tolist() == [3, 257]


def test_a_view_of_another_type_shares_memory() -> None:
    results = []
    for library in (lazytorch, torch):
        x = library.arange(4.0)
        y = x.view(library.int32)
        x[0] = 1
        y[3] = 0
        results.append((x, y))
    assert_same(*results)


@pytest.mark.parametrize(
    "code",
    [
        "np.asarray(torch.arange(3)).dtype.name",
        "np.array(torch.ones(2, 2), dtype=np.int16).sum()",
        "np.add(torch.arange(3).numpy(), 1).tolist()", "np.sin(torch.zeros(2)).tolist()",
        "torch.ones(2).detach().numpy().dtype.name",
        "torch.ones(1, requires_grad=True).numpy(force=True)[0]",
        "torch.tensor(2.5).item()", "torch.tensor([[1, 2]]).tolist()",
        "torch.ones(2, dtype=torch.bfloat16).tolist()",
        "torch.as_tensor(np.arange(3)[::-1].copy())",
        "torch.tensor(np.array(5))", "torch.tensor(np.array([True]))",
    ],
)  # fmt: skip
def test_numpy_functions(code: str) -> None:
    compare(code)


# What NumPy's functions make of tensors, and Python's operators of both.
T, F, A = "torch.arange(3.)", "torch.arange(6.).reshape(2, 3)", "np.arange(1., 4)"
MIXED = [
    f"np.asarray({T}, dtype=np.int32)", f"np.array({T}, copy=True)", f"np.asarray({F}.t())",
    f"np.add({T}, 1)", f"np.add({A}, {T})", f"np.add({T}, {A}, out=np.zeros(3))",
    f"np.exp({T})", f"np.exp({T}.requires_grad_())", "np.sqrt(torch.arange(3))",
    f"np.greater({T}, 1)", f"np.isnan({T})", f"np.maximum({T}, torch.tensor(1.))",
    f"np.power({T}, 2)", f"np.modf({T})", f"np.matmul({F}, {T})", f"np.dot({T}, {T})",
    f"np.add.outer({T}, {T})", f"np.add.reduce({T})", f"np.clip({T}, 1, 2)",
    f"np.mean({T})", f"np.sum({F}, axis=1)", f"np.max({T})", f"np.std({T})", f"np.prod({T})",
    f"np.argmax({T})", f"np.cumsum({T})", f"np.sort({T})", f"np.any({T})", f"np.var({T})",
    f"np.concatenate([{T}, {T}])", f"np.stack([{T}, {A}])", f"np.where({T} > 1, 1, 0)",
    f"np.transpose({F})", f"np.reshape({F}, (3, 2))", f"np.expand_dims({T}, 0)",
    f"np.split({F}, 2)", f"np.unique({T})", f"np.percentile({T}, 50)", f"np.zeros_like({T})",
    f"np.linalg.norm({T})", "np.linspace(torch.tensor(0.), torch.tensor(1.), 3)",
    f"np.allclose({T} + 1, {A})", f"np.array([{T}, {T}])", "np.array([torch.tensor(1.)])",
    f"np.vectorize(lambda v: v + 1)({T})", f"np.shape({F}), np.ndim({F})",
    f"{A} + {T}", f"{T} + {A}", f"{T} - {A}", f"{A} / {T}", f"{T} ** {A}", f"{A} ** {T}",
    f"{T} == {A}", f"{A} == {T}", f"{T} != {A}", f"{T} < {A}", f"{A} < {T}",
    f"{T} @ {A}", f"{A} @ {T}", f"{T} // {A}", f"{T} % {A}", f"{T}.requires_grad_() + {A}",
    f"np.float64(2) * {T}", f"{T} * np.float64(2)", "np.float32(2) * torch.arange(3)",
    f"np.int64(2) - {T}", f"{T} * np.int32(2)", f"np.bool_(True) + {T}",
    f"{A}[torch.tensor([1, 2])]", f"{A}[{T} > 1]", f"{T}[np.array([1, 2])]",
    f"{T}[np.array([True, False, True])]", f"{T}[np.int64(1)]", "[1, 2, 3][torch.tensor(1)]",
    f"{A}.__iadd__({T})", f"{A}.__setitem__(0, {T}[1])", f"{T}.__setitem__(0, {A}[1])",
    f"{T}.__setitem__(slice(2), np.ones(2))", f"{T}.__array_wrap__(np.ones(2))",
    f"{T}.__array_wrap__(np.ones(2, bool))", f"{T}.__array_priority__",
    "torch.tensor(1) in np.arange(3)", "np.float32(1) in torch.arange(3.)",
    "torch.full((2,), np.float32(3))", "torch.zeros(np.int64(2), np.int32(3))",
    "torch.tensor([np.float32(1), np.int64(2)])", "torch.tensor(np.float16(2))",
    "torch.from_numpy([1])", "torch.from_numpy(np.array(['a']))",
    "torch.from_numpy(np.arange(3)[::-1])", f"{T}.requires_grad_().numpy()",
    "np.from_dlpack(torch.ones(2).requires_grad_())", f"np.from_dlpack({F}.t())",
    "np.from_dlpack(torch.ones(2, dtype=torch.bool))", f"torch.from_dlpack({A})",
    f"torch.utils.dlpack.from_dlpack(torch.utils.dlpack.to_dlpack({T}))",
    f"{T}.__dlpack_device__()", f"memoryview({T})", "bytes(torch.arange(3, dtype=torch.uint8))",
    "torch.frombuffer(np.arange(4.), dtype=torch.float64, offset=8, count=2)",
    "torch.frombuffer(b'abcd', dtype=torch.int16)", "float(torch.tensor(2.)), int(torch.tensor(2))",
    "list(range(torch.tensor(3)))", "f'{torch.tensor(1.5):.2f}'",
]  # fmt: skip


def _plain(result: object) -> object:
    """Arrays, tensors and numbers with their types, for comparison."""
    if isinstance(result, (list, tuple)):
        return type(result).__name__, [_plain(r) for r in result]
    if isinstance(result, memoryview):
        result = np.asarray(result)
    kind, dtype = type(result).__name__, str(getattr(result, "dtype", ""))
    return kind, dtype, str(np.asarray(result.detach() if kind == "Tensor" else result).tolist())


@pytest.mark.parametrize("code", MIXED)
def test_tensors_among_arrays(code: str) -> None:
    """The same value and type, or the same exception."""
    kind, theirs = outcome(code, torch)
    found, ours = outcome(code, lazytorch)
    assert found == kind, (ours, theirs)
    if kind == "value":
        assert _plain(ours) == _plain(theirs)
    else:
        assert ours[0] is theirs[0], (ours, theirs)


def test_copies_share_what_their_originals_share() -> None:
    """copy, deepcopy and pickle of tensors, views of one memory among them."""
    results = []
    for library in (lazytorch, torch):
        base = library.arange(6.0)
        pair = {"all": base, "part": base[2:].view(2, 2), "leaf": library.ones(1).requires_grad_()}
        shallow, deep = copy.copy(pair["part"]), copy.deepcopy(pair)
        shallow.zero_()
        deep["all"][3] = 50
        pickled = pickle.loads(pickle.dumps(pair["part"]))
        results.append((base, deep["part"], deep["all"], deep["leaf"].requires_grad, pickled))
        assert deep["leaf"] is not pair["leaf"]
    assert_same(*results)


def test_as_tensor_shares_and_tensor_copies() -> None:
    array = np.zeros(3)
    shared, copied = lazytorch.as_tensor(array), lazytorch.tensor(array)
    array[0] = 4
    assert shared[0].item() == 4 and copied[0].item() == 0
    assert lazytorch.as_tensor(shared) is shared


def test_a_read_only_array_warns() -> None:
    array = np.zeros(3)
    array.flags.writeable = False
    with pytest.warns(UserWarning, match="The given NumPy array is not writable"):
        lazytorch.from_numpy(array)
