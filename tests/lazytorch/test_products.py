"""Matrix products against real PyTorch: values, first and second gradients, errors."""

from __future__ import annotations

from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="needs real PyTorch")

from comparison import check_gradients, same_error  # noqa: E402
from support import ours, same  # noqa: E402

import lazytorch  # noqa: E402
import lazytorch.functions  # noqa: E402
from codegen.render import contraction_kernel  # noqa: E402
from lazytorch.functions.registration import PUBLIC  # noqa: E402

pytestmark = pytest.mark.pytorch


def random(*shape: int, dtype: Any = None) -> Any:
    return torch.randn(shape, dtype=dtype or torch.float64)


PRODUCTS = [
    ("mm", (2, 3), (3, 4)), ("mm", (0, 3), (3, 4)), ("mm", (2, 0), (0, 4)), ("mm", (1, 1), (1, 1)),
    ("bmm", (2, 3, 4), (2, 4, 5)), ("mv", (2, 3), (3,)), ("dot", (3,), (3,)), ("vdot", (3,), (3,)),
    ("outer", (3,), (2,)), ("ger", (3,), (1,)), ("inner", (2, 3), (4, 3)), ("inner", (), (3,)),
    ("kron", (2, 3), (4,)), ("cross", (2, 3), (2, 3)), ("trace", (3, 4)), ("trace", (4, 2)),
    ("addmm", (5,), (2, 3), (3, 5)), ("addmv", (2,), (2, 3), (3,)), ("addr", (2, 3), (2,), (3,)),
    ("baddbmm", (2, 3, 5), (2, 3, 4), (2, 4, 5)), ("addbmm", (3, 5), (2, 3, 4), (2, 4, 5)),
    ("chain_matmul", (2, 3), (3, 4), (4, 2)), ("tensordot", (2, 3, 4), (3, 4, 5)),
    ("matmul", (3,), (3,)), ("matmul", (2, 3), (3,)), ("matmul", (3,), (3, 2)),
    ("matmul", (3,), (2, 3, 4)), ("matmul", (2, 4, 3), (3,)), ("matmul", (2, 4, 3), (3, 5)),
    ("matmul", (2, 4, 3), (2, 3, 5)), ("matmul", (4, 3), (2, 3, 5)),
    ("matmul", (6, 1, 4, 3), (2, 3, 5)), ("matmul", (1, 4, 3), (2, 3, 5)),
    ("matmul", (0, 3), (3, 2)), ("matmul", (2, 0, 3), (3, 2)),
]  # fmt: skip


@pytest.mark.parametrize("name,shapes", [(p[0], p[1:]) for p in PRODUCTS])
def test_values_and_gradients(name: str, shapes: Any) -> None:
    inputs = [random(*s) for s in shapes]
    check_gradients(PUBLIC[name], getattr(torch, name), *inputs)


@pytest.mark.parametrize(
    "equation,shapes",
    [
        ("ij,jk", [(2, 3), (3, 4)]), ("ii", [(3, 3)]), ("ii->i", [(3, 3)]), ("ba", [(2, 3)]),
        ("...ij,...jk->...ik", [(2, 2, 3), (3, 4)]), ("ij->", [(2, 3)]), ("ijk->kj", [(2, 3, 4)]),
        ("bij,bjk,kl->bil", [(2, 2, 3), (2, 3, 4), (4, 2)]), ("i,j->ij", [(2,), (3,)]),
        ("iji,j->i", [(3, 2, 3), (2,)]), ("ij,ij->ij", [(1, 3), (2, 3)]), ("i j , j", [(2, 3),
        (3,)]),
        ("...a->a...", [(2, 3)]), ("a,b,a->", [(2,), (3,), (2,)]),
    ],
)  # fmt: skip
def test_einsum(equation: str, shapes: Any) -> None:
    check_gradients(
        lambda *t: PUBLIC["einsum"](equation, *t),
        lambda *t: torch.einsum(equation, *t),
        *[random(*s) for s in shapes],
    )


def test_einsum_of_sublists() -> None:
    x, y = random(2, 3), random(3, 4)
    found = PUBLIC["einsum"](ours(x), [0, 1], ours(y), [1, 2], [2, 0])
    same(found, torch.einsum(x, [0, 1], y, [1, 2], [2, 0]))


@pytest.mark.parametrize("name", ["addmm", "addmv", "addr", "baddbmm", "addbmm"])
def test_scaled_addition(name: str) -> None:
    shapes = next(p[1:] for p in PRODUCTS if p[0] == name)
    inputs = [random(*s) for s in shapes]
    check_gradients(
        lambda *t: PUBLIC[name](*t, beta=0.5, alpha=2),
        lambda *t: getattr(torch, name)(*t, beta=0.5, alpha=2),
        *inputs,
    )
    inputs[0][...] = float("nan")
    same(PUBLIC[name](*map(ours, inputs), beta=0), getattr(torch, name)(*inputs, beta=0))


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16", "int64", "int32", "uint8"])
def test_element_types(dtype: str) -> None:
    x, y = [(random(2, 3, 4).abs() * 3).to(getattr(torch, dtype)) for _ in range(2)]
    x, y = x[:, 0].T, y[0]
    same(PUBLIC["matmul"](ours(x), ours(y.T[:2])), x @ y.T[:2])


def test_axes_of_tensordot() -> None:
    x, y = random(2, 3, 4), random(4, 5, 2)
    dims = ([0, -1], [2, 0])
    same(PUBLIC["tensordot"](ours(x), ours(y), dims), torch.tensordot(x, y, dims))


ERRORS = [
    ("mm", (2, 3), (4, 5)), ("mm", (2,), (3, 5)), ("mm", (2, 3), (3,)), ("bmm", (2, 3, 4),
    (2, 5, 4)),
    ("bmm", (2, 3), (3, 4, 4)), ("bmm", (2, 3, 4), (3, 4)), ("matmul", (2, 3), (4, 5)),
    ("matmul", (2, 3), (4,)), ("matmul", (3,), (4,)), ("matmul", (3,), (4, 5)),
    ("matmul", (2, 3, 4), (3, 4, 5)), ("matmul", (2, 3, 4), (5, 6)), ("matmul", (), (2,)),
    ("matmul", (2, 3, 4), (2, 5, 5)), ("mv", (2, 3), (4,)), ("mv", (2,), (4,)), ("dot", (2,), (3,)),
    ("dot", (2, 2), (3,)), ("outer", (2, 2), (3,)), ("addmm", (3, 3), (2, 3), (4, 5)),
    ("addmm", (3, 3), (2, 3), (3, 5)), ("addmv", (3,), (2, 3), (4,)), ("trace", (2,)),
    ("baddbmm", (3,), (2, 3, 4), (2, 4, 4)), ("addr", (2, 2), (3,), (4,)), ("cross", (2, 4),
    (2, 4)),
]  # fmt: skip


@pytest.mark.parametrize("name,shapes", [(e[0], e[1:]) for e in ERRORS])
def test_errors_of_shape(name: str, shapes: Any) -> None:
    inputs = [random(*s) for s in shapes]
    same_error(lambda f, t: f(*t), (PUBLIC[name], getattr(torch, name)), inputs)


@pytest.mark.parametrize("name", ["mm", "bmm", "mv", "dot", "addmm"])
def test_errors_of_type(name: str) -> None:
    shapes = next(p[1:] for p in PRODUCTS if p[0] == name)
    inputs = [random(*s) for s in shapes[:-1]] + [random(*shapes[-1]).float()]
    same_error(lambda f, t: f(*t), (PUBLIC[name], getattr(torch, name)), inputs)


@pytest.mark.parametrize(
    "equation,shapes",
    [
        ("ij,jk", [(2, 3), (4, 5)]), ("ij,jk->il", [(2, 3), (3, 5)]), ("ijk", [(2, 3)]),
        ("i1", [(2, 3)]), ("ij,jk", [(2, 3)]), ("ij->ii", [(2, 3)]), ("ii", [(2, 3)]),
        ("ij", [(2, 3), (2, 3)]),
    ],
)  # fmt: skip
def test_errors_of_einsum(equation: str, shapes: Any) -> None:
    inputs = [random(*s) for s in shapes]
    same_error(lambda f, t: f(equation, *t), (PUBLIC["einsum"], torch.einsum), inputs)


# A weight written over in the kernel of a product, the memory taken where nothing reads it later.
UPDATES = {
    "a step": ("w -= 0.1 * (a.t() @ b)", True),
    "a step of two products": ("w -= 0.1 * (a.t() @ b) * (b.t() @ a).t()", True),
    "an average and a step": ("g = a.t() @ b\nm += 0.1 * (g - m)\nw -= 0.1 * m", True),
    "of the operand itself": ("w -= 0.1 * (c @ w)", False),
    "of the operand transposed": ("w -= 0.1 * (w.t() @ c).t()", False),
    "the old value is read before": ("m = w * 2\nw -= 0.1 * (a.t() @ b)", None),
    "the old value is multiplied": ("a = a + 0.1 * (b @ w.t())\nw -= 0.1 * (a.t() @ b)", None),
    "seen by a view": ("m = w[1:]\nw -= 0.1 * (a.t() @ b)", None),
}


@pytest.mark.host
@pytest.mark.parametrize("name", UPDATES)
def test_updates_in_a_products_kernel(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """``True``: in the weight's own memory; ``False``: not there; None: as it comes."""
    monkeypatch.setattr(contraction_kernel, "second_level_cache_bytes", lambda: 0)
    text, in_place = UPDATES[name]
    torch.manual_seed(0)
    start = {"a": (50, 90), "b": (50, 70), "c": (90, 90), "w": (90, 70), "m": (90, 70)}
    values = {key: torch.randn(shape) for key, shape in start.items()}
    mine = {key: lazytorch.tensor(value.numpy()) for key, value in values.items()}
    lazytorch.realize(*mine.values())
    places = []
    for _ in range(3):
        exec(text, {}, values)
        exec(text, {}, mine)
        lazytorch.realize(*mine.values())
        places.append(mine["w"]._storage.expression.value.address)
    for key, value in values.items():
        torch.testing.assert_close(torch.from_numpy(mine[key].numpy()), value)
    if in_place is not None:
        assert (places[1] == places[2]) == in_place
