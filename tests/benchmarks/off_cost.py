"""What looking inside costs while nobody looks: the engine against itself without its hooks.

    python tests/benchmarks/off_cost.py [--processes N] [--seconds S] [--null] [name …]

The other build is made at import: the tests for listeners, watchers, check mode and lines, and the
counters of ``stats()``, are taken out of the syntax trees, so that what remains is the engine as it
were without any inspection. Both builds live in one process and take turns of about 2 ms, so that
whatever slows the machine slows both. One process gives the median of its turns' ratios; where
objects happen to lie differs from process to process, so the figure is the mean over processes,
with its 95 % interval. ``--null`` compares two copies of the same build: what the method itself
gets wrong. Beside the times: how many instructions of Python a step takes in each build, counted.
"""

from __future__ import annotations

import argparse
import ast
import gc
import importlib.abc
import importlib.machinery
import json
import math
import os
import random
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from types import CodeType, FrameType
from typing import Any, ClassVar

sys.path.insert(0, os.path.abspath(f"{__file__}/../../.."))

PROGRAMS = {
    # Recording and running one operation on small tensors: Python, and nothing else.
    "addition": """
a, b = torch.ones(8, 8).realize(), torch.ones(8, 8).realize()
def step():
    (a + b).realize()
""",
    # A complete training step of a small network.
    "training": """
model = torch.nn.Sequential(torch.nn.Linear(64, 32), torch.nn.ReLU(), torch.nn.Linear(32, 10))
optimizer = torch.optim.Adam(model.parameters())
x, y = torch.ones(32, 64), torch.arange(32) % 10
def step():
    loss = torch.nn.functional.cross_entropy(model(x), y)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
""",
    # Three hundred small operations in one plan.
    "recording": """
a = torch.ones(8, 8).realize()
def step():
    x = a
    for _ in range(100):
        x = (x * 0.5).sin() + a
    x.realize()
""",
}
PACKAGES = ("codegen", "lazytorch")
WARM_UP, TURN = 200, 2e-3


class WithoutHooks(ast.NodeTransformer):
    """Takes the inspection's questions out of a module, as if their answer were always no."""

    _CONSTANTS: ClassVar[dict[str, Any]] = {
        "spans.listeners": False, "watchers": False, "checking.active": False,
        "provenance.state.active": None, "provenance.state.wanted": 0,
        "signature.places_left": 0,
    }  # fmt: skip

    def __init__(self) -> None:
        self._never: set[str] = set()  # names that are only ever given a false constant

    def visit_FunctionDef(self, node: ast.FunctionDef) -> Any:
        before, self._never = self._never, set()
        for assignment in [n for n in ast.walk(node) if isinstance(n, ast.Assign)]:
            target, value = assignment.targets[0], assignment.value
            if (
                isinstance(target, ast.Name)
                and isinstance(value, ast.IfExp)
                and ast.unparse(value.test) == "spans.listeners"
            ):
                self._never.add(target.id)
        self.generic_visit(node)
        self._never = before
        return node

    def _is_false(self, node: ast.expr) -> bool:
        return isinstance(node, ast.Constant) and not node.value

    def _test(self, node: ast.expr) -> ast.expr:
        """A condition, with what the hooks ask in it answered."""
        text = ast.unparse(node)
        if text in self._CONSTANTS or text in self._never:
            return ast.Constant(self._CONSTANTS.get(text, 0))
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
            operand = self._test(node.operand)
            return ast.Constant(True) if self._is_false(operand) else ast.UnaryOp(node.op, operand)
        if isinstance(node, ast.BoolOp):
            values = [self._test(v) for v in node.values]
            if isinstance(node.op, ast.And):
                if any([self._is_false(v) for v in values]):
                    return ast.Constant(False)
                left = [v for v in values if not (isinstance(v, ast.Constant) and v.value)]
            else:
                left = [v for v in values if not self._is_false(v)]
            if len(left) > 1:
                return ast.BoolOp(node.op, left)
            return left[0] if left else ast.Constant(isinstance(node.op, ast.And))
        return node

    def visit_If(self, node: ast.If) -> Any:
        node.test = self._test(node.test)
        self.generic_visit(node)
        if self._is_false(node.test):
            return node.orelse or ast.Pass()
        return node.body if isinstance(node.test, ast.Constant) else node

    def visit_IfExp(self, node: ast.IfExp) -> Any:
        node.test = self._test(node.test)
        self.generic_visit(node)
        return node.orelse if self._is_false(node.test) else node

    def visit_Assign(self, node: ast.Assign) -> Any:
        if ast.unparse(node.targets[0]) in self._never:
            return ast.Pass()
        return self.generic_visit(node)

    def visit_AugAssign(self, node: ast.AugAssign) -> Any:
        if ast.unparse(node.target).startswith("statistics."):
            return ast.Pass()
        return node


class _Loader(importlib.machinery.SourceFileLoader):
    def get_code(self, fullname: str) -> CodeType:
        path = self.get_filename(fullname)
        tree = ast.parse(self.get_data(path))
        if not fullname.startswith(("lazytorch.inspect", "lazytorch.profiler", "codegen.check")):
            tree = WithoutHooks().visit(tree)
        return compile(ast.fix_missing_locations(tree), path, "exec", dont_inherit=True)


class _Finder(importlib.abc.MetaPathFinder):
    def find_spec(self, name: str, path: Any, target: Any = None) -> Any:
        if name.split(".")[0] not in PACKAGES:
            return None
        spec = importlib.machinery.PathFinder.find_spec(name, path)
        if spec is not None and isinstance(spec.loader, importlib.machinery.SourceFileLoader):
            spec.loader = _Loader(spec.loader.name, spec.loader.path)
        return spec


def _built(program: str, without_hooks: bool) -> Callable[[], None]:
    """The step of a program on an engine of its own."""
    for name in [n for n in sys.modules if n.split(".")[0] in PACKAGES]:
        del sys.modules[name]
    finder = _Finder()
    if without_hooks:
        sys.meta_path.insert(0, finder)
    try:
        import lazytorch as torch

        scope: dict[str, Any] = {"torch": torch}
        torch.manual_seed(0)
        exec(PROGRAMS[program], scope)
        step: Callable[[], None] = scope["step"]
        for _ in range(WARM_UP):  # past what only the first calls of each kind do
            step()
        return step
    finally:
        if without_hooks:
            sys.meta_path.remove(finder)


def _instructions(step: Callable[[], None]) -> int:
    """How many instructions of Python a step executes."""
    count = 0

    def trace(frame: FrameType, event: str, _: Any) -> Any:
        nonlocal count
        frame.f_trace_opcodes, frame.f_trace_lines = True, False
        count += event == "opcode"
        return trace

    sys.settrace(trace)
    try:
        step()
    finally:
        sys.settrace(None)
    return count


def _turn(step: Callable[[], None], count: int) -> float:
    began = time.perf_counter()
    for _ in range(count):
        step()
    return time.perf_counter() - began


def _measure(program: str, seconds: float, null: bool, first: bool) -> dict[str, Any]:
    """One process: the ratio of the hooks' build to the other, and the instructions of each."""
    steps: dict[bool, Callable[[], None]] = {}
    for hooks in (first, not first):
        steps[hooks] = _built(program, without_hooks=not hooks and not null)
    instructions = [_instructions(steps[h]) for h in (True, False)]
    count = max(1, round(TURN / min([_turn(steps[True], 20) / 20 for _ in range(3)])))
    gc.collect()
    gc.disable()
    ratios, times = [], []
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        taken = {}
        order = (True, False) if random.random() < 0.5 else (False, True)
        for hooks in order:
            taken[hooks] = _turn(steps[hooks], count)
        ratios.append(taken[True] / taken[False])
        times.append(taken[True] / count)
        if len(ratios) % 50 == 0:
            gc.collect()
    return {
        "ratio": statistics.median(ratios),
        "turns": len(ratios),
        "microseconds": 1e6 * statistics.median(times),
        "instructions": instructions,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--processes", type=int, default=10)
    parser.add_argument("--seconds", type=float, default=2.0, help="of each process")
    parser.add_argument("--null", action="store_true", help="two copies of the same build")
    parser.add_argument("--worker", type=int, help=argparse.SUPPRESS)
    parser.add_argument("names", nargs="*", help=f"of {', '.join(PROGRAMS)}")
    chosen = parser.parse_args()
    if chosen.worker is not None:
        (name,) = chosen.names
        print(json.dumps(_measure(name, chosen.seconds, chosen.null, chosen.worker % 2 == 0)))
        return
    options = ["--seconds", str(chosen.seconds), *(["--null"] if chosen.null else [])]
    environment = {**os.environ, "LAZYTORCH_NUM_THREADS": "1"}
    for name in chosen.names or PROGRAMS:
        found = []
        for i in range(chosen.processes):
            command = [sys.executable, __file__, "--worker", str(i), *options, name]
            done = subprocess.run(command, env=environment, capture_output=True, text=True)
            if done.returncode:
                raise SystemExit(done.stderr)
            found.append(json.loads(done.stdout))
        ratios = [math.log(f["ratio"]) for f in found]
        # 1.96, a little more for few processes: the quantiles of Student's distribution.
        spread = 1.96 + 2.5 / max(1, len(ratios) - 1)
        half = spread * statistics.stdev(ratios) / math.sqrt(len(ratios)) if len(ratios) > 1 else 0
        with_hooks, without = found[0]["instructions"]
        print(
            f"{name:<10} {found[0]['microseconds']:8.1f} us a step, hooks cost "
            f"{100 * statistics.mean(ratios):+.2f} % ± {100 * half:.2f} % "
            f"({sum([f['turns'] for f in found])} turns in {len(found)} processes); "
            f"{with_hooks} instructions of Python a step, {without} without the hooks "
            f"({100 * (with_hooks - without) / without:+.2f} %)",
            flush=True,
        )


if __name__ == "__main__":
    main()
