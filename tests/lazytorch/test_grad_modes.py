"""Grad modes: inference tensors, and each thread's own switches, as in PyTorch."""

from __future__ import annotations

import itertools

import pytest

pytest.importorskip("torch", reason="needs real PyTorch")

from stories import compare_story

pytestmark = pytest.mark.pytorch

# What is done to a tensor ``x``, made in inference mode or not, beside ``p`` that requires grad.
ACTIONS = [
    "x.is_inference()", "torch.is_inference(x)", "x.requires_grad", "x._is_view()",
    "x.add_(1)", "x[:1].add_(1)", "x.zero_()", "x.copy_(p.detach())", "x.__setitem__(0, 3.0)",
    "torch.add(p.detach(), 1, out=x)", "x.requires_grad_().is_inference()", "x.fill_(p[0] * 2)",
    "x.requires_grad_(False)", "setattr(x, 'requires_grad', True)", "x + p", "(x - p) / 2",
    "x * p", "p * x", "p / x", "torch.where(x > 1, p, x)", "(p * 1).mul_(x)", "(p * 1).add_(x)",
    "torch.dot(p, x)", "torch.maximum(p, x)", "x * x", "x.clone() * p", "x.detach() * p",
    "x.clone().requires_grad_()", "x.data.is_inference()", "x.detach().is_inference()",
    "x.view(-1).is_inference()", "x[:1]._is_view()", "x.to(torch.float64).is_inference()",
    "x.to(torch.float32).is_inference()", "x.clone().is_inference()", "(x + 1).is_inference()",
    "[t.is_inference() for t in x.split(1)]", "x.clone().add_(1)", "torch.nn.Parameter(x)",
    "torch.nn.Parameter(x, requires_grad=False).is_inference()", "(p * 2).backward(x)",
    "x.register_hook(print)", "torch.is_grad_enabled()", "torch.is_inference_mode_enabled()",
    "(p * 2).requires_grad", "Cube.apply(p, x)", "(p * 2).is_inference()", "p[:1].is_inference()",
    "torch.tensor([1.0]).is_inference()", "torch.arange(3).is_inference()",
    "torch.from_numpy(np.ones(2)).is_inference()", "torch.nn.Linear(2, 2).weight.is_inference()",
]  # fmt: skip
MAKERS = {
    "an inference tensor": "with torch.inference_mode(): x = torch.tensor([1.0, 2.0])",
    "a view of one": "with torch.inference_mode(): x = torch.tensor([1.0, 2.0, 3.0])[:2]",
    "a later view of one": "with torch.inference_mode(): x = torch.ones(3)\nx = x[:2]",
    "a result": "with torch.inference_mode(): x = p * 2",
    "a copy outside": "with torch.inference_mode(): x = p * 2\nx = x.clone()",
    "a normal one written to": "x = torch.ones(2)\nwith torch.inference_mode(): x.add_(1)",
    "a view of a normal one": "x = torch.ones(3)\nwith torch.inference_mode(): x = x[:2]",
    "normal inside": "with torch.inference_mode(), torch.inference_mode(False): x = torch.ones(2)",
}
MODES = {
    "outside": "",
    "no_grad": "with torch.no_grad(): ",
    "inference": "with torch.inference_mode(): ",
    "enable_grad inside": "with torch.inference_mode(), torch.enable_grad(): ",
    "set_grad_enabled inside": "with torch.inference_mode(), torch.set_grad_enabled(True): ",
    "normal inside": "with torch.inference_mode(), torch.inference_mode(False): ",
}
CUBE = """
class Cube(torch.autograd.Function):
    @staticmethod
    def forward(ctx, p, x):
        ctx.save_for_backward(x)
        return p * x
    @staticmethod
    def backward(ctx, g):
        return g * ctx.saved_tensors[0], None
"""


@pytest.mark.parametrize("maker", MAKERS)
def test_inference_tensors(maker: str) -> None:
    story = CUBE
    for mode, action in itertools.product(MODES.values(), ACTIONS):
        story += f"p = torch.tensor([2.0, 3.0], requires_grad=True)\n{MAKERS[maker]}\n"
        story += f"log({action!r}, {mode!r})\n{mode}fails(lambda: {action})\nlog(p.grad)\n"
    compare_story(story)


def test_views_made_in_inference_mode() -> None:
    compare_story("""
p = torch.tensor([2.0, 3.0], requires_grad=True)
y = p * 1
with torch.inference_mode(): v = y[:1]
log(v.requires_grad, v.is_inference(), v._is_view())
with torch.inference_mode(): i = torch.ones(2); fails(lambda: i._version)
fails(lambda: i._version)
fails(lambda: v.add_(1))
y.mul_(2)
fails(lambda: v * p)
""")


THREADS = {
    "each thread starts with its own modes": """
import threading
def tell(name):
    log(name, torch.is_grad_enabled(), torch.is_inference_mode_enabled())
    log((x * 2).requires_grad, (x * 2).is_inference())
    torch.set_grad_enabled(False)
    with torch.inference_mode():
        log(torch.ones(1).is_inference())
def run(*arguments):
    thread = threading.Thread(target=tell, args=arguments)
    thread.start()
    thread.join()
x = torch.ones(2, requires_grad=True)
run("plain")
log(torch.is_grad_enabled())
with torch.no_grad(): run("within no_grad"); log(torch.is_grad_enabled())
with torch.inference_mode(): run("within inference mode"); log(torch.is_inference_mode_enabled())
torch.set_grad_enabled(False)
run("switched off")
log(torch.is_grad_enabled())
torch.set_grad_enabled(True)
""",
    "one thread's no_grad while another records": """
import threading
inside, recorded = threading.Event(), threading.Event()
def without():
    with torch.no_grad():
        inside.set()
        recorded.wait(60)
        found.append((x * 3).requires_grad)
found = []
x = torch.ones(2, requires_grad=True)
thread = threading.Thread(target=without)
thread.start()
inside.wait(60)
y = x * 2
log(y.requires_grad, torch.is_grad_enabled())
recorded.set()
thread.join()
log(found)
y.sum().backward()
log(x.grad)
""",
    "several threads, a graph each": """
import threading
def work(number):
    start.wait(60)
    x = torch.tensor([0.5 + number / 4, 0.75], dtype=torch.float64, requires_grad=True)
    for step in range(4):
        y = (x * x * (step + 1)).sin() if step % 2 else (x * x * x)
        (g,) = torch.autograd.grad(y.sum(), x, create_graph=True)
        x.register_hook(lambda g: g * 0.5)
        (g * g).sum().backward()
        with torch.no_grad():
            x -= 0.01 * x.grad
    found[number] = (x, x.grad)
start, found = threading.Barrier(4), {}
threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
for t in threads: t.start()
for t in threads: t.join()
log([found[n] for n in sorted(found)])
""",
    "several threads, graphs that share a leaf": """
import threading
def work(number):
    start.wait(60)
    for _ in range(5):
        found[number] = torch.autograd.grad((w * number).square().sum(), w)[0].tolist()
w = torch.tensor([1.0, 2.0], requires_grad=True)
start, found = threading.Barrier(3), {}
threads = [threading.Thread(target=work, args=(n,)) for n in range(3)]
for t in threads: t.start()
for t in threads: t.join()
log([found[n] for n in sorted(found)], w.grad)
""",
}


@pytest.mark.parametrize("name", THREADS)
def test_threads(name: str) -> None:
    compare_story(THREADS[name])
