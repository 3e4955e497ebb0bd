"""What notebooks show of kernels, of compiled graphs and of tensors: ``_repr_html_``."""

from __future__ import annotations

import html
from typing import TYPE_CHECKING, Any

from lazytorch.profiler.events import memory_text, time_text

if TYPE_CHECKING:
    import networkx as nx

    from lazytorch.inspect.information import KernelInfo

_CODE = "font-size:12px;overflow:auto;max-height:40em;padding:8px;border:1px solid #8884"


def kernel_html(kernel: KernelInfo) -> str:
    """A kernel's facts as a table, and its source below, folded."""
    rows = [
        ("computes", ", ".join(kernel.nodes)),
        ("for", "<br>".join([html.escape(line) for line in kernel.lines])),
        ("arguments", "<br>".join([html.escape(str(a)) for a in kernel.arguments])),
        ("work", f"{kernel.operations:,} operations, {memory_text(kernel.bytes)} moved"),
        ("threads", "all" if kernel.parallel else "one"),
        ("not fused", "<br>".join([html.escape(reason) for reason in kernel.unfused])),
    ]
    if kernel.runs:
        rows.append(
            ("ran", f"{kernel.runs} times, {time_text(1e6 * kernel.seconds / kernel.runs)} each")
        )
    return (
        f"<b>kernel {html.escape(kernel.name)}</b>{_table(rows)}"
        f"<details><summary>source</summary><pre style='{_CODE}'>"
        f"{html.escape(kernel.source)}</pre></details>"
    )


def graph_html(network: nx.DiGraph) -> str:
    """A graph of ``lazytorch.graph``: each kernel's nodes with their types and lines."""
    members: dict[Any, list[str]] = {}
    for name, facts in network.nodes(data=True):
        members.setdefault(facts["cluster"], []).append(name)
    rows = []
    for number in sorted([n for n in members if n is not None]):
        for name in members[number]:
            facts = network.nodes[name]
            kind = f"{facts['dtype']}[{'×'.join(map(str, facts['shape'])) or 'scalar'}]"
            cells = (str(number), name, kind, " ".join(facts["lines"]))
            rows.append("".join([f"<td>{html.escape(c)}</td>" for c in cells]))
    titles = "".join([f"<th>{t}</th>" for t in ("kernel", "node", "value", "line")])
    body = "".join([f"<tr>{row}</tr>" for row in rows])
    return (
        f"{network.number_of_nodes()} nodes, "
        f"{network.graph['clusters'].number_of_nodes()} kernels"
        f"<table><thead><tr>{titles}</tr></thead><tbody>{body}</tbody></table>"
    )


def _table(rows: list[tuple[str, str]]) -> str:
    cells = [f"<tr><th>{name}</th><td>{text}</td></tr>" for name, text in rows if text]
    return f"<table>{''.join(cells)}</table>"
