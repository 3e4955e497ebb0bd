"""Reading and writing at places as PyTorch does, mixtures of index kinds drawn at random."""

from __future__ import annotations

import random
from typing import Any

import pytest
from pytorch_oracle import assert_same, compare, compare_error, evaluate, torch

import lazytorch

pytestmark = pytest.mark.pytorch

EXPRESSIONS = """
x[..., None, 0]
x[None]
x[True]
x[False]
x[torch.tensor(1)]
x[[0, 1], [2, 0]]
x[:, [0, 2]]
x[[True, False]]
x[torch.tensor([True, False]), :, [1, 2]]
x[torch.tensor([[True, False, True], [False, True, False]])]
x[0, torch.tensor([[0, 1], [2, 2]]), 1:]
x[torch.tensor([0, 1]), :, torch.tensor([1, 3])]
x[np.array([1, 0])]
x[..., np.int64(2)]
x[torch.tensor([], dtype=torch.int64)]
x[-1, ..., -2:]
x[:, ::2, 1::2]
x[()]
x[torch.tensor([0], dtype=torch.int32)]
torch.index_select(x, 1, torch.tensor([2, 0, 2]))
torch.gather(x, 2, torch.tensor([[[0, 3], [1, 1]]]))
torch.take(x, torch.tensor([[0, -1], [5, 7]]))
torch.take_along_dim(x, torch.tensor([[[1], [0], [2]]]), 2)
torch.take_along_dim(x, torch.tensor([3, 4]))
torch.masked_select(x, torch.tensor([True, False, True, False]))
torch.where(torch.tensor([True, False, True, False]), x, 0.5)
torch.where(torch.tensor([True, False]), 1, torch.tensor([2., 3.]))
torch.where(x.bool())
torch.nonzero(x)
torch.nonzero(torch.tensor(3)), torch.nonzero(torch.tensor(3), as_tuple=True)
torch.argwhere(x)
x.scatter(2, torch.tensor([[[0, 1], [2, 3]]]), 9.)
x.scatter(1, torch.tensor([[[0, 1], [2, 1]]]), x[:1, :2, :2])
x.scatter_add(0, torch.ones(2, 3, 4, dtype=torch.int64), x)
x.scatter(0, torch.zeros(1, 3, 4, dtype=torch.int64), x[1:], reduce='add')
x.scatter(0, torch.zeros(1, 3, 4, dtype=torch.int64), 2., reduce='multiply')
x.scatter_add(2, torch.tensor([[[0, 0], [3, 3], [1, -0]], [[0, 2], [2, 2], [1, 1]]]), x)
x.scatter_add(1, torch.tensor([[[2, 1, 0, 2]], [[1, 1, 1, 1]]]), x)
x.scatter_add(1, torch.zeros(2, 0, 4, dtype=torch.int64), x)
x.long().scatter_add(0, torch.ones(5, 3, 4, dtype=torch.int64), torch.ones(5, 3, 4).long())
x.transpose(0, 2).scatter_add(0, torch.tensor([[[3, 3]], [[0, 3]]]), x.transpose(0, 2))
(x > 3).scatter(1, torch.tensor([[[2, 0, 0, 2]], [[1, 1, 1, 1]]]), x[:, :1] > 0)
torch.gather(x.transpose(0, 2), 1, torch.tensor([[[2, 0]], [[1, 1]], [[0, 1]], [[2, 2]]]))
torch.gather(x, 1, torch.zeros(2, 0, 4, dtype=torch.int64))
x.int().index_add(0, torch.tensor([1, 1, 1]), torch.ones(3, 3, 4).int())
x.index_add(1, torch.tensor([0, 0]), x[:, :2], alpha=2)
x.index_copy(2, torch.tensor([3, 0]), x[..., 1:3])
x.index_fill(1, torch.tensor([1]), 7.5)
x.index_put((torch.tensor([0, 1]), torch.tensor([2, 2])), torch.tensor(5.))
x.index_put((torch.tensor([0, 0]),), torch.tensor(5.), accumulate=True)
x.masked_fill(torch.tensor([[True], [False], [True]]), -1.)
x.masked_scatter(torch.tensor([True, False, False, True]), torch.arange(20.))
x.put(torch.tensor([0, -1]), torch.tensor([8., 9.]))
x.put(torch.tensor([1, 1]), torch.tensor([8., 9.]), accumulate=True)
x.select_scatter(torch.zeros(2, 4), 1, 2)
x.slice_scatter(torch.zeros(2, 2, 4), 1, 0, 3, 2)
x.diagonal_scatter(torch.zeros(4, 2), 0, 0, 1)
torch.zeros(7, 3).fill_diagonal_(5, wrap=True)
torch.zeros(3, 3, 3).fill_diagonal_(2.)
torch.index_select(torch.tensor(3), 0, torch.tensor([0]))
torch.tensor(5)[...], torch.tensor(5)[None], torch.tensor(5)[True]
""".strip().splitlines()

ERRORS = """
torch.ones(2, 3)[2]
torch.ones(2, 3)[0, 3]
torch.ones(2, 3)[0, 0, 0]
torch.ones(2, 3)['a']
torch.ones(2, 3)[1.5]
torch.ones(2, 3)[::-1]
torch.ones(2, 3)[::0]
torch.ones(2, 3)[torch.tensor([2])]
torch.ones(2, 3)[torch.tensor([-3])]
torch.ones(2, 3)[:, torch.tensor([0, 3])]
torch.ones(2, 3)[torch.tensor([0.5])]
torch.ones(2, 3)[torch.tensor([True, False, True])]
torch.ones(2, 3)[torch.tensor([0, 1]), torch.tensor([0, 1, 2])]
torch.tensor(1)[0]
torch.ones(2, 3).__setitem__(0, torch.ones(4))
torch.ones(2, 3).__setitem__(torch.tensor([0, 1]), torch.ones(4))
torch.ones(2, 3).__setitem__(0, 'a')
torch.index_select(torch.ones(2, 3), 0, torch.tensor([2]))
torch.index_select(torch.ones(2, 3), 2, torch.tensor([0]))
torch.index_select(torch.ones(2, 3), 0, torch.tensor([[0]]))
torch.index_select(torch.ones(2, 3), 0, torch.tensor([0.]))
torch.gather(torch.ones(2, 3), 0, torch.tensor([[2]]))
torch.gather(torch.ones(2, 3), 0, torch.tensor([0]))
torch.gather(torch.ones(2, 3), 1, torch.zeros(3, 1, dtype=torch.int64))
torch.gather(torch.ones(2, 3), 1, torch.zeros(2, 1))
torch.take(torch.ones(2, 3), torch.tensor([6]))
torch.take(torch.ones(2, 3), torch.tensor([0.]))
torch.ones(2, 3).scatter_(0, torch.tensor([[5]]), 1.)
torch.ones(2, 3).scatter_(0, torch.tensor([[0]]), torch.ones(1, 1, dtype=torch.float64))
torch.ones(2, 3).scatter_(0, torch.tensor([0]), 1.)
torch.ones(2, 3).scatter_(0, torch.tensor([[0, 0]]), torch.ones(1, 1))
torch.ones(2, 3).scatter_reduce(0, torch.tensor([[0]]), torch.ones(1, 1), 'median')
torch.ones(2, 3).index_add(0, torch.tensor([0]), torch.ones(2, 3))
torch.ones(2, 3).index_add(0, torch.tensor([0]), torch.ones(1, 3, dtype=torch.float64))
torch.ones(2, 3).index_copy(0, torch.tensor([5]), torch.ones(1, 3))
torch.ones(2, 3).index_fill(0, torch.tensor([5]), 1.)
torch.ones(2, 3).masked_fill(torch.tensor([1, 0, 1]), 1.)
torch.ones(2, 3).masked_fill(torch.tensor([True, False, True]), torch.ones(2))
torch.ones(2, 3).masked_fill(torch.tensor([True, False]), 1.)
torch.ones(2, 3).masked_scatter(torch.tensor([True, False, True]), torch.ones(2))
torch.masked_select(torch.ones(2, 3), torch.tensor([1, 0, 1]))
torch.where(torch.tensor([1.]), 1, 2)
torch.ones(2, 3).put_(torch.tensor([0]), torch.ones(2))
torch.ones(2, 3).index_put_((torch.tensor([0]),), torch.ones(1, dtype=torch.float64))
torch.ones(3).fill_diagonal_(1)
torch.ones(2, requires_grad=True).__setitem__(0, 1.)
torch.ones(1).expand(3).copy_(torch.ones(3))
torch.ones(2, 2).select_scatter(torch.ones(3), 0, 0)
""".strip().splitlines()


@pytest.mark.parametrize("code", EXPRESSIONS)
def test_places_as_in_pytorch(code: str) -> None:
    names = [evaluate("torch.arange(24.).reshape(2, 3, 4)", t) for t in (lazytorch, torch)]
    assert_same(evaluate(code, lazytorch, x=names[0]), evaluate(code, torch, x=names[1]))


@pytest.mark.parametrize("code", ERRORS)
def test_errors(code: str) -> None:
    compare_error(code)


@pytest.mark.parametrize("reduce", ["sum", "prod", "mean", "amax", "amin"])
@pytest.mark.parametrize("include_self", [True, False])
def test_scatter_reduce(reduce: str, include_self: bool) -> None:
    for dtype in ("float32", "int64"):
        compare(
            f"torch.arange(1, 13).reshape(3, 4).to(torch.{dtype}).scatter_reduce(0, torch.tensor("
            f"[[0, 1, 0, 2], [0, 0, 0, 1]]), torch.arange(2, 10).reshape(2, 4).to(torch.{dtype}), "
            f"'{reduce}', include_self={include_self})",
            tolerance=1e-6,
        )


def random_index(generator: random.Random, shape: list[int]) -> str:
    """An index expression for this shape, of every kind of item."""
    items: list[str] = []
    axis, length = 0, generator.randrange(1, 3)
    while axis < len(shape):
        kind = generator.randrange(9)
        n = shape[axis]
        if kind == 0:
            items.append(str(generator.randrange(-n, n)))
        elif kind == 1:
            a, b = sorted((generator.randrange(-n, n), generator.randrange(-n, n + 1)))
            items.append(f"{a}:{b}:{generator.randrange(1, 3)}")
        elif kind == 2:
            items.append(":")
        elif kind == 3:
            items.append("None")
            continue
        elif kind == 4 and "..." not in items:
            items.append("...")
            axis += generator.randrange(0, len(shape) - axis + 1)
            continue
        elif kind == 5:
            items.append(str([generator.randrange(-n, n) for _ in range(length)]))
        elif kind == 6:
            chosen = [[generator.randrange(n) for _ in range(length)] for _ in range(2)]
            items.append(f"torch.tensor({chosen})")
        elif kind == 7:
            mask = [False] * n
            for place in generator.sample(range(n), min(length, n)):
                mask[place] = True
            items.append(f"torch.tensor({mask})")
        else:
            break
        axis += 1
    return ", ".join(items) + "," if items else "..."


@pytest.mark.parametrize("seed", range(60))
def test_random_indices_read_write_and_differentiate(seed: int) -> None:
    generator = random.Random(seed)
    shape = [generator.randrange(1, 5) for _ in range(generator.randrange(1, 5))]
    index = random_index(generator, shape)
    results: list[Any] = []
    for library in (lazytorch, torch):
        try:
            size = 1
            for n in shape:
                size *= n
            x = library.arange(float(size)).reshape(shape).requires_grad_()
            read = evaluate(f"x[{index}]", library, x=x)
            read.backward(library.arange(float(read.numel())).reshape(read.shape))
            y = library.mul(x, 2)
            view = y[0]
            source = library.ones(read.shape, requires_grad=True)
            evaluate(f"y.__setitem__(torch_index({index!r}), s)", library, y=y, s=source,
                     torch_index=lambda text, t=library: Key(t)[text])  # fmt: skip
            y.backward(library.arange(float(size)).reshape(shape))
            z = library.zeros(shape)
            evaluate("z.__setitem__(key, 3)", library, z=z, key=Key(library)[index])
            results.append((read, x.grad, source.grad, y, view, z))
        except (IndexError, RuntimeError) as error:
            results.append(type(error))
    assert_same(*results)


class Key:
    """The object that an index expression passes to __getitem__."""

    def __init__(self, library: Any) -> None:
        self.library = library

    def __getitem__(self, text: str) -> Any:
        return evaluate(f"probe[{text}]", self.library, probe=_Probe())


class _Probe:
    def __getitem__(self, key: Any) -> Any:
        return key


def test_indices_that_are_used_again_are_checked_again() -> None:
    x, index = torch.zeros(5), torch.tensor([0, 4])
    assert x[index].tolist() == x[index].tolist() == [0.0, 0.0]
    with pytest.raises(IndexError, match="index 4 is out of bounds"):
        x[:4][index]
    index[1] = 5
    with pytest.raises(IndexError, match="index 5 is out of bounds"):
        x[index]
    with pytest.raises(IndexError, match="index 5 is out of bounds"):
        x[index[1:]]
    assert x[index[:1]].tolist() == [0.0]
    index.numpy()[1] = 3
    assert x[index].tolist() == [0.0, 0.0]
    index.numpy()[1] = 7
    with pytest.raises(IndexError, match="index 7 is out of bounds"):
        x[index]
