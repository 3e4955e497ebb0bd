"""The compiled graph as a networkx graph, and as DOT text for Graphviz."""

from __future__ import annotations

import functools
from collections.abc import Hashable
from typing import TYPE_CHECKING, Any

from codegen.graph.explain import node_names
from codegen.ir.node import Node, topological
from codegen.lazy_import import lazy_import
from codegen.pipeline import Compiled
from lazytorch.inspect.information import compile_pending
from lazytorch.inspect.notebook import graph_html
from lazytorch.tensor import Tensor

if TYPE_CHECKING:
    import networkx as nx
else:
    nx = lazy_import("networkx")

_COLOURS = ("#cfe2f3", "#d9ead3", "#fff2cc", "#f4cccc", "#d9d2e9", "#fce5cd", "#d0e0e3", "#ead1dc")


def graph(*tensors: Tensor) -> nx.DiGraph:
    """The operations that realizing these tensors now would compute, after simplification.

    Each node carries ``label``, ``operation``, ``shape``, ``dtype``, ``attributes``, ``lines``
    (the user's, as ``file:line``), ``output`` (whether it is a result) and ``cluster``: the
    number of the kernel that stores or computes it, None where every reader computes it for
    itself. The graph's attribute ``clusters`` is the graph of the kernels.
    """
    plans = compile_pending(tensors)
    result = _graph_class()(clusters=nx.DiGraph())
    for i, compiled in enumerate(plans):
        _add(result, compiled, "" if len(plans) == 1 else f"{i}.")
    return result


def graph_of(compiled: Compiled) -> nx.DiGraph:
    """As ``graph``, of one compiled graph."""
    result = _graph_class()(clusters=nx.DiGraph())
    _add(result, compiled, "")
    return result


@functools.cache
def _graph_class() -> type[nx.DiGraph]:
    """A DiGraph that notebooks show as a table; made late, because networkx is slow to import."""

    class Graph(nx.DiGraph):  # type: ignore[misc]
        def _repr_html_(self) -> str:
            return graph_html(self) if "clusters" in self.graph else f"<pre>{self}</pre>"

    Graph.__qualname__ = "Graph"  # as pickle looks for it: see __getattr__
    return Graph


def __getattr__(name: str) -> Any:
    if name == "Graph":
        return _graph_class()
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def _add(result: nx.DiGraph, compiled: Compiled, prefix: str) -> None:
    fusion = compiled.fusion
    names = node_names(fusion)
    owner = {n: c.number for c in fusion.clusters for n in c.nodes}
    offset = result.graph["clusters"].number_of_nodes()
    for node in topological(compiled.outputs):
        name = prefix + names[node]
        number = owner.get(node)
        result.add_node(
            name,
            label=_label(node, names[node]),
            operation=node.operation.name,
            shape=node.shape,
            dtype=node.dtype.name.rstrip("_"),
            attributes=node.attributes,
            lines=list(compiled.origins.of(node)) if compiled.origins is not None else [],
            output=node in compiled.outputs,
            cluster=None if number is None else number + offset,
        )
        for position, source in enumerate(node.inputs):
            result.add_edge(prefix + names[source], name, position=position)
    clusters = nx.relabel_nodes(fusion.graph(), lambda number: number + offset)
    result.graph["clusters"].update(clusters)


def _label(node: Node, name: str) -> str:
    value = f" {node.attributes[1]}" if node.operation.name == "constant" else ""
    return f"{name}{value}\n{node.type!r}"


def to_dot(network: nx.DiGraph) -> str:
    """A graph from ``graph`` in Graphviz's language, a box a kernel."""
    members: dict[Hashable, list[str]] = {}
    for name, facts in network.nodes(data=True):
        members.setdefault(facts["cluster"], []).append(name)
    lines = ["digraph lazytorch {", '  node [shape=box, style=filled, fillcolor="#ffffff"];']
    for number, names in members.items():
        indent = "  "
        if number is not None:
            colour = _COLOURS[hash(number) % len(_COLOURS)]
            lines.append(f'  subgraph cluster_{number} {{ label="kernel {number}"; ')
            lines.append(f'    style=filled; color="{colour}";')
            indent = "    "
        for name in names:
            facts = network.nodes[name]
            label = "\n".join([facts["label"], *facts["lines"]])
            shape = ", penwidth=2" if facts["output"] else ""
            lines.append(f"{indent}{_quoted(name)} [label={_quoted(label)}{shape}];")
        if number is not None:
            lines.append("  }")
    lines += [f"  {_quoted(a)} -> {_quoted(b)};" for a, b in network.edges]
    return "\n".join([*lines, "}", ""])


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'
