"""Names of PyTorch's namespaces that lazytorch lacks, and the list that says why.

``python -m tests.conformance.names`` prints them; with ``--update`` it writes the list anew, new
ones under "not there yet".
"""

from __future__ import annotations

import inspect
import sys
from pathlib import Path
from typing import Any

import torch

import lazytorch

from .translate import lookup

MISSING = Path(__file__).with_name("missing_names.txt")
NAMESPACES = (
    "", "Tensor", "nn.functional", "nn.init", "linalg", "special", "fft", "sparse", "masked",
    "signal.windows",
)  # fmt: skip
NEW = "not there yet"
_WIDTH = 100


def _public(space: str, owner: Any) -> set[str]:
    """A namespace's names: of Tensor, Python's protocols as well."""
    names = {n for n in dir(owner) if not n.startswith("_")}
    if space == "Tensor":
        names |= {n for n in vars(owner) if n.startswith("__") and n.endswith("__")}
        names |= {n for n in vars(torch._C.TensorBase) if n.startswith("__")}
    return names


def _is_borrowed(value: Any) -> bool:
    """Modules, and what a namespace only imported from Python's own."""
    module = getattr(value, "__module__", None)
    return inspect.ismodule(value) or module in ("typing", "collections.abc")


def missing() -> set[str]:
    """The names, each with its namespace in front: "linalg.eig", but "stft" of torch's own."""
    found = set()
    for space in NAMESPACES:
        theirs, ours = lookup(torch, space), lookup(lazytorch, space)
        for name in _public(space, theirs):
            if _is_borrowed(getattr(theirs, name, None)):
                continue
            if getattr(getattr(ours, name, None), "is_left_out", not hasattr(ours, name)):
                found.add(f"{space}.{name}".lstrip("."))
    return found


def listed(path: Path = MISSING) -> dict[str, str]:
    """What the list says: name -> reason."""
    reasons: dict[str, str] = {}
    reason = ""
    for line in path.read_text().splitlines():
        if line.startswith("    "):
            reasons.update(dict.fromkeys(line.split(), reason))
        elif line and not line.startswith("#"):
            reason = line.rstrip(":")
    return reasons


def update(path: Path = MISSING) -> None:
    """Write the list anew: known reasons are kept."""
    known = listed(path)
    groups: dict[str, list[str]] = {}
    for name in sorted(missing()):
        groups.setdefault(known.get(name, NEW), []).append(name)
    lines = [line for line in path.read_text().splitlines() if line.startswith("#")]
    for reason, names in sorted(groups.items()):
        lines += ["", f"{reason}:"]
        row = "   "
        for name in names:
            if len(row) + len(name) >= _WIDTH:
                lines.append(row)
                row = "   "
            row += f" {name}"
        lines.append(row)
    path.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    if "--update" in sys.argv:
        update()
    print("\n".join(sorted(missing() - set(listed()))) or "as the list says")
