"""Building a module here and in PyTorch, and comparing what both do."""

import re
import warnings
from collections import OrderedDict

import pytest

from lazytorch import nn, tensor

torch = pytest.importorskip("torch", reason="needs real PyTorch")


def ours(value):
    """A value with every PyTorch tensor in it turned into one of the engine."""
    if isinstance(value, torch.Tensor):
        names = {
            torch.int64: "long", torch.float32: "float", torch.float64: "double",
            torch.bool: "bool",
        }  # fmt: skip
        return getattr(tensor(value.tolist()).reshape(value.shape), names[value.dtype])()
    if isinstance(value, (tuple, list)):
        return type(value)(map(ours, value))
    if isinstance(value, dict):
        return {key: ours(item) for key, item in value.items()}
    return value


def numbers(value):
    """A tensor, or a tuple of them, as plain lists."""
    return [numbers(v) for v in value] if isinstance(value, tuple) else value.tolist()


def both(make):
    """What `make(namespace, as_tensor)` gives with PyTorch and with our modules."""
    return make(torch.nn, lambda v: v), make(nn, ours)


def outcome(action):
    """An action's error as (type, message in PyTorch's names), or None."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            action()
    except Exception as error:
        # The order in which a set prints is no part of a message.
        text = re.sub(r"\{.*\}", lambda found: str(sorted(found[0])), str(error))
        return type(error), re.sub(r"\blazytorch\b", "torch", text)
    return None


def same_state(theirs, our):
    """Copy PyTorch's state into ours through lists."""
    our.load_state_dict(OrderedDict((k, ours(v)) for k, v in theirs.state_dict().items()))


def randn(*shape):
    return torch.randn(shape, generator=torch.Generator().manual_seed(len(shape)))


def rand(*shape):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(len(shape)))


VECTOR, SIGNAL, IMAGE, VOLUME = (2, 6), (2, 4, 8), (2, 4, 6, 6), (2, 4, 4, 4, 4)
CLASSES = torch.tensor([1, 0])
SIGNS = torch.tensor([1.0, -1.0])


def inputs_of(specs):
    return [spec if isinstance(spec, torch.Tensor) else randn(*spec) for spec in specs]


def label(case):
    name, *rest = case
    return name + "-" + ",".join(str(part) for part in rest[:-1]).replace("\n", "")[:40]


def build(name, args, kwargs):
    def make(namespace, as_tensor):
        # Over PyTorch both draw from one generator, and so the same numbers.
        torch.manual_seed(7)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return getattr(namespace, name)(*as_tensor(args), **as_tensor(kwargs))

    return both(make)


def first(output):
    """What a layer is called for; some give more besides."""
    return output[0] if isinstance(output, tuple) else output


def compare_gradients(theirs, our, inputs, tolerance=1e-4, **kwargs):
    """Equal outputs, and gradients of the floating inputs and of all parameters.

    On the interpreter, which compiles nothing. ``kwargs`` of forward may be tensors.
    """
    our.to("interpreter")
    given = [x.clone().requires_grad_(x.is_floating_point()) for x in inputs]
    lazy = [ours(x).to("interpreter").requires_grad_(x.is_floating_point()) for x in inputs]
    # What is one object to a module has to be one here too.
    for i, x in enumerate(inputs):
        for j in range(i):
            if inputs[j] is x:
                given[i], lazy[i] = given[j], lazy[j]
    moved = {
        k: ours(v).to("interpreter") if isinstance(v, torch.Tensor) else v
        for k, v in kwargs.items()
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected, got = first(theirs(*given, **kwargs)), first(our(*lazy, **moved))
    torch.testing.assert_close(
        torch.tensor(got.tolist()).to(expected), expected, rtol=tolerance, atol=tolerance
    )
    seed = randn(*expected.shape).to(expected)
    (expected * seed).sum().backward()
    (got * ours(seed).to("interpreter")).sum().backward()
    pairs = [("input", x, y) for x, y in zip(given, lazy, strict=True)]
    pairs += [(k, p, dict(our.named_parameters())[k]) for k, p in theirs.named_parameters()]
    for name, x, y in pairs:
        assert (x.grad is None) == (y.grad is None), name
        if x.grad is not None:
            found = torch.tensor(y.grad.tolist()).to(x.grad).reshape(x.grad.shape)
            torch.testing.assert_close(
                found, x.grad, rtol=tolerance, atol=tolerance,
                msg=lambda text, name=name: f"{name}: {text}",
            )  # fmt: skip
