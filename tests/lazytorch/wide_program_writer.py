"""Writes random programs of more kinds of statements: ``test_programs.py --wide``.

A writer of its own, so that a seed of the other one goes on to name the program that it did.
"""

from __future__ import annotations

import re
from typing import Any

from program_writer import Writer, is_leaf_with_gradient

# Operations of one tensor; {x} is its name.
_OPERATIONS = [
    "{x}.softmax(-1)", "{x}.log_softmax(-1)", "{x}.cumsum(-1)", "{x}.cumprod(-1)", "{x}.sum(0)",
    "{x}.mean(-1, keepdim=True)", "{x}.amax()", "{x}.max(-1)[0]", "{x}.sort(-1)[0]", "{x}.norm()",
    "{x}.logsumexp(-1)", "{x}.prod()", "{x}.flip(0)", "{x}.roll(1)", "{x}.repeat(2, 1)",
    "{x}.pow(2)", "{x} ** 3", "({x} * {x} + 1).sqrt()", "({x} * {x} + 1).log()", "{x}.atan()",
    "1 / ({x} * {x} + 1)", "torch.nn.functional.gelu({x})", "torch.nn.functional.silu({x})",
    "torch.nn.functional.layer_norm({x}, {x}.shape[-1:])", "{x}.var(-1, correction=0)",
    "torch.nn.functional.pad({x}, (1, 0))", "{x}.gather(-1, torch.zeros_like({x}).long())",
    "{x}.index_select(0, torch.tensor([0, 0]))", "{x}.clamp(-1, 0.5)", "{x}.float()",
    "{x}.double().float()", "{x}.contiguous()", "{x}.to(torch.float64).to({x})", "{x}.erf()",
    "torch.complex({x}, {x}).abs()", "({x} * 1j).imag", "({x} * (1 + 2j)).real * 2",
    "torch.view_as_real(torch.complex({x}, {x}.sin()))[..., 1]", "torch.view_as_complex(torch."
    "stack([{x}, {x}], -1)).conj().imag", "torch.nn.functional.leaky_relu({x})", "{x}.sign() * {x}",
    "{x}.logcumsumexp(-1)", "torch.diag({x})", "{x}.tril()", "{x}.unfold(0, 1, 1)",
]  # fmt: skip
# And of two that broadcast.
_OF_TWO = [
    "{x} / ({y} * {y} + 1)", "torch.atan2({x}, {y})", "torch.minimum({x}, {y})",
    "torch.hypot({x}, {y})", "torch.lerp({x}, {y}, 0.25)", "torch.addcmul({x}, {x}, {y}, value=2)",
    "torch.outer({x}.flatten(), {y}.flatten())", "{x}.flatten()[:1] @ {y}.flatten()[:1]",
    "torch.nn.functional.mse_loss({x}, {y}.expand_as({x}))", "torch.cat([{x}.flatten(), "
    "{y}.flatten()])", "torch.where({y} > 0, {x}, 0.5)", "{x}.t() @ {y}", "torch.logaddexp({x}, "
    "{y})", "torch.einsum('...i,...j->...ij', {x}, {y})", "torch.addcdiv({x}, {y}, {x} * {x} + 1)",
    "torch.nn.functional.smooth_l1_loss({x}, {y}.expand_as({x}))", "torch.vdot({x}, {y})",
    "torch.func.grad(lambda a: (a * {y}).sin().sum())({x})",
    "torch.func.vjp(lambda a: a * {y}, {x})[1](({x} * {y}))[0]",
    "torch.func.vmap(lambda a: a.sin() * a)({x})",
    "torch.func.vmap(torch.func.grad(lambda a: (a * a * 2).sum()))({x})",
    "torch.func.jacrev(lambda a: a.sin().sum() * a)({x}).sum(0)",
    "torch.func.jvp(lambda a: a * {y}, ({x},), ({x}.cos(),))[1]",
    "checkpoint(lambda a, b: (a * b).exp() * 0.1, {x}, {y}, use_reentrant=False)",
    "checkpoint(lambda a: a.sin() * a, {x}, use_reentrant=True)",
    "checkpoint(lambda a: Square.apply(a).cos(), {x}, use_reentrant=False)",
    "checkpoint(lambda a, b: (a.sin(), a * b), {x}, {y}, use_reentrant=False)[1]",
]  # fmt: skip
_IN_PLACE = [
    "pow_(2)", "clamp_min_(0)", "cumsum_(-1)", "index_add_(0, torch.tensor([0]), {x}[:1].detach())",
    "scatter_(0, torch.zeros(1, 1).long(), 0.5)", "t_()", "unsqueeze_(0)", "squeeze_()", "sin_()",
    "cos_()", "abs_()", "atan_()", "sign_()", "tril_()", "round_()", "sub_({y})", "atan2_({y})",
    "addcdiv_({y}, {y} * {y} + 1)", "swapaxes_(0, -1)", "masked_fill_({y} > 0, 0.5)", "detach_()",
    "index_copy_(0, torch.tensor([0]), {y}[:1])", "select(0, 0).mul_({y})", "clamp_({y}, 1.5)",
    "masked_scatter_({x}.detach() > 0, {y}.flatten())", "hardtanh_()",
    "put_(torch.tensor([0]), {y}.flatten()[:1])",
    "scatter_add_(0, torch.zeros(1, 1).long(), {x}.detach())", "requires_grad_()",
    "data.add_(0)", "copysign_({y})", "add_({x}.grad)", "sub_(0.1 * {x}.grad)",
]  # fmt: skip
_HOOKS = [
    "{x}.register_hook(lambda g: None)",
    "{x}.register_hook(lambda g: g.clone().mul_(2))",
    "{x}.grad_fn.register_hook(lambda gs, g: None)",
    "{x}.grad_fn.register_hook(lambda gs, g: tuple(a if a is None else a * 2 for a in gs))",
    "torch.autograd.graph.register_multi_grad_hook([{x}, {z}], lambda gs: seen.append(len(gs)))",
    "torch.autograd.graph.register_multi_grad_hook([{x}, {z}], lambda g: seen.append(g.tolist()), "
    "mode='any')",
]
_STEPS = [
    "{x} = torch.nn.Parameter({x}.detach())", "{x} = torch.nn.Parameter({x})",
    "torch.optim.SGD([{x}], 0.1).step()", "torch.optim.Adam([{x}], 0.1).step()",
    "torch.optim.SGD([{x}], 0.1).zero_grad()", "torch.optim.SGD([{x}], 0.1).zero_grad(False)",
    "with torch.no_grad(): {x} -= 0.1 * {x}.grad", "{x}.data -= 0.1 * {x}.grad",
]  # fmt: skip
_GRADIENTS = [
    "torch.autograd.backward([{x}.sum(), {z}.sin().sum()], retain_graph=True)",
    "torch.autograd.backward([{x}, {z}], [torch.ones_like({x}), {z}.detach()])",
    "torch.autograd.backward([{x}, {z}], [{x}, {z}.cos()], create_graph=True)",
    "torch.autograd.backward([{x}, {x}], [{x}.detach(), {x}.cos()], inputs=[{y}, {z}])",
    "{x}.sum().backward(inputs=[{y}, {z}], retain_graph=True)",
    "({x} * {y}).sum().backward(inputs=[{z}])",
    "{new} = torch.autograd.grad([{x}, {z}], {y}, [torch.ones_like({x}), {z}.detach()], "
    "create_graph=True, allow_unused=True)[0] + 0",
    "{new} = torch.autograd.grad({x}, {y}, {x}.detach().cos(), retain_graph=True)[0] + 0",
    "{new} = torch.autograd.grad({x}, [{y}, {z}], torch.ones_like({x}), materialize_grads=True, "
    "create_graph=True)[1]",
    "{new} = torch.autograd.grad({x}, {y}, torch.stack([{x}.detach(), {x}.cos()]), "
    "is_grads_batched=True, retain_graph=True)[0] + 0",
    "{new} = torch.autograd.functional.vjp(lambda a: a.sin() * a, {x}, {x}, create_graph=True)[1]",
    "{new} = torch.autograd.functional.hvp(lambda a: (a * a * a).sum(), {x}, {x})[1]",
]


class WideWriter(Writer):
    """As ``Writer``, with more operations, hooks, optimizers and ways to ask for gradients."""

    def makers(self) -> list[tuple[Any, int]]:
        return [*super().makers(), (self.operation, 6), (self.operation_of_two, 6),
                (self.more_in_place, 6), (self.more_hooks, 2), (self.step, 2),
                (self.more_gradients, 3), (self.under_hooks, 2)]  # fmt: skip

    def filled(self, form: str) -> str:
        x = self.any()
        new = self.fresh() if "{new}" in form else ""
        return form.format(x=x, y=self.partner(x), z=self.any(), new=new)

    def operation(self) -> str:
        return f"{self.fresh()} = {self.filled(self.random.choice(_OPERATIONS))}"

    def operation_of_two(self) -> str:
        return f"{self.fresh()} = {self.filled(self.random.choice(_OF_TWO))}"

    def more_in_place(self) -> str | None:
        x = self.any()
        y = self.partner(x, written=True)
        form = self.random.choice(_IN_PLACE)
        if y == x or self.names[x].is_inference():
            return None
        if form in ("detach_()", "requires_grad_()") and (self.is_aliased(x) or self.is_saved(x)):
            return None
        return f"{x}.{form.format(x=x, y=y)}"

    def more_hooks(self) -> str | None:
        # PyTorch itself falls over hooks on views that were written to.
        statement = self.filled(self.random.choice(_HOOKS))
        hooked = set(re.findall(r"v\d+", statement))
        if any([self.names[n]._is_view() for n in hooked]):
            return None
        if ".grad_fn" in statement and any([self.is_derivative(n) for n in hooked]):
            return None  # of many nodes in PyTorch, the last of which has the hook
        return statement

    def is_derivative(self, name: str) -> bool:
        made = [s for s in self.statements if re.search(rf"\b{name}(, \w+)? =", s)]
        return any([re.search(r"torch\.(func|autograd)|forward_ad", s) for s in made])

    def step(self) -> str | None:
        leaves = [n for n in self.tensors() if self.is_plain_leaf(n)]
        if not leaves:
            return None
        return self.random.choice(_STEPS).format(x=self.random.choice(leaves))

    def is_plain_leaf(self, name: str) -> bool:
        x = self.names[name]
        return is_leaf_with_gradient(x) and not (x._is_view() or self.is_saved(name))

    def more_gradients(self) -> str:
        return self.filled(self.random.choice(_GRADIENTS))

    def under_hooks(self) -> str | None:
        maker = self.random.choice([self.operation, self.operation_of_two, self.more_in_place])
        statement = maker()
        pack = self.random.choice(["x", "x.detach()", "x.clone()"])
        hooks = f"with saved_tensors_hooks(lambda x: {pack}, lambda x: x * 1)"
        return None if statement is None else f"{hooks}: {statement}"
