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


@pytest.mark.parametrize("story", [TYPES, SCALER], ids=["types", "scaler"])
def test_story(story: str) -> None:
    compare_story(story)
