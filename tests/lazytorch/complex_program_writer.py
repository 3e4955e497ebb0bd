"""Writes random programs on complex tensors: ``test_programs.py --complex``.

Parts, pairs and conjugates are views there, that are written to and differentiated through.
"""

from __future__ import annotations

from typing import Any

from program_writer import Writer

_SHAPES = [(), (2,), (3,), (2, 2), (2, 3), (2, 1)]
_OPERATIONS = [
    "{x}.sin()", "{x}.exp()", "{x}.neg()", "{x}.square()", "{x}.abs()", "{x}.sum(0)", "{x} * 1j",
    "{x}.angle()", "{x} * 2", "1 - {x}", "{x}.conj() * {x}", "{x}.clone()", "{x}.contiguous()",
    "{x}.conj_physical()", "{x}.resolve_conj()", "{x}.resolve_neg()", "torch.real({x})",
    "{x}.sgn()", "{x}.mean()", "{x}.to(torch.complex64)", "{x}.flip(0)",
    "torch.stack([{x}, {x}], -1)", "{x}.tanh()", "{x}.detach()", "{x}.cumsum(-1)",
    "torch.complex({x}.real, {x}.imag)", "{x}.mH @ {x}", "{x} @ {x}.mH", "{x}.reciprocal()",
    "{x}.prod()", "{x} ** 2",
]  # fmt: skip
_VIEWS = [
    "real", "imag", "real", "imag", "conj()", "conj()", "mH", "T", "H", "adjoint()", "t()", "[0]",
    "[..., 0]", "[1:]", "view(-1)", "unsqueeze(0)", "resolve_conj()", "resolve_neg()", "detach()",
    "transpose(0, -1)", "view_as_real", "view_as_complex", "view_as_real", "view_as_complex",
    "view(torch.float32)", "view(torch.complex64)", "squeeze()", "diagonal()", "[..., ::2]",
    "unfold(0, 1, 1)", "conj().imag", "imag.neg()",  "_neg_view()", "expand_as({x})",
]  # fmt: skip
_IN_PLACE = [
    "mul_(2)", "mul_(1j)", "add_(1)", "add_(0.5 + 1j)", "zero_()", "fill_(0.75)", "neg_()",
    "sin_()", "mul_({y})", "add_({y})", "copy_({y})", "conj_physical_()", "sub_({y}, alpha=0.5)",
    "square_()", "div_({y})", "tanh_()", "addcmul_({y}, {y})", "sgn_()",
    "fill_(1 - 2j)", "lerp_({y}, 0.5)", "abs_()", "mul_({x}.conj())",
]  # fmt: skip
_LOSSES = [
    "{x}.abs().sum()", "({x} * {x}.conj()).real.sum()", "{x}.real.sum()",
    "{x}.abs().square().sum()", "torch.view_as_real({x} * 1).square().sum()",
    "({x} * {y}).abs().sum()", "{x}.imag.sum()", "{x}.sum()", "{x}",
]  # fmt: skip


class ComplexWriter(Writer):
    """As ``Writer``, on complex tensors and their parts."""

    def makers(self) -> list[tuple[Any, int]]:
        return [
            (self.new, 2), (self.unary, 5), (self.binary, 4), (self.view, 10), (self.inplace, 10),
            (self.assign_item, 3), (self.backward, 4), (self.grad, 2), (self.hook, 1),
            (self.flags, 2), (self.read, 1), (self.under_no_grad, 3),
            (self.detached, 2), (self.several_views, 1), (self.set_part, 2), (self.seed, 2),
            (self.gradients_of_several, 1), (self.function, 1), (self.second_derivative, 1),
        ]  # fmt: skip

    def new(self) -> str:
        shape = self.random.choice(_SHAPES)
        flag = self.random.choice([", requires_grad=True", ", requires_grad=True", ""])
        if self.random.random() < 0.3:  # pairs
            return f"{self.fresh()} = torch.tensor({self.numbers((*shape, 2))}{flag})"
        return f"{self.fresh()} = torch.tensor({self.complex_numbers(shape)}{flag})"

    def complex_numbers(self, shape: tuple[int, ...]) -> str:
        if not shape:
            parts = [self.random.choice([-2.0, -1.0, 0.5, 1.0, 1.5]) for _ in range(2)]
            return f"{parts[0]} + {parts[1]}j"
        return "[" + ", ".join([self.complex_numbers(shape[1:]) for _ in range(shape[0])]) + "]"

    def unary(self) -> str:
        return f"{self.fresh()} = {self.random.choice(_OPERATIONS).format(x=self.any())}"

    def view_of(self, x: str) -> str:
        form = self.random.choice(_VIEWS).format(x=x)
        if form in ("view_as_real", "view_as_complex"):
            return f"torch.{form}({x})"
        return x + form if form[0] == "[" else f"{x}.{form}"

    def target(self) -> str:
        x = self.any()
        return self.random.choice([x, x, x + ".detach()", self.view_of(x), self.view_of(x)])

    def inplace(self) -> str | None:
        x = self.any()
        y = self.partner(x, written=True)
        target = self.random.choice([x, x, self.view_of(x), self.view_of(x)])
        if y == x and target != x:
            return None  # PyTorch reads as it goes
        return f"{target}.{self.random.choice(_IN_PLACE).format(x=x, y=y)}"

    def set_part(self) -> str | None:
        x = self.any()
        y = self.partner(x, written=True)
        if y == x:
            return None
        return f"{x}.{self.random.choice(['real', 'imag'])} = {y}"

    def loss(self) -> str:
        x = self.any()
        return self.random.choice(_LOSSES).format(x=x, y=self.partner(x))

    def seed(self) -> str:
        x = self.any()
        seed = self.random.choice(
            [f"torch.ones_like({x})", f"{x}.detach() * 1", f"({x}.detach() * 1).conj()"]
        )
        return f"{x}.backward({seed}{self.random.choice(['', ', retain_graph=True'])})"
