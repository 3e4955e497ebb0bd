"""Whether a module does what PyTorch's does, on a sample of PyTorch's own module database."""

from __future__ import annotations

import pickle
import re
import unittest
import warnings
from collections.abc import Iterator
from typing import Any

import torch

import lazytorch

from .comparison import structure, tensors, values
from .database import TOLERANCE, _stand_in
from .translate import Translation, array_of


def modules() -> list[Any]:
    """Every record of PyTorch's module database."""
    _stand_in("expecttest", TestCase=unittest.TestCase)
    from torch.testing._internal.common_modules import module_db

    return list(module_db)


def samples(info: Any, training: bool, limit: int | None) -> list[Any]:
    """Its samples, or ``limit`` of them from all over the list."""
    torch.manual_seed(0)
    # Its samples bring random numbers of that type along.
    dtype = torch.float64 if info.module_cls.__name__.startswith("Fractional") else torch.float32
    found = info.module_inputs_func(
        info, device="cpu", dtype=dtype, requires_grad=True, training=training
    )
    found = [s for s in found if s.forward_input is not None]
    step = 1 if limit is None else -(-len(found) // limit)
    return found[:: max(step, 1)]


def errors(info: Any) -> list[Any]:
    """What its constructor or its forward must refuse."""
    if info.module_error_inputs_func is None:
        return []
    torch.manual_seed(0)
    return list(
        info.module_error_inputs_func(
            info, device="cpu", dtype=torch.float32, requires_grad=True, training=True
        )
    )


def build(cls: Any, sample: Any, translate: Any) -> Any:
    """The module that a sample's first arguments make, with either library's class."""
    given = sample.constructor_input
    torch.manual_seed(1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return cls(*translate(given.args), **translate(given.kwargs))


def counterpart(info: Any) -> Any:
    return getattr(lazytorch.nn, info.module_cls.__name__)


def check(info: Any, sample: Any, training: bool, device: str) -> Iterator[str]:
    """The reasons why ours differs."""
    translate = Constructing(device)
    real = build(info.module_cls, sample, lambda value: value).train(training)
    mine = build(counterpart(info), sample, translate).to(device).train(training)
    if repr(mine) != repr(real):
        yield f"repr {mine!r} instead of {real!r}"
    lazy = isinstance(real, torch.nn.modules.lazy.LazyModuleMixin)
    forward = leaves(sample.forward_input.args), leaves(sample.forward_input.kwargs)
    given = Translation(device)
    inputs = given(forward[0]), given(forward[1])
    if lazy:
        use(real, *forward)
        use(mine, *inputs)
    yield from load(real, mine, translate)
    expected, found = use(real, *forward), use(mine, *inputs)
    reason = structure(found, expected)
    if reason is None:
        reason = values(found, expected, TOLERANCE[torch.float32])
        yield from gradients(found, expected, (mine, given.leaves), (real, forward))
    if reason is not None:
        yield f"result: {reason}"
    yield from keep(real, mine)


def use(module: Any, args: Any, kwargs: Any) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return module(*args, **kwargs)


def leaves(value: Any) -> Any:
    """Arguments whose tensors are leaves, which collect gradients."""
    if isinstance(value, torch.Tensor):
        return value.detach().clone().requires_grad_(value.requires_grad)
    if isinstance(value, (list, tuple)):
        return type(value)(leaves(v) for v in value)
    if isinstance(value, dict):
        return {k: leaves(v) for k, v in value.items()}
    return value


class Constructing(Translation):
    """Also translates the layer that a constructor is given."""

    def __call__(self, value: Any, key: Any = None) -> Any:
        if isinstance(value, torch.nn.TransformerEncoderLayer):
            attention, first = value.self_attn, value.linear1
            return lazytorch.nn.TransformerEncoderLayer(
                attention.embed_dim, attention.num_heads, first.out_features, value.dropout.p,
                self(value.activation), value.norm1.eps, attention.batch_first, value.norm_first,
                first.bias is not None,
            )  # fmt: skip
        if isinstance(value, complex):
            return value
        return super().__call__(value, key)


def load(real: Any, mine: Any, translate: Translation) -> Iterator[str]:
    """Give ours the weights of PyTorch's; their names, their order and what is kept beside them."""
    state, own = real.state_dict(), mine.state_dict()
    if list(own) != list(state):
        yield f"state {list(own)} instead of {list(state)}"
    if own._metadata != state._metadata:
        yield f"metadata {own._metadata} instead of {state._metadata}"
    mine.load_state_dict({k: translate(v) for k, v in state.items()})


def gradients(found: Any, expected: Any, ours: Any, theirs: Any) -> Iterator[str]:
    """Equal gradients of inputs and parameters, of the results' sum with weights."""
    pairs = [
        (f, e) for f, e in zip(tensors(found), tensors(expected), strict=True) if e.requires_grad
    ]
    if not pairs:
        return
    (mine, collecting), (real, forward) = ours, theirs
    seeds = [torch.randn_like(e) for _, e in pairs]
    torch.autograd.backward([e for _, e in pairs], seeds)
    translate = Translation(str(pairs[0][0].device))
    lazytorch.autograd.backward([f for f, _ in pairs], [translate(s) for s in seeds])
    given = [t for t in tensors(list(forward)) if t.requires_grad]
    named = [(f"input {i}", m, r) for i, (m, r) in enumerate(zip(collecting, given, strict=True))]
    parameters = dict(mine.named_parameters())
    named += [(name, parameters[name], p) for name, p in real.named_parameters()]
    for name, m, r in named:
        if (m.grad is None) != (r.grad is None):
            yield f"gradient of {name}: {m.grad} instead of {r.grad}"
        elif r.grad is not None:
            # What PyTorch multiplies 0 by NaN for (norms of negative numbers that no window
            # reads) is 0 here.
            nothing = r.grad.isnan() & torch.as_tensor(array_of(m.grad) == 0)
            wanted = r.grad.masked_fill(nothing, 0)
            reason = values(m.grad, wanted, (1e-4, 1e-4))
            if reason is not None:
                yield f"gradient of {name}: {reason}"


def keep(real: Any, mine: Any) -> Iterator[str]:
    """After a step of use: equal buffers, PyTorch loads our state, and a pickle says the same."""
    state = {
        name: torch.from_numpy(value.detach().cpu().numpy())
        for name, value in mine.state_dict().items()
    }
    for name, value in real.state_dict().items():
        reason = values(mine.state_dict()[name], value, TOLERANCE[torch.float32])
        if reason is not None:
            yield f"{name} afterwards: {reason}"
    real.load_state_dict(state)
    again = pickle.loads(pickle.dumps(mine))
    if repr(again) != repr(mine) or list(again.state_dict()) != list(state):
        yield f"pickled: {again!r}"


def refusal(error: Any, cls: Any, translate: Any, device: str) -> tuple[type, str] | None:
    """What a module raises on a sample that it must refuse; None where it takes it."""
    sample = error.module_error_input
    try:
        module = build(cls, sample, translate).to(device)
        if error.error_on.name == "FORWARD_ERROR":
            module(*translate(sample.forward_input.args), **translate(sample.forward_input.kwargs))
    except Exception as raised:
        return type(raised), re.sub(r"\blazytorch\b", "torch", str(raised))
    return None
