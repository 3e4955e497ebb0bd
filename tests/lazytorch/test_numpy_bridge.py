"""Memory shared with NumPy is seen from both sides."""

from __future__ import annotations

import numpy as np
import pytest
from pytorch_oracle import assert_same, compare, torch

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
