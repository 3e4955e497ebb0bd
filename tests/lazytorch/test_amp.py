"""Mixed precision: the element types that PyTorch computes in, and its scaler."""

from __future__ import annotations

import pytest

pytest.importorskip("torch", reason="needs real PyTorch")

from stories import compare_story

pytestmark = pytest.mark.pytorch

TYPES = """
F = torch.nn.functional
x = torch.tensor([[0.5, 0.25], [0.125, 0.75]])
image = torch.arange(32.0).reshape(1, 2, 4, 4) / 32
weight = torch.ones(2, 2, 3, 3) / 4
labels = torch.tensor([1, 0])
calls = [
    lambda a: a @ a, lambda a: torch.mm(a, a), lambda a: F.linear(a, a, a[0]),
    lambda a: torch.addmm(a, a, a), lambda a: torch.bmm(a[None], a[None]),
    lambda a: torch.baddbmm(a[None], a[None], a[None]), lambda a: torch.mv(a, a[0]),
    lambda a: torch.einsum("ij,jk->ik", a, a), lambda a: a.softmax(-1), lambda a: a.exp(),
    lambda a: a.sum(), lambda a: a.prod(), lambda a: F.mse_loss(a, a * 2), lambda a: a.trace(),
    lambda a: F.l1_loss(a, a * 2), lambda a: F.cross_entropy(a, labels),
    lambda a: F.nll_loss(a, labels), lambda a: F.binary_cross_entropy_with_logits(a, a),
    lambda a: F.layer_norm(a, (2,)), lambda a: a.mean(),
    lambda a: F.scaled_dot_product_attention(a[None], a[None], a[None]), lambda a: a + x,
    lambda a: torch.dot(a[0], a[0]), lambda a: torch.outer(a[0], a[0]),
    lambda a: torch.tensordot(a, a, 1), lambda a: F.huber_loss(a, a * 2), lambda a: F.gelu(a),
    lambda a: F.conv2d(image.to(a.dtype), weight), lambda a: F.max_pool2d(image.to(a.dtype), 2),
]
for dtype in (torch.bfloat16, torch.float16):
    with torch.autocast("cpu", dtype=dtype):
        for call in calls:
            log([repr(call(a).dtype) for a in (x, x.bfloat16())])
        with torch.autocast("cpu", enabled=False):
            log(x @ x, torch.is_autocast_enabled("cpu"))
        log(torch.is_autocast_enabled("cpu"), repr(torch.get_autocast_dtype("cpu")))
w = x.clone().requires_grad_()
@torch.autocast("cpu")
def loss():
    return F.mse_loss(x @ w, x)
loss().backward()
log(repr(w.grad.dtype), torch.is_autocast_enabled("cpu"))
fails(lambda: torch.autocast(3))
class Double(torch.autograd.Function):
    @staticmethod
    @torch.amp.custom_fwd(device_type="cpu", cast_inputs=torch.float32)
    def forward(ctx, a):
        log(repr(a.dtype), repr((a @ a).dtype))
        return a * 2
    @staticmethod
    @torch.amp.custom_bwd(device_type="cpu")
    def backward(ctx, g):
        log(repr((g @ g).dtype))
        return g * 2
with torch.autocast("cpu"):
    y = Double.apply(w.bfloat16())
y.sum().backward()
"""
SCALER = """
w = torch.ones(2, requires_grad=True)
optimizer = torch.optim.SGD([w], lr=0.5)
scaler = torch.amp.GradScaler("cpu", init_scale=4.0, growth_interval=2)
for factor in (1.0, 2.0, float("inf"), 1.0):
    optimizer.zero_grad()
    scaler.scale((w * factor).sum()).backward()
    scaler.unscale_(optimizer)
    log(w.grad)
    fails(lambda: scaler.unscale_(optimizer))
    scaler.step(optimizer)
    fails(lambda: scaler.step(optimizer))
    scaler.update()
    log(w, scaler.get_scale(), scaler.state_dict())
other = torch.amp.GradScaler("cpu")
other.load_state_dict(scaler.state_dict())
log(other.get_scale(), torch.amp.GradScaler("cpu", enabled=False).state_dict())
fails(lambda: scaler.update())
fails(lambda: scaler.update(torch.ones(2)))
log(torch.amp.GradScaler().is_enabled() == torch.cuda.is_available())
half = torch.ones(2, dtype=torch.float16, requires_grad=True)
half.grad = torch.ones(2, dtype=torch.float16)
fails(lambda: scaler.unscale_(torch.optim.SGD([half], lr=0.1)))
log(half.grad)
"""


STATES = """
def state():
    return [
        torch.is_autocast_enabled("cpu"), torch.is_autocast_enabled(),
        torch.is_autocast_enabled("cuda"),
        repr(torch.get_autocast_dtype("cpu")), repr(torch.get_autocast_dtype("cuda")),
        torch.is_autocast_cache_enabled(), torch.is_autocast_cpu_enabled(),
        repr(torch.get_autocast_cpu_dtype()), repr(torch.get_autocast_gpu_dtype()),
        torch.amp.is_autocast_available("cpu"), torch.amp.is_autocast_available("cuda"),
    ]
log(state())
x = torch.ones(2, 2)
with torch.autocast("cpu", dtype=torch.float16, cache_enabled=False) as c:
    log(type(c).__name__, state(), repr((x @ x).dtype))
    with torch.autocast("cpu", enabled=False):
        log(state(), repr((x @ x).dtype))
        with torch.autocast("cpu"):
            log(state(), repr((x @ x).dtype))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        log(state(), repr((x @ x).dtype))
    log(state())
    try:
        with torch.autocast("cpu", dtype=torch.bfloat16):
            raise KeyError
    except KeyError:
        log(state())
log(state())
with torch.autocast(device_type="cpu"):
    log(repr((x @ x).dtype), repr(torch.mm(x, x).sum().dtype))
with torch.amp.autocast("cpu"):
    log(repr((x @ x).dtype))
with torch.cpu.amp.autocast():
    log(repr((x @ x).dtype))
@torch.autocast("cpu")
def f(a):
    return a @ a
log(repr(f(x).dtype), f.__name__, state())
@torch.autocast("cpu", enabled=False)
def g(a):
    return a @ a
with torch.autocast("cpu"):
    log(repr(g(x).dtype), state())
c = torch.autocast("cpu")
for _ in range(2):
    with c:
        log(repr((x @ x).dtype), state())
for wrong in (
    lambda: torch.autocast(3), lambda: torch.autocast(), lambda: torch.is_autocast_enabled(3),
    lambda: torch.set_autocast_dtype("cpu", 3), lambda: torch.get_autocast_dtype("meta"),
):
    fails(wrong)
torch.set_autocast_dtype("cpu", torch.float16)
log(state())
with torch.autocast("cpu"):
    log(repr((x @ x).dtype))
torch.set_autocast_dtype("cpu", torch.bfloat16)
torch.set_autocast_enabled("cpu", True)
log(state(), repr((x @ x).dtype))
torch.set_autocast_enabled("cpu", False)
log(state(), torch.autocast_increment_nesting(), torch.autocast_decrement_nesting())
torch.clear_autocast_cache()
import warnings
with warnings.catch_warnings(record=True) as seen:
    warnings.simplefilter("always")
    torch.autocast("cpu", dtype=torch.float64)
log([str(w.message) for w in seen])
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    with torch.autocast("cpu", dtype=torch.float32):
        log(state(), repr((x @ x).dtype))
    with torch.autocast("cpu", dtype=torch.float64):
        log(state(), repr((x @ x).dtype))
w = torch.ones(2, 2, requires_grad=True)
with torch.autocast("cpu"):
    y = (w @ x) @ w
    log(y.dtype is torch.bfloat16, y.requires_grad)
    z = y.float().sum()
z.backward()
log(w.grad, repr(w.grad.dtype))
with torch.autocast("cpu"):
    y = w @ x
    w.grad = None
    y.sum().backward()
log(w.grad)
with torch.autocast("cpu"):
    out = torch.empty(2, 2)
    fails(lambda: torch.mm(x, x, out=out))
    m = torch.nn.Linear(2, 2)
    log([repr(m(x).dtype), repr(m(x.bfloat16()).dtype), repr(m(x.double().float()).dtype)])
    fails(lambda: m(x.double()))
    log([
        repr(y.dtype)
        for y in (m(x).softmax(-1), m(x) + x, torch.stack([m(x), x]), torch.cat([m(x), x]))
    ])
    x.bfloat16().add_(x)
    t = x.bfloat16()
    t += m(x)
    log(repr(t.dtype))
    fails(lambda: repr(torch.nn.functional.binary_cross_entropy(m(x).sigmoid(), x).dtype))
def h(a):
    return a @ a
log(repr(torch.utils.checkpoint.checkpoint(h, w, use_reentrant=False).dtype))
with torch.autocast("cpu"):
    for r in (True, False):
        y = torch.utils.checkpoint.checkpoint(h, w, use_reentrant=r)
        w.grad = None
        y.sum().backward()
        log(repr(y.dtype), w.grad)
class F(torch.autograd.Function):
    @staticmethod
    @torch.amp.custom_fwd(device_type="cpu")
    def forward(ctx, a):
        log(state()[:4], repr(a.dtype), repr((a @ a).dtype))
        ctx.save_for_backward(a)
        return a @ a
    @staticmethod
    @torch.amp.custom_bwd(device_type="cpu")
    def backward(ctx, g):
        (a,) = ctx.saved_tensors
        log(state()[:4], repr(g.dtype), repr((g @ a).dtype))
        return (g @ a.t()).float()
for enabled in (True, False):
    with torch.autocast("cpu", enabled=enabled):
        y = F.apply(w)
    w.grad = None
    y.sum().backward()
    log(w.grad)
fails(lambda: torch.amp.custom_fwd(lambda c, a: a))
fails(lambda: torch.amp.custom_fwd(device_type=3))
fails(lambda: torch.amp.custom_bwd(device_type=3))
"""
LIFE = """
def bits(x):
    return x.detach().float().flatten().tolist()
def life(factors, growth=2, optimizer="SGD", unscale=True, clip=False, several=False, **kw):
    w = [torch.full((3,), 0.1 + i, requires_grad=True) for i in range(2)]
    make = getattr(torch.optim, optimizer)
    opts = [make([w[0]], lr=0.3), make([w[1]], lr=0.7)] if several else [make(w, lr=0.3)]
    s = torch.amp.GradScaler("cpu", init_scale=3.0, growth_interval=growth, **kw)
    log(s.get_scale(), s._get_growth_tracker(), s.is_enabled())
    for f in factors:
        for o in opts:
            o.zero_grad()
        loss = (w[0] * w[0] * f).sum() + (w[1] * 0.3).sum() * (f if not several else 1.0)
        scaled = s.scale(loss)
        log(bits(scaled), repr(scaled.dtype))
        scaled.backward()
        for o in opts:
            if unscale:
                s.unscale_(o)
                log([bits(p.grad) for p in w])
            if clip:
                log(bits(torch.nn.utils.clip_grad_norm_(w, 0.5)))
            log(s.step(o) is None)
        s.update()
        log([bits(p) for p in w], s.get_scale(), s._get_growth_tracker(), s.state_dict())
    return s
inf, nan = float("inf"), float("nan")
for optimizer in ("SGD", "Adam", "AdamW"):
    life([1.0, 2.0, inf, 1.0, nan, 1e30, 0.7, 0.7, 0.7], optimizer=optimizer)
    life([1.0, inf, 1.0, 1.0], optimizer=optimizer, unscale=False, clip=True)
life([1.0, inf, nan, 1.0, 1.0, 1.0], several=True)
life([1.0, inf, 1.0], several=True, unscale=False, growth_factor=1.7, backoff_factor=0.3)
life([1.0, 1.0], enabled=False)
life([inf] * 5, growth=1)
life([1.0] * 5, growth=1, growth_factor=1e30)
s = torch.amp.GradScaler("cpu", init_scale=2.0)
x = torch.ones(2, requires_grad=True)
log(s.scale([x, (x * 2, x.half())]), s.scale(iter([x, x])).__class__.__name__)
fails(lambda: s.scale(3))
fails(lambda: s.scale(None))
fails(lambda: s.scale("a"))
o = torch.optim.SGD([x], lr=0.1)
fails(lambda: torch.amp.GradScaler("cpu").unscale_(o))
fails(lambda: torch.amp.GradScaler("cpu").step(o))
fails(lambda: torch.amp.GradScaler("cpu").update())
fails(lambda: s.step(o))
fails(lambda: s.unscale_(o))
fails(lambda: s.update())
s.update(5.0)
log(s.get_scale())
fails(lambda: s.update(torch.tensor([1.0, 2.0])))
s.update(torch.tensor(7.0))
log(s.get_scale())
s.scale(x.sum()).backward()
s.step(o)
fails(lambda: s.step(o))
fails(lambda: s.unscale_(o))
s.update()
s.scale(x.sum()).backward()
s.unscale_(o)
fails(lambda: s.unscale_(o))
fails(lambda: s.step(o, closure=lambda: 1))
log(s.step(o))
s.update()
for name in ("growth_factor", "backoff_factor", "growth_interval"):
    log(getattr(s, "get_" + name)())
    getattr(s, "set_" + name)(3)
    log(getattr(s, "get_" + name)())
state = s.state_dict()
log(state)
t = torch.amp.GradScaler("cpu")
t.load_state_dict(state)
log(t.state_dict(), t.get_scale())
fails(lambda: t.load_state_dict({}))
torch.amp.GradScaler("cpu", enabled=False).load_state_dict({})
h = torch.ones(2, dtype=torch.float16, requires_grad=True)
oh = torch.optim.SGD([h], lr=0.1)
t.scale(h.float().sum()).backward()
fails(lambda: t.unscale_(oh))
fails(lambda: torch.amp.GradScaler("cpu", growth_factor=1.0))
fails(lambda: torch.amp.GradScaler("cpu", backoff_factor=1.0))
import pickle, copy
t.update(2.0)
u = pickle.loads(pickle.dumps(t))
fails(lambda: log(u.state_dict()))
e = torch.ones(2, requires_grad=True)
oe = torch.optim.SGD([e], lr=0.1)
v = torch.amp.GradScaler("cpu")
v.scale(x.sum())
fails(lambda: v.step(oe))
log(torch.GradScaler("cpu").is_enabled())
log(torch.amp.GradScaler("cpu", init_scale=4).get_scale(), torch.amp.GradScaler("cpu").get_scale())
class Own(torch.optim.SGD):
    def step(self, closure=None):
        log("step")
        super().step(closure)
        return 5
ow = Own([x], lr=0.1)
v = torch.amp.GradScaler("cpu")
v.scale(x.sum()).backward()
log(v.step(ow))
v.update()
"""
NETWORKS = """
def types(kind, dtype, x_type, h_type, **options):
    m, is_cell = getattr(torch.nn, kind)(3, 4, **options), kind.endswith("Cell")
    x = torch.ones(2, 3) if is_cell else torch.ones(5, 2, 3)
    x = x.to(getattr(torch, x_type)).requires_grad_()
    states = ()
    if h_type is not None:
        layers = options.get("num_layers", 1) * (2 if options.get("bidirectional") else 1)
        lead = (2,) if is_cell else (layers, 2)
        h, c = [
            torch.zeros(*lead, n, dtype=getattr(torch, h_type))
            for n in (options.get("proj_size") or 4, 4)
        ]
        states = ((h, c),) if kind.startswith("LSTM") else (h,)
    with torch.autocast("cpu", dtype=dtype):
        found = m(x, *states)
    flat = []
    def collect(y):
        if isinstance(y, tuple):
            [collect(e) for e in y]
        else:
            flat.append(y)
    collect(found)
    sum([y.float().sum() for y in flat]).backward()
    grads = [x.grad, *[p.grad for p in m.parameters()]]
    log(kind, options, x_type, h_type, [repr(y.dtype) for y in (*flat, *grads)])
for kind in ("LSTM", "GRU", "RNN", "LSTMCell", "GRUCell", "RNNCell"):
    layers = {"num_layers": 2, "bidirectional": True}
    more = [] if "Cell" in kind else [layers] + ([{"proj_size": 2}] if kind == "LSTM" else [])
    for options in ({}, {"bias": False}, *more):
        for x_type in ("float32", "bfloat16"):
            for h_type in (None, "float32", "bfloat16"):
                types(kind, torch.bfloat16, x_type, h_type, **options)
"""
FORMER = """
x = torch.ones(2, 2)
with torch.cpu.amp.autocast():
    log(repr((x @ x).dtype))
with torch.cpu.amp.autocast(False):
    log(repr((x @ x).dtype))
log(torch.cuda.amp.GradScaler(enabled=False).state_dict(), torch.cpu.amp.GradScaler().get_scale())
log(torch.cpu.is_available(), torch.cpu.device_count(), torch.cpu.synchronize())
with torch.cpu.stream(torch.cpu.current_stream()):
    log(torch.cpu.current_device())
"""


@pytest.mark.parametrize(
    "story",
    [TYPES, SCALER, STATES, LIFE, NETWORKS, FORMER],
    ids=["types", "scaler", "states", "life", "networks", "former"],
)
def test_story(story: str) -> None:
    compare_story(story)
