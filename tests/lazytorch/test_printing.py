"""Printed tensors are compared with PyTorch's, character by character."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest

from lazytorch import printing

torch = pytest.importorskip("torch", reason="needs real PyTorch")
pytestmark = [pytest.mark.pytorch, pytest.mark.host]

FLOATS = [torch.float32, torch.float64, torch.float16, torch.bfloat16]
INTEGERS = [torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64]
UNSIGNED = [torch.uint16, torch.uint32, torch.uint64]
COMPLEX = [torch.complex64, torch.complex128]


@pytest.fixture(autouse=True)
def _default_options() -> Any:
    yield
    set_options(profile="default")


def set_options(**options: Any) -> None:
    torch.set_printoptions(**options)
    printing.set_printoptions(**options)


def ours(tensor: Any) -> str:
    name = str(tensor.dtype).removeprefix("torch.")
    plain = tensor.detach()
    if plain.dtype in (torch.float16, torch.bfloat16):
        plain = plain.float()
    grad_fn = tensor.grad_fn
    return printing.format_tensor(
        plain.numpy(),
        name,
        default_dtype_name=str(torch.get_default_dtype()).removeprefix("torch."),
        requires_grad=tensor.requires_grad,
        grad_fn_name=None if grad_fn is None else type(grad_fn).__name__,
    )


def random_values(generator: random.Random, shape: list[int], dtype: Any) -> Any:
    seed = generator.randrange(2**31)
    torch.manual_seed(seed)
    if dtype is torch.bool:
        return torch.rand(shape) > 0.5
    if dtype in INTEGERS or dtype in UNSIGNED:
        high = min(torch.iinfo(dtype).max, 10 ** generator.randrange(1, 18))
        low = -high if torch.iinfo(dtype).min < 0 else 0
        return torch.randint(low, high, shape).to(dtype)
    values = torch.randn(shape, dtype=torch.complex128 if dtype in COMPLEX else torch.float64)
    kind = generator.randrange(6)
    if kind == 0 and dtype not in COMPLEX:
        values = values.mul(10 ** generator.randrange(0, 9)).round()
    elif kind == 1:
        values = values * 10.0 ** generator.randrange(-12, 12)
    elif kind == 2:
        values = values * 10.0 ** torch.randint(-5, 5, shape)
    elif kind == 3:
        values = values * 0 + generator.choice([0.0, 1.0, -0.0, 1e-4, 1e8, 1.5e8, 99999.0])
    special = generator.random()
    if special < 0.3 and dtype not in COMPLEX:
        mask = torch.rand(shape) < generator.choice([0.1, 0.5, 1.0])
        values = values.masked_fill(mask, generator.choice([0.0, -0.0, np.nan, np.inf, -np.inf]))
    return values.to(dtype)


def random_shape(generator: random.Random) -> list[int]:
    rank = generator.choice([0, 1, 1, 2, 2, 3, 4])
    largest = {0: 1, 1: 60, 2: 12, 3: 6, 4: 4}[rank]
    return [
        0 if generator.random() < 0.03 else generator.randrange(1, largest) for _ in range(rank)
    ]


def random_options(generator: random.Random) -> dict[str, Any]:
    choices: dict[str, list[Any]] = {
        "precision": [None, 0, 1, 2, 6, 10],
        "threshold": [None, 0, 5, 20, 1000],
        "edgeitems": [None, 0, 1, 2, 4],
        "linewidth": [None, 10, 40, 81, 120],
        "sci_mode": [None, None, None, True, False],
        "profile": [None, "default", "short", "full"],
    }
    return {name: generator.choice(values) for name, values in choices.items()}


@pytest.mark.parametrize("seed", range(10))
def test_random_tensors_print_as_in_pytorch(seed: int) -> None:
    generator = random.Random(seed)
    dtypes = [*FLOATS, *FLOATS, *INTEGERS, *UNSIGNED, *COMPLEX, torch.bool]
    for _ in range(250):
        options = random_options(generator)
        set_options(**options)
        dtype = generator.choice(dtypes)
        tensor = random_values(generator, random_shape(generator), dtype)
        if tensor.is_floating_point() and generator.random() < 0.3:
            tensor.requires_grad_()
            if generator.random() < 0.5:
                tensor = tensor * 1
        assert ours(tensor) == repr(tensor), (options, dtype, tensor.shape)
        assert printing.get_printoptions() == torch._tensor_str.get_printoptions()


def test_summary_at_the_default_threshold() -> None:
    for shape in [(1000,), (1001,), (40, 30), (2, 600), (3, 7, 9, 11), (1, 2000)]:
        tensor = torch.arange(float(np.prod(shape))).reshape(shape)
        assert ours(tensor) == repr(tensor)


def test_default_float_type_is_silent() -> None:
    torch.set_default_dtype(torch.float64)
    try:
        for tensor in (torch.ones(2), torch.ones(2, dtype=torch.float32), torch.empty(0, 3)):
            assert ours(tensor) == repr(tensor)
    finally:
        torch.set_default_dtype(torch.float32)


def test_tensor_without_data() -> None:
    tensor = torch.zeros(2, 3, dtype=torch.float64, device="meta")
    text = printing.format_tensor(None, "float64", shape=(2, 3), device="meta")
    assert text == repr(tensor)


def test_device_suffix_and_prefix() -> None:
    text = printing.format_tensor(np.ones(2, np.float32), "float32", device="cuda:0", prefix="P(")
    assert text == "P([1., 1.], device='cuda:0')"


def test_options_return_after_the_block() -> None:
    with printing.printoptions(precision=1):
        assert printing.format_tensor(np.array(1.25), "float64") == (
            "tensor(1.2, dtype=torch.float64)"
        )
    assert printing.get_printoptions()["precision"] == 4
