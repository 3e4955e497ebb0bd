"""Linear algebra against real PyTorch: values, named results, gradients to second order, errors.

``tests/conformance`` has every sample of PyTorch's own; here is what it leaves out: whole plans on
every device, errors that depend on values, ``compile``, degenerate matrices.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs real PyTorch")

from comparison import check_gradients  # noqa: E402
from support import attempt, ours, same, theirs  # noqa: E402

import lazytorch  # noqa: E402
from codegen.statistics import statistics  # noqa: E402

pytestmark = [pytest.mark.pytorch]


def random(*shape: int, seed: int = 0) -> Any:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def positive(n: int, *batch: int) -> Any:
    x = random(*batch, n, n, seed=n)
    return x @ x.mT + torch.eye(n, dtype=torch.float64)


def in_both(body: Callable[[Any, Any], Any]) -> tuple[Callable[..., Any], Callable[..., Any]]:
    """One program on our package and on PyTorch."""
    return lambda *x: body(lazytorch, x), lambda *x: body(torch, x)


A, TALL, WIDE, RIGHT = random(2, 4, 4), random(5, 3), random(2, 3, 5), random(4, 2, seed=1)
# Programs whose results do not depend on the signs of vectors.
PROGRAMS: dict[str, tuple[Callable[[Any, Any], Any], tuple[Any, ...]]] = {
    "cholesky": (lambda t, x: t.linalg.cholesky(x[0] @ x[0].mT + x[1]), (A, torch.eye(4).double())),
    "upper": (lambda t, x: t.linalg.cholesky(x[0], upper=True), (positive(3, 2),)),
    "lu": (lambda t, x: tuple(t.linalg.lu(x[0]))[1:], (WIDE,)),
    "tall lu": (lambda t, x: t.linalg.lu_factor(x[0])[0], (TALL,)),
    "qr": (lambda t, x: tuple(t.linalg.qr(x[0])), (TALL,)),
    "wide qr": (lambda t, x: tuple(t.linalg.qr(x[0], "complete")), (WIDE,)),
    "eigh": (lambda t, x: tuple(abs(y) for y in t.linalg.eigh(x[0] + x[0].mT)), (A,)),
    "svd": (lambda t, x: tuple(abs(y) for y in t.linalg.svd(x[0], False)), (WIDE,)),
    "solve": (lambda t, x: t.linalg.solve(x[0].exp(), x[1]).sin(), (A, RIGHT)),
    "vector": (lambda t, x: t.linalg.solve(x[0], x[1]), (A, A[:, 0])),
    "right": (lambda t, x: t.linalg.solve(x[0], x[1], left=False), (A, random(3, 4))),
    "inv": (lambda t, x: t.linalg.inv(x[0]) @ x[1], (A, RIGHT)),
    "det": (lambda t, x: t.linalg.det(x[0]) * t.linalg.slogdet(x[0])[1], (A,)),
    "pinv": (lambda t, x: t.linalg.pinv(x[0]), (WIDE,)),
    "lstsq": (lambda t, x: t.linalg.lstsq(x[0], x[1]).solution, (TALL, random(5, 2))),
    "matrix_exp": (lambda t, x: t.linalg.matrix_exp(x[0]), (A,)),
    "matrix_power": (lambda t, x: t.linalg.matrix_power(x[0], -3), (A,)),
    "householder": (
        lambda t, x: t.linalg.householder_product(x[0], x[1]), (TALL, random(3).abs())
    ),
    "norms": (
        lambda t, x: sum(t.linalg.matrix_norm(x[0], p) for p in ("nuc", 2, -2, 1, math.inf)), (A,)
    ),
    "cond": (lambda t, x: t.linalg.cond(x[0]) + t.linalg.cond(x[0], -2), (A,)),
    "lu_solve": (
        lambda t, x: t.linalg.lu_solve(*t.linalg.lu_factor(x[0]), x[1], adjoint=True), (A, RIGHT)
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", PROGRAMS)
def test_values_and_gradients(name: str) -> None:
    body, inputs = PROGRAMS[name]
    check_gradients(*in_both(body), *inputs)


EYE = torch.eye(2)
SINGULAR, INDEFINITE = torch.tensor([[1.0, 2], [2, 4]]), torch.tensor([[1.0, 2], [2, 1]])
FAILURES: dict[str, Callable[[Any, Any], Any]] = {
    "cholesky": lambda t, x: t.linalg.cholesky(x(INDEFINITE)),
    "batch": lambda t, x: t.linalg.cholesky(x(torch.stack([EYE, INDEFINITE]))),
    "checked": lambda t, x: t.linalg.cholesky_ex(x(INDEFINITE), check_errors=True),
    "nan": lambda t, x: t.linalg.cholesky(x(EYE / 0)),
    "old": lambda t, x: t.cholesky(x(INDEFINITE)),
    "inv": lambda t, x: t.linalg.inv(x(torch.stack([EYE, SINGULAR]))),
    "inverse": lambda t, x: x(SINGULAR).inverse(),
    "power": lambda t, x: t.linalg.matrix_power(x(SINGULAR), -1),
    "solve": lambda t, x: t.linalg.solve(x(SINGULAR), x(EYE)),
    "solve_ex": lambda t, x: t.linalg.solve_ex(x(SINGULAR), x(EYE), check_errors=True),
    "lu_factor": lambda t, x: t.linalg.lu_factor(x(SINGULAR)),
    "tensorinv": lambda t, x: t.linalg.tensorinv(x(SINGULAR), ind=1),
    "svd": lambda t, x: t.linalg.svd(x(EYE / 0)),
    "pinv": lambda t, x: t.linalg.pinv(x(EYE / 0)),
    "half": lambda t, x: t.linalg.solve(x(EYE.half()), x(EYE.half())),
    "integer": lambda t, x: t.linalg.qr(x(EYE.int())),
    "not square": lambda t, x: t.linalg.det(x(torch.zeros(2, 3))),
    "pivot": lambda t, x: t.linalg.lu(x(EYE), pivot=False),
}


@pytest.mark.parametrize("name", FAILURES)
def test_errors_are_raised_at_the_call_in_the_same_words(name: str) -> None:
    expected = attempt(FAILURES[name], torch, lambda x: x)
    found = attempt(FAILURES[name], lazytorch, ours)
    assert isinstance(expected, Exception)
    assert type(found).__name__.strip("_") == type(expected).__name__.strip("_")
    assert isinstance(found, lazytorch.linalg.LinAlgError) == isinstance(
        expected, torch.linalg.LinAlgError
    )
    assert str(found) == str(expected)


def test_checks_are_left_to_the_caller_of_ex() -> None:
    for name in ("cholesky_ex", "inv_ex", "lu_factor_ex"):
        before = statistics.plans_run
        found = getattr(lazytorch.linalg, name)(ours(SINGULAR - 1))
        assert statistics.plans_run == before  # nothing is computed until it is read
        expected = getattr(torch.linalg, name)(SINGULAR - 1)
        assert found.fields == tuple(n for n in dir(expected) if n in found.fields) or found.fields
        same(found.info, expected.info)
    with pytest.raises(NotImplementedError, match="complex"):
        lazytorch.linalg.eig(ours(EYE))


def test_degenerate_matrices() -> None:
    """The adjugate of a singular matrix; infinite condition; ranks; empty matrices."""
    same(lazytorch.linalg.cond(ours(SINGULAR), 1), torch.linalg.cond(SINGULAR, 1))
    x = SINGULAR.double().requires_grad_()
    mine = ours(x)
    torch.linalg.det(x).backward(create_graph=True)  # without, PyTorch finds 0
    lazytorch.linalg.det(mine).backward()
    same(mine.grad, x.grad)
    for shape in ((0, 0), (3, 0), (0, 3), (2, 0, 0)):
        empty = torch.zeros(shape)
        for name in ("qr", "svd", "pinv", "matrix_rank", "svdvals", "lu"):
            same(getattr(lazytorch.linalg, name)(ours(empty)), getattr(torch.linalg, name)(empty))
        if shape[-1] == shape[-2]:
            for name in ("inv", "det", "cholesky", "eigh", "matrix_exp", "slogdet"):
                found = getattr(lazytorch.linalg, name)(ours(empty))
                same(tuple(found) if isinstance(found, tuple) else found,
                     getattr(torch.linalg, name)(empty))  # fmt: skip


@pytest.mark.parametrize("device", ["cpu", "opencl"])
def test_one_plan_with_kernels_around_a_host_call(device: str) -> None:
    """Generated kernels before and after, results that only a part of is read, a gradient."""
    if device == "opencl" and os.environ.get("LAZYTORCH_TEST_DEVICE", device) != device:
        pytest.skip("another device is asked for")
    x, b = positive(3, 2), random(2, 3, 2)
    given = lazytorch.tensor(x.tolist(), dtype=lazytorch.float64, device=device, requires_grad=True)
    right = lazytorch.tensor(b.tolist(), dtype=lazytorch.float64, device=device)
    for scale in (1.0, 2.0):
        given.grad = None
        factor = lazytorch.linalg.cholesky_ex(given * scale).L
        loss = lazytorch.cholesky_solve(right.sin(), factor).square().sum()
        loss.backward()
        leaf = x.clone().requires_grad_()
        expected = torch.cholesky_solve(b.sin(), torch.linalg.cholesky(leaf * scale)).square().sum()
        expected.backward()
        same(loss.detach(), expected)
        same(given.grad, leaf.grad)


def test_compiled_functions_replay_host_calls() -> None:
    """Of what is lazy; what has to look at values runs as always, and says so."""

    def lazy(x: Any) -> Any:
        return lazytorch.linalg.cholesky_ex(x @ x.mT + lazytorch.eye(3)).L.sum()

    def checked(x: Any) -> Any:
        return lazytorch.linalg.cholesky(x @ x.mT + lazytorch.eye(3)).sum()

    for function in (lazy, checked):
        fast = lazytorch.compile(function)
        for seed in range(4):
            x = random(3, 3, seed=seed).float()
            expected = torch.linalg.cholesky(x @ x.mT + torch.eye(3)).sum()
            value = fast(lazytorch.tensor(x.tolist()))
            torch.testing.assert_close(theirs(value), expected)
        assert (fast.obstacle is None) == (function is lazy), fast.obstacle


@pytest.mark.parametrize("size", [3, 40])
def test_a_batch_is_factored_as_each_of_its_matrices(size: int) -> None:
    """Small ones by NumPy over the batch, others by SciPy one by one: also where one fails."""
    rng = np.random.default_rng(0)
    a = rng.standard_normal((4, size, size))
    a = a @ a.swapaxes(1, 2) + size * np.eye(size)
    a[2, 1, 1] = -1.0
    x = lazytorch.tensor(a)
    factors, info = lazytorch.linalg.cholesky_ex(x)
    assert info.tolist() == torch.linalg.cholesky_ex(torch.tensor(a)).info.tolist() == [0, 0, 2, 0]
    for i in (0, 1, 3):
        np.testing.assert_allclose(factors[i].numpy(), np.linalg.cholesky(a[i]), rtol=1e-9)
        np.testing.assert_allclose(lazytorch.linalg.cholesky(x[i]).numpy(), factors[i].numpy())
    values, vectors = lazytorch.linalg.eigh(x)
    np.testing.assert_allclose((vectors * values[:, None] @ vectors.mT).numpy(), a, atol=1e-9)
    u, s, v = lazytorch.linalg.svd(x)
    np.testing.assert_allclose((u * s[:, None] @ v).numpy(), a, atol=1e-9)
    for i in range(4):
        np.testing.assert_allclose(lazytorch.linalg.eigh(x[i])[0].numpy(), values[i].numpy())
        np.testing.assert_allclose(lazytorch.linalg.svd(x[i])[1].numpy(), s[i].numpy())
