"""Check mode: planted mistakes are found at their lines, sound programs pass."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import lazytorch as torch
from codegen import check, pipeline
from codegen.runtime.compiler import find_compiler
from lazytorch import nn
from lazytorch.nn import functional as F

pytestmark = [
    pytest.mark.compiler,
    pytest.mark.skipif(find_compiler() is None, reason="no C compiler"),
]


def line_here(offset: int = 0) -> str:
    frame = inspect.currentframe()
    assert frame is not None and frame.f_back is not None
    name = str(Path(__file__)).removeprefix(str(Path.cwd()) + "/")
    return f"{name}:{frame.f_back.f_lineno + offset}"


class SmallGpt(nn.Module):
    """One block over 17 words; ``spoil`` divides zeros by zeros in its middle."""

    def __init__(self, spoil: bool = False) -> None:
        super().__init__()
        self.embedding, self.norm = nn.Embedding(17, 8), nn.LayerNorm(8)
        self.attention = nn.MultiheadAttention(8, 2, batch_first=True)
        self.feed, self.head = nn.Linear(8, 8), nn.Linear(8, 17)
        self.spoil = spoil

    def forward(self, words: Any) -> Any:
        x = self.embedding(words)
        h = self.norm(x)
        x = x + self.attention(h, h, h, need_weights=False)[0]
        if self.spoil:
            x = x + (x - x) / (x - x)  # the planted NaN
        return self.head(F.gelu(self.feed(x)))


def train(model: Any, steps: int = 2) -> float:
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    for _ in range(steps):
        words = torch.randint(0, 17, (2, 9))
        logits = model(words[:, :-1])
        loss = F.cross_entropy(logits.flatten(0, 1), words[:, 1:].flatten())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return float(loss.item())


def planted_line() -> str:
    lines, first = inspect.getsourcelines(SmallGpt)
    offset = next(i for i, line in enumerate(lines) if "planted NaN" in line)
    return f"test_check.py:{first + offset}"


def test_sound_programs_pass_and_give_the_same() -> None:
    torch.manual_seed(0)
    before = train(SmallGpt())
    torch.manual_seed(0)
    with torch.check():
        assert train(SmallGpt()) == pytest.approx(before, rel=1e-4)
        x = torch.randn(3, 5, 4)
        nn.LSTM(4, 6, batch_first=True)(x)[0].pow(2).sum().backward()
        y = torch.randn(3, 2, 8, 8)
        F.max_pool2d(nn.Conv2d(2, 3, 3, padding=1)(y), 2).logsumexp((1, 2, 3)).realize()
        torch.linalg.svd(torch.randn(4, 4))[1].sort()[0].cumsum(0).argmax().item()
        torch.randn(300, 70).bfloat16().matmul(torch.randn(70, 20).bfloat16()).realize()
        z = torch.zeros(4, 4)
        z[1:3] = 1
        z.index_add_(0, torch.tensor([0, 0, 3]), torch.ones(3, 4))
        masked = z.masked_fill(z > 1, float("-inf")).softmax(1)
    assert not bool(masked.isnan().all())


def test_a_planted_nan_is_found_at_its_line() -> None:
    model = SmallGpt(spoil=True)
    words = torch.randint(0, 17, (2, 8))
    torch.realize(words, *model.parameters())
    with torch.check(), pytest.raises(torch.inspect.CheckError) as caught:
        F.cross_entropy(model(words).flatten(0, 1), words.flatten()).item()
    message = str(caught.value)
    assert "the first NaN comes from finite numbers in 'div_" in message
    assert f"{planted_line()}\n" in message.split("  kernel of the lines")[0]
    assert "min 0, max 0, 0 NaN" in message and "source" in message


def test_a_logarithm_of_a_negative_number_is_found() -> None:
    with torch.check(), pytest.raises(torch.inspect.CheckError, match="min -4, max 2") as caught:
        x = torch.tensor([1.0, -2.0])
        y = (x * 2).log()
        here = line_here(-1)
        (y + 1).sum().item()
    assert f"line    {here}\n" in str(caught.value)


def test_a_planted_wrong_kernel_is_found_at_its_line(monkeypatch: pytest.MonkeyPatch) -> None:
    render = pipeline.render

    def wrong(kernel: Any, dialect: Any) -> Any:
        source = render(kernel, dialect)
        return replace(source, body=source.body.replace("lt_tanh_f32(", "2 * lt_tanh_f32("))

    monkeypatch.setattr(pipeline, "render", wrong)
    x = torch.linspace(-1, 1, 33)
    with torch.check():
        a = (x.exp() + 1).sum()
        b = a * x.sin().tanh()
        here = line_here(-1)
        with pytest.raises(torch.inspect.CheckError) as caught:
            (b.cumsum(0) + 1).realize()
    message = str(caught.value)
    assert "otherwise than the interpreter: element (0,)" in message
    assert here in message
    (path,) = [line.split()[1] for line in message.splitlines() if "  source" in line]
    assert "2 * lt_tanh_f32(" in Path(path).read_text()


def test_an_infinity_from_infinities_is_no_news() -> None:
    with torch.check():
        x = torch.tensor([1.0, float("inf")]) * 2
        assert x.tolist() == [2.0, float("inf")]
        with pytest.raises(torch.inspect.CheckError, match="first infinity"):
            (torch.ones(3).realize() / torch.zeros(3).realize()).realize()


@pytest.mark.host
@pytest.mark.parametrize(
    ("compute", "stored", "error"),
    [
        pytest.param(
            lambda a, b: (a * 0.5).tanh() + b, r"(out\d+\[.*\] = )(\w+);", 1e-5, id="tanh"
        ),
        pytest.param(lambda a, b: a @ b, r"(\) = )(c\d+_\d+);", 1e-4, id="matmul"),
        pytest.param(lambda a, b: a.abs().sum(), r"(\*?out\d+.* = )(\w+);", 1e-5, id="sum"),
    ],
)
def test_a_small_systematic_error_is_more_than_rounding(
    monkeypatch: pytest.MonkeyPatch, compute: Callable[[Any, Any], Any], stored: str, error: float
) -> None:
    """Kernels that store ``1 + error`` times their results, in float32."""
    factor, changed = 1.0, 0

    def planted(record: Any) -> Any:
        nonlocal changed
        kernels = []
        for k in record.kernels:
            texts = [re.subn(stored, rf"\1\2 * {factor!r}f;", t) for t in (k.body, *k.prologue)]
            body, *prologue = [text for text, _ in texts]
            kernels.append(replace(k, body=body, prologue=prologue))
            changed += sum([count for _, count in texts])
        return pipeline.plan_of(replace(record, kernels=kernels))

    monkeypatch.setattr(check, "plan_of", planted)
    torch.manual_seed(0)
    a, b, c, d = [torch.randn(n, n) for n in (256, 256, 240, 240)]
    torch.realize(a, b, c, d)
    with torch.check():
        compute(a, b).realize()
        factor = 1 + error
        with pytest.raises(torch.inspect.CheckError, match="differ by more than rounding"):
            compute(c, d).realize()  # another plan: those that were checked are kept
    assert changed
