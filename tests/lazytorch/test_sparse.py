"""Sparse tensors against real PyTorch: each program on both, on awkward tensors too.

Compared are layouts, shapes, types, places, values, and gradients, which sparse leaves get as
sparse tensors. Where PyTorch's gradient of a sparse leaf is dense, ours has the entries at the
places of the leaf.
"""

from __future__ import annotations

import copy
import io
import pickle
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs real PyTorch")

from devices import FUNCTIONS, GIVEN  # noqa: E402
from support import attempt, ours, theirs  # noqa: E402

import lazytorch  # noqa: E402
from lazytorch.sparse.tensors import CompressedTensor, CooTensor, SparseTensor  # noqa: E402

pytestmark = [pytest.mark.pytorch, pytest.mark.filterwarnings("ignore:Sparse")]


@pytest.fixture(autouse=True)
def on_the_device() -> Iterator[None]:
    """What the programs make is where their inputs are."""
    lazytorch.set_default_device(FUNCTIONS)
    yield
    lazytorch.set_default_device(GIVEN or "cpu")


def entries(*shape: int, seed: int = 0, dtype: Any = torch.float64) -> Any:
    made = torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return made.to(dtype)


def coo(places: Any, shape: tuple[int, ...], dense: tuple[int, ...] = (), **options: Any) -> Any:
    places = torch.tensor(places, dtype=torch.int64).reshape(len(shape), -1)
    values = entries(places.shape[1], *dense, **options)
    return torch.sparse_coo_tensor(places, values, (*shape, *dense))


# Matrices of 4 x 3 (and dense dimensions), in all ways that entries can stand.
COO = {
    "sorted": coo([[0, 1, 3], [2, 0, 1]], (4, 3)).coalesce(),
    "unsorted": coo([[3, 0, 1, 3], [1, 2, 0, 0]], (4, 3), seed=1),
    "repeated": coo([[3, 0, 3, 3, 0], [1, 2, 1, 0, 2]], (4, 3), seed=2),
    "none": coo([[], []], (4, 3)),
    "one": coo([[2], [2]], (4, 3)),
    "full": entries(4, 3).to_sparse(),
    "hybrid": coo([[0, 1, 0]], (4,), (3,)),
    "float32": coo([[0, 1, 3], [2, 0, 1]], (4, 3), dtype=torch.float32),
    "int": coo([[0, 1, 0], [2, 0, 2]], (4, 3)).mul(9).to(torch.int64),
}
CSR = {name: COO[name].coalesce().to_sparse_csr() for name in ("sorted", "repeated", "none")}
CSC = {"csc": COO["sorted"].to_sparse_csc()}
OTHERS = {
    "empty dims": torch.sparse_coo_tensor((0, 3)),
    "cube": coo([[0, 1, 1, 0], [2, 0, 1, 2], [0, 1, 1, 0]], (2, 3, 2)),
    "scalar": torch.tensor(3.0).to_sparse(),
    "vector": coo([[4, 1, 4]], (5,), seed=3),
}
DENSE, WIDE = entries(4, 3, seed=5), entries(3, 5, seed=6)


def sparse_ours(x: Any) -> Any:
    """A PyTorch tensor of any layout, or anything else, as ours."""
    if not isinstance(x, torch.Tensor) or x.layout is torch.strided:
        return ours(x)
    plain = x.detach()
    shape = tuple(x.shape)
    if x.layout is torch.sparse_coo:
        made = lazytorch.sparse_coo_tensor(
            ours(plain._indices()), ours(plain._values()), shape, is_coalesced=x.is_coalesced()
        )
    elif x.layout is torch.sparse_csr:
        parts = (plain.crow_indices(), plain.col_indices(), plain.values())
        made = lazytorch.sparse_csr_tensor(*map(ours, parts), shape)
    else:
        parts = (plain.ccol_indices(), plain.row_indices(), plain.values())
        made = lazytorch.sparse_csc_tensor(*map(ours, parts), shape)
    return made.requires_grad_() if x.requires_grad else made


def same(found: Any, expected: Any, exact: bool = False) -> None:
    """Equal layout, shape, type and values; with ``exact`` the same entries in the same order."""
    if isinstance(expected, (tuple, list)):
        for f, e in zip(found, expected, strict=True):
            same(f, e, exact)
        return
    if not isinstance(expected, torch.Tensor):
        assert found == expected
        return
    expected = expected.detach()
    assert repr(found.layout) == repr(expected.layout)
    assert tuple(found.shape) == tuple(expected.shape)
    assert repr(found.dtype) == repr(expected.dtype)
    if expected.layout is torch.strided:
        plain = theirs(found.detach())
        torch.testing.assert_close(plain, expected, rtol=1e-5, atol=1e-6, equal_nan=True)
        return
    if expected.layout is torch.sparse_coo:
        assert found.sparse_dim() == expected.sparse_dim()
        found, expected = (found, expected) if exact else (found.coalesce(), expected.coalesce())
        parts = ("_indices", "_values")
    elif expected.layout is torch.sparse_csr:
        parts = ("crow_indices", "col_indices", "values")
    else:
        parts = ("ccol_indices", "row_indices", "values")
    if found._nnz() != expected._nnz() and not exact:
        same(found.to_dense(), expected.to_dense())
        return
    for part in parts:
        same(getattr(found.detach(), part)(), getattr(expected, part)())


def fresh(x: Any) -> Any:
    """A PyTorch leaf like this one."""
    if not isinstance(x, torch.Tensor):
        return x
    return x.detach().clone().requires_grad_(x.requires_grad)


Program = Callable[..., Any]


def compare(program: Program, *inputs: Any, exact: bool = False) -> None:
    """The program gives the same on both packages, or raises the same."""
    expected = attempt(program, torch, *[fresh(x) for x in inputs])
    found = attempt(program, lazytorch, *[sparse_ours(x) for x in inputs])
    if isinstance(expected, Exception):
        assert isinstance(found, type(expected)), (found, expected)
        return
    if isinstance(found, Exception):
        raise found
    same(found, expected, exact)


UNARY = ("neg", "abs", "sin", "tanh", "sqrt", "sign", "floor", "expm1", "relu", "asinh", "isnan")
# Of one sparse matrix.
PROGRAMS: dict[str, Program] = {
    **{name: lambda t, x, name=name: getattr(x, name)() for name in UNARY},
    "dense": lambda t, x: x.to_dense(),
    "coalesced": lambda t, x: x.coalesce(),
    "facts": lambda t, x: (x.numel(), x.sparse_dim(), x.dense_dim(), x._nnz(), x.is_sparse,
                           x.is_sparse_csr, tuple(x.size()), x.is_floating_point()),
    "csr": lambda t, x: x.to_sparse_csr(),
    "csc": lambda t, x: x.to_sparse_csc(),
    "back": lambda t, x: x.to_sparse_coo(),
    "double": lambda t, x: x.to(t.float64),
    "half": lambda t, x: x.half().float(),
    "clone": lambda t, x: (x.clone(), x.detach()),
    "t": lambda t, x: x.t(),
    "transposed": lambda t, x: x.transpose(0, 1).coalesce(),
    "permute": lambda t, x: t.permute(x, (1, 0)),
    "twice": lambda t, x: x + x,
    "scaled": lambda t, x: (x * 2, 3 * x, x / 2, x.mul(t.tensor(2.0)), x - x),
    "square": lambda t, x: (x * x, x**2, x.pow(3)),
    "onto dense": lambda t, x: t.ones(4, 3, dtype=x.dtype) + x,
    "off dense": lambda t, x: t.ones(4, 3, dtype=x.dtype).sub(x, alpha=2),
    "with dense": lambda t, x: x * t.arange(12).reshape(4, 3).to(x.dtype),
    "sum": lambda t, x: (x.sum(), t.sparse.sum(x)),
    "sum rows": lambda t, x: (t.sparse.sum(x, 0), t.sparse.sum(x, 1), t.sparse.sum(x, (0, 1))),
    "sum kept": lambda t, x: (x.sum(0, keepdim=True), x.sum(1, keepdim=True)),
    "softmax": lambda t, x: (t.sparse.softmax(x, 1), t.sparse.log_softmax(x, 0)),
    "parts": lambda t, x: (x[1], x[3, 0], x.select(1, 2), x[..., 0], x[None]),
    "chosen": lambda t, x: x.index_select(0, t.tensor([3, 0, 3])),
    "narrow": lambda t, x: x.narrow_copy(1, 1, 2),
    "joined": lambda t, x: (t.cat([x, x], 1), t.cat([x, x]), t.stack([x, x], 1)),
    "norm": lambda t, x: x.norm(),
    "like": lambda t, x: (t.zeros_like(x), t.empty_like(x).zero_()),
    "cleared": lambda t, x: x.clone().zero_(),
    "written": lambda t, x: x.clone().mul_(3).add_(x),
    "copied": lambda t, x: t.zeros_like(x).copy_(x),
    "masked": lambda t, x: t.arange(12.0).reshape(4, 3).sparse_mask(x),
    "mm": lambda t, x: x @ t.ones(3, 2, dtype=x.dtype),
    "mv": lambda t, x: x.mv(t.ones(3, dtype=x.dtype)),
    "right": lambda t, x: t.ones(2, 4, dtype=x.dtype) @ x,
    "sparse mm": lambda t, x: t.sparse.mm(x, x.t()),
    "addmm": lambda t, x: t.addmm(t.ones(4, 2, dtype=x.dtype), x, t.ones(3, 2, dtype=x.dtype),
                                  beta=2, alpha=3),
    "smm": lambda t, x: t.smm(x.coalesce(), t.ones(3, 2, dtype=x.dtype)),
    "hspmm": lambda t, x: t.hspmm(x.coalesce(), t.ones(3, 2, dtype=x.dtype)),
    "linear": lambda t, x: t.nn.functional.linear(t.ones(2, 3, dtype=x.dtype), x),
    "resized": lambda t, x: x.clone().sparse_resize_((5, 6), 2, 0),
    # Refused by both.
    "exp": lambda t, x: x.exp(),
    "cumsum": lambda t, x: x.cumsum(0),
    "view": lambda t, x: x.view(-1),
    "reshape": lambda t, x: x.reshape(12),
    "numpy": lambda t, x: x.numpy(),
    "sparse and dense": lambda t, x: x / t.ones(4, 3),
    "shape": lambda t, x: x @ t.ones(7, 2, dtype=x.dtype),
    "add number": lambda t, x: x + 1,
    "equal": lambda t, x: x == x,
    "index": lambda t, x: x[[0, 1]],
    "slice": lambda t, x: x[0:1],
    "argmax": lambda t, x: x.argmax(),
    "tolist": lambda t, x: x.tolist(),
    "into dense": lambda t, x: t.zeros(4, 3).copy_(x.exp()),
}  # fmt: skip
# What lazytorch does and PyTorch has no kernel for, by layout and kind.
MORE_THAN_PYTORCH = {
    "csr": {"scaled", "square", "sum rows", "like", "cleared", "copied", "parts", "chosen",
            "narrow", "joined", "norm", "written", "isnan", "softmax", "smm", "hspmm", "linear",
            "right", "off dense", "sum kept", "sum", "sign", "mv", "mm", "sparse mm", "addmm", "t",
            "relu", "expm1", "asinh", "floor", "sqrt", "twice", "with dense", "permute", "masked",
            "resized", "abs", "tanh", "onto dense", "half", "transposed"},
    "coo": {"right", "smm", "hspmm", "linear", "mm", "mv", "sparse mm", "addmm", "csr", "csc",
            "permute", "sum rows", "sum kept", "parts", "joined", "with dense", "narrow",
            "softmax", "t", "transposed", "square", "half", "scaled", "masked", "norm"},
}  # fmt: skip


def refused(layout: str, name: str, program: Program, x: Any) -> bool:
    """Whether PyTorch alone has no kernel for it; ours must not be wrong, which is seen densely."""
    if name not in MORE_THAN_PYTORCH[layout]:
        return False
    return isinstance(attempt(program, torch, fresh(x)), Exception)


@pytest.mark.parametrize("kind", COO)
def test_coo(kind: str) -> None:
    x = COO[kind]
    for name, program in PROGRAMS.items():
        if not refused("coo", name, program, x):
            try:
                compare(program, x)
            except Exception as error:
                raise AssertionError(f"{name} of {kind}") from error


@pytest.mark.parametrize("kind", [*CSR, *CSC])
def test_compressed(kind: str) -> None:
    x = CSR.get(kind, CSC.get(kind))
    for name, program in PROGRAMS.items():
        if (name, kind) == ("sparse mm", "none"):
            continue  # PyTorch's result has the layout of the second factor then
        if not refused("csr", name, program, x):
            try:
                compare(program, x)
            except Exception as error:
                raise AssertionError(f"{name} of {kind}") from error
    plain = sparse_ours(x)
    same(plain.to_dense(), x.to_dense())
    same((plain @ ours(WIDE)), x.to_dense() @ WIDE)
    assert isinstance(plain, CompressedTensor)


@pytest.mark.parametrize("kind", OTHERS)
def test_other_shapes(kind: str) -> None:
    x = OTHERS[kind]
    for program in (
        lambda t, x: x.to_dense(), lambda t, x: x.coalesce(), lambda t, x: (x + x).coalesce(),
        lambda t, x: x.sin() * 2, lambda t, x: x.sum(), lambda t, x: x.sum(-1),
        lambda t, x: t.sparse.softmax(x, 0), lambda t, x: x.to_dense().to_sparse(),
    ):  # fmt: skip
        if kind == "scalar" and attempt(program, torch, x).__class__ in (IndexError, RuntimeError):
            continue
        compare(program, x)


def test_conversion_from_dense() -> None:
    for x in (DENSE.round(), torch.zeros(2, 3), torch.zeros(0, 3), torch.tensor(5.0),
              torch.eye(3).bool(), torch.eye(2).expand(2, 2, 2)):  # fmt: skip
        compare(lambda t, x: x.to_sparse(), x, exact=True)
        compare(lambda t, x: x.to_sparse(1), x, exact=True)
        compare(lambda t, x: x.to_sparse(7), x)
        if x.ndim == 2:
            compare(lambda t, x: (x.to_sparse_csr(), x.to_sparse(layout=t.sparse_csc)), x)
    compare(lambda t, x: x.to_sparse_csr(dense_dim=1), torch.ones(2, 2, 2))


def test_printing() -> None:
    many = coo([list(range(40))], (50,))
    for x in (*COO.values(), *CSR.values(), *CSC.values(), *OTHERS.values(), many):
        assert repr(sparse_ours(x).cpu()) == repr(x)
        assert str(sparse_ours(x.to(torch.float16)).cpu()) == str(x.to(torch.float16))
    leaf = COO["sorted"].clone().requires_grad_()
    assert repr(sparse_ours(leaf.detach()).cpu().requires_grad_()) == repr(leaf)
    for t in (torch, lazytorch):
        x = t.sparse_coo_tensor([[0, 1]], t.ones(2, requires_grad=True), (3,))
        assert "grad_fn=<SparseCooTensorWithDimsAndTensorsBackward0>" in repr(x)
        assert "grad_fn=<CoalesceBackward0>" in repr(x.coalesce())


CONSTRUCTIONS: tuple[Program, ...] = (
    lambda t: t.sparse_coo_tensor([[0, 1]], [3.0, 4.0]),
    lambda t: t.sparse_coo_tensor((2, 3)),
    lambda t: t.sparse_coo_tensor([[0]], [1], dtype=t.float64),
    lambda t: t.sparse_coo_tensor([[0, 1]], t.ones(2, 3), (4, 3)),
    lambda t: t.sparse_coo_tensor(t.zeros(0, 1, dtype=t.int64), [5.0], ()),
    lambda t: t.sparse_coo_tensor([[0, 1]], [1.0], (2,)),
    lambda t: t.sparse_coo_tensor([[0, 1]], [1.0, 2.0], (2, 2)),
    lambda t: t.sparse_coo_tensor([0, 1], [1.0, 2.0]),
    lambda t: t.sparse_coo_tensor([[0, -1]], [1.0, 2.0]),
    lambda t: t.sparse_coo_tensor([[0, -1]], [1.0, 2.0], (2,), check_invariants=True),
    lambda t: t.sparse_coo_tensor([[0, 5]], [1.0, 2.0], (2,), check_invariants=True),
    lambda t: t.sparse_csr_tensor([0, 1, 3], [2, 0, 2], [3.0, 4.0, 5.0]),
    lambda t: t.sparse_csr_tensor(t.tensor([0, 1, 3], dtype=t.int32),
                                  t.tensor([2, 0, 2], dtype=t.int32), [3.0, 4.0, 5.0], (2, 4)),
    lambda t: t.sparse_csc_tensor([0, 1, 1, 3], [0, 0, 1], [3.0, 4.0, 5.0], (2, 3)),
    lambda t: t.sparse_compressed_tensor([0, 1], [2], [3.0], (1, 3), layout=t.sparse_csr),
    lambda t: t.sparse_compressed_tensor([0, 1], [2], [3.0], (1, 3), layout=t.sparse_coo),
    *[lambda t, c=c, p=p: t.sparse_csr_tensor(c, p, [3.0, 4.0, 5.0], (2, 2),
                                              check_invariants=True)
      for c, p in (([0, 1, 3], [2, 0, 2]), ([0, 1, 2], [0, 0, 1]), ([0, 1, 3], [1, 1, 0]),
                   ([0, 1, 3], [1, 0]), ([1, 1, 3], [1, 0, 1]), ([0, 4, 3], [1, 0, 1]))],
    lambda t: (t.zeros(2, 3, layout=t.sparse_coo), t.zeros((2, 3), layout=t.sparse_csr)),
    lambda t: t.eye(3).coalesce(),
    lambda t: t.eye(3).indices(),
    lambda t: t.eye(3).crow_indices(),
    lambda t: t.eye(3)._nnz(),
    lambda t: (t.eye(3).sparse_dim(), t.eye(3).dense_dim(), t.eye(3).is_sparse),
    lambda t: t.eye(3).to_sparse_csr().indices(),
    lambda t: t.eye(3).to_sparse_csr().ccol_indices(),
    lambda t: t.sparse_coo_tensor([[0, 0]], [1.0, 2.0]).indices(),
    lambda t: t.sparse_coo_tensor([[0, 0]], [1.0, 2.0]).values(),
    lambda t: t.sparse.spdiags(t.arange(6.0).reshape(2, 3), t.tensor([0, 1]), (3, 3)),
    lambda t: t.sparse.spdiags(t.arange(6.0).reshape(2, 3), t.tensor([-1, 2]), (4, 3)),
    lambda t: t.sparse.sampled_addmm(t.eye(3).to_sparse_csr(), t.ones(3, 2), t.ones(2, 3), beta=2.0,
                                     alpha=3.0),
    lambda t: t.sspaddmm(t.eye(2).to_sparse(), t.eye(2).to_sparse(), t.ones(2, 2), alpha=2),
    lambda t: t.bmm(t.stack([t.eye(3).to_sparse()] * 2), t.ones(2, 3, 1)),
    lambda t: t.sparse.addmm(t.ones(3, 2), t.eye(3).to_sparse(), t.ones(3, 2), beta=2, alpha=0.5),
)  # fmt: skip


@pytest.mark.parametrize("number", range(len(CONSTRUCTIONS)))
def test_construction(number: int) -> None:
    compare(CONSTRUCTIONS[number])


def test_invariants_switch() -> None:
    def program(t: Any) -> Any:
        switch = t.sparse.check_sparse_tensor_invariants
        with switch():
            inner = switch.is_enabled()
            error = attempt(t.sparse_coo_tensor, [[3]], [1.0], (2,))
        return inner, switch.is_enabled(), str(error)

    compare(program)


# ---- gradients ----------------------------------------------------------------------------------

LEAVES = (COO["sorted"], COO["repeated"], COO["none"], CSR["sorted"])
DIFFERENTIABLE: dict[str, Program] = {
    "to_dense": lambda t, x, d: x.to_dense(),
    "scaled": lambda t, x, d: (x * 2).to_dense(),
    "sparse.mm": lambda t, x, d: t.sparse.mm(x, d),
    "addmm": lambda t, x, d: t.sparse.addmm(t.ones(4, 5, dtype=t.float64), x, d),
    "negated": lambda t, x, d: (-x).to_dense(),
    "double": lambda t, x, d: x.to(t.float64).to_dense(),
}
OF_COO: dict[str, Program] = {
    "values": lambda t, x, d: x.coalesce().values(),
    "sum": lambda t, x, d: t.sparse.sum(x),
    "rows": lambda t, x, d: t.sparse.sum(x, 0).to_dense(),
    "softmax": lambda t, x, d: t.sparse.softmax(x.coalesce(), 1).to_dense(),
    "log_softmax": lambda t, x, d: t.sparse.log_softmax(x.coalesce(), 0).to_dense(),
    "t": lambda t, x, d: x.t().to_dense(),
    "csr": lambda t, x, d: x.coalesce().to_sparse_csr().to_dense(),
}


@pytest.mark.parametrize("leaf", range(len(LEAVES)))
def test_gradients_of_leaves(leaf: int) -> None:
    programs = DIFFERENTIABLE | (OF_COO if LEAVES[leaf].layout is torch.sparse_coo else {})
    for name, program in programs.items():

        def gradients(t: Any, x: Any, d: Any, program: Program = program) -> Any:
            made = program(t, x, d)
            weight = t.arange(1, made.numel() + 1, dtype=made.dtype).reshape(made.shape)
            (made * weight).sum().backward()
            return x.grad, d.grad

        given = LEAVES[leaf].clone().requires_grad_(), WIDE.clone().requires_grad_()
        expected = gradients(torch, *given)
        found = gradients(lazytorch, *[sparse_ours(x.detach()).requires_grad_() for x in given])
        for f, e in zip(found, expected, strict=True):
            assert (f is None) == (e is None), name
            if e is not None:
                same(f, e)


def test_gradients_of_values_and_second_use() -> None:
    def program(t: Any, v: Any, d: Any) -> Any:
        places = t.tensor([[1, 0, 1], [0, 2, 0]])
        if t is torch:  # whose sparse products have no second derivative
            whole = t.zeros(4, 3, dtype=v.dtype).index_put((places[0], places[1]), v, True)
            product, kept = whole @ d, whole[(0, 1), (2, 0)]
        else:
            x = t.sparse_coo_tensor(places, v, (4, 3))
            product, whole, kept = x @ d, x.to_dense(), x.coalesce().values()
        y = product.sin().sum() + (whole**2).sum() + kept.exp().sum()
        first = t.autograd.grad(y, [v, d], create_graph=True)
        return *first, *t.autograd.grad(sum(g.sum() for g in first), [v, d])

    compare(program, entries(3).requires_grad_(), WIDE.clone().requires_grad_())

    def leaf(t: Any, x: Any, d: Any) -> Any:
        (g,) = t.autograd.grad((x.to_dense() * d).sum(), x)
        (x.to_dense() * d).sum().backward()
        (x * 3).to_dense().sum().backward()
        return g, x.grad, x.is_leaf, (x * 2).is_leaf, (x * 2).requires_grad

    compare(leaf, COO["sorted"].clone().requires_grad_(), DENSE)

    def mask(t: Any, x: Any, d: Any) -> Any:
        (d.sparse_mask(x).to_dense() * d + d.to_sparse().to_dense()).sum().backward()
        return d.grad

    compare(mask, COO["sorted"], DENSE.clone().requires_grad_())


def lookups(t: Any, w: Any, **options: Any) -> Any:
    return t.nn.functional.embedding(t.tensor([[0, 2], [2, 1]]), w, sparse=True, **options)


EMBEDDINGS: dict[str, Program] = {
    "plain": lambda t, w: lookups(t, w),
    "padding": lambda t, w: lookups(t, w, padding_idx=2),
    "nothing": lambda t, w: t.nn.functional.embedding(t.zeros(0, dtype=t.int64), w, sparse=True),
    "twice": lambda t, w: lookups(t, w) + lookups(t, w.detach()) * lookups(t, w),
    "tied": lambda t, w: lookups(t, w) @ w.t(),
    "bag": lambda t, w: t.nn.functional.embedding_bag(t.tensor([0, 2, 2]), w, t.tensor([0, 2]),
                                                      mode="sum", sparse=True),
}  # fmt: skip


@pytest.mark.parametrize("name", EMBEDDINGS)
def test_embedding_gradients(name: str) -> None:
    def gradients(t: Any, w: Any) -> Any:
        made = EMBEDDINGS[name](t, w)
        assert made.grad_fn is not None and w.is_leaf and not made.is_leaf
        weight = t.arange(1, made.numel() + 1, dtype=made.dtype).reshape(made.shape)
        total = (made * weight).sum()
        first = t.autograd.grad(total, w, retain_graph=True)
        total.backward(retain_graph=True)
        once = w.grad.clone()
        total.backward()
        return made, *first, once, w.grad

    compare(gradients, entries(4, 3).requires_grad_())


OPTIMIZERS: dict[str, Program] = {
    "SparseAdam": lambda t, p: t.optim.SparseAdam(p, lr=0.1),
    "SparseAdam maximize": lambda t, p: t.optim.SparseAdam(p, 0.1, (0.5, 0.9), maximize=True),
    "SGD": lambda t, p: t.optim.SGD(p, lr=0.1),
    "SGD momentum": lambda t, p: t.optim.SGD(p, lr=0.1, momentum=0.9, nesterov=True),
    "Adagrad": lambda t, p: t.optim.Adagrad(p, lr=0.1, lr_decay=0.1),
    "Adam": lambda t, p: t.optim.Adam(p),
    "RMSprop": lambda t, p: t.optim.RMSprop(p),
    "SGD decay": lambda t, p: t.optim.SGD(p, weight_decay=0.1),
    "Adagrad decay": lambda t, p: t.optim.Adagrad(p, weight_decay=0.1),
}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_optimizers(name: str) -> None:
    def program(t: Any, start: Any, target: Any) -> Any:
        table = t.nn.Embedding(6, 3, sparse=True, dtype=t.float64)
        with t.no_grad():
            table.weight.copy_(start)
        optimizer = OPTIMIZERS[name](t, table.parameters())
        for step in range(4):
            optimizer.zero_grad(set_to_none=step % 2 == 0)
            loss = ((table(t.tensor([0, step, 2, 0])) - target) ** 2).mean()
            loss.backward()
            optimizer.step()
        state = optimizer.state_dict()["state"].get(0, {})
        kept = [v for k, v in state.items() if k not in ("momentum_buffer", "step")]
        return table.weight.detach(), loss.detach(), *kept

    compare(program, entries(6, 3), entries(4, 3, seed=1))


# ---- pickles, copies, NumPy ---------------------------------------------------------------------


@pytest.mark.parametrize("x", [COO["repeated"], COO["hybrid"], COO["none"], CSR["sorted"]])
def test_files_both_ways(x: Any) -> None:
    mine = sparse_ours(x)
    for source, value, target in ((lazytorch, mine, torch), (torch, x, lazytorch)):
        file = io.BytesIO()
        source.save({"x": value}, file)
        file.seek(0)
        loaded = target.load(file)["x"]
        pair = (loaded, x) if target is lazytorch else (mine, loaded)
        same(*pair, exact=True)
    for made in (pickle.loads(pickle.dumps(mine)), copy.deepcopy(mine)):
        same(made, x, exact=True)
        assert type(made) is type(mine)


def test_numpy_parts_and_device() -> None:
    data, columns, starts = np.array([3.0, 4.0]), np.array([2, 0]), np.array([0, 1, 2])
    x = lazytorch.sparse_csr_tensor(starts, columns, data, (2, 3))
    data[0] = 9.0
    assert x.to_dense().tolist() == [[0.0, 0.0, 3.0], [4.0, 0.0, 0.0]]
    assert x.values().numpy().tolist() == [3.0, 4.0]
    y = x.to_sparse_coo().coalesce()
    assert isinstance(y, CooTensor) and isinstance(y, lazytorch.Tensor)
    assert y.indices().numpy().tolist() == [[0, 1], [2, 0]]
    y.values().mul_(2)
    assert y.to_dense().sum().item() == 14.0
    assert y.to(y.device) is y and str(y.cpu().device) == "cpu" and y.cpu().cpu()._nnz() == 2


def test_no_operation_takes_one_for_dense() -> None:
    """Whatever function gets a sparse tensor gives a sparse-aware result or raises."""
    x = sparse_ours(COO["repeated"])
    known = x.to_dense()
    for name in ("exp", "cos", "softmax", "mean", "max", "argmin", "cumsum", "sort",
                 "flip", "roll", "tril", "diagonal", "std", "var", "prod", "where", "gather",
                 "nonzero", "masked_fill", "clamp", "logsumexp", "squeeze", "expand", "repeat",
                 "unfold", "split", "chunk", "unbind", "as_strided", "view", "fill_", "item",
                 "__array__", "allclose", "equal", "dist", "outer", "einsum", "kron"):  # fmt: skip
        method = getattr(lazytorch, name, None) or getattr(lazytorch.Tensor, name)
        for arguments in ((x,), (x, 0), (x, x), (known, x), ("ij,jk", x, x), (x, 0, 1)):
            made = attempt(method, *arguments)
            assert isinstance(made, (Exception, SparseTensor)), (name, made)
