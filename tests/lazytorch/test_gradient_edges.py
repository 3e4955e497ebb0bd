"""Gradient edges as outputs and inputs of grad() and backward(), held against PyTorch."""

from __future__ import annotations

import pytest

pytest.importorskip("torch", reason="needs real PyTorch")

from stories import compare_story

pytestmark = pytest.mark.pytorch

PRELUDE = """
edge_of = torch.autograd.graph.get_gradient_edge
grad = torch.autograd.grad
class Two(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x * 2, x * x
    @staticmethod
    def backward(ctx, a, b):
        (x,) = ctx.saved_tensors
        return a * 2 + b * 2 * x
def in_place(x):
    y = x * 2
    return y.mul_(3)
def in_a_view(x):
    y = x * 2
    y[0].mul_(3)
    return y
makers = dict(
    leaf=lambda x: x, product=lambda x: x * 2, view=lambda x: (x * 2)[1:], of_leaf=lambda x: x[1:],
    part=lambda x: (x * 2).unbind()[1], chunk=lambda x: (x * 2).chunk(3)[2],
    first=lambda x: Two.apply(x)[0], second=lambda x: Two.apply(x)[1],
    largest=lambda x: (x * 2).max(0)[0], turned=lambda x: (x * 2).view(3, 1).t(),
    in_place=in_place, in_a_view=in_a_view,
)
"""

# Each is given x, y made of it, the edge of y, and a number made of y.
CASES = {
    "input": "grad(z, e)",
    "inputs": "grad(z, [e, x])",
    "inputs of backward": "(z.backward(inputs=[e]), x.grad)",
    "twice": "grad(grad(z, e, create_graph=True)[0].sum(), x)",
    "output": "grad(e, x, ones * 2)",
    "output of backward": "(torch.autograd.backward(e, ones), x.grad)",
    "outputs": "grad([z, e], [edge_of(x)], [None, ones])",
    "no seed": "(torch.autograd.backward(e), x.grad)",
    "seed of another shape": "grad(e, x, torch.ones(7))",
    "unused": "grad((x * 3).sum(), e)",
    "unused and allowed": "grad((x * 3).sum(), e, allow_unused=True)",
    "unused and made": "grad((x * 3).sum(), e, materialize_grads=True)",
    "hook": "(y.register_hook(lambda g: g * 10) and None, grad(z, e))",
    "freed": "(z.backward(), grad(e, x, ones))[1]",
    "node": "(type(e).__name__, len(e), e.node is y.grad_fn)",
}


@pytest.mark.parametrize("case", CASES)
def test_edges(case: str) -> None:
    compare_story(f"""{PRELUDE}
for name, make in makers.items():
    x = torch.tensor([1.0, 2.0, 3.0], requires_grad=True)
    y = make(x)
    e, z, ones = edge_of(y), (y * y * y).sum(), torch.ones_like(y)
    log(name)
    fails(lambda: {CASES[case]})
""")


def test_an_edge_keeps_its_graph() -> None:
    compare_story(f"""{PRELUDE}
for name, make in makers.items():
    x = torch.tensor([1.0, 2.0, 3.0], requires_grad=True)
    y = make(x)
    e, ones = edge_of(y), torch.ones_like(y)
    del y
    log(name, grad(e, x, ones))
""")


def test_inputs_by_name() -> None:
    compare_story("""
import collections, types
x = torch.tensor([1.0, 2.0], requires_grad=True)
y = x * x
log(torch.autograd.grad(y.sum(), {"a": x, "b": y}, retain_graph=True))
for inputs in ([], {}, collections.OrderedDict(a=x), types.MappingProxyType({"a": x})):
    fails(lambda: torch.autograd.grad(y.sum(), inputs))
    fails(lambda: y.sum().backward(inputs=inputs))
y.sum().backward(inputs={"a": x})
log(x.grad)
fails(lambda: torch.autograd.graph.get_gradient_edge(torch.ones(2)))
""")
