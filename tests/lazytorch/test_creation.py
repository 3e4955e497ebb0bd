"""Tensors are made, converted and printed as PyTorch makes, converts and prints them."""

from __future__ import annotations

import copy
import pickle

import pytest
from pytorch_oracle import assert_same, compare, compare_all, compare_error, evaluate, torch

import lazytorch

pytestmark = pytest.mark.pytorch

DTYPES = [
    "float32", "float64", "float16", "bfloat16", "int64", "int32", "int16", "int8", "uint8", "bool",
]  # fmt: skip

EXPRESSIONS = """
torch.zeros(2, 3)
torch.zeros((2, 3))
torch.zeros([2, 3], dtype=torch.int32)
torch.zeros(size=(2,), requires_grad=True)
torch.zeros(())
torch.ones(2, 0, 3)
torch.full((2, 2), 3)
torch.full((2, 2), 3.5)
torch.full((2,), True)
torch.full((2,), 3.7, dtype=torch.int64)
torch.full((2,), float('nan'))
torch.full_like(torch.ones(2, dtype=torch.int16), 7)
torch.zeros_like(torch.ones(2, 3).t())
torch.ones_like(torch.zeros(2), dtype=torch.bool)
torch.ones(2).new_zeros(3, 2)
torch.ones(2, dtype=torch.int8).new_ones((3,))
torch.ones(2, dtype=torch.int8).new_full((3,), 4)
torch.ones(2, dtype=torch.int8).new_tensor([1.5, 2])
torch.arange(5)
torch.arange(1, 9, 3)
torch.arange(5, 0, -2)
torch.arange(0, 1, 0.1)
torch.arange(3.)
torch.arange(0, 5, dtype=torch.float64)
torch.arange(1, 4.5, 1.5, dtype=torch.int64)
torch.arange(0)
torch.linspace(0, 1, 5)
torch.linspace(-3, 10, 1)
torch.linspace(0, 10, 4, dtype=torch.int64)
torch.linspace(0, 1, 0)
torch.logspace(0, 3, 4)
torch.logspace(0, 3, 4, base=2)
torch.eye(3)
torch.eye(2, 4, dtype=torch.int64)
torch.tril(torch.arange(12).reshape(3, 4), 1)
torch.triu(torch.arange(24).reshape(2, 3, 4), -1)
torch.tril_indices(3, 4, -1)
torch.triu_indices(3, 3, 1)
torch.diag(torch.arange(3))
torch.diag(torch.arange(3), -1)
torch.diag(torch.arange(6).reshape(2, 3), 1)
torch.diag_embed(torch.arange(6).reshape(2, 3), 1)
torch.diag_embed(torch.arange(6).reshape(2, 3), -1, 0, 2)
torch.diagonal(torch.arange(24).reshape(2, 3, 4), -1, 1, 2)
torch.diagflat(torch.arange(4).reshape(2, 2))
torch.meshgrid(torch.arange(2), torch.arange(3), indexing='ij')
torch.meshgrid(torch.arange(2), torch.arange(3), torch.arange(4), indexing='xy')
torch.scalar_tensor(3)
torch.tensor(3)
torch.tensor(3.5)
torch.tensor(True)
torch.tensor([])
torch.tensor([[], []])
torch.tensor([1, 2.5])
torch.tensor([True, 2])
torch.tensor([[1, 2], [3, 4]])
torch.tensor(((1., 2.), (3., 4.)))
torch.tensor(range(4))
torch.tensor(np.arange(3))
torch.tensor(np.float32(3))
torch.tensor(np.arange(3.)[::2])
torch.tensor([np.float64(1), np.float64(2)])
torch.tensor([np.array([1, 2]), np.array([3, 4])])
torch.tensor([torch.tensor(1), torch.tensor(2)])
torch.tensor([torch.tensor(1.5), torch.tensor(2.)])
torch.tensor([1, 2], dtype=torch.float16)
torch.tensor([1.7, -2.7], dtype=torch.int32)
torch.tensor([0, 2], dtype=torch.bool)
torch.tensor([1.0009765625, 3], dtype=torch.bfloat16)
torch.as_tensor([1, 2])
torch.asarray([1., 2.])
torch.Tensor([1, 2])
torch.Tensor(2, 3).shape
torch.FloatTensor([1, 2])
torch.LongTensor([[1], [2]])
torch.ByteTensor(2).shape
isinstance(torch.ones(1), torch.FloatTensor)
isinstance(torch.ones(1), torch.LongTensor)
torch.ones(2).type()
torch.ones(2).type(torch.int64)
torch.ones(2).type('torch.DoubleTensor')
torch.ones(2).type_as(torch.zeros(1, dtype=torch.int8))
torch.ones(2).to(torch.int64)
torch.ones(2).to('cpu', torch.float64)
torch.ones(2).to(torch.zeros(1, dtype=torch.int8))
torch.ones(2).to(dtype=torch.float16, copy=True)
torch.tensor([300., -1.5, 2.7]).byte()
torch.tensor([3.7, -2.7]).long()
torch.tensor([0.5, 0.]).bool()
torch.empty_strided((2, 3), (1, 2)).stride()
torch.frombuffer(bytearray(b'abcdefgh'), dtype=torch.int16)
torch.frombuffer(bytearray(b'abcdefgh'), dtype=torch.uint8, offset=2, count=3)
torch.zeros(2, 3).t().clone().stride()
torch.zeros(2, 3, 4).permute(2, 0, 1).contiguous().stride()
torch.zeros(2).resize_(3, 2).shape
torch.arange(6).resize_(2, 2)
torch.is_tensor(torch.ones(1)), torch.is_tensor(1), torch.numel(torch.ones(2, 3))
torch.can_cast(torch.float32, torch.int64), torch.can_cast(torch.int64, torch.float32)
repr(torch.device('cpu')), repr(torch.float32), repr(torch.bool), repr(torch.strided)
torch.iinfo(torch.int32).max, torch.finfo(torch.float16).eps, repr(torch.finfo(torch.float64))
repr(torch.iinfo(torch.uint8)), repr(torch.finfo(torch.bfloat16)), repr(torch.finfo(torch.float16))
isinstance(torch.float32, torch.dtype), torch.long is torch.int64, torch.float32.itemsize
[x.item() for x in torch.arange(3)]
2 in torch.arange(3).tolist(), list(torch.zeros(2, 3).shape), torch.zeros(2, 3).size(-1)
float(torch.tensor(2.5)), int(torch.tensor(3)), bool(torch.tensor(0)), [1, 2, 3][torch.tensor(1)]
torch.zeros(2, out=torch.empty(2)), torch.arange(3, out=torch.empty(0, dtype=torch.int64))
torch.zeros(2).data_ptr() != 0, torch.zeros(2).nbytes, torch.zeros(2).element_size()
f"{torch.tensor(1.5):.3f}"
""".strip().splitlines()

ERRORS = """
torch.zeros(2.5)
torch.zeros(-1)
torch.zeros((2, -3))
torch.zeros(2, 'a')
torch.tensor([[1, 2], [3]])
torch.tensor([1, [2]])
torch.tensor('a')
torch.tensor(['a'])
torch.tensor(None)
torch.tensor(2 ** 64)
torch.tensor([1 << 70])
torch.arange(0, 5, 0)
torch.arange(0, 5, -1)
torch.arange(float('inf'))
torch.linspace(0, 1, -1)
torch.eye(-1)
torch.full((2,), 300, dtype=torch.int8)
torch.from_numpy([1])
torch.from_numpy(np.arange(3)[::-1])
torch.from_numpy(np.array(['a']))
torch.from_numpy(np.array([None]))
torch.tril(torch.ones(3))
torch.diag(torch.ones(2, 2, 2))
torch.tensor([1], requires_grad=True)
torch.ones(2, dtype=torch.int64, requires_grad=True)
torch.iinfo(torch.float32)
torch.finfo(torch.int32)
torch.meshgrid(torch.ones(2, 2), indexing='ij')
torch.meshgrid(torch.ones(2), indexing='zz')
torch.ones(2, requires_grad=True).numpy()
torch.ones(2, requires_grad=True).resize_(3)
len(torch.tensor(1))
iter(torch.tensor(1))
bool(torch.ones(2))
bool(torch.ones(0))
torch.ones(2).item()
torch.ones(1).fill_(torch.ones(2))
torch.ones(2, dtype=torch.int8).fill_(1000)
torch.frombuffer(bytearray(4), dtype=torch.int64)
torch.ones(2).type('nonsense')
torch.ones(2).copy_(torch.ones(3))
torch.ones(2).set_(torch.ones(2, dtype=torch.int64))
torch.ones(2).register_hook(print)
torch.ones(2).retain_grad()
torch.ones(2).requires_grad_().t_()
setattr(torch.ones(2), 'grad', 1)
setattr(torch.ones(2), 'grad', torch.ones(3))
setattr(torch.ones(2), 'grad', torch.ones(2, dtype=torch.float64))
""".strip().splitlines()


@pytest.mark.parametrize("code", EXPRESSIONS)
def test_made_as_in_pytorch(code: str) -> None:
    compare(code, tolerance=1e-6)


@pytest.mark.parametrize("code", ERRORS)
def test_errors(code: str) -> None:
    compare_error(code)


@pytest.mark.parametrize("source", DTYPES)
def test_every_conversion(source: str) -> None:
    targets = [t for t in DTYPES if (source, t) != ("float16", "float64")]  # the test below
    compare_all([f"torch.tensor([0, 1, 2.7, 3]).to(torch.{source}).to(torch.{t})" for t in targets])
    compare_all([f"torch.full((2,), 3, dtype=torch.{source}).type(torch.{t})" for t in targets])
    for target in targets:
        compare(f"torch.promote_types(torch.{source}, torch.{target}).itemsize")


def test_a_conversion_through_half_precision_rounds() -> None:
    compare("torch.tensor([0, 1, 2.7, 3]).to(torch.float16).to(torch.float64)")


@pytest.mark.host
@pytest.mark.parametrize("dtype", DTYPES)
def test_printing(dtype: str) -> None:
    for code in ("torch.arange(6).reshape(2, 3)", "torch.zeros(0)", "torch.tensor(1)"):
        compare(f"repr(({code}).to(torch.{dtype}))")


@pytest.mark.host
def test_printing_of_gradient_functions() -> None:
    for code in ("x.t()", "x[0]", "x[:1]", "x.view(4)", "x.clone()", "x.unsqueeze(0)", "x"):
        ours = evaluate(f"repr({code})", lazytorch, x=lazytorch.ones(2, 2, requires_grad=True))
        theirs = evaluate(f"repr({code})", torch, x=torch.ones(2, 2, requires_grad=True))
        assert ours == theirs


def test_deepcopy_and_pickle_keep_what_pytorch_keeps() -> None:
    x = lazytorch.arange(6.0).reshape(2, 3).t().detach().requires_grad_()
    for made in (copy.deepcopy(x), pickle.loads(pickle.dumps(x))):
        assert made.requires_grad and made.is_leaf
        assert_same(made, torch.arange(6.0).reshape(2, 3).t())
    pair = copy.deepcopy([y := lazytorch.zeros(4), y[1:]])
    pair[0].fill_(3)
    assert_same(pair[1], torch.full((3,), 3.0))
    assert y.tolist() == [0.0] * 4
    with pytest.raises(RuntimeError, match="Only Tensors created explicitly by the user"):
        copy.deepcopy(x.clone())


def test_gradients_accumulate_and_hooks_replace_them() -> None:
    results = []
    for library in (lazytorch, torch):
        x = library.ones(3, requires_grad=True)
        y = library.mul(x, 2)
        y.retain_grad()
        seen = []
        x.register_hook(lambda g, seen=seen: seen.append(g))
        handle = y.register_hook(lambda g: g.clone().fill_(5))
        y.backward(library.ones(3))
        handle.remove()
        y = library.mul(x, 3)
        y.backward(library.ones(3))
        results.append((x.grad, seen, y.grad_fn.name(), y.grad_fn.next_functions[0][0].name()))
    assert_same(*results)


def test_grad_of_a_non_leaf_warns() -> None:
    x = lazytorch.ones(2, requires_grad=True)
    with pytest.warns(UserWarning, match="is not a leaf Tensor is being accessed"):
        assert x.clone().grad is None


def test_tensor_of_a_tensor_warns() -> None:
    with pytest.warns(UserWarning, match="To copy construct from a tensor"):
        lazytorch.tensor(lazytorch.ones(2))
