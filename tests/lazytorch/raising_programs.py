"""Writes random programs in which hooks, Functions or checkpointed parts raise.

Everything of the user's that backward or forward calls has a letter. ``at(letter)`` notes that it
was called, and raises where ``trouble`` says so: at each call, or at one of them. A program goes on
after what was raised: with further passes over the same graph, or new ones.
"""

from __future__ import annotations

import itertools
import random
from typing import Any

import numpy as np

_NAMES = compile(
    """
class Trouble(Exception):
    pass

trouble = {}
counts = {}

def at(letter):
    if letter is None:
        return
    counts[letter] = counts.get(letter, 0) + 1
    seen.append(letter)
    when, kind = trouble.get(letter, ((), None))
    if when == "always" or counts[letter] in when:
        raise kind(f"{letter} of call {counts[letter]}")

def shown(g):
    if isinstance(g, torch.Tensor):
        return [round(float(x), 3) for x in g.detach().reshape(-1)] + [g.requires_grad]
    return [shown(x) for x in g] if isinstance(g, (tuple, list)) else type(g).__name__

def looks(letter, *values):
    seen.append(shown(values))
    at(letter)

def hook(letter, answer=None, look=False):
    def hook(*values):
        if look:
            seen.append(shown([v for v in values if not isinstance(v, torch.nn.Module)]))
        at(letter)
        return None if answer is None else answer(*values)
    return hook

def nested(letter, run):
    def nested(*values):
        seen.append("in")
        run()
        seen.append("out")
        at(letter)
    return nested

def caught(run):
    def caught(*values):
        try:
            run()
        except Exception as error:
            seen.append(type(error).__name__)
    return caught

def square_of(letters):
    f, b = letters
    class Square(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            at(f)
            return x * x
        @staticmethod
        def backward(ctx, g):
            (x,) = ctx.saved_tensors
            at(b)
            return 2 * x * g
    return Square

def both_of(letters):
    f, b = letters
    class Both(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x, y):
            at(f)
            ctx.save_for_backward(x, y)
            return x * 2, x * y
        @staticmethod
        def backward(ctx, g, h):
            at(b)
            x, y = ctx.saved_tensors
            return 2 * g + h * y, h * x
    return Both

def twice_of(letters):
    f, b = letters
    class Twice(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.mark_dirty(x)
            at(f)
            return x.mul_(2)
        @staticmethod
        def backward(ctx, g):
            at(b)
            return g * 2
    return Twice

def cube_of(letters):
    f, b, s, j, v = letters
    class Cube(torch.autograd.Function):
        @staticmethod
        def forward(x):
            at(f)
            return x * x * x
        @staticmethod
        def setup_context(ctx, inputs, output):
            ctx.save_for_backward(inputs[0])
            ctx.save_for_forward(inputs[0])
            at(s)
        @staticmethod
        def backward(ctx, g):
            at(b)
            return 3 * ctx.saved_tensors[0] ** 2 * g
        @staticmethod
        def jvp(ctx, t):
            at(j)
            return 3 * ctx.saved_tensors[0] ** 2 * t
        @staticmethod
        def vmap(info, in_dims, x):
            at(v)
            return Cube.apply(x), in_dims[0]
    return Cube

def linear():
    made = torch.nn.Linear(2, 2)
    for p in made.parameters():
        torch.nn.init.constant_(p, 0.5)
    return made

def part(letter, run, inner=None):
    def part(*values):
        at(letter)
        found = run(*values)
        if inner is not None:
            found.register_hook(hook(inner))
        return found
    return part
""",
    "<names>",
    "exec",
)

_KINDS = ["ValueError", "RuntimeError", "Trouble", "KeyError", "AttributeError", "IndexError"]
_MODULE_HOOKS = ["forward_pre_hook", "forward_hook", "full_backward_pre_hook", "full_backward_hook"]


def namespace(library: Any) -> dict[str, Any]:
    """The names that a program under a library begins with."""
    names: dict[str, Any] = {"torch": library, "np": np, "seen": []}
    names["checkpoint"] = library.utils.checkpoint.checkpoint
    names["packing"] = library.autograd.graph.saved_tensors_hooks
    names["several"] = library.autograd.graph.register_multi_grad_hook
    names["everywhere"] = library.nn.modules.module
    exec(_NAMES, names)
    return names


class RaisingWriter:
    """Writes one program."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.letters: list[str] = []
        self.count = itertools.count()
        self.leaves: list[str] = []
        self.values: list[str] = []  # computed ones
        self.composites: list[str] = []  # those that are one call here, and many nodes in PyTorch
        self.modules: list[str] = []
        self.statements: list[str] = []

    def write(self) -> list[str]:
        pick = self.random
        for _ in range(pick.choice([1, 2, 3])):
            self.leaf()
        if pick.random() < 0.4:
            self.module()
        for _ in range(pick.randrange(2, 8)):
            self.value()
        for _ in range(pick.randrange(1, 6)):
            self.hook()
        self.set_trouble()
        for _ in range(pick.choice([2, 3, 3, 4])):
            self.run()
            if pick.random() < 0.25:
                self.value()
            if pick.random() < 0.15:
                self.hook()
        self.statements += [f"handle{n}.remove()" for n in range(self.global_hooks())]
        return self.statements

    # ---- parts -------------------------------------------------------------------------------

    def chance(self, likely: float) -> bool:
        return self.random.random() < likely

    def letter(self) -> str:
        number = len(self.letters)
        self.letters.append("abcdefghijklmnopqrstuvwxyz"[number % 26] + str(number // 26 or ""))
        return repr(self.letters[-1])

    def several_letters(self, count: int) -> str:
        return f"({', '.join([self.letter() for _ in range(count)])},)"

    def any(self) -> str:
        """A tensor, mostly one of the last."""
        known = self.leaves + self.values
        return self.random.choice(known[-4:] if self.chance(0.6) else known)

    def leaf(self) -> None:
        name = f"x{len(self.leaves)}"
        numbers = [[self.random.choice([-1.0, 0.5, 1.0, 2.0]) for _ in range(2)] for _ in range(2)]
        self.leaves.append(name)
        self.statements.append(f"{name} = torch.tensor({numbers}, requires_grad=True)")

    def module(self) -> None:
        name = f"m{len(self.modules)}"
        self.modules.append(name)
        kind = self.random.choice(
            ["linear()", "torch.nn.Sequential(linear(), torch.nn.Tanh())",
             "torch.nn.Sequential(linear(), torch.nn.Dropout(0.0), linear())"]
        )  # fmt: skip
        self.statements.append(f"{name} = {kind}")

    def value(self) -> None:
        x, y, pick = self.any(), self.any(), self.random
        name = f"v{len(self.values)}"
        kind = pick.choices(
            ["plain", "function", "both", "twice", "cube", "module", "part", "packed", "nested",
             "written", "transformed"],
            [10, 4, 2, 1, 2, 4, 4, 3, 1, 1, 1],
        )[0]  # fmt: skip
        plain = pick.choice(
            [f"{x}.sin()", f"{x} * {y}", f"{x} + {y}", f"{x}.tanh()", f"{x}.tanh().exp() * {y}",
             f"{x}.t() * 1", f"{x} @ {y}", f"{x} * 2", f"torch.where({x} > 0, {x}, {y})"]
        )  # fmt: skip
        if kind == "module" and not self.modules:
            kind = "plain"
        if kind == "plain":
            statement = f"{name} = {plain}"
        elif kind == "function":
            statement = f"{name} = square_of({self.several_letters(2)}).apply({x})"
        elif kind == "both":
            statement = f"{name}, other = both_of({self.several_letters(2)}).apply({x}, {y})"
            if self.chance(0.5):
                statement += f"; {name} = {name} + other"
        elif kind == "twice":
            statement = f"{name} = twice_of({self.several_letters(2)}).apply({x} * 1)"
        elif kind == "cube":
            statement = f"{name} = cube_of({self.several_letters(5)}).apply({x})"
        elif kind == "module":
            statement = f"{name} = {pick.choice(self.modules)}({x})"
            self.composites.append(name)
        elif kind == "part":
            inner = f", {self.letter()}" if self.chance(0.3) else ""
            run = pick.choice(
                [f"lambda a: (a * {y}).sin()", "lambda a: a.tanh().exp() * a",
                 f"square_of({self.several_letters(2)}).apply"]
            )  # fmt: skip
            reentrant = self.chance(0.4)
            self.composites.append(name)
            statement = (
                f"{name} = checkpoint(part({self.letter()}, {run}{inner}), {x}, "
                f"use_reentrant={reentrant})"
            )
        elif kind == "packed":
            pack, unpack = self.letter(), self.letter()
            statement = (
                f"with packing(hook({pack}, lambda a: a), hook({unpack}, lambda a: a)): "
                f"{name} = {plain}"
            )
        elif kind == "written":
            statement = f"{name} = {x} * 1; {name}.mul_({y})"
        elif kind == "transformed":
            # How often a transform calls setup_context is its own affair, and whether the way back
            # from a tangent comes by a Function's backward, with zeros.
            f, j, v = [self.letter() for _ in range(3)]
            f = f"cube_of(({f}, None, None, {j}, {v})).apply"
            statement = pick.choice(
                [f"{name} = torch.func.vmap({f})({x})",
                 f"{name} = torch.func.jvp({f}, ({x},), ({y}.detach(),))[1]",
                 f"{name} = torch.func.grad(lambda a: {f}(a).sum())({x})"]
            )  # fmt: skip
        else:
            f = f"cube_of({self.several_letters(5)}).apply"
            statement = f"{name} = torch.autograd.grad({f}({x}).sum(), {x}, create_graph=True)[0]"
            self.composites.append(name)
        # What is refused leaves its name to the argument.
        self.statements.append(f"{name} = {x} * 1")
        self.statements.append(statement)
        self.values.append(name)

    def hook(self) -> None:
        pick = self.random
        x, v, y = self.any(), pick.choice(self.values), self.any()
        leaf = pick.choice(self.leaves)
        look = ", look=True" if self.chance(0.3) else ""
        answer = ", lambda g: g * 2" if self.chance(0.3) else ""
        kind = pick.choices(
            ["tensor", "before", "after", "retain", "accumulated", "leaf", "all", "any", "module",
             "global", "nested", "caught", "parameter"],
            [6, 3, 3, 3, 4, 2, 2, 2, 4, 1, 1, 1, 1],
        )[0]  # fmt: skip
        if kind in ("module", "parameter") and not self.modules:
            kind = "tensor"
        if kind == "tensor":
            made = f"{x}.register_hook(hook({self.letter()}{answer}{look}))"
        elif kind == "before":
            made = f"{v}.grad_fn.register_prehook(hook({self.letter()}, None{look}))"
        elif kind == "after":
            look = "" if v in self.composites else look
            made = f"{v}.grad_fn.register_hook(hook({self.letter()}, None{look}))"
        elif kind == "retain":
            made = f"{x}.retain_grad()"
        elif kind == "accumulated":
            made = f"{leaf}.register_post_accumulate_grad_hook(hook({self.letter()}, None{look}))"
        elif kind == "leaf":
            form = pick.choice(["register_hook", "register_prehook"])
            # PyTorch forgets a node that nobody holds.
            self.statements.append(
                f"node{leaf} = {leaf}.view_as({leaf}).grad_fn.next_functions[0][0]"
            )
            made = f"node{leaf}.{form}(hook({self.letter()}, None{look}))"
        elif kind in ("all", "any"):
            made = f"several([{x}, {v}, {y}], hook({self.letter()}, None{look}), mode={kind!r})"
        elif kind == "module":
            form = pick.choice(_MODULE_HOOKS)
            made = f"{pick.choice(self.modules)}.register_{form}(hook({self.letter()}, None{look}))"
            self.statements.append(made)
            self.statements.append(f"{v} = {pick.choice(self.modules)}({x})")
            self.composites.append(v)
            return
        elif kind == "global":
            form = pick.choice(_MODULE_HOOKS)
            made = f"everywhere.register_module_{form}(hook({self.letter()}, None{look}))"
            made = f"handle{self.global_hooks()} = {made}"
        elif kind == "parameter":
            form = pick.choice(["register_hook", "register_post_accumulate_grad_hook"])
            made = (
                f"list({pick.choice(self.modules)}.parameters())[{pick.choice([0, 1])}].{form}"
                f"(hook({self.letter()}, None{look}))"
            )
        else:
            inner = pick.choice([f"({y} * 3).sum().backward(retain_graph=True)",
                                 f"torch.autograd.grad(({y} * {y}).sum(), {leaf})"])  # fmt: skip
            if kind == "nested":
                made = f"{x}.register_hook(nested({self.letter()}, lambda: {inner}))"
            else:
                made = f"{x}.register_hook(caught(lambda: {inner}))"
        self.statements.append(made)

    def global_hooks(self) -> int:
        return len([s for s in self.statements if s.startswith("handle")])

    def set_trouble(self) -> None:
        if not self.letters:
            return
        pick = self.random
        chosen = pick.sample(self.letters, min(pick.choice([1, 1, 2]), len(self.letters)))
        for letter in chosen:
            when = pick.choice(["'always'", "(1,)", "(1,)", "(2,)", "(2, 3)"])
            kind = pick.choice(_KINDS)
            # From the start, so that forward may raise too.
            self.statements.insert(0, f"trouble[{letter!r}] = {when}, {kind}")

    def run(self) -> None:
        pick = self.random
        v, w, leaf = pick.choice(self.values[-3:]), self.any(), pick.choice(self.leaves)
        loss = pick.choice([f"{v}.sum()", f"({v} * {v}).sum()", f"({v} * {w}).sum()",
                            f"({v}.sin() + {w}).sum()"])  # fmt: skip
        keep = pick.choice(["", "", "retain_graph=True", "retain_graph=True", "create_graph=True"])
        kind = pick.choices(
            ["backward", "inputs", "grad", "anomaly", "same", "second", "zero"],
            [8, 2, 3, 1, 4, 1, 1],
        )[0]
        comma = ", " if keep else ""
        if kind == "backward":
            made = f"{loss}.backward({keep})"
        elif kind == "inputs":
            made = f"{loss}.backward({keep}{comma}inputs=[{leaf}, {w}])"
        elif kind == "grad":
            made = (
                f"seen.append(shown(torch.autograd.grad({loss}, [{leaf}, {w}]{comma}{keep}, "
                "allow_unused=True)))"
            )
        elif kind == "anomaly":
            made = (
                f"with torch.autograd.detect_anomaly({self.chance(0.5)}): {loss}.backward({keep})"
            )
        elif kind == "same":
            self.statements.append(f"loss = {loss}")
            made = f"loss.backward({keep})"
            self.statements.append(made)
            made = f"loss.backward({pick.choice(['', keep])})"
        elif kind == "second" and not any(["checkpoint" in s for s in self.statements]):
            # PyTorch runs a part once more for each derivative.
            made = (
                f"torch.autograd.grad({loss}, {leaf}, create_graph=True)[0].sum().backward({keep})"
            )
        else:
            made = f"{leaf}.grad = None"
        self.statements.append(made)
