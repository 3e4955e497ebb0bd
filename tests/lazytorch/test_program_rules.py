"""Rules of PyTorch's autograd on views, writes and saved values, each in all its combinations.

As in test_programs.py, a program runs under both libraries and must do the same.
"""

from __future__ import annotations

import itertools

import pytest

pytest.importorskip("torch", reason="needs real PyTorch")

from devices import COMPILED
from devices import FUNCTIONS as DEVICE
from test_programs import differences

import lazytorch

pytestmark = [pytest.mark.pytorch, pytest.mark.filterwarnings("ignore")]


def agree(program: str) -> None:
    statements = program.strip().split("\n")
    with lazytorch.device(DEVICE):
        for look in (False, True):  # what is looked at may have its node made
            for difference in differences(statements, look=look):
                raise AssertionError(f"{difference}\n{program}")


# ---- writes to views, by what became of their base -----------------------------------------------

_VIEWS = ["v0[:2]", "v0.tensor_split(2)[0]", "v0.chunk(2)[0]", "v0.unbind(0)[0]", "v0.detach()[:2]",
          "v0.squeeze()"]  # fmt: skip
_BEFORE = ["", "v0 *= v1", "v0[:1] = v1", "v0 *= v1\nv3.is_leaf", "v0 *= v1\nv5 = v3 * 2",
           "v3 *= v1", "v3 *= 2\nv0 *= v1", "v3.requires_grad_()", "v0 *= v1\nv3.grad",
           "v0 *= v1\nwith torch.no_grad(): v5 = v3 * 2", "with torch.no_grad(): v0 *= v1",
           ]  # fmt: skip
_WRITES = ["v3.mul_(2)", "v3.addcmul_(v3, v3)", "v3.zero_()", "v3[torch.tensor([0])] = 1.0",
           "v3.copy_(v1)", "v3.unsqueeze_(0)", "v3.detach_()"]  # fmt: skip


@pytest.mark.parametrize("view", [*_VIEWS, "no_grad", "no_grad, [:2]", "no_grad, .chunk(2)[0]"])
def test_writes_to_views(view: str) -> None:
    made = f"v3 = {view}"
    if view[:7] == "no_grad":
        made = "with torch.no_grad(): v3 = v0[:2]"
        if view[7:]:
            made += f"\nv3 = v3{view[9:]}"
    combinations = itertools.product(_BEFORE, _WRITES)
    for number, (before, write) in enumerate(combinations):
        if DEVICE != "interpreter" and number % 11:
            continue
        statements = [
            "v0 = torch.tensor([-2.0, 1.0, 2.0])", "v1 = torch.tensor(0.25, requires_grad=True)",
            *made.split("\n"), *before.split("\n"), write,
            f"{('v0', 'v3')[number % 2]}.sum().backward()",
        ]  # fmt: skip
        agree("\n".join([s for s in statements if s]))


# ---- writes to what was read through an alias ----------------------------------------------------

_ALIASES = ["v2.detach()", "v2[0].detach()", "v2.detach()[0]", "v2.t().detach()", "v3.detach()[0]",
            "v2.view(-1).detach().view(2, 2)"]  # fmt: skip
_ALIAS_WRITES = ["v2 -= 1", "v4 -= 1", "v2.detach().mul_(2)", "v3[0] = 3.0", "v2.detach_()"]
_ALIAS_READS = ["", "{}", "v5.tolist()\n{}", "{}\nv2.tolist()", "{}\nv5.exp().tolist()"]


@pytest.mark.parametrize("made", ["v1 * 2", "v1.detach() * 2"])
def test_writes_to_what_was_read_through_an_alias(made: str) -> None:
    """Also where the alias was computed in between, on its own or for backward."""
    combinations = itertools.product(_ALIASES, _ALIAS_WRITES, _ALIAS_READS)
    for number, (alias, write, read) in enumerate(combinations):
        if DEVICE == "interpreter" or number % 11 == 0:
            agree(
                f"""v1 = torch.tensor([[-0.5, 0.25], [0.25, 2.0]], requires_grad=True)
v2 = {made}
v3 = v2.unsqueeze(0)[0]
v4 = {alias}
v5 = v4 * v1
{read.format(write) or write}
v5.sum().backward()"""
            )


# ---- single rules --------------------------------------------------------------------------------

_LEAF = "v0 = torch.tensor([[1.5, 0.25, 1.5], [1.0, 2.0, 3.0]], requires_grad=True)\n"
_HOOKS = "with saved_tensors_hooks(lambda x: x, lambda x: x * 1): "

RULES = {
    "NumPy shares what an operation in place reads": """
v0 = torch.tensor(-2.0)
v1 = torch.tensor(1.5, requires_grad=True)
v2 = v0.unsqueeze(0)
a0 = v0.detach().numpy()
v0 *= v1
v2.square().mean().backward(retain_graph=True)""",
    "an argument of an operation in place is not copied": """
v0 = torch.tensor([1.0, 2.0])
v1 = torch.tensor(0.25, requires_grad=True)
v2 = v0.detach()[:1]
v2 *= v1
v2.mul_(v2)
v2.sum().backward()""",
    "what an alias without history had is overwritten": """
v0 = torch.tensor([1.0, 2.0])
v2 = v0.detach()
v2.requires_grad_()
v3 = v2 * v2
v0.zero_()
v3.sum().backward()""",
    "wrong arguments come before a refused write": """
v0 = torch.tensor([1.0, 2.0], requires_grad=True)
with torch.no_grad(): v4 = v0[1:]
v4.addcmul_(1.5, 1.5)""",
    "a refused fill of an expanded view names that": """
v0 = torch.tensor([0.25, 2.0, 1.0], requires_grad=True)
v1, v2 = (v0 * 2).chunk(2)
v2.expand(2, -1).zero_()""",
    # A gradient goes as far as the node that made what is asked for.
    "another output of the same chunk: what was read": _LEAF + """
v2, v3 = v0.chunk(2)
v4 = v3[torch.tensor([0])]
v6 = v4.sin()
v4[:] = 0.25
v8 = torch.autograd.grad(v6.square().mean(), v2)[0]""",
    "another output of the same unbind: hooks, and what is freed": _LEAF + """
v2, v3 = v0.unbind(0)
v3.register_hook(lambda g: seen.append(g.tolist()))
v6 = v3.sin()
v8 = torch.autograd.grad(v6.sum(), v2, allow_unused=True)[0]
v6.sum().backward()""",
    "another output of the same unbind: a view of it": _LEAF + """
v2, v3 = (v0 * 1).unbind(0)
v4 = v3[:1]
v6 = v4.sin()
v8 = torch.autograd.grad(v6.sum(), v2, materialize_grads=True)[0]
v6.sum().backward()""",
    "another unbind is another node": _LEAF + """
v2, v4 = v0.unbind(0)
v5, v3 = v0.unbind(0)
v6 = v3.sin()
v8 = torch.autograd.grad(v6.sum(), v2, allow_unused=True)[0]
v6.sum().backward()""",
    "another output of the same Function": _LEAF + """
v2, v3 = Both.apply(v0, v0 * 2)
v3.register_hook(lambda g: seen.append(g.tolist()))
v6 = v3.sin()
v8 = torch.autograd.grad(v6.sum(), v2, allow_unused=True)[0]
v6.sum().backward()""",
    "another output of the same operation, inputs=": _LEAF + """
v2, v3 = torch.var_mean(v0, 0)
v6 = v3.sin()
v6.sum().backward(inputs=[v2])
v6.sum().backward()""",
    "an expanded view of one of several is refused by its own name": """
v0 = torch.tensor([0.0, 0.25, 0.25], requires_grad=True)
v2, v3 = v0.chunk(2)
v2.expand(2, -1).zero_()""",
    "hooks of a leaf that requires no gradient any more": _LEAF + """
v0.register_hook(lambda g: seen.append(g.tolist()))
v0.register_post_accumulate_grad_hook(lambda p: seen.append(p.grad is None))
v1 = v0 * v0
v0.requires_grad_(False)
v1.sum().backward(retain_graph=True)
v0.requires_grad_()
v1.sum().backward()""",
    "a write after NumPy was shown what a gradient reads": _LEAF + """
v1 = torch.tensor([1.0, 2.0, 3.0]) * 1.5
v2 = v0 * v1
a0 = v1.numpy()
v1.add_(1)
v2.sum().backward()""",
    # A gradient that can be differentiated is a graph of its own, over what it was made of.
    "a Function's gradient requires what it sent on": _LEAF + """
v1 = torch.tensor([[1.0], [2.0]])
v2, other = Both.apply(v1, v0 * 0.5)
(v2 * v2).sum().backward(create_graph=True)""",
    "the forward is freed before the second derivative": _LEAF + """
v1 = v0.sin()
v2 = torch.autograd.grad(v1.sum(), v0, create_graph=True)[0]
v1.sum().backward()
seen.append(v0.grad.tolist())
v3 = torch.autograd.grad(v2.sum(), v0)[0]""",
    "the second derivative frees no more than it went through": _LEAF + """
v1 = v0 * 2
v2 = torch.autograd.grad((v1 * v1 * v1).sum(), v1, create_graph=True)[0]
v3 = (v1 * v1).sin()
v2.sum().backward(retain_graph=True, inputs=[v2])
v2.sum().backward()
v3.sum().backward()
v2.sum().backward()""",
    "a second derivative by what the first one read": _LEAF + """
v1 = v0.exp()
v2 = v1 * 3
v1.register_hook(lambda g: seen.append(g.tolist()))
v2.register_hook(lambda g: seen.append(g.tolist()))
v3 = torch.autograd.grad(v2.sum(), v0, create_graph=True)[0]
v4 = torch.autograd.grad(v3.sum(), v1, retain_graph=True)[0]
v3.sum().backward(retain_graph=True)
v5 = torch.autograd.grad(v3.sum(), v2, allow_unused=True)[0]
v1.mul_(2)
v3.sum().backward()""",
    "a second derivative, hooks of nodes": _LEAF + """
v1 = v0 * 2
v2 = v1.sin()
v3 = torch.tensor([1.0, 2.0, 3.0], requires_grad=True)
v1.grad_fn.register_hook(lambda gs, g: seen.append(len(gs)))
v2.grad_fn.register_hook(lambda gs, g: (gs[0] * v3,))
v4 = torch.autograd.grad((v2 * v2).sum(), v0, create_graph=True)[0]
v4.sum().backward()""",
    "a gradient of one of two, again": """
v0 = torch.tensor([1.0, 2.0], requires_grad=True)
v1 = torch.tensor([3.0, 4.0], requires_grad=True)
v2, v3 = torch.autograd.grad((v0 * v1).sum(), [v0, v1], create_graph=True)
v2.square().sum().backward()
seen.append([v0.grad, v1.grad.tolist()])
v3.square().sum().backward()
v3.square().sum().backward()""",
    "a third derivative": _LEAF + """
v1 = torch.tensor([[0.25], [-0.5]], requires_grad=True)
v2 = torch.autograd.grad((v0 + v1).sin().sum(), v1, create_graph=True)[0] + 0
(v2 * v2).sum().backward(create_graph=True)
v3 = v1.grad + 0
(v3 * v3).sum().backward()""",
    "hooks of leaves record nothing unless the gradient is recorded": _LEAF + """
v0.register_hook(lambda g: g * v0)
v1 = torch.autograd.grad(v0.square().sum(), v0)[0]
v2 = torch.autograd.grad(v0.square().sum(), v0, create_graph=True)[0]
v0.square().sum().backward()""",
    # Backward refuses what it comes to, after what runs before.
    "a Function's saved value was written, and a graph below it freed": _LEAF + """
v1 = v0.exp()
v2 = v1.abs()
v3 = Square.apply(v2)
v1.sum().backward()
v2[:1] = v2[:1] * 2
v3.sum().backward()""",
    "hooks run before what is refused": "import contextlib\n" + _LEAF + """
v1 = v0.sin()
v2 = v1.exp()
v2.register_hook(lambda g: seen.append(g.tolist()))
v1.register_hook(lambda g: seen.append(g.tolist()))
v0.register_hook(lambda g: seen.append(g.tolist()))
v1.sum().backward()
with contextlib.suppress(RuntimeError): (v2 * 2).sum().backward()""",
    "a refused Function on one of several views": """
v0 = torch.tensor([[-1.0, 0.5], [0.0, 0.5]], requires_grad=True)
v1 = v0.sigmoid()
v2 = v1.chunk(2)[0]
Double.apply(v2)
(v1 * v1).sum().backward()""",
    # Hooks on saved values are given the tensors, whose versions are not checked then.
    "packed input, written later": _LEAF + "v1 = v0 * 2\n" + _HOOKS + """v2 = v1[1:].sin()
v1[1].exp_()
v2.sum().backward()""",
    "packed output, written later": _LEAF + "v1 = v0 * 2\n" + _HOOKS + """v2 = v1.sigmoid()
v2.mul_(2)
v2.sum().backward()""",
    "packed in place, written later": _LEAF + "v1 = v0 * 2\n" + _HOOKS + """v1.sin_()
v1.exp_()
v1.sum().backward()""",
    "packed in place, as its argument": _LEAF + "v1 = v0 * 2\n" + _HOOKS + """v1 *= v1
v1.sum().backward()""",
    "packed memory that NumPy writes to": _LEAF + """
v1 = torch.tensor([1.0, 2.0, -0.5])
a0 = v1.numpy()
""" + _HOOKS + """v2 = v1 * v0
a0[1] = 7
v2.sum().backward()""",
    "a Function's refused write to what was packed": """
v0 = torch.tensor(-0.5, requires_grad=True)
v1 = torch.tensor([[-2.0], [1.0]], requires_grad=True)
""" + _HOOKS + """v2 = v0 * v1
Double.apply(v0)
v2.sum().backward()""",
    "what hooks are given":  _LEAF + """
v1 = v0 * 2
with saved_tensors_hooks(lambda x: seen.append((x.requires_grad, x.is_leaf)), repr): \
v2 = v0.cos() + v1.sin() + v1.sigmoid() + v1.detach().square()""",
}  # fmt: skip


@pytest.mark.parametrize("name", RULES)
def test_rules(name: str) -> None:
    agree(RULES[name].replace("\n\n", "\n"))


@pytest.mark.parametrize(
    "source", ["v0[2:5]", "v0[::2]", "v0.view(3, 2).t()", "v0[:2].expand(2, 2)"]
)
def test_as_strided_reaches_out(source: str) -> None:
    """Of a view, and of a leaf over the same memory; within it, outside, over it repeatedly."""
    for leaf in ("", ".detach().requires_grad_()"):
        for offset in (0, 1, 2, 3):
            agree(
                f"""v0 = torch.tensor([0.5, 1.0, 2.0, 3.0, 4.0, 5.0], requires_grad=True)
v1 = {source}{leaf}
v2 = v1.as_strided((2, 2), ({offset}, 1), {offset})
v3 = v2 * v2.square()
v4 = torch.autograd.grad(v3.sum(), v1, create_graph=True)[0]
v3.sum().backward()"""
            )


_REPEATING = ["v0.expand(2, 2)", "v0[:1].expand(3)", "v0.unfold(0, 2, 1)",
              "v0.view(2, 1).expand(2, 3)", "v0.expand(2, 2).t()"]  # fmt: skip
_OF_REPEATING = [
    "v2[..., ::2]", "v2[0]", "v2.t()", "v2[1:]", "v2.view(-1)", "v2.diagonal()", "v2[1:].t()",
    "v2.select(-1, 1)", "v2.unbind(0)[1]", "v2.expand(2, *v2.shape)[1]", "v2.t().reshape(-1)",
    "v2.unfold(0, 2, 1)[..., 1]", "v2[1:].unsqueeze(0)[..., 1:]", "v2.unflatten(0, (1, -1))",
]  # fmt: skip


@pytest.mark.parametrize("source", _REPEATING)
def test_views_of_what_repeats(source: str) -> None:
    """Elements of the storage that a view shows twice have a gradient each in the view."""
    for form, asked in itertools.product(_OF_REPEATING, ("grad", "hook", "leaf")):
        if DEVICE != "interpreter" and _OF_REPEATING.index(form) % 5:
            continue
        use = {"grad": "v4 = torch.autograd.grad(v3.sum(), v2, retain_graph=True)[0]",
               "hook": "v2.register_hook(lambda g: seen.append(g.tolist()))",
               "leaf": "v2"}[asked]  # fmt: skip
        leaf = ".detach().requires_grad_()" if asked == "leaf" else ""
        if form == "v2.diagonal()" and "[:1]" in source:
            continue
        agree(
            f"""v0 = torch.tensor([1.0, 2.0], requires_grad=True)
v2 = {source}{leaf}
v3 = {form} * torch.arange(1.0, 1 + {form}.numel()).view({form}.shape)
{use}
v3.square().sum().backward()"""
        )


# Gradients that read the input to compare it alone; those that PyTorch lets require grad, and not.
_COMPARING = [
    "relu()",
    "clamp(-1, 1)",
    "max()",
    "amin(1)",
    "sort()[0]",
    "cummax(0)[0]",
    "median()",
    "abs()",
    "topk(1)[0]",
    "nan_to_num()",
    "maximum(v0)",
    "nansum()",
    "quantile(0.5)",
]
_COMPARING_OF = [
    "hardtanh",
    "hardshrink",
    "leaky_relu",
    "relu6",
    "softshrink",
    "hardsigmoid",
    "log_softmax",
]


@pytest.mark.skipif(DEVICE != "interpreter", reason="nothing is computed")
def test_what_the_gradient_of_a_comparison_requires() -> None:
    calls = [f"v1.{form}" for form in _COMPARING]
    calls += [f"torch.nn.functional.{name}(v1)" for name in _COMPARING_OF]
    for call in calls:
        agree(
            f"""v0 = torch.tensor([[0.5, -0.7, 1.2], [0.3, 0.2, -4.0]])
v1 = v0.clone().requires_grad_()
v2 = torch.autograd.grad({call}.sum(), v1, create_graph=True)[0]"""
        )


def test_memory_is_kept_for_a_pending_gradient() -> None:
    """The write's memory is not given away while a gradient has yet to read what was there."""
    for _ in range(2):  # the second time by known plans
        with lazytorch.device(COMPILED):
            x = lazytorch.tensor([-2.0, 1.0])
            w = lazytorch.tensor(0.25, requires_grad=True)
            x *= w
            x.sum().backward()
            assert x.tolist() == [-0.5, 0.25]
            assert w.grad.item() == -1.0
