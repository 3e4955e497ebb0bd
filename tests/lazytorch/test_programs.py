"""Random programs: views, in-place writes, gradients, hooks and NumPy memory, as in PyTorch.

A program is a list of statements, run one by one under both libraries. Each must raise alike, and
at the end every variable must agree in values, gradient, and what autograd knows of it.

    python tests/lazytorch/test_programs.py --programs 10000 --seed 7

runs that many and says which differ; one alone is printed, with where it first does.
"""

from __future__ import annotations

import argparse
import random
import re
import sys
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from found_programs import FOUND

torch = pytest.importorskip("torch", reason="needs real PyTorch")

from devices import FUNCTIONS as DEVICE  # noqa: E402

import lazytorch  # noqa: E402

pytestmark = [pytest.mark.pytorch, pytest.mark.filterwarnings("ignore")]
# Programs a test, and tests; those that are compiled have plans of their own.
PROGRAMS, TESTS = (10, 12) if DEVICE != "interpreter" else (25, 16)

_SHAPES = [(), (3,), (2, 3), (2, 1), (3, 2), (2, 2)]
# What PyTorch refuses and we do not, where the program ends: memory that overlaps itself, a view of
# what PyTorch keeps transposed.
_OVERLAPPING = "single memory location"
_REFUSED = "single memory location|view size is not compatible"
# A view of memory that NumPy shares is another value each time that it is read.
_REFUSED_OF_SHARED = "appears to not have been used in the graph|'NoneType' and 'int'"
# Errors whose text is compared.
_DOCUMENTED = "modified by an inplace|in-place operation|modified inplace|second time|not have been"
# Names what wrote a saved value last; of views PyTorch makes a name up.
_MADE_BY = r", which is output \d+ of [^,]*,"
# Where a statement has two faults, which of them is named.
_EITHER = "its base or another view|view of a view|implicitly created|no_grad mode|"
_EITHER += "only supports a 0-dimensional"
_OF_PARTS = r"inputs=|materialize|, \[|autograd.grad"
_UNARY = ["sin", "tanh", "sigmoid", "neg", "relu", "abs", "square", "cos"]
_BINARY = ["+", "-", "*"]


class Writer:
    """Writes a program, running it under PyTorch to know what its variables are."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.names: dict[str, Any] = namespace(torch)
        self.statements: list[str] = []

    def write(self, length: int) -> list[str]:
        while len(self.tensors()) < 2:
            self.add(self.new())
        makers = [
            (self.new, 2), (self.unary, 4), (self.binary, 5), (self.view, 6), (self.inplace, 7),
            (self.assign_item, 3), (self.backward, 4), (self.grad, 2), (self.hook, 2),
            (self.flags, 3), (self.grad_attribute, 2), (self.numpy, 3), (self.read, 2),
            (self.under_no_grad, 3), (self.detached, 2), (self.several_views, 2),
            (self.indexed_write, 3), (self.gradients_of_several, 2), (self.function, 2),
            (self.node_hook, 1),
        ]  # fmt: skip
        weights = [w for _, w in makers]
        while len(self.statements) < length:
            (maker,) = self.random.choices([m for m, _ in makers], weights)
            statement = maker()
            if statement:
                self.add(statement)
        return self.statements

    def add(self, statement: str) -> None:
        self.statements.append(statement)
        run(statement, self.names)

    # ---- choices ------------------------------------------------------------------------------

    def tensors(self) -> list[str]:
        return [n for n, v in self.names.items() if isinstance(v, torch.Tensor) and n[0] == "v"]

    def any(self) -> str:
        return self.random.choice(self.tensors())

    def is_aliased(self, name: str) -> bool:
        """Whether another variable shows the same memory."""
        return any(self.share_memory(name, n) for n in self.tensors() if n != name)

    def share_memory(self, name: str, other: str) -> bool:
        first, second = (self.names[n].untyped_storage() for n in (name, other))
        return first.data_ptr() == second.data_ptr()

    def shape(self, name: str) -> tuple[int, ...]:
        return tuple(self.names[name].shape)

    def fresh(self, letter: str = "v") -> str:
        taken = [n for n in self.names if re.fullmatch(letter + r"\d+", n)]
        # Now and then a variable is given another value, and the old one goes; a leaf stays, which
        # PyTorch's graph keeps alive.
        if letter == "v" and self.random.random() < 0.1:
            old = [n for n in taken if not _is_leaf_with_gradient(self.names[n])]
            if len(old) > 2:
                return self.random.choice(old)
        return f"{letter}{1 + max([int(n[1:]) for n in taken], default=-1)}"

    def partner(self, name: str) -> str:
        """A tensor that broadcasts with this one, or a number."""
        shape = self.shape(name)
        fits = [n for n in self.tensors() if _broadcasts(self.shape(n), shape)]
        found = self.random.choice(fits)
        # What is written through another view, element by element, PyTorch reads as it goes.
        if self.random.random() < 0.3 or (found != name and self.is_aliased(found)):
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
        forms += ["expand(2, " + ", ".join(["-1"] * len(shape)) + ")"]
        if self.names[x].is_contiguous():
            forms += ["reshape(-1)", "flatten()"]  # otherwise a copy, or not, as memory lies
        if shape:
            last = shape[-1]
            forms += ["[0]", "[-1]", "[..., 0]", "[:1]", "[1:]", "[..., ::2]", "squeeze()"]
            forms += [f"narrow(-1, 0, {max(last - 1, 1)})", "select(0, 0)", f"[{shape[0] - 1}:]"]
        if len(shape) == 2:
            forms += ["t()", "transpose(0, 1)", "T", "diagonal()", "unsqueeze(-1)"]
        if shape and shape[0]:
            forms += ["unbind(0)[0]", "split(1)[-1]", "chunk(2)[0]"]
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
        value = self.partner(name)
        form = self.random.choice(
            [
                "mul_(0.5)", "add_(1)", "zero_()", "fill_(0.75)", f"add_({value})",
                f"mul_({value})", f"sub_({value}, alpha=0.5)", "neg_()", "clamp_(-1, 1)",
                "sigmoid_()", "tanh_()", "exp_()", "square_()", "relu_()",
                f"copy_({self.any()})", f"div_({value})", f"addcmul_({value}, {value})",
                f"lerp_({self.any()}, 0.5)",
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
        return self.random.choice([f"{x}.sum()", f"({x} * {x}).sum()", f"{x}.square().mean()", x])

    def backward(self) -> str:
        loss, x = self.loss(), self.any()
        keep = self.random.choice(["", "", "retain_graph=True", "create_graph=True"])
        if self.random.random() < 0.2:
            keep += f"{', ' if keep else ''}inputs=[{x}, {self.any()}]"
        if self.random.random() < 0.1:
            return f"{x}.backward({x}.detach() * 0.5{', ' if keep else ''}{keep})"
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
        form = self.random.choice(["unbind(0)", "split(1)", "chunk(2)",
                                   "tensor_split(2)", "unbind(-1)"])  # fmt: skip
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
                f"{self.fresh()} = Square.apply({x})",
                f"Double.apply({x})",
                f"{self.fresh()} = Double.apply({x})",
                f"{self.fresh()}, other = Both.apply({x}, {self.any()})",
            ]
        )

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
        return self.random.choice(
            [
                f"{x}.register_hook(lambda g: g * 2)",
                f"{x}.register_hook(lambda g: seen.append(g.tolist()))",
                f"{x}.retain_grad()",
                f"{x}.register_post_accumulate_grad_hook(lambda p: seen.append(p.grad.tolist()))",
                f"handle = {x}.register_hook(lambda g: g * -1)",
                "handle.remove()",
            ]
        )

    def flags(self) -> str | None:
        x = self.any()
        # What becomes of views made before is left to PyTorch.
        if self.is_aliased(x):
            return None
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
                f"{self.fresh()} = from_numpy({a})", f"{a}[...] *= 0.5", f"{a}[0] = 0.25",
                f"{self.fresh()} = from_numpy({a})", f"{self.fresh()} = torch.tensor({a})",
            ]  # fmt: skip
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
        mode = self.random.choice(["no_grad()", "no_grad()", "set_grad_enabled(False)",
                                   "no_grad(), torch.enable_grad()"])  # fmt: skip
        if not statement or "expand" in statement:
            return None  # an expanded view without history, of which views could be made
        return f"with torch.{mode}: {statement}"


def _is_leaf_with_gradient(x: Any) -> bool:
    try:
        return isinstance(x, torch.Tensor) and x.is_leaf and x.requires_grad
    except RuntimeError:
        return False  # a view that no_grad made, and that was written to since


def _broadcasts(shape: tuple[int, ...], other: tuple[int, ...]) -> bool:
    pairs = zip(reversed(shape), reversed(other), strict=False)
    return all(n == m or 1 in (n, m) for n, m in pairs)


_FUNCTIONS = """
class Square(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x * x
    @staticmethod
    def backward(ctx, g):
        return 2 * g * ctx.saved_tensors[0]
class Double(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.mark_dirty(x)
        return x.mul_(2)
    @staticmethod
    def backward(ctx, g):
        return g * 2
class Both(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, y):
        ctx.save_for_backward(x, y)
        return x.sin(), x * y.sum()
    @staticmethod
    def backward(ctx, g, h):
        x, y = ctx.saved_tensors
        return g * x.cos() + h * y.sum(), (h * x).sum() * torch.ones_like(y)
"""

# ---- running and comparing ------------------------------------------------------------------


def namespace(library: Any) -> dict[str, Any]:
    shared = torch.from_numpy if library is torch else from_numpy
    names = {"torch": library, "np": np, "seen": [], "from_numpy": shared}
    names["saved_tensors_hooks"] = library.autograd.graph.saved_tensors_hooks
    exec(_FUNCTIONS, names)
    return names


def from_numpy(array: Any) -> Any:
    """lazytorch.from_numpy, which makes tensors of the cpu, on the device under test."""
    made = lazytorch.from_numpy(array)
    made._storage.expression.device = DEVICE
    return made


def run(statement: str, names: dict[str, Any]) -> Exception | None:
    try:
        exec(statement, names)
    except Exception as error:
        return error
    return None


def described(x: Any) -> dict[str, Any]:
    """What a variable is, as plain data."""
    if isinstance(x, np.ndarray):
        return {"values": x.tolist()}
    if not hasattr(x, "retain_grad"):
        return {"value": x}
    try:
        return _described(x)
    except RuntimeError as error:
        # Such as a view that no_grad made, whose base was written to since.
        return {"error": str(error)[:40]}


def _described(x: Any) -> dict[str, Any]:
    gradient = x.grad if x.is_leaf or x.retains_grad else None
    return {
        "values": x.tolist(),
        "shape": tuple(x.shape),
        "requires_grad": x.requires_grad,
        "is_leaf": x.is_leaf,
        "grad_fn": x.grad_fn is not None,
        "retains_grad": x.retains_grad,
        "grad": None if gradient is None else gradient.tolist(),
        "grad_requires_grad": gradient is not None and gradient.requires_grad,
    }


def near(x: Any, y: Any) -> bool:
    """Equal, numbers within float32's reach."""
    if isinstance(x, dict):
        return x.keys() == y.keys() and all(near(x[k], y[k]) for k in x)
    if isinstance(x, (list, tuple)):
        return type(x) is type(y) and len(x) == len(y) and all(map(near, x, y))
    if isinstance(x, float) and isinstance(y, float):
        return bool(np.isclose(x, y, rtol=2e-4, atol=2e-5, equal_nan=True))
    return bool(x == y)


def same_error(mine: Exception | None, theirs: Exception | None) -> bool:
    if theirs is None or mine is None:
        return mine is theirs
    if type(mine).__name__ == type(theirs).__name__ == "RuntimeError":
        documented = [re.search(_DOCUMENTED, str(e)) for e in (mine, theirs)]
        if any([re.search(_EITHER, str(e)) for e in (mine, theirs)]):
            return True
        mine_text, their_text = [re.sub(_MADE_BY, "", str(e)) for e in (mine, theirs)]
        return mine_text == their_text if all(documented) else not any(documented)
    return isinstance(mine, type(theirs)) or isinstance(theirs, type(mine))


def differences(statements: list[str], look: bool = False) -> Iterator[str]:
    """Where the libraries part; with ``look``, every variable is compared after each statement."""
    real, lazy = namespace(torch), namespace(lazytorch)
    for number, statement in enumerate(statements):
        expected, found = run(statement, real), run(statement, lazy)
        if expected is not None and found is None and re.search(_REFUSED, str(expected)):
            return
        if (
            found is not None
            and {"a0", "b0"} & real.keys()
            and re.search(_REFUSED_OF_SHARED, str(found))
        ):
            return
        if {"a0", "b0"} & real.keys() and re.search(_OF_PARTS, statement):
            return
        if expected is not None and "INTERNAL ASSERT" in str(expected):
            return
        if found is not None and re.search(_OVERLAPPING, f"{found} {expected}"):
            return
        if not same_error(found, expected):
            yield f"{number}: {statement}: raised {found!r}, PyTorch {expected!r}"
            return
        if expected is not None and ("backward(" in statement or ".grad(" in statement):
            return  # PyTorch has run a part of it
        if look or number == len(statements) - 1:
            for name, value in real.items():
                if not re.fullmatch(r"[vab]\d+|seen", name):
                    continue
                theirs, mine = described(value), described(lazy.get(name))
                if "error" in theirs:
                    continue
                for key in theirs:
                    if not near(mine.get(key), theirs[key]):
                        yield (
                            f"{number}: {statement}: {name}'s {key} is {mine.get(key)}, "
                            f"PyTorch {theirs[key]}"
                        )
                        if look:
                            return


def made(seed: int) -> list[str]:
    return Writer(seed).write(5 + seed % 16)


def shrunk(statements: list[str]) -> list[str]:
    """As few of a program's statements as still differ."""
    found = True
    while found:
        found = False
        for i in reversed(range(len(statements))):
            fewer = statements[:i] + statements[i + 1 :]
            # What lacks a variable fails alike in both, or says so.
            if "NameError" not in (next(differences(fewer, look=True), None) or "NameError"):
                statements, found = fewer, True
    return statements


@pytest.mark.parametrize("part", range(TESTS))
def test_programs(part: int) -> None:
    with lazytorch.device(DEVICE):
        for seed in range(part * PROGRAMS, (part + 1) * PROGRAMS):
            statements = made(seed)
            for difference in differences(statements):
                raise AssertionError(f"program {seed}: {difference}\n" + "\n".join(statements))


@pytest.mark.parametrize("name", FOUND)
def test_found(name: str) -> None:
    with lazytorch.device(DEVICE):
        assert not list(differences(FOUND[name].strip().split("\n"), look=True))


def main() -> None:
    """Run many programs, say which differ and how; one program with its statements."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--programs", type=int, default=1, help="how many")
    parser.add_argument("--seed", type=int, default=0, help="of the first; the others follow")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    differing = 0
    with lazytorch.device(DEVICE):
        for seed in range(options.seed, options.seed + options.programs):
            statements = made(seed)
            found = next(differences(statements, look=options.programs == 1), None)
            if found is not None:
                differing += 1
                statements = shrunk(statements)
                found = next(differences(statements, look=True), None) or found
                print(f"program {seed}: {found}")
            if options.programs == 1 or found is not None:
                print("\n".join(f"  {i}: {s}" for i, s in enumerate(statements)), flush=True)
    print(f"{differing} of {options.programs} programs differ")
    sys.exit(differing > 0)


if __name__ == "__main__":
    main()
