"""What users see of autograd at its edges, beside PyTorch: wrong arguments, wrong hooks,
gradcheck of complex functions, what `.data =` does, Jacobians of numbers and of nothing."""

from __future__ import annotations

import pytest
from stories import compare_story

HOOKS = """
def through(hook, before=False):
    a = torch.ones(2, requires_grad=True)
    b = a * 2
    (b.grad_fn.register_prehook if before else b.grad_fn.register_hook)(hook)
    b.sum().backward()
    return a.grad
def mine(answer):
    def hook(*gradients):
        return answer(*gradients)
    return hook
for before in (False, True):
    for answer in (
        lambda g, *_: 3,
        lambda g, *_: g[0],
        lambda g, *_: list(g),
        lambda g, *_: (g[0],) * 3,
        lambda g, *_: ("a",) + g[1:],
        lambda g, *_: (torch.ones(3),) + g[1:],
        lambda g, *_: (g[0].double(),) + g[1:],
    ):
        fails(lambda: through(mine(answer), before))
    log(through(mine(lambda g, *_: (g[0] * 3,) + g[1:]), before))
    log(through(mine(lambda g, *_: None), before))
"""

MODULE_HOOKS = """
def through(kind, answer):
    m = torch.nn.Linear(2, 2)
    torch.nn.init.ones_(m.weight)
    getattr(m, "register_" + kind)(lambda *_: answer)
    x = torch.ones(1, 2, requires_grad=True)
    m(x).sum().backward()
    return x.grad, m.weight.grad
threes = torch.full((1, 2), 3.0)
for kind in ("full_backward_hook", "full_backward_pre_hook"):
    for answer in (3, "s", (torch.full((1, 3), 3.0),), (threes.double(),), (threes, threes)):
        fails(lambda: through(kind, answer))
    log(through(kind, (threes,)), through(kind, [threes]), through(kind, None))
"""

DATA = """
def described(*tensors):
    log([(x, x.requires_grad, x.is_leaf, x._is_view()) for x in tensors])
others = (
    torch.full((2,), 5.0, dtype=torch.float64), torch.full((2,), 5.0).half(),
    torch.full((2,), 5.0), torch.full((2, 2), 5.0)[1], torch.full((2,), 5.0, requires_grad=True),
    torch.full((2,), 5.0, requires_grad=True) * 1,
)
for y in others:
    a = torch.tensor([1.0, 2.0], requires_grad=True)
    b = a * 2
    b.register_hook(lambda g: g * 10)
    b.data = y
    described(a, b, y)
    (b * b).sum().backward()
    log(a.grad)
    with torch.no_grad():
        b.add_(1)
    described(b, y)
    c = torch.tensor([1.0, 2.0], requires_grad=True)
    c.data = y
    described(c)
    (c * c).sum().backward()
    log(c.grad)
    base = torch.ones(2, 2, requires_grad=True)
    with torch.no_grad():
        view = base[0]
    view.data = y
    log(base, base.requires_grad)
    (base * 2).sum().backward()
    log(base.grad)
def give(x, value):
    x.data = value
x = torch.ones(2, requires_grad=True)
for x in (x, x * 2):
    for wrong in (1, None, [1.0], np.ones(2), torch.ones(2).to_sparse(), torch.ones(2).long()):
        fails(lambda: give(x, wrong))
    fails(lambda: delattr(x, "data"))
m = torch.nn.Linear(2, 2)
for p in m.parameters():
    p.data = torch.ones_like(p.data).double()
m(torch.ones(1, 2).double()).sum().backward()
log(m.weight.grad, m.bias.grad)
"""

ARGUMENTS = """
a = torch.ones(2, requires_grad=True)
b = a * 2
fails(lambda: torch.autograd.grad(a.sum(), []))
fails(lambda: (a * 1).sum().backward(inputs=[3]))
one = torch.ones(())
fails(lambda: torch.autograd.backward(a.sum(), grad_tensors=one, grad_variables=one))
edge = torch.autograd.graph.get_gradient_edge
log(torch.autograd.grad((b * b).sum(), (edge(b), edge(a), b), retain_graph=True))
(b * b).sum().backward(inputs=[edge(a)])
log(a.grad)
fails(lambda: setattr(a, "requires_grad", 1))
fails(lambda: setattr(a, "requires_grad", "x"))
fails(lambda: a.requires_grad_(1))
fails(lambda: torch.ones(2).long().requires_grad_())
fails(lambda: torch.set_grad_enabled(3))
log(torch.is_grad_enabled())
fails(lambda: torch.autograd.graph.saved_tensors_hooks(3, 4).__enter__())
log((a * a).sum())
"""

ANOMALY = """
class Wrong(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return x * 2
    @staticmethod
    def backward(ctx, g):
        return g * float("nan")
a = torch.ones(2, requires_grad=True)
with torch.autograd.detect_anomaly():
    fails(lambda: Wrong.apply(a).sum().backward())
    fails(lambda: torch.autograd.grad(Wrong.apply(a).sum(), a))
with torch.autograd.detect_anomaly(check_nan=False):
    log(torch.autograd.grad(Wrong.apply(a).sum(), a)[0].isnan())
"""

EXTREMES = """
import math
x = torch.tensor([88.0, 90.0, 100.0, 103.0, 104.0, 1e3, -88.0, -1e3, 0.0, float("nan")])
for y in (x, x.double(), x.bfloat16(), torch.tensor([float("inf"), -float("inf")])):
    y = y.requires_grad_()
    (g,) = torch.autograd.grad(torch.nn.functional.logsigmoid(y).sum(), y)
    log([round(math.log(e), 2) if e > 0 else e for e in g.double().tolist()])
"""

WITHOUT_DERIVATIVE = """
x = torch.tensor([3.0, -7.0], requires_grad=True)
for make in (
    lambda: x // 2, lambda: (x * 1).floor_divide_(x), lambda: torch.heaviside(x, x),
    lambda: 7 // x,
):
    y = make()
    log(y.grad_fn.name(), type(y.grad_fn).__name__, y)
    fails(lambda: (y * 2).sum().backward())
    fails(lambda: torch.autograd.grad(y.sum(), x))
    log(torch.autograd.grad((y.detach() * x).sum(), x), y.long())
"""

RECIPROCAL = """
x = torch.tensor([3.0, -7.0, 0.0, 1e-42], requires_grad=True)
for y in (3 / x, 2.5 / x, True / x, 1j / x, 3 / x.detach().long(), 3 / x.double()):
    log([float(e).hex() for e in y.detach().abs().flatten()], repr(y.dtype))
y = 3 / x
log(y.grad_fn.name(), y.grad_fn.next_functions[0][0].name())
z = x * 1
y = 3 / z
z.mul_(2)
y.sum().backward()
log(x.grad)
"""

SAVED = """
F = torch.nn.functional
x = torch.tensor([[0.5, 0.25], [0.125, 0.75]], requires_grad=True)
w, plain = x.detach().clone().requires_grad_(), x.detach() + 1
results = [
    x * w, x * plain, x * 2, x / w, plain / x, x / 2, x + 1, x.add(w, alpha=2), x - w, 2 - x,
    x**2, x**2.5, x**w, 2**x, x.square(), x.exp(), x.sqrt(), x.sin(), x.tanh(), x.relu(),
    x.sigmoid(), x.log(), x.reciprocal(), x @ w, x @ plain, x[0] @ w[0], x @ w[0], torch.mm(x, w),
    torch.bmm(x[None], w[None]), F.linear(x, w, w[0]), F.linear(x, w), torch.addmm(x, w, plain),
    x.softmax(0), x.log_softmax(1), x.sum(), x.sum(0), x.sum((0, 1), keepdim=True), x.mean(),
    x.mean(1), x.prod(), x.prod(0), x.max(), x.max(0)[0], x.median(0)[0], x.sort(0)[0],
    x.topk(1, 0)[0], x.amax(0), x.logsumexp(0), x.cumsum(0), x.cumprod(1), x.cummax(0)[0],
    x.clamp(0.2, 0.6), x.clamp(min=0.3), torch.maximum(x, w), torch.lerp(x, w, 0.25),
    torch.where(plain > 1.3, x, w), x.masked_fill(plain > 1.3, 0.0), x.tril(), x.trace(), x.flip(0),
    torch.cat([x, w], 1), torch.stack([x, w]), x.gather(0, torch.tensor([[0, 1]])), F.gelu(x),
    F.silu(x), F.leaky_relu(x, 0.2), F.softplus(x, 2.5, 15.5), F.hardtanh(x), F.mse_loss(x, w),
    F.smooth_l1_loss(x, w), F.huber_loss(x, w), torch.addcmul(x, w, plain, value=2), x.clone(),
    torch.atan2(x, w), torch.dot(x[0], w[0]), torch.mv(x, w[0]),
]
for y in results:
    node = y.grad_fn
    names = [n for n in dir(node) if n[:7] == "_saved_" and n[-8:] != "_strides"]
    log(node.name(), [(name, getattr(node, name)) for name in names])
    log([n for n in dir(node) if n[:11] == "_raw_saved_"])
    log(node.requires_grad, [m.dtype is torch.float32 for m in node._input_metadata[:1]])
y = x * w
log(y.grad_fn._saved_self is x, y.grad_fn._saved_other is w)
later = x * w
log(y.grad_fn._sequence_nr() < later.grad_fn._sequence_nr())
y.sum().backward()
fails(lambda: y.grad_fn._saved_self)
fails(lambda: y.grad_fn._saved_nothing)
z = x * 1
y = z * w
with torch.no_grad():
    z.add_(1)
fails(lambda: y.grad_fn._saved_self)
log(y.grad_fn._saved_other)
s = x.sum(0)
s.sum().backward()
log(s.grad_fn._saved_dim)
x.grad = w.grad = None
y = x.exp() * w
raw = y.grad_fn._raw_saved_self
raw.register_hooks(lambda t: t * 10, lambda t: (log("unpack", t), t + 1)[1])
fails(lambda: raw.register_hooks(lambda t: t, lambda t: t))
log(y.grad_fn._saved_self)
y.sum().backward()
log(x.grad, w.grad)
fails(lambda: (x * plain).grad_fn._raw_saved_self.register_hooks(lambda t: t, lambda t: t))
"""

COMPLEX = """
gradcheck = torch.autograd.gradcheck
class Wrong(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x * x
    @staticmethod
    def backward(ctx, g):
        return g * 3 * ctx.saved_tensors[0]
real = torch.tensor([1.0, 2.0], dtype=torch.float64, requires_grad=True)
z = (real + 1j).detach().requires_grad_()
right = [
    (lambda x: x * x.conj(), z), (lambda x: (x * x).real, z), (lambda x: x.abs(), z),
    (lambda x: x * (2 + 1j), real), (lambda x: (x.exp(), x.imag), z),
    (lambda x: x * 1j, torch.zeros(0, dtype=torch.complex128, requires_grad=True)),
]
for fast in (False, True):
    for function, x in right:
        log(gradcheck(function, (x,), fast_mode=fast, check_forward_ad=True))
    log(gradcheck(Wrong.apply, (z,), fast_mode=fast, raise_exception=False))
    try:
        gradcheck(Wrong.apply, (z,), fast_mode=fast)
    except RuntimeError as error:
        log(type(error).__name__, str(error).split("numerical" if fast else "NOTE")[0])
"""

JACOBIANS = """
F = torch.func
n, x = torch.tensor(2.0), torch.tensor([1.0, 2.0, 3.0])
for jac in (F.jacrev, F.jacfwd):
    log(jac(lambda a: a * a)(n), jac(lambda a: a * x)(n), jac(lambda a: (a * x).sum())(x))
    log(jac(lambda a, b: (a * b, b), (0, 1))(n, x), F.vmap(jac(lambda a: a * a))(x))
    log(jac(lambda a: a)(torch.zeros(0)), jac(lambda a: a.sum())(torch.zeros(0)))
    log(jac(lambda a: a[:0])(x), jac(lambda a: (a[:0], a))(x))
    fails(lambda: jac(lambda a: a * a)(x + 1j))
log(F.hessian(lambda a: a**3)(n), F.vmap(F.hessian(lambda a: a**3))(x))
for y in (x, x.clone().requires_grad_()):
    found = [
        torch.autograd.functional.jacobian(f, y, vectorize=True, strategy="forward-mode")
        for f in (torch.sin, lambda a: (a * a).sum(), lambda a: a.detach() * 2)
    ] + [
        torch.autograd.functional.hessian(
            f, y, vectorize=True, outer_jacobian_strategy="forward-mode"
        )
        for f in (lambda a: (a**3).sum(), lambda a: a.exp().sum())
    ]
    log(found, [e.requires_grad for e in found])
def looked_at(a):
    log(F.debug_unwrap(a), F.debug_unwrap(a * 2))
    return a.sum()
looked_at(x)
for transform in (F.grad, F.vmap, lambda f: F.vmap(F.vmap(f)), lambda f: F.vmap(F.grad(f))):
    transform(looked_at)(x if transform is F.grad else torch.ones(2, 3, 4))
F.vmap(F.vmap(lambda a: (log(F.debug_unwrap(a, recurse=False).shape), a)[1]))(torch.ones(2, 3, 4))
fails(lambda: F.jvp(lambda a: a, (x.long(),), (x.long(),)))
fails(lambda: F.jacfwd(lambda a: a)(x.long()))
fails(lambda: F.vjp(lambda a: a * 2, x)[1](1.0))
fails(lambda: F.grad(lambda a: (a.sum().backward(), a.sum())[1])(x))
fails(lambda: F.vmap(lambda a: (a.sum().backward(), a.sum())[1])(torch.ones(2, 3)))
"""


@pytest.mark.parametrize(
    "story",
    [
        HOOKS,
        MODULE_HOOKS,
        DATA,
        ARGUMENTS,
        ANOMALY,
        WITHOUT_DERIVATIVE,
        EXTREMES,
        RECIPROCAL,
        SAVED,
        COMPLEX,
        JACOBIANS,
    ],
)
def test_story(story: str) -> None:
    compare_story(story)
