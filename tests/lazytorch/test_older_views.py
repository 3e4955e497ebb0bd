"""Views that were made before their base was asked to require grad: as PyTorch's.

They require grad and are leaves, and what is made of them has a gradient that goes on to nothing,
until something is written to the memory, or they are asked for a gradient of their own.
"""

from __future__ import annotations

from typing import Any

import pytest
import torch

import lazytorch

VIEW = "v = b[1:]; b.requires_grad_()\n"
NO_GRAD = "with torch.no_grad(): "
# Behind a view of b; what ``out`` is given must be equal, and what is raised.
PROGRAMS = {
    "what it is": "out(v.requires_grad, v.is_leaf, kind(v), v._is_view(), v._base is b)",
    "gradient": "y = (v * 2).sum(); out(y.requires_grad); y.backward(); out(b.grad, v.grad)",
    "another view": "(v * b[1:]).sum().backward(); out(b.grad, v.grad)",
    "gradient of others": "u = v * w[1:]; u.retain_grad(); u.sum().backward();"
    "out(u.grad, b.grad, w.grad)",
    "write": "v.mul_(2)",
    "tracked write": "v.mul_(w[1:])",
    "copy": "v.copy_(w[1:] * 3)",
    "item": "v[0] = w[0]",
    "form": "v.unsqueeze_(0)",
    "detach in place": "v.detach_()",
    "write to the base": "b.mul_(2)",
    "write after use": "y = v * 2; v.mul_(2)",
    "write after use of the base": "y = (b * b).sum(); v.mul_(2); y.backward()",
    "quiet write": NO_GRAD + "v.mul_(2)\nout(v.is_leaf, kind(v)); (v * w[1:]).sum().backward();"
    "out(b.grad, w.grad)",
    "quiet write to the base": NO_GRAD + "b.mul_(2)\nout(v, v.requires_grad, v._version);"
    "(v * w[1:]).sum().backward(); out(b.grad, w.grad)",
    "use, and quiet write": "y = (v * w[1:]).sum()\n" + NO_GRAD + "b.mul_(2)\n"
    "(v * w[1:]).sum().backward(); out(b.grad, w.grad, v.is_leaf, kind(v))",
    "use, and quiet write to the view": "y = (v * w[1:]).sum()\n" + NO_GRAD + "v.mul_(2)\n"
    "out(v.is_leaf, kind(v)); (v * w[1:]).sum().backward(); out(b.grad, w.grad)",
    "write through data": "v.data.mul_(2); out(b, v.is_leaf); (v * w[1:]).sum().backward();"
    "out(b.grad, w.grad)",
    "gradient of its own": "v.requires_grad_(); out(v.is_leaf, v.requires_grad, kind(v));"
    "(v * w[1:] + b[1:]).sum().backward(); out(v.grad, b.grad)",
    "gradient of its own after use": "y = (v * w[1:]).sum(); v.requires_grad_();"
    "(v * w[1:]).sum().backward(); out(v.grad, b.grad)",
    "view of what has its own": "v.requires_grad_(); u = v[1:]; out(kind(u)); u.sum().backward();"
    "out(v.grad, b.grad)",
    "view of it": "u = v[1:]; out(u.requires_grad, u.is_leaf, kind(u));"
    "(u * w[2:]).sum().backward(); out(b.grad, w.grad, v.grad)",
    "view of it without others": "u = v[1:]; (u * 2).sum().backward(); out(b.grad)",
    "write to a view of it": "u = v[1:]; u.mul_(w[2:])",
    "grad of it": "torch.autograd.grad((v * 2).sum(), v)",
    "grad of the base": "torch.autograd.grad((v * w[1:]).sum(), b)",
    "grad of the base, unused":
        "out(*torch.autograd.grad((v * w[1:]).sum(), b, allow_unused=True))",
    "no longer": "v.requires_grad_(False); out(v.requires_grad)",
    "no longer after use": "y = v * 2; v.requires_grad_(False); out(v.requires_grad)",
    "base no longer": "b.requires_grad_(False); out(v.requires_grad, v.is_leaf);"
    "(v * w[1:]).sum().backward(); out(w.grad)",
    "base no longer after use": "y = v * 2; b.requires_grad_(False);"
    "out(v.requires_grad, v.is_leaf, kind(v)); v.mul_(2); out(b)",
    "use without recording": NO_GRAD + "y = v * 2\nout(y.requires_grad, v.is_leaf, kind(v));"
    "v.mul_(2)",
    "hook": "v.register_hook(lambda g: g * 2); (v * w[1:]).sum().backward(); out(b.grad, v.grad)",
    "retain": "v.retain_grad(); (v * w[1:]).sum().backward(); out(v.grad)",
    "NumPy": "v.numpy()",
    "comparison": "out((v > 1), v.is_leaf)",
    "step": "(b * b).sum().backward(); torch.optim.SGD([b], lr=1.0).step();"
    "out(v, kind(v), v.is_leaf); (v * 2).sum().backward(); out(b.grad)",
    "optimizer of it": "torch.optim.SGD([v], lr=1.0)",
    "copies": "out(v.detach().requires_grad, v.clone().requires_grad, copy.deepcopy(v).is_leaf)",
}  # fmt: skip
# In their own words, from the views on.
OTHERS = {
    "two views": "v, u = b[1:], b[:2]; b.requires_grad_();"
    "((v * u).sum() + (b * b).sum()).backward(); out(b.grad)",
    "views of views": "v = b[1:]; u = v[1:]; b.requires_grad_();"
    "out(u.is_leaf, kind(u), u.requires_grad, v.is_leaf);"
    "(u * w[2:]).sum().backward(); out(b.grad)",
    "unbind": "x, y, z = b.unbind(); b.requires_grad_(); out(x.is_leaf, kind(x));"
    "(x * y * z).backward(); out(b.grad)",
    "expand": "v = b.expand(2, 3); b.requires_grad_(); out(v.is_leaf, v.requires_grad);"
    "(v * w).sum().backward(); out(b.grad, w.grad)",
    "required before": "v = b[1:]; v.requires_grad_(); b.requires_grad_();"
    "(v * 2 + b[1:]).sum().backward(); out(v.grad, b.grad)",
    "base in place": "c = b * 1; v = c[1:]; c.mul_(w); out(v.requires_grad, kind(v), v.is_leaf);"
    "v.sum().backward(); out(w.grad)",
    "made after": "b.requires_grad_(); v = b[1:]; out(v.is_leaf, kind(v)); v.sum().backward();"
    "out(b.grad)",
}


def _run(library: Any, text: str) -> list[Any]:
    found: list[Any] = []

    def out(*values: Any) -> None:
        tensors = (torch.Tensor, lazytorch.Tensor)
        found.extend([v.detach().tolist() if isinstance(v, tensors) else v for v in values])

    def kind(x: Any) -> str | None:
        return None if x.grad_fn is None else x.grad_fn.name()

    b, w = library.tensor([1.0, 2.0, 3.0]), library.tensor([4.0, 5.0, 6.0], requires_grad=True)
    try:
        exec(f"import copy\n{text}", {"torch": library, "b": b, "w": w, "out": out, "kind": kind})
    except (RuntimeError, ValueError) as error:
        found.append((type(error), str(error)))
    return found


@pytest.mark.parametrize("name", [*PROGRAMS, *OTHERS])
def test_as_pytorch(name: str) -> None:
    text = OTHERS[name] if name in OTHERS else VIEW + PROGRAMS[name]
    assert _run(lazytorch, text) == _run(torch, text)
