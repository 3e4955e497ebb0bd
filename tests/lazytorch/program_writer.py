"""Writes random programs, running each statement under PyTorch to know what its variables are.

A statement that PyTorch refuses is mostly taken back, so that programs live long before their
backward calls; a few are kept, which both libraries must refuse, and go on alike from there.
"""

from __future__ import annotations

import random
import re
from typing import Any

import torch
from program_names import namespace, run

_SHAPES = [(), (3,), (2, 3), (2, 1), (3, 2), (2, 2)]
_UNARY = ["sin", "tanh", "sigmoid", "neg", "relu", "abs", "square", "cos"]
_BINARY = ["+", "-", "*"]
# How often a statement that PyTorch refuses is kept, where autograd refuses it, and elsewhere.
_KEPT, _KEPT_OTHERS = 0.1, 0.01
# What may have done something before it was refused.
_RUNS_IN_PART = r"grad\(|backward|apply|checkpoint"
_OF_AUTOGRAD = "in-?place|graph|modified|second time|require|leaf|view|mode"


class Writer:
    """Writes one program: ``statements``, and ``names``, what they have made under PyTorch."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.names: dict[str, Any] = namespace(torch)
        self.statements: list[str] = []
        # What checkpointed parts read besides their arguments, and whether it required grad then.
        self.read_again: list[tuple[Any, bool]] = []

    def write(self, length: int) -> list[str]:
        while len(self.tensors()) < 2:
            self.add(self.new())
        makers = self.makers()
        weights = [w for _, w in makers]
        while len(self.statements) < length:
            (maker,) = self.random.choices([m for m, _ in makers], weights)
            statement = maker()
            if statement:
                self.add(statement)
        return self.statements

    def makers(self) -> list[tuple[Any, int]]:
        """What makes statements, and how often it is asked."""
        return [
            (self.new, 2), (self.unary, 4), (self.binary, 5), (self.view, 6), (self.inplace, 8),
            (self.assign_item, 3), (self.backward, 3), (self.grad, 2), (self.hook, 2),
            (self.flags, 2), (self.grad_attribute, 2), (self.numpy, 1), (self.read, 2),
            (self.under_no_grad, 3), (self.detached, 2), (self.several_views, 2),
            (self.indexed_write, 3), (self.gradients_of_several, 2), (self.function, 4),
            (self.node_hook, 1), (self.second_derivative, 2), (self.joined, 2),
            (self.transformed, 1), (self.of_data, 1),
        ]  # fmt: skip

    def add(self, statement: str) -> None:
        """Run a statement, and keep it where it runs; now and then where it does not."""
        error = self.run(statement)
        if error is None and (self.is_extreme() or self.is_tracked_since()):
            self.again()
            return
        if error is not None:
            wanted = re.search(_OF_AUTOGRAD, str(error)) is not None
            wanted = wanted and not isinstance(error, IndexError)
            if self.random.random() >= (_KEPT if wanted else _KEPT_OTHERS):
                if re.search(_RUNS_IN_PART, statement):
                    self.again()
                return
        self.statements.append(statement)
        if error is not None and re.search(r"backward\(|\.grad\(", statement):
            # PyTorch has run a part of it.
            self.statements.append("forget_gradients(globals())")
            self.run(self.statements[-1])

    def run(self, statement: str) -> Exception | None:
        part = re.search(r"checkpoint\(lambda a, y=(v\d+)", statement)
        read = self.names.get(part[1]) if part is not None else None
        error = run(statement, self.names)
        if error is None and read is not None:
            self.read_again.append((read, read.requires_grad))
        return error

    def is_tracked_since(self) -> bool:
        """Whether a write has made what a checkpointed part reads require grad: its second run
        saves more values then, which PyTorch takes for others."""
        return any([x.requires_grad is not required for x, required in self.read_again])

    def is_extreme(self) -> bool:
        """Whether any number is large, or none at all: the last bits of its sine would differ. And
        whether a tensor is empty."""
        if not all([self.names[n].numel() for n in self.tensors()]):
            return True
        try:
            sizes = [self.names[n].detach().abs() for n in self.tensors()]
        except RuntimeError:
            return True  # of a batch of gradients, that a tensor has kept
        return not all([bool((size <= 100).all()) for size in sizes])

    def again(self) -> None:
        """Run the program anew, as far as it is written."""
        self.names = namespace(torch)
        self.read_again = []
        for statement in self.statements:
            self.run(statement)

    # ---- choices ------------------------------------------------------------------------------

    def tensors(self) -> list[str]:
        return [n for n, v in self.names.items() if isinstance(v, torch.Tensor) and n[0] == "v"]

    def any(self) -> str:
        names = self.tensors()
        return self.random.choice(names[-6:] if self.random.random() < 0.4 else names)

    def is_aliased(self, name: str) -> bool:
        """Whether another variable shows the same memory."""
        return any(self.share_memory(name, n) for n in self.tensors() if n != name)

    def share_memory(self, name: str, other: str) -> bool:
        return _place(self.names[name]) == _place(self.names[other])

    def shape(self, name: str) -> tuple[int, ...]:
        return tuple(self.names[name].shape)

    def fresh(self, letter: str = "v") -> str:
        taken = [n for n in self.names if re.fullmatch(letter + r"\d+", n)]
        # Now and then a variable is given another value, and the old one goes; a leaf stays, which
        # PyTorch's graph keeps alive.
        if letter == "v" and self.random.random() < 0.1:
            old = [n for n in taken if not is_leaf_with_gradient(self.names[n])]
            if len(old) > 2:
                return self.random.choice(old)
        return f"{letter}{1 + max([int(n[1:]) for n in taken], default=-1)}"

    def partner(self, name: str, written: bool = False) -> str:
        """A tensor that broadcasts with this one (which is to be written), or a number."""
        shape = self.shape(name)
        fits = [n for n in self.tensors() if _broadcasts(self.shape(n), shape)]
        found = self.random.choice(fits)
        # What is written through another view, element by element, PyTorch reads as it goes.
        if self.random.random() < 0.3 or (
            written and found != name and self.share_memory(name, found)
        ):
            return str(self.random.choice([2, 0.5, -1, 1.5]))
        return found

    def numbers(self, shape: tuple[int, ...]) -> str:
        def nested(rest: tuple[int, ...]) -> Any:
            if not rest:
                return self.random.choice([-2.0, -1.0, -0.5, 0.0, 0.25, 0.5, 1.0, 1.5, 2.0])
            return [nested(rest[1:]) for _ in range(rest[0])]

        return str(nested(shape))

    # ---- statements ---------------------------------------------------------------------------

    def new(self) -> str:
        flag = self.random.choice([", requires_grad=True", ", requires_grad=True", ""])
        shape = self.random.choice(_SHAPES)
        return f"{self.fresh()} = torch.tensor({self.numbers(shape)}{flag})"

    def unary(self) -> str:
        return f"{self.fresh()} = {self.any()}.{self.random.choice(_UNARY)}()"

    def binary(self) -> str:
        x = self.any()
        return f"{self.fresh()} = {x} {self.random.choice(_BINARY)} {self.partner(x)}"

    def view_of(self, x: str) -> str:
        shape = self.shape(x)
        forms = ["view(-1)", "unsqueeze(0)", f"view_as({x})", f"expand_as({x})"]
        forms += ["expand(2, " + ", ".join(["-1"] * len(shape)) + ")", "unsqueeze(-1).squeeze(-1)"]
        if self.names[x].is_contiguous():
            forms += ["reshape(-1)", "flatten()"]  # otherwise a copy, or not, as memory lies
        if shape:
            last = shape[-1]
            forms += ["[0]", "[-1]", "[..., 0]", "[:1]", "[1:]", "[..., ::2]", "squeeze()"]
            forms += [f"narrow(-1, 0, {max(last - 1, 1)})", "select(0, 0)", f"[{shape[0] - 1}:]"]
        if len(shape) == 2:
            forms += ["t()", "transpose(0, 1)", "T", "diagonal()", "unsqueeze(-1)"]
        base = self.names[x]._base
        lies_alike = self.names[x].is_contiguous() and (base is None or base.is_contiguous())
        if self.names[x].numel() >= 2 and lies_alike:
            forms += ["as_strided((2,), (1,))", "as_strided((1, 2), (2, 1), 0)"]
        if shape and shape[0]:
            forms += [
                "tensor_split(2)[-1]",
                "unflatten(0, (1, -1))",
                "movedim(0, -1)",
                "unbind(0)[0]",
                "split(1)[-1]",
                "chunk(2)[0]",
            ]
        form = self.random.choice(forms)
        return x + form if form[0] == "[" else f"{x}.{form}"

    def view(self) -> str:
        return f"{self.fresh()} = {self.view_of(self.any())}"

    def detached(self) -> str:
        form = self.random.choice(["detach()", "clone()", "detach().clone()"])
        return f"{self.fresh()} = {self.any()}.{form}"

    def target(self) -> str:
        x = self.any()
        return self.random.choice([x, x, x, x + ".detach()", self.view_of(x)])

    def inplace(self) -> str | None:
        target = self.target()
        name = target.split(".")[0].split("[")[0]
        value = self.partner(name, written=True)
        if value == name and target not in (name, f"{name}.detach()"):
            return None  # PyTorch reads as it goes
        if self.names[name].is_inference() and (".detach" in target or value in self.names):
            return None
        form = self.random.choice(
            [
                "mul_(0.5)", "add_(1)", "zero_()", "fill_(0.75)", f"add_({value})",
                f"mul_({value})", f"sub_({value}, alpha=0.5)", "neg_()", "clamp_(-1, 1)",
                "sigmoid_()", "tanh_()", "exp_()", "square_()", "relu_()",
                f"copy_({self.any()})", f"div_({value})", f"addcmul_({value}, {value})",
                f"lerp_({value}, 0.5)",
            ]
        )  # fmt: skip
        copied = re.fullmatch(r"copy_\((\w+)\)", form)
        if copied and copied[1] != target and self.share_memory(name, copied[1]):
            return None  # PyTorch reads as it goes
        if self.random.random() < 0.2 and target == name:
            return f"{name} {self.random.choice(_BINARY)}= {value}"
        return f"{target}.{form}"

    def assign_item(self) -> str | None:
        x = self.any()
        shape = self.shape(x)
        if not shape:
            return None
        key = self.random.choice(["[0]", "[-1]", "[..., 0]", "[1:]", "[:]", "[...]", "[..., ::2]"])
        value = self.random.choice(["0.25", "-1", self.any(), f"{x}{key} * 2"])
        if value in self.names and value != x and self.share_memory(x, value):
            return None
        return f"{x}{key} = {value}"

    def loss(self) -> str:
        x = self.any()
        return self.random.choice(
            [f"{x}.sum()", f"({x} * {x}).sum()", f"{x}.square().mean()", x, f"{x}.cos().sum()",
             f"({x} * {self.partner(x)}).sum()"]
        )  # fmt: skip

    def may_retain(self, name: str) -> bool:
        """Whether it may keep its gradient. PyTorch falls over where a node's second output does,
        or that of a Function to which None is given as such, and is written to, or a view of it.
        """
        x = self.names[name]
        return x._is_view() or (x.output_nr == 0 and type(x.grad_fn).__name__ != "SparingBackward")

    def backward(self) -> str:
        loss, x = self.loss(), self.any()
        keep = self.random.choice(
            ["", "retain_graph=True", "retain_graph=True", "create_graph=True"]
        )
        if self.random.random() < 0.2:
            targets = [n for n in (x, self.any()) if self.may_retain(n)]
            keep += f"{', ' if keep else ''}inputs=[{', '.join(targets)}]" if targets else ""
        if self.random.random() < 0.1:
            seed = self.random.choice([f"{x}.detach() * 0.5", f"{x}.cos()"])
            return f"{x}.backward({seed}{', ' if keep else ''}{keep})"
        if self.random.random() < 0.1:
            of = f"[{self.loss()}, {self.loss()}]"
            return f"torch.autograd.backward({of}{', ' if keep else ''}{keep})"
        return f"{loss}.backward({keep})"

    def gradients_of_several(self) -> str:
        xs = ", ".join([self.any() for _ in range(self.random.choice([1, 2, 3]))])
        options = self.random.choice(
            [", allow_unused=True", ", materialize_grads=True", ", allow_unused=True, "
             "retain_graph=True", ", materialize_grads=True, create_graph=True", ""]
        )  # fmt: skip
        found = f"torch.autograd.grad({self.loss()}, [{xs}]{options})"
        if self.random.random() < 0.5:
            return f"seen.append([None if g is None else g.tolist() for g in {found}])"
        return f"{self.fresh()} = {found}[-1] + 0"

    def several_views(self) -> str:
        x = self.any()
        form = self.random.choice(["unbind(0)", "split(1)", "chunk(2)", "tensor_split(2)",
                                   "unbind(-1)", "hsplit(2)", "split([1, 1])"])  # fmt: skip
        first = self.fresh()
        number = int(first[1:]) + 1
        return f"{first}, v{number} = {x}.{form}"

    def indexed_write(self) -> str | None:
        x = self.any()
        shape = self.shape(x)
        if not shape:
            return None
        value = self.random.choice(["0.25", f"{x}[0].detach()", f"{self.any()}"])
        index = "torch.tensor([0])"
        return self.random.choice(
            [
                f"{x}[{index}] = {value}", f"{x}[{x}.detach() > 0] = 0.5",
                f"{x}.masked_fill_({x}.detach() > 0, 0.5)", f"{x}.index_fill_(0, {index}, 2.0)",
                f"{x}.index_copy_(0, {index}, {self.any()}.clone())",
                f"{x}.index_add_(0, {index}, {x}[:1] * 2)",
                f"{x}.masked_fill_({x} > 0, {self.any()})",
                f"{x}.index_put_(({index},), {self.any()})",
                f"{self.fresh()} = {x}[{index}]", f"{self.fresh()} = {x}[{x} > -9]",
                f"{self.fresh()} = torch.where({x} > 0, {x}, {self.partner(x)})",
            ]
        )  # fmt: skip

    def function(self) -> str | None:
        x = self.any()
        if self.names[x].retains_grad:
            return None
        return self.random.choice(
            [
                f"{self.fresh()} = {self.random.choice(['Square', 'Exp', 'Once'])}.apply({x})",
                f"Double.apply({x})",
                f"{self.fresh()} = Double.apply({x})",
                f"{self.fresh()}, other = Both.apply({x}, {self.any()})",
                f"{self.fresh()}, other = Signs.apply({x})",
                f"{self.fresh()} = {self.random.choice(['Same', 'Part'])}.apply({x})",
                f"other, {self.fresh()} = Sparing.apply({x}, {self.any()})",
            ]
        )

    def second_derivative(self) -> str:
        x, y = self.any(), self.any()
        loss = self.random.choice(["{}.sum()", "({0} * {0}).sum()", "{}.sin().sum()",
                                   "{}.exp().sum()", "{}.square().mean()"])  # fmt: skip
        options = self.random.choice(["", ", retain_graph=True", ", create_graph=True",
                                      ", create_graph=True, allow_unused=True"])  # fmt: skip
        return f"{self.fresh()} = torch.autograd.grad({loss.format(x)}, {y}{options})[0] + 0"

    def joined(self) -> str:
        x = self.any()
        alike = [n for n in self.tensors() if self.shape(n) == self.shape(x)]
        y = self.random.choice(alike)
        form = self.random.choice(["stack([{x}, {y}])", "stack([{x}, {y}])[0]", "mul({x}, {y})",
                                   "maximum({x}, {y})", "where({x} > {y}, {x}, {y})"])  # fmt: skip
        return f"{self.fresh()} = torch.{form.format(x=x, y=y)}"

    def transformed(self) -> str:
        """Functions of functions: checkpoints, transforms, tangents."""
        x = self.any()
        y = self.partner(x)
        body = self.random.choice(["a * a", "a.sin() * y", "(a * y).tanh()", "a.exp() * a"])
        called = f"lambda a, y={y}: {body}" if "y" in body else f"lambda a: {body}"
        alone = called.replace(f"={y}", "=2")
        again = ", use_reentrant=False"
        dual = f"forward_ad.make_dual({x}.clone(), torch.ones_like({x}))"
        return self.random.choice(
            [
                f"{self.fresh()} = checkpoint({called}, {x}{again})",
                f"{self.fresh()} = checkpoint({called}, {x}{again})",
                f"{self.fresh()} = torch.func.grad({alone.replace(body, f'({body}).sum()')})({x})",
                f"{self.fresh()} = torch.func.jvp({alone}, ({x},), ({x},))[1]",
                f"with forward_ad.dual_level(): {self.fresh()} = "
                f"forward_ad.unpack_dual((lambda a: a.exp() * a)({dual})).tangent + 0",
            ]
        )

    def is_saved(self, name: str) -> bool:
        """Whether a backward would read this memory: PyTorch sees there what ``.data`` writes."""
        return self.saves(_place(self.names[name]))

    def saves(self, place: int | None) -> bool:
        """Whether a backward would read memory of which this is an address."""
        stack = [n for x in self.tensors() for n in _nodes_at(self.names[x])]
        stack += [n for x in self.tensors() for n in _nodes_at(self.names[x].grad)]
        seen = set()
        while stack:
            node = stack.pop()
            if node is None or node in seen:
                continue
            seen.add(node)
            if node.name().endswith("CopySlices"):
                return True  # it hides the node of what was written, which may have saved anything
            stack += [following for following, _ in node.next_functions]
            for saved in _saved_by(node):
                if isinstance(saved, torch.Tensor) and _may_cover(saved, place):
                    return True
        return False

    def of_data(self) -> str | None:
        x = self.any()
        tensor = self.names[x]
        if self.is_saved(x) or tensor._is_view() or tensor.is_inference():
            return None
        if self.is_aliased(x):
            return None
        alike = [n for n in self.tensors() if self.shape(n) == self.shape(x)]
        value = self.partner(x, written=True)
        return self.random.choice(
            [
                f"{x}.data.mul_(0.5)", f"{x}.data.copy_({value})", f"{x}.data[...] = 0.5",
                f"{x}.data = {self.random.choice(alike)}.detach().clone()",
                f"{x}.grad.data.zero_()",
            ]
        )  # fmt: skip

    def node_hook(self) -> str | None:
        x = self.any()
        if self.names[x]._is_view() or self.names[x].grad_fn is None:
            return None
        return self.random.choice(
            [
                f"{x}.grad_fn.register_prehook(lambda g: seen.append(len(g)))",
                f"{x}.grad_fn.register_prehook(lambda g: (g[0] * 0.5, *g[1:]))",
            ]
        )

    def grad(self) -> str:
        x = self.any()
        if self.random.random() < 0.3:
            cube = f"({x} * {x} * {x}).sum()"
            return f"{self.fresh()} = torch.autograd.grad({cube}, {x}, create_graph=True)[0]"
        options = self.random.choice(["", ", retain_graph=True", ", allow_unused=True"])
        return f"{self.fresh()} = torch.autograd.grad({self.loss()}, {x}{options})[0] + 0"

    def hook(self) -> str | None:
        # PyTorch itself falls over hooks on views that were written to.
        x = self.any()
        if self.names[x]._is_view():
            return None
        retains = [f"{x}.retain_grad()"] if self.may_retain(x) else []
        return self.random.choice(
            [
                f"{x}.register_hook(lambda g: g * 2)",
                f"{x}.register_hook(lambda g: seen.append(g.tolist()))",
                *retains,
                f"{x}.register_post_accumulate_grad_hook(lambda p: seen.append(p.grad.tolist()))",
                f"handle = {x}.register_hook(lambda g: g * -1)",
                f"{x}.register_hook(lambda g: g * {self.partner(x)})",
                "handle.remove()",
            ]
        )

    def flags(self) -> str | None:
        x = self.any()
        # What becomes of views made before is left to PyTorch.
        if self.is_aliased(x) or self.is_saved(x):
            return None
        if any([re.search(rf"checkpoint.*\b{x}\b", s) for s in self.statements]):
            return None  # whose second run would save other values
        return self.random.choice(
            [
                f"{x}.requires_grad_()", f"{x}.requires_grad_(False)", f"{x}.requires_grad = True",
                f"{x}.detach_()",
            ]
        )  # fmt: skip

    def grad_attribute(self) -> str:
        x = self.any()
        return self.random.choice(
            [
                f"{x}.grad = None", f"{x}.grad.zero_()", f"{self.fresh()} = {x}.grad",
                f"{x}.grad.mul_(0.5)", f"{x}.grad = torch.ones_like({x})",
            ]
        )  # fmt: skip

    def numpy(self) -> str:
        arrays = [n for n in self.names if re.fullmatch(r"a\d+", n)]
        forms = [f"{self.fresh('a')} = np.array({self.numbers((2, 3))}, np.float32)"]
        x = self.any()
        # A gradient would see what is written to memory of its own graph in PyTorch.
        letter = "b" if self.names[x].requires_grad else "a"
        if letter == "a" or not self.is_aliased(x):
            forms.append(f"{self.fresh(letter)} = {x}.detach().numpy()")
        if arrays:
            a = self.random.choice(arrays)
            forms += [
                f"{self.fresh()} = from_numpy({a})", f"{self.fresh()} = from_numpy({a})",
                f"{self.fresh()} = torch.tensor({a})",
            ]  # fmt: skip
            # PyTorch's gradients see what NumPy writes to what they read; ours what was read.
            if not self.saves(self.names[a].__array_interface__["data"][0]):
                forms += [f"{a}[...] *= 0.5", f"{a}[0] = 0.25"]
        return self.random.choice(forms)

    def read(self) -> str:
        x = self.any()
        return self.random.choice(
            [
                f"seen.append({x}.tolist())",
                f"seen.append({x}.sum().item())",
                f"seen.append(bool(({x} > 0).all()))",
            ]
        )

    def under_no_grad(self) -> str | None:
        maker = self.random.choice(
            [self.unary, self.binary, self.inplace, self.assign_item, self.detached, self.view]
        )
        statement = maker()
        if statement and self.random.random() < 0.3:
            pack = self.random.choice(["x", "x", "x.detach()", "x.clone()"])
            return f"with saved_tensors_hooks(lambda x: {pack}, lambda x: x * 1): {statement}"
        mode = self.random.choice(
            [
                "no_grad()",
                "no_grad()",
                "set_grad_enabled(False)",
                "no_grad(), torch.enable_grad()",
                "inference_mode()",
            ]
        )
        if not statement or "expand" in statement:
            return None  # an expanded view without history, of which views could be made
        return f"with torch.{mode}: {statement}"


def is_leaf_with_gradient(x: Any) -> bool:
    try:
        return isinstance(x, torch.Tensor) and x.is_leaf and x.requires_grad
    except RuntimeError:
        return False  # a view that no_grad made, and that was written to since


def _nodes_at(x: Any) -> list[Any]:
    try:
        return [x.grad_fn]
    except (AttributeError, RuntimeError):
        return []


def _place(x: Any) -> int | None:
    try:
        return int(x.untyped_storage().data_ptr())
    except RuntimeError:
        return None  # of a tensor that a transform has used


def _may_cover(x: Any, place: int | None) -> bool:
    start = _place(x)
    if start is None or place is None:
        return start is None
    return start <= place < start + max(x.untyped_storage().nbytes(), 1)


def _saved_by(node: Any) -> list[Any]:
    try:
        saved = [getattr(node, name) for name in dir(node) if name[:7] == "_saved_"]
        return [*saved, *getattr(node, "saved_tensors", ())]
    except RuntimeError:
        return []  # freed


def _broadcasts(shape: tuple[int, ...], other: tuple[int, ...]) -> bool:
    pairs = zip(reversed(shape), reversed(other), strict=False)
    return all(n == m or 1 in (n, m) for n, m in pairs)
