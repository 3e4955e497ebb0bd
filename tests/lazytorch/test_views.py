"""Views alias and copies copy: random sequences of views and writes, compared after every step."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest
from devices import memory_allocated
from pytorch_oracle import assert_same, compare, compare_error, evaluate, torch

import lazytorch

pytestmark = pytest.mark.pytorch

EXPRESSIONS = """
x.view(6, 4)
x.view(-1)
x.view(2, 3, 2, 2)
x.view(torch.Size([24]))
x.view_as(torch.zeros(4, 6))
x.transpose(0, 1).reshape(6, 4)
x.reshape(3, -1)
x.permute(2, 0, 1)
x.permute((0, 2, 1)).view(2, 2, 2, 3)
x.transpose(-1, 0)
x.swapaxes(0, 1), x.swapdims(1, 2), torch.swapaxes(x, 0, 2)
x[0].t(), x[0].T, x.mT, x[0].H, x.mH
x.movedim(0, 2), x.moveaxis((0, 1), (2, 0))
x[:, :1].expand(2, 5, 4)
x[0, 0].expand(3, 1, 4), x[0, 0].expand(1, 4)
x[:1].expand(-1, 3, -1)
x[:, :1].expand_as(x)
torch.broadcast_to(x[0], (5, 3, 4))
torch.broadcast_tensors(x[0, 0], x[0, :, :1])
x[:1].squeeze(), x[:1].squeeze(0), x[:1].squeeze(1), x[:1, :1].squeeze((0, 1))
x.unsqueeze(0), x.unsqueeze(-1), x.transpose(0, 1).unsqueeze(1)
x.flatten(), x.flatten(1), x.flatten(0, 1), torch.tensor(3).flatten()
x.unflatten(2, (2, 2)), x.unflatten(-1, (-1, 2))
x.ravel(), x.mT.ravel()
x.narrow(1, 1, 2), x.narrow(2, -3, 2)
x.select(1, -1)
x.unfold(2, 2, 1), x.unfold(1, 3, 2), x[0, 0].unfold(0, 2, 2)
x.as_strided((2, 2), (1, 5), 3)
x.unbind(1), torch.unbind(x)
x.split(2, 1), x.split([1, 3], 2), torch.split(x, 5, 0)
x.chunk(3, 2), x.chunk(5, 1), torch.chunk(x, 2)
x.tensor_split(3, 2), x.tensor_split((1, 2), 1), x.tensor_split([5], 2)
x.hsplit(3), x.vsplit(2), x.dsplit(2), x[0].hsplit([1, 3])
torch.atleast_1d(torch.tensor(1)), torch.atleast_2d(x[0, 0]), torch.atleast_3d(x[0], x[0, 0])
x.view(torch.int32), x.view(torch.int16), x.view(torch.float64), x.view(dtype=torch.uint8)
x.repeat(2, 1, 1), x.repeat(1, 2, 1, 3), x[0].repeat(0, 2)
x.tile(2), x.tile((2, 1, 1, 2)), torch.tile(x[0], (2,))
x.flip(0), x.flip(1, 2), torch.flip(x, (-1,)), x.fliplr(), x.flipud()
x[0].rot90(), x.rot90(2, (0, 2)), x.rot90(-1, (1, 2)), x.rot90(4, (1, 2))
x.roll(1), x.roll(-2, 2), x.roll((1, 2), (0, 1)), torch.roll(x, 5, 1)
torch.cat([x, x[:1]]), torch.cat((x, x), -1), torch.cat([x.long(), x[:1]])
torch.cat([torch.ones(0), x])
torch.concat([x]), torch.concatenate([x, x], dim=1)
torch.stack([x, x], 1), torch.stack((x, x), -1)
torch.hstack([x[0, 0], x[0, 1]]), torch.vstack([x[0, 0], x[0, 1]]), torch.hstack((x, x))
torch.cat([x[0], x[1]] * 6), torch.cat([x[0].t(), x[1].t()] * 6), torch.cat([x[:, 1:]] * 5, 0)
torch.stack([x[1, 2]] * 9), torch.stack([x[0, :, 1]] * 9), torch.stack([*x[0]] * 4, 1)
torch.stack([torch.tensor(float(i)) for i in range(9)]), torch.cat([x[0].bool()] * 8 + [x[1]])
torch.cat([torch.ones(0)] + [x[0, 0]] * 9), torch.stack([x[:, :0]] * 9), torch.cat([x + 1] * 9)
torch.stack([torch.tensor([1 + 2j]).conj()] * 9), torch.stack([torch.tensor([2j]).conj().imag] * 9)
torch.dstack([x[0], x[0]]), torch.column_stack([x[0, 0], x[0, :, :1].flatten()[:1].expand(4)])
torch.block_diag(x[0], x[0, 0], torch.tensor(3.))
x.repeat_interleave(2), x.repeat_interleave(3, 1), x.repeat_interleave(torch.tensor([1, 0, 2]), 1)
torch.repeat_interleave(torch.tensor([1, 2, 0, 1]))
x.mT.contiguous(), x.mT.clone(), x.permute(2, 0, 1).clone()
x.clone().unsqueeze_(0), x.clone().transpose_(0, 1), x.clone().squeeze_(), x[0].clone().t_()
x.clone().as_strided_((2,), (3,), 1)
x.is_contiguous(), x.mT.is_contiguous(), x.mT.stride(), x[0].storage_offset(), x.mT.stride(0)
x.reshape(2, 3, 4, 1).expand(2, 3, 4, 0), x[:0].reshape(0, 5), x[:0].view(3, 0)
x.size(), x.shape[1:], x.dim(), x.ndim, x.numel(), x.nelement(), len(x)
""".strip().splitlines()

ERRORS = """
torch.ones(2, 3).view(4)
torch.ones(2, 3).view(-1, -1)
torch.ones(2, 3).view(-1, 4)
torch.ones(2, 3).view(-2, 3)
torch.ones(2, 3).t().view(6)
torch.ones(0, 3).view(-1, 0)
torch.ones(2, 3).reshape(5)
torch.ones(2, 3, 4).t()
torch.ones(2, 3).permute(0)
torch.ones(2, 3).permute(0, 0)
torch.ones(2, 3).permute(0, 2)
torch.ones(2, 3).transpose(0, 2)
torch.ones(2).mT
torch.ones(2, 3).expand(3)
torch.ones(2, 3).expand(4, 3)
torch.ones(2, 3).expand(-1, 2, 3)
torch.ones(2, 3).squeeze(2)
torch.ones(2, 3).unsqueeze(3)
torch.ones(2, 3).flatten(1, 0)
torch.ones(2, 3).unflatten(1, (2, 2))
torch.ones(2, 3).narrow(0, 1, 2)
torch.ones(2, 3).narrow(0, 3, 1)
torch.ones(2, 3).narrow(0, 0, -1)
torch.ones(2, 3).select(0, 2)
torch.tensor(1).select(0, 0)
torch.ones(2, 3).unfold(1, 4, 1)
torch.ones(2, 3).unfold(1, 2, 0)
torch.ones(2, 3).as_strided((3, 3), (3, 1))
torch.ones(2, 3).as_strided((3,), (3, 1))
torch.ones(2, 3).as_strided((3,), (-1,))
torch.tensor(1).unbind()
torch.ones(2, 3).split([1, 2])
torch.ones(2, 3).split(-1)
torch.ones(2, 3).split(0)
torch.tensor(1).split(1)
torch.ones(2, 3).chunk(0)
torch.ones(2, 3).tensor_split(0)
torch.ones(2, 3).hsplit(2)
torch.ones(2).vsplit(2)
torch.ones(3).view(torch.float64)
torch.ones(2, 3).repeat(2)
torch.ones(2, 3).repeat(-1, 2)
torch.ones(2, 3).flip(0, 0)
torch.ones(2, 3).flip(2)
torch.ones(2).fliplr()
torch.ones(2, 3).rot90(1, (0, 0))
torch.ones(2, 3).roll((1, 2), 0)
torch.ones(2, 3).roll((1, 2))
torch.cat([])
torch.cat([torch.tensor(1), torch.tensor(2)])
torch.cat([torch.ones(2, 3), torch.ones(2, 4)])
torch.cat([torch.ones(2, 3), torch.ones(2)])
torch.cat([torch.ones(2, 3)], 2)
torch.cat([torch.ones(2), 3])
torch.cat(torch.ones(2))
torch.stack([])
torch.stack([torch.ones(2), torch.ones(3)])
torch.ones(2, 3).repeat_interleave(torch.tensor([1, 2, 3]), 0)
torch.ones(2, 3).repeat_interleave(-1)
torch.broadcast_tensors(torch.ones(2), torch.ones(3))
torch.ones(2, 3).movedim((0, 1), (0,))
torch.ones(2, 3).movedim((0, 0), (0, 1))
""".strip().splitlines()


@pytest.mark.parametrize("code", EXPRESSIONS)
def test_shapes_strides_and_values(code: str) -> None:
    made = [evaluate("torch.arange(24.).reshape(2, 3, 4).clone()", t) for t in (lazytorch, torch)]
    strides = not any(word in code for word in ("tile", "repeat", "rot90"))
    assert_same(
        evaluate(code, lazytorch, x=made[0]), evaluate(code, torch, x=made[1]), strides=strides
    )


@pytest.mark.parametrize("code", ERRORS)
def test_errors(code: str) -> None:
    compare_error(code)


def random_view(generator: random.Random, shape: tuple[int, ...]) -> str:
    """A view of a tensor of this shape, as code that follows its name."""
    rank = len(shape)
    axis = generator.randrange(max(rank, 1))
    choices = [".unsqueeze(0)", ".view(-1)", "[...]", "[None]"]
    if rank:
        n = shape[axis]
        colons = ":, " * axis
        choices += [f".transpose(0, {axis})", f".unsqueeze({axis})", ".flatten()", ".squeeze()"]
        if n > 1:
            choices += [
                f"[{colons}1:]", f"[{colons}::2]", f".narrow({axis}, 0, {n - 1})",
                f".select({axis}, -1)", f".unfold({axis}, 2, 2)", f".tensor_split(2, {axis})[1]",
            ]  # fmt: skip
        if n % 2 == 0 and n:
            choices.append(f".unflatten({axis}, (2, -1))")
    if rank == 2:
        choices += [".t()", ".diagonal()", ".T"]
    return generator.choice(choices)


def random_write(generator: random.Random, shape: tuple[int, ...]) -> str:
    number = generator.randrange(2, 9)
    choices = [
        f".mul_({number})", f".add_({number})", f".fill_({number})", ".zero_()",
        f".copy_(torch.arange(float({_count(shape)})).reshape({shape}))",
        f".masked_fill_(torch.arange({_count(shape)}).reshape({shape}).bool(), {number}.)",
    ]  # fmt: skip
    if shape and shape[0]:
        choices.append(f".index_fill_(0, torch.tensor([0]), {number}.)")
        choices.append(f".index_add_(0, torch.tensor([0, 0]), torch.ones({(2, *shape[1:])}))")
        choices.append(f".__setitem__(-1, {number}.)")
    return generator.choice(choices)


def _count(shape: tuple[int, ...]) -> int:
    count = 1
    for n in shape:
        count *= n
    return count


@pytest.mark.parametrize("tracked", [False, True])
@pytest.mark.parametrize("seed", range(40))
def test_random_views_and_writes_alias(seed: int, tracked: bool) -> None:
    generator = random.Random(seed)
    ours: list[Any] = []
    theirs: list[Any] = []
    leaves = []
    for library, tensors in ((lazytorch, ours), (torch, theirs)):
        leaf = library.arange(24.0).reshape(2, 3, 4).clone().requires_grad_(tracked)
        leaves.append(leaf)
        tensors.append(leaf.clone())
    for _ in range(8):
        number = generator.randrange(len(theirs))
        shape = tuple(theirs[number].shape)
        if generator.randrange(2):
            code = random_view(generator, shape)
            try:
                made = evaluate("x" + code, torch, x=theirs[number])
            except RuntimeError:
                with pytest.raises(RuntimeError):
                    evaluate("x" + code, lazytorch, x=ours[number])
                continue
            theirs.append(made)
            ours.append(evaluate("x" + code, lazytorch, x=ours[number]))
        else:
            code = random_write(generator, shape)
            evaluate("x" + code, torch, x=theirs[number])
            evaluate("x" + code, lazytorch, x=ours[number])
            if generator.randrange(2):
                continue  # leave it pending
        assert_same(ours, theirs)
    if tracked:
        for library, tensors in ((lazytorch, ours), (torch, theirs)):
            last = tensors[-1]
            last.backward(library.arange(float(last.numel())).reshape(last.shape))
        assert_same(leaves[0].grad, leaves[1].grad)


@pytest.mark.parametrize(
    "code",
    [
        "torch.cat([x, x[:1]])", "torch.stack([x, x.flip(0)], 1)", "x.repeat(2, 1, 2)",
        "x.roll(2, 2)", "x.flip(1)", "x.repeat_interleave(2, 0)", "x.unfold(2, 3, 1)",
        "x.diagonal(1, 1, 2)", "x[:, :1].expand(2, 5, 4)", "torch.tril(x)",
        "torch.diag_embed(x[0], -1)", "x.gather(1, torch.tensor([[[0, 1, 2, 0]]]))",
        "x.index_select(1, torch.tensor([2, 2]))", "x.take(torch.tensor([0, 0, 5]))",
        "x.scatter_add(1, torch.tensor([[[0, 1, 2, 0]]]), x[:1, :1])", "x.masked_fill(MASK, 0.)",
        "x.index_add(0, torch.tensor([0]), x[1:])", "torch.where(MASK, x, x[:1])",
        "x.scatter_reduce(1, torch.tensor([[[0, 1, 1, 0]]]), x[:1, 1:2], 'amax')",
        "x.as_strided((2, 2), (1, 5), 3)", "torch.block_diag(x[0], x[1])", "x.to(torch.float64)",
        "x.mT.reshape(-1)", "x.masked_select(MASK)", "x.index_put((torch.tensor([1, 1]),), x)",
    ],
)  # fmt: skip
def test_gradients(code: str) -> None:
    code = code.replace("MASK", "torch.tril(torch.ones(2, 3, 4)).bool()")
    results = []
    for library in (lazytorch, torch):
        x = library.arange(24.0).reshape(2, 3, 4).requires_grad_()
        y = evaluate(code, library, x=x)
        y.backward(library.arange(1.0, 1.0 + y.numel()).reshape(y.shape).to(y.dtype))
        results.append((y, x.grad))
    assert_same(*results, tolerance=1e-6)


def test_no_grad_views_are_cut_off() -> None:
    x = lazytorch.ones(3, requires_grad=True)
    with lazytorch.no_grad():
        view = x[1:]
        assert (view * 2).grad_fn is None
    compare("torch.ones(3, requires_grad=True).detach()[1:].requires_grad")


def test_indexing_a_view_that_is_a_leaf() -> None:
    for code in ("x[1]", "x.t()[0]", "x[:, 1:].t()", "x.reshape(-1)[::2]"):
        results = []
        for library in (lazytorch, torch):
            x = library.arange(12.0).reshape(4, 3).t()[1:].detach().requires_grad_()
            y = evaluate(code, library, x=x)
            y.backward(library.arange(float(y.numel())).reshape(y.shape))
            results.append((y, x.grad))
        assert_same(*results)


def test_graphs_keep_no_storage_of_views() -> None:
    """What only the graph remembers of views of views is not computed to be kept."""
    x = lazytorch.ones(256, 1024, requires_grad=True).realize()
    before = memory_allocated()
    a, b = (x * 2).split(512, dim=1)
    loss = (a.view(256, 2, 256).transpose(0, 1) * b.t().reshape(2, 256, 256).sin()).sum()
    loss.backward()
    del a, b
    lazytorch.realize(loss, x.grad)
    assert memory_allocated() - before < 1.1 * x.nbytes  # x.grad


def test_nodes_of_views_that_nobody_holds() -> None:
    """They are named, and hooks on them called, as if somebody held the views."""
    results = []
    for library in (lazytorch, torch):
        x = library.arange(12.0, requires_grad=True)
        y = (x * 2).view(3, 4).t().unsqueeze(0).exp()
        names, seen, node = [], [], y.grad_fn
        while node.next_functions:
            names.append(node.name())
            node.register_hook(lambda to, of, seen=seen: seen.append((to[0].shape, of[0].shape)))
            node = node.next_functions[0][0]
        y.sum().backward()
        results.append((names, sorted(seen), x.grad))
    assert_same(*results, tolerance=1e-6)


@pytest.mark.parametrize("offset", [0, 4, 7, 14, 16])
def test_strided_view_reaches_outside_its_leaf(offset: int) -> None:
    results = []
    for library in (lazytorch, torch):
        x = library.arange(20.0)[5:15].detach().requires_grad_()
        y = x.as_strided((2, 2), (1, 2), offset)
        y.backward(library.arange(4.0).reshape(2, 2))
        results.append((y, x.grad))
    assert_same(*results)


def _products_of_views(t: Any) -> list[Any]:
    """Products of matrices that lie otherwise than in rows, and of what is written to such."""
    a = t.arange(12.0).reshape(3, 4) + 1
    b = t.arange(12.0).reshape(3, 4) * 0.5
    c = t.arange(16.0).reshape(4, 4)
    stack = t.arange(24.0).reshape(2, 3, 4)
    found = [a.t() @ b, a @ b.t(), a.t().t() @ b.t(), c.t() @ c, c @ c.t(), c.t() @ c.t()]
    found += [
        a.view(4, 3) @ b,
        a.view(12) @ b.view(12),
        a.t() @ a[0].expand(3, 4),
        a[1:].t() @ b[1:],
    ]
    found += [stack.transpose(1, 2) @ stack, stack.permute(2, 0, 1) @ stack.permute(2, 1, 0)]
    found += [a.t()[1:3] @ b, c.as_strided((2, 8), (1, 2)) @ c.view(8, 2), c[::2].t() @ c[1::2]]
    z = t.view_as_complex(t.arange(8.0).reshape(2, 2, 2))
    found += [z.t() @ z, z.real.t() @ z.imag, (z.mH @ z).real]
    view = a.t()
    found.append(view @ b)
    a.mul_(2)
    found.append(view @ b)
    view.add_(1)
    found += [view @ b, a.t() @ b]
    with t.no_grad():
        unrecorded = c.t()
        found.append(unrecorded @ c)
    w = a.detach().clone().requires_grad_()
    loss = ((w.t() @ b) * (w.detach().t() @ b)).sum()
    loss.backward()
    found += [w.grad, unrecorded @ c, w.data.t() @ w.t().detach().t()]
    with t.inference_mode():
        found.append(w.t() @ b)
    return [x.detach().numpy().copy() for x in found]


def test_products_of_views() -> None:
    for ours, theirs in zip(_products_of_views(lazytorch), _products_of_views(torch), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-5)


def test_a_refused_product_of_views_says_what_pytorch_says() -> None:
    def message(t: Any) -> str:
        with pytest.raises(RuntimeError) as found:
            t.zeros(3, 4).t() @ t.zeros(4, 5)
        return str(found.value)

    assert message(lazytorch) == message(torch)


def test_what_is_joined_of_many_is_a_copy() -> None:
    parts = [lazytorch.full((2,), float(i), requires_grad=i == 11) for i in range(12)]
    joined, all_parts = lazytorch.cat(parts[:11]), lazytorch.stack(parts)
    parts[3].fill_(50)
    joined[0] = 60
    all_parts.sum().backward()
    assert joined.tolist() == [60, *[float(i) for i in range(11) for _ in range(2)][1:]]
    assert all_parts[3].tolist() == [3, 3] and parts[0].tolist() == [0, 0]
    assert parts[11].grad is not None and parts[11].grad.tolist() == [1, 1]
