"""Autograd: Functions, hooks, the graph and its errors, as stories told by both libraries."""

from __future__ import annotations

import os
import weakref
from typing import Any

import pytest

pytest.importorskip("torch", reason="needs real PyTorch")

from stories import compare_story

import lazytorch as torch

pytestmark = pytest.mark.pytorch

CUBE = """
class Cube(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, k):
        y = x * x * x * k
        ctx.save_for_backward(x, y)
        ctx.k = k
        return y
    @staticmethod
    def backward(ctx, g):
        x, y = ctx.saved_tensors
        log(ctx.needs_input_grad, type(ctx).__name__, y)
        return 3 * x * x * g * ctx.k, None
x = torch.tensor([2.0, 3.0], requires_grad=True)
"""
TWO = """
class Two(torch.autograd.Function):
    @staticmethod
    def forward(a, b):
        return a + b, a * b, 3, a > b
    @staticmethod
    def setup_context(ctx, inputs, output):
        ctx.save_for_backward(*inputs)
        ctx.set_materialize_grads(MATERIALIZE)
    @staticmethod
    def backward(ctx, *grads):
        log(grads)
        a, b = ctx.saved_tensors
        g1, g2 = [0 if g is None else g for g in grads[:2]]
        return g1 + b * g2, g1 + g2 * a
a = torch.ones(3, requires_grad=True)
b = torch.full((3,), 2.0, requires_grad=True)
s, p, n, m = Two.apply(a, b)
log(s, p, n, m, s.requires_grad, m.requires_grad)
p.sum().backward(retain_graph=True)
log(a.grad, b.grad)
(s * p).sum().backward()
log(a.grad, b.grad)
"""
FUNCTIONS = {
    "a Function": CUBE + """
y = Cube.apply(x * 2, 2)
log(y, y.grad_fn.name(), y.grad_fn.next_functions[0][0].name(), y.is_leaf, y.grad_fn is y.grad_fn)
y.sum().backward(retain_graph=True)
log(x.grad, y.grad_fn.k, y.grad_fn.saved_tensors[0])
y.sum().backward()
log(x.grad)
fails(lambda: y.sum().backward())
with torch.no_grad():
    log(Cube.apply(x, 1).requires_grad)
log(Cube.apply(x.detach(), 1).requires_grad)
fails(lambda: Cube())
""",
    "a Function differentiated twice, and among other operations": CUBE + """
y = Cube.apply(x.sin(), 2).exp()
g, = torch.autograd.grad(y.sum(), x, create_graph=True)
h, = torch.autograd.grad((g * g).sum(), x)
log(y, g, h)
z = Cube.apply(Cube.apply(x, 1) * x, 1) + x
log(torch.autograd.grad(z.sum(), [x]))
""",
    "several results": "MATERIALIZE = True" + TWO,
    "several results, gradients that do not arrive": "MATERIALIZE = False" + TWO,
    "an input that is written to": """
class Double(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        x.mul_(2)
        ctx.mark_dirty(x)
        return x
    @staticmethod
    def backward(ctx, g):
        return g * 5
a = torch.ones(3, requires_grad=True)
z = a * 1
w = Double.apply(z)
log(w is z, z, z.grad_fn.name(), z._version)
z.sum().backward()
log(a.grad)
fails(lambda: Double.apply(a))
v = a * 3
Double.apply(v[1:])
v.sum().backward()
log(a.grad)
""",
    "an input that is returned": """
class Same(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, y):
        ctx.mark_non_differentiable(y)
        return x, y
    @staticmethod
    def backward(ctx, g, h):
        log(g, h)
        return g * 5, h
a = torch.ones(3, requires_grad=True)
v, b = a * 1, torch.ones(2)
x, y = Same.apply(v, b)
log(x is v, y is b, x.grad_fn.name(), y.requires_grad)
fails(lambda: x.mul_(2))
x.sum().backward()
log(a.grad)
""",
    "wrong gradients": """
def function(answer):
    class Wrong(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x, k):
            return x * 2
        @staticmethod
        def backward(ctx, g):
            return answer(g)
    return lambda: Wrong.apply(torch.ones(2, requires_grad=True), 3).sum().backward()
fails(function(lambda g: g))
fails(function(lambda g: (g, None, None)))
fails(function(lambda g: (g, None, 2)))
fails(function(lambda g: (g, g)))
fails(function(lambda g: (torch.ones(3), None)))
fails(function(lambda g: (g.expand(4, 2), None)))
fails(function(lambda g: (g.double(), None)))
class Nothing(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return x * 2
fails(lambda: Nothing.apply(torch.ones(2, requires_grad=True)).sum().backward())
class Saves(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(3)
        return x * 2
fails(lambda: Saves.apply(torch.ones(2, requires_grad=True)))
""",
    "a saved value that is written to": CUBE + """
z = x * 2
y = Cube.apply(z, 1)
z.add_(1)
fails(lambda: y.sum().backward())
y = Cube.apply(x, 1)
y.add_(1)
fails(lambda: y.sum().backward())
""",
    "once differentiable": """
from torch.autograd.function import once_differentiable
class Once(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x * x
    @staticmethod
    @once_differentiable
    def backward(ctx, g):
        log(torch.is_grad_enabled())
        return 2 * g * ctx.saved_tensors[0]
x = torch.ones(2, requires_grad=True)
Once.apply(x).sum().backward()
log(x.grad)
g, = torch.autograd.grad((Once.apply(x) * x).sum(), x, create_graph=True)
log(g)
fails(lambda: torch.autograd.grad(g.sum(), x))
""".replace("from torch.autograd.function import once_differentiable",
            "once_differentiable = torch.autograd.function.once_differentiable"),
}  # fmt: skip

HOOKS = {
    "hooks of nodes": """
a = torch.ones(3, requires_grad=True)
v = a * 2
node = v.grad_fn
node.register_prehook(lambda g: (log("before", g), (g[0] * 2,))[1])
node.register_hook(lambda inputs, outputs: log("after", inputs, outputs))
h = node.register_hook(lambda inputs, outputs: (inputs[0] * 3, None))
v.register_hook(lambda g: log("tensor", g))
(v * v).sum().backward(retain_graph=True)
log(a.grad, v.grad_fn is node, node.metadata, node.name())
node.metadata["key"] = 1
h.remove()
(v * v).sum().backward()
log(a.grad, v.grad_fn.metadata)
""",
    "a view of a view": """
a = torch.arange(6.0, requires_grad=True)
y = a * 2
v = y.view(2, 3)
w = v.t()[1:]
v.register_hook(lambda g: g * 10)
v.retain_grad()
(w * w).sum().backward(retain_graph=True)
log(a.grad, v.grad, v._base is y, w._base is y, y._base, w._is_view())
log(torch.autograd.grad(w.sum(), [v, y, a], retain_graph=True))
log(w.grad_fn.name(), w.grad_fn.next_functions[0][0].name())
node = w.grad_fn.next_functions[0][0].next_functions[0][0]
log(node.name(), node.next_functions[0][0].name())
u = v.flatten()[2:]
log(torch.autograd.grad((u * u).sum(), [v, u], retain_graph=True))
y.mul_(2)
fails(lambda: torch.autograd.grad(w.sum(), v))
log(w.grad_fn.name())
""",
    "leaves": """
a = torch.ones(2, requires_grad=True)
order = []
a.register_hook(lambda g: g * 2)
a.register_post_accumulate_grad_hook(lambda p: log("collected", p.grad))
node = (a + 1).grad_fn.next_functions[0][0]
node.register_prehook(lambda g: log("before", g))
node.register_hook(lambda *g: log("after", g))
log(node.name(), node.variable is a, node.next_functions)
(a * 3).sum().backward()
with torch.autograd.set_multithreading_enabled(False):
    (a * 3).sum().backward()
log(a.grad)
fails(lambda: a.sum().backward(inputs=[]))
for answer in (3, a.detach()):
    h = a.register_post_accumulate_grad_hook(lambda p: answer)
    try:
        a.sum().backward()
    except (TypeError, RuntimeError) as e:
        log(type(e).__name__)
    h.remove()
""",
    "an error leaves the graph usable": """
a = torch.ones(2, requires_grad=True)
y = a.exp()
def stop(g):
    raise ValueError("stop")
h = y.register_hook(stop)
z = (y * y).sum()
fails(lambda: z.backward())
log(a.grad)
""",
    "module hooks with several inputs and results": """
class M(torch.nn.Module):
    def forward(self, x, y, k):
        return x * y, k, x + y
m = M()
m.register_full_backward_pre_hook(lambda m, g: log("pre", g))
m.register_full_backward_hook(lambda m, i, o: log("full", i, o))
m.register_full_backward_hook(lambda m, i, o: (i[0] * 2, i[1] * 3, None))
a, b = torch.ones(2, requires_grad=True), torch.full((2,), 2.0, requires_grad=True)
p, k, s = m(a, b, 3)
log(p, k, s, p.grad_fn.name())
(p.sum() + 2 * s.sum()).backward()
log(a.grad, b.grad)
fails(lambda: m(a, b, 3)[0].mul_(2))
""",
}


FUNCTIONAL = """
F = torch.autograd.functional
x = torch.tensor([0.5, 2.0], requires_grad=True)
y = torch.tensor([1.0, -1.0])
f = lambda a, b: (a * b * a, (a.exp() * b).sum())
g = lambda a, b: (a ** 3 * b * b).sum()
linear = lambda a: (2 * a, a[0])
v = torch.tensor([1.0, 3.0])
log(F.vjp(f, (x, y), (v, torch.tensor(2.0))))
log(F.jvp(f, (x, y), (v, v)), F.jvp(linear, x, v), F.vjp(linear, x, (v, v[0])))
log(F.jacobian(f, (x, y)), F.jacobian(torch.sin, x), F.jacobian(linear, x))
log(F.jacobian(f, (x, y), vectorize=True))
log(F.jacobian(f, (x, y), vectorize=True, strategy="forward-mode"))
log(F.hessian(g, (x, y)), F.hessian(lambda a: a.prod(), x), F.hessian(g, (x, y), vectorize=True))
log(F.hvp(g, (x, y), (v, v)), F.vhp(g, (x, y), (v, v)), F.vhp(lambda a: a.sum(), x, v))
j = F.jacobian(torch.exp, x, create_graph=True)
log(torch.autograd.grad(j.sum(), x), F.jacobian(torch.exp, x).requires_grad)
h = F.hessian(lambda a: (a ** 3).sum(), x, create_graph=True)
log(torch.autograd.grad(h.sum(), x))
fails(lambda: F.vjp(f, (x, y), v))
fails(lambda: F.vjp(f, (x, y)))
fails(lambda: F.jvp(f, (x, y), (v, v[:1])))
fails(lambda: F.jvp(f, (x, y), v))
fails(lambda: F.vjp(f, 3))
fails(lambda: F.vjp(f, (x, 3)))
fails(lambda: F.vjp(lambda a: 3, x))
fails(lambda: F.hessian(torch.exp, x))
fails(lambda: F.hessian(f, (x, y)))
for strict in [F.vjp, F.jvp]:
    fails(lambda: strict(lambda a: y, x, v, strict=True))
    u = v if strict is F.jvp else (v, v[0])
    fails(lambda: strict(linear, x, u, create_graph=True, strict=True))
fails(lambda: F.jacobian(lambda a, b: a, (x, y), strict=True))
fails(lambda: F.jacobian(lambda a: 2 * a, x, strict=True, create_graph=True))
fails(lambda: F.hessian(lambda a: a.sum(), x, strict=True))
fails(lambda: F.hvp(lambda a: a.sum(), x, v, strict=True))
fails(lambda: F.jacobian(torch.exp, x, strict=True, vectorize=True))
fails(lambda: F.jacobian(torch.exp, x, strategy="forward-mode"))
fails(lambda: F.jacobian(torch.exp, x, strategy="other"))
z = x * x
log(torch.autograd.grad(z, x, torch.eye(2), is_grads_batched=True))
fails(lambda: torch.autograd.grad(x * x, x, torch.ones(3), is_grads_batched=True))
log(torch.autograd.grad((x * 2).sum(), x, create_graph=True)[0].requires_grad)
log(torch.autograd.grad((x * x).sum(), x, create_graph=True)[0].requires_grad)
"""


def test_functional() -> None:
    compare_story(FUNCTIONAL)


GRADCHECK = """
check, twice = torch.autograd.gradcheck, torch.autograd.gradgradcheck
x = torch.tensor([[0.5, 2.0], [0.3, -0.7]], dtype=torch.float64, requires_grad=True)
y = torch.tensor([0.25, 1.5], dtype=torch.float64, requires_grad=True)
for fast in (False, True):
    log(check(torch.sin, x, fast_mode=fast), twice(torch.sin, x, fast_mode=fast))
    log(check(lambda a, b, k: (a @ b * k, a.exp().sum()), (x, y, 3), fast_mode=fast))
    log(twice(lambda a, b: a @ b * b, (x, y), fast_mode=fast))
log(check(lambda a: a.detach() * 0 + 1, x), check(torch.softmax, (x, 1), check_batched_grad=True))
class Wrong(torch.autograd.Function):
    @staticmethod
    def forward(ctx, a, answer):
        ctx.answer = answer
        ctx.save_for_backward(a)
        return a * a
    @staticmethod
    def backward(ctx, g):
        return ctx.answer(g, *ctx.saved_tensors), None
wrong = lambda answer: (lambda a: Wrong.apply(a, answer))
fails(lambda: check(wrong(lambda g, a: 3 * a * g), x))
fails(lambda: check(wrong(lambda g, a: 2 * a), y))
log(check(wrong(lambda g, a: 3 * a * g), x, raise_exception=False))
log(check(wrong(lambda g, a: 2 * a * g), x))
fails(lambda: check(torch.detach, x))
fails(lambda: check(torch.sin, x.detach()))
fails(lambda: check(torch.sin, y[:, None].expand(2, 3)))
layer = torch.nn.Linear(2, 1).double()
log(check(lambda w: layer(x.detach()), layer.weight))  # which is read otherwise than by w
fails(lambda: check(lambda a: a[a > 0.4999999], torch.full((2,), 0.4999999, dtype=x.dtype,
                                                           requires_grad=True)))
cases = ((lambda a: (a.detach() * 2, a * 2), y), (lambda a: (a, None), y),
         (lambda a: a.max(0), x), (lambda a: a * a.detach(), y), (lambda a: a.abs(), y))
for f, given in cases:
    given = given.detach().requires_grad_()
    for options in ({}, {"check_forward_ad": True, "check_backward_ad": False}, {"masked": True},
                    {"check_batched_grad": True}, {"nondet_tol": 1.0, "eps": 1e-3},
                    {"check_batched_forward_grad": True, "check_forward_ad": True}):
        fails(lambda: check(f, given, **options))
        fails(lambda: log(check(f, given, raise_exception=False, **options)))
    fails(lambda: twice(f, given, check_fwd_over_rev=True, gen_non_contig_grad_outputs=True,
                        raise_exception=False))
fails(lambda: twice(torch.sin, y, check_rev_over_rev=False))
"""


def test_gradcheck() -> None:
    compare_story(GRADCHECK)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_function(name: str) -> None:
    compare_story(FUNCTIONS[name])


@pytest.mark.parametrize("name", HOOKS)
def test_hooks(name: str) -> None:
    compare_story(HOOKS[name])


VIEWS = """
x = torch.ones(2, 3, requires_grad=True)
def fresh():
    return x * 2
for several in (lambda y: y.unbind(0), lambda y: y.split(1), lambda y: y.split([1, 1]),
                lambda y: y.chunk(2)):
    u = several(fresh())
    log(u[0].grad_fn.name(), u[1]._base is u[0]._base)
    fails(lambda: u[0].mul_(2))
    fails(lambda: u[1].view(-1)[0].zero_())
    plain = several(torch.ones(2, 3))
    plain[0].mul_(2)
    fails(lambda: plain[1].mul_(torch.ones(3, requires_grad=True)))
    with torch.no_grad():
        u = several(fresh())
        u[0].mul_(2)
    fails(lambda: u[0].mul_(2))
u = torch.unsafe_split(fresh(), 1)
u[0].mul_(2)
y = fresh()
with torch.no_grad():
    v = y[0]
log(v.requires_grad, v.is_leaf, v.grad_fn)
fails(lambda: v.mul_(2))
(v * v).sum().backward()
log(v.grad, x.grad)
y.mul_(2)
fails(lambda: (v * 2).sum())
with torch.no_grad():
    log(torch.ones(3).view(-1).requires_grad, x.t().requires_grad, x.t()[0].requires_grad)
y = fresh()
y.copy_(torch.ones(2, 3, requires_grad=True))
log(y.grad_fn.name().split(":")[-1])
y.sum().backward()
log(x.grad)
a = torch.ones(4, requires_grad=True)
v = a.view(2, 2)
a.requires_grad_(False)
log(v.requires_grad, v.grad_fn.name(), a.requires_grad)
v.sum().backward()
log(a.grad)
y = fresh()
v = y.view(-1)
y.detach_()
log(v.requires_grad, v.grad_fn.name(), y.requires_grad, y.grad_fn)
v.sum().backward()
log(x.grad)
fails(lambda: v.detach_())
"""


ANOMALY = """
import warnings
def sqrt_of(x):
    return x.sqrt() * 0
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    with torch.autograd.detect_anomaly():
        x = torch.tensor([0.0, 1.0], requires_grad=True)
        fails(lambda: sqrt_of(x).sum().backward())
        y = x.exp()
        z = y * y
        y.add_(1)
        fails(lambda: z.sum().backward())
    texts = [str(w.message) for w in caught]
    log(len(texts), texts[0], texts[1].split(".")[0], "in sqrt_of" in texts[1])
    log(texts[2].split(".")[0])
sqrt_of(x).sum().backward()
calls = []
a, b = torch.ones(2, requires_grad=True), torch.ones(2, requires_grad=True)
with torch.autograd.graph.register_multi_grad_hook([a, b], lambda g: log("all", g)):
    (a * b * 3).sum().backward()
(a * b * 3).sum().backward()
log(torch.autograd.graph.get_gradient_edge(a).output_nr)
"""


def test_anomaly() -> None:
    compare_story(ANOMALY)


def test_a_long_graph_and_its_memory() -> None:
    """Long graphs (50,000 nodes with FUZZ=1) are walked without recursion; a freed graph goes at
    once."""
    with torch.device("interpreter"):
        x = torch.ones(4, requires_grad=True)
        y = x
        for _ in range(25_000 if os.environ.get("FUZZ") else 2_500):
            y = (y + 1) * 1.0
        (g,) = torch.autograd.grad(y.sum(), x)
        assert g.tolist() == [1.0] * 4
        x = torch.ones(4, requires_grad=True)
        y = (x.exp() * x).sin()
        torch.realize(y)
        middle = weakref.ref(y._storage.expression.call.inputs[0])
        node = weakref.ref(y.grad_fn)
        y.sum().backward(retain_graph=True)
        torch.realize(x.grad)
        assert middle() is not None and node() is None
        y.sum().backward()
        torch.realize(x.grad)
        assert middle() is None
        del y
        y = Square.apply(x.exp())
        context = weakref.ref(y.grad_fn)
        del y
        assert context() is None


class Square(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: torch.Tensor) -> torch.Tensor:
        y = x * x
        ctx.save_for_backward(x, y)
        return y


SAVED = """
graph = torch.autograd.graph
x = torch.tensor([0.5, 2.0, -1.0], requires_grad=True)
w = torch.tensor([[1.0, 2.0, 3.0], [0.5, -1.0, 2.0]], requires_grad=True)
count = []
def pack(t):
    count.append(1)
    log(type(t).__name__, t.requires_grad)
    return t.tolist()
def unpack(p):
    return torch.tensor(p)
with graph.saved_tensors_hooks(pack, unpack):
    y = x * x.exp()
log(y, len(count))
y.sum().backward()
log(x.grad)
with graph.saved_tensors_hooks(lambda t: t * 2, lambda t: t):
    y = x.sin() + (w @ x).sum() + x.exp().sum() + x.softmax(0)[0]
g, = torch.autograd.grad(y.sum(), x)
log(g)
with graph.saved_tensors_hooks(lambda t: t, lambda t: t):
    y = x.exp() * x * x
g, = torch.autograd.grad(y.sum(), x, create_graph=True)
log(g)
log(torch.autograd.grad(g.sum(), x))
class Cube(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x ** 3
    @staticmethod
    def backward(ctx, g):
        return 3 * ctx.saved_tensors[0] ** 2 * g
with graph.saved_tensors_hooks(lambda t: t * 2, lambda t: t):
    y = Cube.apply(x)
log(torch.autograd.grad(y.sum(), x))
with graph.save_on_cpu():
    y = (x * x).sum()
log(torch.autograd.grad(y, x))
def nested():
    with graph.disable_saved_tensors_hooks("not here"):
        with graph.saved_tensors_hooks(pack, unpack):
            pass
fails(nested)
with graph.allow_mutation_on_saved_tensors():
    z = x * 1
    y = (z * z).sum()
    with torch.no_grad():
        z.zero_()
    log(torch.autograd.grad(y, x))
z = x * 1
y = (z * z).sum()
z.add_(1)
fails(lambda: torch.autograd.grad(y, x))
def stop(t):
    raise ValueError("stop")
def fail():
    with graph.saved_tensors_hooks(stop, stop):
        x * x
fails(fail)
with graph.saved_tensors_hooks(lambda t: t, lambda t: 3):
    y = (x * x).sum()
fails(lambda: y.backward())
y = x * x.exp()
log(y.grad_fn._saved_self is x, y.grad_fn._saved_other)
log(y.grad_fn.next_functions[1][0]._saved_result)
fails(lambda: y.grad_fn._saved_nothing)
y.sum().backward()
fails(lambda: y.grad_fn._saved_self)
"""


def test_hooks_on_saved_values() -> None:
    compare_story(SAVED)


def test_views() -> None:
    compare_story(VIEWS)


def test_copies_have_none_of_a_leafs_node() -> None:
    compare_story("""
import copy, io, pickle
x = torch.nn.Parameter(torch.ones(2))
def node_of(leaf):
    return (leaf * 2).grad_fn.next_functions[0][0]
node = node_of(x)
node.register_hook(lambda *found: log(found))
node.metadata["kept"] = 1
file = io.BytesIO()
torch.save(x, file)
file.seek(0)
for y in (copy.deepcopy(x), pickle.loads(pickle.dumps(x)), torch.load(file)):
    log(node_of(y) is node, dict(node_of(y).metadata))
    (y * 2).sum().backward()
    log(y.grad)
(x * 2).sum().backward()
""")
