"""A grid of checkpoints: how they are called, around which part, and what becomes of the result."""

from __future__ import annotations

import contextlib
import itertools
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="needs real PyTorch")

from devices import FUNCTIONS as DEVICE  # noqa: E402
from stories import near, plain  # noqa: E402

import lazytorch  # noqa: E402

pytestmark = [pytest.mark.pytorch, pytest.mark.filterwarnings("ignore")]
TESTS = 12


class Run:
    """One case under one library: its tensors, and what it has noted."""

    def __init__(self, t: Any) -> None:
        self.t = t
        self.x = t.tensor([[0.5, -1.0], [2.0, 0.25]], dtype=t.float64, requires_grad=True)
        self.w = t.tensor([1.5, -0.5], dtype=t.float64, requires_grad=True)
        self.module = t.nn.Linear(2, 2, dtype=t.float64)
        with t.no_grad():
            self.module.weight.copy_(self.x.detach() * 0.5)
            self.module.bias.copy_(self.w.detach())
        self.log: list[Any] = []
        self.calls = 0

    def part(self, x: Any) -> Any:
        self.calls += 1
        return self.inner(self, x)

    def result(self) -> Any:
        return self.how(self, self.part, self.x)

    def loss(self) -> Any:
        found = self.result()
        self.log.append(plain(found))
        return _total(self.t, found)

    inner: Any
    how: Any


def _total(t: Any, found: Any) -> Any:
    """A number made of all that a part gave."""
    if isinstance(found, t.Tensor):
        return (found * found).sum() if found.is_floating_point() else 0
    if isinstance(found, dict):
        found = list(found.values())
    return sum([_total(t, v) for v in found]) if isinstance(found, (list, tuple)) else 0


def _inplace(s: Run, x: Any) -> Any:
    y = x * s.w
    y.mul_(x)
    y.add_(1)
    return y.sin()


def _without_grad(s: Run, x: Any) -> Any:
    with s.t.no_grad():
        y = x.sin()
    return y * x * s.w


def _hooked(s: Run, x: Any) -> Any:
    y = x.sin() * s.w
    if y.requires_grad:
        y.register_hook(lambda g: s.log.append("hook"))
    return y


def _fails_again(s: Run, x: Any) -> Any:
    if s.calls > 1:
        raise ValueError("the second run")
    return (x * s.w).sin()


PARTS: dict[str, Callable[[Run, Any], Any]] = {
    "plain": lambda s, x: (x * s.w).sin() * x,
    "saves nothing": lambda s, x: x * 2 + 1,
    "several": lambda s, x: (x.sin(), (x * s.w).cos()),
    "nested": lambda s, x: (x.sin(), 3, None, [x * s.w, "a"]),
    "dictionary": lambda s, x: {"a": x.sin() * s.w, "b": 2},
    "closure": lambda s, x: (x.detach() * s.w).sin(),
    "detached": lambda s, x: x.detach().sin(),
    "itself": lambda s, x: x,
    "mask": lambda s, x: (x > 0, x * s.w.exp()),
    "in place": _inplace,
    "module": lambda s, x: s.module(x).tanh(),
    "no_grad": _without_grad,
    "hook": _hooked,
    "fails again": _fails_again,
    "other": lambda s, x: (x * s.w).sin() if s.calls == 1 else (x[:1] * s.w).sin(),
    "fewer": lambda s, x: (x * s.w).sin().exp() if s.calls == 1 else (x * s.w).sin(),
}


@contextlib.contextmanager
def _noted(s: Run, name: str) -> Iterator[None]:
    s.log.append(f"into {name}")
    yield
    s.log.append(f"out of {name}")


def _called(**options: Any) -> Any:
    return lambda s, f, x: s.t.utils.checkpoint.checkpoint(f, x, **options)


def _with_keywords(s: Run, f: Any, x: Any) -> Any:
    def part(a: Any, *, scale: Any, other: Any = None) -> Any:
        found = f(a)
        return found * scale if isinstance(found, s.t.Tensor) else found

    call = s.t.utils.checkpoint.checkpoint
    return call(part, x, scale=s.w.exp(), other=[x], use_reentrant=False)


def _with_contexts(s: Run, f: Any, x: Any) -> Any:
    def contexts() -> Any:
        return _noted(s, "first"), _noted(s, "second")

    call = s.t.utils.checkpoint.checkpoint
    return call(f, x, use_reentrant=False, context_fn=contexts)


def _under_autocast(s: Run, f: Any, x: Any) -> Any:
    with s.t.autocast("cpu", s.t.bfloat16):
        return s.t.utils.checkpoint.checkpoint(f, x, use_reentrant=False)


HOWS: dict[str, Callable[[Run, Any, Any], Any]] = {
    "plain": _called(use_reentrant=False),
    "reentrant": _called(use_reentrant=True),
    "other numbers": _called(use_reentrant=False, preserve_rng_state=False),
    "late": _called(use_reentrant=False, early_stop=False),
    "unchecked": _called(use_reentrant=False, determinism_check="none"),
    "of a value": lambda s, f, x: _called(use_reentrant=False)(s, f, x * 1),
    "keywords": _with_keywords,
    "contexts": _with_contexts,
    "autocast": _under_autocast,
}


def _grad(s: Run) -> Any:
    return s.t.autograd.grad(s.loss(), [s.x, s.w], allow_unused=True)


def _twice(s: Run, **options: Any) -> None:
    loss = s.loss()
    loss.backward(**options)
    loss.backward()


def _second(s: Run) -> None:
    (g,) = s.t.autograd.grad(s.loss(), s.x, create_graph=True)
    s.log.append(plain(g))
    g.sum().backward()


def _within(make: Callable[[Run], Any], around_backward: bool = False) -> Callable[[Run], Any]:
    def use(s: Run) -> Any:
        if around_backward:
            loss = s.loss()
            with make(s):
                loss.backward()
            return None
        with make(s):
            loss = s.loss()
        return loss.backward() if loss.requires_grad else loss

    return use


def _packing(s: Run) -> Any:
    def pack(x: Any) -> Any:
        s.log.append("packed")
        return x.detach()

    def unpack(x: Any) -> Any:
        s.log.append("unpacked")
        return x

    return s.t.autograd.graph.saved_tensors_hooks(pack, unpack)


def _packed_result(s: Run) -> None:
    with _packing(s):
        found = s.result()
    _total(s.t, found).backward()


def _argument_written(s: Run) -> None:
    loss = s.loss()
    with s.t.no_grad():
        s.x.mul_(2)
    loss.backward()


def _kept(s: Run) -> None:
    found = s.result()
    found.register_hook(lambda g: s.log.append(plain(g)))
    found.retain_grad()
    (found * found).sum().backward()
    s.log.append(plain(found.grad))


def _leaf_hook(s: Run) -> None:
    s.x.register_hook(lambda g: g * 2)
    s.loss().backward()


USES: dict[str, Callable[[Run], Any]] = {
    "backward": lambda s: s.loss().backward(),
    "retained": lambda s: _twice(s, retain_graph=True),
    "freed": _twice,
    "grad": _grad,
    "one grad": lambda s: s.t.autograd.grad(s.loss(), s.w),
    "inputs": lambda s: s.loss().backward(inputs=[s.x]),
    "second": _second,
    "anomaly": _within(lambda s: s.t.autograd.detect_anomaly()),
    "no_grad": _within(lambda s: s.t.no_grad()),
    "inference": _within(lambda s: s.t.inference_mode()),
    "disabled": _within(lambda s: s.t.autograd.graph.disable_saved_tensors_hooks("none here")),
    "disabled in backward": _within(
        lambda s: s.t.autograd.graph.disable_saved_tensors_hooks("none here"), True
    ),
    "on cpu": _within(lambda s: s.t.autograd.graph.save_on_cpu()),
    "packed": _packed_result,
    "packed in backward": _within(_packing, True),
    "written": _argument_written,
    "kept": _kept,
    "leaf hook": _leaf_hook,
    "jvp": lambda s: s.t.func.jvp(
        lambda x: s.how(s, s.part, x), (s.x.detach(),), (s.t.ones_like(s.x).detach(),)
    ),
    "func.grad": lambda s: s.t.func.grad(lambda x: _total(s.t, s.how(s, s.part, x)))(s.x.detach()),
    "vmap": lambda s: s.t.func.vmap(lambda x: s.how(s, s.part, x))(s.x.detach()),
}


def _is_compared(how: str, part: str, use: str) -> bool:
    """Not where PyTorch goes on with results of other shapes, packs what nobody needs, or calls a
    result that is an argument a view; nor which tangents it finds to require grad."""
    left_out = [
        how == "unchecked" and part == "other",
        how == "reentrant" and part == "dictionary" and use == "packed",
        how == "reentrant" and part == "itself" and use == "written",
        part == "several" and use == "jvp",
    ]
    return not any(left_out)


def outcome(t: Any, how: str, part: str, use: str) -> Any:
    s = Run(t)
    s.inner, s.how = PARTS[part], HOWS[how]
    try:
        found: Any = plain(USES[use](s))
    except Exception as error:
        text = str(error).split("\n")[0].replace("lazytorch", "torch")
        found = [type(error).__name__, re.sub("0x[0-9a-f]+", "", text)]
    gradients = [plain(x.grad) for x in (s.x, s.w, s.module.weight, s.module.bias)]
    return [found, gradients, [plain(e) for e in s.log], s.calls]


def _cases() -> list[tuple[str, str, str]]:
    return [case for case in itertools.product(HOWS, PARTS, USES) if _is_compared(*case)]


@pytest.mark.parametrize("number", range(TESTS))
def test_checkpoint(number: int) -> None:
    for case in _cases()[number::TESTS]:
        expected = outcome(torch, *case)
        with lazytorch.device(DEVICE):
            found = outcome(lazytorch, *case)
        assert near(found, expected), f"{case}\n{found}\nPyTorch {expected}"
