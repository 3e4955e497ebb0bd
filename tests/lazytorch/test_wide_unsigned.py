"""uint16, uint32 and uint64: what PyTorch does with them, and what it refuses."""

from __future__ import annotations

import io
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from devices import COMPILED, FUNCTIONS

torch = pytest.importorskip("torch", reason="needs real PyTorch")

import lazytorch  # noqa: E402

TYPES = ("uint16", "uint32", "uint64")
OTHERS = (*TYPES, "bool", "uint8", "int8", "int32", "int64", "float16", "bfloat16", "float32")
# In these, ``t`` is the library and ``x`` a tensor of four numbers, the last of them large.
EXPRESSIONS = """
x; x.clone(); x[1:3]; x[0]; x[[0, 2]]; x[t.tensor([True, False, True, False])]; x.reshape(2, 2).t()
x * 2; x * 2.5; x * x; x * True; x * -1; 2 * x; x * t.tensor(3); x / 2; x / x; x + 1.5
x + t.ones(4)
x & 6; x | x; x ^ 5; x == 2; x != x; x.eq(x); x.sqrt(); x.exp(); x.sin(); x.log(); x.reciprocal()
x.ceil(); x.floor(); x.round(); x.trunc(); x.sum(); x.prod(); x.reshape(2, 2).sum(1); x.cumsum(0)
x.sort(descending=True)[0]; x.argsort(); x.unique(); x.any(); x.all(); x.isnan(); x.isfinite()
x.float(); x.double(); x.half(); x.long(); x.int(); x.short(); x.char(); x.byte(); x.bool()
t.cat([x, x]); t.stack([x, x]); t.cat([x, t.ones(1)]); x.repeat(2); x.roll(1); x.expand(2, 4)
t.where(x == 1, x, x); t.where(x == 1, x, 2); x.clone().fill_(7); x.clone().zero_(); x.new_ones(2)
t.zeros(3, dtype=x.dtype); t.ones(3, dtype=x.dtype); t.full((2,), 9, dtype=x.dtype)
t.tensor([1, 2], dtype=x.dtype); t.zeros_like(x); t.tensor([-1, 70000, 2**40]).to(x.dtype)
t.tensor([-1.5, 1e6, 3e9, 1.7e19]).to(x.dtype); t.equal(x, x); t.allclose(x, x); x.tolist()
x.mean(dtype=t.float32); x.element_size(); x.type(); repr(t.iinfo(x.dtype).bits); t.diag(x)
x.dtype.is_signed; x.numpy(); t.from_numpy(x.numpy()); x.view(t.uint8); x.repeat_interleave(2)
t.nn.functional.pad(x, (1, 1)); x.copy_(t.tensor([1.0, 2, 3, 4])); bool(x[0]); int(x[2])
t.result_type(x, 2); t.result_type(x, 2.5); t.atan2(x, x); x.sigmoid(); x.split(2); x.ne(3)
x + 1; x - x; x < x; x >= 2; x // 2; x % 2; x ** 2; -x; ~x; abs(x); x << 1; x.max(); x.argmax()
x.clamp(0, 1); x.flip(0); x.gather(0, t.tensor([0])); x.topk(1); x.mean(); x.std(); x @ x; x.sign()
t.arange(3, dtype=x.dtype); t.linspace(0, 1, 3, dtype=x.dtype); x.median(); x.logical_not()
x + t.ones(4, dtype=t.int8); x * t.ones(4, dtype=t.int64); t.cat([x, x.long()]); x.mul_(2.5)
x.sum(dtype=x.dtype); x.add_(1); x.requires_grad_(); x.masked_fill(x == 1, 0); t.maximum(x, x)
t.cummax(x, 0); x.tril(); x.isin(x); t.arange(9)[x]; x.bincount(); x.cumprod(0); x.logical_and(x)
"""


def outcome(library: Any, dtype: str, text: str, device: str | None = None) -> Any:
    """The value in plain data, or the type of the error."""
    large = {"uint16": 65535, "uint32": 4294967295, "uint64": 18446744073709551615}[dtype]
    options = {} if device is None else {"device": device}
    x = library.tensor([1, 2, 3, large], dtype=getattr(library, dtype), **options)
    try:
        value = eval(text, {"t": library, "x": x})
        parts = value if isinstance(value, (tuple, list)) else [value]
        plain = []
        for part in parts:
            kind = repr(getattr(part, "dtype", type(part).__name__))
            plain.append((kind.replace("DType", "dtype"), getattr(part, "tolist", part.__repr__)()))
        return plain
    except Exception as error:
        return type(error)


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.filterwarnings("ignore")
def test_as_pytorch(dtype: str) -> None:
    different: list[Any] = []
    lazytorch.set_default_device(FUNCTIONS)  # a fixture sets it back
    for text in EXPRESSIONS.replace("\n", ";").split(";"):
        if not text.strip():
            continue
        expected = outcome(torch, dtype, text.strip())
        found = outcome(lazytorch, dtype, text.strip(), FUNCTIONS)
        if isinstance(expected, type):
            refused = isinstance(found, type) and issubclass(found, expected)
            different += [] if refused else [(text, expected, found)]
            continue
        if not isinstance(found, list):
            different.append((text, expected, found))
            continue
        for (kind, a), (other, b) in zip(found, expected, strict=True):
            assert kind == other, text
            if isinstance(b, str):
                assert a == b, text
            else:
                np.testing.assert_allclose(a, b, rtol=2e-3 if "half" in text else 1e-6)
    assert not different


def test_promotion_and_errors() -> None:
    for x in TYPES:
        for y in OTHERS:
            results = []
            for library in (torch, lazytorch):
                a, b = getattr(library, x), getattr(library, y)
                try:
                    results.append(repr(library.promote_types(b, a)))
                except RuntimeError as error:
                    results.append(str(error))
                results.append((library.can_cast(a, b), library.can_cast(b, a)))
            assert results[:2] == results[2:]


def test_compiled_code() -> None:
    """Conversions and arithmetic of all three in generated code."""
    rng = np.random.default_rng(0)
    for name in TYPES:
        array = rng.integers(0, np.iinfo(name).max, 999, getattr(np, name), endpoint=True)
        results = []
        for library in (torch, lazytorch):
            x = library.from_numpy(array)
            x = x.to(COMPILED) if library is lazytorch else x
            wide = x.reshape(27, 37).t().contiguous()
            back = (library.from_numpy(array.astype(np.float64)) / 3).to(x.dtype)
            results.append([
                x * 7, x & 12345, x ^ x.roll(1), x.float(), x.double(), x.int(), x.short(),
                x.sort()[0], x == x.roll(1), wide, x.float().to(x.dtype) if name == "uint16" else x,
                back, library.cat([x, x])[3:1500:2], x.sum(),
            ])  # fmt: skip
        for a, b in zip(*results, strict=True):
            assert repr(a.dtype) == repr(b.dtype)
            np.testing.assert_array_equal(a.numpy(), b.numpy(force=True))


@pytest.mark.parametrize("dtype", TYPES)
def test_printing(dtype: str) -> None:
    texts = []
    for library in (torch, lazytorch):
        kind = getattr(library, dtype)
        values = [
            library.tensor([1, 200, int(np.iinfo(dtype).max)], dtype=kind),
            library.tensor(7, dtype=kind), library.zeros(0, dtype=kind),
            library.ones(40, 40, dtype=kind),
        ]  # fmt: skip
        texts.append([repr(v) for v in values])
    assert texts[0] == texts[1]


@pytest.mark.parametrize("dtype", TYPES)
def test_files(dtype: str, tmp_path: Path) -> None:
    """Saved here and loaded there, and the reverse; safetensors; pickles; shared memory."""
    array = np.array([0, 1, np.iinfo(dtype).max], dtype)
    for writer, reader in ((torch, lazytorch), (lazytorch, torch), (lazytorch, lazytorch)):
        file = tmp_path / "x.pt"
        writer.save({"x": writer.from_numpy(array)[1:]}, file)
        found = reader.load(file)["x"]
        assert repr(found.dtype) == f"torch.{dtype}"
        np.testing.assert_array_equal(found.numpy(), array[1:])
    x = lazytorch.from_numpy(array)
    np.testing.assert_array_equal(pickle.load(io.BytesIO(pickle.dumps(x))).numpy(), array)
    np.testing.assert_array_equal(np.from_dlpack(x), array)
    x[0] = 5
    assert array[0] == 5
    safetensors = pytest.importorskip("safetensors.torch")
    lazytorch.save_safetensors({"x": x.clone()}, tmp_path / "x.safetensors")
    loaded = safetensors.load_file(tmp_path / "x.safetensors")["x"]
    assert repr(loaded.dtype) == f"torch.{dtype}"
    again = lazytorch.load_safetensors(tmp_path / "x.safetensors")["x"]
    np.testing.assert_array_equal(again.numpy(), array)
