"""A statement to be timed, so written that everything it asks for is computed in each run.

PyTorch computes at each call, and throws away what nobody keeps. Here a value that nobody reads is
never computed, so a benchmark of ``x @ y`` would time the writing down. In the rewritten statement
the value of each expression that stands by itself is kept until the end of the run; there it is
computed, with what the statement has put into variables, memory and gradients.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable
from typing import Any

from lazytorch.autograd.backward import accumulated
from lazytorch.layout import strided
from lazytorch.realize import realize
from lazytorch.tensor import Tensor

_KEEP, _FINISH = "_keep_value_", "_finish_run_"


class _Keeping(ast.NodeTransformer):
    """Passes values of expressions that stand by themselves on; notes the names that are bound."""

    def __init__(self) -> None:
        self.bound: dict[str, None] = {}

    def visit_Expr(self, node: ast.Expr) -> ast.Expr:
        self.generic_visit(node)
        if isinstance(node.value, (ast.Yield, ast.YieldFrom, ast.Constant)):
            return node
        function = ast.Name(_KEEP, ast.Load())
        return ast.Expr(ast.Call(function, [node.value], []))

    def visit_Name(self, node: ast.Name) -> ast.Name:
        if isinstance(node.ctx, ast.Store):
            self.bound[node.id] = None
        return node

    # What is bound in there are variables of another function; it computes what it returns.
    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.FunctionDef:
        return node

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> ast.AsyncFunctionDef:
        return node

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.ClassDef:
        return node

    def visit_Lambda(self, node: ast.Lambda) -> ast.Lambda:
        return node

    def visit_ListComp(self, node: ast.ListComp) -> ast.ListComp:
        return node

    visit_SetComp = visit_DictComp = visit_GeneratorExp = visit_ListComp  # type: ignore[assignment]


def computing(statement: str) -> str:
    """The statement, followed by the computation of what it asked for; itself where it is no
    Python, for ``timeit`` to say so."""
    try:
        tree = ast.parse(statement)
    except SyntaxError:
        return statement
    keeping = _Keeping()
    tree = ast.fix_missing_locations(keeping.visit(tree))
    simple = {
        name.id
        for line in tree.body
        if isinstance(line, (ast.Assign, ast.AugAssign, ast.AnnAssign))
        for name in ast.walk(line)
        if isinstance(name, ast.Name) and isinstance(name.ctx, ast.Store)
    }
    deleted = {n.id for n in ast.walk(tree) if isinstance(n, ast.Name) and type(n.ctx) is ast.Del}
    certain = [name for name in keeping.bound if name in simple - deleted]
    # Names that may be unbound: looked up, which takes longer.
    others = [f"locals().get({name!r})" for name in keeping.bound if name not in certain]
    names = ", ".join([*certain, *others])
    return f"{ast.unparse(tree)}\n{_FINISH}({names})"


class Computation:
    """What one run of a statement has asked for so far."""

    def __init__(self) -> None:
        self._kept: list[Any] = []
        self._leaves: dict[int, Tensor] = {}

    def names(self) -> dict[str, Any]:
        """What the rewritten statement calls."""
        return {_KEEP: self._kept.append, _FINISH: self._finish}

    def _finish(self, *bound: Any) -> None:
        found: dict[int, Tensor] = {}
        _collect((*bound, *self._kept), found)
        _collect([leaf._grad for leaf in self._leaves.values()], found)
        realize([t._storage.expression for t in found.values()])
        self._kept.clear()
        self._leaves.clear()

    def _note(self, leaf: Tensor) -> None:
        self._leaves[id(leaf)] = leaf

    def __enter__(self) -> None:
        accumulated.append(self._note)

    def __exit__(self, *_: object) -> None:
        accumulated.remove(self._note)
        self._kept.clear()
        self._leaves.clear()


def _collect(values: Iterable[Any], found: dict[int, Tensor]) -> None:
    """The tensors in values, in sequences and dictionaries of them."""
    for value in values:
        if isinstance(value, Tensor):
            if value.layout is strided:
                found[id(value)] = value
            else:
                _collect(vars(value).values(), found)
        elif isinstance(value, (list, tuple)):
            _collect(value, found)
        elif isinstance(value, dict):
            _collect(value.values(), found)
