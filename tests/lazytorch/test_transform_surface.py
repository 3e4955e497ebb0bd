"""torch.func, forward mode and autograd.functional beside PyTorch's, in what a user sees: types of
results, flags, texts, errors. Each line is run by both libraries; what it shows has to be the same.
"""

from __future__ import annotations

import re
import warnings
from typing import Any

import pytest
import torch

import lazytorch

_SETTING = """
x, y = torch.tensor([1.0, 2.0]), torch.tensor([3.0, 4.0])
r, s, i = x.clone().requires_grad_(), torch.tensor(2.0), torch.tensor([1, 2])
"""


def _shown(value: Any, library: Any) -> str:
    if isinstance(value, library.Tensor):
        flags = f"{tuple(value.shape)} {value.dtype} {value.requires_grad} {value.is_leaf}"
        return f"{flags} {value.detach() if value.requires_grad else value}"
    if isinstance(value, (tuple, list)):
        return f"{type(value).__name__}[{', '.join([_shown(v, library) for v in value])}]"
    return repr(value)


def told(code: str, library: Any) -> str:
    """What a program shows: its values, or its error."""
    lines: list[str] = []
    names = {
        "torch": library, "func": library.func, "functional": library.autograd.functional,
        "forward": library.autograd.forward_ad, "nn": library.nn, "F": library.nn.functional,
        "show": lambda *values: lines.extend([_shown(v, library) for v in values]),
    }  # fmt: skip
    library.manual_seed(0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            exec(_SETTING + code, names)
        except Exception as error:
            lines.append(f"{type(error).__name__}: {error}")
    return re.sub("0x[0-9a-f]+", "0x", "\n".join(lines).replace("lazytorch", "torch"))


def compare(code: str) -> None:
    assert told(code, lazytorch) == told(code, torch)


_OPTIONS = (
    "", "create_graph=True", "strict=True", "vectorize=True",
    "vectorize=True, strategy='forward-mode'", "strategy='forward-mode'",
)  # fmt: skip
JACOBIANS = [
    f"show(functional.jacobian({function}, {inputs}, {options}))"
    for function, inputs in (
        ("lambda a: a * a", "x"),
        ("lambda a: a * a", "r"),
        ("lambda a: (a * a, a.sum())", "(x,)"),
        ("lambda a: ()", "x"),
        ("lambda a: a.long()", "x"),
        ("lambda a, b: a * b", "(x, s)"),
        ("lambda a, b: (a * b, a.sum())", "(x, s)"),
        ("lambda a, b: (a * b).sum()", "(x, s)"),
        ("lambda a, b: a * b", "(x, i)"),
        ("lambda a: torch.ones(2)", "x"),
        ("lambda a: 3.0", "x"),
    )
    for options in _OPTIONS
] + [
    f"show(functional.hessian({function}, {inputs}, {options}))"
    for function, inputs in (
        ("lambda a: (a**3).sum()", "x"),
        ("lambda a, b: (a * a * b).sum()", "(x, s)"),
        ("lambda a: a", "x"),
    )
    for options in ("", "vectorize=True", "outer_jacobian_strategy='foo'", "strict=True")
]


@pytest.mark.parametrize("code", JACOBIANS)
def test_jacobians(code: str) -> None:
    compare(code)


@pytest.mark.parametrize(
    "code",
    [
        "show(s[:1])",
        "show(functional.jacobian(lambda a: a[:0], x))",
        "z = (r * 1).view(2, 1)\nprint(z.t().reshape(2).grad_fn, z.t().reshape(1, 2, 1).grad_fn)",
        "z = r.expand(3, 2)\nshow(type(z[:, 0].reshape(3, 1).grad_fn).__name__)",
    ],
)
def test_shapes(code: str) -> None:
    compare(code)


# What is made of a dual tensor ``d``: its text with the tangent, its flags, its parts.
_OF_DUALS = (
    "d", "d * 2", "d.sin()", "d.view(2, 1)", "d[1:]", "d[0]", "d.clone()", "d.detach()", "d.data",
    "d.sum()", "torch.cat([d, d])", "d.clone().mul_(3)", "torch.zeros(2).copy_(d)", "d > 1",
    "d.max()", "d.to(torch.float64)", "torch.where(d > 1.5, d, d * 2)", "d.expand(2, 2)",
    "torch.ones(2).add_(d)", "d.clone().zero_()", "d.clone().fill_(2.0)", "d.softmax(0)", "d @ d",
    "(d * 2).detach_()", "d[d > 1]", "d[torch.tensor([0])]", "torch.zeros_like(d)", "d.norm()",
    "d * d.sum().item()", "torch.zeros(2, 2).fill_diagonal_(2)",
)  # fmt: skip
DUALS = [
    f"with forward.dual_level():\n"
    f"    d = forward.make_dual(x, y)\n    {before}z = {made}\n"
    "    show(str(z), z, *forward.unpack_dual(z))"
    for made in _OF_DUALS
    for before in ("", "with torch.no_grad(): ")
] + [
    f"""
with forward.dual_level():
    d = forward.make_dual({value}, {tangent})
    {line}
    show(str(z), z, forward.unpack_dual(z).tangent)
    show(z.requires_grad, z.is_leaf, z.grad_fn is None)
"""
    for value, tangent in (("x", "y"), ("x", "r"))
    for line in (
        "z = torch.zeros(2, 2); v = z[0]; v.copy_(d)",
        "z = torch.zeros(2); z[1:] = d[1:]",
        "z = d.clone(); z[0] = 5.0",
        "z = d * 2; z.tolist(); z = z + 1",
    )
    if tangent == "y"
] + [
    f"with forward.dual_level():\n    d = forward.make_dual(x, y)\n    {line}"
    for line in (
        "forward.make_dual(d * 2, y)",
        "forward.make_dual(y, d)",
        "forward.make_dual(x, y, level=1)",
        "forward.make_dual(x, y, level=-1)",
        "forward.unpack_dual(d, level=1)",
        "forward.unpack_dual(1.0)",
        "d.sum().backward()",
        "show((d * 2).numpy().tolist())",
        "z = d * 1; z.requires_grad_(); show(z.requires_grad, z.is_leaf)\n    "
        "(z * z).sum().backward(); show(z.grad.detach())",
        "z = (r * r * d).sum(); g, = torch.autograd.grad(z, r); show(str(g), g)",
        "z = (r * r).sum(); show(z.requires_grad, forward.unpack_dual(z).tangent)",
    )
] + [
    "z = forward.unpack_dual(x)\nshow(z[0], z[1])",
    "z = x.double().requires_grad_()\n"
    "show(torch.autograd.gradgradcheck(lambda a: a, z, check_fwd_over_rev=True))",
    """
with forward.dual_level():
    d = forward.make_dual(r, y)
    (d * 2).sum().backward()
    torch.optim.SGD([r], 0.1).step()
    show(r.requires_grad, r.is_leaf, r.detach().tolist())
""",
    """
with forward.dual_level():
    d = forward.make_dual(r, y)
    for z in (d.view(2, 1), d.sin(), torch.zeros(2).add_(d)):
        p, t = forward.unpack_dual(z)
        show(z.requires_grad, p.requires_grad, t.requires_grad)
    with torch.no_grad():
        for z in (d * 2, d[1:], d.clone().mul_(2)):
            show(z, forward.unpack_dual(z).tangent)
    g, = torch.autograd.grad(forward.unpack_dual((d**3).sum()).tangent, r)
    show(g)
""",
    """
class Scaled(torch.autograd.Function):
    @staticmethod
    def forward(ctx, a):
        ctx.save_for_forward(a)
        return a * 2
    @staticmethod
    def jvp(ctx, t):
        return t * 5 * ctx.saved_tensors[0].detach()
    @staticmethod
    def backward(ctx, g):
        return g * 7
with forward.dual_level():
    show(str(Scaled.apply(forward.make_dual(x, y)) * 2))
""",
]  # fmt: skip


@pytest.mark.parametrize("code", DUALS)
def test_dual_tensors(code: str) -> None:
    compare(code)


# What a function of torch.func sees of its values: the text, and what it may not write to.
_TRANSFORMS = {
    "grad": "func.grad(f)(x)",
    "vjp": "func.vjp(f, x)[0]",
    "jvp": "func.jvp(f, (x,), (y,))",
    "vmap": "torch.vmap(f)(torch.stack([x, y]))",
    "grad of grad": "func.grad(lambda a: func.grad(f)(a).sum())(x)",
    "vmap of grad": "torch.vmap(func.grad(f))(torch.stack([x, y]))",
    "grad of vmap": "func.grad(lambda a: torch.vmap(f)(a).sum())(torch.stack([x, y]))",
    "jvp of grad": "func.jvp(func.grad(f), (x,), (y,))",
    "hessian": "func.hessian(f)(x)",
}
INSIDE = [
    f"""
def f(a):
    z = {made}
    show(str(z), z.shape)
    return (a * a).sum()
show({_TRANSFORMS[name]})
"""
    for name in _TRANSFORMS
    for made in ("a", "a * 2", "a[0:1]", "torch.ones(2)", "y", "r", "r * 2")
    if name in ("grad", "vmap") or made in ("a", "a * 2", "torch.ones(2)")
] + [
    f"""
c = torch.ones(2)
def f(a):
    {line}
    return (a * a).sum()
show({_TRANSFORMS[name]}, c, x)
"""
    for name in ("grad", "jvp", "vmap of grad")
    for line in (
        "c.mul_(2)", "c.add_(a.sum())", "c[0] = a.sum()", "c[0] = 5.0", "c.copy_(a)", "c.zero_()",
        "c[0:1].add_(a[0:1])", "c.fill_(3.0)", "c.uniform_()", "z = a.clone(); z.mul_(a)",
        "z = torch.zeros(2); z.add_(a)", "z = torch.tensor([1.0, 2.0]); z.add_(a)",
        "z = torch.zeros(2); z[0] = a.sum()", "a.requires_grad_()", "(a * 2).requires_grad_()",
        "c.requires_grad_()", "a.data = c", "show(a.grad)",
        "with torch.no_grad(): r.mul_(2)", "torch.ones(2, requires_grad=True)",
        "show(func.debug_unwrap(a), func.debug_unwrap(c))",
    )
    # Under vmap PyTorch refuses to write a value for each example to a tensor made within.
    if name != "vmap of grad" or not line.startswith(("z", "c.uniform"))
] + [
    "show(func.grad(lambda a: a.mul_(2).sum())(x))",
    "func.grad(lambda a: (a * 2).retain_grad())(x)",
    "func.grad(lambda a: show(a.requires_grad, a.is_leaf, a.grad_fn))(x)",
    "func.grad(lambda a: show((a * 2).requires_grad, (a * 2).is_leaf))(x)",
    "func.jvp(lambda a: show(a.requires_grad, (a * 2).is_leaf, (a * 2).grad_fn), (x,), (y,))",
    "z = []\nfunc.grad(lambda a: (z.append(a * 2), a.sum())[1])(x)\nshow(str(z[0] * 2), z[0] + x)",
    "z = []\nfunc.jvp(lambda a: (z.append(a), a.sum())[1], (x,), (y,))\nshow(str(z[0] * 2))",
    "z = []\ntorch.vmap(lambda a: (z.append(a), a.sum())[1])(x.view(1, 2))\nprint(z[0] * 2)",
    "show(func.grad(lambda a: (a * a).sum() + 0 * r.sum())(x))",
    "show([z.requires_grad for z in func.jvp(lambda a: (a * r).sum(), (x,), (y,))])",
    "show(func.grad(lambda a: (a.sum(), 3), has_aux=True)(x))",
    "func.vjp(lambda a: (a, a * 2), x)[1](y)",
    "func.vjp(lambda a: a * 2, x)[1]({'a': y})",
    "func.jacrev(lambda a: a.to(torch.complex64))(x)",
    "func.functionalize(torch.sin, remove='a')",
    "func.linearize(torch.sin, x)[1](torch.ones(3))",
    "func.linearize(torch.sin, x)[1](y.double())",
    "func.hessian(lambda a: a.sum())(i)",
    "func.functional_call(nn.Linear(2, 2), {'foo.bar': x}, x)",
    "func.functional_call(nn.Linear(2, 2), {'weight': 3.0}, x)",
    "func.functional_call(nn.Linear(2, 2), {'': x}, x)",
    "func.functional_call(nn.Sequential(nn.ReLU()), {'0': x}, x)",
    "torch.vmap(nn.BatchNorm1d(2))(torch.ones(2, 3, 2))",
    "show(torch.vmap(nn.BatchNorm1d(2, track_running_stats=False))(torch.eye(4).view(2, 4, 2)))",
    "torch.vmap(lambda a: a.data)(x)",
    "def f(a): a.data = x\ntorch.vmap(f)(x)",
]  # fmt: skip


@pytest.mark.parametrize("code", INSIDE)
def test_inside_transforms(code: str) -> None:
    compare(code)
