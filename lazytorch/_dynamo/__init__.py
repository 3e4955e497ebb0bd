"""``torch._dynamo``: what libraries ask of it; see ``lazytorch.compiler``."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from lazytorch.compiled import OptimizedModule as OptimizedModule
from lazytorch.compiler import allow_in_graph as allow_in_graph
from lazytorch.compiler import assume_constant_result as assume_constant_result
from lazytorch.compiler import disable as disable
from lazytorch.compiler import is_compiling as is_compiling
from lazytorch.compiler import list_backends as list_backends
from lazytorch.compiler import reset as reset

config = SimpleNamespace(
    suppress_errors=False, cache_size_limit=8, recompile_limit=8, optimize_ddp=True, verbose=False
)


def mark_dynamic(tensor: Any, index: Any, **options: Any) -> None:
    """Nothing: sizes that change become arguments by themselves."""


maybe_mark_dynamic = mark_static = mark_static_address = mark_dynamic


def graph_break(msg: str = "") -> None:
    """Nothing: there is no trace to break."""
