"""Which outputs of a plan an error is about: they, and what is made of them, have failed."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

from codegen.errors import OutOfMemoryError
from codegen.ir.node import Node, topological

if TYPE_CHECKING:
    from codegen.pipeline import Compiled

_MEMORY_ERRORS = (MemoryError, OutOfMemoryError)


def says_what_failed(error: Exception) -> bool:
    """Whether ``outputs_that_failed`` can say something of an error."""
    return bool(getattr(error, "kernels", ())) or isinstance(error, _MEMORY_ERRORS)


def outputs_that_failed(compiled: Compiled, error: Exception) -> tuple[int, ...]:
    """The numbers of a plan's outputs that are made of what an error is about: the kernels that it
    names, or where memory was wanting the largest value that is stored. None where the error says
    nothing of the kind."""
    failed: set[Node] = set()
    names, numbers = getattr(error, "kernels", ()), getattr(error, "numbers", ())
    for i, (cluster, k) in enumerate(zip(compiled.owners, compiled.record.kernels, strict=True)):
        if k.name in names and (not numbers or i in numbers):
            failed.update(cluster.nodes)
    if not failed and isinstance(error, _MEMORY_ERRORS):
        stored = [*compiled.outputs, *compiled.fusion.stored]
        failed.add(max(stored, key=lambda node: node.type.nbytes))
    return made_from(compiled.outputs, failed)


def made_from(outputs: Sequence[Node], sources: Collection[Node]) -> tuple[int, ...]:
    """The numbers of those outputs that are, or are made of, some of the nodes ``sources``."""
    found = set(sources)
    for node in topological(outputs):
        if any([i in found for i in node.inputs]):
            found.add(node)
    return tuple([i for i, node in enumerate(outputs) if node in found])
