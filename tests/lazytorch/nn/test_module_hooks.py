"""Hooks of modules: random lives of a small network, told by both libraries.

A life registers hooks of every kind on the network's modules and on all modules, removes some,
and runs forward and backward. What each hook was given, in what order, the results, gradients and
errors must be as in PyTorch.
"""

from __future__ import annotations

import random

import pytest

pytest.importorskip("torch", reason="needs real PyTorch")

from stories import DEVICE, compare_story

pytestmark = pytest.mark.pytorch

LIVES = 40 if DEVICE == "interpreter" else 12

_NETWORK = """
class Scaled(torch.nn.Module):
    def __init__(self, scale):
        super().__init__()
        weight = torch.tensor([[0.5, -1.0], [2.0, 0.25]], dtype=torch.float64)
        self.weight = torch.nn.Parameter(weight * scale)
    def forward(self, x, *, shift=0.0):
        return x @ self.weight + shift
class Pair(torch.nn.Module):
    def forward(self, x, y):
        return x * 2, x * y
class Network(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.second, self.pair = Scaled(1.0), Scaled(0.5), Pair()
    def forward(self, x):
        h = self.first(x, shift=0.25).tanh()
        a, b = self.pair(h, self.second(x))
        return a + b
def short(value):
    if isinstance(value, torch.Tensor):
        return value.tolist()
    if isinstance(value, (tuple, list)):
        return [short(e) for e in value]
    return {k: short(v) for k, v in value.items()} if isinstance(value, dict) else value
def tell(name, module, *values):
    log(name, type(module).__name__, *[short(v) for v in values])
def scaled(value, by):
    if isinstance(value, tuple):
        return tuple([scaled(v, by) for v in value])
    return value * by if isinstance(value, torch.Tensor) else value
def fail(name):
    raise ValueError(f"{name} fails")
def step():
    x = torch.tensor([[1.0, 2.0], [-0.5, 3.0]], dtype=torch.float64, requires_grad=NEEDS)
    net.zero_grad()
    def run():
        y = net(x)
        tell("result", net, y)
        y.square().sum().backward()
        # Not after a failure: PyTorch has then run a part of it.
        tell("gradients", net, x.grad, [p.grad for p in net.parameters()])
    fails(run)
every = torch.nn.modules.module
net = Network()
handles = {}
"""
_MODULES = ["net", "net.first", "net.second", "net.pair"]


def _registration(draw: random.Random, name: str) -> str:
    """A statement that registers a hook that tells what it sees, and then what ``does`` says."""
    does = draw.choice(["None", "None", "None", "{0}", "{0}", f"fail('{name}')"])
    everywhere = draw.random() < 0.25
    module = draw.choice(_MODULES)
    prepend = "" if everywhere else draw.choice(["", "", ", prepend=True"])
    kind = draw.choice(["forward_pre", "forward", "full_backward_pre", "full_backward"])
    options, given = prepend, "m"
    with_kwargs = "forward" in kind and kind != "forward_pre" and draw.random() < 0.4
    if kind == "forward_pre" and not everywhere and draw.random() < 0.4:
        with_kwargs = True
    if kind == "forward_pre":
        given, answer = (
            ("m, a, k", "scaled(a, 1.5), dict(k)") if with_kwargs else ("m, a", "scaled(a, 1.5)")
        )
        answer = f"({answer})"
    elif kind == "forward":
        given = "m, a, k, out" if with_kwargs else "m, a, out"
        answer = "scaled(out, 0.5)"
        # PyTorch forgets the kwargs of a global hook that is called after a failure.
        always = draw.random() < 0.35 and not (everywhere and with_kwargs)
        options += ", always_call=True" if always else ""
    elif kind == "full_backward_pre":
        given, answer = "m, out", "scaled(out, 2.0)"
    else:
        given, answer = "m, into, out", "scaled(into, 3.0)"
    if with_kwargs and "backward" not in kind:
        options += ", with_kwargs=True"
    hook = f"lambda {given}: (tell('{name}', {given}), {does.format(answer)})[1]"
    if everywhere:
        return f"handles['{name}'] = every.register_module_{kind}_hook({hook}{options})"
    return f"handles['{name}'] = {module}.register_{kind}_hook({hook}{options})"


def _life(seed: int) -> str:
    draw = random.Random(seed)
    body: list[str] = []
    registered: list[str] = []
    for number in range(draw.randint(3, 10)):
        name = f"h{number}"
        body.append(_registration(draw, name))
        registered.append(name)
        if draw.random() < 0.3:
            body.append("step()")
        if draw.random() < 0.3:
            gone = registered.pop(draw.randrange(len(registered)))
            body.append(f"handles['{gone}'].remove()")
    body.append("step()")
    body += [f"handles['{n}'].remove()" for n in registered]
    body.append("step()")  # as if there had never been one
    text = "\n    ".join(body)
    # The global hooks go, whatever happens.
    return (
        f"NEEDS = {draw.random() < 0.8}\n{_NETWORK}try:\n    {text}\n"
        "finally:\n    for h in handles.values(): h.remove()\n"
    )


@pytest.mark.parametrize("part", range(4))
def test_lives_of_hooks(part: int) -> None:
    for seed in range(part, LIVES, 4):
        compare_story(_life(seed))


def test_a_graph_whose_hook_failed_is_differentiated_again() -> None:
    compare_story(
        _NETWORK.replace("requires_grad=NEEDS", "requires_grad=True")
        + """
def sometimes(m, into, out):
    tell("hook", m, into, out)
    if failing: raise ValueError("not now")
for register in (net.first.register_full_backward_hook, net.second.register_full_backward_hook):
    net.zero_grad()
    handle = register(sometimes)
    x = torch.tensor([[1.0, 2.0]], dtype=torch.float64, requires_grad=True)
    y = net(x).sum()
    failing = True
    fails(lambda: y.backward(retain_graph=True))
    x.grad = None
    net.zero_grad()
    failing = False
    y.backward()
    tell("then", net, x.grad, [p.grad for p in net.parameters()])
    handle.remove()
"""
    )
