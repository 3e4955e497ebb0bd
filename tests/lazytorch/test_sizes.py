"""Programs that come again at other sizes: right each time, and compiled for the second at most."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from devices import COMPILED

import lazytorch as torch
from codegen.runtime import sizes
from codegen.statistics import statistics
from lazytorch import Tensor
from lazytorch.nn import functional as F
from tests.codegen.test_opencl import PROBLEM

PROGRAMS: dict[str, Callable[[Tensor], Tensor]] = {
    "elementwise": lambda x: torch.exp(x) * 2 + x.flip(0),
    "softmax": lambda x: torch.softmax(x, 1),
    "softmax over rows": lambda x: torch.softmax(x, 0),
    "mean": lambda x: (x - x.mean()) / x.std(),
    "layer norm": lambda x: F.layer_norm(x, x.shape[1:]),
    "cumsum": lambda x: x.cumsum(0),
    "argmax": lambda x: x.argmax(0),
    "transposed": lambda x: x.t().contiguous() + 1,
    "pooled": lambda x: F.max_pool1d(x[None], 3, 2, 1),
    "gathered": lambda x: x[torch.arange(x.shape[0] - 1, -1, -1, device=x.device)],
    "padded": lambda x: F.pad(x, (1, 2, 3, 4)),
    "random": lambda x: x + 0 * torch.rand(x.shape, device=x.device),
}


@pytest.fixture
def fresh_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAZYTORCH_CACHE_DIR", str(tmp_path))


def compiled_by(program: Callable[[], object]) -> int:
    before = statistics.kernels_compiled
    program()
    return statistics.kernels_compiled - before


def check_later_sizes(name: str, device: str) -> None:
    """Five numbers of rows: after two, no kernel is compiled."""
    rng = np.random.default_rng(0)
    counts = []
    for rows in (150, 147, 161, 170, 211):
        x = rng.standard_normal((rows, 12)).astype(np.float32)
        results = []

        def run(x: np.ndarray = x, results: list[np.ndarray] = results) -> None:
            results.append(PROGRAMS[name](torch.tensor(x, device=device)).numpy())

        counts.append(compiled_by(run))
        expected = PROGRAMS[name](torch.tensor(x, device="interpreter")).numpy()
        np.testing.assert_allclose(results[0], expected, rtol=1e-5, atol=1e-6)
    assert not any(counts[2:]), counts


@pytest.mark.usefixtures("fresh_cache")
@pytest.mark.parametrize("name", PROGRAMS)
def test_later_sizes_compile_nothing(name: str) -> None:
    check_later_sizes(name, COMPILED)


@pytest.mark.opencl
@pytest.mark.skipif(bool(PROBLEM), reason=PROBLEM)
@pytest.mark.usefixtures("fresh_cache")
@pytest.mark.parametrize("name", ["softmax", "mean"])
def test_later_sizes_compile_nothing_on_opencl(name: str) -> None:
    check_later_sizes(name, "opencl")


@pytest.mark.usefixtures("fresh_cache")
@pytest.mark.parametrize("name", ["linear", "convolution", "attention"])
def test_a_model_at_other_batch_sizes(name: str) -> None:
    """Losses and gradients at every size are the interpreter's, and compiling ends."""
    rng = np.random.default_rng(1)
    width = {"linear": (40, 30), "convolution": (8, 3, 3, 3), "attention": (16, 48)}[name]
    weight = (rng.standard_normal(width) / math.sqrt(width[-1])).astype(np.float32)

    def loss(w: Tensor, batch: int) -> Tensor:
        device = w.device
        if name == "linear":
            x = torch.tensor(data[: batch * 40].reshape(batch, 40), device=device)
            return F.cross_entropy(torch.relu(x @ w), torch.arange(batch, device=device) % 30)
        if name == "convolution":
            x = torch.tensor(data[: batch * 108].reshape(batch, 3, 6, 6), device=device)
            return F.conv2d(x, w, padding=1).relu().square().mean()
        x = torch.tensor(data[: batch * 32].reshape(2, batch, 16), device=device)
        q, k, v = (x @ w).split(16, -1)
        return F.scaled_dot_product_attention(q, k, v, is_causal=True).square().mean()

    data = rng.standard_normal(20_000).astype(np.float32)
    counts = []
    for batch in (64, 50, 55, 58, 62, 51, 1, 2):
        results = []
        for device in (COMPILED, "interpreter"):
            w = torch.tensor(weight, device=device, requires_grad=True)

            def step(w: Tensor = w, batch: int = batch) -> None:
                value = loss(w, batch)
                value.backward()
                assert w.grad is not None
                results.append((value.numpy(force=True), w.grad.numpy()))  # noqa: B023

            if device == COMPILED:
                counts.append(compiled_by(step))
            else:
                step()
        for found, expected in zip(*results, strict=True):
            np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)
    # Of attention, the length is a number of columns too: products of those stay as they are.
    assert name == "attention" or not any(counts[3:6]), counts


@pytest.mark.compiler
@pytest.mark.host
@pytest.mark.usefixtures("fresh_cache")
def test_a_convolution_by_winograds_transform_at_other_batch_sizes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("LAZYTORCH_WINOGRAD", "1")
    rng = np.random.default_rng(2)
    weight = torch.tensor(rng.integers(-3, 4, (12, 9, 3, 3)) * 4.0, dtype=torch.float32)
    counts = []
    for batch in (64, 50, 55, 58, 62, 51):
        x = torch.tensor(rng.integers(-3, 4, (batch, 9, 11, 13)), dtype=torch.float32)
        expected = F.conv2d(x.to("interpreter"), weight.to("interpreter"), padding=1)
        found: list[Tensor] = []

        def run(x: Tensor = x, found: list[Tensor] = found) -> None:
            found.append(F.conv2d(x, weight, padding=1).realize())

        counts.append(compiled_by(run))
        np.testing.assert_array_equal(found[0].numpy(), expected.numpy())
    assert not any(counts[3:]), counts


@pytest.mark.usefixtures("fresh_cache")
def test_a_number_that_is_no_size_changes_nothing() -> None:
    """Programs that differ in what their numbers mean have kernels of their own."""
    x = torch.arange(24.0).reshape(2, 3, 4)
    for dim in (0, 1, 2):
        np.testing.assert_array_equal(x.sum(dim).numpy(), x.numpy().sum(dim))
        np.testing.assert_array_equal(x.flip(dim).numpy(), np.flip(x.numpy(), dim))
    for exponent in (2, 3, 4, 0.5):
        np.testing.assert_allclose((x**exponent).numpy(), x.numpy() ** exponent, rtol=1e-6)


@pytest.mark.usefixtures("fresh_cache")
def test_a_further_size_looks_at_its_own_texts_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not again at those of every size before: each took longer than the one before."""
    looked = []
    text_of = sizes.literal_text
    monkeypatch.setattr(sizes, "literal_text", lambda k: looked.append(k) or text_of(k))
    weight = torch.ones(12, 5)
    counts = []
    for rows in range(301, 313):
        looked.clear()
        (torch.ones(rows, 12) * rows @ weight).softmax(1).sum(0).realize()
        counts.append(len(looked))
    assert max(counts[6:]) == min(counts[6:]) > 0
